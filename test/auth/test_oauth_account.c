/* What a transport's `oauth2` comes to: where it asks and as whom, how long a
 * token must live, which mechanism is Microsoft's, what people are told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/choose.h"
#include "auth/oauth_private.h"
#include "conf/load.h"

struct world {
	struct conf *conf;
	struct conf_tree *tree;
	struct role_base base;
	struct oauth *oauth;
};

static int
read_text(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	(void)path;
	(void)e;
	strbuf_puts(out, arg);
	return 0;
}

static struct world
begin(const char *text)
{
	struct conf_reader reader = { read_text, (void *)(uintptr_t)text };
	struct conf_messages m;
	struct oauth_env env = { 0 };
	struct world w;

	memset(&w, 0, sizeof(w));
	memset(&m, 0, sizeof(m));
	w.conf = conf_load("t.conf", &reader, false, &w.tree, &m);
	if (w.conf == NULL)
		print_error("%s", strbuf_cstr(&m.errors));
	assert_non_null(w.conf);
	conf_messages_free(&m);
	env.conf = w.conf;
	env.base = &w.base;
	w.oauth = oauth_new(&env);
	return w;
}

static void
end(struct world *w)
{
	/* No loop: nothing was started. */
	struct oauth_account *a = NULL;

	while ((a = oauth_next(w->oauth, a)) != NULL)
		assert_null(a->fetch);
	TAILQ_FOREACH(a, &w->oauth->accounts, link)
		free(a->endpoint);
	while ((a = TAILQ_FIRST(&w->oauth->accounts)) != NULL) {
		TAILQ_REMOVE(&w->oauth->accounts, a, link);
		free(a->why);
		free(a);
	}
	free(w->oauth);
	conf_free(&w->conf);
	conf_tree_free(&w->tree);
}

static void
by_account_or_transport(void **state)
{
	struct world w = begin("account a@b.test { submission h\n"
	    "oauth2 cms-socket /x }\n"
	    "transport t { submission h; username u\noauth2 cms-socket /y }\n"
	    "transport p { submission h; username u; password p }\n");

	(void)state;
	assert_string_equal(oauth_transport(oauth_find(w.oauth,
	    "a@b.test"))->username, "a@b.test");
	assert_non_null(oauth_find(w.oauth, "t"));
	assert_null(oauth_find(w.oauth, "p"));
	assert_null(oauth_find(w.oauth, "none"));
	end(&w);
}

static void
a_token_lives_long_enough(void **state)
{
	struct world w = begin(
	    "transport n { submission h; username u; oauth2 cms-socket /x }\n"
	    "transport v { provider microsoft365-hve; username u\n"
	    "oauth2 cms-socket /x }\n");
	struct oauth_account *a = oauth_find(w.oauth, "n");

	(void)state;
	assert_int_equal(oauth_window(a), 300000);
	assert_int_equal(oauth_window(oauth_find(w.oauth, "v")), 600000);
	a->file_window = 10000;
	assert_int_equal(oauth_window(a), 10000);
	end(&w);
}

#define FLOW(more) "submission h; username u; oauth2 { flow device\n" \
    "client-id c; scope s\n" more " }"

static void
whose_servers_they_are(void **state)
{
	struct world w = begin(
	    "transport a { " FLOW("provider microsoft-usgov") " }\n"
	    "transport b { " FLOW("token-endpoint "
	    "https://login.microsoftonline.com/t/oauth2/v2.0/token\n"
	    "device-endpoint https://h/d") " }\n"
	    "transport c { " FLOW("token-endpoint https://h/token\n"
	    "device-endpoint https://h/d") " }\n"
	    "transport d { provider outlook.com; username u\n"
	    "oauth2 cms-socket /x }\n"
	    "transport e { submission h; username u; oauth2 cms-socket /x }"
	    "\n");
	struct oauth_account *e = oauth_find(w.oauth, "e");

	(void)state;
	assert_true(oauth_is_microsoft(oauth_find(w.oauth, "a")));
	assert_true(oauth_is_microsoft(oauth_find(w.oauth, "b")));
	assert_false(oauth_is_microsoft(oauth_find(w.oauth, "c")));
	assert_true(oauth_is_microsoft(oauth_find(w.oauth, "d")));
	assert_false(oauth_is_microsoft(e));
	oauth_set_text(&e->endpoint,
	    "https://login.partner.microsoftonline.cn/x/oauth2/v2.0/token");
	assert_true(oauth_is_microsoft(e));
	end(&w);
}

static void
endpoints_of_every_cloud(void **state)
{
	static const struct {
		const char *provider, *token, *scope;
	} clouds[] = {
		{ "microsoft", "https://login.microsoftonline.com/T/oauth2/"
		    "v2.0/token", "https://outlook.office.com/SMTP.Send "
		    "offline_access" },
		{ "microsoft-personal", "https://login.microsoftonline.com/T/"
		    "oauth2/v2.0/token", "https://outlook.office.com/"
		    "SMTP.Send offline_access" },
		{ "microsoft-usgov", "https://login.microsoftonline.us/T/"
		    "oauth2/v2.0/token", "https://outlook.office365.us/"
		    "SMTP.Send offline_access" },
		{ "microsoft-china", "https://login.partner.microsoftonline."
		    "cn/T/oauth2/v2.0/token", "https://partner.outlook.cn/"
		    "SMTP.Send offline_access" },
	};
	struct oauth_target t;
	struct world w;
	char text[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(clouds) / sizeof(clouds[0]); i++) {
		snprintf(text, sizeof(text), "transport t { submission h\n"
		    "username u; oauth2 { flow device; client-id c\n"
		    "provider %s; tenant T } }\n", clouds[i].provider);
		w = begin(text);
		oauth_target_make(oauth_find(w.oauth, "t"), NULL, &t);
		assert_string_equal(t.token_url, clouds[i].token);
		assert_string_equal(t.scope, clouds[i].scope);
		assert_non_null(strstr(t.device_url, "/devicecode"));
		assert_non_null(strstr(t.authorize_url, "/authorize"));
		oauth_target_clear(&t);
		end(&w);
	}
}

static void
an_application_asks_for_all_of_its_scope(void **state)
{
	struct world w = begin("transport t { provider microsoft365\n"
	    "username u@v.test; oauth2 { flow client-credentials; tenant T\n"
	    "client-id c; client-secret \"s\" } }\n");
	struct oauth_target t;

	(void)state;
	oauth_target_make(oauth_find(w.oauth, "t"), NULL, &t);
	assert_string_equal(t.scope, "https://outlook.office365.com/.default");
	assert_string_equal(t.client_secret, "s");
	assert_string_equal(t.token_url, "https://login.microsoftonline.com/T/"
	    "oauth2/v2.0/token");
	oauth_target_clear(&t);
	end(&w);
}

static void
what_token_files_say(void **state)
{
	struct world w = begin("transport t { submission h; username u\n"
	    "oauth2 token-file /x }\n");
	struct oauth_account *a = oauth_find(w.oauth, "t");
	struct token_file f;
	struct oauth_target t;
	struct err e;

	(void)state;
	assert_int_equal(token_file_parse(SLICE_LIT("{\"refresh_token\":"
	    "\"r\",\"client_id\":\"c\"}"), &f, &e), 0);
	oauth_target_make(a, &f, &t);
	assert_string_equal(t.token_url,
	    "https://accounts.google.com/o/oauth2/token");
	assert_string_equal(t.revoke_url,
	    "https://oauth2.googleapis.com/revoke");
	assert_null(t.device_url);
	oauth_target_clear(&t);
	token_file_clear(&f);
	assert_int_equal(token_file_parse(SLICE_LIT("{\"refresh_token\":"
	    "\"r\",\"client_id\":\"c\",\"token_endpoint\":"
	    "\"https://login.microsoftonline.com/consumers/oauth2/v2.0/token\""
	    ",\"proxy\":\"socks5h://p\"}"), &f, &e), 0);
	oauth_target_make(a, &f, &t);
	assert_string_equal(t.device_url, "https://login.microsoftonline.com/"
	    "consumers/oauth2/v2.0/devicecode");
	assert_string_equal(t.proxy, "socks5h://p");
	assert_string_equal(t.scope, "https://outlook.office.com/SMTP.Send "
	    "offline_access");
	oauth_target_clear(&t);
	token_file_clear(&f);
	end(&w);
}

static void
what_people_are_told(void **state)
{
	struct world w = begin("transport t { submission h; username u\n"
	    "oauth2 token-file /x }\n");
	struct oauth_account *a = oauth_find(w.oauth, "t");
	struct strbuf b = STRBUF_INIT;
	struct oauth_answer r;
	struct http_answer h = { .result = HTTP_UNREACHABLE,
	    .text = "no way" };

	(void)state;
	oauth_answer_read(400, SLICE_LIT("{\"error\":\"invalid_grant\","
	    "\"error_description\":\"AADSTS700082: It has expired.\"}"), &r);
	oauth_answer_text(a, &r, &b);
	assert_string_equal(strbuf_cstr(&b), "invalid_grant: the login has "
	    "expired: it was not used for 90 days; log in again: relayctl "
	    "oauth login t (invalid_grant AADSTS700082: AADSTS700082: It has "
	    "expired.)");
	strbuf_clear(&b);
	oauth_answer_clear(&r);
	assert_int_equal(oauth_http_text(&h, "https://h.test/path?secret",
	    &b), OAUTH_TEMPORARY);
	assert_string_equal(strbuf_cstr(&b), "h.test: no way");
	strbuf_free(&b);
	end(&w);
}

static const char *
choice_of(const char *offered, bool microsoft, bool secure)
{
	static struct choice out;
	struct conf_list all = { NULL, 0 };
	struct choose in = { .held = HOLDS_TOKEN, .allowed = &all,
	    .offered = slice_cstr(offered), .secure = secure,
	    .prefer_xoauth2 = microsoft };

	choose_mechanism(&in, &out);
	return out.mechanism != NULL ? out.mechanism->name : "";
}

static void
tokens_and_their_mechanisms(void **state)
{
	(void)state;
	assert_string_equal(choice_of("LOGIN XOAUTH2 OAUTHBEARER PLAIN",
	    false, true), "OAUTHBEARER");
	assert_string_equal(choice_of("LOGIN XOAUTH2 OAUTHBEARER PLAIN",
	    true, true), "XOAUTH2");
	assert_string_equal(choice_of("OAUTHBEARER", true, true),
	    "OAUTHBEARER");
	assert_string_equal(choice_of("XOAUTH2", false, true), "XOAUTH2");
	assert_string_equal(choice_of("XOAUTH2 OAUTHBEARER", false, false),
	    "");
	assert_string_equal(choice_of("PLAIN LOGIN", false, true), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_account_or_transport),
		cmocka_unit_test(a_token_lives_long_enough),
		cmocka_unit_test(whose_servers_they_are),
		cmocka_unit_test(endpoints_of_every_cloud),
		cmocka_unit_test(an_application_asks_for_all_of_its_scope),
		cmocka_unit_test(what_token_files_say),
		cmocka_unit_test(what_people_are_told),
		cmocka_unit_test(tokens_and_their_mechanisms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

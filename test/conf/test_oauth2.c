/* `oauth2` and `provider`: what holds, what is a mistake. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "conf/conf.h"
#include "conf/provider.h"
#include "fixture.h"

static void
sources_are_told_apart(void **state)
{
	struct conf *c = load_good("transport t { submission h; username u\n"
	    "oauth2 cms-socket /run/cms }\n"
	    "transport c { submission h; username u\n"
	    "oauth2 command \"/bin/true x\" }\n"
	    "account a@b.test { submission h\n oauth2 { flow device\n"
	    "provider microsoft; client-id x } }\n");
	const struct conf_oauth2 *o = c->transports[0].oauth2;

	(void)state;
	assert_int_equal(o->source, OAUTH2_CMS);
	assert_string_equal(o->path, "/run/cms");
	assert_true(c->transports[0].has_credential);
	assert_int_equal(c->transports[0].tls, TLS_REQUIRED);
	o = c->transports[1].oauth2;
	assert_int_equal(o->source, OAUTH2_COMMAND);
	assert_string_equal(o->command.text, "/bin/true x");
	o = c->transports[2].oauth2;
	assert_int_equal(o->source, OAUTH2_FLOW);
	assert_int_equal(o->flow, FLOW_DEVICE);
	assert_string_equal(c->transports[2].username, "a@b.test");
	conf_free(&c);
}

static void
a_provider_brings_what_is_known_of_it(void **state)
{
	struct conf *c = load_good("account a@b.test { provider gmail\n"
	    "connections 3\noauth2 { client-id x } }\n"
	    "transport s { provider ses-eu-west-1; username u; password p }"
	    "\ntransport m { provider microsoft365; username u@v.test\n"
	    "oauth2 { flow client-credentials; tenant t; client-id x\n"
	    "client-secret y } }\n");
	const struct conf_transport *t = &c->transports[0];

	(void)state;
	assert_int_equal(t->kind, TRANSPORT_SUBMISSION);
	assert_string_equal(t->hosts[0].name, "smtp.gmail.com");
	assert_int_equal(t->hosts[0].port, 465);
	assert_int_equal(t->tls, TLS_IMPLICIT);
	assert_int_equal(t->connections, 3);
	assert_int_equal(t->recipients_per_message, 100);
	assert_int_equal(t->daily, 500);
	assert_int_equal(t->max_message_size, 25u << 20);
	assert_string_equal(t->oauth2->provider, "google");
	assert_int_equal(t->oauth2->flow, FLOW_CODE);
	t = &c->transports[1];
	assert_string_equal(t->hosts[0].name,
	    "email-smtp.eu-west-1.amazonaws.com");
	assert_int_equal(t->tls, TLS_REQUIRED);
	t = &c->transports[2];
	assert_string_equal(t->oauth2->provider, "microsoft");
	assert_int_equal(t->rate.count, 30);
	assert_int_equal(t->rate.per, 60000);
	conf_free(&c);
}

static void
mistakes_are_told(void **state)
{
	(void)state;
#define T(text) "transport t { submission h; username u; " text " }\n"
	expect_error("transport t { provider gmial }\n",
	    "did you mean `gmail`");
	expect_error("transport t { provider ses }\n", "no provider `ses`");
	expect_error(T("oauth2 token-file"), "oauth2 is written");
	expect_error(T("oauth2 nonsense x"), "oauth2 is written");
	expect_error(T("oauth2 { flow device; provider microsoft }"),
	    "needs client-id");
	expect_error(T("oauth2 { flow device; client-id x }"),
	    "provider or token-endpoint");
	expect_error(T("oauth2 { flow device; client-id x; provider google }"),
	    "google has no device flow");
	expect_error(T("oauth2 { flow client-credentials; client-id x; "
	    "provider microsoft; client-secret y }"), "needs tenant");
	expect_error(T("oauth2 { flow client-credentials; client-id x; "
	    "provider microsoft; tenant t }"), "client-secret or certificate");
	expect_error(T("oauth2 { flow service-account }"), "needs key-file");
	expect_error(T("oauth2 { flow code; client-id x; provider micrsoft }"),
	    "did you mean `microsoft`");
	expect_error(T("oauth2 { flow code; client-id x; "
	    "token-endpoint http://h/token }"), "not an https:// URL");
	expect_error(T("oauth2 { flow code; client-id x; scope s; "
	    "token-endpoint https://h/token }"), "authorization-endpoint");
	expect_error(T("oauth2 { flow never }"), "never");
	expect_error(T("password p; oauth2 cms-socket /x"), "one of them");
	expect_error("transport t { submission h; oauth2 cms-socket /x }\n",
	    "no username");
#undef T
}

static void
presets_are_whole(void **state)
{
	const struct conf_provider *p;
	const struct conf_oauth_provider *o;
	size_t i;

	(void)state;
	for (i = 0; (p = conf_provider_at(i)) != NULL; i++) {
		assert_non_null(p->host);
		assert_non_null(p->mechanisms);
		assert_true(p->port > 0);
		assert_true(strcmp(p->tls, "starttls") == 0 ||
		    strcmp(p->tls, "implicit") == 0);
		assert_true(p->oauth == NULL ||
		    conf_oauth_provider_find(p->oauth) != NULL);
		assert_true((p->rate > 0) == (p->per > 0));
	}
	assert_true(i > 30);
	for (i = 0; (o = conf_oauth_provider_at(i)) != NULL; i++) {
		assert_int_equal(strncmp(o->token, "https://", 8), 0);
		assert_int_equal(strncmp(o->authorize, "https://", 8), 0);
		assert_non_null(o->smtp);
		assert_true(strstr(o->token, "{tenant}") == NULL ||
		    o->tenant != NULL);
	}
	assert_null(conf_provider_find("ses-"));
	assert_null(conf_provider_find("ses-a/b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_are_told_apart),
		cmocka_unit_test(a_provider_brings_what_is_known_of_it),
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(presets_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

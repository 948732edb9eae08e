/*
 * Asking a provider for an access token without a human (auth): with a
 * refresh token, as an application by secret or certificate, as a service
 * account (RFC 6749 6 and 4.4, RFC 7523).  What was sent and what came is
 * wiped.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/oauth_fetch.h"
#include "auth/oauth_form.h"
#include "auth/oauth_jwt.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define JWT_BEARER "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define CLIENT_ASSERTION \
	"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static void
told(struct oauth_fetch *f, uint64_t retry_after)
{
	struct strbuf text = STRBUF_INIT;
	enum oauth_class class = f->answer.class;

	/* Of the device flow alone; here they mean what they say. */
	if (class == OAUTH_DECLINED)
		class = OAUTH_LOGIN;
	else if (class > OAUTH_CONFIGURATION)
		class = OAUTH_TEMPORARY;
	if (class == OAUTH_TEMPORARY) {
		oauth_put_host(&text, f->target.token_url);
		strbuf_puts(&text, ": ");
	}
	oauth_answer_text(f->a, &f->answer, &text);
	fetch_failed(f, class, retry_after * 1000, "%s",
	    strbuf_cstr(&text));
	strbuf_free(&text);
}

static void
on_answer(void *arg, const struct http_answer *h)
{
	struct oauth_fetch *f = arg;
	struct strbuf text = STRBUF_INIT;
	enum oauth_class class;

	f->call = NULL;
	if (h->result != HTTP_ANSWERED) {
		class = oauth_http_text(h, f->target.token_url, &text);
		fetch_failed(f, class, 0, "%s", strbuf_cstr(&text));
		strbuf_free(&text);
		return;
	}
	oauth_answer_read(h->status, h->body, &f->answer);
	oauth_answer_hide(&f->answer, f->target.client_secret);
	oauth_answer_hide(&f->answer, f->file.refresh_token);
	if (f->answer.class != OAUTH_GOT)
		told(f, h->retry_after);
	else if (f->file.refresh_token != NULL)
		fetch_save_answer(f);
	else
		fetch_hand_on(f);
}

static void
send_form(struct oauth_fetch *f, struct strbuf *form)
{
	struct http_request r = {
		.url = f->target.token_url,
		.post = true,
		.body = strbuf_slice(form),
		.ca = f->ca.n > 0 ? strbuf_slice(&f->ca) :
		    slice_cstr(f->target.ca),
		.proxy = f->target.proxy
	};

	if (strncmp(r.url, "https://", 8) != 0)
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "the token endpoint "
		    "is not an https:// URL");
	else
		f->call = http_start(f->a->o->env.http, &r, on_answer, f);
	strbuf_wipe(form);
}

/* The certificate's assertion, or the secret where there is one.  A public
 * client sends neither. */
static int
put_client(struct oauth_fetch *f, struct strbuf *form, struct err *e)
{
	const struct conf_oauth2 *c = f->a->c;
	struct strbuf jwt = STRBUF_INIT;
	int rc = 0;

	oauth_form_add(form, "client_id", f->target.client_id);
	if (c->certificate == NULL) {
		oauth_form_add(form, "client_secret",
		    f->target.client_secret);
		return 0;
	}
	rc = oauth_jwt_client(c->certificate, c->key, f->target.client_id,
	    f->target.token_url, clock_real_ms() / 1000, &jwt, e);
	oauth_form_add(form, "client_assertion_type", CLIENT_ASSERTION);
	oauth_form_add(form, "client_assertion", strbuf_cstr(&jwt));
	strbuf_wipe(&jwt);
	return rc;
}

static void
ask_with_client(struct oauth_fetch *f)
{
	bool app = f->file.refresh_token == NULL;
	struct strbuf form = STRBUF_INIT;
	struct err e = { 0, "" };

	oauth_form_add(&form, "grant_type", app ? "client_credentials" :
	    "refresh_token");
	if (put_client(f, &form, &e) < 0) {
		strbuf_wipe(&form);
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "%s", e.text);
		return;
	}
	oauth_form_add(&form, "refresh_token", f->file.refresh_token);
	/* A token file's scope is what its login asked for. */
	if (f->a->c->source == OAUTH2_FLOW)
		oauth_form_add(&form, "scope", f->target.scope);
	send_form(f, &form);
}

static void
on_secret(void *arg, const char *value, const char *why)
{
	struct oauth_fetch *f = arg;

	if (value == NULL) {
		fetch_failed(f, OAUTH_TEMPORARY, 0, "%s", why);
		return;
	}
	mem_wipe_text(&f->target.client_secret);
	f->target.client_secret = mem_strdup(value);
	ask_with_client(f);
}

static void
ask_as_service(struct oauth_fetch *f)
{
	const struct conf_oauth2 *c = f->a->c;
	const char *subject = c->subject != NULL ? c->subject :
	    oauth_user(f->a), *scope = f->target.scope;
	struct strbuf form = STRBUF_INIT, jwt = STRBUF_INIT;
	struct err e = { 0, "" };
	char *endpoint = NULL;

	if (scope[0] == '\0')
		scope = conf_oauth_provider_find("google")->smtp;
	if (oauth_jwt_service(slice_cstr(c->key_file), scope, subject,
	    clock_real_ms() / 1000, &jwt, &endpoint, &e) < 0) {
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "%s", e.text);
	} else {
		free(f->target.token_url);
		f->target.token_url = endpoint;
		oauth_form_add(&form, "grant_type", JWT_BEARER);
		oauth_form_add(&form, "assertion", strbuf_cstr(&jwt));
		send_form(f, &form);
	}
	strbuf_wipe(&jwt);
	strbuf_wipe(&form);
}

static void
on_discovered(void *arg, const char *why)
{
	struct oauth_fetch *f = arg;

	f->discover = NULL;
	if (why == NULL)
		fetch_refresh(f);
	else
		fetch_failed(f, OAUTH_TEMPORARY, 0, "%s", why);
}

void
fetch_refresh(struct oauth_fetch *f)
{
	struct oauth_account *a = f->a;

	if (!oauth_discover_known(a, &f->target)) {
		f->discover = oauth_discover_start(a, &f->target,
		    on_discovered, f);
		return;
	}
	if (a->c->source == OAUTH2_FLOW && a->c->flow == FLOW_SERVICE) {
		ask_as_service(f);
	} else if (f->target.client_id == NULL) {
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "%s has no client_id",
		    a->c->path != NULL ? a->c->path : a->t->name);
	} else if (f->target.token_url == NULL) {
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "there is no token "
		    "endpoint");
	} else if (a->c->source == OAUTH2_FLOW &&
	    a->c->client_secret.kind == SECRET_COMMAND) {
		secret_get(a->o->env.secrets, a->o->env.base->monitor,
		    SECRET_OF_CLIENT, a->t->name, 3600000, &f->secret,
		    on_secret, f);
	} else {
		ask_with_client(f);
	}
}

/*
 * `provider https://ISSUER` (auth; OpenID Connect Discovery 4, RFC 8414): its
 * endpoints stand in a document of its own, which is read once for each
 * account and process.  What it names must be https, and it must speak of
 * itself.
 */
#include "auth/oauth_discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_reader.h"
#include "base/mem.h"

struct oauth_discover {
	struct oauth_account *a;
	struct oauth_target *t;
	oauth_discover_cb *cb;
	void *arg;
	struct http_call *call;
};

void
oauth_discover_stop(struct oauth_discover **dp)
{
	struct oauth_discover *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	http_cancel(&d->call);
	free(d);
}

static void
finish(struct oauth_discover *d, const char *why)
{
	oauth_discover_cb *cb = d->cb;
	void *arg = d->arg;

	oauth_discover_stop(&d);
	cb(arg, why);
}

static void
take(struct slice doc, const char *name, char **to)
{
	char *url = json_text_of(doc, name);

	if (url != NULL && strncmp(url, "https://", 8) == 0 &&
	    url[strcspn(url, " \t\r\n\"<>\\@")] == '\0')
		oauth_set_text(to, url);
	free(url);
}

static void
fill(char **to, const char *known)
{
	if (*to == NULL && known != NULL)
		*to = mem_strdup(known);
}

bool
oauth_discover_known(const struct oauth_account *a, struct oauth_target *t)
{
	fill(&t->token_url, a->found.token);
	fill(&t->authorize_url, a->found.authorize);
	fill(&t->device_url, a->found.device);
	fill(&t->revoke_url, a->found.revoke);
	return t->issuer == NULL || t->token_url != NULL;
}

static size_t
length_without_slash(const char *url)
{
	size_t n = strlen(url);

	return n > 0 && url[n - 1] == '/' ? n - 1 : n;
}

static bool
is_of(struct slice doc, const char *issuer)
{
	char *said = json_text_of(doc, "issuer");
	size_t n = length_without_slash(issuer);
	bool is = said != NULL && length_without_slash(said) == n &&
	    strncmp(said, issuer, n) == 0;

	free(said);
	return is;
}

static void
on_answer(void *arg, const struct http_answer *h)
{
	struct oauth_discover *d = arg;
	struct strbuf text = STRBUF_INIT;
	struct oauth_account *a = d->a;
	struct err e;

	d->call = NULL;
	if (h->result != HTTP_ANSWERED) {
		(void)oauth_http_text(h, d->t->issuer, &text);
	} else if (h->status != 200 || json_object_check(h->body, &e) < 0) {
		strbuf_printf(&text, "%s: no openid-configuration (HTTP "
		    "status %u)", d->t->issuer, h->status);
	} else if (!is_of(h->body, d->t->issuer)) {
		strbuf_printf(&text, "%s: its openid-configuration names "
		    "another issuer", d->t->issuer);
	} else {
		take(h->body, "token_endpoint", &a->found.token);
		take(h->body, "authorization_endpoint",
		    &a->found.authorize);
		take(h->body, "device_authorization_endpoint",
		    &a->found.device);
		take(h->body, "revocation_endpoint", &a->found.revoke);
		if (!oauth_discover_known(a, d->t))
			strbuf_printf(&text, "%s: its openid-configuration "
			    "names no token_endpoint", d->t->issuer);
	}
	finish(d, text.n > 0 ? strbuf_cstr(&text) : NULL);
	strbuf_free(&text);
}

struct oauth_discover *
oauth_discover_start(struct oauth_account *a, struct oauth_target *t,
    oauth_discover_cb *cb, void *arg)
{
	struct oauth_discover *d = mem_zalloc(sizeof(*d));
	char *url = mem_printf("%.*s/.well-known/openid-configuration",
	    (int)length_without_slash(t->issuer), t->issuer);
	struct http_request r = { .url = url, .ca = slice_cstr(t->ca),
	    .proxy = t->proxy };

	d->a = a;
	d->t = t;
	d->cb = cb;
	d->arg = arg;
	d->call = http_start(a->o->env.http, &r, on_answer, d);
	free(url);
	return d;
}

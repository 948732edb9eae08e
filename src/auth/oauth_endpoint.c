/*
 * Where a transport's tokens come from, and what its answers mean (auth): the
 * configuration, then the token file's own members, then what is known of the
 * provider.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/oauth_form.h"
#include "auth/oauth_private.h"
#include "base/mem.h"

/* sasl-xoauth2's, where its file names none. */
#define DEFAULT_ENDPOINT "https://accounts.google.com/o/oauth2/token"

static char *
fill_tenant(const char *url, const char *tenant)
{
	const char *at = url != NULL ? strstr(url, "{tenant}") : NULL;

	if (url == NULL)
		return NULL;
	if (at == NULL)
		return mem_strdup(url);
	return mem_printf("%.*s%s%s", (int)(at - url), url, tenant, at + 8);
}

static char *
copy(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

/* The endpoint beside one that ends in "/token". */
static char *
beside(const char *url, const char *name)
{
	size_t n = strlen(url);

	if (n < 6 || strcmp(url + n - 6, "/token") != 0)
		return NULL;
	return mem_printf("%.*s/%s", (int)(n - 6), url, name);
}

/* Whose endpoint a token file names. */
static const struct conf_oauth_provider *
provider_of(const char *url)
{
	if (strstr(url, "://login.microsoftonline.com/consumers/") != NULL)
		return conf_oauth_provider_find("microsoft-personal");
	if (strstr(url, "://login.microsoftonline.com/") != NULL)
		return conf_oauth_provider_find("microsoft");
	if (strstr(url, "://login.microsoftonline.us/") != NULL)
		return conf_oauth_provider_find("microsoft-usgov");
	if (strstr(url, "://login.partner.microsoftonline.cn/") != NULL)
		return conf_oauth_provider_find("microsoft-china");
	if (strstr(url, "://accounts.google.com/") != NULL ||
	    strstr(url, ".googleapis.com/") != NULL)
		return conf_oauth_provider_find("google");
	return NULL;
}

static char *
scope_of(const struct conf_oauth2 *c, const struct conf_oauth_provider *p)
{
	struct strbuf b = STRBUF_INIT;
	size_t i;

	for (i = 0; i < c->scope.n; i++)
		strbuf_printf(&b, "%s%s", i > 0 ? " " : "", c->scope.v[i]);
	if (c->scope.n == 0 && p != NULL) {
		if (c->flow == FLOW_CLIENT && c->source == OAUTH2_FLOW)
			strbuf_puts(&b, p->app != NULL ? p->app : "");
		else
			strbuf_puts(&b, p->smtp != NULL ? p->smtp : "");
	}
	return strbuf_take(&b);
}

static void
from_file(const struct token_file *f, struct oauth_target *t)
{
	const char *url = f->token_endpoint != NULL ? f->token_endpoint :
	    DEFAULT_ENDPOINT;

	t->provider = provider_of(url);
	t->token_url = mem_strdup(url);
	t->client_id = copy(f->client_id);
	t->client_secret = copy(f->client_secret);
	t->proxy = copy(f->proxy);
	if (strstr(url, "/oauth2/v2.0/") != NULL) {	/* Microsoft's form */
		t->authorize_url = beside(url, "authorize");
		t->device_url = beside(url, "devicecode");
	} else if (t->provider != NULL) {
		t->authorize_url = copy(t->provider->authorize);
		t->revoke_url = copy(t->provider->revoke);
	}
}

static void
from_conf(const struct conf_oauth2 *c, struct oauth_target *t)
{
	const struct conf_oauth_provider *p =
	    conf_oauth_provider_find(c->provider);
	const char *tenant = c->tenant;

	t->provider = p;
	if (tenant == NULL)
		tenant = p != NULL && p->tenant != NULL ? p->tenant :
		    "common";
	if (p != NULL) {
		t->token_url = fill_tenant(p->token, tenant);
		t->authorize_url = fill_tenant(p->authorize, tenant);
		t->device_url = fill_tenant(p->device, tenant);
		t->revoke_url = copy(p->revoke);
	}
	else if (c->provider != NULL)
		t->issuer = mem_strdup(c->provider);
	if (c->token_endpoint != NULL)
		oauth_set_text(&t->token_url, c->token_endpoint);
	if (c->authorization_endpoint != NULL)
		oauth_set_text(&t->authorize_url, c->authorization_endpoint);
	if (c->device_endpoint != NULL)
		oauth_set_text(&t->device_url, c->device_endpoint);
	t->client_id = copy(c->client_id);
	if (c->client_secret.kind != SECRET_COMMAND)
		t->client_secret = copy(c->client_secret.text);
	t->proxy = copy(c->proxy);
}

void
oauth_target_make(const struct oauth_account *a, const struct token_file *f,
    struct oauth_target *t)
{
	memset(t, 0, sizeof(*t));
	if (a->c->source == OAUTH2_TOKEN_FILE && f != NULL)
		from_file(f, t);
	else
		from_conf(a->c, t);
	t->scope = scope_of(a->c, t->provider);
	if (t->scope[0] == '\0' && f != NULL && f->scope != NULL)
		oauth_set_text(&t->scope, f->scope);
	t->ca = a->c->ca_file != NULL ? a->c->ca_file :
	    a->o->env.conf->tls_ca;
}

void
oauth_target_clear(struct oauth_target *t)
{
	free(t->issuer);
	free(t->token_url);
	free(t->authorize_url);
	free(t->device_url);
	free(t->revoke_url);
	free(t->client_id);
	mem_wipe_text(&t->client_secret);
	free(t->proxy);
	free(t->scope);
	memset(t, 0, sizeof(*t));
}

/* ---- texts ---- */

void
oauth_answer_text(const struct oauth_account *a, const struct oauth_answer *r,
    struct strbuf *out)
{
	bool login = r->class == OAUTH_LOGIN || r->class == OAUTH_DECLINED;
	size_t before = out->n;
	bool words;

	if (login)
		strbuf_puts(out, "invalid_grant: ");
	if (r->hint != NULL)
		strbuf_printf(out, "%s", r->hint);
	if (login)
		strbuf_printf(out, "%slog in again: relayctl oauth login %s",
		    r->hint != NULL ? "; " : "", a->t->name);
	words = out->n > before;
	if (r->code[0] != '\0' || r->detail[0] != '\0')
		strbuf_printf(out, "%s%s%s%s%s", words ? " (" : "", r->code,
		    r->code[0] != '\0' && r->detail[0] != '\0' ? ": " : "",
		    r->detail, words ? ")" : "");
}

/* The host alone: what stands around it, a password perhaps, is nobody's
 * business. */
void
oauth_put_host(struct strbuf *out, const char *url)
{
	const char *host = strstr(url, "://"), *at;
	size_t i, n;

	host = host != NULL ? host + 3 : url;
	n = strcspn(host, "/?#");
	at = memrchr(host, '@', n);
	if (at != NULL) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	for (i = 0; i < n; i++)
		strbuf_putc(out, host[i] > ' ' && host[i] < 0x7f ? host[i] :
		    '?');
}

enum oauth_class
oauth_http_text(const struct http_answer *h, const char *url,
    struct strbuf *out)
{
	oauth_put_host(out, url);
	strbuf_printf(out, ": %s%s", h->result == HTTP_UNTRUSTED ?
	    "its certificate is not trusted, or TLS failed: " : "",
	    h->text != NULL ? h->text : "failed");
	return OAUTH_TEMPORARY;
}

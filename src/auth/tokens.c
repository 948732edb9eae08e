/* What the auth role needs for OAuth2, where a transport has it: HTTPS, a
 * resolver of its own, the credentials; and queue, which is told when one of
 * them is good again. */
#include "auth/auth.h"
#include "auth/oauth.h"
#include "auth/oauth_call.h"
#include "base/log.h"
#include "io/http_client.h"
#include "io/resolve.h"
#include "ipc/msg.h"

static bool
has_oauth2(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->n_transports; i++)
		if (conf->transports[i].oauth2 != NULL)
			return true;
	return false;
}

static void
on_renewed(void *arg, const char *transport)
{
	struct msg_credential_new m = {
		.transport = (char *)(uintptr_t)transport	/* is read */
	};
	struct strbuf b = STRBUF_INIT;
	struct auth *a = arg;
	struct auth_peer *p;

	msg_credential_new_encode(&b, &m);
	TAILQ_FOREACH(p, &a->peers, link)
		if (p->role == ROLE_QUEUE)
			port_send(p->port, MSG_CREDENTIAL_NEW, 0,
			    strbuf_slice(&b));
	strbuf_free(&b);
}

int
auth_tokens_prepare(struct auth *a, struct err *e)
{
	struct oauth_env env = {
		.loop = a->loop,
		.conf = a->conf,
		.base = &a->base,
		.secrets = a->secrets,
		.renewed = on_renewed,
		.arg = a
	};

	if (!has_oauth2(a->conf))
		return 0;
	a->http = http_client_new(a->loop, e);
	if (a->http == NULL)
		return -1;
	env.http = a->http;
	a->oauth = oauth_new(&env);
	return 0;
}

int
auth_tokens_start(struct auth *a, struct err *e)
{
	struct resolver_options o = {
		.hosts = slice_cstr(a->conf->etc_hosts),
		.servers = (const char *const *)a->conf->resolver.v,
		.server_count = a->conf->resolver.n,
		.dnssec = a->conf->dnssec,
		.anchors = slice_cstr(a->conf->trust_anchor)
	};

	if (a->oauth == NULL)
		return 0;
	a->resolver = resolver_new(a->loop, &o, e);
	if (a->resolver == NULL)
		return -1;
	http_client_resolver(a->http, a->resolver);
	oauth_start(a->oauth);
	return 0;
}

void
auth_tokens_free(struct auth *a)
{
	oauth_calls_free(a);
	oauth_free(&a->oauth);
	http_client_free(&a->http);
	resolver_free(&a->resolver);
}

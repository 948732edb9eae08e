/* The auth role: what monitor hands it, and its channels.  A peer that sends
 * what makes no sense loses its channel; a mechanism whose plug-in of libsasl2
 * is missing is not chosen, and the log says what to install. */
#include "auth/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/kerberos.h"
#include "auth/logins.h"
#include "auth/oauth.h"
#include "auth/oauth_call.h"
#include "auth/sasl_library.h"
#include "auth/secret_source.h"
#include "auth/throttle.h"
#include "auth/unbound.h"
#include "auth/token_server.h"
#include "auth/work.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "ipc/msg.h"

#define SWEEP_MS 60000
#define DRAIN_MS 8000
#define DRAIN_LOOK_MS 50

static bool has_clients(const struct auth *a);
static void on_drain_look(void *arg);

static void
on_sweep(void *arg)
{
	struct auth *a = arg;

	auth_throttle_sweep(a->throttle, clock_mono_ms());
	loop_timer_set(a->loop, &a->sweep_timer, SWEEP_MS);
}

struct auth *
auth_new(struct loop *loop, int fd)
{
	struct auth *a = mem_zalloc(sizeof *a);
	struct err e = { 0 };

	a->loop = loop;
	a->base.loop = loop;
	a->throttle = auth_throttle_new();
	a->secrets = secret_source_new();
	a->work = work_pool_new(loop);
	a->unbound = unbound_new();
	a->servers = token_servers_new(a);
	TAILQ_INIT(&a->peers);
	TAILQ_INIT(&a->oauth_calls);
	LIST_INIT(&a->kerberos);
	loop_timer_init(&a->sweep_timer, on_sweep, a);
	loop_timer_init(&a->drain_timer, on_drain_look, a);
	a->sasl = sasl_library_start(&e) == 0;
	if (!a->sasl)
		log_msg(LL_ERROR, "sasl", "%s", e.text);
	if (fd != -1)
		role_init(&a->base, ROLE_AUTH, loop, fd, &auth_ops, a);
	return a;
}

static void
peer_free(struct auth_peer *p)
{
	TAILQ_REMOVE(&p->owner->peers, p, link);
	auth_exchange_free_all(p);
	htab_free(&p->exchanges);
	port_free(&p->port);
	free(p);
}

void
auth_free(struct auth **ap)
{
	struct auth *a = *ap;

	if (a == NULL)
		return;
	while (!TAILQ_EMPTY(&a->peers))
		peer_free(TAILQ_FIRST(&a->peers));
	kerberos_free_all(a);
	work_pool_free(&a->work);
	unbound_free(&a->unbound);
	token_servers_free(&a->servers);
	auth_tokens_free(a);
	secret_source_free(&a->secrets);
	logins_free(&a->logins);
	loop_timer_cancel(a->loop, &a->sweep_timer);
	loop_timer_cancel(a->loop, &a->drain_timer);
	port_free(&a->base.monitor);
	auth_throttle_free(&a->throttle);
	conf_free(&a->conf);
	sasl_library_stop();
	free(a);
	*ap = NULL;
}

static int
on_view(void *arg, struct slice view, struct err *e)
{
	struct auth *a = arg;

	if (a->conf != NULL)
		return err_set(e, -1, "a second view");
	a->conf = conf_view_decode(view, CONF_AUTH, e);
	if (a->conf == NULL)
		return -1;
	a->logins = logins_new(a->conf, a->secrets);
	return auth_tokens_prepare(a, e);
}

/* ---- peers ---- */

static int
on_message(void *arg, struct port_message *m, struct err *e)
{
	struct auth_peer *p = arg;

	if (m->type == MSG_OAUTH_CALL && p->role == ROLE_QUEUE)
		return oauth_call_take(p->owner, m, e);
	if (m->fd != -1) {
		close(m->fd);
		return err_set(e, EPROTO, "a descriptor nobody asked for");
	}
	switch (m->type) {
	case MSG_AUTH_START:
	case MSG_AUTH_NEXT:
	case MSG_AUTH_DROP:
		if (p->role == ROLE_LISTENER)
			return auth_login_message(p, m, e);
		break;
	case MSG_CRED_START:
	case MSG_CRED_NEXT:
	case MSG_CRED_DROP:
	case MSG_CRED_REFUSED:
	case MSG_CRED_ACCEPTED:
		if (p->role == ROLE_DELIVERY)
			return auth_credential_message(p, m, e);
		break;
	case MSG_PROXY_LOGIN:
		if (p->role == ROLE_DELIVERY)
			return auth_proxy_message(p, m, e);
		break;
	}
	return err_set(e, EPROTO, "message type %u from %s",
	    (unsigned)m->type, role_name((enum role)p->role));
}

static void
on_closed(void *arg, const struct err *why)
{
	struct auth_peer *p = arg;
	struct auth *a = p->owner;

	log_msg(port_peer_ended(why) ? LL_DEBUG : LL_WARN, "peer", "%s: %s",
	    port_name(p->port), why->text);
	/* It lives, and would go on without us. */
	if (!port_peer_ended(why) && p->role != ROLE_QUEUE)
		role_accuse(&a->base, p->role, p->slot);
	peer_free(p);
}

static const struct port_handler handler = {
	.message = on_message,
	.closed = on_closed,
};

static int
on_peer(void *arg, const struct msg_peer *m, int fd, struct err *e)
{
	struct auth *a = arg;
	struct auth_peer *p;
	char name[32];

	if (m->role >= ROLE_COUNT || m->role == ROLE_MONITOR ||
	    a->conf == NULL) {
		close(fd);
		return err_set(e, -1, "a peer that auth cannot have");
	}
	TAILQ_FOREACH(p, &a->peers, link)
		if (p->role == m->role && p->slot == m->slot)
			break;
	if (p != NULL)
		peer_free(p);
	p = mem_zalloc(sizeof *p);
	p->owner = a;
	p->role = m->role;
	p->slot = m->slot;
	p->exchanges = htab_new();
	TAILQ_INSERT_TAIL(&a->peers, p, link);
	snprintf(name, sizeof name, "%s %u", role_name((enum role)m->role),
	    (unsigned)m->slot);
	p->port = port_new(a->loop, fd, name, &handler, p);
	return 0;
}

static int
on_listen(void *arg, const struct msg_listen *m, int fd, struct err *e)
{
	struct auth *a = arg;

	return token_servers_listen(a->servers, m, fd, e);
}

static int
on_start(void *arg, struct err *e)
{
	struct auth *a = arg;

	if (a->conf == NULL)
		return err_set(e, -1, "no view");
	if (auth_tokens_start(a, e) < 0)
		return -1;
	loop_timer_set(a->loop, &a->sweep_timer, SWEEP_MS);
	return 0;
}

/* ---- the end ---- */

/* Listeners and deliveries finish first: they may be in an exchange. */
static bool
has_clients(const struct auth *a)
{
	const struct auth_peer *p;

	TAILQ_FOREACH(p, &a->peers, link)
		if (p->role == ROLE_LISTENER || p->role == ROLE_DELIVERY)
			return true;
	return false;
}

/* What a provider has given is saved first, too. */
static bool
is_busy(const struct auth *a)
{
	return has_clients(a) || (a->oauth != NULL &&
	    oauth_is_saving(a->oauth));
}

static void
on_drain_look(void *arg)
{
	struct auth *a = arg;

	if (!is_busy(a) || clock_mono_ms() >= a->drain_until)
		role_exit(&a->base);
	else
		loop_timer_set(a->loop, &a->drain_timer, DRAIN_LOOK_MS);
}

static void
on_drain(void *arg)
{
	struct auth *a = arg;

	a->drain_until = clock_mono_ms() + DRAIN_MS;
	token_servers_drain(a->servers);
	on_drain_look(a);
}

/* For the endpoints of OAuth2; else the wall stays closed. */
static bool
on_network(void *arg)
{
	const struct auth *a = arg;

	return a->oauth != NULL;
}

const struct role_ops auth_ops = {
	.network = on_network,
	.view = on_view,
	.listen = on_listen,
	.peer = on_peer,
	.start = on_start,
	.drain = on_drain,
};

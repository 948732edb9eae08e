/* The listener role: what monitor hands it, its channels to queue and auth,
 * and its end.  When the queue is gone, sessions stay and answer 451 until
 * the new one is there; without the auth role AUTH is not offered. */
#include "listener/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "ipc/msg.h"
#include "listener/session.h"
#include "mail/domain.h"

#define STATS_MS 200
#define SWEEP_MS 60000
#define DRAIN_POLL_MS 100
#define DRAIN_BEGUN_MS 5000	/* for a message between two commands */
#define DRAIN_QUIET_MS 500	/* so long nothing was said: it is idle */
#define SUBMIT_TIMEOUT_MS (5 * 60 * 1000)
#define SUBMIT_CONNECTIONS 1000

static void on_stats(void *arg);
static void on_sweep(void *arg);
static void on_drain_poll(void *arg);

struct listener *
listener_new(struct loop *loop, int fd)
{
	struct listener *l = mem_zalloc(sizeof *l);

	l->loop = loop;
	l->base.loop = loop;
	TAILQ_INIT(&l->sessions);
	TAILQ_INIT(&l->blocked);
	l->clients = client_table_new();
	l->local_domains = htab_new();
	l->submit_conf = (struct conf_listen){
		.name = mem_strdup("submit.sock"),
		.is_unix = true,
		.tls = TLS_OFF,
		.auth = AUTH_OFF,
		.timeout = SUBMIT_TIMEOUT_MS,
		.max_connections = SUBMIT_CONNECTIONS,
		.bare_lf = BARE_LF_REJECT,
		.add_headers = true,
	};
	loop_timer_init(&l->stats_timer, on_stats, l);
	loop_timer_init(&l->sweep_timer, on_sweep, l);
	loop_timer_init(&l->drain_timer, on_drain_poll, l);
	if (fd != -1)
		role_init(&l->base, ROLE_LISTENER, loop, fd, &listener_ops, l);
	return l;
}

void
listener_free(struct listener **lp)
{
	struct listener *l = *lp;
	size_t i;

	if (l == NULL)
		return;
	while (!TAILQ_EMPTY(&l->sessions))
		session_abort(TAILQ_FIRST(&l->sessions), "the end");
	/* Sessions are freed at the end of a turn. */
	loop_turn(l->loop, false);
	for (i = 0; i < l->endpoint_count; i++)
		endpoint_free(&l->endpoints[i]);
	free(l->endpoints);
	while (l->spare_count > 0)
		smtpd_transaction_free(&l->spare[--l->spare_count]);
	loop_timer_cancel(l->loop, &l->stats_timer);
	loop_timer_cancel(l->loop, &l->sweep_timer);
	loop_timer_cancel(l->loop, &l->drain_timer);
	port_free(&l->queue);
	port_free(&l->auth);
	port_free(&l->base.monitor);
	client_table_free(&l->clients);
	htab_free(&l->local_domains);
	strbuf_free(&l->scratch);
	free(l->submit_conf.name);
	conf_free(&l->conf);
	free(l);
	*lp = NULL;
}

/* ---- what monitor hands over ---- */

static void
add_local_domain(struct listener *l, const char *name)
{
	char domain[MAIL_DOMAIN_MAX + 1];

	if (mail_domain_normal(slice_cstr(name), domain) == 0)
		htab_put(l->local_domains, slice_cstr(domain), l);
}

/* A configuration that changed comes with a new process. */
static int
on_view(void *arg, struct slice view, struct err *e)
{
	struct listener *l = arg;
	size_t i;

	if (l->conf != NULL)
		return err_set(e, -1, "a second view");
	l->conf = conf_view_decode(view, CONF_LISTENER, e);
	if (l->conf == NULL)
		return -1;
	l->number.instance = (uint8_t)l->base.me.instance;
	for (i = 0; i < l->conf->local_domains.n; i++)
		add_local_domain(l, l->conf->local_domains.v[i]);
	for (i = 0; i < l->conf->n_logins; i++)
		l->login_uses |= l->conf->logins[i].uses;
	return 0;
}

static int
on_listen(void *arg, const struct msg_listen *m, int fd, struct err *e)
{
	struct listener *l = arg;
	const struct conf_listen *conf;
	bool submit = m->kind == LISTEN_SUBMIT;

	if (l->conf == NULL || (!submit && (m->kind != LISTEN_SMTP ||
	    m->index >= l->conf->n_listens))) {
		close(fd);
		return err_set(e, -1, "a socket that is not in the view");
	}
	conf = submit ? &l->submit_conf : &l->conf->listens[m->index];
	l->endpoints = mem_resize(l->endpoints,
	    (l->endpoint_count + 1) * sizeof *l->endpoints);
	l->endpoints[l->endpoint_count] = endpoint_new(l, conf, m->index,
	    submit, fd);
	l->endpoint_count++;
	return 0;
}

static int
on_start(void *arg, struct err *e)
{
	struct listener *l = arg;
	size_t i;

	if (l->conf == NULL)
		return err_set(e, -1, "no view");
	for (i = 0; i < l->endpoint_count; i++)
		endpoint_start(l->endpoints[i]);
	loop_timer_set(l->loop, &l->sweep_timer, SWEEP_MS);
	return 0;
}

/* ---- peers ---- */

/* Nothing is asked of a listener but answers. */
static int
on_peer_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	if (m->fd != -1)
		close(m->fd);
	return err_set(e, -1, "message type %u is not for a listener",
	    (unsigned)m->type);
}

static void
requests_lost(struct listener *l, struct port *port)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&l->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		session_lost(s, port);
	}
}

/* A reload gives us another one: nothing to worry about. */
#define REPLACED (-2)

static bool
is_replaced(const struct err *why)
{
	return why->code == REPLACED;
}

static void
on_queue_closed(void *arg, const struct err *why)
{
	struct listener *l = arg;
	struct port *queue = l->queue;

	log_msg(is_replaced(why) ? LL_DEBUG : LL_WARN, "queue", "gone: %s",
	    why->text);
	/* It lives: only a process that is started anew gets a channel. */
	if (!is_replaced(why) && !port_peer_ended(why))
		role_exit(&l->base);
	l->queue = NULL;		/* nothing more is asked of it */
	requests_lost(l, queue);
	port_free(&queue);
	smtpd_commit_queue_gone(l);
}

static void
on_queue_ready(void *arg)
{
	smtpd_commit_unblock(arg);
}

static void
on_auth_closed(void *arg, const struct err *why)
{
	struct listener *l = arg;
	struct port *auth = l->auth;
	struct session *s;

	log_msg(is_replaced(why) ? LL_DEBUG : LL_WARN, "auth", "gone: %s",
	    why->text);
	if (!is_replaced(why) && !port_peer_ended(why))
		role_exit(&l->base);
	l->auth = NULL;
	requests_lost(l, auth);
	port_free(&auth);
	/* Exchanges died with it; their sessions hear of it with their next
	 * line. */
	TAILQ_FOREACH(s, &l->sessions, link)
		s->exchange = 0;
}

static const struct port_handler queue_handler = {
	.message = on_peer_message,
	.closed = on_queue_closed,
	.ready = on_queue_ready,
};

static const struct port_handler auth_handler = {
	.message = on_peer_message,
	.closed = on_auth_closed,
};

static int
on_peer(void *arg, const struct msg_peer *m, int fd, struct err *e)
{
	struct listener *l = arg;
	struct err gone = { 0 };

	/* The end of the old one may not have been noticed yet. */
	err_set(&gone, REPLACED, "replaced");
	switch (m->role) {
	case ROLE_QUEUE:
		if (l->queue != NULL)
			on_queue_closed(l, &gone);
		l->queue = port_new(l->loop, fd, "queue", &queue_handler, l);
		return 0;
	case ROLE_AUTH:
		if (l->auth != NULL)
			on_auth_closed(l, &gone);
		l->auth = port_new(l->loop, fd, "auth", &auth_handler, l);
		return 0;
	default:
		close(fd);
		return err_set(e, -1, "a listener has no business with %s",
		    m->role < ROLE_COUNT ? role_name(m->role) : "that");
	}
}

/* ---- counters ---- */

static void
on_stats(void *arg)
{
	struct listener *l = arg;
	struct msg_stats stats = { 0 };
	struct strbuf *b = &l->scratch;
	size_t i, at, max = sizeof stats.open / sizeof stats.open[0];

	if (l->queue == NULL)
		return;
	stats.n = (uint32_t)(l->conf->n_listens + 1 < max ?
	    l->conf->n_listens + 1 : max);
	for (i = 0; i < l->endpoint_count; i++) {
		at = l->endpoints[i]->submit ? stats.n - 1 :
		    l->endpoints[i]->index;
		if (at < stats.n)
			stats.open[at] += l->endpoints[i]->open;
	}
	strbuf_clear(b);
	msg_stats_encode(b, &stats);
	port_send(l->queue, MSG_LISTENER_STATS, 0, strbuf_slice(b));
	if (l->counts.n == 0)
		return;
	strbuf_clear(b);
	msg_counts_encode(b, &l->counts);
	port_send(l->queue, MSG_LISTENER_COUNTS, 0, strbuf_slice(b));
	l->counts.n = 0;
}

void
listener_tell(struct listener *l, const char *group, const char *name)
{
	struct msg_counts *c = &l->counts;
	size_t max = sizeof(c->v) / sizeof(c->v[0]), n;
	uint32_t i;
	char text[sizeof(c->v[0].name)];

	n = (size_t)snprintf(text, sizeof(text), "%s%s", group, name);
	if (n >= sizeof(text))
		return;
	for (i = 0; i < c->n && strcmp(c->v[i].name, text) != 0; i++)
		;
	if (i == max)
		return;			/* more than there are names */
	if (i == c->n) {
		memcpy(c->v[i].name, text, n + 1);
		c->v[c->n++].count = 0;
	}
	c->v[i].count++;
	if (!loop_timer_running(&l->stats_timer))
		loop_timer_set(l->loop, &l->stats_timer, STATS_MS);
}

void
listener_count(struct listener *l, struct endpoint *ep, int by)
{
	ep->open += (unsigned)by;
	if (!loop_timer_running(&l->stats_timer))
		loop_timer_set(l->loop, &l->stats_timer, STATS_MS);
}

static void
on_sweep(void *arg)
{
	struct listener *l = arg;

	client_table_sweep(l->clients, clock_mono_ms());
	loop_timer_set(l->loop, &l->sweep_timer, SWEEP_MS);
}

/* ---- the end ---- */

/* Sessions end between two messages, when nothing more seems to come.  One
 * that is in its beginning, or in a message, has some seconds to get to its
 * end: after a reload it is not to notice that there was one. */
static void
drain_sessions(struct listener *l)
{
	uint64_t now = clock_mono_ms();
	bool late = now >= l->drain_until;
	struct session *s, *next;

	for (s = TAILQ_FIRST(&l->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!late && (s->state == ST_TLS || s->tx != NULL ||
		    s->ref != 0 || now - s->heard < DRAIN_QUIET_MS))
			continue;
		if (s->state == ST_TLS)
			session_abort(s, "shutdown");
		else if (session_idle(s))
			session_refuse(s, REFUSE_DRAIN);
	}
}

/* Replies may still be on their way after the last session. */
static void
on_drain_poll(void *arg)
{
	struct listener *l = arg;

	drain_sessions(l);
	if (l->session_count == 0 && loop_lingering(l->loop) == 0)
		role_exit(&l->base);
	else
		loop_timer_set(l->loop, &l->drain_timer, DRAIN_POLL_MS);
}

void
listener_session_gone(struct listener *l)
{
	if (l->base.draining && l->session_count == 0)
		loop_timer_set(l->loop, &l->drain_timer, 1);
}

static void
on_drain(void *arg)
{
	struct listener *l = arg;
	size_t i;

	for (i = 0; i < l->endpoint_count; i++)
		endpoint_stop(l->endpoints[i]);
	l->drain_until = clock_mono_ms() + DRAIN_BEGUN_MS;
	on_drain_poll(l);
}

const struct role_ops listener_ops = {
	.view = on_view,
	.listen = on_listen,
	.peer = on_peer,
	.start = on_start,
	.drain = on_drain,
};

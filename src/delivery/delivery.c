/*
 * The delivery role: takes jobs from queue, gives each to its transport's
 * pool, sends the results back.  RFC 5321's client side is in smtp_*.c.
 *
 * It keeps nothing: if it dies, queue does its jobs again; if queue dies,
 * what no server can have taken yet is dropped and queue does it again.  A
 * peer that sends garbage is dropped, monitor brings another one.
 */
#include "delivery/delivery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/load.h"
#include "delivery/job.h"
#include "delivery/pool.h"
#include "io/resolve.h"
#include "ipc/msg.h"
#include "ipc/port.h"
#include "ipc/role.h"

#define FILES_KEPT 64u			/* for all else */
#define FILES_ENOUGH (1u << 20)

struct delivery {
	struct role_base base;
	struct loop *loop;
	struct conf *conf;
	struct resolver *resolver;
	struct pool_env env;
	struct pool **pools;		/* by the transport's place in conf;
					 * NULL: none of ours */
	size_t n_pools;
	struct port *queue;
	struct port *auth;
	struct job_list jobs;
	struct strbuf out;		/* scratch */
	struct loop_task leave;
};

/* ---- jobs and their results ---- */

static void
on_job_done(void *arg, struct job *j)
{
	struct delivery *d = arg;

	TAILQ_REMOVE(&d->jobs, j, all);
	if (!j->orphan && d->queue != NULL) {
		strbuf_clear(&d->out);
		job_result_encode(j, &d->out);
		port_send_reply(d->queue, MSG_JOB_DONE, j->ref,
		    strbuf_slice(&d->out));
		port_grant(d->queue, j->credit);
		(void)FAULT("delivery.result.sent");
	}
	job_free(&j);
	if (d->base.draining)
		loop_defer(d->loop, &d->leave);
}

static struct pool *
pool_of(const struct delivery *d, const struct job *j)
{
	size_t i = conf_transport_find(d->conf, j->m.transport);

	return i < d->n_pools ? d->pools[i] : NULL;
}

static void
place_job(struct delivery *d, struct job *j)
{
	struct pool *p = pool_of(d, j);

	if (j->class != JOB_SETTLED || j->open == 0)
		job_finish(j);
	else if (d->base.draining) {
		job_fail(j, JOB_RETURNED, "delivery is being ended");
		job_finish(j);
	} else if (p == NULL) {
		job_fail(j, JOB_UNREACHABLE,
		    "delivery knows no such transport");
		job_finish(j);
	} else
		pool_submit(p, j);
}

static int
queue_message(void *arg, struct port_message *m, struct err *e)
{
	struct delivery *d = arg;
	struct job *j;

	if (m->type != MSG_JOB) {
		if (m->fd >= 0)
			close(m->fd);
		return err_set(e, EPROTO, "message %u is not for delivery",
		    m->type);
	}
	j = job_new(m, e);
	if (j == NULL)
		return -1;
	j->done = on_job_done;
	j->arg = d;
	TAILQ_INSERT_TAIL(&d->jobs, j, all);
	(void)FAULT("delivery.job.received");
	place_job(d, j);
	return 0;
}

/* ---- peers ---- */

static void
queue_gone(struct delivery *d)
{
	struct job *j;
	size_t i;

	port_free(&d->queue);
	TAILQ_FOREACH(j, &d->jobs, all)
		j->orphan = true;
	for (i = 0; i < d->n_pools; i++) {
		if (d->pools[i] != NULL)
			pool_abandon(d->pools[i]);
	}
}

static void
queue_closed(void *arg, const struct err *why)
{
	struct delivery *d = arg;

	log_msg(d->base.draining ? LL_DEBUG : LL_WARN, "peer",
	    "queue is gone: %s", why->text);
	queue_gone(d);
	/* It lives: only a process that is started anew gets a channel. */
	if (!port_peer_ended(why))
		role_exit(&d->base);
}

static int
auth_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	if (m->fd >= 0)
		close(m->fd);
	return err_set(e, EPROTO, "message %u is not for delivery", m->type);
}

static void
auth_gone(struct delivery *d)
{
	d->env.client.auth = NULL;
	d->env.client.auth_life++;
	port_free(&d->auth);
}

static void
auth_closed(void *arg, const struct err *why)
{
	struct delivery *d = arg;

	log_msg(d->base.draining ? LL_DEBUG : LL_WARN, "peer",
	    "auth is gone: %s", why->text);
	auth_gone(d);
	if (!port_peer_ended(why))
		role_exit(&d->base);
}

static int
on_peer(void *arg, const struct msg_peer *m, int fd, struct err *e)
{
	static const struct port_handler queue_handler = {
		queue_message, queue_closed, NULL
	};
	static const struct port_handler auth_handler = {
		auth_message, auth_closed, NULL
	};
	struct delivery *d = arg;

	switch (m->role) {
	case ROLE_QUEUE:
		queue_gone(d);
		d->queue = port_new(d->loop, fd, "queue", &queue_handler, d);
		return 0;
	case ROLE_AUTH:
		auth_gone(d);
		d->auth = port_new(d->loop, fd, "auth", &auth_handler, d);
		d->env.client.auth = d->auth;
		return 0;
	default:
		close(fd);
		return err_set(e, EPROTO, "delivery has no use for role %u",
		    m->role);
	}
}

/* ---- what monitor says ---- */

static int
make_resolver(struct delivery *d, struct err *e)
{
	struct resolver_options o = {
		.hosts = slice_cstr(d->conf->etc_hosts),
		.servers = (const char *const *)d->conf->resolver.v,
		.server_count = d->conf->resolver.n,
		.dnssec = d->conf->dnssec,
		.anchors = slice_cstr(d->conf->trust_anchor)
	};

	d->resolver = resolver_new(d->loop, &o, e);
	return d->resolver != NULL ? 0 : -1;
}

static bool
is_ours(const struct conf_transport *t)
{
	return t->kind == TRANSPORT_SMARTHOST ||
	    t->kind == TRANSPORT_SUBMISSION ||
	    (t->kind == TRANSPORT_LMTP && t->n_hosts > 0);
}

/* A session has one, and so may its message. */
static unsigned
descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur > FILES_ENOUGH)
		return 0;
	return r.rlim_cur > 2 * FILES_KEPT ?
	    (unsigned)(r.rlim_cur - FILES_KEPT) / 2 : FILES_KEPT / 2;
}

static void
emptied(void *arg)
{
	struct delivery *d = arg;

	if (d->base.draining)
		loop_defer(d->loop, &d->leave);
}

static int
on_view(void *arg, struct slice view, struct err *e)
{
	struct delivery *d = arg;
	size_t i;

	if (d->conf != NULL)
		return err_set(e, EPROTO, "a second view");
	d->conf = conf_view_decode(view, CONF_DELIVERY, e);
	if (d->conf == NULL || make_resolver(d, e) < 0)
		return -1;
	d->env.resolver = d->resolver;
	d->env.hostname = d->conf->hostname;
	d->env.ca = slice_cstr(d->conf->tls_ca);
	d->env.emptied = emptied;
	d->env.sessions_max = descriptors();
	d->env.arg = d;
	d->n_pools = d->conf->n_transports;
	d->pools = mem_zarray(d->n_pools, sizeof(struct pool *));
	for (i = 0; i < d->n_pools; i++) {
		if (is_ours(&d->conf->transports[i]))
			d->pools[i] = pool_new(&d->env,
			    &d->conf->transports[i]);
	}
	return 0;
}

static int
on_start(void *arg, struct err *e)
{
	struct delivery *d = arg;

	if (d->conf == NULL)
		return err_set(e, EPROTO, "started without a view");
	return 0;
}

/* Nothing is in flight any more, and QUITs have left. */
static void
try_leave(void *arg)
{
	struct delivery *d = arg;
	size_t i;

	if (!d->base.draining || !TAILQ_EMPTY(&d->jobs))
		return;
	for (i = 0; i < d->n_pools; i++) {
		if (d->pools[i] != NULL && !pool_is_empty(d->pools[i]))
			return;
	}
	role_exit(&d->base);
}

static void
on_drain(void *arg)
{
	struct delivery *d = arg;
	size_t i;

	for (i = 0; i < d->n_pools; i++) {
		if (d->pools[i] != NULL)
			pool_drain(d->pools[i]);
	}
	loop_defer(d->loop, &d->leave);
}

/* ---- the role's life ---- */

struct delivery *
delivery_new(struct loop *loop, int fd)
{
	static const struct role_ops ops = {
		.view = on_view, .peer = on_peer, .start = on_start,
		.drain = on_drain
	};
	struct delivery *d = mem_zalloc(sizeof(*d));

	d->loop = loop;
	TAILQ_INIT(&d->jobs);
	smtp_client_env_init(&d->env.client, loop);
	loop_task_init(&d->leave, try_leave, d);
	role_init(&d->base, ROLE_DELIVERY, loop, fd, &ops, d);
	return d;
}

void
delivery_free(struct delivery **dp)
{
	struct delivery *d = *dp;
	struct job *j;
	size_t i;

	if (d == NULL)
		return;
	*dp = NULL;
	for (i = 0; i < d->n_pools; i++)
		pool_free(&d->pools[i]);
	free(d->pools);
	while ((j = TAILQ_FIRST(&d->jobs)) != NULL) {
		TAILQ_REMOVE(&d->jobs, j, all);
		job_free(&j);
	}
	auth_gone(d);
	port_free(&d->queue);
	port_free(&d->base.monitor);
	loop_task_cancel(d->loop, &d->leave);
	smtp_client_env_clear(&d->env.client);
	resolver_free(&d->resolver);
	strbuf_free(&d->out);
	conf_free(&d->conf);
	free(d);
}

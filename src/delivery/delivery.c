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
#include "delivery/sites.h"
#include "delivery/trial.h"
#include "io/resolve.h"
#include "ipc/msg.h"
#include "ipc/port.h"
#include "ipc/role.h"

#define FILES_KEPT 64u			/* for all else */
#define FILES_ENOUGH (1u << 20)

#define TRIALS_MAX 8

/* Asked for by a human. */
struct asked {
	TAILQ_ENTRY(asked) link;
	struct delivery *d;
	struct trial *trial;
	uint64_t ref;			/* of queue's request */
};

struct delivery {
	struct role_base base;
	struct loop *loop;
	struct conf *conf;
	struct resolver *resolver;
	struct resolver *fresh;		/* keeps no denials; NULL: not used
					 * yet */
	struct pool_env env;
	struct pool **pools;		/* by the transport's place in conf;
					 * NULL: none of ours */
	size_t n_pools;
	struct pool *direct;		/* of the built-in transport */
	struct sites *sites;
	struct port *queue;
	struct port *auth;
	struct job_list jobs;
	TAILQ_HEAD(, asked) trials;
	unsigned n_trials;
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
pool_named(const struct delivery *d, const char *transport)
{
	size_t i = conf_transport_find(d->conf, transport);

	if (i < d->n_pools)
		return d->pools[i];
	return strcmp(transport, "direct") == 0 ? d->direct : NULL;
}

static struct pool *
pool_of(const struct delivery *d, const struct job *j)
{
	const struct conf_transport *t = conf_transport_get(d->conf,
	    j->m.transport);
	struct pool *p = pool_named(d, j->m.transport);
	const char *domain;

	/* A configuration may have made it another kind meanwhile. */
	if (p == NULL || conf_transport_by_mx(t, &domain) !=
	    (j->m.site != NULL))
		return NULL;
	if (j->m.site == NULL)
		return p;
	return sites_pool(d->sites, p, t->name, j->m.site);
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

/* ---- trials ---- */

static void
trial_end(struct asked *a)
{
	struct delivery *d = a->d;

	TAILQ_REMOVE(&d->trials, a, link);
	d->n_trials--;
	trial_cancel(&a->trial);
	free(a);
}

static void
trial_reply(struct delivery *d, uint64_t ref, const struct msg_trial_done *m)
{
	strbuf_clear(&d->out);
	msg_trial_done_encode(&d->out, m);
	if (d->queue != NULL)
		port_send_reply(d->queue, MSG_TRIAL_DONE, ref,
		    strbuf_slice(&d->out));
}

static void
on_trial(void *arg, struct trial *t, const struct msg_trial_done *m)
{
	struct asked *a = arg;

	(void)t;
	trial_reply(a->d, a->ref, m);
	a->trial = NULL;
	trial_end(a);
}

static void
trial_refuse(struct delivery *d, uint64_t ref, const char *text)
{
	struct msg_trial_step step = {
		.name = (char *)(uintptr_t)"connect",
		.text = (char *)(uintptr_t)text
	};
	struct msg_trial_done m = { .step = &step, .n_steps = 1,
	    .dialogue = (char *)(uintptr_t)"" };

	trial_reply(d, ref, &m);
}

static int
queue_trial(struct delivery *d, struct port_message *pm, struct err *e)
{
	const struct conf_transport *t;
	struct msg_trial m;
	struct asked *a;

	if (pm->fd >= 0)
		close(pm->fd);
	if (msg_trial_decode(pm->data, &m) < 0)
		return err_set(e, EPROTO, "a trial that cannot be read");
	t = conf_transport_get(d->conf, m.transport);
	if (t == NULL || pool_named(d, m.transport) == NULL) {
		trial_refuse(d, pm->ref, "there is no server to be tried");
	} else if (d->n_trials == TRIALS_MAX || d->base.draining) {
		trial_refuse(d, pm->ref, "too many tests at a time: try "
		    "again later");
	} else {
		a = mem_zalloc(sizeof(*a));
		a->d = d;
		a->ref = pm->ref;
		TAILQ_INSERT_TAIL(&d->trials, a, link);
		d->n_trials++;
		a->trial = trial_start(&d->env, d->conf, t, &m, on_trial, a);
	}
	msg_trial_clear(&m);
	return 0;
}

/* ---- next hops ---- */

static int
make_resolver(const struct delivery *d, bool fresh, struct resolver **out,
    struct err *e)
{
	struct resolver_options o = {
		.hosts = slice_cstr(d->conf->etc_hosts),
		.servers = (const char *const *)d->conf->resolver.v,
		.server_count = d->conf->resolver.n,
		.dnssec = d->conf->dnssec,
		.anchors = slice_cstr(d->conf->trust_anchor),
		.forget_denials = fresh
	};

	*out = resolver_new(d->loop, &o, e);
	return *out != NULL ? 0 : -1;
}

/* What cannot be asked is asked again later: the queue has another view of
 * the configuration than we have. */
static void
answer_later(struct delivery *d, uint64_t ref, const char *text)
{
	struct msg_site answer = {
		.result = SITE_LATER, .code = 451, .status = { 4, 3, 5 },
		.text = (char *)(uintptr_t)text
	};

	strbuf_clear(&d->out);
	msg_site_encode(&d->out, &answer);
	port_send_reply(d->queue, MSG_SITE, ref, strbuf_slice(&d->out));
}

static int
next_hop(struct delivery *d, const struct port_message *m, struct err *e)
{
	const struct conf_transport *t;
	struct next_hop_options o = {
		.mx = { .loop = d->loop, .conf = d->conf },
		.http = d->env.http
	};
	struct msg_next_hop q;
	const char *domain;

	if (m->ref == 0 || msg_next_hop_decode(m->data, &q) < 0)
		return err_set(e, EPROTO, "a question that cannot be read");
	t = conf_transport_get(d->conf, q.transport);
	if (t == NULL || !conf_transport_by_mx(t, &domain)) {
		answer_later(d, m->ref, "delivery knows no such transport");
	} else if (q.fresh && d->fresh == NULL &&
	    make_resolver(d, true, &d->fresh, e) < 0) {
		answer_later(d, m->ref, e->text);
	} else {
		o.transport = t;
		o.note = q.policy;
		o.mx.resolver = q.fresh ? d->fresh : d->resolver;
		o.mx.domain = q.domain;
		o.mx.signed_only = t->tls_verify == VERIFY_DANE;
		o.mx.port = t->kind == TRANSPORT_DIRECT ? t->direct_port :
		    t->hosts[0].port;
		sites_ask(d->sites, &o, d->queue, m->ref);
	}
	msg_next_hop_clear(&q);
	return 0;
}

/* ---- peers ---- */

static int
queue_message(void *arg, struct port_message *m, struct err *e)
{
	struct delivery *d = arg;
	struct job *j;

	if (m->type == MSG_NEXT_HOP && m->fd < 0)
		return next_hop(d, m, e);
	if (m->type == MSG_TRIAL)
		return queue_trial(d, m, e);
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

static void
queue_gone(struct delivery *d)
{
	struct job *j;
	size_t i;

	sites_forget(d->sites);
	port_free(&d->queue);
	while (!TAILQ_EMPTY(&d->trials))
		trial_end(TAILQ_FIRST(&d->trials));
	TAILQ_FOREACH(j, &d->jobs, all)
		j->orphan = true;
	sites_each(d->sites, pool_abandon);
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

static bool
is_ours(const struct conf_transport *t)
{
	return t->kind == TRANSPORT_SMARTHOST ||
	    t->kind == TRANSPORT_DIRECT ||
	    t->kind == TRANSPORT_SUBMISSION ||
	    t->kind == TRANSPORT_LMTP;
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
	if (d->conf == NULL || make_resolver(d, false, &d->resolver, e) < 0)
		return -1;
	d->env.http = http_client_new(d->loop, e);
	if (d->env.http == NULL)
		return -1;
	d->env.resolver = d->resolver;
	http_client_resolver(d->env.http, d->resolver);
	d->env.monitor = d->base.monitor;
	d->env.forecast = forecast_new(d->loop, d->resolver);
	d->env.hostname = d->conf->hostname;
	d->env.ca = slice_cstr(d->conf->tls_ca);
	http_client_trust(d->env.http, d->env.ca);
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
	d->direct = pool_new(&d->env, d->conf->direct);
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
	if (!sites_are_empty(d->sites))
		return;
	role_exit(&d->base);
}

static void
on_drain(void *arg)
{
	struct delivery *d = arg;
	size_t i;

	sites_each(d->sites, pool_drain);

	for (i = 0; i < d->n_pools; i++) {
		if (d->pools[i] != NULL)
			pool_drain(d->pools[i]);
	}
	loop_defer(d->loop, &d->leave);
}

/* ---- the role's life ---- */

static bool
on_network(void *arg)
{
	(void)arg;
	return true;
}

struct delivery *
delivery_new(struct loop *loop, int fd)
{
	static const struct role_ops ops = {
		.view = on_view, .peer = on_peer, .start = on_start,
		.drain = on_drain, .network = on_network
	};
	struct delivery *d = mem_zalloc(sizeof(*d));

	d->loop = loop;
	TAILQ_INIT(&d->jobs);
	pool_env_init(&d->env, loop);
	d->sites = sites_new(loop);
	TAILQ_INIT(&d->trials);
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
	while (!TAILQ_EMPTY(&d->trials))
		trial_end(TAILQ_FIRST(&d->trials));
	sites_free(&d->sites);
	for (i = 0; i < d->n_pools; i++)
		pool_free(&d->pools[i]);
	pool_free(&d->direct);
	free(d->pools);
	while ((j = TAILQ_FIRST(&d->jobs)) != NULL) {
		TAILQ_REMOVE(&d->jobs, j, all);
		job_free(&j);
	}
	auth_gone(d);
	port_free(&d->queue);
	port_free(&d->base.monitor);
	loop_task_cancel(d->loop, &d->leave);
	pool_env_clear(&d->env);
	http_client_free(&d->env.http);
	resolver_free(&d->resolver);
	resolver_free(&d->fresh);
	strbuf_free(&d->out);
	conf_free(&d->conf);
	free(d);
}

/*
 * Which session a job gets: an idle one, a new one within the limits, or it
 * waits.  Several hosts are tried in the order of the configuration, each
 * once for a job; one that failed a moment ago comes last.  Run by delivery.
 * When no host is left the job is unreachable, which is the lane's failure
 * and not the message's.
 */
#include "delivery/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/pool_private.h"
#include "delivery/tls_policy.h"
#include "io/sockaddr.h"

#define SHUN_MS 15000u			/* times the failures in a row */
#define SHUN_MAX 20u

static void dispatch(void *arg);

static void
set_sources(struct pool *p)
{
	size_t i;

	for (i = 0; i < p->t->source_address.n; i++) {
		struct sockaddr_storage sa;

		if (!sockaddr_from_ip(slice_cstr(p->t->source_address.v[i]),
		    0, &sa))
			continue;
		if (sa.ss_family == AF_INET && p->source4.ss_family == 0)
			p->source4 = sa;
		if (sa.ss_family == AF_INET6 && p->source6.ss_family == 0)
			p->source6 = sa;
	}
}

struct pool *
pool_new(struct pool_env *env, const struct conf_transport *t)
{
	struct pool *p = mem_zalloc(sizeof(*p));
	size_t i;

	p->env = env;
	p->t = t;
	if (env->idle.tqh_last == NULL) {
		TAILQ_INIT(&env->idle);
		TAILQ_INIT(&env->starved);
	}
	p->n_hosts = t->n_hosts < JOB_HOSTS_MAX ? t->n_hosts : JOB_HOSTS_MAX;
	p->hosts = mem_zarray(p->n_hosts, sizeof(*p->hosts));
	for (i = 0; i < p->n_hosts; i++) {
		p->hosts[i].conf = &t->hosts[i];
		if (t->tls != TLS_OFF)
			p->hosts[i].ticket = tls_ticket_new();
	}
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->all);
	TAILQ_INIT(&p->idle);
	loop_task_init(&p->dispatch, dispatch, p);
	set_sources(p);
	if (t->tls != TLS_OFF) {
		p->tls = tls_policy_new(t, env->ca, &p->tls_err);
		if (p->tls == NULL)
			log_msg(LL_WARN, "tls", "%s", p->tls_err.text);
	}
	return p;
}

void
pool_free(struct pool **pp)
{
	struct pool *p = *pp;
	struct session *s;
	size_t i;

	if (p == NULL)
		return;
	*pp = NULL;
	while ((s = TAILQ_FIRST(&p->all)) != NULL)
		session_drop(s);
	if (p->is_starved)
		TAILQ_REMOVE(&p->env->starved, p, starved);
	loop_task_cancel(p->env->client.loop, &p->dispatch);
	tls_context_free(&p->tls);
	for (i = 0; i < p->n_hosts; i++)
		tls_ticket_free(&p->hosts[i].ticket);
	free(p->hosts);
	free(p);
}

bool
pool_is_empty(const struct pool *p)
{
	return p->n_sessions == 0 && TAILQ_EMPTY(&p->waiting);
}

void
pool_wake(struct pool *p)
{
	loop_defer(p->env->client.loop, &p->dispatch);
}

/* ---- hosts ---- */

void
pool_host_works(struct pool *p, size_t host)
{
	p->hosts[host].failures = 0;
	p->hosts[host].shunned_until = 0;
}

void
pool_host_failed(struct pool *p, size_t host, struct job *j,
    const char *text)
{
	struct host *h = &p->hosts[host];

	if (h->failures < SHUN_MAX)
		h->failures++;
	h->shunned_until = clock_mono_ms() + (uint64_t)h->failures * SHUN_MS;
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "unreachable");
		log_str("transport", p->t->name);
		log_str("text", text);
		log_end();
	}
	j->tried |= UINT64_C(1) << host;
	if (j->why.n < 2048)
		strbuf_printf(&j->why, "%s%s", j->why.n > 0 ? "; " : "",
		    text);
	pool_take_back(p, j);
}

void
pool_take_back(struct pool *p, struct job *j)
{
	TAILQ_INSERT_HEAD(&p->waiting, j, link);
	pool_wake(p);
}

/* The first host that the job has not tried, a shunned one last; n_hosts:
 * none is left. */
static size_t
pick_host(const struct pool *p, const struct job *j)
{
	uint64_t now = clock_mono_ms();
	size_t i, later = p->n_hosts;

	for (i = 0; i < p->n_hosts; i++) {
		if (j->tried & UINT64_C(1) << i)
			continue;
		if (p->hosts[i].shunned_until <= now)
			return i;
		if (later == p->n_hosts)
			later = i;
	}
	return later;
}

/* ---- how many ---- */

/* 0: any number. */
static unsigned
limit(const struct pool *p)
{
	unsigned most = p->t->connections;

	return p->told != 0 && (most == 0 || p->told < most) ? p->told : most;
}

static unsigned
host_limit(const struct pool *p)
{
	unsigned most = p->t->connections_per_host;

	return p->per_host != 0 && (most == 0 || p->per_host < most) ?
	    p->per_host : most;
}

bool
pool_crowded(const struct pool *p)
{
	unsigned most = limit(p);

	return most != 0 && p->n_sessions - p->n_leaving > most;
}

/* One that could not be had; queue is told with the next result, and says
 * then how many there may be.  Until then there are no more of them. */
static void
pool_setback(struct pool *p, bool full, unsigned held)
{
	p->setback_ms = clock_mono_ms();
	p->news.setbacks++;
	p->news.full = full;
	p->news.held = held;
	if (held > 0 && !full)
		held = (held + 1) / 2;
	if (held > 0)
		p->told = held;
}

bool
pool_full(struct pool *p, const struct session *s)
{
	const struct host *h = &p->hosts[s->host];
	bool alone = h->sessions - h->leaving <= 1;

	pool_setback(p, true, alone ? 0 :
	    p->n_sessions - p->n_leaving - 1);
	return !alone;
}

/* ---- sessions for jobs ---- */

const char *
pool_helo(const struct pool *p, const struct job *j)
{
	if (j->m.helo != NULL)
		return j->m.helo;
	return p->t->helo != NULL ? p->t->helo : p->env->hostname;
}

static struct session *
find_idle(const struct pool *p, const struct job *j)
{
	struct session *s;

	if (j->fresh)
		return NULL;
	TAILQ_FOREACH(s, &p->idle, idle_link) {
		if (strcmp(s->helo, pool_helo(p, j)) == 0)
			return s;
	}
	return NULL;
}

/* No host takes a connection, but some are open: then there are too many,
 * or one of several servers behind a name is out of order.  The job waits for
 * one of them.  false: the next hop cannot be reached. */
static bool
give_up(struct pool *p, struct job *j)
{
	if (p->setback_ms == 0 || j->opened_ms > p->setback_ms)
		pool_setback(p, false, p->n_sessions - p->n_leaving);
	if (p->news.sessions > 0 && !p->draining) {
		j->tried = j->offline = 0;
		strbuf_clear(&j->why);
		return true;
	}
	/* Others are about to find out. */
	if (p->n_sessions > p->n_leaving && !p->draining)
		return true;
	TAILQ_REMOVE(&p->waiting, j, link);
	job_fail(j, j->tried != 0 && (j->tried & ~j->offline) == 0 ?
	    JOB_OFFLINE : JOB_UNREACHABLE, p->n_hosts == 0 ?
	    "the transport has no next hop" : strbuf_cstr(&j->why));
	job_finish(j);
	return false;
}

static struct session *
idle_of_host(const struct pool *p, size_t host)
{
	struct session *s;

	TAILQ_FOREACH(s, &p->idle, idle_link) {
		if (s->host == host)
			break;
	}
	return s;
}

void
pool_feed(struct pool_env *env)
{
	struct pool *p = TAILQ_FIRST(&env->starved);

	if (p == NULL || (env->sessions >= env->sessions_max &&
	    TAILQ_EMPTY(&env->idle)))
		return;
	TAILQ_REMOVE(&env->starved, p, starved);
	p->is_starved = false;
	pool_wake(p);
}

/* A descriptor: the session that has been idle longest, whosever it is, gives
 * up its own. */
static bool
has_descriptor(struct pool *p)
{
	struct pool_env *env = p->env;

	if (env->sessions_max == 0 || env->sessions < env->sessions_max)
		return true;
	if (!TAILQ_EMPTY(&env->idle))
		session_quit(TAILQ_FIRST(&env->idle));
	if (env->sessions < env->sessions_max)
		return true;
	if (!p->is_starved) {
		p->is_starved = true;
		TAILQ_INSERT_TAIL(&env->starved, p, starved);
	}
	return false;
}

/* An idle session that does not suit makes room; once it has left. */
static bool
has_room(struct pool *p, size_t host)
{
	unsigned most = limit(p), per_host = host_limit(p);
	const struct host *h = &p->hosts[host];
	struct session *s;

	if (most != 0 && p->n_sessions - p->n_leaving >= most &&
	    !TAILQ_EMPTY(&p->idle))
		session_quit(TAILQ_LAST(&p->idle, session_list));
	if (most != 0 && p->n_sessions >= most)
		return false;
	if (per_host != 0 && h->sessions - h->leaving >= per_host &&
	    (s = idle_of_host(p, host)) != NULL)
		session_quit(s);
	return (per_host == 0 || h->sessions < per_host) && has_descriptor(p);
}

/* false: it has to wait. */
static bool
open_for(struct pool *p, struct job *j)
{
	const struct conf_transport *t = p->t;
	size_t host = pick_host(p, j);
	bool plain;

	if (host == p->n_hosts)
		return !give_up(p, j);
	if (!has_room(p, host))
		return false;
	plain = (j->no_tls & UINT64_C(1) << host) != 0;
	TAILQ_REMOVE(&p->waiting, j, link);
	if (p->tls == NULL && t->tls != TLS_OFF && !plain) {
		pool_host_failed(p, host, j, p->tls_err.text);
		return true;
	}
	session_open(p, host, j, plain);
	return true;
}

static void
dispatch(void *arg)
{
	struct pool *p = arg;
	struct session *s;
	struct job *j;

	while (pool_crowded(p) && !TAILQ_EMPTY(&p->idle))
		session_quit(TAILQ_LAST(&p->idle, session_list));
	while ((j = TAILQ_FIRST(&p->waiting)) != NULL) {
		s = find_idle(p, j);
		if (s != NULL) {
			TAILQ_REMOVE(&p->waiting, j, link);
			session_work(s, j);
		} else if (!open_for(p, j))
			break;
	}
	if (pool_is_empty(p) && p->env->emptied != NULL)
		p->env->emptied(p->env->arg);
}

void
pool_submit(struct pool *p, struct job *j)
{
	j->news = &p->news;
	p->per_host = j->m.per_host;
	/* What was said before queue had heard of the last one is no news. */
	if (j->m.connections != 0 && j->m.setbacks == p->news.setbacks)
		p->told = j->m.connections;
	TAILQ_INSERT_TAIL(&p->waiting, j, link);
	pool_wake(p);
}

/* ---- the end ---- */

void
pool_drain(struct pool *p)
{
	struct session *s, *next;
	struct job *j;

	p->draining = true;
	for (s = TAILQ_FIRST(&p->all); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->ready && s->job == NULL)
			session_quit(s);
		else if (!s->ready) {
			/* Nothing of the message has left. */
			if (s->job != NULL)
				pool_take_back(p, s->job);
			s->job = NULL;
			session_drop(s);
		}
	}
	while ((j = TAILQ_FIRST(&p->waiting)) != NULL) {
		TAILQ_REMOVE(&p->waiting, j, link);
		job_fail(j, JOB_RETURNED, "delivery is being ended");
		job_finish(j);
	}
}

void
pool_abandon(struct pool *p)
{
	struct session *s, *next;
	struct job *j;

	for (s = TAILQ_FIRST(&p->all); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		j = s->job;
		if (j == NULL)
			continue;
		if (s->ready && !smtp_client_abandon(s->client))
			continue;
		s->job = NULL;
		session_drop(s);
		job_finish(j);
	}
	while ((j = TAILQ_FIRST(&p->waiting)) != NULL) {
		TAILQ_REMOVE(&p->waiting, j, link);
		job_finish(j);
	}
}

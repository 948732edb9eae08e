/*
 * Which session a job gets: an idle one, a new one within the limits, or it
 * waits.  Several hosts are tried in the order of the configuration or by
 * their preference (equals in random order), each once for a job; one that
 * failed a moment ago comes last.  Run by delivery.
 * When no host is left the job is unreachable, which is the lane's failure
 * and not the message's.
 */
#include "delivery/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "delivery/pool_private.h"
#include "delivery/proxy.h"
#include "delivery/tls_policy.h"
#include "io/sockaddr.h"

#define SHUN_MS 15000u			/* times the failures in a row */
#define SHUN_MAX 20u

static void dispatch(void *arg);

/* ---- hosts that several pools share ---- */

static struct host *
add_host(struct pool *p, const char *name, unsigned port, unsigned group)
{
	struct host *h = mem_push(&p->hosts, &p->n_hosts, sizeof(*h));

	memset(h, 0, sizeof(*h));
	h->name = mem_strdup(name);
	h->port = port;
	h->group = group;
	h->use = host_use_get(p->env->uses, p->t->name, name, port);
	if (p->t->tls != TLS_OFF)
		h->ticket = tls_ticket_new();
	return h;
}

/* Waits for a session of another pool with this host to end. */
static void
want(struct pool *p, struct host_use *u)
{
	if (p->wants != NULL)
		return;
	p->wants = u;
	TAILQ_INSERT_TAIL(&u->wanted, p, wants_link);
}

static void
unwant(struct pool *p)
{
	if (p->wants != NULL)
		TAILQ_REMOVE(&p->wants->wanted, p, wants_link);
	p->wants = NULL;
}

void
pool_host_left(struct host *h, bool leaving)
{
	struct pool *p;

	h->use->sessions--;
	if (leaving)
		h->use->leaving--;
	while ((p = TAILQ_FIRST(&h->use->wanted)) != NULL) {
		unwant(p);
		pool_wake(p);
	}
}

/* ---- making and freeing ---- */

static struct pool *
pool_make(struct pool_env *env, const struct conf_transport *t)
{
	struct pool *p = mem_zalloc(sizeof(*p));

	p->env = env;
	p->t = t;
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->all);
	TAILQ_INIT(&p->idle);
	loop_task_init(&p->dispatch, dispatch, p);
	reach_sources(t, &p->source4, &p->source6);
	return p;
}

struct pool *
pool_new(struct pool_env *env, const struct conf_transport *t)
{
	struct pool *p = pool_make(env, t);
	size_t i;

	p->proxies = mem_zarray(t->n_proxies, sizeof(*p->proxies));
	if (t->lmtp_path != NULL)
		add_host(p, t->lmtp_path, 0, 0);
	for (i = 0; i < t->n_hosts && i < JOB_HOSTS_MAX; i++)
		add_host(p, t->hosts[i].name, t->hosts[i].port, (unsigned)i);
	if (t->tls != TLS_OFF) {
		p->tls = tls_policy_new(t, TLS_POLICY_USUAL, env->ca,
		    &p->tls_err);
		if (p->tls == NULL)
			log_msg(LL_WARN, "tls", "%s", p->tls_err.text);
	}
	return p;
}

/* The transport's context for what a policy demands, made for its first site
 * with such a one: it costs all certificates of the authorities.  Of marks
 * that differ the strictest counts. */
static void
use_policy(struct pool *p, struct pool *transport, enum site_mark mark)
{
	struct tls_context **c = site_mark_enforced(mark) ?
	    &transport->enforced : &transport->tested;

	if (mark == SITE_MARK_NONE)
		return;
	if (*c == NULL)
		*c = tls_policy_new(p->t, site_mark_enforced(mark) ?
		    TLS_POLICY_ENFORCED : TLS_POLICY_TESTED, p->env->ca,
		    &p->policy_err);
	if (*c != NULL)
		p->policy = tls_context_ref(*c);
}

struct pool *
pool_new_site(struct pool *transport, const char *site)
{
	const struct conf_transport *t = transport->t;
	struct pool *p = pool_make(transport->env, t);
	unsigned group, port = t->kind == TRANSPORT_DIRECT ? t->direct_port :
	    t->hosts[0].port;
	enum site_mark mark, strictest = SITE_MARK_NONE;
	char *name;
	size_t i;

	p->site = true;
	p->proxies = transport->proxies;
	for (i = 0; i < JOB_HOSTS_MAX &&
	    (name = site_name_host(site, i, &group, &mark)) != NULL; i++) {
		add_host(p, name, port, group)->mark = mark;
		if (mark != SITE_MARK_NONE && !site_mark_enforced(strictest))
			strictest = mark;
		free(name);
	}
	use_policy(p, transport, strictest);
	if (transport->tls != NULL)
		p->tls = tls_context_ref(transport->tls);
	p->tls_err = transport->tls_err;
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
	unwant(p);
	if (p->is_starved)
		TAILQ_REMOVE(&p->env->starved, p, starved);
	loop_task_cancel(p->env->client.loop, &p->dispatch);
	tls_context_free(&p->tls);
	tls_context_free(&p->enforced);
	tls_context_free(&p->tested);
	tls_context_free(&p->policy);
	for (i = 0; i < p->n_hosts; i++) {
		tls_ticket_free(&p->hosts[i].ticket);
		host_use_put(&p->hosts[i].use);
		free(p->hosts[i].name);
	}
	free(p->hosts);
	if (!p->site)
		free(p->proxies);
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
	pool_host_unclear(p, host, j, text);
}

void
pool_host_unclear(struct pool *p, size_t host, struct job *j,
    const char *text)
{
	j->tried |= UINT64_C(1) << host;
	if (j->why.n < 2048)
		strbuf_printf(&j->why, "%s%s", j->why.n > 0 ? "; " : "",
		    text);
	pool_take_back(p, j);
}

void
pool_proxies_failed(struct job *j, const char *text)
{
	job_fail(j, JOB_UNREACHABLE, text);
	job_finish(j);
}

void
pool_take_back(struct pool *p, struct job *j)
{
	TAILQ_INSERT_HEAD(&p->waiting, j, link);
	pool_wake(p);
}

/* Of the hosts that the job has not tried one of the best preference, those
 * that are shunned last; n_hosts: none is left. */
static size_t
pick_host(const struct pool *p, const struct job *j)
{
	uint64_t now = clock_mono_ms();
	size_t i, best = p->n_hosts;
	bool shunned, best_shunned = false;
	unsigned equals = 0;

	for (i = 0; i < p->n_hosts; i++) {
		const struct host *h = &p->hosts[i];

		if (j->tried & UINT64_C(1) << i)
			continue;
		shunned = h->shunned_until > now;
		if (best < p->n_hosts && (shunned > best_shunned ||
		    (shunned == best_shunned &&
		    h->group > p->hosts[best].group)))
			continue;
		if (best == p->n_hosts || shunned < best_shunned ||
		    h->group < p->hosts[best].group)
			equals = 0;
		/* Each of the equals with the same chance. */
		if (rand_below(++equals) == 0)
			best = i;
		best_shunned = shunned;
	}
	return best;
}

bool
pool_try_next(struct pool *p, size_t host, struct job *j)
{
	if (!p->site || j->second_host || p->draining ||
	    j->class != JOB_SETTLED)
		return false;
	j->tried |= UINT64_C(1) << host;
	if (pick_host(p, j) == p->n_hosts || !job_put_off(j))
		return false;
	j->second_host = true;
	pool_take_back(p, j);
	return true;
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
	const struct host_use *u = p->hosts[s->host].use;
	bool alone = u->sessions - u->leaving <= 1;

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

	if (j->fresh || j->m.avoid != 0)
		return NULL;
	TAILQ_FOREACH(s, &p->idle, idle_link) {
		if ((j->tried & UINT64_C(1) << s->host) == 0 &&
		    strcmp(s->helo, pool_helo(p, j)) == 0)
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
	/* One that has an answer already has been a second time for nothing,
	 * and says nothing of the host that gave it. */
	bool may_wait = !p->draining && !j->second_host;

	if (!j->second_host && (p->setback_ms == 0 ||
	    j->opened_ms > p->setback_ms))
		pool_setback(p, false, p->n_sessions - p->n_leaving);
	if (p->news.sessions > 0 && may_wait) {
		j->tried = j->offline = 0;
		strbuf_clear(&j->why);
		if (!TAILQ_EMPTY(&p->idle))
			pool_wake(p);
		return true;
	}
	/* Others are about to find out. */
	if (p->n_sessions > p->n_leaving && may_wait)
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

/* An idle session with the host makes room, this pool's, once it has left;
 * those of other pools end by themselves. */
static bool
host_has_room(struct pool *p, size_t host)
{
	struct host_use *u = p->hosts[host].use;
	unsigned most = host_limit(p);
	struct session *s;

	if (most == 0 || u->sessions < most)
		return true;
	if (u->sessions - u->leaving >= most &&
	    (s = idle_of_host(p, host)) != NULL)
		session_quit(s);
	if (u->sessions < most)
		return true;
	want(p, u);
	return false;
}

/* The same of one that does not suit. */
static bool
has_room(struct pool *p, size_t host)
{
	unsigned most = limit(p);

	if (most != 0 && p->n_sessions - p->n_leaving >= most &&
	    !TAILQ_EMPTY(&p->idle))
		session_quit(TAILQ_LAST(&p->idle, session_list));
	if (most != 0 && p->n_sessions >= most)
		return false;
	return host_has_room(p, host) && pool_has_descriptor(p);
}

/* false: it has to wait. */
static bool
open_for(struct pool *p, struct job *j)
{
	const struct conf_transport *t = p->t;
	size_t host = pick_host(p, j);
	bool plain, enforced;

	if (host == p->n_hosts)
		return !give_up(p, j);
	if (!has_room(p, host))
		return false;
	enforced = site_mark_enforced(p->hosts[host].mark);
	plain = (j->no_tls & UINT64_C(1) << host) != 0 && !enforced;
	TAILQ_REMOVE(&p->waiting, j, link);
	if (p->tls == NULL && t->tls != TLS_OFF && !plain)
		pool_host_failed(p, host, j, p->tls_err.text);
	else if (p->policy == NULL && enforced)
		pool_host_failed(p, host, j, p->policy_err.text);
	else
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

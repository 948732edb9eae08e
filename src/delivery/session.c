/*
 * A session of a pool: opened for a job, used for more of them, ended when it
 * has lain idle, is worn out or breaks.  Run by delivery.  What went wrong
 * before it was ready is the host's failure; then the pool decides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/pool_private.h"
#include "io/sockaddr.h"

#define CROWDED_MAX 3			/* times that a job is told so */

static void on_ready(void *arg);
static void on_accepted(void *arg);
static void on_done(void *arg, struct job *j);
static void on_ended(void *arg, enum smtp_client_end how, struct job *left,
    const char *text);

static const struct smtp_client_events client_events = {
	on_ready, on_accepted, on_done, on_ended
};

static void
session_unidle(struct session *s)
{
	if (!s->idle)
		return;
	s->idle = false;
	TAILQ_REMOVE(&s->pool->idle, s, idle_link);
	TAILQ_REMOVE(&s->pool->env->idle, s, env_link);
	loop_timer_cancel(s->pool->env->client.loop, &s->idle_timer);
}

/* It no longer counts as one that mail can go by. */
static void
session_unproven(struct session *s)
{
	if (s->proven)
		s->pool->news.sessions--;
	s->proven = false;
}

static void
session_free(struct session *s)
{
	struct pool *p = s->pool;

	session_unidle(s);
	session_spf_cancel(s);
	session_unproven(s);
	reach_cancel(&s->reach);
	dane_cancel(&s->dane);
	if (s->fd >= 0)
		close(s->fd);
	smtp_client_free(&s->client);
	TAILQ_REMOVE(&p->all, s, link);
	p->n_sessions--;
	if (s->leaving)
		p->n_leaving--;
	pool_host_left(&p->hosts[s->host], s->leaving);
	free(s->helo);
	free(s->remote);
	free(s);
	p->env->sessions--;
	pool_feed(p->env);
	pool_wake(p);
}

/* Until the server has gone too it holds one of the places that the server
 * has for us; nobody waits for it but who needs that place. */
void
session_quit(struct session *s)
{
	if (s->leaving)
		return;
	if (s->client == NULL || !smtp_client_leave(s->client)) {
		session_free(s);
		return;
	}
	session_unidle(s);
	session_unproven(s);
	s->leaving = true;
	s->pool->n_leaving++;
	s->pool->hosts[s->host].use->leaving++;
}

void
session_drop(struct session *s)
{
	session_free(s);
}

static void
on_idle(void *arg)
{
	session_quit(arg);
}

void
session_work(struct session *s, struct job *j)
{
	session_unidle(s);
	s->job = j;
	if (session_spf_begin(s))
		session_begin(s);
}

void
session_begin(struct session *s)
{
	smtp_client_start(s->client, s->job);
}

/* ---- what the client says ---- */

static void
on_ready(void *arg)
{
	struct session *s = arg;
	struct pool *p = s->pool;
	struct job *j = s->job;

	if (!s->ready) {
		s->ready = true;
		pool_host_works(p, s->host);
		if (j != NULL) {
			/* 0 is that of a session that was there */
			j->connect_ms = (uint32_t)(clock_mono_ms() -
			    s->started_ms) + 1;
			j->fresh = false;
			session_work(s, j);
			return;
		}
	}
	if (smtp_client_full(s->client) || p->draining ||
	    p->t->idle_timeout == 0 || pool_crowded(p)) {
		session_quit(s);
		return;
	}
	s->idle = true;
	TAILQ_INSERT_HEAD(&p->idle, s, idle_link);
	TAILQ_INSERT_TAIL(&p->env->idle, s, env_link);
	pool_feed(p->env);
	loop_timer_set(p->env->client.loop, &s->idle_timer,
	    p->t->idle_timeout);
	if (!TAILQ_EMPTY(&p->waiting))
		pool_wake(p);
}

void
session_refuse(struct session *s)
{
	struct job *j = s->job;

	s->job = NULL;
	free(j->remote);
	j->remote = mem_strdup(s->remote);
	job_finish(j);
	on_ready(s);
}

static void
on_accepted(void *arg)
{
	struct session *s = arg;

	s->proven = true;
	s->pool->news.sessions++;
}

static void
on_done(void *arg, struct job *j)
{
	struct session *s = arg;

	s->job = NULL;
	if (s->pool->site && s->both && j->m.first && job_rotate(j)) {
		job_finish(j);
		return;
	}
	if (!pool_try_next(s->pool, s->host, j))
		job_finish(j);
}

/* Before it was ready: what becomes of the job. */
static void
not_ready(struct session *s, enum smtp_client_end how, const char *text)
{
	struct pool *p = s->pool;
	struct job *j = s->job;
	char *whole = mem_printf("connect to %s: %s", s->remote, text);

	s->job = NULL;
	if (how == SMTP_END_FULL && pool_full(p, s)) {
		if (j != NULL)
			pool_take_back(p, j);
	} else if (j == NULL)
		;
	else if (how == SMTP_END_TOKEN && !j->token_retried) {
		j->token_retried = true;
		pool_take_back(p, j);
	} else if (how == SMTP_END_CREDENTIAL || how == SMTP_END_TOKEN) {
		free(j->remote);
		j->remote = mem_strdup(s->remote);
		/* The provider's own word stands first: queue looks at it. */
		job_fail(j, JOB_CREDENTIAL, strncmp(text, "invalid_grant:",
		    14) == 0 ? text : whole);
		job_finish(j);
	} else if (how == SMTP_END_TLS) {
		j->no_tls |= UINT64_C(1) << s->host;
		pool_take_back(p, j);
	} else {
		j->unsafe |= how == SMTP_END_UNSAFE;
		if (s->proxy != NULL)
			pool_host_unclear(p, s->host, j, whole);
		else
			pool_host_failed(p, s->host, j, whole);
	}
	free(whole);
}

/* There are too many of us, said at MAIL: where others live the job waits for
 * one of them, but not for ever. */
static void
refused(struct session *s, enum smtp_client_end how, struct job *j,
    const char *text)
{
	struct pool *p = s->pool;
	char *whole;

	if (j->crowded++ < CROWDED_MAX && pool_full(p, s))
		pool_take_back(p, j);
	else if (how == SMTP_END_SHUT) {
		job_answer_rest(j, 421, MAIL_STATUS(4, 3, 2), text);
		job_finish(j);
	} else {
		whole = mem_printf("connect to %s: MAIL refused: %s",
		    s->remote, text);
		pool_host_failed(p, s->host, j, whole);
		free(whole);
	}
}

static void
on_ended(void *arg, enum smtp_client_end how, struct job *left,
    const char *text)
{
	struct session *s = arg;

	if (left == NULL && s->ready)
		left = s->job;		/* it had not begun */
	if (left != NULL) {
		s->job = NULL;
		if (how != SMTP_END_AGAIN)
			refused(s, how, left, text);
		else {
			left->fresh = true;
			pool_take_back(s->pool, left);
		}
	} else if (!s->ready)
		not_ready(s, how, text);
	session_free(s);
}

/* ---- opening ---- */

static void
not_reached(struct session *s, struct job *j, const struct reach_result *r)
{
	switch (r->fault) {
	case REACH_PROXY:
		pool_proxies_failed(j, r->e.text);
		break;
	case REACH_UNCLEAR:
		pool_host_unclear(s->pool, s->host, j, r->e.text);
		break;
	default:
		if (r->e.code == ENETUNREACH)
			j->offline |= UINT64_C(1) << s->host;
		pool_host_failed(s->pool, s->host, j, r->e.text);
		break;
	}
}

/* dane: what the server's certificate must fit; NULL: nothing. */
static void
talk(struct session *s, enum conf_tls_mode tls, const struct tls_dane *dane)
{
	struct pool *p = s->pool;
	struct smtp_client_target to = {
		.transport = p->t,
		.host = p->hosts[s->host].name,
		.remote = s->remote,
		.helo = s->helo,
		.tls = tls,
		.context = dane == NULL && p->policy != NULL ? p->policy :
		    p->tls,
		.dane = dane,
		.mark = p->hosts[s->host].mark,
		/* What the name system says now counts, not what it said. */
		.ticket = dane == NULL ? p->hosts[s->host].ticket : NULL,
		.lmtp = p->t->kind == TRANSPORT_LMTP
	};
	char *by = NULL;
	int fd = s->fd;

	if (s->proxy != NULL) {
		to.by = by = mem_printf(" by proxy %s:%u",
		    s->proxy->host.name, s->proxy->host.port);
		if (s->proxy->remote_hostname != NULL)
			to.helo = s->proxy->remote_hostname;
	}
	s->fd = -1;
	s->client = smtp_client_new(&p->env->client, fd, &to, &client_events,
	    s);
	free(by);
}

static void
not_safe(struct session *s, const char *why)
{
	struct job *j = s->job;
	char *text = mem_printf("connect to %s: %s", s->remote, why);

	s->job = NULL;
	if (j != NULL) {
		j->unsafe |=
		    site_mark_enforced(s->pool->hosts[s->host].mark);
		pool_host_failed(s->pool, s->host, j, text);
	}
	free(text);
	session_free(s);
}

static void
on_dane(void *arg, const struct dane_answer *a)
{
	struct session *s = arg;
	enum conf_tls_mode mode;
	enum site_mark mark = s->pool->hosts[s->host].mark;
	const char *why = dane_judge(s->pool->t, a, mark, &mode);

	s->dane = NULL;
	if (why != NULL)
		not_safe(s, why);
	else
		talk(s, mode, a->result == DANE_RECORDS ? &a->dane : NULL);
}

/* Nobody looks for records, so a host that needs them is not safe. */
static void
no_dane(struct session *s)
{
	static const struct dane_answer none = { .result = DANE_NONE };
	const struct host *h = &s->pool->hosts[s->host];
	enum conf_tls_mode mode;
	const char *why = dane_judge(s->pool->t, &none, h->mark, &mode);

	if (why != NULL && h->mark != SITE_MARK_NONE)
		not_safe(s, why);
	else
		talk(s, s->plain ? TLS_OFF : mode, NULL);
}

static bool
wants_dane(const struct session *s, const struct reach_result *r)
{
	return !s->plain && s->pool->tls != NULL &&
	    dane_wanted(s->pool->t, r->secure);
}

static void
on_reached(void *arg, const struct reach_result *r)
{
	struct session *s = arg;
	struct pool *p = s->pool;
	const struct host *h = &p->hosts[s->host];
	const char *names[2] = { NULL, h->name };
	struct job *j = s->job;

	s->reach = NULL;
	if (r->fd < 0) {
		s->job = NULL;
		if (j != NULL)
			not_reached(s, j, r);
		session_free(s);
		return;
	}
	s->fd = r->fd;
	s->remote = mem_strdup(r->remote);
	s->both = r->both;
	s->proxy = r->proxy;
	session_spf_addresses(s);
	if (!wants_dane(s, r)) {
		no_dane(s);
		return;
	}
	if (r->secure && r->canonical != NULL &&
	    strcasecmp(r->canonical, h->name) != 0)
		names[0] = r->canonical;
	s->dane = dane_start(p->env->resolver, names, h->port, on_dane, s);
}

static unsigned
families(const struct pool *p)
{
	const struct conf_transport *t = p->t;

	return (t->ipv4 != SWITCH_OFF ? RESOLVE_V4 : 0) |
	    (t->ipv6 != SWITCH_OFF ? RESOLVE_V6 : 0) |
	    (p->site ? RESOLVE_NO_HOSTS : 0);
}

void
session_open(struct pool *p, size_t host, struct job *j, bool plain)
{
	struct session *s = mem_zalloc(sizeof(*s));
	struct reach_options o = {
		.loop = p->env->client.loop,
		.resolver = p->env->resolver,
		.monitor = p->t->lmtp_path != NULL ? p->env->monitor : NULL,
		.transport = p->t->name,
		.host = p->hosts[host].name,
		.port = p->hosts[host].port,
		.families = families(p),
		.avoid = j->m.avoid == 4 ? AF_INET :
		    j->m.avoid == 6 ? AF_INET6 : 0,
		.connect_ms = p->t->connect_timeout,
		.source4 = p->source4,
		.source6 = p->source6,
		.t = p->t,
		.states = p->proxies,
		.env = &p->env->client
	};

	s->pool = p;
	s->host = host;
	s->job = j;
	s->plain = plain;
	s->fd = -1;
	s->helo = mem_strdup(pool_helo(p, j));
	s->started_ms = clock_mono_ms();
	j->opened_ms = s->started_ms;
	loop_timer_init(&s->idle_timer, on_idle, s);
	TAILQ_INSERT_TAIL(&p->all, s, link);
	p->n_sessions++;
	p->env->sessions++;
	p->hosts[host].use->sessions++;
	s->reach = reach_start(&o, on_reached, s);
}

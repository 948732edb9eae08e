/*
 * Where direct delivery goes: the site (the set of mail exchangers) of each
 * domain, asked of delivery and remembered for as long as the answer holds.
 * Run by queue.
 *
 * A transport that goes by MX has a lane for each site, and one lane without a
 * site where mail waits until the site of its domain is known.  That lane's
 * slots stand for questions, not for connections: a domain whose name server
 * is slow holds up nobody else.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/domain.h"
#include "queue/internal.h"
#include "queue/site_private.h"

#define SITES_MAX 10000u		/* remembered */
#define WAITING_MAX 250u		/* attempts for one answer */
#define SLOW_MS 2000u			/* later ones do not wait for it */
#define ANSWER_MS 45000u		/* delivery has its own, shorter ones */
#define POSTPONE_MS 3000u
#define GRACE_MS 30000u			/* an old answer, while it is renewed */
#define FAILED_MS 10000u		/* a failure is remembered, at most */
#define ASKED_MAX 2u			/* times, when nobody answers */

static void sites_ask(void *arg);

/* ---- the table ---- */

void
sites_init(struct queue *q)
{
	struct sites *s = mem_zalloc(sizeof(*s));

	s->q = q;
	s->by_key = htab_new();
	TAILQ_INIT(&s->all);
	loop_task_init(&s->ask, sites_ask, s);
	q->sites = s;
}

static void
site_free(struct site *e)
{
	TAILQ_REMOVE(&e->sites->all, e, link);
	htab_del(e->sites->by_key, slice_cstr(e->key));
	if (e->peer != NULL && e->peer->port != NULL)
		port_forget(e->peer->port, e->ref);
	peer_unref(&e->peer);
	msg_site_clear(&e->answer);
	free(e->key);
	free(e->transport);
	free(e->domain);
	free(e);
}

/* Attempts have ended before. */
void
sites_free(struct queue *q)
{
	struct sites *s = q->sites;

	if (s == NULL)
		return;
	while (!TAILQ_EMPTY(&s->all))
		site_free(TAILQ_FIRST(&s->all));
	loop_task_cancel(q->loop, &s->ask);
	htab_free(&s->by_key);
	free(s);
	q->sites = NULL;
}

/* By another configuration answers may be others.  Nobody waits: attempts
 * have been taken back. */
void
sites_forget(struct queue *q)
{
	struct site *e, *next;

	for (e = TAILQ_FIRST(&q->sites->all); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		if (TAILQ_EMPTY(&e->waiting))
			site_free(e);
	}
}

void
sites_mark(struct queue *q)
{
	struct site *e;

	TAILQ_FOREACH(e, &q->sites->all, link) {
		if (e->lane != NULL)
			e->lane->in_use = true;
	}
}

static void
sites_trim(struct sites *s)
{
	struct site *e = TAILQ_FIRST(&s->all), *next;
	unsigned looks = 16;

	for (; e != NULL && looks-- > 0 &&
	    htab_count(s->by_key) >= SITES_MAX; e = next) {
		next = TAILQ_NEXT(e, link);
		if (TAILQ_EMPTY(&e->waiting))
			site_free(e);
	}
}

/* Lower case, ASCII; false: the address has no domain that can be asked. */
static bool
site_domain(const struct lane *l, const char *address,
    char out[MAIL_DOMAIN_MAX + 1])
{
	struct slice local, domain;
	const char *fixed;

	if (l->transport == NULL ||
	    !conf_transport_by_mx(l->transport, &fixed))
		return false;
	domain = slice_cstr(fixed);
	if (fixed == NULL)
		mail_address_split(slice_cstr(address), &local, &domain);
	return mail_domain_normal(domain, out) == 0 && out[0] != 0;
}

static struct site *
site_find(struct queue *q, struct lane *l, const char *domain, bool fresh,
    bool make)
{
	struct sites *s = q->sites;
	char *key = mem_printf("%s%s %s", fresh ? "!" : "", domain, l->name);
	struct site *e = htab_get(s->by_key, slice_cstr(key));

	if (e != NULL || !make) {
		free(key);
		if (e != NULL) {
			TAILQ_REMOVE(&s->all, e, link);
			TAILQ_INSERT_TAIL(&s->all, e, link);
		}
		return e;
	}
	sites_trim(s);
	e = mem_zalloc(sizeof(*e));
	e->sites = s;
	e->key = key;
	e->transport = mem_strdup(l->name);
	e->domain = mem_strdup(domain);
	e->fresh = fresh;
	e->resolver = l;
	TAILQ_INIT(&e->waiting);
	htab_put(s->by_key, slice_cstr(key), e);
	TAILQ_INSERT_TAIL(&s->all, e, link);
	return e;
}

/* ---- asking ---- */

static void site_answered(struct site *e);

static void
site_take(struct site *e, struct msg_site *answer)
{
	const struct conf_durations *retry = &e->sites->q->conf->retry;
	uint64_t ms = (uint64_t)answer->ttl * 1000, most = FAILED_MS;

	if (retry->n > 0 && retry->v[0] / 2 < most)
		most = retry->v[0] / 2;
	if (answer->result == SITE_LATER || answer->result == SITE_NO_DOMAIN)
		ms = ms < most ? ms : most;
	else if (answer->result == SITE_OFFLINE)
		ms = 0;			/* the network's probes ask */
	msg_site_clear(&e->answer);
	e->answer = *answer;
	memset(answer, 0, sizeof(*answer));
	e->known = true;
	e->doubted = false;
	e->expires = clock_mono_ms() + ms;
	e->asked_at = e->question_at;
	e->lane = e->answer.result != SITE_FOUND ? NULL :
	    lane_at(e->sites->q, e->transport, e->answer.site);
}

/* What was found past the caches holds for all. */
static void
site_teach(struct site *e)
{
	struct site *usual;
	struct msg_site copy = e->answer;

	if (!e->fresh || e->answer.result != SITE_FOUND)
		return;
	/* To make room for the other one this one must not go. */
	TAILQ_REMOVE(&e->sites->all, e, link);
	TAILQ_INSERT_TAIL(&e->sites->all, e, link);
	usual = site_find(e->sites->q, e->resolver, e->domain, false, true);
	copy.site = mem_strdup(copy.site);
	copy.text = copy.text != NULL ? mem_strdup(copy.text) : NULL;
	site_take(usual, &copy);
}

static void
site_no_answer(struct site *e)
{
	struct msg_site later = {
		.result = SITE_LATER, .code = 451, .status = { 4, 3, 0 }
	};

	if (e->tries < ASKED_MAX) {
		e->wanted = true;
		loop_defer(e->sites->q->loop, &e->sites->ask);
		return;
	}
	later.text = mem_printf("the mail exchangers of %s could not be asked "
	    "for", e->domain);
	site_take(e, &later);
	site_answered(e);
}

/* A policy of the domain is known by now that the other answers, and those to
 * questions that are on their way, know nothing of. */
static void
site_outdate(const struct site *e)
{
	struct site *other;

	TAILQ_FOREACH(other, &e->sites->all, link) {
		if (other == e || strcmp(other->domain, e->domain) != 0)
			continue;
		other->known = false;
		other->outdated = other->peer != NULL;
	}
}

/* false: the answer was made without a policy that is known by now. */
static bool
site_policy_taken(struct site *e, const char *note)
{
	struct queue *q = e->sites->q;
	uint64_t known = policy_fetched(q, e->domain);

	if (note == NULL || !policy_take(q, e->domain, note))
		return !e->outdated;
	if (policy_fetched(q, e->domain) > known)
		site_outdate(e);
	return true;
}

static void
site_reply(void *arg, struct port_message *pm)
{
	struct site *e = arg;
	struct msg_site answer;

	peer_unref(&e->peer);
	if (pm != NULL && pm->fd >= 0)
		close(pm->fd);
	if (pm == NULL || pm->type != MSG_SITE ||
	    msg_site_decode(pm->data, &answer) < 0) {
		site_no_answer(e);
		return;
	}
	(void)FAULT("queue.site.answered");
	if (!site_policy_taken(e, answer.policy)) {
		msg_site_clear(&answer);
		site_no_answer(e);
		return;
	}
	e->tries = 0;
	free(answer.policy);
	answer.policy = NULL;
	site_take(e, &answer);
	site_teach(e);
	site_answered(e);
}

static struct peer *
site_peer(struct queue *q, const struct lane *l)
{
	struct peer *p, *best = NULL;

	TAILQ_FOREACH(p, &q->deliveries, link) {
		if (!p->returning && p->port != NULL && p->since >= l->since_view)
			best = p;
	}
	return best;
}

static void
site_ask(struct site *e)
{
	struct queue *q = e->sites->q;
	struct peer *p = site_peer(q, e->resolver);
	struct strbuf b = STRBUF_INIT;
	struct msg_next_hop m = { e->transport, e->domain, e->fresh,
		(char *)(uintptr_t)policy_note(q, e->domain) };

	if (p == NULL)
		return;			/* when one comes */
	e->wanted = e->outdated = false;
	e->tries++;
	e->peer = p;
	p->refs++;
	e->asked = clock_mono_ms();
	e->question_at = clock_real_ms();
	msg_next_hop_encode(&b, &m);
	e->ref = port_request(p->port, ANSWER_MS, site_reply, e);
	port_send(p->port, MSG_NEXT_HOP, e->ref, strbuf_slice(&b));
	strbuf_free(&b);
	(void)FAULT("queue.site.asked");
}

static void
sites_ask(void *arg)
{
	struct sites *s = arg;
	struct site *e;

	TAILQ_FOREACH(e, &s->all, link) {
		if (e->wanted && e->peer == NULL)
			site_ask(e);
	}
}

void
sites_peer(struct queue *q)
{
	if (q->sites != NULL)
		sites_ask(q->sites);
}

static void
site_want(struct site *e)
{
	if (e->wanted || e->peer != NULL)
		return;
	e->wanted = true;
	e->tries = 0;
	site_ask(e);
}

/* ---- attempts ---- */

/* Its place is known: on to the site's slots, or to its line where those are
 * taken. */
static void
site_found(struct attempt *a, struct lane *to)
{
	struct message *m = a->m;
	struct lane *from = a->lane;
	size_t k;

	for (k = 0; k < a->n_rcpt; k++)
		m->rec->rcpt[a->rcpt[k]].no_domain_since = 0;
	a->state = ATTEMPT_RECORDING;
	if (from == a->home &&
	    (!lane_has_room(to) || !TAILQ_EMPTY(&to->waiting))) {
		/* Names are there again; it is this mail that tells more. */
		if (a->probe && m->q->us->closed != CLOSED_NOT)
			m->q->us->next_probe = clock_real_ms();
		lease_undo(a);
		message_finish(m);
		message_touch(m, true);
		return;
	}
	if (from != a->home)
		from->active[LINE_RETRY]--;
	lane_kick(m->q, from);
	a->lane = a->via[a->at] = to;
	if (to == a->home) {
		attempt_take_slot(a);
		job_start(a);
	} else {
		attempt_wait_slot(a);
	}
}

/* The attempt may be gone when this returns. */
static void
site_apply(struct attempt *a, struct site *e)
{
	switch (e->answer.result) {
	case SITE_FOUND:
		site_found(a, e->lane);
		break;
	case SITE_NO_DOMAIN:
		site_gone(a, e);
		break;
	case SITE_REFUSED:
		site_fail(a, site_is_theirs(a) ? JOB_SETTLED :
		    JOB_UNREACHABLE, e->answer.code, e->answer.status,
		    e->answer.text);
		break;
	default:
		site_fail(a, e->answer.result == SITE_OFFLINE ? JOB_OFFLINE :
		    JOB_UNREACHABLE, e->answer.code, e->answer.status,
		    e->answer.text);
		break;
	}
}

static void
site_answered(struct site *e)
{
	struct attempt *a;
	struct message *m;

	while ((a = TAILQ_FIRST(&e->waiting)) != NULL) {
		m = a->m;
		site_leave(a);
		site_apply(a, e);
		message_rest(m);
	}
}

void
site_leave(struct attempt *a)
{
	TAILQ_REMOVE(&a->site->waiting, a, wait);
	a->site->n_waiting--;
	a->site = NULL;
	a->state = ATTEMPT_RECORDING;
}

static bool
site_usable(const struct site *e)
{
	return e->known && !e->doubted && clock_mono_ms() < e->expires;
}

void
site_start(struct attempt *a)
{
	struct queue *q = a->m->q;
	const struct record *r = a->m->rec;
	char domain[MAIL_DOMAIN_MAX + 1];
	struct site *e;
	bool fresh = site_is_theirs(a) && site_gone_before(a, clock_real_ms());

	if (!site_domain(a->lane, r->env->recipients[a->rcpt[0]].address,
	    domain)) {
		site_refuse(a, "the address has no domain that mail can be "
		    "sent to");
		return;
	}
	e = site_find(q, a->lane, domain, fresh, true);
	/* Another message's second answer will do if it came after that
	 * time, too. */
	if (site_usable(e) && (!fresh || e->answer.result != SITE_NO_DOMAIN ||
	    site_gone_before(a, e->asked_at))) {
		site_apply(a, e);
		return;
	}
	a->site = e;
	a->state = ATTEMPT_SITE;
	TAILQ_INSERT_TAIL(&e->waiting, a, wait);
	e->n_waiting++;
	site_want(e);
}

/* ---- for routes and leases ---- */

struct lane *
site_lane(struct queue *q, struct lane *l, const char *address)
{
	char domain[MAIL_DOMAIN_MAX + 1];
	uint64_t now = clock_mono_ms();
	struct site *e;

	if (!lane_resolves(l) || !site_domain(l, address, domain))
		return l;
	e = site_find(q, l, domain, false, false);
	if (e == NULL || !e->known || e->lane == NULL ||
	    now >= e->expires + GRACE_MS)
		return l;
	if (now >= e->expires || e->doubted)
		site_want(e);
	return e->lane;
}

bool
site_doubted(struct queue *q, const struct lane *l, const char *address)
{
	char domain[MAIL_DOMAIN_MAX + 1];
	struct site *e;

	if (!policy_binds(l) || !site_domain(l, address, domain))
		return false;
	e = site_find(q, l->base, domain, false, false);
	return e != NULL && e->known && e->doubted;
}

bool
site_asked(struct queue *q, struct lane *l, const char *address)
{
	char domain[MAIL_DOMAIN_MAX + 1];
	struct site *e;

	if (!site_domain(l, address, domain))
		return false;
	e = site_find(q, l, domain, false, true);
	if (!site_usable(e))
		site_want(e);
	return !site_usable(e);
}

bool
site_postponed(struct queue *q, struct lane *l, const char *address,
    uint64_t *due)
{
	char domain[MAIL_DOMAIN_MAX + 1];
	struct site *e;

	if (!lane_resolves(l) || !site_domain(l, address, domain))
		return false;
	e = site_find(q, l, domain, false, false);
	if (e == NULL || e->peer == NULL ||
	    (e->n_waiting < WAITING_MAX &&
	    clock_mono_ms() - e->asked < SLOW_MS))
		return false;
	*due = clock_real_ms() + POSTPONE_MS;
	return true;
}

void
sites_doubt(const struct lane *l)
{
	struct site *e;

	if (!policy_binds(l))
		return;
	TAILQ_FOREACH(e, &l->q->sites->all, link) {
		if (e->lane == l)
			e->doubted = true;
	}
}

const char *
site_policy(struct queue *q, const struct lane *l, const char *address)
{
	char domain[MAIL_DOMAIN_MAX + 1];

	return site_domain(l, address, domain) ? policy_note(q, domain) :
	    NULL;
}

bool
site_same_domain(const char *a, const char *b)
{
	struct slice local, x, y;

	mail_address_split(slice_cstr(a), &local, &x);
	mail_address_split(slice_cstr(b), &local, &y);
	return slice_eq_case(x, y);
}

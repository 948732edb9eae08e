/*
 * Attempts: made for recipients that are due, and recorded before they begin,
 * so that no crash can make us hammer a server.  Run by queue.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/internal.h"

/* What a message in RAM costs beside its body, roughly; and each of its
 * recipients. */
#define MESSAGE_COST 2048u
#define RECIPIENT_COST 256u
/* Attempts of one message that a recipient may join, of several sites. */
#define LOOKS_MAX 16u

static struct attempt *
attempt_new(struct message *m, struct lane *l, enum line line, uint64_t due,
    uint64_t fallback, const struct route_pick *pick)
{
	struct attempt *a = mem_zalloc(sizeof(*a));

	a->m = m;
	a->home = a->lane = l;
	a->line = line;
	a->due = due;
	a->fallback = fallback;
	a->started = clock_real_ms();
	if (l->drain && a->started < l->drain_from)
		a->started = l->drain_from;
	if (l->letting) {
		a->probe = true;
		a->early = l->early;
	}
	memcpy(a->via, pick->via, pick->n_via * sizeof(a->via[0]));
	a->n_via = pick->n_via;
	a->route = route_text(pick->route);
	if (TAILQ_EMPTY(&m->attempts))
		m->q->active++;
	TAILQ_INSERT_TAIL(&m->attempts, a, link);
	/* What the store has already got here because a slot is free. */
	if ((m->stored && !l->fetching) ||
	    (!m->stored && l->n_ahead == 0 && lane_free_slots(l) > 0)) {
		l->active[line]++;
		l->letting = false;	/* one attempt */
		rate_take(a);
		return a;
	}
	rate_promise(a);
	a->ahead = true;
	a->ahead_octets = MESSAGE_COST + RECIPIENT_COST *
	    (m->rec->env->recipient_count - 1);
	if (m->rec->env->size <= STORE_INLINE_MAX)
		a->ahead_octets += (size_t)m->rec->env->size;
	m->q->ahead_octets += a->ahead_octets;
	l->ahead_octets += a->ahead_octets;
	a->fetched = m->stored;
	if (a->fetched)
		l->n_fetched++;
	else
		l->n_ahead++;
	return a;
}

static void
ahead_end(struct attempt *a)
{
	struct lane *l = a->home;

	if (a->state == ATTEMPT_SLOT && a->fetched) {
		TAILQ_REMOVE(&l->fetched, a, wait);
	} else if (a->state == ATTEMPT_SLOT) {
		if (l->last_light == a)	/* the one before is light, too */
			l->last_light = TAILQ_PREV(a, attempt_list, wait);
		TAILQ_REMOVE(&l->ahead, a, wait);
	}
	if (a->fetched)
		l->n_fetched--;
	else
		l->n_ahead--;
	l->ahead_octets -= a->ahead_octets;
	a->m->q->ahead_octets -= a->ahead_octets;
	a->ahead = false;
}

void
lease_ahead(struct attempt *a)
{
	struct lane *l = a->home;

	a->state = ATTEMPT_SLOT;
	if (a->fetched) {
		TAILQ_INSERT_TAIL(&l->fetched, a, wait);
	} else if (!a->m->light) {
		TAILQ_INSERT_TAIL(&l->ahead, a, wait);
	} else {
		if (l->last_light == NULL)
			TAILQ_INSERT_HEAD(&l->ahead, a, wait);
		else
			TAILQ_INSERT_AFTER(&l->ahead, l->last_light, a, wait);
		l->last_light = a;
	}
	lane_kick(a->m->q, l);
}

void
lease_take_slot(struct attempt *a)
{
	ahead_end(a);
	a->state = ATTEMPT_RECORDING;
	a->home->active[a->line]++;
	rate_take(a);
}

static void
attempt_away(struct attempt *a, bool away)
{
	if (a->away == away)
		return;
	a->away = away;
	if (away)
		a->home->n_away++;
	else
		a->home->n_away--;
}

void
attempt_wait_slot(struct attempt *a)
{
	a->state = ATTEMPT_SLOT;
	rate_leave(a);
	attempt_away(a, true);
	TAILQ_INSERT_TAIL(&a->lane->waiting, a, wait);
	lane_kick(a->m->q, a->lane);
}

void
attempt_take_slot(struct attempt *a)
{
	if (a->state == ATTEMPT_SLOT)
		TAILQ_REMOVE(&a->lane->waiting, a, wait);
	a->state = ATTEMPT_RECORDING;
	if (a->lane == a->home)
		attempt_away(a, false);
	else
		a->lane->active[LINE_RETRY]++;
	rate_take(a);
}

void
attempt_unwait(struct attempt *a)
{
	if (a->state == ATTEMPT_SLOT && a->ahead)
		lease_take_slot(a);
	else if (a->state == ATTEMPT_SLOT)
		attempt_take_slot(a);
	else if (a->state == ATTEMPT_UNSENT)
		TAILQ_REMOVE(&a->m->q->unsent, a, wait);
	else if (a->state == ATTEMPT_SITE)
		site_leave(a);
	a->state = ATTEMPT_RECORDING;
}

/* One of max recipients, taken from the end of a's. */
static void
attempt_split_off(struct attempt *a, size_t max)
{
	struct attempt *b = mem_zalloc(sizeof(*b));

	b->m = a->m;
	b->home = a->home;
	b->line = a->line;
	b->lane = a->lane;
	memcpy(b->via, a->via, a->n_via * sizeof(b->via[0]));
	b->n_via = a->n_via;
	b->at = a->at;
	b->route = a->route != NULL ? mem_strdup(a->route) : NULL;
	b->due = a->due;
	b->fallback = a->fallback;
	b->started = a->started;
	a->n_rcpt -= max;
	b->rcpt = mem_dup(a->rcpt + a->n_rcpt, max * sizeof(b->rcpt[0]));
	b->n_rcpt = max;
	TAILQ_INSERT_TAIL(&a->m->attempts, b, link);
	b->home->active[b->line]++;
	attempt_wait_slot(b);
}

void
attempt_split(struct attempt *a, size_t max)
{
	while (a->n_rcpt > max)
		attempt_split_off(a, a->n_rcpt - max < max ? a->n_rcpt - max :
		    max);
}

void
attempt_free(struct attempt *a)
{
	struct message *m = a->m;
	struct queue *q = m->q;

	probe_over(a);
	if (a->ahead) {
		ahead_end(a);
	} else {
		if (a->state == ATTEMPT_SITE)
			site_leave(a);
		if (a->state == ATTEMPT_SLOT)
			TAILQ_REMOVE(&a->lane->waiting, a, wait);
		else if (a->lane != a->home)
			a->lane->active[LINE_RETRY]--;
		if (a->state == ATTEMPT_UNSENT)
			TAILQ_REMOVE(&q->unsent, a, wait);
		attempt_away(a, false);
		a->home->active[a->line]--;
	}
	rate_end(a);
	lane_kick(q, a->home);
	if (a->lane != a->home)
		lane_kick(q, a->lane);
	TAILQ_REMOVE(&m->attempts, a, link);
	if (TAILQ_EMPTY(&m->attempts))
		q->active--;
	peer_unref(&a->peer);
	free(a->route);
	free(a->rcpt);
	free(a);
}

/* Where a site is not known yet, an attempt is for one domain. */
static bool
attempt_suits_domain(const struct attempt *a, const char *to)
{
	const struct envelope *env = a->m->rec->env;
	unsigned k;

	for (k = 0; k < a->n_via; k++) {
		if (lane_resolves(a->via[k]))
			return site_same_domain(to,
			    env->recipients[a->rcpt[0]].address);
	}
	return true;
}

static bool
attempt_fits(const struct attempt *a, const struct route_pick *pick,
    uint64_t fallback)
{
	return a->fallback == fallback && a->n_via == pick->n_via &&
	    memcmp(a->via, pick->via, a->n_via * sizeof(a->via[0])) == 0 &&
	    a->n_rcpt < lane_recipients(a->home);
}

/* The attempt of this round that the recipient can join, or a new one; NULL:
 * no slot. */
static struct attempt *
attempt_for(struct message *m, const char *to, struct lane *l, enum line line,
    uint64_t due, uint64_t fallback, const struct route_pick *pick)
{
	unsigned looks = LOOKS_MAX;
	struct attempt *a;

	TAILQ_FOREACH_REVERSE(a, &m->attempts, attempt_list, link) {
		if (looks-- == 0 || a->state != ATTEMPT_LEASING)
			break;
		if (a->home == l && a->due == due &&
		    attempt_fits(a, pick, fallback) &&
		    attempt_suits_domain(a, to))
			return a;
	}
	/* Only new mail goes ahead of its slot. */
	if (m->stored ? lane_lease_room(l) == 0 :
	    !lane_takes_fresh(m, l, due))
		return NULL;
	return attempt_new(m, l, line, due, fallback, pick);
}

static void
attempt_join(struct attempt *a, uint32_t i)
{
	struct record_rcpt *rc = &a->m->rec->rcpt[i];

	*(uint32_t *)mem_push(&a->rcpt, &a->n_rcpt, sizeof(*a->rcpt)) = i;
	if (!a->early) {
		rc->attempts++;
		rc->last_attempt = a->home->last_counted = a->started;
	}
	rc->lane = lane_line(a->home, a->line) | STORE_LEASED;
	rc->due = a->fallback;
}

/* Where it goes now.  A probe that is not due is its lane's alone, and any
 * other takes the first transport that takes mail.  false: none does. */
static bool
lease_route(const struct lane *l, struct route_pick *pick)
{
	if (!l->early || pick->via[0] != l)
		return route_admitted(pick);
	pick->n_via = 1;
	return true;
}

/* Until when its account's `rate` or `daily` keeps it; 0: it may go. */
static uint64_t
account_wait(struct message *m, uint64_t due, const struct lane *l,
    uint64_t now)
{
	const struct attempt *a = TAILQ_LAST(&m->attempts, attempt_list);

	if (a != NULL && a->state == ATTEMPT_LEASING && a->home == l)
		return 0;		/* goes along */
	return rate_account_due(m, due, now);
}

/* A probe is for its lane: where the site of a recipient is not known any
 * more, or in doubt, it is asked for, and nothing is moved meanwhile. */
static bool
probe_waits(struct lane *l, const struct route_pick *pick, const char *to)
{
	if ((!l->letting && !l->early) || l->site == NULL ||
	    pick->n_via == 0 || (pick->via[0] != l->base &&
	    (pick->via[0] != l || !site_doubted(l->q, l, to))))
		return false;
	if (site_asked(l->q, l->base, to))
		l->asking = true;
	else
		l->unknown = true;
	return true;
}

/* false: no slot is free for it. */
static bool
lease_recipient(struct message *m, size_t i, struct lane *l, enum line line,
    struct route_pick *pick, struct retry_time *f, uint64_t now)
{
	struct record_rcpt *rc = &m->rec->rcpt[i];
	const char *to = m->rec->env->recipients[i].address;
	struct attempt *a;
	uint64_t wait;

	if (pick->n_via == 0) {
		settle_fail(m, i, RCPT_FAILED, 550, 1, 1, "User unknown");
		return true;
	}
	if (!lease_route(l, pick) && !l->early) {
		closed_defer(m, i, pick, f, LL_DEBUG);
		return true;
	}
	if (pick->via[0] != l) {	/* its route has changed */
		rc->lane = lane_line(pick->via[0], line);
		/* It was due by a lane that has been opened again; or its
		 * domain has other servers now. */
		if (rc->due > now && (!l->early || (l->site != NULL &&
		    pick->via[0]->base == l->base &&
		    lane_is_open(pick->via[0]))))
			rc->due = now;
		return true;
	}
	wait = account_wait(m, rc->due, l, now);
	if (wait != 0) {		/* no attempt */
		rc->due = wait;
		return true;
	}
	if (site_postponed(m->q, l, to, &rc->due))
		return true;
	/* A probe that was not due falls back to the time that it has. */
	a = attempt_for(m, to, l, line, rc->due, l->early ? rc->due :
	    retry_time(m->q, f, rc->attempts + 1, now), pick);
	if (a == NULL)
		return false;
	attempt_join(a, (uint32_t)i);
	return true;
}

size_t
lease_message(struct message *m, struct lane *l, enum line line,
    uint64_t time, const struct route_pick *known, bool *left)
{
	struct queue *q = m->q;
	struct record *r = m->rec;
	struct retry_time f = { 0, 0 };
	struct route_pick pick;
	uint64_t now = clock_real_ms();
	size_t i, n = 0;

	*left = false;
	if (m->stored)
		expire_uncount(m, l, now);
	for (i = 0; i < r->env->recipient_count; i++) {
		struct record_rcpt *rc = &r->rcpt[i];

		if (rc->state != RCPT_PENDING || rc->due != time ||
		    rc->lane != lane_line(l, line))
			continue;
		if (known != NULL)
			pick = *known;
		else
			route_pick(q, r, i, &pick);
		if (probe_waits(l, &pick, r->env->recipients[i].address))
			continue;
		n++;
		if (m->stored && expire_is_over(m, i, now))
			continue;
		if (!lease_recipient(m, i, l, line, &pick, &f, now))
			*left = true;
	}
	/* A message whose first change is being made goes along with it; one
	 * that the store has, but has not told us of yet, needs another. */
	if (n > 0 && (m->stored || m->writing))
		message_touch(m, true);
	return n;
}

void
lease_undo(struct attempt *a)
{
	struct record *r = a->m->rec;
	size_t k;

	for (k = 0; k < a->n_rcpt; k++) {
		struct record_rcpt *rc = &r->rcpt[a->rcpt[k]];

		if (rc->state != RCPT_PENDING)
			continue;
		if (rc->attempts > 0 && !a->early)
			rc->attempts--;
		settle_reschedule(a->m, a->rcpt[k], a->due);
	}
	attempt_free(a);
}

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
	memcpy(a->via, pick->via, pick->n_via * sizeof(a->via[0]));
	a->n_via = pick->n_via;
	a->route = route_text(pick->route);
	if (TAILQ_EMPTY(&m->attempts))
		m->q->active++;
	TAILQ_INSERT_TAIL(&m->attempts, a, link);
	/* What the store has already got here because a slot is free. */
	if (m->stored || (l->n_ahead == 0 && lane_free_slots(l) > 0)) {
		l->active[line]++;
		return a;
	}
	a->ahead = true;
	a->ahead_octets = MESSAGE_COST + RECIPIENT_COST *
	    (m->rec->env->recipient_count - 1);
	if (m->rec->env->size <= STORE_INLINE_MAX)
		a->ahead_octets += (size_t)m->rec->env->size;
	m->q->ahead_octets += a->ahead_octets;
	l->n_ahead++;
	return a;
}

static void
ahead_end(struct attempt *a)
{
	if (a->state == ATTEMPT_SLOT)
		TAILQ_REMOVE(&a->home->ahead, a, wait);
	a->home->n_ahead--;
	a->m->q->ahead_octets -= a->ahead_octets;
	a->ahead = false;
}

void
lease_ahead(struct attempt *a)
{
	a->state = ATTEMPT_SLOT;
	TAILQ_INSERT_TAIL(&a->home->ahead, a, wait);
	lane_kick(a->m->q, a->home);
}

void
lease_take_slot(struct attempt *a)
{
	ahead_end(a);
	a->state = ATTEMPT_RECORDING;
	a->home->active[a->line]++;
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

	if (a->ahead) {
		ahead_end(a);
	} else {
		if (a->state == ATTEMPT_SLOT)
			TAILQ_REMOVE(&a->lane->waiting, a, wait);
		else if (a->lane != a->home)
			a->lane->active[LINE_RETRY]--;
		if (a->state == ATTEMPT_UNSENT)
			TAILQ_REMOVE(&q->unsent, a, wait);
		attempt_away(a, false);
		a->home->active[a->line]--;
	}
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
attempt_for(struct message *m, struct lane *l, enum line line, uint64_t due,
    uint64_t fallback, const struct route_pick *pick)
{
	struct attempt *a = TAILQ_LAST(&m->attempts, attempt_list);

	if (a != NULL && a->state == ATTEMPT_LEASING && a->home == l &&
	    a->due == due && attempt_fits(a, pick, fallback))
		return a;
	/* Only new mail goes ahead of its slot. */
	if (m->stored ? lane_free_slots(l) == 0 :
	    !lane_takes_fresh(m->q, l, due))
		return NULL;
	return attempt_new(m, l, line, due, fallback, pick);
}

static void
attempt_join(struct attempt *a, uint32_t i)
{
	struct record_rcpt *rc = &a->m->rec->rcpt[i];

	*(uint32_t *)mem_push(&a->rcpt, &a->n_rcpt, sizeof(*a->rcpt)) = i;
	rc->attempts++;
	rc->last_attempt = a->started;
	rc->lane = lane_line(a->home, a->line) | STORE_LEASED;
	rc->due = a->fallback;
}

/* One fallback time for all that have made as many attempts. */
struct fallback {
	uint32_t attempts;
	uint64_t time;
};

static uint64_t
fallback_time(struct queue *q, struct fallback *f, uint32_t attempts,
    uint64_t now)
{
	if (f->time == 0 || f->attempts != attempts) {
		f->attempts = attempts;
		f->time = now + retry_step(q, attempts);
	}
	return f->time;
}

/* false: no slot is free for it. */
static bool
lease_recipient(struct message *m, size_t i, struct lane *l, enum line line,
    const struct route_pick *pick, struct fallback *f, uint64_t now)
{
	struct record_rcpt *rc = &m->rec->rcpt[i];
	struct attempt *a;

	if (pick->n_via == 0) {
		settle_fail(m, i, RCPT_FAILED, 550, 1, 1, "User unknown");
		return true;
	}
	if (pick->via[0] != l) {	/* its route has changed */
		rc->lane = lane_line(pick->via[0], line);
		return true;
	}
	a = attempt_for(m, l, line, rc->due,
	    fallback_time(m->q, f, rc->attempts + 1, now), pick);
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
	struct fallback f = { 0, 0 };
	struct route_pick pick;
	uint64_t now = clock_real_ms();
	uint64_t end = retry_expires(q, r);
	size_t i, n = 0;

	*left = false;
	for (i = 0; i < r->env->recipient_count; i++) {
		struct record_rcpt *rc = &r->rcpt[i];

		if (rc->state != RCPT_PENDING || rc->due != time ||
		    rc->lane != lane_line(l, line))
			continue;
		n++;
		/* Not without a last try: the machine may have been off, or
		 * its clock been set. */
		if (m->stored && now >= end && rc->last_attempt >= end) {
			settle_fail(m, i, RCPT_EXPIRED, 554, 4, 7,
			    "Delivery time expired");
			continue;
		}
		if (known == NULL)
			route_pick(q, r, i, &pick);
		if (!lease_recipient(m, i, l, line, known ? known : &pick, &f,
		    now))
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
		if (rc->attempts > 0)
			rc->attempts--;
		settle_reschedule(a->m, a->rcpt[k], a->due);
	}
	attempt_free(a);
}

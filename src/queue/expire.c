/*
 * How long a message lives: time in which its lane was closed, its account
 * parked or the machine without a network does not count, and a clock that
 * was set forward has not passed any time.  `expire-max` counts from arrival,
 * whatever happened.  Run by queue.
 */
#include "base/clock.h"
#include "base/log.h"
#include "queue/internal.h"

/* A turn of the loop never takes so long; ms. */
#define JUMP_MIN 60000

/* ---- what does not count ---- */

bool
expire_stands_still(const struct lane *l)
{
	const struct conf_transport *t = l->transport;

	if (l->account != NULL || l->closed == CLOSED_CREDENTIAL ||
	    l->closed == CLOSED_QUOTA || l->closed == CLOSED_DAILY)
		return true;
	return t != NULL && (t->kind == TRANSPORT_SMARTHOST ||
	    t->kind == TRANSPORT_SUBMISSION);
}

/* The part of [from, to] behind what was taken off already. */
static void
take_off(struct record *r, uint64_t from, uint64_t to)
{
	uint64_t done = r->uncounted_until;

	if (done < r->env->received_ms)
		done = r->env->received_ms;
	if (from < done)
		from = done;
	if (to <= from)
		return;
	r->not_counted += to - from;
	r->uncounted_until = to;
}

void
expire_uncount(struct message *m, const struct lane *l, uint64_t now)
{
	const struct lane *us = m->q->us;
	bool ours = us != NULL && us->since != 0 && lane_is_network(l);
	bool its = l->since != 0 && l->still;

	if (ours && (!its || us->since < l->since))
		take_off(m->rec, us->since, us->until != 0 ? us->until : now);
	if (its)
		take_off(m->rec, l->since, l->until != 0 ? l->until : now);
	if (ours)
		take_off(m->rec, us->since, us->until != 0 ? us->until : now);
}

/* ---- the end ---- */

/* What has arrived before a jump has so much more time. */
static uint64_t
jumped(const struct queue *q, uint64_t arrived)
{
	uint64_t by = 0;
	size_t i;

	for (i = 0; i < q->jumps.n; i++)
		if (arrived <= q->jumps.v[i].before)
			by += q->jumps.v[i].by;
	return by;
}

uint64_t
expire_from(const struct queue *q, const struct record *r)
{
	return r->env->received_ms + jumped(q, r->env->received_ms);
}

uint64_t
expire_last(const struct queue *q, const struct record *r)
{
	return r->env->received_ms + q->conf->expire_max;
}

uint64_t
retry_expires(const struct queue *q, const struct record *r)
{
	uint64_t life = q->conf->expire + r->not_counted +
	    jumped(q, r->env->received_ms);

	if (life > q->conf->expire_max)
		life = q->conf->expire_max;
	return r->env->received_ms + life;
}

bool
expire_is_over(struct message *m, size_t i, uint64_t now)
{
	uint64_t end = retry_expires(m->q, m->rec);

	/* Not without a last try: the machine may have been off, or its clock
	 * been set. */
	if (now < end || m->rec->rcpt[i].last_attempt < end)
		return false;
	settle_fail(m, i, RCPT_EXPIRED, 554, 4, 7, "Delivery time expired");
	return true;
}

/* ---- the clock ---- */

static void
jump_forward(struct clock_jumps *j, uint64_t before, uint64_t by)
{
	size_t i;

	if (j->n == JUMPS_MAX) {
		/* The two oldest become one: none gets less time for it. */
		j->v[1].by += j->v[0].by;
		for (i = 1; i < j->n; i++)
			j->v[i - 1] = j->v[i];
		j->n--;
	}
	j->v[j->n].before = before;
	j->v[j->n++].by = by;
}

/* It was set forward by mistake, as it turns out. */
static void
jump_back(struct clock_jumps *j, uint64_t by)
{
	while (by > 0 && j->n > 0) {
		uint64_t *last = &j->v[j->n - 1].by;

		if (*last > by) {
			*last -= by;
			return;
		}
		by -= *last;
		j->n--;
	}
}

void
expire_look(struct queue *q)
{
	struct clock_jumps *j = &q->jumps;
	uint64_t now = clock_real_ms();
	int64_t ahead = (int64_t)now - (int64_t)clock_mono_ms();
	int64_t by = ahead - j->ahead;
	bool looked = j->looked;

	if (looked && by > -JUMP_MIN && by < JUMP_MIN) {
		/* A clock that is slowly corrected is no jump. */
		j->ahead = ahead;
		return;
	}
	j->ahead = ahead;
	j->looked = true;
	if (!looked)
		return;
	if (by > 0)
		jump_forward(j, now - (uint64_t)by, (uint64_t)by);
	else
		jump_back(j, (uint64_t)-by);
	log_begin(LL_WARN, "clock");
	log_num("seconds", by / 1000);
	log_str("text", "the clock was set; what waits does not expire by it");
	log_end();
	if (q->us != NULL)
		lane_save(q->us, NULL, NULL);
}

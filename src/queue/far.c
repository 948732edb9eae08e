/*
 * Due times that lie further ahead than any step of the schedule reaches: the
 * clock was ahead when they were written, or the schedule has become shorter.
 * They are set anew, or mail would wait for days that never were.  Run by
 * queue, at its start and now and then, in bites.
 *
 * What cannot be read is left to the schedule.
 */
#include "base/clock.h"
#include "queue/internal.h"

#define BITE 64
/* Between two looks, ms. */
#define PAUSE 30000u
#define PAUSE_MOVING 200u
#define MARGIN 60000u

/* Due times of now are below now + this. */
static uint64_t
far_reach(struct queue *q)
{
	const struct conf_durations *d = &q->conf->retry;
	uint64_t most = 0, rates = rates_reach(q, clock_real_ms());
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->v[i] > most)
			most = d->v[i];
	/* With its jitter, and what config.md gives where none is set. */
	most = d->n > 0 ? most + most / 4 : 2 * 3600000u;
	return (most > rates ? most : rates) + MARGIN;
}

static void
far_entry(struct queue *q, const struct store_due *d, uint64_t now)
{
	struct err e = { 0, "" };
	struct message *m = message_load(q, d->id, false, &e);
	bool touched = false;
	size_t i;

	if (m == NULL)
		return;
	for (i = 0; m->stored && !m->gone &&
	    i < m->rec->env->recipient_count; i++) {
		struct record_rcpt *rc = &m->rec->rcpt[i];

		if (rc->state != RCPT_PENDING || rc->lane != d->lane ||
		    rc->due != d->time)
			continue;
		settle_reschedule(m, i, now + retry_step(q, rc->attempts));
		touched = true;
	}
	if (touched)
		message_touch(m, false);
	message_rest(m);
}

/* How many entries were found. */
static size_t
far_line(struct queue *q, uint32_t line, uint64_t now)
{
	struct store_due after = { line, now + far_reach(q), UINT64_MAX };
	struct store_due d[BITE];
	size_t i, n;

	n = store_due_scan(q->store, line, NEVER, &after, d, BITE);
	for (i = 0; i < n; i++)
		far_entry(q, &d[i], now);
	return n;
}

void
far_look(struct queue *q)
{
	uint64_t pause = q->clock_moves ? PAUSE_MOVING : PAUSE;
	uint64_t mono = clock_mono_ms(), now = clock_real_ms();
	struct lane *l;
	size_t n = 0;

	if (q->draining || (!q->far_more && q->far_looked != 0 &&
	    mono - q->far_looked < pause))
		return;
	q->far_looked = mono;
	park_clock(q);
	TAILQ_FOREACH(l, &q->lanes, link) {
		n += far_line(q, lane_line(l, LINE_RETRY), now);
		n += far_line(q, lane_line(l, LINE_FRESH), now);
	}
	/* What has been found is there until its change has ended. */
	q->far_more = n > 0;
}

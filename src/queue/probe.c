/*
 * A probe: one waiting message, the earliest due, finds out whether a closed
 * lane is open again.  Run by queue.
 *
 * A message that was not due yet lends itself only: where the probe does not
 * get to MAIL, its attempts and its due time stay as they were.  When the
 * queue dies meanwhile they do, too: such a lease falls back to that time.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/internal.h"

#define LOOKED_AT 16			/* entries of each line */
/* None of them could be taken: ms until they are looked at again. */
#define PAUSE 1000u
/* Until the site of one of them is known. */
#define ASKED_PAUSE 200u

/* true: its attempt is made. */
static bool
probe_entry(struct lane *l, const struct store_due *d, bool uncounted)
{
	enum line line = d->lane & LINE_FRESH ? LINE_FRESH : LINE_RETRY;
	struct queue *q = l->q;
	bool loaded, left, begun;
	struct message *m = schedule_message(q, d, true, &loaded);

	l->asking = l->unknown = false;
	if (m == NULL)
		return false;
	l->letting = true;
	l->early = uncounted || d->time > clock_real_ms();
	(void)lease_message(m, l, line, d->time, NULL, &left);
	begun = !l->letting;
	l->letting = l->early = false;
	if (begun)
		l->probe_id = d->id;
	message_rest(m);
	return begun;
}

/* The step is taken before the probe begins: no crash makes it more often. */
static void
probe_begun(struct lane *l)
{
	l->step++;
	l->next_probe = clock_real_ms() + probe_step(l);
	lane_save(l, NULL, NULL);
}

/* No message could be taken.  unknown: for want of names, which is what the
 * probe has found out. */
static void
probe_none(struct lane *l, bool asking, bool unknown)
{
	if (unknown && !asking)
		probe_begun(l);
	else
		l->next_probe = clock_real_ms() + (asking ? ASKED_PAUSE :
		    PAUSE);
	lane_changed(l);
}

bool
probe_begin(struct lane *l, bool uncounted)
{
	struct queue *q = l->q;
	struct lane *us = q->us;
	bool unknown = false;
	struct store_due d[LINES][LOOKED_AT], *next;
	size_t n[LINES], at[LINES] = { 0, 0 };
	enum line line;

	for (line = 0; line < LINES; line++) {
		n[line] = store_due_scan(q->store, lane_line(l, line), NEVER,
		    NULL, d[line], LOOKED_AT);
		l->next_due[line] = n[line] > 0 ? d[line][0].time : NEVER;
	}
	while (at[0] < n[0] || at[1] < n[1]) {
		line = at[0] == n[0] || (at[1] < n[1] &&
		    d[1][at[1]].time < d[0][at[0]].time) ? 1 : 0;
		next = &d[line][at[line]++];
		if (!probe_entry(l, next, uncounted)) {
			unknown |= l->unknown;
			if (l->asking)
				break;
			continue;
		}
		if (us->closed != CLOSED_NOT) {
			us->probe_id = next->id;
			probe_begun(us);
		}
		if (l->closed != CLOSED_NOT)
			probe_begun(l);
		return true;
	}
	if (n[0] + n[1] > 0)
		probe_none(us->closed != CLOSED_NOT ? us : l, l->asking,
		    unknown);
	return false;
}

bool
probe_run(struct lane *l)
{
	if (l->closed == CLOSED_NOT || lane_is_offline(l) || !lane_admits(l) ||
	    l->q->draining || l->q->n_failing >= FAILING_MAX)
		return false;
	return probe_begin(l, false);
}

void
probe_over(struct attempt *a)
{
	struct lane *us = a->m->q->us;

	if (!a->probe)
		return;
	a->probe = false;
	lane_probe_ended(a->home);
	if (us->probe_id == a->m->id)
		lane_probe_ended(us);
}

void
probe_restore(struct attempt *a, struct msg_job_done *d)
{
	struct message *m = a->m;
	struct record *r = m->rec;
	size_t k;

	for (k = 0; k < a->n_rcpt; k++) {
		struct record_rcpt *rc = &r->rcpt[a->rcpt[k]];

		if (rc->state != RCPT_PENDING)
			continue;
		rc->lane = r->held ? 0 : lane_line(a->home, a->line);
		rc->due = r->held ? 0 : a->due;
		if (d != NULL && rc->last_code != 0)
			settle_take_reply(a, a->rcpt[k], d, k);
	}
	attempt_free(a);
	message_finish(m);
	message_touch(m, true);
}

void
probe_counts(struct attempt *a)
{
	struct lane *l = a->lane;
	size_t k;

	for (k = 0; k < a->n_rcpt; k++) {
		struct record_rcpt *rc = &a->m->rec->rcpt[a->rcpt[k]];

		if (rc->state != RCPT_PENDING)
			continue;
		if (a->early)
			rc->attempts++;
		if (rc->last_attempt < a->started)
			rc->last_attempt = a->started;
		/* Once for each opening, and that was its turn. */
		if (l->drain && rc->last_attempt < l->drain_from)
			rc->last_attempt = l->drain_from;
	}
	a->early = false;
}

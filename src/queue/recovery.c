/*
 * What was in flight when the role ended comes back: leases become due again,
 * soon, but never as if nothing had been tried.  Their number is bounded by
 * the lanes' windows and by the room in RAM for new mail that waits for a slot.
 * Run by queue, at its start.
 *
 * A lease that stands for nothing is removed; a record that cannot be read
 * goes to quarantine.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "queue/internal.h"

#define BITE 64

/* The recipients under one lease; returns how many. */
static size_t
recover_message(struct message *m, const struct store_due *d)
{
	const struct lane *l = lane_of_id(m->q, d->lane);
	struct record *r = m->rec;
	uint64_t now = clock_real_ms();
	size_t i, n = 0;

	for (i = 0; i < r->env->recipient_count; i++) {
		struct record_rcpt *rc = &r->rcpt[i];

		if (rc->state != RCPT_PENDING || rc->lane != d->lane ||
		    rc->due != d->time)
			continue;
		n++;
		rc->lane = r->held ? 0 : d->lane & ~STORE_LEASED;
		/* The lane's steps keep a probe from coming too often. */
		rc->due = r->held ? 0 : l != NULL && l->probe_id == m->id ?
		    d->time : now + retry_crash_step(m->q, rc->attempts);
	}
	return n;
}

static bool
recover_entry(struct queue *q, const struct store_due *d)
{
	struct err e = { 0, "" };
	struct message *m = message_load(q, d->id, false, &e);
	size_t n;

	if (m == NULL) {
		schedule_unreadable(q, d, &e);
		return false;
	}
	n = recover_message(m, d);
	if (n > 0)
		message_touch(m, true);
	else
		queue_drop_due(q, d->lane, d->time, d->id);
	message_rest(m);
	return n > 0;
}

static size_t
recover_line(struct queue *q, uint32_t line)
{
	struct store_due d[BITE], after;
	const struct store_due *from = NULL;
	size_t i, n, found = 0;

	do {
		n = store_due_scan(q->store, line, NEVER, from, d, BITE);
		for (i = 0; i < n; i++)
			found += recover_entry(q, &d[i]);
		if (n > 0) {
			after = d[n - 1];
			from = &after;
		}
	} while (n == BITE);
	return found;
}

void
recovery_run(struct queue *q)
{
	struct store_due first;
	uint32_t line = STORE_LEASED - 1;
	struct lane *l;
	size_t n = 0;

	(void)FAULT("queue.recovery");
	while (store_due_next_lane(q->store, line, &first)) {
		line = first.lane;
		n += recover_line(q, line);
		if (line == UINT32_MAX)
			break;
	}
	TAILQ_FOREACH(l, &q->lanes, link)
		lane_probe_ended(l);
	if (n > 0) {
		log_begin(LL_WARN, "recovery");
		log_num("messages", (int64_t)n);
		log_str("text", "were being delivered when the queue ended; "
		    "they are tried again");
		log_end();
	}
}

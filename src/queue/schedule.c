/*
 * What is due goes, as far as slots are free: the due table is read in small
 * bites, so that memory does not grow with the queue.  Run by queue, at the
 * end of a turn and by one alarm for the next due time.
 *
 * Fresh mail and retries stand in lines of their own: while both wait, fresh
 * mail has a quarter of a lane's slots for itself.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/internal.h"

#define BITE 64				/* due entries read at once */
#define TURN_MAX 128			/* messages begun in one turn */
#define SLEEP_MAX 60000u		/* ms; the clock may have been set */
#define SLEEP_MOVING 200u

static void
quarantined(void *arg, int code, const char *text)
{
	(void)arg;
	if (code != 0)
		log_msg(LL_ERROR, "quarantine", "%s", text);
}

/* The record cannot be read: aside with it. */
static void
quarantine(struct queue *q, const struct store_due *d, const struct err *why)
{
	struct store_change *c = store_change_new(q->store);

	line_id(LL_ERROR, "quarantined", d->id, why->text);
	store_due_del(c, d->lane, d->time, d->id);
	/* What it was counted as is not known; the line tells most of it. */
	store_quarantine(c, d->id, d->lane & LINE_FRESH ? COUNT_QUEUED :
	    COUNT_DEFERRED);
	queue_commit(q, &c, false, NULL, quarantined, q);
}

/* One due entry.  true: some of its recipients still wait for a slot. */
static bool
schedule_entry(struct queue *q, struct lane *l, enum line line,
    const struct store_due *d)
{
	struct message *m = message_find(q, d->id);
	bool loaded = m == NULL, left = false;
	struct err e = { 0, "" };

	if (loaded)
		m = message_load(q, d->id, true, &e);
	if (m == NULL) {
		if (e.code == EILSEQ || e.code == ENOTSUP)
			quarantine(q, d, &e);
		else if (e.code == ENOENT)
			queue_drop_due(q, d->lane, d->time, d->id);
		else
			line_id(LL_ERROR, "unreadable", d->id, e.text);
		return false;
	}
	/* In RAM and elsewhere by now: the store is about to know.  Or just
	 * durable, and we have not been told yet: lane_due() follows. */
	if (!m->stored || m->gone || (m->writing && m->next_gone))
		return false;
	/* What is to be removed is not tried once more before. */
	if (m->removing || m->bouncing)
		return false;
	if (lease_message(m, l, line, d->time, NULL, &left) == 0 && loaded)
		queue_drop_due(q, d->lane, d->time, d->id);
	message_rest(m);
	return left;
}

/* Starts up to max entries of one line; notes when the next is due. */
static unsigned
schedule_line(struct queue *q, struct lane *l, enum line line, unsigned max)
{
	struct store_due d[BITE], after;
	const struct store_due *from = NULL;
	uint64_t now = clock_real_ms();
	unsigned begun = 0;
	size_t i, n;

	do {
		n = store_due_scan(q->store, lane_line(l, line), NEVER, from,
		    d, BITE);
		for (i = 0; i < n; i++) {
			if (d[i].time > now || begun >= max ||
			    lane_free_slots(l) == 0) {
				l->next_due[line] = d[i].time;
				return begun;
			}
			if (message_find(q, d[i].id) == NULL)
				begun++;
			if (schedule_entry(q, l, line, &d[i])) {
				l->next_due[line] = d[i].time;
				return begun;
			}
		}
		if (n > 0) {
			after = d[n - 1];
			from = &after;
		}
	} while (n == BITE);
	l->next_due[line] = NEVER;
	return begun;
}

static bool
line_waits(const struct lane *l, enum line line, uint64_t now)
{
	return l->next_due[line] <= now ||
	    (line == LINE_FRESH && !TAILQ_EMPTY(&l->ahead));
}

/* How many of the free slots this line may take. */
static unsigned
line_share(const struct lane *l, enum line line, uint64_t now)
{
	enum line other = line == LINE_FRESH ? LINE_RETRY : LINE_FRESH;
	unsigned room = lane_free_slots(l);
	unsigned quarter = (l->window + 3) / 4;
	unsigned most = line == LINE_FRESH ? l->window : l->window - quarter;

	if (!line_waits(l, line, now))
		return 0;
	if (!line_waits(l, other, now) || l->window < 2)
		return room;
	/* Both wait: fresh mail first, up to its quarter. */
	if (line == LINE_FRESH)
		most = quarter;
	if (l->active[line] >= most)
		return 0;
	return most - l->active[line] < room ? most - l->active[line] : room;
}

/* Attempts that came here because another transport failed. */
static void
schedule_waiting(struct lane *l)
{
	struct attempt *a;

	while (lane_has_room(l) && (a = TAILQ_FIRST(&l->waiting)) != NULL) {
		struct message *m = a->m;

		attempt_take_slot(a);
		job_start(a);
		message_rest(m);
	}
}

/* New mail that has its lease already; it came before what the store has. */
static unsigned
schedule_ahead(struct lane *l, unsigned max)
{
	struct attempt *a;
	unsigned n;

	for (n = 0; n < max && (a = TAILQ_FIRST(&l->ahead)) != NULL; n++) {
		struct message *m = a->m;

		lease_take_slot(a);
		job_start(a);
		message_rest(m);
	}
	return n;
}

static unsigned
schedule_some(struct queue *q, struct lane *l, enum line line, unsigned max)
{
	if (line == LINE_FRESH && !TAILQ_EMPTY(&l->ahead))
		return schedule_ahead(l, max);
	return schedule_line(q, l, line, max);
}

/* One after the other until nothing more fits; false: the turn is long
 * enough. */
static bool
schedule_lane(struct queue *q, struct lane *l, unsigned *budget)
{
	uint64_t now = clock_real_ms();
	unsigned fresh, retries, max, n;
	enum line line;

	schedule_waiting(l);
	for (;;) {
		fresh = line_share(l, LINE_FRESH, now);
		retries = line_share(l, LINE_RETRY, now);
		if (fresh == 0 && retries == 0)
			return true;
		if (*budget == 0)
			return false;
		line = fresh > 0 ? LINE_FRESH : LINE_RETRY;
		max = fresh > 0 ? fresh : retries;
		n = schedule_some(q, l, line, max < *budget ? max : *budget);
		*budget -= n;
		if (n == 0 && line_share(l, line, now) > 0)
			return true;	/* what is due waits for its change */
	}
}

void
schedule_lanes(struct queue *q)
{
	struct lane_list again = TAILQ_HEAD_INITIALIZER(again);
	unsigned budget = TURN_MAX;
	struct lane *l;

	if (q->n_failing >= FAILING_MAX)
		return;			/* they stay on q->ready */
	while ((l = TAILQ_FIRST(&q->ready)) != NULL) {
		TAILQ_REMOVE(&q->ready, l, ready_link);
		l->ready = false;
		if (!q->draining && !schedule_lane(q, l, &budget) && !l->ready)
			TAILQ_INSERT_TAIL(&again, l, ready_link);
	}
	while ((l = TAILQ_FIRST(&again)) != NULL) {
		TAILQ_REMOVE(&again, l, ready_link);
		lane_kick(q, l);
	}
}

void
schedule_alarm(struct queue *q)
{
	uint64_t now = clock_real_ms(), at = NEVER, ms;
	uint64_t most = q->clock_moves ? SLEEP_MOVING : SLEEP_MAX;
	struct lane *l;

	if (q->draining)
		return;
	TAILQ_FOREACH(l, &q->lanes, link) {
		if (lane_free_slots(l) == 0)
			continue;	/* one that ends looks again */
		if (l->next_due[LINE_RETRY] < at)
			at = l->next_due[LINE_RETRY];
		if (l->next_due[LINE_FRESH] < at)
			at = l->next_due[LINE_FRESH];
	}
	if (at == NEVER || at == q->alarm_at)
		return;
	q->alarm_at = at;
	ms = at > now ? at - now : 0;
	loop_alarm_set(&q->alarm, ms < most ? ms : most);
}

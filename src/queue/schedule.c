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
/* Octets in RAM up to which retries are leased before their slot is free. */
#define FETCH_OCTETS (8u << 20)
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
schedule_quarantine(struct queue *q, const struct store_due *d,
    const struct err *why)
{
	struct store_change *c = store_change_new(q->store);

	line_id(LL_ERROR, "quarantined", d->id, why->text);
	store_due_del(c, d->lane, d->time, d->id);
	/* What it was counted as is not known; the line tells most of it. */
	store_quarantine(c, d->id, d->lane & LINE_FRESH ? COUNT_QUEUED :
	    COUNT_DEFERRED);
	queue_commit(q, &c, false, NULL, quarantined, q);
}

void
schedule_unreadable(struct queue *q, const struct store_due *d,
    const struct err *why)
{
	if (why->code == EILSEQ || why->code == ENOTSUP)
		schedule_quarantine(q, d, why);
	else if (why->code == ENOENT)
		queue_drop_due(q, d->lane, d->time, d->id);
	else
		line_id(LL_ERROR, "unreadable", d->id, why->text);
}

static bool
may_take(const struct message *m)
{
	/* In RAM and elsewhere by now: the store is about to know.  Or just
	 * durable, and we have not been told yet: lane_due() follows. */
	if (!m->stored || m->gone || (m->writing && m->next_gone))
		return false;
	/* What is to be removed is not tried once more before. */
	return !m->removing && !m->bouncing;
}

struct message *
schedule_message(struct queue *q, const struct store_due *d, bool body,
    bool *loaded)
{
	struct message *m = message_find(q, d->id);
	struct err e = { 0, "" };

	*loaded = m == NULL;
	if (m == NULL)
		m = message_load(q, d->id, body, &e);
	if (m == NULL) {
		schedule_unreadable(q, d, &e);
		return NULL;
	}
	return may_take(m) ? m : NULL;
}

bool
schedule_entry(struct lane *l, enum line line, const struct store_due *d)
{
	struct queue *q = l->q;
	bool loaded, left = false;
	struct message *m = schedule_message(q, d, true, &loaded);

	if (m == NULL)
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
			    lane_lease_room(l) == 0) {
				l->next_due[line] = d[i].time;
				return begun;
			}
			if (message_find(q, d[i].id) == NULL)
				begun++;
			if (schedule_entry(l, line, &d[i])) {
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
	return l->next_due[line] <= now || drain_waits(l, line) ||
	    !TAILQ_EMPTY(line == LINE_FRESH ? &l->ahead : &l->fetched);
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

/* Those who send little come first, but one in four is of the heaps. */
static struct attempt *
next_ahead(struct lane *l)
{
	struct attempt *a = NULL;

	if (l->last_light != NULL && l->served++ % 4 == 3)
		a = TAILQ_NEXT(l->last_light, wait);
	return a != NULL ? a : TAILQ_FIRST(&l->ahead);
}

static void
start_leased(struct attempt *a)
{
	struct message *m = a->m;

	lease_take_slot(a);
	job_start(a);
	message_rest(m);
}

/* New mail that has its lease already. */
static unsigned
schedule_ahead(struct lane *l, unsigned max)
{
	struct attempt *a;
	unsigned n;

	for (n = 0; n < max && (a = next_ahead(l)) != NULL; n++)
		start_leased(a);
	return n;
}

/* Retries that have theirs. */
static unsigned
schedule_fetched(struct lane *l, unsigned max)
{
	struct attempt *a;
	unsigned n;

	for (n = 0; n < max && (a = TAILQ_FIRST(&l->fetched)) != NULL; n++)
		start_leased(a);
	return n;
}

/* While all slots are in use the next retries are leased, so that a slot does
 * not wait for the disk. */
static unsigned
schedule_fetch(struct queue *q, struct lane *l, unsigned max)
{
	unsigned n = 0, room;

	if (lane_gate(l) < l->window || q->ahead_octets > FETCH_OCTETS ||
	    rate_room(l) <= l->n_ahead + l->n_fetched)
		return 0;
	l->fetching = true;
	room = lane_lease_room(l);
	if (room < max)
		max = room;
	if (max > 0 && l->next_due[LINE_RETRY] <= clock_real_ms())
		n = schedule_line(q, l, LINE_RETRY, max);
	if (n < max && drain_waits(l, LINE_RETRY))
		n += drain_line(l, LINE_RETRY, max - n);
	l->fetching = false;
	return n;
}

static unsigned
schedule_some(struct queue *q, struct lane *l, enum line line, unsigned max)
{
	unsigned n = 0, ahead = max;

	if (line == LINE_RETRY && !TAILQ_EMPTY(&l->fetched)) {
		n = schedule_fetched(l, max);
		if (n == max)
			return n;
	}
	if (line == LINE_FRESH && !TAILQ_EMPTY(&l->ahead)) {
		/* In the store wait only heaps that came before. */
		if (l->next_due[line] <= clock_real_ms())
			ahead = max > 1 ? max - max / 4 : l->served++ % 4 != 3;
		n += schedule_ahead(l, ahead);
		if (n == max || ahead == max)
			return n;
	}
	if (l->next_due[line] <= clock_real_ms())
		n += schedule_line(q, l, line, max - n);
	if (n < max && drain_waits(l, line))
		n += drain_line(l, line, max - n);
	return n;
}

/* One after the other until nothing more fits; false: there is more than its
 * turn allows. */
static bool
schedule_lane(struct queue *q, struct lane *l, unsigned *budget)
{
	uint64_t now = clock_real_ms();
	unsigned fresh, retries, max, n;
	enum line line;

	if (!lane_is_open(l)) {
		if (closed_run(l))
			return true;
		*budget = 0;		/* enough for one turn */
		return false;
	}
	schedule_waiting(l);
	for (;;) {
		fresh = line_share(l, LINE_FRESH, now);
		retries = line_share(l, LINE_RETRY, now);
		if (fresh == 0 && retries == 0) {
			n = schedule_fetch(q, l, *budget);
			*budget -= n < *budget ? n : *budget;
			share_wait(l);
			return true;
		}
		if (*budget == 0 || l->deficit == 0)
			return false;
		line = fresh > 0 ? LINE_FRESH : LINE_RETRY;
		max = fresh > 0 ? fresh : retries;
		if (max > l->deficit)
			max = l->deficit;
		n = schedule_some(q, l, line, max < *budget ? max : *budget);
		*budget -= n < *budget ? n : *budget;
		l->deficit -= n < l->deficit ? n : l->deficit;
		if (n == 0 && line_share(l, line, now) > 0)
			return true;	/* what is due waits for its change */
	}
}

/* Deficit round robin: a lane that has more than its turn allows goes behind
 * the others, with what its turn has left over. */
void
schedule_lanes(struct queue *q)
{
	unsigned budget = TURN_MAX;
	struct lane *l;

	if (q->n_failing >= FAILING_MAX)
		return;			/* they stay on q->ready */
	while (budget > 0 && (l = TAILQ_FIRST(&q->ready)) != NULL) {
		TAILQ_REMOVE(&q->ready, l, ready_link);
		l->ready = false;
		lane_changed(l);
		if (q->draining)
			continue;
		l->deficit += SHARE_QUANTUM;
		if (schedule_lane(q, l, &budget))
			l->deficit = 0;
		else
			lane_kick(q, l);
	}
	if (!TAILQ_EMPTY(&q->ready))
		queue_later(q);
}

/* Wall ms when somebody has to look at it, if nothing happens before; NEVER. */
static uint64_t
lane_wake(const struct lane *l)
{
	uint64_t at;

	if (!lane_is_open(l))
		return closed_wake(l);
	at = rate_wake(l);
	if (lane_free_slots(l) == 0)
		return at;		/* one that ends looks again */
	if (l->next_due[LINE_RETRY] < at)
		at = l->next_due[LINE_RETRY];
	if (l->next_due[LINE_FRESH] < at)
		at = l->next_due[LINE_FRESH];
	return at;
}

/* The alarm looks at all lanes; in a turn only those that have changed can
 * make it ring sooner. */
void
schedule_alarm(struct queue *q)
{
	uint64_t now = clock_real_ms(), at, ms;
	uint64_t most = q->clock_moves ? SLEEP_MOVING : SLEEP_MAX;
	struct lane *l;

	if (q->draining)
		return;
	at = offline_wake(q);
	while ((l = TAILQ_FIRST(&q->changed)) != NULL) {
		TAILQ_REMOVE(&q->changed, l, changed_link);
		l->changed = false;
		if (lane_wake(l) < at)
			at = lane_wake(l);
	}
	if (at >= q->alarm_at)
		return;
	q->alarm_at = at;
	ms = at > now ? at - now : 0;
	loop_alarm_set(&q->alarm, ms < most ? ms : most);
}

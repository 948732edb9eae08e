/*
 * When a recipient is tried again.  Run by queue.
 */
#include "base/clock.h"
#include "queue/internal.h"

#define STEP_DEFAULT 3600000u
#define JITTER_PERCENT 10

/* The last step of the schedule repeats. */
static uint64_t
retry_plain(const struct queue *q, uint32_t attempts)
{
	const struct conf_durations *d = &q->conf->retry;
	size_t i = attempts > 0 ? attempts - 1 : 0;

	if (d->n == 0)
		return STEP_DEFAULT;
	return d->v[i < d->n ? i : d->n - 1];
}

/* Messages of one second get the same: they stay neighbours in the due table,
 * and a million of them are read in the order in which they lie on the disk.
 * Where q lies makes it another in each process. */
static uint64_t
retry_jitter(const struct queue *q, uint64_t v)
{
	uint64_t x = clock_real_ms() / 1000 + (uint64_t)(uintptr_t)q;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;	/* splitmix64 */
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	x ^= x >> 31;
	return v - v * JITTER_PERCENT / 100 +
	    v * 2 * JITTER_PERCENT / 100 * (x % 1001) / 1000;
}

uint64_t
retry_step(const struct queue *q, uint32_t attempts)
{
	return retry_jitter(q, retry_plain(q, attempts));
}

uint64_t
retry_crash_step(const struct queue *q, uint32_t attempts)
{
	uint64_t plain = retry_plain(q, attempts);
	uint64_t soon = attempts < 20 ? 1000ull << attempts : plain;

	return soon < plain ? soon : plain;
}

uint64_t
retry_time(const struct queue *q, struct retry_time *t, uint32_t attempts,
    uint64_t now)
{
	if (t->time == 0 || t->attempts != attempts) {
		t->attempts = attempts;
		t->time = now + retry_step(q, attempts);
	}
	return t->time;
}

uint64_t
retry_due(const struct queue *q, const struct record *r, uint32_t attempts,
    uint64_t now)
{
	uint64_t due = now + retry_step(q, attempts);
	uint64_t end = retry_expires(q, r);

	if (due > end)
		due = end > now ? end : now;
	return due;
}

/*
 * When a recipient is tried again, and when it is given up.  Run by queue.
 */
#include "base/clock.h"
#include "base/rand.h"
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

uint64_t
retry_step(const struct queue *q, uint32_t attempts)
{
	return rand_jitter(retry_plain(q, attempts), JITTER_PERCENT);
}

uint64_t
retry_crash_step(const struct queue *q, uint32_t attempts)
{
	uint64_t plain = retry_plain(q, attempts);
	uint64_t soon = attempts < 20 ? 1000ull << attempts : plain;

	return soon < plain ? soon : plain;
}

uint64_t
retry_expires(const struct queue *q, const struct record *r)
{
	uint64_t life = q->conf->expire + r->not_counted;

	if (life > q->conf->expire_max)
		life = q->conf->expire_max;
	return r->env->received_ms + life;
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

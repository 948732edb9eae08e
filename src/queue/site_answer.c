/*
 * Results that need no connection: what the name system says of a domain.  Run
 * by queue.
 *
 * What a name server cannot say is temporary, always.  A domain that does not
 * exist fails for good only when it is said again at a later attempt, asked
 * past all caches (the record remembers the first time); a null MX at once.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/internal.h"
#include "queue/site_private.h"

#define GONE_MS (5u * 60 * 1000)	/* between the two answers */

void
site_fail(struct attempt *a, enum job_class class, uint16_t code,
    const uint8_t status[3], const char *text)
{
	struct msg_job_done d;

	job_own_result(a, class, code, status, text, &d);
	a->sent_us = clock_mono_us();
	settle_job(a, &d);
	msg_job_done_clear(&d);
}

void
site_refuse(struct attempt *a, const char *text)
{
	static const uint8_t status[3] = { 5, 1, 3 };

	site_fail(a, JOB_SETTLED, 550, status, text);
}

/* The domain of a configuration that is wrong refuses nobody's mail. */
bool
site_is_theirs(const struct attempt *a)
{
	const char *fixed;

	return a->lane->transport != NULL &&
	    conf_transport_by_mx(a->lane->transport, &fixed) && fixed == NULL;
}

/* The second answer must be so much later than the first. */
static uint64_t
gone_after(const struct queue *q)
{
	const struct conf_durations *d = &q->conf->retry;
	uint64_t second = d->n == 0 ? GONE_MS : d->v[d->n > 1 ? 1 : 0];

	return second < GONE_MS ? second : GONE_MS;
}

/* All its recipients have heard it, so long before that time. */
bool
site_gone_before(const struct attempt *a, uint64_t at)
{
	uint64_t after = gone_after(a->m->q), since;
	size_t k;

	for (k = 0; k < a->n_rcpt; k++) {
		since = a->m->rec->rcpt[a->rcpt[k]].no_domain_since;
		if (since == 0 || at < since || at - since < after)
			return false;
	}
	return true;
}

void
site_gone(struct attempt *a, const struct site *e)
{
	static const uint8_t later[3] = { 4, 1, 2 };
	struct record *r = a->m->rec;
	char *text;
	size_t k;

	if (site_is_theirs(a) && e->fresh && site_gone_before(a, e->asked_at)) {
		site_fail(a, JOB_SETTLED, e->answer.code, e->answer.status,
		    e->answer.text);
		return;
	}
	for (k = 0; k < a->n_rcpt; k++) {
		struct record_rcpt *rc = &r->rcpt[a->rcpt[k]];

		if (rc->no_domain_since == 0)
			rc->no_domain_since = clock_real_ms();
	}
	text = mem_printf("%s; to be asked once more before this is final",
	    e->answer.text);
	site_fail(a, JOB_UNREACHABLE, 450, later, text);
	free(text);
}

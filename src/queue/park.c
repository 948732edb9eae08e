/*
 * When what is closed is tried again: next hops by `probe`, credentials and
 * quotas by `probe-auth`, the network itself when there is none.  Run by
 * queue.
 *
 * A refused credential is never tried earlier than its steps say, so that no
 * account gets locked; what a human may have mended (a reload) is tried at
 * once.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

#define STEP_DEFAULT 300000u
#define RESET_MIN 60000u
#define RESET_MAX (7ull * 24 * 3600 * 1000)

static uint64_t
step_of(const struct conf_durations *d, uint32_t step)
{
	if (d->n == 0)
		return STEP_DEFAULT;
	return d->v[step < d->n ? step : d->n - 1];
}

uint64_t
probe_step(const struct lane *l)
{
	const struct conf *conf = l->q->conf;
	const struct conf_durations *d = &conf->probe;
	uint64_t ms;

	if (l->closed == CLOSED_CREDENTIAL || l->closed == CLOSED_QUOTA)
		return step_of(&conf->probe_auth, l->step);
	if (l->transport != NULL && l->transport->probe.n > 0)
		d = &l->transport->probe;
	ms = step_of(d, l->step);
	/* Never longer than its mail would wait by itself. */
	if (conf->retry.n > 0 && conf->retry.v[conf->retry.n - 1] < ms)
		ms = conf->retry.v[conf->retry.n - 1];
	return ms;
}

/* Probes that are further off than any step were set by a clock that was
 * ahead then. */
void
park_clock(struct queue *q)
{
	uint64_t now = clock_real_ms();
	struct lane *l;

	TAILQ_FOREACH(l, &q->lanes, link) {
		uint64_t most = now + (l->closed == CLOSED_QUOTA ? RESET_MAX :
		    probe_step(l));

		if (l->closed == CLOSED_NOT || l->closed == CLOSED_DAILY ||
		    l->next_probe == NEVER || l->next_probe <= most)
			continue;
		l->next_probe = now + probe_step(l);
		lane_kick(q, l);
	}
}

/* ---- what a reply tells ---- */

static uint64_t
unit_ms(const char *p)
{
	static const struct {
		const char *word;
		uint64_t ms;
	} units[] = {
		{ "sec", 1000 }, { "min", 60000 }, { "hour", 3600000 },
		{ "day", 86400000 }
	};
	size_t i;

	while (*p == ' ')
		p++;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strncasecmp(p, units[i].word, strlen(units[i].word)) == 0)
			return units[i].ms;
	return 0;
}

/* "... in 3600 seconds", "retry after 2 hours": a number behind such a word,
 * a unit behind the number. */
uint64_t
park_reset_time(const char *text, uint64_t now)
{
	static const char *const words[] = { " in ", " after ", " for " };
	uint64_t n, unit, ms;
	const char *p;
	size_t i;
	char *end;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		p = strcasestr(text, words[i]);
		if (p == NULL)
			continue;
		p += strlen(words[i]);
		if (!isdigit((unsigned char)*p))
			continue;
		n = strtoull(p, &end, 10);
		unit = unit_ms(end);
		if (unit == 0 || n > RESET_MAX / unit)
			continue;
		ms = n * unit;
		return now + (ms > RESET_MIN ? ms : RESET_MIN);
	}
	return 0;
}

bool
park_needs_human(const char *text)
{
	return strcasestr(text, "invalid_grant") != NULL;
}

void
park_view(struct queue *q)
{
	struct lane *l;

	if (q->us->closed != CLOSED_NOT)
		q->us->next_probe = clock_real_ms();
	TAILQ_FOREACH(l, &q->lanes, link) {
		l->proven = false;
		if (l->closed != CLOSED_CREDENTIAL &&
		    l->closed != CLOSED_UNREACHABLE)
			continue;
		/* Only those that are about to come know what is new. */
		l->since_view = q->views;
		l->probe_again = l->probe_id != 0;
		lane_probe_now(l);
	}
}

void
park_credential(struct queue *q, const char *transport)
{
	struct lane *l;

	TAILQ_FOREACH(l, &q->lanes, link) {
		if (strcmp(l->name, transport) != 0)
			continue;
		/* What is under way may be about the one before. */
		l->probe_again = l->closed == CLOSED_NOT ? lane_used(l) > 0 :
		    l->probe_id != 0;
		if (l->closed == CLOSED_CREDENTIAL ||
		    l->closed == CLOSED_UNREACHABLE)
			lane_probe_now(l);
	}
}

void
park_auth(struct queue *q)
{
	struct lane *l;

	TAILQ_FOREACH(l, &q->lanes, link)
		if (l->closed == CLOSED_CREDENTIAL && l->next_probe == NEVER)
			lane_probe_now(l);
}

/* ---- no network ---- */

static void
kick_network(struct queue *q)
{
	struct lane *l;

	TAILQ_FOREACH(l, &q->lanes, link)
		if (lane_is_network(l))
			lane_kick(q, l);
	queue_later(q);
}

void
offline_begin(struct queue *q, const char *text)
{
	struct lane *us = q->us;

	free(us->why);
	us->why = mem_strdup(text);
	if (us->closed == CLOSED_NOT) {
		us->closed = CLOSED_OFFLINE;
		us->step = 0;
		lane_shut(us);
		log_begin(LL_WARN, "offline");
		log_str("why", text);
		log_str("text", "this machine has no network: all mail to "
		    "other machines waits until it has; no attempt is "
		    "counted");
		log_end();
		kick_network(q);
	}
	us->next_probe = clock_real_ms() + probe_step(us);
	lane_save(us, NULL, NULL);
}

void
offline_end(struct queue *q)
{
	struct lane *us = q->us;

	if (us->closed == CLOSED_NOT)
		return;
	us->closed = CLOSED_NOT;
	us->until = clock_real_ms();
	us->next_probe = 0;
	us->probe_id = 0;
	log_msg(LL_INFO, "online", "there is a network again: all mail that "
	    "is due goes out");
	lane_save(us, NULL, NULL);
	kick_network(q);
}

/* The lane whose mail has waited longest. */
static struct lane *
offline_lane(struct queue *q)
{
	struct lane *l, *best = NULL;
	uint64_t at, first = NEVER;

	TAILQ_FOREACH(l, &q->lanes, link) {
		if (!lane_is_network(l) || lane_is_gone(l) ||
		    lane_is_paused(l) || l->closed == CLOSED_DAILY ||
		    l->closed == CLOSED_CREDENTIAL)
			continue;
		at = l->next_due[LINE_RETRY] < l->next_due[LINE_FRESH] ?
		    l->next_due[LINE_RETRY] : l->next_due[LINE_FRESH];
		if (at < first) {
			first = at;
			best = l;
		}
	}
	return best;
}

uint64_t
offline_wake(struct queue *q)
{
	if (q->us->closed == CLOSED_NOT || q->us->probe_id != 0 ||
	    offline_lane(q) == NULL)
		return NEVER;
	return q->us->next_probe;
}

void
offline_run(struct queue *q)
{
	struct lane *us = q->us, *l;

	if (us == NULL || us->closed == CLOSED_NOT || us->probe_id != 0 ||
	    q->draining || us->next_probe > clock_real_ms())
		return;
	l = offline_lane(q);
	if (l != NULL)
		(void)probe_begin(l, true);
}

/*
 * Lanes of sites that nothing is in any more are forgotten, or their number
 * would grow with every domain that was ever written to.  Run by queue, at its
 * start and with its sweeps.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/internal.h"

static void
mark(struct lane *l)
{
	if (l != NULL)
		l->in_use = true;
}

static void
mark_keys(const struct queue *q, const struct due_keys *keys)
{
	size_t i;

	for (i = 0; i < keys->n; i++)
		mark(lane_of_id(q, keys->v[i].lane));
}

/* All that a message in RAM may still come back to. */
static void
mark_message(const struct queue *q, const struct message *m)
{
	const struct record *r = m->rec;
	const struct attempt *a;
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++)
		mark(lane_of_id(q, r->rcpt[i].lane));
	mark_keys(q, &m->keys);
	mark_keys(q, &m->next_keys);
	mark_keys(q, &m->reports);
	TAILQ_FOREACH(a, &m->attempts, link) {
		mark(a->home);
		mark(a->lane);
		for (i = 0; i < a->n_via; i++)
			mark(a->via[i]);
	}
}

static bool
has_due(struct queue *q, const struct lane *l)
{
	struct store_due d;
	enum line line;

	for (line = LINE_RETRY; line < LINES; line++) {
		if (store_due_scan(q->store, lane_line(l, line), NEVER, NULL,
		    &d, 1) > 0 || store_due_scan(q->store, lane_line(l, line) |
		    STORE_LEASED, NEVER, NULL, &d, 1) > 0)
			return true;
	}
	return false;
}

static void
dropped(void *arg, int code, const char *text)
{
	(void)arg;
	if (code != 0)
		log_msg(LL_WARN, "queue", "lanes not forgotten: %s", text);
}

/* It could be probed by now, if there were any mail for it.  The next message
 * finds out anew. */
static bool
is_forsaken(const struct lane *l, uint64_t now)
{
	return l->closed == CLOSED_UNREACHABLE && l->next_probe <= now &&
	    !l->paused && l->probe_id == 0;
}

/* Something is under way in it, or it knows what is worth keeping. */
static bool
is_busy(const struct lane *l)
{
	return l->n_ahead > 0 || l->n_fetched > 0 || lane_used(l) > 0 ||
	    l->n_away > 0 || !TAILQ_EMPTY(&l->waiting) ||
	    (l->closed != CLOSED_NOT && !is_forsaken(l, clock_real_ms())) ||
	    l->paused || l->drain || l->dirty ||
	    l->saving || l->hungry || l->probe_id != 0 ||
	    !TAILQ_EMPTY(&l->ops) || l->q->mover == l;
}

void
sites_prune(struct queue *q)
{
	struct store_change *c = NULL;
	struct lane *l, *next;
	struct message *m;
	size_t pos = 0;

	TAILQ_FOREACH(l, &q->lanes, link)
		l->in_use = l->site == NULL || is_busy(l);
	while ((m = htab_next(q->messages, &pos, NULL)) != NULL)
		mark_message(q, m);
	sites_mark(q);
	for (l = TAILQ_FIRST(&q->lanes); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		if (l->in_use || has_due(q, l))
			continue;
		if (l->closed != CLOSED_NOT) {
			/* It goes with a later sweep. */
			lane_reopen(l, "no mail waits for it");
			continue;
		}
		if (l->stored && c == NULL)
			c = store_change_new(q->store);
		if (l->stored)
			store_del_lane(c, l->id);
		window_forget(l);
		lane_forget(q, l);
	}
	if (c != NULL)
		queue_commit(q, &c, true, NULL, dropped, NULL);
}

/*
 * A lane has been opened again: all that waits in it is due now, whatever its
 * due time says, and each message once.  A cursor goes through each line; what
 * has been tried since the opening is passed over, so that a restart in the
 * middle begins anew and repeats nothing.  Run by queue.
 */
#include "base/clock.h"
#include "base/log.h"
#include "queue/internal.h"

#define BITE 64
/* Entries passed over in one go. */
#define PASS_MAX 512

void
drain_begin(struct lane *l)
{
	struct message *m;
	enum line line;
	size_t pos = 0;

	l->drain = true;
	l->drain_from = clock_real_ms();
	/* What was tried in this very millisecond is meant, too. */
	if (l->drain_from <= l->last_counted)
		l->drain_from = l->last_counted + 1;
	for (line = 0; line < LINES; line++)
		l->drain_begun[line] = l->drain_done[line] = false;
	/* The store does not show yet where these wait. */
	while ((m = htab_next(l->q->messages, &pos, NULL)) != NULL)
		m->missed |= m->writing || m->dirty || m->retrying;
	lane_kick(l->q, l);
}

void
drain_missed(struct message *m)
{
	struct lane *l;
	size_t i;

	if (!m->missed)
		return;
	m->missed = m->dirty || m->again;
	for (i = 0; i < m->keys.n; i++) {
		enum line line = m->keys.v[i].lane & LINE_FRESH ? LINE_FRESH :
		    LINE_RETRY;

		if ((m->keys.v[i].lane & STORE_LEASED) != 0)
			continue;
		l = lane_of_id(m->q, m->keys.v[i].lane);
		if (l == NULL || l->drain_from == 0 || !lane_is_open(l))
			continue;
		l->drain = true;
		l->drain_begun[line] = l->drain_done[line] = false;
		lane_kick(m->q, l);
	}
}

bool
drain_waits(const struct lane *l, enum line line)
{
	return l->drain && !l->drain_done[line];
}

static void
drain_line_done(struct lane *l, enum line line)
{
	l->drain_done[line] = true;
	if (!l->drain_done[LINE_RETRY] || !l->drain_done[LINE_FRESH])
		return;
	l->drain = false;
	lane_save(l, NULL, NULL);
}

/* Some recipient there has not been tried since the opening. */
static bool
drain_means(const struct message *m, const struct lane *l,
    const struct store_due *d)
{
	const struct record *r = m->rec;
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++)
		if (r->rcpt[i].state == RCPT_PENDING &&
		    r->rcpt[i].lane == d->lane && r->rcpt[i].due == d->time &&
		    r->rcpt[i].last_attempt < l->drain_from)
			return true;
	return false;
}

/* true: it waits for a slot. */
static bool
drain_entry(struct lane *l, enum line line, const struct store_due *d,
    unsigned *begun)
{
	struct message *m = message_find(l->q, d->id);
	struct err e = { 0, "" };
	bool left;

	if (m == NULL)
		m = message_load(l->q, d->id, true, &e);
	if (m == NULL) {
		schedule_unreadable(l->q, d, &e);
		return false;
	}
	if (!drain_means(m, l, d)) {
		message_rest(m);
		return false;
	}
	left = schedule_entry(l, line, d);
	if (!left)
		(*begun)++;
	return left;
}

unsigned
drain_line(struct lane *l, enum line line, unsigned max)
{
	struct store_due d[BITE];
	unsigned begun = 0, passed = 0;
	size_t i, n;

	do {
		n = store_due_scan(l->q->store, lane_line(l, line), NEVER,
		    l->drain_begun[line] ? &l->drained[line] : NULL, d, BITE);
		for (i = 0; i < n; i++) {
			if (begun >= max || lane_lease_room(l) == 0)
				return begun;
			/* The turn is long enough, or soon will be. */
			if (passed++ >= PASS_MAX)
				return begun > max / 2 ? begun : max / 2 + 1;
			if (drain_entry(l, line, &d[i], &begun))
				return begun;
			l->drained[line] = d[i];
			l->drain_begun[line] = true;
		}
	} while (n == BITE);
	drain_line_done(l, line);
	return begun;
}

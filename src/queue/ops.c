/*
 * What an administrator does to messages: retry, hold, release, remove,
 * bounce.  Run by queue, asked by the control socket.
 *
 * A message that is being delivered is not torn away from the server: hold
 * lets the attempt end, remove and bounce take what is left after it.  Those
 * two wishes are forgotten if the queue dies meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/internal.h"

/* The message, or done() has been called with what is wrong. */
static struct message *
op_begin(struct queue *q, uint64_t id, queue_op_done *done, void *arg)
{
	struct err e = { 0, "" };
	struct message *m = NULL;

	if (q->store == NULL || q->draining) {
		done(arg, id, QUEUE_OP_FAILED, "the queue is ending");
		return NULL;
	}
	m = message_load(q, id, false, &e);
	if (m == NULL) {
		done(arg, id, e.code == ENOENT ? QUEUE_OP_UNKNOWN :
		    QUEUE_OP_FAILED, e.text);
		return NULL;
	}
	if (!m->stored || m->gone || m->damaged ||
	    (m->writing && m->next_gone)) {
		done(arg, id, QUEUE_OP_UNKNOWN, "no such message");
		return NULL;
	}
	return m;
}

/* done() once the change is durable. */
static void
op_end(struct message *m, const char *event, queue_op_done *done, void *arg)
{
	struct op_wait *w = mem_zalloc(sizeof(*w));

	line_id(LL_INFO, event, m->id, NULL);
	w->done = done;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&m->ops, w, link);
	message_touch(m, true);
}

static void
op_nothing(struct message *m, queue_op_done *done, void *arg,
    const char *text)
{
	uint64_t id = m->id;

	message_rest(m);
	done(arg, id, QUEUE_OP_NOTHING, text);
}

static bool
is_waiting(const struct record_rcpt *rc)
{
	return rc->state == RCPT_PENDING && (rc->lane & STORE_LEASED) == 0;
}

/* Due now, by the routes of now. */
static size_t
all_due(struct message *m)
{
	size_t i, n = 0;

	for (i = 0; i < m->rec->env->recipient_count; i++) {
		if (!is_waiting(&m->rec->rcpt[i]))
			continue;
		settle_reschedule(m, i, clock_real_ms());
		n++;
	}
	return n;
}

/* A probe by hand: once the message is due, it or one that waits longer. */
static bool
retry_probes(struct lane *l)
{
	if (lane_is_offline(l)) {
		l->q->us->next_probe = clock_real_ms();
		return true;
	}
	if (lane_is_paused(l) || (l->closed != CLOSED_UNREACHABLE &&
	    l->closed != CLOSED_QUOTA))
		return false;
	l->asked = true;
	return true;
}

/* All that it could take is paused, or parked by a credential that is not to
 * be tried for this: says so, else NULL. */
static const char *
retry_closed(struct message *m, char *text, size_t n)
{
	struct strbuf why = STRBUF_INIT;
	struct lane *l = NULL;
	struct route_pick pick;
	size_t i;

	for (i = 0; i < m->rec->env->recipient_count; i++) {
		if (!is_waiting(&m->rec->rcpt[i]))
			continue;
		route_pick(m->q, m->rec, i, &pick);
		if (pick.n_via == 0)
			return NULL;
		l = pick.via[0];
		if (retry_probes(l) || route_admitted(&pick))
			return NULL;
	}
	if (l == NULL)
		return NULL;
	lane_trouble(l, &why);
	snprintf(text, n, "%.180s%s", strbuf_cstr(&why), lane_is_gone(l) ?
	    "" : l->account != NULL ? "; `relayctl account resume` ends that" :
	    lane_is_paused(l) ? "; `relayctl transport resume` ends that" :
	    "; `relayctl account resume` tries it");
	strbuf_free(&why);
	return text;
}

void
queue_op_retry(struct queue *q, uint64_t id, queue_op_done *done, void *arg)
{
	struct message *m = op_begin(q, id, done, arg);
	const char *closed;
	char text[300];

	if (m == NULL)
		return;
	if (m->rec->held) {
		op_nothing(m, done, arg, "is held");
		return;
	}
	message_take_back(m);
	closed = retry_closed(m, text, sizeof(text));
	if (closed != NULL)
		op_nothing(m, done, arg, closed);
	else if (all_due(m) == 0)
		op_nothing(m, done, arg, "is being delivered");
	else
		op_end(m, "retry", done, arg);
}

void
queue_op_hold(struct queue *q, uint64_t id, queue_op_done *done, void *arg)
{
	struct message *m = op_begin(q, id, done, arg);
	size_t i;

	if (m == NULL)
		return;
	if (m->rec->held) {
		op_nothing(m, done, arg, "is held already");
		return;
	}
	m->rec->held = true;
	for (i = 0; i < m->rec->env->recipient_count; i++) {
		if (!is_waiting(&m->rec->rcpt[i]))
			continue;
		m->rec->rcpt[i].lane = 0;
		m->rec->rcpt[i].due = 0;
	}
	message_take_back(m);
	op_end(m, "hold", done, arg);
}

void
queue_op_release(struct queue *q, uint64_t id, queue_op_done *done,
    void *arg)
{
	struct message *m = op_begin(q, id, done, arg);

	if (m == NULL)
		return;
	if (!m->rec->held) {
		op_nothing(m, done, arg, "is not held");
		return;
	}
	m->rec->held = false;
	(void)all_due(m);
	op_end(m, "release", done, arg);
}

/* ---- the end of a message ---- */

static void
end_removed(struct message *m)
{
	size_t i;

	m->end = "removed by the administrator";
	for (i = 0; i < m->rec->env->recipient_count; i++) {
		struct record_rcpt *rc = &m->rec->rcpt[i];

		if (rc->state != RCPT_PENDING)
			continue;
		rc->state = RCPT_FAILED;
		rc->lane = 0;
		rc->due = 0;
	}
}

static void
end_bounced(struct message *m)
{
	size_t i;

	m->end = "bounced by the administrator";
	for (i = 0; i < m->rec->env->recipient_count; i++)
		if (m->rec->rcpt[i].state == RCPT_PENDING)
			settle_fail(m, i, RCPT_FAILED, 554, 0, 0,
			    "Returned by the administrator");
}

void
message_finish(struct message *m)
{
	if (!TAILQ_EMPTY(&m->attempts))
		return;
	if (record_pending(m->rec) == 0) {
		if (m->end == NULL)	/* it was delivered after all */
			m->removing = m->bouncing = false;
		return;
	}
	if (m->removing)
		end_removed(m);
	else if (m->bouncing)
		end_bounced(m);
}

static void
op_finish(struct message *m, const char *event, queue_op_done *done,
    void *arg)
{
	message_take_back(m);
	if (!TAILQ_EMPTY(&m->attempts)) {
		done(arg, m->id, QUEUE_OP_LATER,
		    "is being delivered; this is done when that ends");
		return;
	}
	message_finish(m);
	op_end(m, event, done, arg);
}

void
queue_op_remove(struct queue *q, uint64_t id, queue_op_done *done, void *arg)
{
	struct message *m = op_begin(q, id, done, arg);

	if (m == NULL)
		return;
	m->removing = true;
	op_finish(m, "remove", done, arg);
}

void
queue_op_bounce(struct queue *q, uint64_t id, queue_op_done *done, void *arg)
{
	struct message *m = op_begin(q, id, done, arg);

	if (m == NULL)
		return;
	m->bouncing = true;
	op_finish(m, "bounce-requested", done, arg);
}

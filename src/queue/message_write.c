/*
 * From the record in RAM to the store: one change for each message and turn,
 * never two of one message under way.  Run by queue.
 *
 * A change that fails is made anew a second later from the same record, so a
 * disk that was full for a while costs time and nothing else.  Only a message
 * that is not stored yet is given up: its listener says why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

#define AGAIN_MS 1000u

void
message_touch(struct message *m, bool urgent)
{
	m->urgent |= urgent;
	if (m->dirty || m->retrying || m->gone)
		return;
	m->dirty = true;
	TAILQ_INSERT_TAIL(&m->q->dirty, m, dirty_link);
	queue_later(m->q);
}

void
message_failing(struct message *m, bool failing)
{
	struct queue *q = m->q;

	if (m->failing == failing)
		return;
	m->failing = failing;
	if (failing) {
		q->n_failing++;
	} else if (q->n_failing-- == FAILING_MAX) {
		queue_later(q);		/* lanes wait for this */
	}
}

void
message_keys(const struct record *r, struct due_keys *out)
{
	size_t i, k;

	for (i = 0; i < r->env->recipient_count; i++) {
		const struct record_rcpt *rc = &r->rcpt[i];
		struct due_key *key;

		if (rc->state != RCPT_PENDING || rc->lane == 0)
			continue;
		/* Most recipients stand where the one before stands. */
		for (k = out->n; k > 0; k--)
			if (out->v[k - 1].lane == rc->lane &&
			    out->v[k - 1].time == rc->due)
				break;
		if (k > 0)
			continue;
		key = mem_push(&out->v, &out->n, sizeof(*key));
		key->lane = rc->lane;
		key->time = rc->due;
	}
}

static bool
keys_have(const struct due_keys *keys, const struct due_key *key)
{
	size_t i;

	for (i = 0; i < keys->n; i++)
		if (keys->v[i].lane == key->lane &&
		    keys->v[i].time == key->time)
			return true;
	return false;
}

static void
keys_clear(struct due_keys *keys)
{
	free(keys->v);
	keys->v = NULL;
	keys->n = 0;
}

/* A lane that the store does not know yet goes along. */
static void
write_lane(struct queue *q, struct store_change *c, uint32_t id)
{
	struct lane *l = lane_of_id(q, id);

	struct strbuf state = STRBUF_INIT;

	if (l == NULL || l->stored)
		return;
	lane_state_encode(l, &state);
	store_put_lane(c, l->id, strbuf_slice(&l->key), strbuf_slice(&state));
	strbuf_free(&state);
}

static void
write_keys(struct message *m, struct store_change *c)
{
	size_t i;

	if (!m->next_gone)
		message_keys(m->rec, &m->next_keys);
	for (i = 0; i < m->keys.n; i++)
		if (!keys_have(&m->next_keys, &m->keys.v[i]))
			store_due_del(c, m->keys.v[i].lane,
			    m->keys.v[i].time, m->id);
	for (i = 0; i < m->next_keys.n; i++) {
		if (keys_have(&m->keys, &m->next_keys.v[i]))
			continue;
		write_lane(m->q, c, m->next_keys.v[i].lane);
		store_due_add(c, m->next_keys.v[i].lane,
		    m->next_keys.v[i].time, m->id);
	}
	for (i = 0; i < m->reports.n; i++)
		write_lane(m->q, c, m->reports.v[i].lane);
}

static void
write_counts(struct message *m, struct store_change *c)
{
	m->next_counted = m->next_gone ? COUNT_KINDS :
	    (uint8_t)message_class(m->rec);
	if (m->next_counted == m->counted)
		return;
	if (m->counted != COUNT_KINDS)
		store_count(c, m->counted, -1);
	if (m->next_counted != COUNT_KINDS)
		store_count(c, m->next_counted, 1);
}

static void
write_history(struct message *m, struct store_change *c)
{
	struct strbuf text = STRBUF_INIT;

	history_text(m, &text);
	store_put_history(c, clock_real_ms(), m->id, strbuf_slice(&text));
	strbuf_free(&text);
}

static void
message_written(void *arg, int code, const char *text);

/* What belongs to this change is marked, so that what comes while it is under
 * way is told apart. */
static void
write_mark(struct message *m)
{
	struct attempt *a;
	struct op_wait *w;

	TAILQ_FOREACH(a, &m->attempts, link)
		if (a->state == ATTEMPT_LEASING)
			a->state = ATTEMPT_RECORDING;
	TAILQ_FOREACH(w, &m->ops, link)
		w->written = true;
	m->writing = true;
}

void
message_write(struct message *m, struct store_change *c)
{
	bool fresh = c != NULL;
	size_t reports;

	if (m->writing) {		/* again once that one has ended */
		m->retrying = false;
		m->again = true;
		return;
	}
	if (c == NULL)
		c = store_change_new(m->q->store);
	reports = m->damaged ? 0 : bounce_add(m, c);
	m->next_gone = m->damaged || record_pending(m->rec) == 0;
	m->commit_fault = fresh ? "queue.before_commit" :
	    reports > 0 ? "queue.bounce.before_commit" :
	    m->pinning ? "queue.pin.before_commit" :
	    m->urgent ? NULL :
	    m->moving ? "queue.move.before_commit" :
	    "queue.settle.before_commit";
	m->done_fault = fresh ? "queue.after_commit_before_reply" :
	    m->pinning ? "queue.pin.after_commit" :
	    m->urgent ? "queue.after_lease" :
	    m->moving ? "queue.move.after_commit" :
	    "queue.settle.after_commit";
	m->pinning = false;
	write_keys(m, c);
	write_counts(m, c);
	if (m->damaged)
		store_quarantine(c, m->id, COUNT_KINDS);
	else if (m->next_gone) {
		write_history(m, c);
		store_delete(c, m->rec);
	} else if (!fresh)
		store_put_state(c, m->rec);
	write_mark(m);
	queue_commit(m->q, &c, !fresh && !m->urgent, m->commit_fault,
	    message_written, m);
	m->urgent = false;
}

/* ---- what comes of it ---- */

/* What the store has is left as it is: nothing at all, or leases that the
 * next start takes back. */
static void
written_given_up(struct message *m, int code)
{
	struct attempt *a, *next;
	struct op_wait *w;

	ingest_answer(m, code);
	for (a = TAILQ_FIRST(&m->attempts); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->state != ATTEMPT_RUNNING)
			attempt_free(a);
	}
	while ((w = TAILQ_FIRST(&m->ops)) != NULL) {
		TAILQ_REMOVE(&m->ops, w, link);
		w->done(w->arg, m->id, QUEUE_OP_FAILED, strerror(code));
		free(w);
	}
	message_rest(m);
}

static void
written_failed(struct message *m, int code, const char *text)
{
	struct queue *q = m->q;
	struct attempt *a;
	struct op_wait *w;

	line_id(LL_ERROR, "commit", m->id, text);
	keys_clear(&m->next_keys);
	keys_clear(&m->reports);
	bounce_told(m, false);
	closed_moved(m);
	m->again = false;
	if (m->dirty) {
		TAILQ_REMOVE(&q->dirty, m, dirty_link);
		m->dirty = false;
	}
	if (!m->stored || q->draining) {
		written_given_up(m, code);
		return;
	}
	TAILQ_FOREACH(a, &m->attempts, link)
		if (a->state == ATTEMPT_RECORDING)
			a->state = ATTEMPT_LEASING;
	TAILQ_FOREACH(w, &m->ops, link)
		w->written = false;
	m->retrying = true;
	TAILQ_INSERT_TAIL(&q->failed, m, dirty_link);
	if (!loop_timer_running(&q->failed_timer))
		loop_timer_set(q->loop, &q->failed_timer, AGAIN_MS);
	message_failing(m, true);
	message_rest(m);
}

static void
written_lanes(struct message *m)
{
	struct queue *q = m->q;
	struct lane *l;
	size_t i;

	for (i = 0; i < m->keys.n; i++) {
		l = lane_of_id(q, m->keys.v[i].lane);
		if (l != NULL)
			l->stored = true;
		lane_due(q, m->keys.v[i].lane, m->keys.v[i].time);
	}
	for (i = 0; i < m->reports.n; i++) {
		l = lane_of_id(q, m->reports.v[i].lane);
		if (l != NULL)
			l->stored = true;
		lane_due(q, m->reports.v[i].lane, m->reports.v[i].time);
	}
	keys_clear(&m->reports);
}

static void
written_ops(struct message *m)
{
	struct op_wait *w, *next;

	for (w = TAILQ_FIRST(&m->ops); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (!w->written)
			continue;
		TAILQ_REMOVE(&m->ops, w, link);
		w->done(w->arg, m->id, QUEUE_OP_DONE, "");
		free(w);
	}
}

static struct attempt *
first_recorded(const struct message *m)
{
	struct attempt *a;

	TAILQ_FOREACH(a, &m->attempts, link)
		if (a->state == ATTEMPT_RECORDING)
			return a;
	return NULL;
}

/* Attempts that are recorded begin.  One that cannot may end others. */
static void
written_attempts(struct message *m)
{
	struct attempt *a;

	while ((a = first_recorded(m)) != NULL) {
		if (a->undo || m->q->draining) {
			lease_undo(a);
			message_finish(m);
			m->urgent = true;
			m->again = true;
		} else if (a->ahead) {
			lease_ahead(a);
		} else {
			job_start(a);
		}
	}
}

static void
message_written(void *arg, int code, const char *text)
{
	struct message *m = arg;
	bool fresh = !m->stored;

	m->writing = false;
	if (code != 0) {
		written_failed(m, code, text);
		return;
	}
	(void)FAULT(m->done_fault);
	message_failing(m, false);
	m->stored = true;
	free(m->keys.v);
	m->keys = m->next_keys;
	m->next_keys = (struct due_keys){ NULL, 0 };
	m->counted = m->next_counted;
	bounce_told(m, true);
	if (fresh) {
		line_received(m);
		ingest_answer(m, 0);
	}
	written_lanes(m);
	drain_missed(m);
	closed_moved(m);
	if (m->next_gone) {
		m->gone = true;
		line_id(m->damaged ? LL_ERROR : LL_INFO,
		    m->damaged ? "quarantined" : "removed", m->id, m->end);
		m->again = false;
	}
	written_ops(m);
	if (!m->next_gone)
		written_attempts(m);
	if (m->again) {
		m->again = false;
		message_touch(m, m->urgent);
	}
	message_rest(m);
}

/*
 * What the store's table knows of a lane beside its name: whether it takes
 * mail, and what goes with that.  Run by queue.
 *
 * A version, then parts: a tag and octets behind their length.  A part that
 * is not known, or damaged, is left out: a lane that was closed finds out
 * anew, and no mail depends on it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/wire.h"
#include "queue/internal.h"

#define STATE_VERSION 1
#define WHY_MAX 1000
#define PART_MAX 4096
#define AGAIN_MS 1000u

enum part {
	PART_CLOSURE = 1,
	PART_JUMPS = 2,			/* of queue->us */
	PART_RATE = 3
};

static void
put_part(struct strbuf *out, enum part tag, struct strbuf *b)
{
	wire_put_u8(out, (uint8_t)tag);
	wire_put_slice(out, strbuf_slice(b));
	strbuf_free(b);
}

static void
put_closure(const struct lane *l, struct strbuf *b)
{
	wire_put_u8(b, (uint8_t)l->closed);
	wire_put_u8(b, l->paused);
	wire_put_u8(b, l->still);
	wire_put_u8(b, l->drain);
	wire_put_u64(b, l->since);
	wire_put_u64(b, l->until);
	wire_put_u64(b, l->paused_since);
	wire_put_u64(b, l->next_probe);
	wire_put_u32(b, l->step);
	wire_put_u64(b, l->probe_id);
	wire_put_u64(b, l->drain_from);
	wire_put_str(b, l->why);
}

static void
put_jumps(const struct clock_jumps *j, struct strbuf *b)
{
	size_t i;

	for (i = 0; i < j->n; i++) {
		wire_put_u64(b, j->v[i].before);
		wire_put_u64(b, j->v[i].by);
	}
}

void
lane_state_encode(const struct lane *l, struct strbuf *out)
{
	struct strbuf b = STRBUF_INIT;

	wire_put_u8(out, STATE_VERSION);
	put_closure(l, &b);
	put_part(out, PART_CLOSURE, &b);
	if (l == l->q->us) {
		put_jumps(&l->q->jumps, &b);
		put_part(out, PART_JUMPS, &b);
	}
}

static void
get_closure(struct lane *l, struct slice s)
{
	struct wire_reader r = wire_reader(s);
	struct lane x;
	uint8_t how;

	memset(&x, 0, sizeof(x));
	how = wire_u8(&r);
	x.paused = wire_u8(&r) != 0;
	x.still = wire_u8(&r) != 0;
	x.drain = wire_u8(&r) != 0;
	x.since = wire_u64(&r);
	x.until = wire_u64(&r);
	x.paused_since = wire_u64(&r);
	x.next_probe = wire_u64(&r);
	x.step = wire_u32(&r);
	x.probe_id = wire_u64(&r);
	x.drain_from = wire_u64(&r);
	x.why = wire_str(&r, WHY_MAX);
	if (!wire_end(&r) || how > CLOSED_OFFLINE ||
	    (how != CLOSED_NOT && (how == CLOSED_OFFLINE) != l->us)) {
		free(x.why);
		return;
	}
	l->closed = (enum closure)how;
	l->paused = x.paused;
	l->still = x.still;
	l->drain = x.drain;
	l->since = x.since;
	l->until = x.until;
	l->paused_since = x.paused_since;
	l->next_probe = x.next_probe;
	l->step = x.step;
	l->probe_id = x.probe_id;
	l->drain_from = x.drain_from;
	free(l->why);
	l->why = x.why;
}

static void
get_jumps(struct clock_jumps *j, struct slice s)
{
	struct wire_reader r = wire_reader(s);

	j->n = 0;
	while (!r.bad && r.rest.n > 0 && j->n < JUMPS_MAX) {
		j->v[j->n].before = wire_u64(&r);
		j->v[j->n].by = wire_u64(&r);
		if (!r.bad)
			j->n++;
	}
}

void
lane_state_decode(struct lane *l, struct slice state)
{
	struct wire_reader r = wire_reader(state);

	if (wire_u8(&r) != STATE_VERSION)
		return;
	while (!r.bad && r.rest.n > 0) {
		uint8_t tag = wire_u8(&r);
		struct slice part = wire_slice(&r, PART_MAX);

		if (r.bad)
			return;
		if (tag == PART_CLOSURE)
			get_closure(l, part);
		else if (tag == PART_JUMPS)
			get_jumps(&l->q->jumps, part);
	}
}

/* ---- writing ---- */

static void
lane_mark(struct lane *l)
{
	if (!l->dirty) {
		l->dirty = true;
		TAILQ_INSERT_TAIL(&l->q->dirty_lanes, l, dirty_link);
	}
	queue_later(l->q);
}

void
lane_save(struct lane *l, queue_op_done *done, void *arg)
{
	struct op_wait *w;

	if (done != NULL) {
		w = mem_zalloc(sizeof(*w));
		w->done = done;
		w->arg = arg;
		TAILQ_INSERT_TAIL(&l->ops, w, link);
	}
	lane_changed(l);
	lane_mark(l);
}

/* Those whose wish was in the change are told. */
static void
lane_ops_end(struct lane *l, enum queue_op_result result, const char *text)
{
	struct op_wait *w, *next;

	for (w = TAILQ_FIRST(&l->ops); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (!w->written)
			continue;
		TAILQ_REMOVE(&l->ops, w, link);
		w->done(w->arg, 0, result, text);
		free(w);
	}
}

static void
lane_saved(void *arg, int code, const char *text)
{
	struct lane *l = arg;
	struct queue *q = l->q;

	l->saving = false;
	if (code == 0) {
		(void)FAULT("queue.park.after_commit");
		l->stored = true;
		lane_ops_end(l, QUEUE_OP_DONE, "");
		if (l->dirty)
			queue_later(q);
		return;
	}
	log_msg(LL_ERROR, "commit", "the state of %s is not kept: %s",
	    l->name[0] != 0 ? l->name : "a lane", text);
	lane_ops_end(l, QUEUE_OP_FAILED, text);
	if (q->draining)
		return;
	/* What it says is in force meanwhile. */
	lane_mark(l);
	q->lanes_failing = true;
	if (!loop_timer_running(&q->failed_timer))
		loop_timer_set(q->loop, &q->failed_timer, AGAIN_MS);
}

static void
lane_write(struct lane *l)
{
	struct store_change *c = store_change_new(l->q->store);
	struct strbuf state = STRBUF_INIT;
	struct op_wait *w;

	lane_state_encode(l, &state);
	store_put_lane(c, l->id, strbuf_slice(&l->key), strbuf_slice(&state));
	strbuf_free(&state);
	TAILQ_FOREACH(w, &l->ops, link)
		w->written = true;
	l->dirty = false;
	l->saving = true;
	queue_commit(l->q, &c, false, "queue.park.before_commit", lane_saved,
	    l);
}

void
lanes_write(struct queue *q)
{
	struct lane_list later = TAILQ_HEAD_INITIALIZER(later);
	struct lane *l;

	if (q->lanes_failing)
		return;
	while ((l = TAILQ_FIRST(&q->dirty_lanes)) != NULL) {
		TAILQ_REMOVE(&q->dirty_lanes, l, dirty_link);
		if (l->saving)		/* behind the one under way */
			TAILQ_INSERT_TAIL(&later, l, dirty_link);
		else
			lane_write(l);
	}
	TAILQ_CONCAT(&q->dirty_lanes, &later, dirty_link);
}

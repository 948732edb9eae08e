/*
 * Commands on many messages: list, and what is done to them.  Run by queue.
 *
 * A walk takes a slice in each turn, by a cursor, so that memory stays the
 * same and no read transaction outlives a turn.  An action makes one change
 * for each message; those of a slice share a transaction, and the next slice
 * begins when they are durable.
 */
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "queue/control_private.h"

#define REPORT_BITS 22			/* of an id, below its time */
#define REPORT_SLOT (0xffull << 14)	/* ids that queue gives out */

/* ---- walking ---- */

static void
walk_unknown(struct caller *cl, const char *id, const char *text)
{
	struct json_writer w;

	cl->tally.unknown++;
	if (cl->cmd->step == control_queue_list ||
	    cl->cmd->step == control_why)
		return;
	w = caller_item(cl);
	json_text(&w, "id", id);
	json_text(&w, "result", "unknown");
	json_text(&w, "text", text);
	caller_item_end(cl, &w);
}

/* name: as it was asked for, NULL in a walk through all. */
static bool
walk_one(struct caller *cl, uint64_t id, const char *name, walk_each *each)
{
	struct queue *q = cl->c->q;
	struct record *r = NULL;
	struct err e = { 0, "" };
	bool owned = false, more = true;
	const char *status;

	if (id == 0 || queue_message_get(q, id, &r, &owned, &e) < 0) {
		if (name != NULL)
			walk_unknown(cl, name, e.code == 0 ||
			    e.code == ENOENT ? "no such message" : e.text);
		return true;
	}
	status = queue_message_status(q, r);
	if (!caller_owns(cl, r)) {
		if (name != NULL)
			cl->denied = true;
	} else if (selector_match(&cl->req.sel, r, status, cl->began)) {
		cl->matched++;
		more = each(cl, r, status);
	}
	if (owned)
		record_free(&r);
	return more && (cl->req.sel.limit == 0 ||
	    cl->matched < cl->req.sel.limit);
}

/* A record can be large: one with a thousand recipients. */
static bool
is_filled(const struct caller *cl)
{
	return control_is_late(cl->c) || (cl->conn != NULL &&
	    conn_pending_out(cl->conn) > OUTPUT_HIGH);
}

static void
walk_ids(struct caller *cl, walk_each *each)
{
	const struct selector *sel = &cl->req.sel;
	size_t i;

	for (i = 0; i < CONTROL_SLICE && cl->next_id < sel->n_ids &&
	    !is_filled(cl); i++) {
		const struct selector_id *id = &sel->ids[cl->next_id++];

		if (!walk_one(cl, id->id, id->text, each)) {
			cl->walked = true;
			return;
		}
	}
	cl->walked = cl->next_id == sel->n_ids;
}

void
walk_slice(struct caller *cl, walk_each *each)
{
	uint64_t ids[CONTROL_SLICE];
	size_t i, n;

	if (cl->req.sel.n_ids > 0) {
		walk_ids(cl, each);
		return;
	}
	n = store_list(queue_store(cl->c->q), cl->cursor, ids,
	    CONTROL_SLICE);
	for (i = 0; i < n; i++) {
		if (is_filled(cl))
			return;
		cl->cursor = ids[i];
		if (!walk_one(cl, ids[i], NULL, each)) {
			cl->walked = true;
			return;
		}
	}
	cl->walked = n < CONTROL_SLICE;
}

/* ---- list ---- */

static bool
list_one(struct caller *cl, const struct record *r, const char *status)
{
	struct strbuf json = STRBUF_INIT;

	(void)status;
	queue_message_json(cl->c->q, r, &json);
	caller_item_raw(cl, strbuf_slice(&json));
	strbuf_free(&json);
	return true;
}

enum step
control_queue_list(struct caller *cl)
{
	walk_slice(cl, list_one);
	if (!cl->walked)
		return STEP_AGAIN;
	if (cl->denied && cl->matched == 0)
		return caller_end(cl, CTL_DENIED, "that message belongs to "
		    "somebody else");
	return caller_end(cl, CTL_OK, "%s", "");
}

/* ---- actions ---- */

static void
tell_result(struct caller *cl, uint64_t id, const char *result,
    const char *text)
{
	struct json_writer w = caller_item(cl);
	char name[NUM_ID_LEN + 1];

	num_id_text(id, name);
	json_text(&w, "id", name);
	json_text(&w, "result", result);
	json_text(&w, "text", text);
	caller_item_end(cl, &w);
}

static void
action_done(void *arg, uint64_t id, enum queue_op_result r, const char *text)
{
	struct caller *cl = arg;
	struct tally *t = &cl->tally;

	switch (r) {
	case QUEUE_OP_DONE:
		t->done++;
		break;
	case QUEUE_OP_LATER:
		t->later++;
		tell_result(cl, id, "later", text);
		break;
	case QUEUE_OP_NOTHING:
		t->idle++;
		tell_result(cl, id, "nothing", text);
		break;
	case QUEUE_OP_UNKNOWN:
		if (cl->req.sel.n_ids == 0) {
			cl->matched--;	/* has gone since it was found */
			break;
		}
		t->unknown++;
		tell_result(cl, id, "unknown", text);
		break;
	case QUEUE_OP_FAILED:
		t->failed++;
		tell_result(cl, id, "failed", text);
		break;
	}
	if (--cl->under_way == 0 && !cl->stepping)
		caller_wake(cl);
}

typedef void operation(struct queue *q, uint64_t id, queue_op_done *done,
    void *arg);

static void
act(struct caller *cl, uint64_t id, operation *op)
{
	cl->under_way++;
	op(cl->c->q, id, action_done, cl);
}

/* What a person asked for by hand must not look done when it is not. */
static bool
retry_one(struct caller *cl, const struct record *r, const char *status)
{
	uint64_t id = r->env->id;

	(void)status;
	if (r->held) {
		cl->tally.declined++;
		tell_result(cl, id, "declined", "is held: release it first");
	} else {
		act(cl, id, queue_op_retry);
	}
	return true;
}

static bool
hold_one(struct caller *cl, const struct record *r, const char *status)
{
	(void)status;
	act(cl, r->env->id, queue_op_hold);
	return true;
}

static bool
release_one(struct caller *cl, const struct record *r, const char *status)
{
	(void)status;
	act(cl, r->env->id, queue_op_release);
	return true;
}

static bool
remove_one(struct caller *cl, const struct record *r, const char *status)
{
	(void)status;
	act(cl, r->env->id, queue_op_remove);
	return true;
}

/* Reports that this very command has made are not bounced in their turn. */
static bool
bounce_one(struct caller *cl, const struct record *r, const char *status)
{
	uint64_t first = cl->began << REPORT_BITS | REPORT_SLOT;

	(void)status;
	if (cl->req.sel.n_ids == 0 && r->env->id >= first &&
	    r->env->protocol == MAIL_PROTO_REPORT)
		cl->matched--;
	else
		act(cl, r->env->id, queue_op_bounce);
	return true;
}

static bool
move_one(struct caller *cl, const struct record *r, const char *status)
{
	const char *to = cl->req.transport;

	(void)status;
	cl->under_way++;
	queue_op_move(cl->c->q, r->env->id, strcmp(to, "auto") == 0 ? NULL :
	    to, action_done, cl);
	return true;
}

static enum step
action_end(struct caller *cl)
{
	const struct tally *t = &cl->tally;
	unsigned long long n = t->done + t->later;
	bool ids = cl->req.sel.n_ids > 0;

	if (cl->denied)
		return caller_end(cl, CTL_DENIED, "a message belongs to "
		    "somebody else");
	if (cl->matched == 0 && !ids)
		return caller_end(cl, CTL_NONE, "no message matches");
	if (cl->matched == 0 && t->unknown == 0)
		return caller_end(cl, CTL_NONE, "none of them matches");
	if (t->unknown > 0 || t->failed > 0 ||
	    (t->declined > 0 && n + t->idle == 0))
		return caller_end(cl, CTL_NONE, "%llu done, %llu not",
		    n, (unsigned long long)(t->unknown + t->failed +
		    t->declined));
	return caller_end(cl, CTL_OK, "%llu done", n);
}

static enum step
action_step(struct caller *cl, walk_each *each)
{
	const struct tally *t = &cl->tally;
	uint64_t before = t->done;

	if (selector_empty(&cl->req.sel))
		return caller_end(cl, CTL_USAGE, "which messages?");
	if (cl->under_way > 0)
		return STEP_WAIT;
	if (cl->walked)
		return action_end(cl);
	if (before > 0)
		caller_progress(cl, before);
	walk_slice(cl, each);
	return cl->under_way > 0 ? STEP_WAIT : STEP_AGAIN;
}

enum step
control_queue_retry(struct caller *cl)
{
	return action_step(cl, retry_one);
}

enum step
control_queue_hold(struct caller *cl)
{
	return action_step(cl, hold_one);
}

enum step
control_queue_release(struct caller *cl)
{
	return action_step(cl, release_one);
}

enum step
control_queue_remove(struct caller *cl)
{
	return action_step(cl, remove_one);
}

enum step
control_queue_bounce(struct caller *cl)
{
	return action_step(cl, bounce_one);
}

enum step
control_queue_move(struct caller *cl)
{
	const char *to = cl->req.transport;

	if (to == NULL)
		return caller_end(cl, CTL_USAGE, "to which transport?");
	if (strcmp(to, "auto") != 0 && strcmp(to, "direct") != 0 &&
	    conf_transport_find(queue_conf(cl->c->q), to) == SIZE_MAX)
		return caller_end(cl, CTL_NONE, "there is no transport `%s`",
		    to);
	return action_step(cl, move_one);
}

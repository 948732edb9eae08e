/*
 * One message, and what is in it.  Run by queue.  What is shown is what a
 * next hop gets: our Received field in front, then the octets as they came.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mail/header.h"
#include "queue/control_private.h"

#define PIECE (48u * 1024)
#define HEADER_MAX (1u << 20)

/* Up to max octets of a body's file behind the head. */
static int
read_file(struct content *ct, size_t max, struct err *e)
{
	uint64_t left = ct->size - ct->at;
	size_t want = left < max ? (size_t)left : max;
	ssize_t n;

	n = pread(ct->fd, strbuf_room(&ct->head, want), want, (off_t)ct->at);
	if (n < 0)
		return err_errno(e, "reading the body");
	if (n == 0)
		return err_set(e, EIO, "the body's file is too short");
	ct->head.n += (size_t)n;
	ct->at += (uint64_t)n;
	return 0;
}

static int
cut_to_header(struct content *ct, size_t trace, struct err *e)
{
	struct header_scan scan;

	for (;;) {
		header_scan(slice_skip(strbuf_slice(&ct->head), trace),
		    &scan);
		if (scan.complete || ct->fd < 0 || ct->at == ct->size ||
		    ct->head.n >= HEADER_MAX)
			break;
		if (read_file(ct, PIECE, e) < 0)
			return -1;
	}
	ct->head.n = trace + scan.fields_end;
	ct->at = ct->size;
	return 0;
}

static int
content_open(struct caller *cl, const struct record *r, struct err *e)
{
	struct content *ct = &cl->content;
	struct store *s = queue_store(cl->c->q);
	struct record *copy = NULL;
	size_t trace;

	queue_message_trace(cl->c->q, r, &ct->head);
	trace = ct->head.n;
	if (r->body_kind == BODY_FILE) {
		ct->fd = store_open_body(s, r, e);
		if (ct->fd < 0)
			return -1;
		ct->size = r->body_size;
	} else {
		if (store_get_body(s, r->env->id, &copy, &ct->head, e) < 0)
			return -1;
		record_free(&copy);
	}
	return cl->req.headers ? cut_to_header(ct, trace, e) : 0;
}

static enum step
content_step(struct caller *cl)
{
	struct content *ct = &cl->content;
	struct err e = { 0, "" };

	if (ct->head.n > 0) {
		caller_data(cl, strbuf_slice(&ct->head));
		strbuf_clear(&ct->head);
	}
	if (ct->fd < 0 || ct->at == ct->size)
		return caller_end(cl, CTL_OK, "%s", "");
	if (read_file(ct, PIECE, &e) < 0)
		return caller_end(cl, CTL_NONE, "%s", e.text);
	return STEP_AGAIN;
}

enum step
control_queue_show(struct caller *cl)
{
	const struct selector *sel = &cl->req.sel;
	struct queue *q = cl->c->q;
	struct strbuf json = STRBUF_INIT;
	struct record *r = NULL;
	struct err e = { 0, "" };
	bool owned = false;
	enum step s = STEP_AGAIN;

	if (cl->content.begun)
		return content_step(cl);
	if (sel->n_ids != 1)
		return caller_end(cl, CTL_USAGE, "which message?");
	if (sel->ids[0].id == 0 ||
	    queue_message_get(q, sel->ids[0].id, &r, &owned, &e) < 0)
		return caller_end(cl, CTL_NONE, "%s: %s", sel->ids[0].text,
		    e.code == 0 || e.code == ENOENT ? "no such message" :
		    e.text);
	cl->content.begun = true;
	if (!caller_owns(cl, r)) {
		s = caller_end(cl, CTL_DENIED, "%s: belongs to somebody "
		    "else", sel->ids[0].text);
	} else {
		queue_message_json(q, r, &json);
		caller_item_raw(cl, strbuf_slice(&json));
		strbuf_free(&json);
		if (!cl->req.headers && !cl->req.content)
			s = caller_end(cl, CTL_OK, "%s", "");
		else if (content_open(cl, r, &e) < 0)
			s = caller_end(cl, CTL_NONE, "%s: %s",
			    sel->ids[0].text, e.text);
	}
	if (owned)
		record_free(&r);
	return s;
}

/*
 * Finished deliveries, and what there is to know of one message: in the queue
 * or in the history.  Run by queue.
 *
 * Both walk forward by slices.  What stands in the history is JSON already;
 * it is only looked into where somebody may not see all of it, or where an
 * address is searched for.
 */
#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/address.h"
#include "mail/received.h"
#include "queue/control_private.h"

#define SLICE_OCTETS (256u * 1024)
#define ID_TIME_SHIFT 22

/* ---- a walk through the history ---- */

struct slice_walk {
	struct caller *cl;
	void (*each)(struct caller *cl, uint64_t id, struct slice value);
	unsigned n;
	size_t octets;
	bool stopped;
};

static bool
slice_each(void *arg, uint64_t time, uint64_t id, struct slice value)
{
	struct slice_walk *w = arg;
	struct trail *t = &w->cl->trail;

	if (t->begun && time == t->time && id <= t->id)
		return true;
	if (w->n >= CONTROL_SLICE || w->octets >= SLICE_OCTETS) {
		w->stopped = true;
		return false;
	}
	w->n++;
	w->octets += value.n;
	t->begun = true;
	t->time = time;
	t->id = id;
	w->each(w->cl, id, value);
	return true;
}

/* True at the end of the history. */
static bool
history_slice(struct caller *cl, uint64_t since,
    void (*each)(struct caller *cl, uint64_t id, struct slice value))
{
	struct slice_walk w = { .cl = cl, .each = each };

	store_history(queue_store(cl->c->q), cl->trail.begun ?
	    cl->trail.time : since, false, slice_each, &w);
	return !w.stopped;
}

/* ---- what stands in it ---- */

static bool
is_line(struct slice value)
{
	return value.n > 0 && value.p[0] == '{' &&
	    slice_find(value, '\n') < 0;
}

static bool
doc_owned(const struct caller *cl, const cJSON *doc)
{
	const cJSON *client = cJSON_GetObjectItemCaseSensitive(doc, "client");
	char own[32];

	snprintf(own, sizeof(own), "uid:%lu", (unsigned long)cl->uid);
	return cl->may_all || (cJSON_IsString(client) &&
	    strcmp(client->valuestring, own) == 0);
}

static bool
text_is_address(const cJSON *v, struct slice address)
{
	return cJSON_IsString(v) && mail_address_same(slice_cstr(
	    v->valuestring), address);
}

static bool
doc_has_address(const cJSON *doc, struct slice address)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(doc,
	    "recipients"), *r;

	if (text_is_address(cJSON_GetObjectItemCaseSensitive(doc, "from"),
	    address))
		return true;
	cJSON_ArrayForEach(r, list) {
		if (text_is_address(cJSON_GetObjectItemCaseSensitive(r,
		    "address"), address))
			return true;
	}
	return false;
}

/* ---- history ---- */

static void
history_each(struct caller *cl, uint64_t id, struct slice value)
{
	cJSON *doc;

	(void)id;
	if (!is_line(value))
		return;
	if (!cl->may_all) {
		doc = cJSON_ParseWithLength(value.p, value.n);
		if (doc == NULL || !doc_owned(cl, doc)) {
			cJSON_Delete(doc);
			return;
		}
		cJSON_Delete(doc);
	}
	caller_item_raw(cl, value);
}

enum step
control_history(struct caller *cl)
{
	uint64_t since = 0;

	if (cl->req.since != 0 && cl->req.since < cl->began)
		since = cl->began - cl->req.since;
	if (!history_slice(cl, since, history_each))
		return STEP_AGAIN;
	return caller_end(cl, CTL_OK, "%s", "");
}

/* ---- why ---- */

static bool
wants_last(const struct caller *cl)
{
	return strcmp(cl->req.what, "last") == 0;
}

static bool
wants_address(const struct caller *cl)
{
	return strchr(cl->req.what, '@') != NULL;
}

static bool
record_has_address(const struct record *r, struct slice address)
{
	size_t i;

	if (mail_address_same(slice_cstr(r->env->from), address))
		return true;
	for (i = 0; i < r->env->recipient_count; i++)
		if (mail_address_same(slice_cstr(
		    r->env->recipients[i].address), address))
			return true;
	return false;
}

static bool
why_queue_each(struct caller *cl, const struct record *r, const char *status)
{
	(void)status;
	if (wants_address(cl) &&
	    !record_has_address(r, slice_cstr(cl->req.what)))
		return true;
	cl->trail.found_id = r->env->id;
	cl->trail.found_in_queue = true;
	return true;
}

static void
why_take(struct caller *cl, uint64_t id, struct slice value)
{
	strbuf_clear(&cl->trail.found);
	strbuf_add_slice(&cl->trail.found, value);
	cl->trail.found_id = id;
	cl->trail.found_in_queue = false;
}

static void
why_history_each(struct caller *cl, uint64_t id, struct slice value)
{
	const struct selector *sel = &cl->req.sel;
	struct slice what = slice_cstr(cl->req.what);
	bool good = true;
	cJSON *doc;

	if (!is_line(value) || id < cl->trail.found_id ||
	    (sel->n_ids > 0 && id != sel->ids[0].id))
		return;
	if (!cl->may_all || wants_address(cl)) {
		doc = cJSON_ParseWithLength(value.p, value.n);
		good = doc != NULL && doc_owned(cl, doc) &&
		    (!wants_address(cl) || doc_has_address(doc, what));
		cJSON_Delete(doc);
	}
	if (good)
		why_take(cl, id, value);
}

/* The part of the chain that is not in the object `message`. */
static void
why_origin(struct json_writer *w, const struct envelope *env)
{
	json_text(w, "listener", env->listener);
	json_text(w, "helo", env->helo);
	json_text(w, "client_name", env->client_name);
	json_text(w, "client_tls", env->tls);
	json_text(w, "protocol", env->protocol == MAIL_PROTO_REPORT ?
	    "report" : env->protocol == MAIL_PROTO_ALERT ? "alert" :
	    env->protocol == MAIL_PROTO_LOCAL ? "local" :
	    received_with(env));
	if (env->uid >= 0)
		json_number(w, "uid", (uint64_t)env->uid);
	else
		json_null(w, "uid");
}

static enum step
why_tell_queued(struct caller *cl)
{
	struct queue *q = cl->c->q;
	struct strbuf json = STRBUF_INIT;
	struct record *r = NULL;
	struct err e = { 0, "" };
	bool owned = false;
	struct json_writer w;

	if (queue_message_get(q, cl->trail.found_id, &r, &owned, &e) < 0)
		return caller_end(cl, CTL_NONE, "%s: %s", cl->req.what,
		    e.text);
	queue_message_json(q, r, &json);
	w = caller_item(cl);
	json_raw(&w, "message", strbuf_slice(&json));
	json_text(&w, "where", "queue");
	why_origin(&w, r->env);
	control_write_places(cl, &w, r);
	caller_item_end(cl, &w);
	strbuf_free(&json);
	if (owned)
		record_free(&r);
	return caller_end(cl, CTL_OK, "%s", "");
}

static enum step
why_tell(struct caller *cl)
{
	struct json_writer w;

	if (cl->trail.found_id == 0 && cl->denied)
		return caller_end(cl, CTL_DENIED, "%s: belongs to somebody "
		    "else", cl->req.what);
	if (cl->trail.found_id == 0)
		return caller_end(cl, CTL_NONE, wants_last(cl) ?
		    "there is no message yet" : wants_address(cl) ?
		    "%s: no message from or to this address" :
		    "%s: no such message", cl->req.what);
	if (cl->trail.found_in_queue)
		return why_tell_queued(cl);
	w = caller_item(cl);
	json_raw(&w, "message", strbuf_slice(&cl->trail.found));
	json_text(&w, "where", "history");
	caller_item_end(cl, &w);
	return caller_end(cl, CTL_OK, "%s", "");
}

/* An id is looked for under its own name; an id tells when it arrived. */
static void
why_begin(struct caller *cl)
{
	struct err e;

	if (!wants_last(cl) && !wants_address(cl))
		(void)selector_set(&cl->req.sel, "id", cl->req.what, &e);
}

static uint64_t
why_since(const struct caller *cl)
{
	return cl->req.sel.n_ids > 0 ? cl->req.sel.ids[0].id >>
	    ID_TIME_SHIFT : 0;
}

enum step
control_why(struct caller *cl)
{
	struct trail *t = &cl->trail;

	if (cl->req.what == NULL || cl->req.what[0] == 0)
		return caller_end(cl, CTL_USAGE, "why what?");
	if (!t->queue_done) {
		if (cl->cursor == 0 && cl->next_id == 0)
			why_begin(cl);
		walk_slice(cl, why_queue_each);
		t->queue_done = cl->walked;
		return STEP_AGAIN;
	}
	if (t->found_in_queue && cl->req.sel.n_ids > 0)
		return why_tell(cl);
	if (!history_slice(cl, why_since(cl), why_history_each))
		return STEP_AGAIN;
	return why_tell(cl);
}

/*
 * The queue and its history on disk, while the daemon is down: read as the
 * spool's owner, nothing is changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "mail/header.h"
#include "mail/received.h"
#include "store/record_json.h"
#include "tools/relayctl.h"

#define SLICE 256
#define PIECE 65536

/* As queue has it; 0 where the configuration cannot be read. */
static uint64_t
expires(const struct ctl *c, const struct record *r)
{
	uint64_t life;

	if (c->conf == NULL)
		return 0;
	life = c->conf->expire + r->not_counted;
	if (life > c->conf->expire_max)
		life = c->conf->expire_max;
	return r->env->received_ms + life;
}

static void
emit(struct ctl *c, const struct record *r, struct ctl_sink *sink)
{
	struct strbuf json = STRBUF_INIT;
	struct json_writer w = json_to(&json);

	record_json(&w, NULL, r, record_status(r), expires(c, r), NULL);
	sink->item(sink->arg, strbuf_slice(&json));
	strbuf_free(&json);
}

/* ---- list ---- */

/* false: that is enough. */
static bool
list_one(struct ctl *c, struct store *s, uint64_t id, struct ctl_sink *sink,
    uint64_t *n)
{
	struct record *r = NULL;
	struct err e;

	if (id == 0 || store_get(s, id, &r, &e) < 0)
		return true;
	if (selector_match(&c->sel, r, record_status(r), clock_real_ms())) {
		emit(c, r, sink);
		++*n;
	}
	record_free(&r);
	return c->sel.limit == 0 || *n < c->sel.limit;
}

static void
list_all(struct ctl *c, struct store *s, struct ctl_sink *sink)
{
	uint64_t ids[SLICE], n = 0, last = 0;
	size_t i, got;

	while ((got = store_list(s, last, ids, SLICE)) > 0) {
		for (i = 0; i < got; i++)
			if (!list_one(c, s, ids[i], sink, &n))
				return;
		last = ids[got - 1];
	}
}

int
ctl_offline_list(struct ctl *c, struct ctl_sink *sink)
{
	struct store *s;
	uint64_t n = 0;
	size_t i;
	int status;

	clock_update();
	s = ctl_store_open(c, &status);
	if (s == NULL)
		return status;
	if (c->sel.n_ids == 0)
		list_all(c, s, sink);
	for (i = 0; i < c->sel.n_ids; i++)
		if (!list_one(c, s, c->sel.ids[i].id, sink, &n))
			break;
	store_close(&s);
	return 0;
}

/* ---- show ---- */

static int
show_file(struct store *s, const struct record *r, struct ctl_sink *sink,
    bool headers, struct err *e)
{
	struct strbuf b = STRBUF_INIT;
	struct header_scan scan;
	int fd = store_open_body(s, r, e), rc = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, strbuf_room(&b, PIECE), PIECE)) > 0) {
		b.n += (size_t)n;
		if (headers) {
			header_scan(strbuf_slice(&b), &scan);
			if (scan.complete)
				break;
			continue;
		}
		sink->data(sink->arg, strbuf_slice(&b));
		strbuf_clear(&b);
	}
	if (n < 0)
		rc = err_errno(e, "reading the body");
	if (headers && b.n > 0) {
		header_scan(strbuf_slice(&b), &scan);
		sink->data(sink->arg, slice_of(b.p, scan.fields_end));
	}
	strbuf_free(&b);
	close(fd);
	return rc;
}

static int
show_content(struct ctl *c, struct store *s, const struct record *r,
    struct ctl_sink *sink, struct err *e)
{
	struct strbuf b = STRBUF_INIT;
	struct header_scan scan;
	struct record *copy = NULL;
	struct slice body;
	int rc;

	if (c->conf != NULL)
		received_compose(&b, r->env, c->conf->hostname,
		    r->env->recipient_count == 1 ?
		    r->env->recipients[0].address : NULL);
	sink->data(sink->arg, strbuf_slice(&b));
	strbuf_clear(&b);
	if (r->body_kind == BODY_FILE) {
		strbuf_free(&b);
		return show_file(s, r, sink, c->headers, e);
	}
	rc = store_get_body(s, r->env->id, &copy, &b, e);
	if (rc == 0) {
		body = strbuf_slice(&b);
		header_scan(body, &scan);
		if (c->headers)
			body.n = scan.fields_end;
		sink->data(sink->arg, body);
	}
	record_free(&copy);
	strbuf_free(&b);
	return rc;
}

int
ctl_offline_show(struct ctl *c, struct ctl_sink *sink)
{
	struct record *r = NULL;
	struct err e = { ENOENT, "" };
	struct store *s;
	uint64_t id = c->sel.ids[0].id;
	int status;

	s = ctl_store_open(c, &status);
	if (s == NULL)
		return status;
	if (id == 0 || store_get(s, id, &r, &e) < 0) {
		status = ctl_error(CTL_NONE, "%s: %s", c->rest[0],
		    e.code == ENOENT ? "no such message" : e.text);
	} else {
		emit(c, r, sink);
		if ((c->headers || c->content) &&
		    show_content(c, s, r, sink, &e) < 0)
			status = ctl_error(CTL_NONE, "%s: %s", c->rest[0],
			    e.text);
		record_free(&r);
	}
	store_close(&s);
	return status;
}

/* ---- history ---- */

static bool
history_each(void *arg, uint64_t time, uint64_t id, struct slice value)
{
	struct ctl_sink *sink = arg;

	(void)time;
	(void)id;
	sink->item(sink->arg, value);
	return true;
}

int
ctl_offline_history(struct ctl *c, uint64_t since, struct ctl_sink *sink)
{
	struct store *s;
	int status;

	s = ctl_store_open(c, &status);
	if (s == NULL)
		return status;
	store_history(s, since, false, history_each, sink);
	store_close(&s);
	return 0;
}

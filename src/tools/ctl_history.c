/*
 * history and log -f.  The daemon hands the history out in order of time;
 * what was asked for is picked here, so that a long history costs it little.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "tools/relayctl.h"

struct pick {
	struct ctl *c;
	struct ctl_list *list;
	uint64_t now;
	bool look;			/* something was asked for */
	/* --limit: the last ones, in a ring */
	char **ring;
	size_t used, next;
};

static bool
id_wanted(const struct selector *sel, const char *text)
{
	uint64_t id;
	size_t i;

	if (sel->n_ids == 0)
		return true;
	if (!num_id_parse(slice_cstr(text), &id))
		return false;
	for (i = 0; i < sel->n_ids; i++)
		if (sel->ids[i].id == id)
			return true;
	return false;
}

static bool
text_wanted(const char *wanted, const char *have)
{
	return wanted == NULL || strcmp(wanted, have) == 0;
}

static bool
to_wanted(const struct selector *sel, const cJSON *m)
{
	const cJSON *r;

	if (!sel->to_set)
		return true;
	cJSON_ArrayForEach(r, ctl_get_any(m, "recipients")) {
		if (selector_match_to(sel, ctl_get(r, "address")))
			return true;
	}
	return false;
}

static bool
wanted(const struct pick *p, const cJSON *m)
{
	const struct selector *sel = &p->c->sel;

	return id_wanted(sel, ctl_get(m, "id")) &&
	    (!sel->from_set || mail_pattern_matches(&sel->from,
	    slice_cstr(ctl_get(m, "from")))) &&
	    text_wanted(sel->account, ctl_get(m, "account")) &&
	    text_wanted(sel->transport, ctl_get(m, "transport")) &&
	    text_wanted(p->c->status_text, ctl_get(m, "status")) &&
	    (sel->older == 0 || ctl_time(ctl_get(m, "arrived")) +
	    sel->older <= p->now) &&
	    (!sel->larger_set || ctl_get_number(m, "size") > sel->larger) &&
	    to_wanted(sel, m);
}

static void
pick_item(void *arg, struct slice json)
{
	struct pick *p = arg;
	bool good = true;
	cJSON *doc;

	if (p->look) {
		doc = cJSON_ParseWithLength(json.p, json.n);
		good = doc != NULL && wanted(p, doc);
		cJSON_Delete(doc);
	}
	if (!good)
		return;
	if (p->ring == NULL) {
		ctl_list_item(p->list, json);
		return;
	}
	free(p->ring[p->next]);
	p->ring[p->next] = slice_dup(json);
	p->next = (p->next + 1) % p->c->sel.limit;
	if (p->used < p->c->sel.limit)
		p->used++;
}

static void
pick_last(struct pick *p)
{
	size_t limit = p->c->sel.limit, i, at;

	for (i = 0; i < p->used; i++) {
		at = (p->next + limit - p->used + i) % limit;
		ctl_list_item(p->list, slice_cstr(p->ring[at]));
		free(p->ring[at]);
	}
	free(p->ring);
}

static uint64_t
since_ms(const struct ctl *c, uint64_t now)
{
	uint64_t ms;

	if (c->since == NULL || !num_duration(slice_cstr(c->since), &ms) ||
	    ms > now)
		return 0;
	return now - ms;
}

int
ctl_history(struct ctl *c)
{
	struct pick p = { .c = c };
	struct ctl_sink sink = { .arg = &p, .item = pick_item };
	struct strbuf members = STRBUF_INIT;
	struct json_writer w = json_to(&members);
	uint64_t limit = c->sel.limit;
	int rc;

	clock_update();
	p.now = clock_real_ms();
	c->sel.limit = 0;
	p.look = !selector_empty(&c->sel) || c->status_text != NULL;
	c->sel.limit = limit;
	if (limit > 0)
		p.ring = mem_zarray(limit, sizeof(*p.ring));
	if (c->since != NULL)
		json_text(&w, "since", c->since);
	/* Picked here: nothing of it is asked of the daemon. */
	strbuf_clear(&c->asked);
	p.list = ctl_list_new(c, LIST_HISTORY);
	rc = ctl_request(c, "history", strbuf_cstr(&members), &sink);
	if (rc == CTL_DOWN)
		rc = ctl_offline_history(c, since_ms(c, p.now), &sink);
	if (p.ring != NULL)
		pick_last(&p);
	if (ctl_list_end(&p.list, rc) == 0 && rc == 0 && !c->json &&
	    !c->jsonl)
		puts("no finished deliveries");
	strbuf_free(&members);
	free(sink.text);
	return rc;
}

/* ---- log -f ---- */

static void
log_text(const cJSON *line)
{
	struct strbuf out = STRBUF_INIT;
	char stamp[CTL_STAMP_LEN];
	const cJSON *v;

	printf("%s %-9s", ctl_stamp(ctl_time(ctl_get(line, "time")), stamp),
	    ctl_get(line, "event"));
	cJSON_ArrayForEach(v, line) {
		if (strcmp(v->string, "time") == 0 ||
		    strcmp(v->string, "role") == 0 ||
		    strcmp(v->string, "pid") == 0 ||
		    strcmp(v->string, "event") == 0 ||
		    (strcmp(v->string, "level") == 0 &&
		    strcmp(ctl_get(line, "level"), "info") == 0))
			continue;
		strbuf_printf(&out, " %s=", v->string);
		if (cJSON_IsNumber(v))
			strbuf_printf(&out, "%.0f", v->valuedouble);
		else if (cJSON_IsString(v) && strpbrk(v->valuestring,
		    " \"") == NULL && v->valuestring[0] != 0)
			ctl_printable(&out, v->valuestring);
		else if (cJSON_IsString(v)) {
			strbuf_putc(&out, '"');
			ctl_printable(&out, v->valuestring);
			strbuf_putc(&out, '"');
		}
	}
	puts(strbuf_cstr(&out));
	strbuf_free(&out);
}

static void
log_item(void *arg, struct slice json)
{
	struct ctl *c = arg;
	cJSON *doc;

	if (c->jsonl) {
		ctl_put_line(json);
	} else {
		doc = cJSON_ParseWithLength(json.p, json.n);
		if (doc != NULL)
			log_text(doc);
		cJSON_Delete(doc);
	}
	if (fflush(stdout) != 0)
		exit(0);		/* nobody reads any more */
}

int
ctl_log(struct ctl *c)
{
	struct ctl_sink sink = { .arg = c, .item = log_item };
	int rc;

	if (!c->follow)
		return ctl_error(CTL_USAGE, "log: say -f to follow the "
		    "events; what has been is in the log and in `history`");
	rc = ctl_request(c, "log", NULL, &sink);
	free(sink.text);
	return rc == CTL_DOWN ? ctl_down() : rc;
}

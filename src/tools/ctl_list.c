/*
 * Lists of messages, printed as they come: a table for people, an array of
 * JSON (one document, never held as a whole), or an object a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "tools/relayctl.h"

struct ctl_list {
	struct ctl *c;
	enum ctl_list_kind kind;
	struct ctl_table *table;
	uint64_t n, octets;
	uint64_t now;
};

static const struct ctl_column queue_columns[] = {
	{ "ID", false, 0 }, { "STATUS", false, 0 }, { "AGE", true, 0 },
	{ "SIZE", true, 0 }, { "TRIES", true, 0 }, { "NEXT", true, 0 },
	{ "FROM", false, 40 }, { "TO", false, 40 },
	{ "TRANSPORT", false, 20 }, { "LAST REPLY", false, 0 },
};

static const struct ctl_column history_columns[] = {
	{ "FINISHED", false, 0 }, { "ID", false, 0 },
	{ "STATUS", false, 0 }, { "TOOK", true, 0 }, { "SIZE", true, 0 },
	{ "FROM", false, 40 }, { "TO", false, 40 },
	{ "TRANSPORT", false, 20 }, { "LAST REPLY", false, 0 },
};

struct ctl_list *
ctl_list_new(struct ctl *c, enum ctl_list_kind kind)
{
	struct ctl_list *l = mem_zalloc(sizeof(*l));

	l->c = c;
	l->kind = kind;
	clock_update();
	l->now = clock_real_ms();
	if (!c->json && !c->jsonl)
		l->table = kind == LIST_QUEUE ? ctl_table_new(queue_columns,
		    sizeof(queue_columns) / sizeof(queue_columns[0]), "") :
		    ctl_table_new(history_columns,
		    sizeof(history_columns) / sizeof(history_columns[0]), "");
	return l;
}

static void
next_text(const struct ctl_list *l, const cJSON *m, char *buf)
{
	uint64_t next = ctl_time(ctl_get(m, "next_attempt"));
	const char *status = ctl_get(m, "status");

	if (strcmp(status, "active") == 0)
		snprintf(buf, CTL_AGE_LEN, "now");
	else if (strcmp(status, "held") == 0 || next == 0)
		snprintf(buf, CTL_AGE_LEN, "-");
	else if (next <= l->now)
		snprintf(buf, CTL_AGE_LEN, "due");
	else
		ctl_age(next - l->now, buf);
}

static const char *
sender(const cJSON *m)
{
	const char *from = ctl_get(m, "from");

	return from[0] != 0 ? from : "<>";
}

static void
queue_row(struct ctl_list *l, const cJSON *m)
{
	uint64_t arrived = ctl_time(ctl_get(m, "arrived"));
	char age[CTL_AGE_LEN], next[CTL_AGE_LEN], size[32], tries[24];
	struct strbuf to = STRBUF_INIT;
	const char *cells[10];

	next_text(l, m, next);
	ctl_recipients(m, &to);
	snprintf(tries, sizeof(tries), "%llu",
	    (unsigned long long)ctl_get_number(m, "attempts"));
	cells[0] = ctl_get(m, "id");
	cells[1] = ctl_get(m, "status");
	cells[2] = ctl_age(l->now > arrived ? l->now - arrived : 0, age);
	cells[3] = num_size_text(ctl_get_number(m, "size"), size,
	    sizeof(size));
	cells[4] = tries;
	cells[5] = next;
	cells[6] = sender(m);
	cells[7] = strbuf_cstr(&to);
	cells[8] = ctl_get(m, "transport");
	cells[9] = ctl_reply(m);
	ctl_table_row(l->table, cells);
	strbuf_free(&to);
}

/* Delivered last, or last tried. */
static uint64_t
finished(const cJSON *m)
{
	const cJSON *r;
	uint64_t at = 0, t;

	cJSON_ArrayForEach(r, ctl_get_any(m, "recipients")) {
		t = ctl_time(ctl_get(r, "delivered_at"));
		if (t > at)
			at = t;
	}
	return at;
}

static void
history_row(struct ctl_list *l, const cJSON *m)
{
	uint64_t arrived = ctl_time(ctl_get(m, "arrived"));
	uint64_t at = finished(m);
	char stamp[CTL_STAMP_LEN], took[CTL_AGE_LEN], size[32];
	struct strbuf to = STRBUF_INIT;
	const char *cells[9];

	ctl_recipients(m, &to);
	cells[0] = ctl_stamp(at, stamp);
	cells[1] = ctl_get(m, "id");
	cells[2] = ctl_get(m, "status");
	cells[3] = at > arrived ? ctl_age(at - arrived, took) : "-";
	cells[4] = num_size_text(ctl_get_number(m, "size"), size,
	    sizeof(size));
	cells[5] = sender(m);
	cells[6] = strbuf_cstr(&to);
	cells[7] = ctl_get(m, "transport");
	cells[8] = ctl_reply(m);
	ctl_table_row(l->table, cells);
	strbuf_free(&to);
}

void
ctl_list_item(void *arg, struct slice json)
{
	struct ctl_list *l = arg;
	cJSON *doc;

	if (l->table == NULL) {
		if (l->c->json)
			fputs(l->n == 0 ? "[\n" : ",\n", stdout);
		fwrite(json.p, 1, json.n, stdout);
		if (!l->c->json)
			putchar('\n');
		l->n++;
		return;
	}
	doc = cJSON_ParseWithLength(json.p, json.n);
	if (doc == NULL)
		return;
	l->n++;
	l->octets += ctl_get_number(doc, "size");
	if (l->kind == LIST_QUEUE)
		queue_row(l, doc);
	else
		history_row(l, doc);
	cJSON_Delete(doc);
}

uint64_t
ctl_list_end(struct ctl_list **lp, int status)
{
	struct ctl_list *l = *lp;
	uint64_t n = l->n;
	char size[32];

	*lp = NULL;
	if (l->table != NULL) {
		ctl_table_end(&l->table);
		if (l->kind == LIST_QUEUE && n > 0)
			printf("%llu message%s, %s\n", (unsigned long long)n,
			    n == 1 ? "" : "s", num_size_text(l->octets, size,
			    sizeof(size)));
	} else if (l->c->json) {
		if (n > 0)
			puts("\n]");
		else if (status == 0)
			puts("[]");
	}
	free(l);
	return n;
}

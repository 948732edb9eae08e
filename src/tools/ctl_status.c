/*
 * status, transport list, account list, pause and resume.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tools/relayctl.h"

static const struct ctl_column role_columns[] = {
	{ "Roles", false, 0 }, { "pid", true, 0 }, { "up", true, 0 },
	{ "restarts", true, 0 },
};
static const struct ctl_column listener_columns[] = {
	{ "Listeners", false, 0 }, { "connections", true, 0 },
};
static const struct ctl_column transport_columns[] = {
	{ "Transports", false, 40 }, { "state", false, 0 },
	{ "active", true, 0 }, { "window", true, 0 }, { "waiting", true, 0 },
	{ "daily", true, 0 }, { "next", true, 0 },
	{ "why, or last error", false, 0 },
};
static const struct ctl_column account_columns[] = {
	{ "Accounts", false, 40 }, { "state", false, 0 },
	{ "waiting", true, 0 }, { "next", true, 0 }, { "why", false, 0 },
};

#define COLUMNS(c) c, sizeof(c) / sizeof((c)[0])

static const char *
number(const cJSON *o, const char *key, char buf[24])
{
	snprintf(buf, 24, "%llu", (unsigned long long)ctl_get_number(o, key));
	return buf;
}

static void
print_roles(const cJSON *list)
{
	struct ctl_table *t = ctl_table_new(COLUMNS(role_columns), "");
	char pid[24], restarts[24], up[CTL_AGE_LEN];
	const cJSON *r;

	cJSON_ArrayForEach(r, list) {
		const char *cells[] = { ctl_get(r, "name"),
		    number(r, "pid", pid),
		    ctl_age(ctl_get_number(r, "uptime") * 1000, up),
		    number(r, "restarts", restarts) };

		ctl_table_row(t, cells);
	}
	ctl_table_end(&t);
}

static void
print_listeners(const cJSON *list)
{
	struct ctl_table *t = ctl_table_new(COLUMNS(listener_columns), "");
	char n[24];
	const cJSON *l;

	cJSON_ArrayForEach(l, list) {
		const char *cells[] = { ctl_get(l, "address"),
		    number(l, "connections", n) };

		ctl_table_row(t, cells);
	}
	ctl_table_end(&t);
}

/* When something happens by itself: a probe, or mail that is due. */
static const char *
next_text(const cJSON *o, char buf[CTL_AGE_LEN])
{
	const char *key = ctl_state_bad(o) ? "next_probe" : "next_attempt";
	uint64_t at = ctl_time(ctl_get(o, key)), now = clock_real_ms();

	if (at == 0 || strcmp(ctl_get(o, "state"), "paused") == 0)
		return "-";
	return at <= now ? "now" : ctl_age(at - now, buf);
}

/* What has left in 24 hours, of what may. */
static const char *
daily_text(const cJSON *o, char buf[48])
{
	uint64_t max = ctl_get_number(o, "daily");

	if (max == 0)
		return "-";
	snprintf(buf, 48, "%llu of %llu",
	    (unsigned long long)ctl_get_number(o, "daily_used"),
	    (unsigned long long)max);
	return buf;
}

static void
transport_row(struct ctl_table *t, const cJSON *o)
{
	char active[24], window[24], waiting[24], next[CTL_AGE_LEN];
	char daily[48];
	const char *why = ctl_get(o, "why");
	const char *cells[] = { ctl_get(o, "name"), ctl_get(o, "state"),
	    number(o, "active", active), number(o, "window", window),
	    number(o, "waiting", waiting), daily_text(o, daily),
	    next_text(o, next),
	    why[0] != 0 ? why : ctl_get(o, "last_error") };

	ctl_table_row(t, cells);
}

static void
print_transports(const cJSON *list)
{
	struct ctl_table *t = ctl_table_new(COLUMNS(transport_columns), "");
	const cJSON *o;

	cJSON_ArrayForEach(o, list)
		transport_row(t, o);
	ctl_table_end(&t);
}

static void
account_row(struct ctl_table *t, const cJSON *o)
{
	char waiting[24], next[CTL_AGE_LEN];
	const char *cells[] = { ctl_get(o, "name"), ctl_get(o, "state"),
	    number(o, "waiting", waiting), next_text(o, next),
	    ctl_get(o, "why") };

	ctl_table_row(t, cells);
}

static void
print_accounts(const cJSON *list)
{
	struct ctl_table *t = ctl_table_new(COLUMNS(account_columns), "");
	const cJSON *o;

	if (cJSON_GetArraySize(list) > 0)
		putchar('\n');
	cJSON_ArrayForEach(o, list)
		account_row(t, o);
	ctl_table_end(&t);
}

/* One line for each that takes no mail. */
static bool
print_to_do(const char *kind, const cJSON *list, bool begun)
{
	struct strbuf out = STRBUF_INIT;
	const cJSON *o;

	cJSON_ArrayForEach(o, list) {
		/* An account's own transport is told of as the account. */
		if (!ctl_state_bad(o) || (ctl_get(o, "account")[0] != 0 &&
		    strcmp(ctl_get(o, "state"), "parked") == 0))
			continue;
		strbuf_clear(&out);
		ctl_state_to_do(kind, o, &out);
		printf("%s  %s %s, %s: %s\n", begun ? "" : "\nTo do\n",
		    kind, ctl_get(o, "name"), ctl_get(o, "state"),
		    strbuf_cstr(&out));
		begun = true;
	}
	strbuf_free(&out);
	return begun;
}

static void
print_queue(const cJSON *q)
{
	unsigned long long queued = ctl_get_number(q, "queued"),
	    active = ctl_get_number(q, "active"),
	    deferred = ctl_get_number(q, "deferred"),
	    held = ctl_get_number(q, "held"),
	    n = queued + active + deferred + held;
	uint64_t oldest = ctl_time(ctl_get(q, "oldest"));
	uint64_t now = clock_real_ms();
	char age[CTL_AGE_LEN];

	if (n == 0) {
		puts("Queue: empty");
		return;
	}
	printf("Queue: %llu message%s: %llu queued, %llu active, %llu "
	    "deferred, %llu held", n, n == 1 ? "" : "s", queued, active,
	    deferred, held);
	if (oldest != 0)
		printf("; the oldest arrived %s ago", ctl_age(now > oldest ?
		    now - oldest : 0, age));
	putchar('\n');
}

static void
status_item(void *arg, struct slice json)
{
	struct ctl *c = arg;
	uint64_t started, now;
	char up[CTL_AGE_LEN], stamp[CTL_STAMP_LEN];
	bool begun;
	cJSON *doc;

	if (c->json) {
		ctl_put_line(json);
		return;
	}
	doc = cJSON_ParseWithLength(json.p, json.n);
	if (doc == NULL)
		return;
	clock_update();
	now = clock_real_ms();
	started = ctl_time(ctl_get(doc, "started"));
	printf("smarthostd %s", ctl_get(doc, "version"));
	if (started != 0)
		printf(", up %s, since %s", ctl_age(now > started ?
		    now - started : 0, up), ctl_stamp(started, stamp));
	putchar('\n');
	print_queue(ctl_get_any(doc, "queue"));
	putchar('\n');
	print_roles(ctl_get_any(doc, "roles"));
	putchar('\n');
	print_listeners(ctl_get_any(doc, "listeners"));
	putchar('\n');
	print_transports(ctl_get_any(doc, "transports"));
	print_accounts(ctl_get_any(doc, "accounts"));
	begun = print_to_do("transport", ctl_get_any(doc, "transports"),
	    false);
	(void)print_to_do("account", ctl_get_any(doc, "accounts"), begun);
	cJSON_Delete(doc);
}

int
ctl_status(struct ctl *c)
{
	struct ctl_sink sink = { .arg = c, .item = status_item };
	int rc = ctl_request(c, "status", NULL, &sink);

	free(sink.text);
	return rc == CTL_DOWN ? ctl_down() : rc;
}

/* ---- lists ---- */

struct rows {
	struct ctl *c;
	struct ctl_table *table;
	void (*row)(struct ctl_table *t, const cJSON *o);
	unsigned n;
};

static void
rows_item(void *arg, struct slice json)
{
	struct rows *r = arg;
	cJSON *doc;

	if (r->c->json) {
		printf("%s%.*s", r->n++ > 0 ? ",\n" : "[\n", (int)json.n,
		    json.p);
		return;
	}
	doc = cJSON_ParseWithLength(json.p, json.n);
	if (doc != NULL)
		r->row(r->table, doc);
	r->n++;
	cJSON_Delete(doc);
}

static int
print_rows(struct rows *r)
{
	struct ctl_sink sink = { .arg = r, .item = rows_item };
	int rc;

	clock_update();
	rc = ctl_request(r->c, r->c->cmd->name, NULL, &sink);
	ctl_table_end(&r->table);
	if (r->c->json && (r->n > 0 || rc == 0))
		puts(r->n > 0 ? "\n]" : "[]");
	free(sink.text);
	return rc == CTL_DOWN ? ctl_down() : rc;
}

int
ctl_transport_list(struct ctl *c)
{
	struct rows r = { .c = c, .row = transport_row,
	    .table = ctl_table_new(COLUMNS(transport_columns), "") };

	return print_rows(&r);
}

int
ctl_account_list(struct ctl *c)
{
	struct rows r = { .c = c, .row = account_row,
	    .table = ctl_table_new(COLUMNS(account_columns), "") };

	return print_rows(&r);
}

int
ctl_switch(struct ctl *c)
{
	struct ctl_sink sink = { .arg = c };
	struct strbuf members = STRBUF_INIT;
	struct json_writer w = json_to(&members);
	int rc;

	json_text(&w, "name", c->rest[0]);
	rc = ctl_request(c, c->cmd->name, strbuf_cstr(&members), &sink);
	if (rc == CTL_DOWN)
		rc = ctl_down();
	else if (rc == 0)
		puts(sink.text);
	strbuf_free(&members);
	free(sink.text);
	return rc;
}

/* ---- metrics ---- */

int
ctl_metrics(struct ctl *c)
{
	struct ctl_sink sink = { .arg = c, .data = ctl_put_octets };
	int rc = ctl_request(c, "metrics", NULL, &sink);

	free(sink.text);
	return rc == CTL_DOWN ? ctl_down() : rc;
}

/*
 * queue list, show, and what is done to messages.  The first two read the
 * queue on disk while the daemon is down.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "tools/relayctl.h"

int
ctl_queue_list(struct ctl *c)
{
	struct ctl_list *l;
	struct ctl_sink sink = { .item = ctl_list_item };
	int rc;

	if (c->mailq)
		return ctl_mailq(c);
	l = ctl_list_new(c, LIST_QUEUE);
	sink.arg = l;
	rc = ctl_request(c, "queue list", NULL, &sink);
	if (rc == CTL_DOWN)
		rc = ctl_offline_list(c, &sink);
	if (ctl_list_end(&l, rc) == 0 && rc == 0 && !c->json)
		puts("no messages");
	free(sink.text);
	return rc;
}

/* ---- show ---- */

static void
field(const char *name, const char *value)
{
	struct strbuf text = STRBUF_INIT;

	ctl_printable(&text, value);
	if (text.n > 0)
		printf("%-13s %s\n", name, text.p);
	strbuf_free(&text);
}

static void
field_time(const char *name, const char *rfc3339, bool ago)
{
	uint64_t t = ctl_time(rfc3339), now = clock_real_ms();
	char stamp[CTL_STAMP_LEN], age[CTL_AGE_LEN];

	if (t == 0)
		return;
	if (ago)
		printf("%-13s %s (%s ago)\n", name, ctl_stamp(t, stamp),
		    ctl_age(now > t ? now - t : 0, age));
	else if (t <= now)
		printf("%-13s %s (due)\n", name, ctl_stamp(t, stamp));
	else
		printf("%-13s %s (in %s)\n", name, ctl_stamp(t, stamp),
		    ctl_age(t - now, age));
}

static void
print_recipient(const cJSON *r)
{
	struct strbuf text = STRBUF_INIT;
	unsigned long long n = ctl_get_number(r, "attempts");

	ctl_printable(&text, ctl_get(r, "address"));
	printf("  %s: %s, %llu attempt%s\n", strbuf_cstr(&text),
	    ctl_get(r, "status"), n, n == 1 ? "" : "s");
	strbuf_clear(&text);
	ctl_printable(&text, ctl_get(r, "last_reply"));
	if (text.n > 0)
		printf("    last reply: %s\n", text.p);
	strbuf_clear(&text);
	ctl_printable(&text, ctl_get(r, "remote"));
	if (text.n > 0)
		printf("    of: %s\n", text.p);
	strbuf_free(&text);
}

static void
print_message(const cJSON *m)
{
	const cJSON *r;
	char size[32];

	field("ID", ctl_get(m, "id"));
	field("Status", ctl_get(m, "status"));
	field("From", ctl_get(m, "from")[0] != 0 ? ctl_get(m, "from") :
	    "<>");
	field("Size", num_size_text(ctl_get_number(m, "size"), size,
	    sizeof(size)));
	field("Client", ctl_get(m, "client"));
	field("Login", ctl_get(m, "login"));
	field("Account", ctl_get(m, "account"));
	field_time("Arrived", ctl_get(m, "arrived"), true);
	field_time("Expires", ctl_get(m, "expires"), false);
	field_time("Next attempt", ctl_get(m, "next_attempt"), false);
	field("Transport", ctl_get(m, "transport"));
	if (ctl_get_bool(m, "pinned"))
		field("", "(pinned: `queue move --transport auto` undoes it)");
	field("Route", ctl_get(m, "route"));
	puts("Recipients");
	cJSON_ArrayForEach(r, ctl_get_any(m, "recipients"))
		print_recipient(r);
}

static void
show_item(void *arg, struct slice json)
{
	struct ctl *c = arg;
	cJSON *doc;

	if (c->headers || c->content)
		return;
	if (c->json) {
		fwrite(json.p, 1, json.n, stdout);
		putchar('\n');
		return;
	}
	clock_update();
	doc = cJSON_ParseWithLength(json.p, json.n);
	if (doc != NULL)
		print_message(doc);
	cJSON_Delete(doc);
}

int
ctl_queue_show(struct ctl *c)
{
	struct ctl_sink sink = { .arg = c, .item = show_item,
	    .data = ctl_put_octets };
	struct err e;
	int rc;

	if (c->json && (c->headers || c->content))
		return ctl_error(CTL_USAGE, "queue show: --headers and "
		    "--content give the message as it is, not JSON");
	(void)selector_set(&c->sel, "id", c->rest[0], &e);
	rc = ctl_request(c, "queue show", c->content ? "\"content\":true" :
	    c->headers ? "\"headers\":true" : NULL, &sink);
	if (rc == CTL_DOWN)
		rc = ctl_offline_show(c, &sink);
	free(sink.text);
	return rc;
}

/* ---- actions ---- */

struct action {
	struct ctl *c;
	struct strbuf items;		/* --json */
	bool tty;			/* standard error shows progress */
	bool shown;
};

/* The line is free for other text. */
static void
action_quiet(struct action *a)
{
	if (a->shown)
		fprintf(stderr, "\r                    \r");
	a->shown = false;
}

static void
action_item(void *arg, struct slice json)
{
	struct action *a = arg;
	struct strbuf text = STRBUF_INIT;
	cJSON *doc;

	if (a->c->mailq)
		return;
	if (a->c->json) {
		if (a->items.n > 0)
			strbuf_putc(&a->items, ',');
		strbuf_add_slice(&a->items, json);
		return;
	}
	doc = cJSON_ParseWithLength(json.p, json.n);
	ctl_printable(&text, ctl_get(doc, "text"));
	action_quiet(a);
	fprintf(stderr, "relayctl: %s: %s\n", ctl_get(doc, "id"),
	    strbuf_cstr(&text));
	strbuf_free(&text);
	cJSON_Delete(doc);
}

static void
action_progress(void *arg, uint64_t done)
{
	struct action *a = arg;

	if (!a->tty)
		return;
	fprintf(stderr, "\r%llu done ", (unsigned long long)done);
	a->shown = true;
}

static void
action_print(const struct action *a, int status, const char *text)
{
	struct strbuf out = STRBUF_INIT;
	struct json_writer w = json_to(&out);

	if (!a->c->json) {
		if (status == 0 && !a->c->mailq)
			puts(text);
		return;
	}
	json_object(&w, NULL);
	json_number(&w, "status", (uint64_t)status);
	json_text(&w, "text", text);
	json_array(&w, "messages");
	strbuf_add_slice(&out, strbuf_slice(&a->items));
	json_close_array(&w);
	json_close_object(&w);
	puts(out.p);
	strbuf_free(&out);
}

int
ctl_queue_action(struct ctl *c)
{
	struct action a = { .c = c, .items = STRBUF_INIT,
	    .tty = isatty(STDERR_FILENO) != 0 };
	struct ctl_sink sink = { .arg = &a, .item = action_item,
	    .progress = action_progress };
	struct strbuf members = STRBUF_INIT;
	struct json_writer w = json_to(&members);
	int rc;

	if ((c->cmd->takes & TAKES_TARGET) != 0 && c->transport == NULL)
		return ctl_error(CTL_USAGE, "%s: --transport NAME is missing "
		    "(`auto`: the routes decide)", c->cmd->name);
	c->sel.all |= c->mailq;
	if (selector_empty(&c->sel))
		return ctl_error(CTL_USAGE, "%s: which messages? name ids or "
		    "SELECTORS, or say --all", c->cmd->name);
	if (c->transport != NULL)
		json_text(&w, "transport", c->transport);
	rc = ctl_request(c, c->cmd->name, strbuf_cstr(&members), &sink);
	action_quiet(&a);
	if (rc == CTL_DOWN)
		rc = ctl_down();
	else
		action_print(&a, rc, sink.text != NULL ? sink.text : "");
	if (c->mailq && rc == CTL_NONE)
		rc = 0;			/* an empty queue is no failure */
	free(sink.text);
	strbuf_free(&a.items);
	strbuf_free(&members);
	return rc;
}

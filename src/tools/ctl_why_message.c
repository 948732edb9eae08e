/*
 * why ID|ADDRESS|last: the chain of causes of one message, from the client to
 * what happens next.  The daemon tells what it knows; what the routes say now
 * is asked of the configuration, where the caller may read it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conf/route_choice.h"
#include "tools/relayctl.h"

struct chain {
	struct ctl *c;
	cJSON *doc;		/* of the daemon: message, where, ... */
	cJSON *now;		/* object `why` by the configuration */
};

static void
keep_item(void *arg, struct slice json)
{
	struct chain *ch = arg;

	if (ch->doc == NULL)
		ch->doc = cJSON_ParseWithLength(json.p, json.n);
}

/* The recipient that matters: the first that still waits. */
static const cJSON *
main_recipient(const cJSON *message)
{
	const cJSON *list = ctl_get_any(message, "recipients"), *r;

	cJSON_ArrayForEach(r, list) {
		const char *status = ctl_get(r, "status");

		if (strcmp(status, "queued") == 0 ||
		    strcmp(status, "deferred") == 0)
			return r;
	}
	return cJSON_GetArrayItem(list, 0);
}

static void
ask_routes(struct chain *ch, const cJSON *m)
{
	struct strbuf json = STRBUF_INIT;
	struct json_writer w = json_to(&json);
	struct route_query q = { .uid = -1 };
	const cJSON *r = main_recipient(m);
	uint64_t arrived = ctl_time(ctl_get(m, "arrived"));
	uint64_t now = clock_real_ms();

	if (ctl_dirs(ch->c) != 0 || ch->c->conf == NULL || r == NULL)
		return;
	q.from = ctl_get(m, "from");
	q.to = ctl_get(r, "address");
	q.login = ctl_get(m, "login")[0] != 0 ? ctl_get(m, "login") : NULL;
	q.client = ctl_get(m, "client")[0] != 0 ? ctl_get(m, "client") :
	    NULL;
	if (cJSON_IsNumber(ctl_get_any(ch->doc, "uid")))
		q.uid = (int64_t)ctl_get_number(ch->doc, "uid");
	q.attempts = ctl_get_number(r, "attempts");
	q.size = ctl_get_number(m, "size");
	q.age = now > arrived ? now - arrived : 0;
	q.account = ctl_get(m, "account")[0] != 0 ? ctl_get(m, "account") :
	    NULL;
	(void)ctl_why_json(ch->c->conf, NULL, &q, &w, NULL);
	ch->now = cJSON_ParseWithLength(json.p, json.n);
	strbuf_free(&json);
}

/* ---- for people ---- */

static void
line(const char *name, const char *text)
{
	struct strbuf out = STRBUF_INIT;

	ctl_printable(&out, text);
	printf("%-13s%s\n", name, strbuf_cstr(&out));
	strbuf_free(&out);
}

static void
add_part(struct strbuf *out, const char *before, const char *text)
{
	if (text[0] == 0)
		return;
	strbuf_puts(out, before);
	ctl_printable(out, text);
}

static void
print_origin(const struct chain *ch, const cJSON *m)
{
	const cJSON *d = ch->doc;
	struct strbuf out = STRBUF_INIT;
	char stamp[CTL_STAMP_LEN];

	printf("%-13s%s from <%s>, %s\n", "Message", ctl_get(m, "id"),
	    ctl_get(m, "from"), ctl_get(m, "status"));
	add_part(&out, "", ctl_get(m, "client")[0] != 0 ?
	    ctl_get(m, "client") : "this daemon");
	add_part(&out, " (", ctl_get(d, "client_name"));
	if (ctl_get(d, "client_name")[0] != 0)
		strbuf_putc(&out, ')');
	add_part(&out, ", called itself ", ctl_get(d, "helo"));
	add_part(&out, ", logged in as ", ctl_get(m, "login"));
	line("Client", strbuf_cstr(&out));
	strbuf_clear(&out);
	add_part(&out, "", ctl_get(d, "listener"));
	add_part(&out, out.n > 0 ? ", " : "", ctl_get(d, "protocol"));
	add_part(&out, ", ", ctl_get(d, "client_tls"));
	if (out.n > 0)
		line("Listener", out.p);
	printf("%-13s%s\n", "Arrived", ctl_stamp(ctl_time(ctl_get(m,
	    "arrived")), stamp));
	strbuf_free(&out);
}

static void
print_recipients(const cJSON *m)
{
	const cJSON *r;
	struct strbuf out = STRBUF_INIT;
	unsigned long long n;

	cJSON_ArrayForEach(r, ctl_get_any(m, "recipients")) {
		n = ctl_get_number(r, "attempts");
		strbuf_clear(&out);
		strbuf_putc(&out, '<');
		ctl_printable(&out, ctl_get(r, "address"));
		strbuf_printf(&out, ">: %s after %llu attempt%s",
		    ctl_get(r, "status"), n, n == 1 ? "" : "s");
		line("Recipient", out.p);
		strbuf_clear(&out);
		add_part(&out, "", ctl_get(r, "last_reply"));
		add_part(&out, " (said by ", ctl_get(r, "remote"));
		if (ctl_get(r, "remote")[0] != 0)
			strbuf_putc(&out, ')');
		if (out.n > 0)
			line("  last reply", out.p);
		if (ctl_get(r, "verify")[0] != 0)
			line("  verified", ctl_get(r, "verify"));
		if (ctl_get(r, "spf")[0] != 0)
			line("  SPF", ctl_get(r, "spf"));
	}
	strbuf_free(&out);
}

static void
print_way(const struct chain *ch, const cJSON *m)
{
	const char *transport = ctl_get(m, "transport");

	if (transport[0] != 0) {
		line("Went by", transport);
		line("because of", ctl_get_bool(m, "pinned") ?
		    "queue move" : ctl_get(m, "route")[0] != 0 ?
		    ctl_get(m, "route") : "no route: the account's own "
		    "transport, a local recipient, or direct");
	}
	if (ch->now == NULL || ctl_get_bool(m, "pinned"))
		return;
	if (strcmp(ctl_get(ch->doc, "where"), "queue") != 0)
		return;
	puts("\nBy the configuration as it is now:");
	ctl_why_print(ch->now);
}

/* ---- what happens next, and what somebody must do ---- */

struct outlook {
	struct strbuf waits_for, next, to_do;
};

static void
outlook_free(struct outlook *o)
{
	strbuf_free(&o->waits_for);
	strbuf_free(&o->next);
	strbuf_free(&o->to_do);
}

static void
look_at_place(struct outlook *o, const char *kind, const cJSON *place)
{
	ctl_state_what(kind, place, &o->waits_for);
	ctl_state_next(kind, place, &o->next);
	ctl_state_to_do(kind, place, &o->to_do);
}

static void
look_at_due(struct outlook *o, const cJSON *m)
{
	uint64_t next = ctl_time(ctl_get(m, "next_attempt"));
	uint64_t now = clock_real_ms();
	char stamp[CTL_STAMP_LEN], age[CTL_AGE_LEN];

	if (next <= now)
		strbuf_puts(&o->next, "it is due: as soon as its transport "
		    "has a slot");
	else
		strbuf_printf(&o->next, "tried again at %s, in %s",
		    ctl_stamp(next, stamp), ctl_age(next - now, age));
}

/* Time that it waits for a place does not count. */
static void
add_end(struct outlook *o, const cJSON *m)
{
	char stamp[CTL_STAMP_LEN];

	if (ctl_get(m, "expires")[0] != 0)
		strbuf_printf(&o->next, o->waits_for.n > 0 ?
		    "; given up no sooner than %s" : "; given up at %s",
		    ctl_stamp(ctl_time(ctl_get(m, "expires")), stamp));
}

static void
look_ahead(const struct chain *ch, const cJSON *m, struct outlook *o)
{
	const cJSON *t = ctl_get_any(ch->doc, "transport");
	const cJSON *a = ctl_get_any(ch->doc, "account");
	const char *status = ctl_get(m, "status");

	if (strcmp(ctl_get(ch->doc, "where"), "history") == 0) {
		strbuf_puts(&o->next, "nothing: this message is finished");
	} else if (strcmp(status, "held") == 0) {
		strbuf_puts(&o->waits_for, "a human: it is held");
		strbuf_printf(&o->next, "nothing until `relayctl queue "
		    "release %s`", ctl_get(m, "id"));
		strbuf_printf(&o->to_do, "`relayctl queue release %s` when "
		    "it may go", ctl_get(m, "id"));
	} else if (strcmp(status, "active") == 0) {
		strbuf_puts(&o->next, "it is being delivered now");
	} else if (ctl_state_bad(a)) {
		look_at_place(o, "account", a);
		add_end(o, m);
	} else if (ctl_state_bad(t)) {
		look_at_place(o, "transport", t);
		add_end(o, m);
	} else {
		look_at_due(o, m);
		add_end(o, m);
		if (cJSON_IsFalse(ctl_get_any(t, "configured")))
			strbuf_puts(&o->to_do, "its transport is not in the "
			    "configuration: define it, or `relayctl queue "
			    "move --transport auto`");
	}
}

static void
print_outlook(const struct outlook *o)
{
	if (o->waits_for.n > 0)
		line("Waits for", strbuf_cstr(&o->waits_for));
	line("Next", strbuf_cstr(&o->next));
	if (o->to_do.n > 0)
		line("To do", strbuf_cstr(&o->to_do));
}

static void
add_outlook(cJSON *to, const char *key, const struct strbuf *text)
{
	if (text->n > 0)
		cJSON_AddStringToObject(to, key, strbuf_cstr(text));
	else
		cJSON_AddNullToObject(to, key);
}

/* The object `why` for a message: what was stored, completed by what the
 * configuration says. */
static void
print_json(const struct chain *ch, const cJSON *m, const struct outlook *o)
{
	static const char *const fixed[] = { "transports", "host", "port",
	    "tls", "username", "credential", "considered" };
	cJSON *out = cJSON_CreateObject();
	char *text;
	size_t i;

	cJSON_AddItemToObject(out, "account", cJSON_Duplicate(
	    ctl_get_any(m, "account"), 1));
	cJSON_AddItemToObject(out, "route", cJSON_Duplicate(ctl_get_any(m,
	    "route"), 1));
	cJSON_AddItemToObject(out, "transport", cJSON_Duplicate(
	    ctl_get_any(m, "transport"), 1));
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		cJSON_AddItemToObject(out, fixed[i], ch->now != NULL ?
		    cJSON_Duplicate(ctl_get_any(ch->now, fixed[i]), 1) :
		    cJSON_CreateNull());
	add_outlook(out, "waits_for", &o->waits_for);
	add_outlook(out, "next", &o->next);
	add_outlook(out, "to_do", &o->to_do);
	cJSON_AddItemToObject(out, "known", cJSON_Duplicate(ch->doc, 1));
	text = cJSON_PrintUnformatted(out);
	puts(text);
	cJSON_free(text);
	cJSON_Delete(out);
}

int
ctl_why_message(struct ctl *c)
{
	struct chain ch = { .c = c };
	struct outlook outlook = { STRBUF_INIT, STRBUF_INIT, STRBUF_INIT };
	struct ctl_sink sink = { .arg = &ch, .item = keep_item };
	struct strbuf members = STRBUF_INIT;
	struct json_writer w = json_to(&members);
	const cJSON *m;
	int rc;

	if (c->n_rest != 1)
		return ctl_error(CTL_USAGE, "why: one id, one address or "
		    "`last`; for what would be, say --if");
	json_text(&w, "what", c->rest[0]);
	rc = ctl_request(c, "why", strbuf_cstr(&members), &sink);
	strbuf_free(&members);
	free(sink.text);
	if (rc == CTL_DOWN)
		return ctl_down();
	if (rc != 0)
		return rc;
	clock_update();
	m = ctl_get_any(ch.doc, "message");
	ask_routes(&ch, m);
	look_ahead(&ch, m, &outlook);
	if (c->json) {
		print_json(&ch, m, &outlook);
	} else {
		print_origin(&ch, m);
		line("Account", ctl_get(m, "account")[0] != 0 ?
		    ctl_get(m, "account") : "none");
		print_recipients(m);
		print_way(&ch, m);
		print_outlook(&outlook);
	}
	outlook_free(&outlook);
	cJSON_Delete(ch.doc);
	cJSON_Delete(ch.now);
	return 0;
}

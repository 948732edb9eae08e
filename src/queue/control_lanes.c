/*
 * Transports and accounts: how they are, and pause and resume.  Run by queue,
 * asked by the control socket.
 *
 * A transport that delivers to many next hops has a lane for each; they are
 * told as one, with the state of the worst.
 */
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/mem.h"
#include "queue/control_private.h"
#include "queue/internal.h"

/* ---- transports ---- */

struct told {
	struct queue_lane_info info;	/* its texts are ours */
	unsigned lanes, bad;
};

struct told_list {
	struct told *v;
	size_t n;
	struct htab *by_name;		/* index + 1 */
	struct lane *only;		/* NULL: all */
};

static bool
is_worse(const struct queue_lane_info *a, const struct queue_lane_info *b)
{
	static const uint8_t rank[] = {
		[QUEUE_OK] = 0, [QUEUE_UNREACHABLE] = 1, [QUEUE_PARKED] = 2,
		[QUEUE_PAUSED] = 3
	};

	return rank[a->state] > rank[b->state] ||
	    (a->state == b->state && a->since < b->since);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void
set_text(const char **to, const char *text)
{
	free((char *)(uintptr_t)*to);
	*to = text != NULL ? mem_strdup(text) : NULL;
}

static void
told_merge(struct queue_lane_info *to, const struct queue_lane_info *from)
{
	if (is_worse(from, to)) {
		to->state = from->state;
		to->since = from->since;
		set_text(&to->why, from->why);
		set_text(&to->next_hop, from->next_hop);
	}
	to->next_probe = earlier(to->next_probe, from->next_probe);
	to->window += from->window;
	to->active += from->active;
	to->waiting += from->waiting;
	to->next_due = earlier(to->next_due, from->next_due);
	if (from->last_error_at > to->last_error_at) {
		set_text(&to->last_error, from->last_error);
		to->last_error_at = from->last_error_at;
	}
	to->configured |= from->configured;
}

static void
told_add(struct told_list *l, const struct queue_lane_info *from)
{
	struct told *t = mem_push(&l->v, &l->n, sizeof(*t));

	t->info = *from;
	t->lanes = 1;
	t->bad = from->state != QUEUE_OK;
	t->info.transport = t->info.next_hop = t->info.account =
	    t->info.why = t->info.last_error = NULL;
	set_text(&t->info.transport, from->transport);
	set_text(&t->info.next_hop, from->next_hop);
	set_text(&t->info.account, from->account);
	set_text(&t->info.why, from->why);
	set_text(&t->info.last_error, from->last_error);
	htab_put(l->by_name, slice_cstr(t->info.transport),
	    (void *)(uintptr_t)l->n);
}

static bool
is_lane(const struct lane *l, const struct queue_lane_info *info)
{
	return strcmp(l->name, info->transport) == 0 &&
	    strcmp(l->site != NULL ? l->site : "",
	    info->next_hop != NULL ? info->next_hop : "") == 0;
}

static void
told_take(void *arg, const struct queue_lane_info *info)
{
	struct told_list *l = arg;
	struct told *t;
	uintptr_t at;

	if (info->transport[0] == 0 ||
	    (l->only != NULL && !is_lane(l->only, info)))
		return;
	at = (uintptr_t)htab_get(l->by_name, slice_cstr(info->transport));
	if (at == 0) {
		told_add(l, info);
		return;
	}
	t = &l->v[at - 1];
	told_merge(&t->info, info);
	t->lanes++;
	t->bad += info->state != QUEUE_OK;
}

static void
told_load(struct told_list *l, struct queue *q)
{
	l->by_name = htab_new();
	queue_each_lane(q, told_take, l);
}

static void
told_free(struct told_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct queue_lane_info *info = &l->v[i].info;

		set_text(&info->transport, NULL);
		set_text(&info->next_hop, NULL);
		set_text(&info->account, NULL);
		set_text(&info->why, NULL);
		set_text(&info->last_error, NULL);
	}
	free(l->v);
	htab_free(&l->by_name);
}

/* One of many next hops is named. */
static void
write_why(struct json_writer *w, const struct told *t)
{
	const struct queue_lane_info *info = &t->info;
	struct strbuf text = STRBUF_INIT;

	if (info->state == QUEUE_OK && !info->configured)
		strbuf_puts(&text, "it is not in the configuration any more");
	else if (info->state != QUEUE_OK) {
		if (info->next_hop != NULL)
			strbuf_printf(&text, "%s: ", info->next_hop);
		strbuf_puts(&text, info->why != NULL ? info->why :
		    queue_state_name(info->state));
		if (t->lanes > 1 && info->next_hop != NULL)
			strbuf_printf(&text, " (%u of %u next hops are not "
			    "ok)", t->bad, t->lanes);
	}
	json_text(w, "why", text.n > 0 ? strbuf_cstr(&text) : NULL);
	strbuf_free(&text);
}

static void
write_daily(struct json_writer *w, uint64_t max, uint64_t used)
{
	if (max == 0)
		json_null(w, "daily");
	else
		json_number(w, "daily", max);
	json_number(w, "daily_used", used);
}

static void
write_told(struct json_writer *w, const struct told *t)
{
	const struct queue_lane_info *info = &t->info;

	json_text(w, "name", info->transport);
	json_text(w, "state", queue_state_name(info->state));
	write_why(w, t);
	json_when(w, "next_probe", info->next_probe);
	json_number(w, "window", info->window);
	json_number(w, "waiting", info->waiting);
	json_text(w, "last_error", info->last_error);
	json_when(w, "last_error_at", info->last_error_at);
	json_when(w, "since", info->since);
	json_number(w, "active", info->active);
	json_when(w, "next_attempt", info->waiting > 0 ? info->next_due : 0);
	json_text(w, "account", info->account);
	json_bool(w, "configured", info->configured);
	write_daily(w, info->daily, info->daily_used);
}

/* What is no transport of the configuration is told of while something
 * concerns it. */
static bool
is_told(const struct queue_lane_info *info)
{
	return (info->configured && strcmp(info->transport, "direct") != 0) ||
	    info->waiting > 0 || info->active > 0 ||
	    info->state != QUEUE_OK || info->last_error != NULL;
}

void
control_write_transports(struct caller *cl, struct json_writer *w)
{
	struct told_list l = { 0 };
	size_t i;

	told_load(&l, cl->c->q);
	for (i = 0; i < l.n; i++) {
		if (!is_told(&l.v[i].info))
			continue;
		json_object(w, NULL);
		write_told(w, &l.v[i]);
		json_close_object(w);
	}
	told_free(&l);
}

void
control_each_transport(struct caller *cl, void (*each)(void *arg,
    const struct queue_lane_info *info), void *arg)
{
	struct told_list l = { 0 };
	size_t i;

	told_load(&l, cl->c->q);
	for (i = 0; i < l.n; i++)
		each(arg, &l.v[i].info);
	told_free(&l);
}

enum step
control_transport_list(struct caller *cl)
{
	struct told_list l = { 0 };
	struct json_writer w;
	size_t i;

	told_load(&l, cl->c->q);
	for (i = 0; i < l.n; i++) {
		if (!is_told(&l.v[i].info))
			continue;
		w = caller_item(cl);
		write_told(&w, &l.v[i]);
		caller_item_end(cl, &w);
	}
	told_free(&l);
	return caller_end(cl, CTL_OK, "%s", "");
}

/* ---- accounts ---- */

static void
write_account(struct json_writer *w, const struct queue_account_info *info)
{
	json_text(w, "name", info->name);
	json_text(w, "state", queue_state_name(info->state));
	json_text(w, "why", info->state != QUEUE_OK ? info->why : NULL);
	json_number(w, "waiting", info->waiting);
	json_when(w, "since", info->since);
	json_when(w, "next_probe", info->next_probe);
	write_daily(w, info->daily, info->daily_used);
}

struct accounts {
	struct caller *cl;
	struct json_writer *w;
	const char *only;		/* NULL: all */
};

static void
account_item(void *arg, const struct queue_account_info *info)
{
	struct accounts *a = arg;
	struct json_writer w = caller_item(a->cl);

	write_account(&w, info);
	caller_item_end(a->cl, &w);
}

static void
account_member(void *arg, const struct queue_account_info *info)
{
	struct accounts *a = arg;

	if (a->only != NULL && strcmp(a->only, info->name) != 0)
		return;
	json_object(a->w, a->only != NULL ? "account" : NULL);
	write_account(a->w, info);
	json_close_object(a->w);
}

void
control_write_accounts(struct caller *cl, struct json_writer *w)
{
	struct accounts a = { .cl = cl, .w = w };

	queue_each_account(cl->c->q, account_member, &a);
}

enum step
control_account_list(struct caller *cl)
{
	struct accounts a = { .cl = cl };

	queue_each_account(cl->c->q, account_item, &a);
	return caller_end(cl, CTL_OK, "%s", "");
}

/* ---- those of one message ---- */

static struct lane *
lane_of_message(struct queue *q, const struct record *r)
{
	size_t i;

	if (r->pinned != NULL)
		return NULL;
	for (i = 0; i < r->env->recipient_count; i++)
		if (r->rcpt[i].state == RCPT_PENDING)
			return lane_of_id(q, r->rcpt[i].lane &
			    ~(STORE_LEASED | LINE_FRESH));
	return NULL;
}

void
control_write_places(struct caller *cl, struct json_writer *w,
    const struct record *r)
{
	const char *name = r->pinned != NULL ? r->pinned : r->transport;
	struct told_list l = { .only = lane_of_message(cl->c->q, r) };
	struct accounts a = { .cl = cl, .w = w, .only = r->account };
	size_t i;

	if (l.only != NULL && l.only->name[0] != 0)
		name = l.only->name;
	told_load(&l, cl->c->q);
	for (i = 0; i < l.n && name != NULL; i++) {
		if (strcmp(l.v[i].info.transport, name) != 0)
			continue;
		json_object(w, "transport");
		write_told(w, &l.v[i]);
		json_close_object(w);
	}
	told_free(&l);
	if (r->account != NULL)
		queue_each_account(cl->c->q, account_member, &a);
}

/* ---- pause and resume ---- */

struct steer {
	const char *command, *kind;
	void (*op)(struct queue *q, const char *name, queue_op_done *done,
	    void *arg);
	const char *done, *nothing;
};

static const struct steer steers[] = {
	{ "transport pause", "transport", queue_op_transport_pause,
	    "transport %s is paused: its mail waits until `relayctl "
	    "transport resume`", "transport %s was paused already" },
	{ "transport resume", "transport", queue_op_transport_resume,
	    "transport %s takes mail again", "transport %s was neither "
	    "paused nor parked nor unreachable" },
	{ "account pause", "account", queue_op_account_pause,
	    "account %s is paused: its mail waits until `relayctl account "
	    "resume`", "account %s was paused already" },
	{ "account resume", "account", queue_op_account_resume,
	    "account %s sends again", "account %s was neither paused nor "
	    "parked" },
};

static void
steer_done(void *arg, uint64_t id, enum queue_op_result r, const char *text)
{
	struct caller *cl = arg;
	const struct steer *s = steers;
	struct strbuf out = STRBUF_INIT;

	(void)id;
	while (strcmp(s->command, cl->req.command) != 0)
		s++;
	cl->steered = r;
	if (r == QUEUE_OP_FAILED)
		strbuf_puts(&out, text);
	else if (r == QUEUE_OP_UNKNOWN)
		strbuf_printf(&out, "there is no %s `%s`", s->kind,
		    cl->req.name);
	else {
		const char *fmt = r == QUEUE_OP_NOTHING ? s->nothing :
		    s->done;
		const char *at = strstr(fmt, "%s");

		strbuf_add(&out, fmt, (size_t)(at - fmt));
		strbuf_puts(&out, cl->req.name);
		strbuf_puts(&out, at + 2);
	}
	strbuf_clear(&cl->trail.found);
	strbuf_add_slice(&cl->trail.found, strbuf_slice(&out));
	strbuf_free(&out);
	cl->under_way--;
	if (!cl->stepping)
		caller_wake(cl);
}

enum step
control_steer(struct caller *cl)
{
	const struct steer *s = steers;

	while (strcmp(s->command, cl->req.command) != 0)
		s++;
	if (cl->req.name == NULL || cl->req.name[0] == 0)
		return caller_end(cl, CTL_USAGE, "which %s?", s->kind);
	if (!cl->walked) {
		cl->walked = true;	/* it is asked for once */
		cl->under_way++;
		s->op(cl->c->q, cl->req.name, steer_done, cl);
	}
	if (cl->under_way > 0)
		return STEP_WAIT;
	return caller_end(cl, cl->steered == QUEUE_OP_DONE ||
	    cl->steered == QUEUE_OP_LATER ||
	    cl->steered == QUEUE_OP_NOTHING ? CTL_OK :
	    cl->steered == QUEUE_OP_FAILED ? CTL_UNAVAILABLE : CTL_NONE,
	    "%s", strbuf_cstr(&cl->trail.found));
}

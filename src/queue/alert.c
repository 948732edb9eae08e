/*
 * Alerts: an administrator is told when something begins that needs him, and
 * when it is over; once each.  Run by queue.
 *
 * Others say how things are, as often as they like (alert_state()); this file
 * remembers what was told, on disk, in the same change as the message that
 * tells it: a start repeats nothing.  What was told before a start and is not
 * heard of since is left as it is until somebody knows.  A change that fails
 * is made anew later; the command is run (by monitor) when the change is
 * durable, and again after a crash that came in between.
 *
 * A thing that comes and goes is told of twice in `after`, then it must last.
 */
#include "queue/alert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "mail/dsn_text.h"

#define NOTE "alert/"			/* names in the store's notes */
#define NOTE_VERSION 1
#define OBJECT_MAX 400u			/* octets */
#define ALERTS_MAX 500u			/* objects */
#define LOOK_MIN 250u			/* ms between looks */
#define LOOK_MAX 30000u
#define AGAIN_MS 30000u			/* after a change that failed */
#define PIECE_MS 30000u
#define BUSY_MS 1000u			/* while monitor runs many commands */

static const char *const kinds[] = {
	[ALERT_PARKED] = "parked", [ALERT_UNREACHABLE] = "unreachable",
	[ALERT_QUEUE] = "queue", [ALERT_DISK] = "disk",
	[ALERT_RUNAWAY] = "runaway"
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *
alert_kind_name(enum alert_kind kind)
{
	return kinds[kind];
}

/* ---- the list ---- */

static struct alert *
alert_find(const struct alerts *as, enum alert_kind kind, const char *object)
{
	struct alert *a;

	TAILQ_FOREACH(a, &as->list, link)
		if (a->kind == kind && strcmp(a->object, object) == 0)
			return a;
	return NULL;
}

/* Printable ASCII, one line. */
static char *
cleaned(const char *text, size_t max)
{
	char *s = mem_strndup(text, strnlen(text, max)), *p;

	for (p = s; *p != 0; p++)
		if ((unsigned char)*p < 32 || (unsigned char)*p > 126)
			*p = (unsigned char)*p < 32 ? ' ' : '?';
	return s;
}

/* Blanks that follow each other become one. */
static void
squeeze(char *text)
{
	char *to = text;
	const char *p;

	for (p = text; *p != 0; p++)
		if (*p != ' ' || (to > text && to[-1] != ' '))
			*to++ = *p;
	*to = 0;
}

void
alert_why(struct alert *a, const char *text)
{
	char *why = cleaned(text, ALERT_TEXT_MAX / 2);

	squeeze(why);
	free(a->why);
	a->why = why;
}

static struct alert *
alert_add(struct alerts *as, enum alert_kind kind, const char *object)
{
	struct alert *a;

	a = mem_zalloc(sizeof(*a));
	a->q = as->q;
	a->kind = kind;
	a->object = mem_strdup(object);
	a->shown = cleaned(object, OBJECT_MAX);
	a->why = mem_strdup("");
	TAILQ_INSERT_TAIL(&as->list, a, link);
	return a;
}

static void
alert_free(struct alerts *as, struct alert *a)
{
	TAILQ_REMOVE(&as->list, a, link);
	free(a->object);
	free(a->shown);
	free(a->why);
	free(a);
}

static size_t
alerts_n(const struct alerts *as)
{
	const struct alert *a;
	size_t n = 0;

	TAILQ_FOREACH(a, &as->list, link)
		n++;
	return n;
}

/* ---- what is on disk ---- */

static void
note_name(const struct alert *a, char name[64 + OBJECT_MAX])
{
	snprintf(name, 64 + OBJECT_MAX, NOTE "%s/%s", kinds[a->kind],
	    a->object);
}

/* version, told, command, begin, since, why */
static void
note_put(const struct alert *a, bool told, bool command,
    struct store_change *c)
{
	struct strbuf v = STRBUF_INIT;
	char name[64 + OBJECT_MAX];
	unsigned char head[12];
	int i;

	note_name(a, name);
	if (!told && !command) {
		store_del_meta(c, name);
		return;
	}
	head[0] = NOTE_VERSION;
	head[1] = told;
	head[2] = command;
	head[3] = a->begin;
	for (i = 0; i < 8; i++)
		head[4 + i] = (unsigned char)(a->since >> (56 - 8 * i));
	strbuf_add(&v, head, sizeof(head));
	strbuf_puts(&v, a->why);
	store_put_meta(c, name, strbuf_slice(&v));
	strbuf_free(&v);
}

static void
note_take(void *arg, struct slice name, struct slice v)
{
	struct alerts *as = arg;
	const unsigned char *p = (const unsigned char *)v.p;
	struct alert *a;
	size_t i, n;
	char *object, *text;

	name = slice_skip(name, sizeof(NOTE) - 1);
	if (v.n < 12 || p[0] != NOTE_VERSION)
		return;
	for (i = 0; i < KINDS; i++) {
		n = strlen(kinds[i]);
		if (name.n > n && memcmp(name.p, kinds[i], n) == 0 &&
		    name.p[n] == '/')
			break;
	}
	if (i == KINDS)
		return;
	object = slice_dup(slice_skip(name, n + 1));
	a = alert_find(as, (enum alert_kind)i, object);
	if (a == NULL)
		a = alert_add(as, (enum alert_kind)i, object);
	free(object);
	a->told = p[1] != 0;
	a->command = p[2] != 0;
	a->begin = p[3] != 0;
	for (a->since = 0, i = 0; i < 8; i++)
		a->since = a->since << 8 | p[4 + i];
	if (a->known)
		return;			/* lanes have said it already */
	text = slice_dup(slice_skip(v, 12));
	alert_why(a, text);
	free(text);
}

static void
note_written(void *arg, int code, const char *text)
{
	(void)arg;
	if (code != 0)
		log_msg(LL_WARN, "alert", "a note is not on disk: %s", text);
}

/* What was told has changed without a message. */
static void
note_settle(struct alert *a)
{
	struct store_change *c;

	if (a->q->store == NULL)
		return;
	c = store_change_new(a->q->store);
	note_put(a, a->told, a->command, c);
	queue_commit(a->q, &c, true, NULL, note_written, a->q);
}

/* ---- the command ---- */

static void
command_started(void *arg, struct port_message *m)
{
	struct alert *a = arg;

	(void)FAULT("queue.alert.run");
	a->asked = false;
	if (m == NULL)
		return;			/* monitor is gone, and so are we */
	if (m->data.n > 0) {
		a->not_before = clock_mono_ms() + BUSY_MS;
		loop_timer_set(a->q->loop, &a->q->alerts->timer, BUSY_MS);
		return;
	}
	a->command = false;
	note_settle(a);
	loop_timer_set(a->q->loop, &a->q->alerts->timer, LOOK_MIN);
}

static void
command_run(struct alert *a)
{
	struct port *monitor = a->q->base.monitor;
	struct strbuf text = STRBUF_INIT, b = STRBUF_INIT;
	struct msg_alert m;

	if (!a->q->conf->alert.has_command || monitor == NULL) {
		a->command = false;
		note_settle(a);
		return;
	}
	alert_headline(a, &text);
	if (a->why[0] != 0)
		strbuf_printf(&text, ": %s", a->why);
	memset(&m, 0, sizeof(m));
	snprintf(m.kind, sizeof(m.kind), "%s", kinds[a->kind]);
	snprintf(m.object, sizeof(m.object), "%s", a->object);
	m.begin = a->begin;
	snprintf(m.text, sizeof(m.text), "%s", strbuf_cstr(&text));
	msg_alert_encode(&b, &m);
	a->asked = true;
	port_send(monitor, MSG_ALERT, port_request(monitor, 0,
	    command_started, a), strbuf_slice(&b));
	strbuf_free(&text);
	strbuf_free(&b);
}

/* ---- telling ---- */

static void
told(void *arg, uint64_t id, enum queue_op_result result, const char *text)
{
	struct alert *a = arg;
	struct alerts *as = a->q->alerts;

	a->writing = false;
	if (result != QUEUE_OP_DONE) {
		log_begin(LL_ERROR, "alert");
		log_str("kind", kinds[a->kind]);
		log_str("object", a->object);
		log_str("why", text);
		log_end();
		a->not_before = clock_mono_ms() + AGAIN_MS;
		return;
	}
	(void)FAULT("queue.alert.told");
	a->told = a->begin;
	a->command = a->q->conf->alert.has_command;
	log_begin(a->begin ? LL_WARN : LL_INFO, "alert");
	log_str("kind", kinds[a->kind]);
	log_str("object", a->object);
	log_str("state", a->begin ? "begin" : "end");
	if (id != 0)
		log_str("id", line_id_text(id).s);
	if (a->why[0] != 0)
		log_str("why", a->why);
	log_end();
	if (!a->q->draining && as != NULL)
		loop_timer_set(a->q->loop, &as->timer, 0);
}

static void
told_without_mail(void *arg, int code, const char *text)
{
	told(arg, 0, code == 0 ? QUEUE_OP_DONE : QUEUE_OP_FAILED, text);
}

static void
alert_tell(struct alert *a, bool begin)
{
	struct store_change *c = store_change_new(a->q->store);

	a->writing = true;
	a->begin = begin;
	if (begin) {
		a->begun[0] = a->begun[1];
		a->begun[1] = clock_mono_ms() + 1;
	}
	note_put(a, begin, a->q->conf->alert.has_command, c);
	if (a->q->conf->alert.to != NULL)
		alert_mail(a, c, told);
	else
		queue_commit(a->q, &c, false, "queue.alert.before_commit",
		    told_without_mail, a);
}

/* It has lasted, and does not come and go. */
static bool
is_due(const struct alert *a)
{
	uint64_t after = a->q->conf->alert.after, now = clock_real_ms();

	if (!a->on || !a->known)
		return false;
	if (a->kind == ALERT_UNREACHABLE &&
	    (now < a->since || now - a->since < after))
		return false;
	return a->begun[0] == 0 || clock_mono_ms() - a->begun[0] >= after;
}

static bool
may_be_forgotten(const struct alert *a)
{
	uint64_t after = a->q->conf->alert.after;

	return !a->said && !a->on && !a->told && !a->command &&
	    (a->begun[1] == 0 || clock_mono_ms() - a->begun[1] >= after);
}

static void
alert_judge(struct alerts *as, struct alert *a)
{
	/* Or a clock that is put back would keep it from ever lasting. */
	if (!a->told && a->since > clock_real_ms())
		a->since = clock_real_ms();
	if (a->writing || a->asked || clock_mono_ms() < a->not_before)
		return;
	if (!as->q->conf->alert.set) {
		if (a->told || a->command) {
			a->told = a->command = false;
			note_settle(a);
		}
		if (!a->on)
			alert_free(as, a);
	} else if (a->command) {
		command_run(a);
	} else if (!a->told && is_due(a)) {
		alert_tell(a, true);
	} else if (a->told && a->known && !a->on) {
		alert_tell(a, false);
	} else if (may_be_forgotten(a)) {
		alert_free(as, a);
	}
}

void
alert_state(struct queue *q, enum alert_kind kind, const char *object,
    bool begin, const char *text)
{
	struct alerts *as = q->alerts;
	char *name = mem_strndup(object, strnlen(object, OBJECT_MAX));
	struct alert *a = alert_find(as, kind, name);

	if (a == NULL && begin && alerts_n(as) < ALERTS_MAX)
		a = alert_add(as, kind, name);
	free(name);
	if (a == NULL)
		return;
	if (begin && !a->on && !a->told)
		a->since = clock_real_ms();
	if (a->said != begin || !a->known)
		loop_timer_set(q->loop, &as->timer, 0);
	a->known = true;
	a->said = a->on = begin;
	alert_why(a, text != NULL ? text : "");
}

/* ---- now and then ---- */

static void
alerts_look(void *arg)
{
	struct alerts *as = arg;
	struct queue *q = as->q;
	uint64_t every = q->conf->alert.after / 4;
	struct alert *a, *next;

	if (q->store == NULL || q->draining)
		return;
	if (!alert_look(as))
		every = 0;
	alert_rate_look(as);
	for (a = TAILQ_FIRST(&as->list); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		alert_judge(as, a);
	}
	loop_timer_set(q->loop, &as->timer, !q->conf->alert.set ||
	    every > LOOK_MAX ? LOOK_MAX : every < LOOK_MIN ? LOOK_MIN :
	    every);
}

/* ---- life ---- */

void
alerts_new(struct queue *q)
{
	struct alerts *as = mem_zalloc(sizeof(*as));

	as->q = q;
	TAILQ_INIT(&as->list);
	as->senders = htab_new();
	as->piece_ms = PIECE_MS;
	loop_timer_init(&as->timer, alerts_look, as);
	q->alerts = as;
}

void
alerts_start(struct queue *q)
{
	q->alerts->started = clock_mono_ms();
	store_each_meta(q->store, NOTE, note_take, q->alerts);
	loop_timer_set(q->loop, &q->alerts->timer, LOOK_MIN);
}

void
alerts_view(struct queue *q)
{
	loop_timer_set(q->loop, &q->alerts->timer, 0);
}

void
alerts_free(struct queue *q)
{
	struct alerts *as = q->alerts;

	if (as == NULL)
		return;
	q->alerts = NULL;
	loop_timer_cancel(q->loop, &as->timer);
	while (!TAILQ_EMPTY(&as->list))
		alert_free(as, TAILQ_FIRST(&as->list));
	alert_rate_free(as);
	free(as);
}

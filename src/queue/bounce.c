/*
 * Reports about what could not be delivered, or not yet (RFC 3461, 3464): a
 * new message in the same change as the state it tells of, so that neither is
 * ever there without the other.  One for all recipients that failed together.
 * Run by queue.
 *
 * Nobody hears of a message from the null sender, nor of an alert; a report of
 * our own that fails goes to the postmaster, and one to the postmaster is
 * dropped with a line in the log.  A sender that need not be the true one gets
 * nothing: the report goes to the postmaster then (no backscatter).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/pattern.h"
#include "queue/internal.h"

#define WHOLE_MAX (512u * 1024)		/* of a file, returned with RET=FULL */

/* ---- to whom ---- */

static bool
patterns_own(const struct conf_patterns *p, const char *address)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (mail_pattern_matches(&p->v[i], slice_cstr(address)))
			return true;
	return false;
}

static bool
login_owns(const struct conf *conf, const char *login, const char *address)
{
	size_t i;

	if (login == NULL)
		return false;
	if (mail_address_same(slice_cstr(login), slice_cstr(address)))
		return true;
	for (i = 0; i < conf->n_logins; i++)
		if (conf->logins[i].name != NULL &&
		    strcmp(conf->logins[i].name, login) == 0)
			return patterns_own(&conf->logins[i].senders, address);
	return false;
}

/* Does the one who sent it own the reverse-path? */
static bool
sender_is_own(const struct queue *q, const struct record *r)
{
	const struct conf *conf = q->conf;
	size_t i;

	if (route_is_local(q, r->env->from) ||
	    login_owns(conf, r->env->login, r->env->from))
		return true;
	i = r->account != NULL ? conf_account_find(conf, r->account) :
	    SIZE_MAX;
	return i != SIZE_MAX &&
	    patterns_own(&conf->accounts[i].senders, r->env->from);
}

static const char *
bounce_address(const struct queue *q, const struct record *r)
{
	if (r->env->protocol == MAIL_PROTO_REPORT)
		return q->conf->postmaster;
	if (q->conf->bounce_to == BOUNCE_TO_SENDER ||
	    (q->conf->bounce_to == BOUNCE_TO_AUTO && sender_is_own(q, r)))
		return r->env->from;
	return q->conf->postmaster;
}

static const char *
bounce_sender(const struct queue *q, const struct record *r)
{
	size_t i = r->account != NULL ?
	    conf_account_find(q->conf, r->account) : SIZE_MAX;

	if (i != SIZE_MAX && q->conf->accounts[i].bounce_from != NULL)
		return q->conf->accounts[i].bounce_from;
	return q->conf->bounce_from != NULL ? q->conf->bounce_from : "";
}

/* ---- about what ---- */

/* The recipient's part, or false when nobody wants to hear of it. */
static bool
bounce_recipient(const struct message *m, size_t i, enum dsn_action action,
    struct dsn_recipient *out)
{
	const struct record_rcpt *rc = &m->rec->rcpt[i];
	const struct envelope *env = m->rec->env;

	if (env->protocol == MAIL_PROTO_ALERT)
		return false;
	if (env->protocol == MAIL_PROTO_REPORT) {
		if (action != DSN_FAILED)
			return false;
	} else if (!dsn_wanted(env, env->recipients[i].notify, action)) {
		return false;
	}
	memset(out, 0, sizeof(*out));
	out->address = env->recipients[i].address;
	out->orcpt = env->recipients[i].orcpt;
	out->action = action;
	out->status = rc->last_status[0] != 0 ? MAIL_STATUS(rc->last_status[0],
	    rc->last_status[1], rc->last_status[2]) :
	    mail_status_of_code(rc->last_code);
	if (rc->state == RCPT_EXPIRED)
		out->status = MAIL_STATUS(5, 4, 7);
	out->remote_mta = rc->remote;
	out->diagnostic = rc->last_reply;
	out->diagnostic_smtp = rc->remote != NULL &&
	    rc->state != RCPT_EXPIRED;
	out->last_attempt_ms = rc->last_attempt;
	if (action == DSN_DELAYED)
		out->retry_until_ms = retry_expires(m->q, m->rec);
	return true;
}

static size_t
bounce_recipients(struct message *m, enum dsn_action action,
    struct dsn_recipient *out)
{
	size_t i, n = 0;

	for (i = 0; i < m->rec->env->recipient_count; i++) {
		uint8_t *tell = action == DSN_FAILED ? &m->note[i].report :
		    &m->note[i].delay;

		if (*tell != TELL_WANTED)
			continue;
		*tell = TELL_WRITING;
		n += bounce_recipient(m, i, action, &out[n]);
	}
	return n;
}

/* The original, or as much of it as will be returned. */
static bool
bounce_original(struct message *m, struct strbuf *file, struct slice *out)
{
	uint64_t size = m->rec->body_size, n = size;
	struct err e = { 0, "" };
	int fd;

	*out = slice_of("", 0);
	if (m->rec->body_kind != BODY_FILE) {
		if (message_need_body(m, &e) < 0) {
			line_id(LL_ERROR, "body", m->id, e.text);
			return false;
		}
		*out = strbuf_slice(&m->body);
		return true;
	}
	fd = store_open_body(m->q->store, m->rec, &e);
	if (fd < 0) {
		line_id(LL_ERROR, "body", m->id, e.text);
		return false;
	}
	if (n > WHOLE_MAX || m->rec->env->ret != MAIL_RET_FULL)
		n = n < DSN_WHOLE_MAX ? n : DSN_WHOLE_MAX;
	if (fs_pread_all(fd, strbuf_room(file, (size_t)n), (size_t)n, 0) == 0)
		file->n = (size_t)n;
	close(fd);
	*out = strbuf_slice(file);
	return file->n == size;
}

/* ---- the report itself ---- */

static unsigned
bounce_compose(struct message *m, const struct dsn_recipient *rcpt, size_t n,
    const char *to, uint64_t id, struct strbuf *text)
{
	struct queue *q = m->q;
	struct strbuf file = STRBUF_INIT;
	struct dsn d;
	unsigned flags;

	memset(&d, 0, sizeof(d));
	d.reporting_mta = q->conf->hostname;
	d.from = q->conf->postmaster;
	d.to = to;
	d.id = id;
	d.now_ms = clock_real_ms();
	d.original = m->rec->env;
	d.recipients = rcpt;
	d.recipient_count = n;
	d.message_whole = bounce_original(m, &file, &d.message);
	flags = dsn_compose(&d, text);
	strbuf_free(&file);
	return flags;
}

static struct record *
bounce_record(struct message *m, const char *to, uint64_t id, unsigned flags,
    struct slice text)
{
	struct envelope *env = envelope_new();

	env->id = id;
	env->received_ms = clock_real_ms();
	env->size = text.n;
	env->crc = crc32c(0, text.p, text.n);
	env->flags = flags;
	env->protocol = MAIL_PROTO_REPORT;
	envelope_set(&env->from, slice_cstr(bounce_sender(m->q, m->rec)));
	if (m->rec->account != NULL)
		envelope_set(&env->account, slice_cstr(m->rec->account));
	(void)envelope_add_recipient(env, slice_cstr(to), MAIL_NOTIFY_NEVER,
	    slice_of(NULL, 0));
	(void)names_expand(m->q, env);
	return record_new(env);
}

static void
bounce_line(const struct message *m, uint64_t report, const char *to,
    const char *why)
{
	log_begin(why == NULL ? LL_INFO : LL_WARN, "bounce");
	log_str("id", line_id_text(m->id).s);
	if (report != 0)
		log_str("report", line_id_text(report).s);
	log_fmt("to", "<%s>", to);
	if (why != NULL)
		log_fmt("dropped", "%s", why);
	log_end();
}

/* Where it is due: once for each lane that its recipients are in. */
static void
bounce_due(struct message *m, struct record *r)
{
	size_t i, k, first = m->reports.n;
	struct route_pick pick;
	struct due_key *key;

	for (i = 0; i < r->env->recipient_count; i++) {
		route_pick(m->q, r, i, &pick);
		r->rcpt[i].lane = lane_line(pick.via[0], LINE_FRESH);
		r->rcpt[i].due = r->env->received_ms;
		for (k = first; k < m->reports.n; k++)
			if (m->reports.v[k].lane == r->rcpt[i].lane)
				break;
		if (k < m->reports.n)
			continue;
		key = mem_push(&m->reports.v, &m->reports.n, sizeof(*key));
		key->lane = r->rcpt[i].lane;
		key->time = r->rcpt[i].due;
	}
}

/* Puts the report into the change.  A postmaster whom nothing here delivers to
 * keeps it waiting, where an administrator sees it. */
static void
bounce_store(struct message *m, struct store_change *c,
    const struct dsn_recipient *rcpt, size_t n, const char *to)
{
	uint64_t id = id_new(m->q);
	struct strbuf text = STRBUF_INIT;
	size_t first = m->reports.n;
	struct record *r;
	unsigned flags;

	flags = bounce_compose(m, rcpt, n, to, id, &text);
	r = bounce_record(m, to, id, flags, strbuf_slice(&text));
	bounce_due(m, r);
	store_new_message(c, r, strbuf_slice(&text));
	for (; first < m->reports.n; first++)
		store_due_add(c, m->reports.v[first].lane,
		    m->reports.v[first].time, id);
	store_count(c, COUNT_QUEUED, 1);
	bounce_line(m, id, to, NULL);
	record_free(&r);
	strbuf_free(&text);
}

/* Did it go there?  By an alias, too. */
static bool
bounce_went_to(const struct message *m, const char *to)
{
	const struct envelope *env = m->rec->env;
	struct local_answer a = { 0 };
	bool found = false;
	size_t i, k;

	if (route_is_local(m->q, to))
		conf_local_resolve(m->q->names, to, m->q->conf->max_recipients,
		    &a);
	for (i = 0; i < env->recipient_count && !found; i++) {
		found = mail_address_same(slice_cstr(
		    env->recipients[i].address), slice_cstr(to));
		for (k = 0; k < a.n && !found; k++)
			found = mail_address_same(slice_cstr(
			    env->recipients[i].address),
			    slice_cstr(a.v[k].address));
	}
	local_answer_clear(&a);
	return found;
}

/* A report about a report may only go to a postmaster that is not the one
 * who cannot be reached. */
static bool
bounce_is_final(const struct message *m, const char *to)
{
	if (to == NULL || to[0] == 0)
		return true;
	return m->rec->env->protocol == MAIL_PROTO_REPORT &&
	    bounce_went_to(m, to);
}

static size_t
bounce_action(struct message *m, struct store_change *c,
    enum dsn_action action)
{
	struct dsn_recipient *rcpt;
	const char *to = bounce_address(m->q, m->rec);
	size_t n, made = 0;

	rcpt = mem_zarray(m->rec->env->recipient_count, sizeof(*rcpt));
	n = bounce_recipients(m, action, rcpt);
	if (n > 0 && bounce_is_final(m, to))
		bounce_line(m, 0, to != NULL ? to : "",
		    "a report that cannot be delivered");
	else if (n > 0) {
		bounce_store(m, c, rcpt, n, to);
		made = 1;
	}
	free(rcpt);
	return made;
}

size_t
bounce_add(struct message *m, struct store_change *c)
{
	bool failed = false, delayed = false;
	size_t i, n = 0;

	for (i = 0; i < m->rec->env->recipient_count; i++) {
		failed |= m->note[i].report == TELL_WANTED;
		delayed |= m->note[i].delay == TELL_WANTED;
	}
	if (failed)
		n += bounce_action(m, c, DSN_FAILED);
	if (delayed)
		n += bounce_action(m, c, DSN_DELAYED);
	return n;
}

void
bounce_told(struct message *m, bool durable)
{
	uint8_t now = durable ? TELL_NOTHING : TELL_WANTED;
	size_t i;

	for (i = 0; i < m->rec->env->recipient_count; i++) {
		if (m->note[i].report == TELL_WRITING)
			m->note[i].report = now;
		if (m->note[i].delay == TELL_WRITING)
			m->note[i].delay = now;
	}
}

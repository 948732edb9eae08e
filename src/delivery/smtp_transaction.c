/*
 * From MAIL to the reply to the message.  Run by delivery.  RFC 5321 3.3,
 * 4.1.1, 4.5.3.1.10; RFC 2920: where the server offers PIPELINING, MAIL, all
 * RCPT and DATA leave in one write; RFC 3030: with CHUNKING too, a small
 * message goes with them.
 *
 * Each recipient gets the reply that decided about it: its own refusal, or
 * the one to MAIL, DATA or the message.  More recipients than the server
 * takes at once go in further transactions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "delivery/reply_class.h"
#include "delivery/smtp_client_private.h"
#include "mail/domain.h"
#include "mail/envelope.h"
#include "mail/smtp_params.h"

/* Sent ahead of the replies to MAIL and RCPT: so much is not worth asking. */
#define AHEAD_MAX 65536u

static bool
has_cap(const struct smtp_client *c, unsigned cap)
{
	return (c->caps.flags & cap) != 0;
}

/* ---- answers ---- */

/* A server's reply as a recipient's result.  What it says of the account
 * instead of the message must never become a bounce. */
static void
answer(struct smtp_client *c, uint32_t place)
{
	struct job *j = c->job;
	int code = c->reply.code;
	struct mail_status st = smtp_reply_status(&c->reply);
	const char *text = client_reply_text(c);
	enum job_class class = reply_class(c->to.transport, &c->reply);

	if (class != JOB_SETTLED) {
		j->hint = class;
		free(j->hint_text);
		j->hint_text = mem_strdup(text);
		if (code >= 500) {
			code = 450;
			st = MAIL_STATUS(4, 7, 0);
		}
	}
	job_answer(j, place, code, st, text);
}

static void
answer_all(struct smtp_client *c, enum rcpt_state which)
{
	uint32_t i;

	for (i = 0; i < c->t.n; i++) {
		if (c->job->rcpt[c->t.rcpt[i]].state == which)
			answer(c, c->t.rcpt[i]);
	}
}

/* ---- what can be said without asking ---- */

static bool
too_large(struct smtp_client *c)
{
	uint64_t max = c->to.transport->max_message_size;
	char text[300];

	if (has_cap(c, SMTP_CAP_SIZE) && c->caps.size != 0 &&
	    (max == 0 || c->caps.size < max))
		max = c->caps.size;
	if (max == 0 || c->job->size <= max)
		return false;
	snprintf(text, sizeof(text), "552 5.3.4 message of %llu octets is too "
	    "large for %s, which takes %llu", (unsigned long long)c->job->size,
	    c->to.remote, (unsigned long long)max);
	job_answer_rest(c->job, 552, MAIL_STATUS(5, 3, 4), text);
	return true;
}

/* Addresses that the server cannot understand; all others go. */
static void
refuse_utf8(struct smtp_client *c)
{
	struct job *j = c->job;
	bool from = mail_has_8bit(slice_cstr(j->m.from));
	char text[300];
	uint32_t i;

	if (has_cap(c, SMTP_CAP_SMTPUTF8))
		return;
	snprintf(text, sizeof(text), "553 5.6.7 %s does not support SMTPUTF8, "
	    "which this address needs", c->to.remote);
	for (i = 0; i < j->m.n_rcpt; i++) {
		if (from || mail_has_8bit(slice_cstr(j->m.rcpt[i].address)))
			job_answer(j, i, 553, MAIL_STATUS(5, 6, 7), text);
	}
}

/* ---- the transaction ---- */

static void
pick_recipients(struct smtp_client *c)
{
	struct job *j = c->job;
	struct transaction *t = &c->t;
	uint32_t i;

	for (i = 0; i < j->m.n_rcpt && t->n < c->rcpt_max; i++) {
		if (j->rcpt[i].state != RCPT_WAITING)
			continue;
		if (t->n == t->room) {
			t->room = t->room == 0 ? 8 : t->room * 2;
			t->rcpt = mem_resize(t->rcpt,
			    t->room * sizeof(*t->rcpt));
		}
		t->rcpt[t->n++] = i;
		j->rcpt[i].state = RCPT_OFFERED;
	}
}

static void
job_is_done(struct smtp_client *c, bool clean)
{
	client_job_done(c);
	/* The callee may have ended the session. */
	if (c->state == ST_ENDED)
		return;
	client_state(c, clean ? ST_IDLE : ST_RSET);
}

void
transaction_begin(struct smtp_client *c)
{
	struct job *j = c->job;
	uint32_t *keep = c->t.rcpt, room = c->t.room;

	memset(&c->t, 0, sizeof(c->t));
	c->t.rcpt = keep;
	c->t.room = room;
	c->whole = false;
	c->offset = 0;
	c->crc = 0;
	if (!too_large(c))
		refuse_utf8(c);
	if (j->open == 0) {
		job_is_done(c, true);
		return;
	}
	pick_recipients(c);
	c->transactions++;
	if (j->mail_ms == 0)
		j->mail_ms = clock_mono_ms();
	if (FAULT("delivery.before_mail") != 0) {
		client_broken(c, "a fault was asked for");
		return;
	}
	client_state(c, ST_MAIL);
}

/* Of the server's replies all that were due have come. */
void
transaction_end(struct smtp_client *c)
{
	bool clean = c->t.clean;

	if (c->job->open == 0) {
		job_is_done(c, clean);
		return;
	}
	job_reopen(c->job);
	if (smtp_client_full(c))
		client_end_again(c);
	else if (!clean)
		client_state(c, ST_RSET);
	else
		transaction_begin(c);
}

/* ---- MAIL ---- */

static void
write_mail(struct smtp_client *c, struct strbuf *out)
{
	const struct msg_job *m = &c->job->m;
	struct envelope env = {
		.flags = (m->eight_bit ? ENVELOPE_8BITMIME : 0u) |
		    (m->smtputf8 ? ENVELOPE_SMTPUTF8 : 0u),
		.ret = (enum mail_ret)m->ret,
		.envid = m->envid,
		.from = m->from
	};
	uint32_t i;

	/* Addresses typed in locally do not come with a declaration. */
	if (mail_has_8bit(slice_cstr(m->from)))
		env.flags |= ENVELOPE_SMTPUTF8;
	for (i = 0; i < c->t.n; i++) {
		if (mail_has_8bit(slice_cstr(m->rcpt[c->t.rcpt[i]].address)))
			env.flags |= ENVELOPE_SMTPUTF8;
	}
	smtp_mail_write(out, &env, m->from, c->job->size, c->caps.flags);
}

static void
write_rcpt(struct smtp_client *c, uint32_t i, struct strbuf *out)
{
	const struct msg_job_rcpt *r = &c->job->m.rcpt[c->t.rcpt[i]];
	struct recipient rcpt = {
		.address = r->address, .notify = r->notify, .orcpt = r->orcpt
	};

	smtp_rcpt_write(out, &rcpt, c->caps.flags);
}

/* MAIL, and all that the server lets us say before it answers. */
void
mail_enter(struct smtp_client *c)
{
	struct strbuf *out = &c->env->out;
	struct transaction *t = &c->t;
	unsigned replies = 1;
	uint32_t i;

	strbuf_clear(out);
	t->chunked = has_cap(c, SMTP_CAP_CHUNKING);
	write_mail(c, out);
	if (has_cap(c, SMTP_CAP_PIPELINING)) {
		t->ahead_rcpt = true;
		for (i = 0; i < t->n; i++)
			write_rcpt(c, i, out);
		replies += t->n;
		if (!t->chunked) {
			t->ahead_data = true;
			strbuf_puts(out, "DATA\r\n");
			replies++;
		} else if (!c->to.lmtp && c->job->fd < 0 &&
		    c->job->size <= AHEAD_MAX) {
			t->ahead_data = true;
			if (body_chunk_ahead(c, out) < 0)
				return;
			replies++;
		}
	}
	client_write(c, strbuf_slice(out), replies);
	if (c->whole) {
		conn_flush(c->conn);
		(void)FAULT("delivery.after_dot");
	}
}

/* The number of sessions is refused, not the message. */
static bool
is_full(const struct smtp_client *c)
{
	return c->reply.code / 100 == 4 && reply_is_full(&c->reply) &&
	    reply_class(c->to.transport, &c->reply) == JOB_SETTLED;
}

void
mail_reply(struct smtp_client *c)
{
	struct transaction *t = &c->t;
	int code = c->reply.code;

	t->heard = true;
	if (code / 100 == 3) {
		client_broken(c, "\"%s\" to MAIL", client_reply_text(c));
		return;
	}
	if (is_full(c)) {
		client_end_full(c);
		return;
	}
	if (code >= 400) {
		t->refused = true;
		answer_all(c, RCPT_OFFERED);
	} else if (!c->welcome) {
		c->welcome = true;
		if (c->ev.accepted != NULL)
			c->ev.accepted(c->arg);
	}
	if (t->refused && !t->ahead_rcpt)
		transaction_end(c);
	else
		client_state(c, ST_RCPT);
}

/* ---- RCPT ---- */

void
rcpt_enter(struct smtp_client *c)
{
	struct strbuf *out = &c->env->out;

	if (c->t.ahead_rcpt)
		return;
	strbuf_clear(out);
	write_rcpt(c, c->t.next, out);
	client_write(c, strbuf_slice(out), 1);
}

/* "Too many recipients", said behind those that it took (RFC 5321,
 * 4.5.3.1.10); another enhanced code than X.5.3 speaks of this one alone. */
static bool
is_one_too_many(const struct smtp_client *c)
{
	const struct smtp_reply *r = &c->reply;

	if ((r->code != 452 && r->code != 552) || c->t.accepted == 0)
		return false;
	return r->status.class == 0 ||
	    (r->status.subject == 5 && r->status.detail == 3);
}

void
rcpt_reply(struct smtp_client *c)
{
	struct transaction *t = &c->t;
	uint32_t place = t->rcpt[t->next];
	int code = c->reply.code;

	t->next++;
	if (code / 100 == 3) {
		client_broken(c, "\"%s\" to RCPT", client_reply_text(c));
		return;
	}
	if (t->refused)
		;
	else if (code / 100 == 2 && c->to.dry)
		answer(c, place);
	else if (code / 100 == 2) {
		c->job->rcpt[place].state = RCPT_ACCEPTED;
		t->accepted++;
	} else if (is_one_too_many(c)) {
		c->job->rcpt[place].state = RCPT_WAITING;
		c->rcpt_max = t->accepted;
	} else
		answer(c, place);
	if (t->next < t->n) {
		if (!t->ahead_rcpt)
			client_state(c, ST_RCPT);
		return;
	}
	client_state(c, ST_DATA);
}

/* ---- DATA ---- */

void
data_enter(struct smtp_client *c)
{
	struct transaction *t = &c->t;

	t->finals = c->to.lmtp ? t->accepted : 1;
	if (t->chunked && t->ahead_data)
		client_state(c, ST_FINAL);
	else if (t->ahead_data)
		;
	else if (t->accepted == 0)
		transaction_end(c);
	else if (t->chunked)
		client_state(c, ST_BODY);
	else
		client_puts(c, "DATA\r\n");
}

void
data_reply(struct smtp_client *c)
{
	struct transaction *t = &c->t;
	int code = c->reply.code;

	if (code == 354) {
		/* For nobody: the server waits for a message all the same. */
		t->empty = t->accepted == 0;
		if (t->empty)
			t->finals = 1;
		client_state(c, ST_BODY);
	} else if (code < 400)
		client_broken(c, "\"%s\" to DATA", client_reply_text(c));
	else {
		answer_all(c, RCPT_ACCEPTED);
		transaction_end(c);
	}
}

/* ---- the reply to the message ---- */

/* LMTP: the replies come in the order of the accepted recipients. */
static void
answer_next_accepted(struct smtp_client *c)
{
	uint32_t i;

	for (i = 0; i < c->t.n; i++) {
		if (c->job->rcpt[c->t.rcpt[i]].state == RCPT_ACCEPTED) {
			answer(c, c->t.rcpt[i]);
			return;
		}
	}
}

void
final_reply(struct smtp_client *c)
{
	struct transaction *t = &c->t;
	int code = c->reply.code;

	/* Nobody can have judged what has not left yet. */
	if (code / 100 == 3 || conn_pending_out(c->conn) > 0) {
		client_broken(c, "\"%s\" to the message",
		    client_reply_text(c));
		return;
	}
	(void)FAULT("delivery.after_final_reply");
	/* Some say only now that there are too many of us. */
	if (code == 432 && !c->to.lmtp && t->accepted > 0 && is_full(c)) {
		client_end_full(c);
		return;
	}
	if (t->empty || t->accepted == 0)
		;
	else if (c->to.lmtp)
		answer_next_accepted(c);
	else
		answer_all(c, RCPT_ACCEPTED);
	t->clean = t->accepted > 0 && (code / 100 == 2 || c->to.lmtp);
	if (t->finals > 0 && --t->finals > 0)
		return;
	transaction_end(c);
}

/* ---- RSET ---- */

void
rset_enter(struct smtp_client *c)
{
	client_puts(c, "RSET\r\n");
}

void
rset_reply(struct smtp_client *c)
{
	if (c->reply.code / 100 != 2) {
		if (c->job != NULL)
			client_end_again(c);
		else
			client_end(c, SMTP_END_CLOSED, "RSET refused: %s",
			    client_reply_text(c));
		return;
	}
	if (c->job != NULL)
		transaction_begin(c);
	else
		client_state(c, ST_IDLE);
}

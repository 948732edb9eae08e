/*
 * How a session of the SMTP client ends, and what then becomes of its job.
 * Run by delivery.
 *
 * Before it was ready the next hop is unreachable; after that, recipients
 * without a final answer are temporarily refused.  A session that was used
 * before and breaks at MAIL says nothing about the message: the job goes to
 * another one.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "delivery/reply_class.h"
#include "delivery/smtp_client_private.h"

void
client_close(struct smtp_client *c, bool politely)
{
	auth_drop(c);
	loop_task_cancel(c->env->loop, &c->more);
	if (c->state != ST_ENDED)
		client_state(c, ST_ENDED);
	if (c->conn == NULL)
		return;
	if (politely)
		conn_close(&c->conn);
	else
		conn_abort(&c->conn);
}

void
client_quit(struct smtp_client *c)
{
	/* A half-written message must not become a whole one by this. */
	if (c->conn != NULL && conn_end(c->conn) == CONN_OPEN &&
	    c->state != ST_BODY && c->state != ST_HANDSHAKE &&
	    conn_pending_out(c->conn) == 0) {
		conn_puts(c->conn, "QUIT\r\n");
		client_close(c, true);
	} else
		client_close(c, false);
}

void
client_end(struct smtp_client *c, enum smtp_client_end how, const char *fmt,
    ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "smtp-client");
		log_str("relay", c->to.remote);
		log_str("end", text);
		log_end();
	}
	client_quit(c);
	c->ev.ended(c->arg, how, NULL, text);
}

void
client_end_again(struct smtp_client *c)
{
	struct job *j = c->job;

	c->job = NULL;
	job_reopen(j);
	client_quit(c);
	c->ev.ended(c->arg, SMTP_END_AGAIN, j, "");
}

void
client_job_done(struct smtp_client *c)
{
	struct job *j = c->job;

	c->job = NULL;
	c->ev.done(c->arg, j);
}

/* Nothing was heard of this message yet in a session that had lain idle: the
 * server has most likely ended it meanwhile. */
static bool
is_stale(const struct smtp_client *c)
{
	return c->job != NULL && c->state == ST_MAIL && !c->t.heard &&
	    c->transactions > 1;
}

/* Recipients without a final answer are temporarily refused: said says what
 * the server said, otherwise the text is ours and gets a code in front. */
static void
refuse_rest(struct smtp_client *c, bool said, int code,
    struct mail_status st, const char *text)
{
	char buf[1200], status[MAIL_STATUS_LEN + 1];

	if (!said) {
		snprintf(buf, sizeof(buf), "%d %s %s", code,
		    mail_status_text(st, status), text);
		text = buf;
	}
	job_answer_rest(c->job, code, st, text);
}

void
client_cut(struct smtp_client *c, bool politely, int code,
    struct mail_status st, const char *text)
{
	struct job *left = NULL;
	enum smtp_client_end how = SMTP_END_CLOSED;

	if (c->state < ST_IDLE)
		how = politely ? SMTP_END_FULL : SMTP_END_UNREACHABLE;
	else if (is_stale(c) || (c->job != NULL && c->state == ST_RSET)) {
		how = SMTP_END_AGAIN;
		left = c->job;
		c->job = NULL;
		job_reopen(left);
	} else if (c->job != NULL)
		refuse_rest(c, politely, code, st, text);
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "smtp-client");
		log_str("relay", c->to.remote);
		log_str("end", text);
		log_end();
	}
	/* What is pending may be the end of a message that is refused now. */
	client_close(c, politely && conn_pending_out(c->conn) == 0);
	if (c->job != NULL)
		client_job_done(c);
	c->ev.ended(c->arg, how, left, text);
}

void
client_broken(struct smtp_client *c, const char *fmt, ...)
{
	const char *doing = client_doing(c);
	char what[512], text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(text, sizeof(text), "%s broke the protocol while %s: %s",
	    c->state >= ST_IDLE ? c->to.remote : "server", doing, what);
	client_cut(c, false, 451, MAIL_STATUS(4, 4, 0), text);
}

void
client_end_full(struct smtp_client *c)
{
	enum smtp_client_end how = reply_is_full(&c->reply) ? SMTP_END_FULL :
	    SMTP_END_SHUT;
	struct job *j = c->job;
	char text[1024];

	snprintf(text, sizeof(text), "%s", client_reply_text(c));
	c->job = NULL;
	job_reopen(j);
	client_quit(c);
	c->ev.ended(c->arg, how, j, text);
}

void
client_shut(struct smtp_client *c)
{
	char text[1024];

	/* A new session that is closed at its first MAIL. */
	if (c->state == ST_MAIL && !c->t.heard && c->transactions == 1) {
		client_end_full(c);
		return;
	}
	snprintf(text, sizeof(text), "%s", client_reply_text(c));
	client_cut(c, true, 421, c->reply.status.class == 4 ?
	    c->reply.status : MAIL_STATUS(4, 3, 2), text);
}

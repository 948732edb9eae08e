/* What a session says (listener; RFC 5321 4.2, RFC 2034).  Replies gather in
 * the connection and leave in one write at the end of the turn. */
#include "listener/session.h"

#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/num.h"
#include "mail/smtp_reply.h"

void
session_greet(struct session *s)
{
	struct strbuf *b = &s->owner->scratch;

	strbuf_clear(b);
	strbuf_puts(b, "220 ");
	strbuf_puts(b, s->owner->conf->hostname);
	strbuf_puts(b, " ESMTP smarthostd\r\n");
	session_say(s, b->p, b->n);
}

void
session_say(struct session *s, const char *reply, size_t n)
{
	conn_write(s->conn, reply, n);
}

static void
log_refusal(const char *client, const struct endpoint *ep, const char *login,
    const char *reason, const struct smtp_refusal *r)
{
	char status[MAIL_STATUS_LEN + 1];

	listener_tell(ep->owner, "", reason);
	log_begin(LL_INFO, "rejected");
	log_str("client", client);
	log_str("listener", ep->conf->name);
	log_str("login", login);
	log_str("reason", reason);
	log_num("code", r->code);
	if (r->status.class != 0)
		log_str("status", mail_status_text(r->status, status));
	log_str("text", r->text);
}

void
refusal_log(const char *client, const struct endpoint *ep,
    const struct refusal *r)
{
	log_refusal(client, ep, NULL, r->reason, &r->reply);
	log_end();
}

/* Whoever sends one wrong command after the other is no mail program.  Not
 * counted: what passes with time, and single recipients of a message that has
 * good ones. */
static bool
one_too_many(struct session *s, int code)
{
	if (code < 500 || s->state == ST_RCPT)
		return false;
	return ++s->errors >= SESSION_ERRORS_MAX;
}

void
session_refuse_as(struct session *s, const char *reason,
    const struct smtp_refusal *reply)
{
	struct strbuf *b = &s->owner->scratch;

	if (s->state == ST_CLOSED)
		return;
	if (log_enabled(LL_INFO)) {
		log_refusal(s->client_text, s->ep, s->login, reason, reply);
		if (s->tx != NULL)
			log_str("from", s->tx->env.from);
		if (s->tx != NULL)
			log_str("to", s->tx->pending.address);
		log_end();
	}
	strbuf_clear(b);
	smtp_reply_write(b, reply->code, reply->status, reply->text);
	conn_write(s->conn, b->p, b->n);
	if (reply->code == 421 || reply->code == 521)
		session_end(s, reason);
	else if (one_too_many(s, reply->code))
		session_refuse(s, REFUSE_ERRORS);
}

void
session_refuse(struct session *s, enum refusal_id id)
{
	session_refuse_as(s, refusals[id].reason, &refusals[id].reply);
}

void
session_accepted(struct session *s, uint64_t id)
{
	char reply[48] = "250 2.0.0 Ok: queued as ";
	size_t n = strlen(reply);

	num_id_text(id, reply + n);
	n += NUM_ID_LEN;
	memcpy(reply + n, "\r\n", 2);
	(void)FAULT("listener.before_reply");
	session_say(s, reply, n + 2);
	if (fault_armed) {
		conn_flush(s->conn);
		(void)FAULT("listener.after_reply");
	}
}

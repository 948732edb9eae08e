/*
 * Greeting, EHLO, HELO, and what to do next with what the server offers.
 * Run by delivery.  A server that does not get as far as that is unreachable:
 * whatever it says is about us or about itself, never about a message.
 * RFC 5321 3.1, 3.2, 4.1.1.1; RFC 2033 (LHLO); RFC 9422 (LIMITS).
 */
#include "delivery/reply_class.h"
#include "delivery/smtp_client_private.h"

/* A server that says `later` before it knows who we are takes no more of us;
 * some say so with 5xx. */
static enum smtp_client_end
refused(const struct smtp_client *c)
{
	return c->reply.code / 100 == 4 || reply_is_full(&c->reply) ?
	    SMTP_END_FULL : SMTP_END_UNREACHABLE;
}

void
hello_greeting(struct smtp_client *c)
{
	if (c->reply.code == 220)
		client_state(c, ST_EHLO);
	else
		client_end(c, refused(c), "greeting refused: %s",
		    client_reply_text(c));
}

static void
say(struct smtp_client *c, const char *verb)
{
	struct strbuf *out = &c->env->out;

	strbuf_clear(out);
	strbuf_puts(out, verb);
	strbuf_puts(out, c->to.helo);
	strbuf_puts(out, "\r\n");
	client_write(c, strbuf_slice(out), 1);
}

void
hello_enter(struct smtp_client *c)
{
	say(c, c->to.lmtp ? "LHLO " : "EHLO ");
}

void
hello_helo_enter(struct smtp_client *c)
{
	say(c, "HELO ");
}

static bool
in_tls(const struct smtp_client *c)
{
	return c->tls_text != NULL;
}

/* A certificate is all that we have, and the server lets us log in by it; one
 * that does not say so knows us by it all the same. */
static bool
may_show_certificate(const struct smtp_client *c)
{
	return in_tls(c) && c->to.transport->has_certificate &&
	    c->to.transport->kind == TRANSPORT_SUBMISSION &&
	    smtp_caps_has_auth(&c->caps, "EXTERNAL");
}

/* The order is: TLS, then AUTH, then mail. */
static void
hello_next(struct smtp_client *c)
{
	bool offered = (c->caps.flags & SMTP_CAP_STARTTLS) != 0;

	if (!in_tls(c) && offered && (c->to.tls == TLS_OPPORTUNISTIC ||
	    c->to.tls == TLS_REQUIRED)) {
		client_state(c, ST_STARTTLS);
		return;
	}
	if (!in_tls(c) && c->to.tls == TLS_REQUIRED) {
		tls_missing(c);
		return;
	}
	if (c->to.transport->has_credential || may_show_certificate(c))
		auth_ask(c);
	else
		hello_ready(c);
}

void
hello_ready(struct smtp_client *c)
{
	const struct smtp_caps *caps = &c->caps;

	if (caps->mail_max != 0 &&
	    (c->message_max == 0 || caps->mail_max < c->message_max))
		c->message_max = caps->mail_max;
	if (caps->rcpt_max != 0 && caps->rcpt_max < c->rcpt_max)
		c->rcpt_max = caps->rcpt_max;
	client_state(c, ST_IDLE);
}

void
hello_reply(struct smtp_client *c)
{
	int code = c->reply.code;

	if (code / 100 == 2) {
		smtp_caps_parse(&c->reply, &c->caps);
		if (c->to.trace != NULL)	/* one thing after the other */
			c->caps.flags &= ~(unsigned)(SMTP_CAP_PIPELINING |
			    SMTP_CAP_CHUNKING);
		hello_next(c);
	} else if (code >= 500 && code <= 504 && !c->to.lmtp)
		client_state(c, ST_HELO);
	else
		client_end(c, refused(c), "%s refused: %s",
		    c->to.lmtp ? "LHLO" : "EHLO", client_reply_text(c));
}

void
hello_helo_reply(struct smtp_client *c)
{
	c->caps = (struct smtp_caps){ .flags = 0 };
	if (c->reply.code / 100 == 2)
		hello_next(c);
	else
		client_end(c, refused(c), "HELO refused: %s",
		    client_reply_text(c));
}

/* Lines of a session: one is taken, judged by the state it comes in, and
 * handed to its verb (listener; RFC 5321 2.3.8, 4.1 and 4.5.3.1).  Nothing a
 * client writes here does more than cost it its session. */
#include "listener/session.h"

#include "mail/smtp_line.h"

static session_command *const commands[SMTP_VERBS] = {
	[SMTP_EHLO] = smtpd_hello, [SMTP_HELO] = smtpd_hello,
	[SMTP_MAIL] = smtpd_mail, [SMTP_RCPT] = smtpd_rcpt,
	[SMTP_DATA] = smtpd_data, [SMTP_BDAT] = smtpd_bdat,
	[SMTP_RSET] = smtpd_rset, [SMTP_NOOP] = smtpd_noop,
	[SMTP_QUIT] = smtpd_quit, [SMTP_VRFY] = smtpd_vrfy,
	[SMTP_EXPN] = smtpd_expn, [SMTP_HELP] = smtpd_help,
	[SMTP_STARTTLS] = smtpd_starttls, [SMTP_AUTH] = smtpd_auth,
};

/* Which reply a verb at the wrong time gets. */
static enum refusal_id
out_of_order(const struct session *s, enum smtp_verb verb)
{
	switch (s->state) {
	case ST_CONNECTED:
		return REFUSE_HELLO_FIRST;
	case ST_MAIL:
		if (verb == SMTP_DATA)
			return REFUSE_NO_RECIPIENTS;
		break;
	}
	if (verb == SMTP_MAIL)
		return REFUSE_NESTED_MAIL;
	return REFUSE_SEQUENCE;
}

static void
dispatch(struct session *s, struct slice line)
{
	struct smtp_command c;
	struct smtp_refusal no;

	smtp_command_parse(line, &c);
	if (c.verb == SMTP_UNKNOWN)
		session_refuse(s, REFUSE_UNKNOWN);
	else if (c.verb == SMTP_HTTP)
		session_refuse(s, REFUSE_HTTP);
	else if (commands[c.verb] == NULL)
		session_refuse(s, REFUSE_NOT_OFFERED);
	else if (c.verb == SMTP_BDAT)
		smtpd_bdat(s, &c);	/* its octets follow in any case */
	else if ((session_verbs(s) & 1u << c.verb) == 0)
		session_refuse(s, out_of_order(s, c.verb));
	else if (smtp_command_check(&c, &no) != 0)
		session_refuse_as(s, "syntax", &no);
	else
		commands[c.verb](s, &c);
}

/* An AUTH command may carry a whole token. */
static size_t
line_limit(const struct session *s, struct slice in)
{
	if (s->state == ST_AUTH || slice_starts_case(in, SLICE_LIT("AUTH ")))
		return SESSION_AUTH_LINE_MAX;
	return SESSION_LINE_MAX;
}

/* RFC 4954 6: the reply to a line that is none ends the exchange, too. */
static void
refuse_line(struct session *s, enum refusal_id id)
{
	if (s->state == ST_AUTH)
		smtpd_auth_stop(s, id);
	else
		session_refuse(s, id);
}

/* Reads one line and hands it to take(); says whether there was one. */
static bool
input_line(struct session *s, void (*take)(struct session *, struct slice))
{
	struct slice in = conn_input(s->conn);
	struct smtp_line line;
	bool done = false;
	size_t max;

	if (in.n == 0)
		return false;
	if (s->skipping) {
		conn_consume(s->conn, smtp_line_skip(in, &done));
		s->skipping = !done;
		return true;
	}
	max = line_limit(s, in);
	switch (smtp_line_next(in, max, s->fix_bare, &line)) {
	case SMTP_LINE_MORE:
		return false;
	case SMTP_LINE_DONE:
		take(s, line.text);
		/* It may have closed the connection. */
		if (s->conn != NULL)
			conn_consume(s->conn, line.size);
		if (s->state == ST_TLS)
			smtpd_tls_begin(s);
		return true;
	case SMTP_LINE_LONG:
		s->skipping = true;
		refuse_line(s, max == SESSION_AUTH_LINE_MAX ?
		    REFUSE_AUTH_LONG : REFUSE_LINE_LONG);
		return true;
	case SMTP_LINE_NUL:
		conn_consume(s->conn, line.size);
		refuse_line(s, REFUSE_LINE_NUL);
		return true;
	case SMTP_LINE_BARE_LF:
	case SMTP_LINE_BARE_CR:
		session_refuse(s, REFUSE_BARE);
		return true;
	}
	return false;
}

/* A TLS record of a client that expects implicit TLS: nothing that it can
 * read will come from us, and it would wait for its time-out. */
static bool
is_tls_hello(struct slice in)
{
	return in.n >= 3 && in.p[0] == 0x16 && in.p[1] == 0x03 &&
	    in.p[2] <= 0x04;
}

bool
session_input_command(struct session *s)
{
	if (s->state == ST_CONNECTED && is_tls_hello(conn_input(s->conn))) {
		session_refuse(s, REFUSE_TLS_HELLO);
		session_end(s, "tls-hello");
		return true;
	}
	return input_line(s, dispatch);
}

bool
session_input_auth_line(struct session *s)
{
	return input_line(s, smtpd_auth_line);
}

/* RSET, NOOP, QUIT, VRFY, EXPN, HELP (listener; RFC 5321 4.1.1.5 to 10). */
#include "listener/session.h"

void
smtpd_rset(struct session *s, const struct smtp_command *c)
{
	(void)c;
	smtpd_transaction_drop(s);
	if (s->state != ST_CONNECTED)
		session_set_state(s, ST_READY);
	SAY(s, "250 2.0.0 Ok\r\n");
}

void
smtpd_noop(struct session *s, const struct smtp_command *c)
{
	(void)c;
	SAY(s, "250 2.0.0 Ok\r\n");
}

void
smtpd_quit(struct session *s, const struct smtp_command *c)
{
	(void)c;
	SAY(s, "221 2.0.0 Bye\r\n");
	session_end(s, "quit");
}

/* Says nothing about who exists (RFC 5321 7.3). */
void
smtpd_vrfy(struct session *s, const struct smtp_command *c)
{
	(void)c;
	SAY(s, "252 2.0.0 Send some mail, it will be tried\r\n");
}

void
smtpd_expn(struct session *s, const struct smtp_command *c)
{
	(void)c;
	session_refuse(s, REFUSE_EXPN);
}

void
smtpd_help(struct session *s, const struct smtp_command *c)
{
	(void)c;
	SAY(s, "214-2.0.0 Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP "
	    "QUIT\r\n214 2.0.0 VRFY HELP STARTTLS AUTH; see RFC 5321\r\n");
}

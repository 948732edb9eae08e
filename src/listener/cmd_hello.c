/* EHLO and HELO (listener; RFC 5321 4.1.1.1, and each extension's own RFC).
 * The name may be anything printable: devices say what they like, and nothing
 * is decided by it. */
#include "listener/session.h"

#include <stdlib.h>

#include "base/mem.h"

static void
offer(const struct session *s, struct strbuf *b)
{
	const struct conf *conf = s->owner->conf;

	strbuf_puts(b, "250-");
	strbuf_puts(b, conf->hostname);
	strbuf_puts(b, "\r\n250-PIPELINING\r\n250-SIZE ");
	strbuf_printf(b, "%llu", (unsigned long long)s->limit);
	strbuf_puts(b, "\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n");
	if (s->ep->submit)
		strbuf_puts(b, "250-DSN\r\n");
	strbuf_printf(b, "250-LIMITS RCPTMAX=%u\r\n", conf->max_recipients);
	if (smtpd_tls_offered(s))
		strbuf_puts(b, "250-STARTTLS\r\n");
	if (smtpd_auth_offered(s)) {
		strbuf_puts(b, "250-AUTH");
		smtpd_auth_mechanisms(s, b);
		strbuf_puts(b, "\r\n");
	}
	strbuf_puts(b, "250 ENHANCEDSTATUSCODES\r\n");
}

void
smtpd_hello(struct session *s, const struct smtp_command *c)
{
	struct strbuf *b = &s->owner->scratch;
	struct smtp_refusal no;
	struct slice name;

	if (smtp_hello_parse(c->arg, &name, &no) != 0) {
		session_refuse_as(s, "syntax", &no);
		return;
	}
	smtpd_transaction_drop(s);
	free(s->helo);
	s->helo = slice_dup(name);
	s->esmtp = c->verb == SMTP_EHLO;
	session_set_state(s, ST_READY);
	strbuf_clear(b);
	if (s->esmtp) {
		offer(s, b);
	} else {
		strbuf_puts(b, "250 ");
		strbuf_puts(b, s->owner->conf->hostname);
		strbuf_puts(b, "\r\n");
	}
	session_say(s, b->p, b->n);
}

/* Commands of clients with their arguments: any line. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mail/smtp_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
arguments(const struct smtp_command *c)
{
	struct smtp_refusal no = { 0, { 0, 0, 0 }, NULL };
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	struct smtp_bdat bdat;
	struct smtp_auth auth;
	struct slice name;
	int rc;

	switch (c->verb) {
	case SMTP_MAIL:
		rc = smtp_mail_parse(c->arg, ~0u, &mail, &no);
		break;
	case SMTP_RCPT:
		rc = smtp_rcpt_parse(c->arg, ~0u, true, &rcpt, &no);
		if (rc == 0 && rcpt.path.whole.n == 0)
			abort();
		break;
	case SMTP_BDAT:
		rc = smtp_bdat_parse(c->arg, &bdat, &no);
		break;
	case SMTP_AUTH:
		rc = smtp_auth_parse(c->arg, &auth, &no);
		break;
	case SMTP_EHLO:
		rc = smtp_hello_parse(c->arg, &name, &no);
		break;
	default:
		rc = smtp_command_check(c, &no);
		break;
	}
	if (rc < 0 && (no.code < 500 || no.text == NULL))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_command c;
	struct strbuf text = STRBUF_INIT, back = STRBUF_INIT;
	struct slice in = slice_of(data, size);

	smtp_command_parse(in, &c);
	if ((unsigned)c.verb >= SMTP_VERBS)
		abort();
	arguments(&c);
	smtp_xtext_encode(in, &text);
	if (smtp_xtext_decode(strbuf_slice(&text), &back) < 0 ||
	    !slice_eq(in, strbuf_slice(&back)))
		abort();
	strbuf_free(&text);
	strbuf_free(&back);
	return 0;
}

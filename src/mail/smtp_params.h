/* Arguments of MAIL and RCPT with their ESMTP parameters, both ways (RFC 5321
 * 4.1.2, RFC 1870, 6152, 3030, 6531, 3461, 4954). */
#ifndef MAIL_SMTP_PARAMS_H
#define MAIL_SMTP_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/smtp_command.h"

/* Parameters that are accepted: those whose extension was offered. */
enum {
	SMTP_PARAM_SIZE = 1 << 0,
	SMTP_PARAM_BODY = 1 << 1,		/* 7BIT, 8BITMIME */
	SMTP_PARAM_BINARY = 1 << 2,		/* BODY=BINARYMIME too */
	SMTP_PARAM_SMTPUTF8 = 1 << 3,
	SMTP_PARAM_DSN = 1 << 4,		/* RET ENVID NOTIFY ORCPT */
	SMTP_PARAM_AUTH = 1 << 5
};

enum smtp_body { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BIT,
	SMTP_BODY_BINARY };

/* Slices point into the argument that was parsed. */
struct smtp_mail {
	struct mail_path path;		/* whole.n == 0: null reverse-path */
	bool has_size;
	uint64_t size;			/* octets, saturated */
	enum smtp_body body;
	bool smtputf8;
	enum mail_ret ret;
	struct slice envid;		/* xtext as written, valid */
	struct slice auth;		/* xtext as written, or "<>"; empty:
					 * not given */
};

struct smtp_rcpt {
	struct mail_path path;		/* never null; domain may be empty */
	unsigned notify;		/* MAIL_NOTIFY_*, 0: not given */
	struct slice orcpt;		/* "type;xtext" as written, valid */
};

/* arg: what follows "MAIL" ("FROM:<...> SIZE=1"), as smtp_command has it.
 * accept: SMTP_PARAM_*.  -1 with the reply to give in *no: 501 5.5.4 for the
 * syntax and for what is said twice, 501 5.1.7 for the address, 553 5.6.7 for
 * UTF-8 without SMTPUTF8, 555 5.5.4 for an unknown parameter. */
int smtp_mail_parse(struct slice arg, unsigned accept, struct smtp_mail *out,
    struct smtp_refusal *no);
/* The same for RCPT; 501 5.1.3 for the address.  utf8_ok: SMTPUTF8 was given
 * with MAIL. */
int smtp_rcpt_parse(struct slice arg, unsigned accept, bool utf8_ok,
    struct smtp_rcpt *out, struct smtp_refusal *no);

/* Appends the whole command with CRLF, with those parameters that a server
 * with these SMTP_CAP_* (smtp_caps.h) understands.  size: octets that will be
 * sent, 0: not said; from: the reverse-path, "" for null. */
void smtp_mail_write(struct strbuf *out, const struct envelope *env,
    const char *from, uint64_t size, unsigned caps);
void smtp_rcpt_write(struct strbuf *out, const struct recipient *rcpt,
    unsigned caps);

/* RFC 3461 4: appends the decoded text; -1 when it is no xtext (out may hold
 * a part then). */
int smtp_xtext_decode(struct slice in, struct strbuf *out);
bool smtp_xtext_valid(struct slice in);
void smtp_xtext_encode(struct slice in, struct strbuf *out);

#endif

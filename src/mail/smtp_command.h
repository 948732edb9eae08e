/* Commands of SMTP and LMTP clients (RFC 5321 4.1, RFC 2033, 3030, 4954). */
#ifndef MAIL_SMTP_COMMAND_H
#define MAIL_SMTP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "mail/status.h"

enum smtp_verb {
	SMTP_UNKNOWN,		/* 500 5.5.2 */
	SMTP_EHLO, SMTP_HELO, SMTP_LHLO, SMTP_MAIL, SMTP_RCPT, SMTP_DATA,
	SMTP_BDAT, SMTP_RSET, SMTP_NOOP, SMTP_QUIT, SMTP_VRFY, SMTP_EXPN,
	SMTP_HELP, SMTP_STARTTLS, SMTP_AUTH,
	SMTP_HTTP,		/* GET, POST, CONNECT, Host: ... : a browser or
				 * worse was led here; hang up (421) */
	SMTP_VERBS
};

struct smtp_command {
	enum smtp_verb verb;
	struct slice word;	/* the verb as written */
	struct slice arg;	/* what follows it, blanks trimmed */
};

/* A reply that refuses a command; texts are constants. */
struct smtp_refusal {
	int code;
	struct mail_status status;
	const char *text;
};

/* Fills it; -1, for the caller to return.  The second is 501 5.5.4. */
int smtp_refuse(struct smtp_refusal *no, int code, struct mail_status status,
    const char *text);
int smtp_refuse_syntax(struct smtp_refusal *no, const char *text);

/* line: without its end.  Never fails: what is no command is SMTP_UNKNOWN. */
void smtp_command_parse(struct slice line, struct smtp_command *out);
/* "MAIL"; for logs and counters. */
const char *smtp_verb_name(enum smtp_verb verb);

/* DATA RSET QUIT STARTTLS take no argument (501 5.5.4), EHLO HELO LHLO BDAT
 * AUTH VRFY EXPN MAIL RCPT need one (501 5.5.4); -1 and *no otherwise. */
int smtp_command_check(const struct smtp_command *c, struct smtp_refusal *no);

/* The name that a client says in EHLO: its first word, which may be anything
 * printable (old devices); at most 255 octets.  -1 and *no otherwise. */
int smtp_hello_parse(struct slice arg, struct slice *name,
    struct smtp_refusal *no);

struct smtp_bdat {
	uint64_t size;		/* octets of the chunk */
	bool last;
};
/* `BDAT n [LAST]`: -1 and *no (501 5.5.4) otherwise.  A session must then
 * close: it cannot know what is chunk and what is command. */
int smtp_bdat_parse(struct slice arg, struct smtp_bdat *out,
    struct smtp_refusal *no);

struct smtp_auth {
	struct slice mechanism;		/* as written */
	struct slice initial;		/* base64 as written; "=" is empty */
	bool has_initial;
};
/* `AUTH MECH [initial]`. */
int smtp_auth_parse(struct slice arg, struct smtp_auth *out,
    struct smtp_refusal *no);

#endif

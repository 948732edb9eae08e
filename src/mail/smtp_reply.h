/* Replies of SMTP: reading those of servers, writing ours (RFC 5321 4.2, RFC
 * 2034). */
#ifndef MAIL_SMTP_REPLY_H
#define MAIL_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"
#include "mail/status.h"

#define SMTP_REPLY_LINE_MAX 8192	/* octets of a line with its end */
#define SMTP_REPLY_TEXT_MAX 65536	/* octets of all its lines */

enum smtp_reply_result { SMTP_REPLY_MORE, SMTP_REPLY_DONE, SMTP_REPLY_BAD };

struct smtp_reply {
	int code;			/* 200..599 */
	struct mail_status status;	/* of the first line that has one
					 * with the code's class; else none */
	size_t lines;
	struct strbuf text;		/* the lines without code, '\n' between
					 * them, enhanced code kept; octets
					 * that do not print are '?' */
	size_t octets;			/* read so far */
	bool done;
};

#define SMTP_REPLY_INIT { 0, { 0, 0, 0 }, 0, STRBUF_INIT, 0, false }

/* Takes whole lines from the front of in; *used tells how many octets to
 * consume (in each of the three cases).  After DONE the next call begins a
 * new reply in the same structure.  BAD: not a reply, differing codes or too
 * long: the connection is of no more use; e says why.  LF alone is taken as a
 * line's end: servers that do so harm only themselves. */
enum smtp_reply_result smtp_reply_feed(struct smtp_reply *r, struct slice in,
    size_t *used, struct err *e);
/* Forgets what is there, keeps the memory. */
void smtp_reply_clear(struct smtp_reply *r);
void smtp_reply_free(struct smtp_reply *r);

/* Line i (from 0) of the text; false beyond the last. */
bool smtp_reply_line(const struct smtp_reply *r, size_t i, struct slice *line);
/* Appends "550 5.1.1 text text" in one line of at most max octets (0: all):
 * for the log and for Diagnostic-Code. */
void smtp_reply_text(const struct smtp_reply *r, struct strbuf *out,
    size_t max);
/* The enhanced code where it was said, else by the code. */
struct mail_status smtp_reply_status(const struct smtp_reply *r);

/* Appends a reply of ours with CRLF.  text may hold several lines separated
 * by '\n'; control characters become '?'.  status none: left out.  Lines are
 * cut at 510 octets. */
void smtp_reply_write(struct strbuf *out, int code, struct mail_status status,
    const char *text);

#endif

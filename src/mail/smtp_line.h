/* Lines of SMTP in a contiguous buffer, with CRLF and nothing else as their
 * end (RFC 5321 2.3.8). */
#ifndef MAIL_SMTP_LINE_H
#define MAIL_SMTP_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

enum smtp_line_result {
	SMTP_LINE_MORE,		/* no end yet, and still below the limit */
	SMTP_LINE_DONE,		/* text and size are set */
	SMTP_LINE_LONG,		/* over max octets with its end: answer 500
				 * 5.5.2 once, then smtp_line_skip */
	SMTP_LINE_BARE_LF,	/* at bad: 521 5.5.2 and close */
	SMTP_LINE_BARE_CR,	/* at bad, the same */
	SMTP_LINE_NUL		/* complete (text, size are set) but with NUL
				 * at bad: 500 5.5.2, the session goes on */
};

struct smtp_line {
	struct slice text;	/* without the line end, points into in */
	size_t size;		/* octets to consume, with the line end */
	size_t bad;		/* offset of the offending octet */
};

/* Looks at the front of in.  max: octets with the line end.  lf_ok (`bare-lf
 * fix`): LF alone ends a line too, and a bare CR is left in the text.  *out is
 * set where said above; nothing is consumed here. */
enum smtp_line_result smtp_line_next(struct slice in, size_t max, bool lf_ok,
    struct smtp_line *out);

/* The rest of a line that was too long: how many octets of in belong to it;
 * *done is set once its LF is among them.  Call again with what follows until
 * then. */
size_t smtp_line_skip(struct slice in, bool *done);

#endif

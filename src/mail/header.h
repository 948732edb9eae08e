/* The header of a message, looked at without being parsed (RFC 5322 2.2,
 * 3.6).  Lines may end in CRLF or LF.  Needs libc only. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "base/strbuf.h"

enum {
	HEADER_DATE = 1 << 0,
	HEADER_FROM = 1 << 1,
	HEADER_MESSAGE_ID = 1 << 2,
	HEADER_DKIM_SIGNATURE = 1 << 3,
	HEADER_RETURN_PATH = 1 << 4,
	HEADER_SENDER = 1 << 5,
	HEADER_TO = 1 << 6,
	HEADER_CC = 1 << 7,
	HEADER_BCC = 1 << 8,
	HEADER_SUBJECT = 1 << 9,
	HEADER_AUTO_SUBMITTED = 1 << 10,
	HEADER_RESENT = 1 << 11		/* any Resent-* */
};

struct header_scan {
	size_t fields_end;	/* octets of the fields, without the empty
				 * line */
	size_t body;		/* where the body begins, behind the empty
				 * line; == fields_end when it is missing */
	bool complete;		/* the end was seen; else more may follow */
	unsigned received;	/* number of Received fields */
	unsigned present;	/* HEADER_* */
};

/* A message, or its beginning.  A line that is neither a field nor goes on
 * with one ends the header (the body is meant to begin there). */
void header_scan(struct slice msg, struct header_scan *out);

struct header_field {
	struct slice whole;	/* with its folded lines and its line end */
	struct slice name;	/* without blanks before the colon */
	struct slice value;	/* folded as it is, blanks around trimmed, no
				 * line end */
};

/* The field at *pos, which moves behind it; start with 0.  false: there is no
 * further one. */
bool header_next(struct slice msg, size_t *pos, struct header_field *out);
/* The first field of this name (case does not matter) from *pos on. */
bool header_find(struct slice msg, const char *name, size_t *pos,
    struct header_field *out);
/* Appends the value in one line: line ends are dropped, blanks stay. */
void header_unfold(struct slice value, struct strbuf *out);

#endif

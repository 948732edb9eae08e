/* The words of a report for people; a part of dsn.h. */
#ifndef MAIL_DSN_TEXT_H
#define MAIL_DSN_TEXT_H

#include "base/strbuf.h"
#include "mail/dsn.h"

/* Subject of the report, one line without its end. */
const char *dsn_subject(const struct dsn *d);
/* Appends the text part, lines with CRLF. */
void dsn_human_text(const struct dsn *d, struct strbuf *out);
/* Appends s in lines of at most 76 columns where blanks allow it, `indent` in
 * front of each that follows the first; octets that do not print become '?',
 * those above 127 too unless utf8. */
void dsn_wrapped(struct strbuf *out, const char *s, size_t column,
    const char *indent, bool utf8);

#endif

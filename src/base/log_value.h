/* Values of log lines: quoting for text and JSON.  For log.c and its test. */
#ifndef BASE_LOG_VALUE_H
#define BASE_LOG_VALUE_H

#include "base/slice.h"
#include "base/strbuf.h"

/* Appends the value as it stands behind "key=": quoted where it is empty or
 * holds blanks, quotes or anything that is not printable ASCII or UTF-8. */
void log_value_text(struct strbuf *b, struct slice v);
/* Appends it as a JSON string with its quotes; octets that are no UTF-8
 * become U+FFFD. */
void log_value_json(struct strbuf *b, struct slice v);

#endif

/* base64 of AUTH lines (RFC 4648 4, RFC 4954 4). */
#ifndef IO_BASE64_H
#define IO_BASE64_H

#include "base/slice.h"
#include "base/strbuf.h"

/* Appends the text for these octets. */
void base64_encode(struct slice raw, struct strbuf *out);
/* Appends the octets; "" and "=" (an empty initial response) give none.
 * Strict: -1 for anything that an encoder would not have written, out is
 * untouched then. */
int base64_decode(struct slice text, struct strbuf *out);

#endif

/* Bare addresses in the header of submitted mail ("From: root") get a domain
 * (RFC 6409 8.2). */
#ifndef MAIL_QUALIFY_H
#define MAIL_QUALIFY_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/strbuf.h"

/* fields: those of a message, whole.  True: out has them anew, appended; false:
 * there is nothing to do, out is as before. */
bool qualify_fields(struct slice fields, const char *domain,
    struct strbuf *out);

#endif

/* The trace line that we put in front of a message (RFC 5321 4.4, RFC 3848,
 * RFC 6531 4.3). */
#ifndef MAIL_RECEIVED_H
#define MAIL_RECEIVED_H

#include "base/slice.h"
#include "base/strbuf.h"
#include "mail/envelope.h"

/* Appends the whole field with CRLF, folded.  host: our name.  recipient: the
 * only one of this transaction, or NULL (several: then none is told, they
 * must not learn of each other). */
void received_compose(struct strbuf *out, const struct envelope *env,
    const char *host, const char *recipient);

/* "ESMTPSA", "UTF8SMTP" and so on; "" for what has no name (local). */
const char *received_with(const struct envelope *env);

#endif

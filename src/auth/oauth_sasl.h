/* The client's side of XOAUTH2 and OAUTHBEARER: a token in one step. */
#ifndef AUTH_OAUTH_SASL_H
#define AUTH_OAUTH_SASL_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/strbuf.h"

/* Appends the initial response.  port 0: not told. */
void oauth_sasl_first(bool bearer, const char *user, const char *token,
    const char *host, unsigned port, struct strbuf *out);
/* The server's challenge is its error: appends what must be answered before
 * its 535, and what it said, printable, to said. */
void oauth_sasl_error(bool bearer, struct slice challenge, struct strbuf *out,
    struct strbuf *said);

#endif

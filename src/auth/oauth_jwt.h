/* Signed assertions (RFC 7519, RFC 7523): a Google service account, and the
 * certificate of a Microsoft application. */
#ifndef AUTH_OAUTH_JWT_H
#define AUTH_OAUTH_JWT_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* What RS256 is made of: both are JSON.  Appends "header.claims.signature";
 * -1 with *e when the key is none of RSA. */
int oauth_jwt_sign(struct slice header, struct slice claims, const char *pem,
    struct strbuf *out, struct err *e);

/* now: wall seconds.  key_file: the JSON that Google gives out; scope and
 * subject as wanted.  *endpoint gets its token_uri, the caller frees. */
int oauth_jwt_service(struct slice key_file, const char *scope,
    const char *subject, uint64_t now, struct strbuf *out, char **endpoint,
    struct err *e);
/* private_key_jwt with the certificate's thumbprints. */
int oauth_jwt_client(const char *certificate, const char *key,
    const char *client_id, const char *endpoint, uint64_t now,
    struct strbuf *out, struct err *e);

#endif

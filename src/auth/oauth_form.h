/* Texts that OAuth2 is made of: forms, URLs, PKCE, base64url. */
#ifndef AUTH_OAUTH_FORM_H
#define AUTH_OAUTH_FORM_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/strbuf.h"

/* Appends "name=value", with "&" before it where something is there; the
 * value in percent-encoding but for RFC 3986's unreserved characters.  NULL
 * or "" adds nothing. */
void oauth_form_add(struct strbuf *form, const char *name,
    const char *value);
/* Appends the value of a parameter in the query of a URL (or in a query
 * alone), decoded once; false: there is none, or it is no text. */
bool oauth_query_get(struct slice url, const char *name, struct strbuf *out);

/* RFC 4648 5, without padding. */
void oauth_base64url(struct slice raw, struct strbuf *out);
/* Appends a random text of 43 characters: a PKCE verifier, or a state. */
void oauth_random(struct strbuf *out);
/* RFC 7636 4.2, S256. */
void oauth_challenge(struct slice verifier, struct strbuf *out);

#endif

/* What we log in with: the key of a keytab, or a cache that somebody else
 * keeps a ticket in. */
#ifndef TOOLS_KERBEROS_TICKETS_H
#define TOOLS_KERBEROS_TICKETS_H

#include <gssapi/gssapi.h>

#include "tools/kerberos_failure.h"

struct tickets;

/* The keytab is the descriptor, which is read and closed; with -1 it is the
 * cache.  principal NULL: the first of the keytab, the cache's own.  NULL with
 * *f. */
struct tickets *tickets_new(int keytab, const char *cache,
    const char *principal, struct failure *f);
void tickets_free(struct tickets **t);
/* A credential to begin a login with, fetched or renewed where that is due;
 * the caller releases it.  -1 with *f; who has asked while another one waited
 * for the same gets the same failure. */
int tickets_get(struct tickets *t, gss_cred_id_t *cred, struct failure *f);
/* A login with them has failed, in a way that the next one would, too, if it
 * began at once. */
void tickets_failed(struct tickets *t, const struct failure *f);

#endif

/* Where a provider's endpoints are, as it says itself. */
#ifndef AUTH_OAUTH_DISCOVER_H
#define AUTH_OAUTH_DISCOVER_H

#include "auth/oauth_private.h"

struct oauth_discover;

/* why NULL: the account knows its endpoints now, and t has them. */
typedef void oauth_discover_cb(void *arg, const char *why);

/* Only where t->issuer is there.  Called back once, later; it is gone then.
 * t outlives it. */
struct oauth_discover *oauth_discover_start(struct oauth_account *a,
    struct oauth_target *t, oauth_discover_cb *cb, void *arg);
void oauth_discover_stop(struct oauth_discover **d);

/* Fills in what the account knows already; false: it must be asked for. */
bool oauth_discover_known(const struct oauth_account *a,
    struct oauth_target *t);

#endif

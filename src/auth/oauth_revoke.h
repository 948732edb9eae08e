/* Ending a login: at the provider where it can be told, and on disk. */
#ifndef AUTH_OAUTH_REVOKE_H
#define AUTH_OAUTH_REVOKE_H

#include "auth/oauth.h"

struct oauth_revoke;

typedef void oauth_revoke_cb(void *arg, bool good, const char *text);

/* Called back once, later; it is gone then. */
struct oauth_revoke *oauth_revoke_start(struct oauth_account *a,
    oauth_revoke_cb *cb, void *arg);
void oauth_revoke_stop(struct oauth_revoke **r);

#endif

/* Commands of relayctl about OAuth2, on the caller's own socket. */
#ifndef AUTH_OAUTH_CALL_H
#define AUTH_OAUTH_CALL_H

#include "auth/auth.h"

/* MSG_OAUTH_CALL of queue, which has seen that he may; -1: garbage. */
int oauth_call_take(struct auth *a, struct port_message *m, struct err *e);
void oauth_calls_free(struct auth *a);

#endif

/* Logins to next hops with access tokens. */
#ifndef AUTH_TOKEN_EXCHANGE_H
#define AUTH_TOKEN_EXCHANGE_H

#include "auth/auth.h"
#include "auth/oauth.h"

struct msg_cred;

/* MSG_CRED_START for a transport with `oauth2`. */
void token_exchange_start(struct auth_peer *p, struct oauth_account *account,
    const struct msg_cred *m, uint64_t ref);
/* MSG_CRED_NEXT: the server's error. */
void token_exchange_next(struct auth_exchange *x, const struct msg_cred *m,
    uint64_t ref);
/* MSG_CRED_ACCEPTED, _REFUSED, _DROP; the caller frees the exchange. */
void token_exchange_over(struct auth_exchange *x, uint16_t type);

#endif

/* Logins to next hops with a Kerberos ticket: GSSAPI.  Its library waits for
 * files, name servers and KDCs, so another program speaks it
 * (libexec/smarthostd/kerberos): monitor starts one for a transport when it is
 * needed, and auth carries octets between it and delivery. */
#ifndef AUTH_KERBEROS_H
#define AUTH_KERBEROS_H

#include <stdint.h>

#include "auth/auth.h"
#include "ipc/msg.h"

struct kerberos;

/* Begins an exchange for a transport with `kerberos`, and answers it. */
void kerberos_exchange_start(struct auth_peer *p,
    const struct conf_transport *t, const struct msg_cred *m, uint64_t ref);
void kerberos_exchange_next(struct auth_exchange *x, const struct msg_cred *m,
    uint64_t ref);
/* type: MSG_CRED_DROP, _REFUSED or _ACCEPTED. */
void kerberos_exchange_over(struct auth_exchange *x, uint16_t type);

/* All programs, once no exchange is left: they end. */
void kerberos_free_all(struct auth *a);

#endif

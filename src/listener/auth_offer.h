/* Which mechanisms of AUTH this session may use. */
#ifndef LISTENER_AUTH_OFFER_H
#define LISTENER_AUTH_OFFER_H

#include <stdint.h>

#include "ipc/msg.h"
#include "listener/session.h"

/* Its `client` block says that any login is as good as another. */
bool auth_is_any(const struct session *s);
/* AUTH may be had here at all, TLS or not; and at this moment. */
bool auth_possible(const struct session *s);
bool auth_allowed(const struct session *s);
/* Our name for a mechanism that is good for something here, else NULL; and
 * whether it needs a TLS session that there is not. */
const char *auth_mechanism(const struct session *s, struct slice name);
bool auth_unbound(const struct session *s, struct slice name);
/* How many bindings of the session an exchange may use: none where no -PLUS
 * was offered.  The octets are in the room. */
struct auth_bindings {
	uint8_t room[MSG_BINDINGS_MAX][CONN_BINDING_UNIQUE_MAX];
};
uint32_t auth_bindings(const struct session *s, struct auth_bindings *room,
    struct msg_binding out[MSG_BINDINGS_MAX]);
/* The login that the client's certificate names; as: whom it wants to be
 * ("": whom the certificate says).  NULL: none. */
const struct conf_login *auth_external(const struct session *s,
    struct slice as);

#endif

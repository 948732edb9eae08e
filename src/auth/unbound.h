/* Next hops that offer SCRAM with a channel binding (-PLUS) and do not take
 * the binding that we have: the next login there goes without it. */
#ifndef AUTH_UNBOUND_H
#define AUTH_UNBOUND_H

#include "auth/choose.h"

struct unbound;

struct unbound *unbound_new(void);
void unbound_free(struct unbound **u);

/* Was it told of? */
bool unbound_has(const struct unbound *u, const char *transport,
    const char *host);
/* Remembers it as long as this role lives (a reload begins anew), and logs
 * it. */
void unbound_add(struct unbound *u, const char *transport, const char *host,
    const char *binding);

/* May the next login go without the binding, where this choice fails for it?
 * Only by SCRAM, and where this server would be shown the password by PLAIN. */
bool unbound_allowed(const struct choose *in, const struct choice *choice);

#endif

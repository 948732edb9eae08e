/* One login: the client's side of SASL's mechanism GSSAPI (RFC 4752). */
#ifndef TOOLS_KERBEROS_LOGIN_H
#define TOOLS_KERBEROS_LOGIN_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "tools/kerberos_tickets.h"

struct login;

/* To the mail server of that name; the tickets are borrowed.  NULL with *f. */
struct login *login_new(struct tickets *t, const char *host,
    struct failure *f);
void login_free(struct login **l);

/* The first call takes nothing in.  Appends what to say next, which may be
 * nothing: 1, the server has more to say; 0, nothing is left but its reply;
 * -1 with *f. */
int login_take(struct login *l, struct slice in, struct strbuf *out,
    struct failure *f);

/* -1: what is to be said is more than a line of AUTH holds. */
int login_fits(size_t octets, struct failure *f);
/* Of the server's last challenge: -1 where it does not do without a security
 * layer, which SMTP has no use for, or where it is garbage. */
int login_layers(struct slice offer, struct failure *f);

#endif

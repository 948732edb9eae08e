/* From which address a server sees us behind a proxy. */
#ifndef DELIVERY_EGRESS_H
#define DELIVERY_EGRESS_H

#include <stdbool.h>

#include "base/slice.h"
#include "conf/conf.h"

/* What the reply to EHLO says of it, for people; *known: it is among the
 * proxy's `remote-address`.  NULL: there is no proxy (NULL), or the server does
 * not tell.  To be freed. */
char *egress_text(const struct conf_proxy *p, struct slice reply, bool *known);

#endif

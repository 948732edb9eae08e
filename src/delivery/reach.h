/* From the name of a host to a connected socket: resolving, then one address
 * after the other. */
#ifndef DELIVERY_REACH_H
#define DELIVERY_REACH_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/resolve.h"

struct reach;

struct reach_options {
	struct loop *loop;
	struct resolver *resolver;
	const char *host;		/* name or address; copied */
	unsigned port;
	unsigned families;		/* RESOLVE_V4 | RESOLVE_V6 */
	uint64_t connect_ms;		/* for each address */
	struct sockaddr_storage source4, source6; /* family 0: any */
};

/* fd >= 0: the callee's; remote is "host[192.0.2.1]:25".  fd -1: e says for
 * each address what failed, as "resolve HOST: ..." or "connect to
 * HOST[ADDRESS]:PORT: ...", with the code ENETUNREACH where this machine has no
 * network at all.  The reach is gone when it is called. */
typedef void reach_cb(void *arg, int fd, const char *remote,
    const struct err *e);

/* The callback comes later, never from inside this call. */
struct reach *reach_start(const struct reach_options *o, reach_cb *cb,
    void *arg);
/* No callback comes any more.  *r may be NULL. */
void reach_cancel(struct reach **r);

#endif

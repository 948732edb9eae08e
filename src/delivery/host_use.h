/* Hosts that stand in several sites of a transport: their connections are
 * counted together. */
#ifndef DELIVERY_HOST_USE_H
#define DELIVERY_HOST_USE_H

#include <sys/queue.h>

#include "base/htab.h"

struct pool;
TAILQ_HEAD(pool_wants, pool);

struct host_use {
	unsigned sessions;		/* with those that are leaving */
	unsigned leaving;
	unsigned hosts;			/* of pools, that share it */
	struct htab *all;
	char *key;
	struct pool_wants wanted;	/* by pools with mail for it */
};

struct host_use *host_use_get(struct htab *all, const char *transport,
    const char *host, unsigned port);
void host_use_put(struct host_use **u);

#endif

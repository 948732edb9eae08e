/* Connecting without blocking: a list of addresses in order, until one of
 * them accepts. */
#ifndef IO_DIAL_H
#define IO_DIAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "io/loop.h"

struct dial;

struct dial_options {
	const struct sockaddr_storage *addrs;	/* copied; also AF_UNIX */
	size_t count;
	uint64_t each_ms;	/* for one address; 0: as total_ms */
	uint64_t total_ms;	/* for all together; 0: no limit */
	/* Our own address for each family; family 0: the kernel's choice.
	 * Where only one of them is set, addresses of the other family are
	 * passed over. */
	struct sockaddr_storage source4;
	struct sockaddr_storage source6;
};

/* fd >= 0: connected and non-blocking, the callee's now; peer is the address
 * that accepted, addrs[index].  fd == -1: e names each address that was
 * tried, "connect to 127.0.0.1:25: Connection refused; ...", with the code of
 * the last; peer is NULL.  The dial is gone when it is called. */
typedef void dial_cb(void *arg, int fd, const struct sockaddr_storage *peer,
    size_t index, const struct err *e);

/* The callback comes later, never from inside this call; also for count 0. */
struct dial *dial_start(struct loop *l, const struct dial_options *o,
    dial_cb *cb, void *arg);
/* No callback comes any more.  *d may be NULL. */
void dial_cancel(struct dial **d);

#endif

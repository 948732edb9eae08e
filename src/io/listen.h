/* Accepting connections on a listening socket that monitor has bound. */
#ifndef IO_LISTEN_H
#define IO_LISTEN_H

#include <sys/socket.h>

#include "io/loop.h"

struct listen;

/* fd is the callee's: non-blocking and close-on-exec.  peer: IPv4-mapped
 * addresses come as IPv4; AF_UNIX for local sockets. */
typedef void listen_cb(void *arg, int fd, const struct sockaddr_storage *peer);

/* Takes the listening descriptor and starts at once.  Where descriptors or
 * memory run out it logs, waits for half a second and goes on, instead of
 * spinning. */
struct listen *listen_new(struct loop *l, int fd, listen_cb *cb, void *arg);
/* Leaves new connections in the kernel's queue, and takes them again. */
void listen_pause(struct listen *s);
void listen_resume(struct listen *s);
/* Closes the descriptor; may be called inside the callback. */
void listen_free(struct listen **s);

#endif

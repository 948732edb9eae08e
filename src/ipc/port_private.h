/* What port.c and port_socket.c share. */
#ifndef IPC_PORT_PRIVATE_H
#define IPC_PORT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/htab.h"
#include "base/strbuf.h"
#include "io/loop.h"
#include "ipc/packet.h"
#include "ipc/port.h"

struct port_packet {			/* waits to be written */
	TAILQ_ENTRY(port_packet) link;
	struct strbuf b;
	int fd;				/* -1 or to be sent along */
};

struct port {
	struct loop *loop;
	char *name;
	struct port_handler h;
	void *arg;
	bool dead;			/* nothing goes or comes any more */
	bool told;			/* closed() was called */
	bool freed;
	struct err why;
	struct loop_task end_task, reap_task;

	int64_t credit;			/* ours to use */
	uint64_t owed;			/* came, and not granted yet */
	uint64_t last_ref;
	struct htab *requests;		/* ref -> struct request */

	struct {			/* a transfer that comes in parts */
		bool active;
		uint16_t type;
		uint64_t ref;
		size_t meta_n, body_n;
		struct strbuf meta, body;
	} x;

	/* the socket's side */
	int fd;
	struct loop_fd watch;
	struct loop_task flush_task;
	TAILQ_HEAD(port_packet_head, port_packet) out;
	size_t out_n;			/* octets in out */
	size_t out_fds;			/* descriptors in out */
	char *in;			/* packets of one read */
};

/* port_socket.c */
void port_socket_open(struct port *p, int fd);
void port_socket_close(struct port *p);
void port_socket_flush(struct port *p);
/* Room for a message of n octets, with fd (owned) in a packet of its own;
 * NULL when the port is dead, or dies of it. */
struct strbuf *port_socket_room(struct port *p, size_t n, int fd);

/* port.c */
void port_fail(struct port *p, const struct err *why);
/* One message; takes *fd (sets it to -1) where it is the message's. */
int port_take(struct port *p, const struct packet_head *h, struct slice data,
    int *fd, struct err *e);

#endif

/* One end of a channel between two roles: SOCK_SEQPACKET, many messages in a
 * packet, one flush per turn of the loop.
 *
 * A message is (type, ref, octets).  Big things (an envelope with its body, a
 * job) travel as a transfer: meta octets and either body octets or a
 * descriptor; small ones are one message, big ones are cut in parts, always
 * one whole transfer behind the other.  A request is a message or transfer
 * whose ref waits for exactly one reply.
 *
 * Credit: the sender of transfers may have `credit` octets outstanding; the
 * receiver gives them back with port_grant() when it has done with them.
 * Nothing here ever blocks.  What is garbage, or a peer that reads nothing
 * while very much is sent to it, ends the port: closed() is called with the
 * reason, and the owner treats the peer as dead.
 */
#ifndef IPC_PORT_H
#define IPC_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "io/loop.h"

struct port;

#define PORT_MESSAGE_MAX (48u * 1024)	/* octets of one message */
#define PORT_META_MAX (4u * 1024 * 1024)
#define PORT_BODY_MAX (1u * 1024 * 1024)	/* inline; else a descriptor */
#define PORT_CREDIT (8u * 1024 * 1024)

struct port_message {
	uint16_t type;
	uint64_t ref;
	struct slice data;	/* message, or meta of a transfer; borrowed */
	struct slice body;	/* transfer; borrowed */
	bool with_fd;		/* one was sent along; fd may be -1 all the
				 * same when this process had no room for it */
	int fd;			/* -1, or the callee's to close */
};

struct port_handler {
	/* -1 (with *e): the peer is not sane, the port ends. */
	int (*message)(void *arg, struct port_message *m, struct err *e);
	/* The peer is gone or was dropped.  All pending requests have been
	 * answered with NULL before.  The owner calls port_free(). */
	void (*closed)(void *arg, const struct err *why);
	/* Credit is back after port_can_send() had said no; may be NULL. */
	void (*ready)(void *arg);
};

/* Takes fd over.  name is for the log ("queue", "listener 2"). */
struct port *port_new(struct loop *loop, int fd, const char *name,
    const struct port_handler *h, void *arg);
/* Flushes what is queued if the socket takes it; pending requests are
 * forgotten without a call. */
void port_free(struct port **p);
/* Of closed(): the peer has ended by itself.  Else it, or the channel, cannot
 * be worked with any more. */
bool port_peer_ended(const struct err *why);
const char *port_name(const struct port *p);

/* m is NULL when the peer died or the deadline (ms, 0: none) passed. */
typedef void port_reply(void *arg, struct port_message *m);

/* A ref that waits for one reply; pass it to the send functions. */
uint64_t port_request(struct port *p, uint64_t deadline_ms, port_reply *cb,
    void *arg);
void port_forget(struct port *p, uint64_t ref);
size_t port_pending(const struct port *p);

/* Messages of at most PORT_MESSAGE_MAX octets. */
void port_send(struct port *p, uint16_t type, uint64_t ref,
    struct slice data);
/* The answer to a request of the peer. */
void port_send_reply(struct port *p, uint16_t type, uint64_t ref,
    struct slice data);
/* Owns fd and closes it. */
void port_send_fd(struct port *p, uint16_t type, uint64_t ref,
    struct slice data, int fd);
void port_reply_fd(struct port *p, uint16_t type, uint64_t ref,
    struct slice data, int fd);

/* There is credit for one more transfer. */
bool port_can_send(const struct port *p);
/* A transfer with inline body; takes meta.n + body.n of the credit. */
void port_transfer(struct port *p, uint16_t type, uint64_t ref,
    struct slice meta, struct slice body);
/* A transfer with a descriptor (owned, closed). */
void port_transfer_fd(struct port *p, uint16_t type, uint64_t ref,
    struct slice meta, int fd);
/* Gives credit back to the peer: the meta.n + body.n of what came. */
void port_grant(struct port *p, size_t octets);

/* Octets that wait to be written. */
size_t port_backlog(const struct port *p);

#endif

/* What every role's main does: take the monitor's channel (descriptor 3),
 * collect view, log, sockets and peers until MSG_ROLE_START, say ready, go on
 * receiving new peers, drain. */
#ifndef IPC_ROLE_H
#define IPC_ROLE_H

#include "ipc/msg.h"
#include "ipc/port.h"

#define ROLE_FD 3			/* the monitor's channel */

struct role_base {
	enum role role;
	struct loop *loop;
	struct port *monitor;
	struct msg_role me;
	bool started, draining;
	const struct role_ops *ops;
	void *arg;
};

/* All may be NULL where a role has no use for it.  Descriptors belong to the
 * callee.  Returning -1 ends the role with the error logged. */
struct role_ops {
	/* The octets of the view; called before everything else.  (A later
	 * second call is a reload.) */
	int (*view)(void *arg, struct slice view, struct err *e);
	int (*listen)(void *arg, const struct msg_listen *m, int fd,
	    struct err *e);
	/* A (new) peer: an earlier one of the same role and slot is gone. */
	int (*peer)(void *arg, const struct msg_peer *m, int fd,
	    struct err *e);
	/* In a program of its own the role is confined by now (sandbox.h):
	 * what libraries read they must have read, threads come from here on. */
	int (*start)(void *arg, struct err *e);
	/* Finish; call role_exit() when nothing is in flight. */
	void (*drain)(void *arg);
	/* Any other message of monitor (MSG_STATUS, ...). */
	int (*message)(void *arg, struct port_message *m, struct err *e);
	/* The one directory that the role works in after its start (queue);
	 * NULL: none, no file can be opened any more. */
	const char *(*spool)(void *arg);
	/* It has to connect to hosts out there (delivery; auth for OAuth2);
	 * NULL: it does not. */
	bool (*network)(void *arg);
};

/* fd: ROLE_FD in a program of its own, a socketpair's end in a test that
 * runs all roles on one loop.  The channel's end ends the role (within 5 s:
 * roles outlive no monitor). */
void role_init(struct role_base *r, enum role role, struct loop *loop,
    int fd, const struct role_ops *ops, void *arg);
/* Stops the loop; the program's exit status is 0. */
void role_exit(struct role_base *r);
/* That peer cannot be worked with (its channel has ended for another reason
 * than its death): monitor ends it and brings another one. */
void role_accuse(struct role_base *r, enum role role, uint32_t slot);
/* Common head of a role's main(): signals, fault points, log until monitor
 * says more, then loop_run().  create() makes the role's struct around base
 * and calls nothing that blocks.  Returns the exit status. */
int role_main(enum role role, int argc, char **argv,
    void *(*create)(struct loop *loop, int fd), void (*destroy)(void *role));

#endif

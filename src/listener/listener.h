/* The listener role: SMTP server sessions on the sockets that monitor has
 * bound, and local submission on submit.sock.  One struct holds all of it. */
#ifndef LISTENER_LISTENER_H
#define LISTENER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/htab.h"
#include "base/strbuf.h"
#include "conf/conf.h"
#include "io/listen.h"
#include "io/loop.h"
#include "io/tls_context.h"
#include "ipc/port.h"
#include "ipc/role.h"
#include "listener/client_table.h"
#include "listener/message_number.h"

struct listener;
struct session;
struct transaction;

#define LISTENER_TLS_FLOORS 4		/* TLS 1.0 to 1.3 */

/* A socket that clients connect to. */
struct endpoint {
	struct listener *owner;
	const struct conf_listen *conf;	/* of submit.sock: submit_conf */
	struct listen *sock;		/* NULL before the start, and once
					 * the role drains */
	int fd;				/* before the start, else -1 */
	enum conf_tls_mode tls_mode;	/* OFF, STARTTLS, REQUIRED, IMPLICIT */
	/* By lowest version, made when first asked for; clients may have
	 * their own floor. */
	struct tls_context *tls[LISTENER_TLS_FLOORS];
	uint32_t index;			/* into conf.listens */
	bool submit;			/* submit.sock */
	unsigned open;			/* connections now */
};

struct listener {
	struct role_base base;
	struct loop *loop;
	struct conf *conf;
	struct conf_listen submit_conf;
	struct htab *local_domains;	/* normal form -> the conf's string */
	unsigned login_uses;		/* of any login; enum conf_login_use */
	struct endpoint **endpoints;
	size_t endpoint_count;

	struct port *queue;		/* NULL: gone, a new one will come */
	struct port *auth;

	TAILQ_HEAD(session_list, session) sessions;
	TAILQ_HEAD(blocked_list, session) blocked;	/* complete messages that wait for the
					 * queue's credit */
	size_t session_count;
	/* Kept with their buffers for the next message. */
	struct transaction *spare[64];
	size_t spare_count;

	struct client_table *clients;
	struct message_number number;
	uint64_t next_exchange;		/* of AUTH */
	struct strbuf scratch;		/* replies, internal messages */

	struct msg_counts counts;	/* since queue was told last */
	struct loop_timer stats_timer;	/* runs while there is news */
	struct loop_timer sweep_timer;
	struct loop_timer drain_timer;
	uint64_t drain_until;		/* monotonic ms */
};

/* Makes the role around the monitor's channel (descriptor fd, owned); with -1
 * it has none (tests). */
struct listener *listener_new(struct loop *loop, int fd);
void listener_free(struct listener **l);

/* What role.h calls; tests call them too. */
extern const struct role_ops listener_ops;

/* One more of what has that name: a reason of the table of refusals, or "tls "
 * and a version. */
void listener_tell(struct listener *l, const char *group, const char *name);
/* Called by sessions: one more or one less is open. */
void listener_count(struct listener *l, struct endpoint *ep, int by);
/* A session has ended; a role that drains may be done now. */
void listener_session_gone(struct listener *l);

/* ---- endpoint.c ---- */

struct endpoint *endpoint_new(struct listener *l,
    const struct conf_listen *conf, uint32_t index, bool submit, int fd);
void endpoint_free(struct endpoint **ep);
void endpoint_start(struct endpoint *ep);
/* No new connections; those that are open stay. */
void endpoint_stop(struct endpoint *ep);
/* The context for connections with this floor (0x0301..0x0304, 0: the
 * socket's own), or NULL where there is no usable certificate (logged). */
struct tls_context *endpoint_tls(struct endpoint *ep, int floor);
/* Begins a session on a connected descriptor (owned), or refuses it.  Returns
 * the session, NULL when it was refused. */
struct session *endpoint_accept(struct endpoint *ep, int fd,
    const struct sockaddr_storage *peer);

#endif

/* The auth role: holds the passwords of both directions and answers the
 * exchanges of listeners (clients that log in to us) and deliveries (we log
 * in to a next hop). */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/htab.h"
#include "base/strbuf.h"
#include "conf/conf.h"
#include "io/loop.h"
#include "ipc/port.h"
#include "ipc/role.h"

#define AUTH_EXCHANGES_MAX 10000	/* of one peer at a time */
#define AUTH_EXCHANGE_MS (5 * 60 * 1000)

struct auth;
struct auth_exchange;
struct secret_source;
struct throttle;

struct auth_peer {
	TAILQ_ENTRY(auth_peer) link;
	struct auth *owner;
	struct port *port;
	uint8_t role;			/* enum role */
	uint32_t slot;
	struct htab *exchanges;		/* number -> struct auth_exchange */
};

struct auth {
	struct role_base base;
	struct loop *loop;
	struct conf *conf;
	struct throttle *throttle;
	struct secret_source *secrets;	/* those that come from commands */
	TAILQ_HEAD(auth_peers, auth_peer) peers;
	struct loop_timer sweep_timer;
	struct loop_timer drain_timer;
	bool sasl;			/* the library is there */
};

/* Makes the role around the monitor's channel (descriptor fd, owned); with -1
 * it has none (tests).  Starts libsasl2, which loads its plug-ins: before the
 * process gives up its rights to open files. */
struct auth *auth_new(struct loop *loop, int fd);
void auth_free(struct auth **a);

extern const struct role_ops auth_ops;

/* ---- login_exchange.c: for listeners ---- */

/* MSG_AUTH_START, _NEXT, _DROP; -1: garbage. */
int auth_login_message(struct auth_peer *p, struct port_message *m,
    struct err *e);

/* ---- credential_exchange.c: for deliveries ---- */

/* MSG_CRED_START, _NEXT, _DROP, _REFUSED; -1: garbage. */
int auth_credential_message(struct auth_peer *p, struct port_message *m,
    struct err *e);

/* ---- exchange.c: what both have in common ---- */

/* One conversation; the two kinds hang their state on it. */
struct auth_exchange {
	struct auth_peer *peer;
	uint64_t number;
	uint64_t ref;			/* of the request to be answered */
	void *state;
	void (*state_free)(void *state);
	char *client;			/* listeners only */
	struct loop_timer timer;	/* idle limit, or a delayed answer */
	bool delayed;
};

/* NULL: there are too many of them. */
struct auth_exchange *auth_exchange_new(struct auth_peer *p, uint64_t number);
struct auth_exchange *auth_exchange_find(struct auth_peer *p, uint64_t number);
void auth_exchange_free(struct auth_exchange **x);
void auth_exchange_free_all(struct auth_peer *p);

/* What one side of libsasl2 has to say. */
struct auth_answer {
	uint8_t state;			/* enum auth_state */
	const char *mechanism;
	bool has_data;
	struct slice data;
	const char *login;
	const char *text;
};
void auth_answer_send(struct auth_peer *p, uint16_t type, uint64_t ref,
    const struct auth_answer *a);

#endif

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
struct http_client;
struct logins;
struct oauth;
struct token_servers;
struct resolver;
struct secret_source;
struct throttle;
struct unbound;
struct work_pool;

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
	struct logins *logins;
	struct work_pool *work;		/* what takes long */
	struct unbound *unbound;	/* next hops' channel bindings */
	struct http_client *http;	/* NULL, all three: no transport has */
	struct resolver *resolver;	/* `oauth2` */
	struct oauth *oauth;
	TAILQ_HEAD(oauth_call_list, oauth_call) oauth_calls;
	unsigned n_oauth_calls;
	LIST_HEAD(, kerberos) kerberos;	/* programs, by transport */
	struct token_servers *servers;
	TAILQ_HEAD(auth_peers, auth_peer) peers;
	struct loop_timer sweep_timer;
	struct loop_timer drain_timer;
	uint64_t drain_until;		/* mono ms */
	bool sasl;			/* libsasl2's plug-ins are there */
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

/* MSG_CRED_START, _NEXT, _DROP, _REFUSED, _ACCEPTED; -1: garbage. */
int auth_credential_message(struct auth_peer *p, struct port_message *m,
    struct err *e);

/* ---- proxy_login.c: for deliveries ---- */

/* MSG_PROXY_LOGIN; -1: garbage. */
int auth_proxy_message(struct auth_peer *p, struct port_message *m,
    struct err *e);

/* ---- tokens.c: what OAuth2 needs ---- */

/* Before the process is confined. */
int auth_tokens_prepare(struct auth *a, struct err *e);
int auth_tokens_start(struct auth *a, struct err *e);
void auth_tokens_free(struct auth *a);

/* ---- exchange.c: what both have in common ---- */

/* Whose state it is: of credential_exchange.c or login_exchange.c, of
 * token_exchange.c, of kerberos.c. */
enum exchange_kind { EXCHANGE_PLAIN, EXCHANGE_TOKEN, EXCHANGE_KERBEROS };

/* One conversation; the kinds hang their state on it. */
struct auth_exchange {
	struct auth_peer *peer;
	uint64_t number;
	uint64_t ref;			/* of the request to be answered */
	void *state;
	void (*state_free)(void *state);
	char *client;			/* listeners only */
	struct loop_timer timer;	/* idle limit, or a delayed answer */
	bool delayed;
	enum exchange_kind kind;
};

/* NULL: there are too many of them. */
struct auth_exchange *auth_exchange_new(struct auth_peer *p, uint64_t number);
struct auth_exchange *auth_exchange_find(struct auth_peer *p, uint64_t number);
void auth_exchange_free(struct auth_exchange **x);
/* Until it is kept, late(x) is called after ms instead of its idle limit. */
void auth_exchange_limit(struct auth_exchange *x, uint64_t ms,
    void (*late)(void *x));
void auth_exchange_keep(struct auth_exchange *x);
void auth_exchange_free_all(struct auth_peer *p);

/* What one side of libsasl2 has to say. */
struct auth_answer {
	uint8_t state;			/* enum auth_state */
	const char *mechanism;
	bool has_data;
	struct slice data;
	const char *login;
	const char *text;
	bool again;			/* as in struct msg_auth_step */
};
void auth_answer_send(struct auth_peer *p, uint16_t type, uint64_t ref,
    const struct auth_answer *a);
/* Answers a request of delivery with a reason and nothing else. */
void auth_refuse(struct auth_peer *p, uint64_t ref,
    enum auth_state state, const char *text);

#endif

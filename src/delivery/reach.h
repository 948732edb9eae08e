/* From the name of a host to a connected socket: resolving, then one address
 * after the other, and both families side by side where one is slow. */
#ifndef DELIVERY_REACH_H
#define DELIVERY_REACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "ipc/port.h"

struct conf_proxy;
struct conf_transport;
struct proxy_state;
struct reach;
struct smtp_client_env;

struct reach_options {
	struct loop *loop;
	struct resolver *resolver;
	struct port *monitor;		/* the transport's UNIX socket, which
					 * this one connects to: host is its
					 * path; NULL: the network */
	const char *transport;		/* name */
	const char *host;		/* name or address; copied */
	unsigned port;
	unsigned families;		/* RESOLVE_V4 | RESOLVE_V6, and
					 * RESOLVE_NO_HOSTS */
	int avoid;			/* AF_INET, AF_INET6: last; 0: none */
	uint64_t connect_ms;		/* for each address */
	struct sockaddr_storage source4, source6; /* family 0: any */
	/* Through proxies, where t is not NULL and has some: */
	const struct conf_transport *t;
	struct proxy_state *states;
	struct smtp_client_env *env;
};

/* The first of each family that the transport's `source-address` names. */
void reach_sources(const struct conf_transport *t,
    struct sockaddr_storage *v4, struct sockaddr_storage *v6);

/* Whose failure it is that a host was not reached. */
enum reach_fault {
	REACH_HOST,
	REACH_UNCLEAR,		/* the proxies would not, or do not say why */
	REACH_PROXY		/* no proxy is of any use, for any host */
};

struct reach_result {
	int fd;				/* the callee's; -1: e says why not */
	const char *remote;		/* "host[192.0.2.1]:25" */
	bool both;			/* it has addresses of both families */
	bool secure;			/* DNSSEC vouches for them, */
	const char *canonical;		/* under this name, or NULL */
	enum reach_fault fault;		/* fd -1 */
	const struct conf_proxy *proxy;	/* the one that is used, or NULL */
	struct err e;			/* for each address what failed, as
					 * "resolve HOST: ..." or "connect to
					 * HOST[ADDRESS]:PORT: ..."; the code
					 * is ENETUNREACH where this machine has
					 * no network at all */
};

/* The reach is gone when it is called. */
typedef void reach_cb(void *arg, const struct reach_result *r);

/* The callback comes later, never from inside this call. */
struct reach *reach_start(const struct reach_options *o, reach_cb *cb,
    void *arg);
/* No callback comes any more.  *r may be NULL. */
void reach_cancel(struct reach **r);

#endif

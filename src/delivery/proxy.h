/* Connections through the SOCKS5 proxies of a transport. */
#ifndef DELIVERY_PROXY_H
#define DELIVERY_PROXY_H

#include "base/err.h"
#include "conf/conf.h"
#include "delivery/smtp_client.h"
#include "io/resolve.h"

/* What is known of them; shared by all of the transport's pools. */
struct proxy_state {
	unsigned failures;		/* in a row */
	uint64_t shunned_until;		/* mono ms: tried after the others */
};

struct proxied;

struct proxied_options {
	struct smtp_client_env *env;
	struct resolver *resolver;	/* for the proxies' own names */
	const struct conf_transport *t;
	struct proxy_state *states;	/* t->n_proxies of them */
	struct sockaddr_storage to;	/* family 0: the proxy looks up host */
	const char *host;		/* copied */
	uint16_t port;
	uint64_t ms;			/* for each step with each proxy */
	struct sockaddr_storage source4, source6;
};

enum proxied_end {
	PROXIED_OK,
	PROXIED_REMOTE,		/* the proxy cannot reach that */
	PROXIED_UNCLEAR,	/* no proxy would do it, or said why not */
	PROXIED_DEAD		/* no proxy is of any use */
};

struct proxied_result {
	enum proxied_end end;
	int fd;			/* OK: the callee's; else -1 */
	size_t proxy;		/* OK, REMOTE: which */
	const char *text;	/* of the failure; UNCLEAR, DEAD: of each */
};

/* The thing is gone when it is called. */
typedef void proxied_cb(void *arg, const struct proxied_result *r);

/* The callback comes later, never from inside this call.  Proxies are tried
 * in order; only their own failures lead to the next one. */
struct proxied *proxied_start(const struct proxied_options *o, proxied_cb *cb,
    void *arg);
/* No callback comes any more.  *p may be NULL. */
void proxied_cancel(struct proxied **p);

#endif

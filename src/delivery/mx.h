/* Where a domain's mail goes: its site, the canonical set of its next hops, as
 * DNS has them. */
#ifndef DELIVERY_MX_H
#define DELIVERY_MX_H

#include "conf/conf.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "ipc/msg.h"

struct mx_lookup;

struct mx_options {
	struct loop *loop;
	struct resolver *resolver;
	const struct conf *conf;	/* our name, and where we listen */
	unsigned port;			/* of the next hops */
	const char *domain;		/* in normal form, or a literal */
	bool signed_only;		/* an answer without DNSSEC is none */
};

/* The lookup is gone when it is called; the answer is borrowed.  secure:
 * DNSSEC vouches for it. */
typedef void mx_cb(void *arg, const struct msg_site *answer, bool secure);

/* The callback comes later, never from inside this call, within 30 s. */
struct mx_lookup *mx_start(const struct mx_options *o, mx_cb *cb, void *arg);
/* No callback comes any more.  *m may be NULL. */
void mx_cancel(struct mx_lookup **m);

#endif

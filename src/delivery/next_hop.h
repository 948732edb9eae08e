/* Where a domain's mail goes, and what its MTA-STS policy demands of each of
 * these hosts: the site by whose name queue has a lane. */
#ifndef DELIVERY_NEXT_HOP_H
#define DELIVERY_NEXT_HOP_H

#include "delivery/mx.h"
#include "io/http_client.h"

struct next_hop;

struct next_hop_options {
	struct mx_options mx;
	const struct conf_transport *transport;
	struct http_client *http;
	const char *note;		/* of the policy; NULL: none; read
					 * during the call only */
};

/* The lookup is gone when it is called; the answer is borrowed. */
typedef void next_hop_cb(void *arg, const struct msg_site *answer);

/* The callback comes later, never from inside this call, within 30 s. */
struct next_hop *next_hop_start(const struct next_hop_options *o,
    next_hop_cb *cb, void *arg);
/* No callback comes any more.  *n may be NULL. */
void next_hop_cancel(struct next_hop **n);

#endif

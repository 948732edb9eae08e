/* The pools of all sites, and the questions where a domain's mail goes. */
#ifndef DELIVERY_SITES_H
#define DELIVERY_SITES_H

#include "delivery/next_hop.h"
#include "delivery/pool.h"

struct sites;

struct sites *sites_new(struct loop *l);
/* Before the transports' pools: it lends from them. */
void sites_free(struct sites **s);

/* The pool of a site of that transport, made where there is none. */
struct pool *sites_pool(struct sites *s, struct pool *transport,
    const char *name, const char *site);
/* Calls for each pool. */
void sites_each(struct sites *s, void (*each)(struct pool *p));
bool sites_are_empty(const struct sites *s);

/* Looks up one of queue's questions and answers it by the port; where that is
 * gone meanwhile, sites_forget() has been called. */
void sites_ask(struct sites *s, const struct next_hop_options *o,
    struct port *to, uint64_t ref);
/* Nobody waits for answers any more. */
void sites_forget(struct sites *s);

#endif

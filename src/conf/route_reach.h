/* Which transports mail of a sender's domain can take at all, whoever hands
 * it in and wherever it goes: for `relayctl dnscheck`. */
#ifndef CONF_ROUTE_REACH_H
#define CONF_ROUTE_REACH_H

#include "conf/conf.h"

/* domain: in normal form (mail_domain_normal).  Sets reached[i] for the
 * transport i of the model; the last one, reached[n_transports], stands for
 * the built-in `direct`.  The array is the caller's, of n_transports + 1.
 * What only an odd mixture of conditions could lead to may be set too. */
void route_reach(const struct conf *conf, const char *domain,
    bool *reached);

#endif

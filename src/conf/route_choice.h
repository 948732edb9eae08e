/* Which account a message belongs to, and which transports it may take:
 * config.md's "account" and "route", as a pure function of the model.  Used
 * by queue at each attempt and by `relayctl why --if` and `config test`. */
#ifndef CONF_ROUTE_CHOICE_H
#define CONF_ROUTE_CHOICE_H

#include "base/strbuf.h"
#include "conf/conf.h"

struct route_query {
	const char *from;		/* reverse-path, "" for <> */
	const char *to;			/* NULL for the account alone */
	const char *login;		/* NULL: none */
	const char *client;		/* address text or "uid:N"; NULL: none */
	int64_t uid;			/* -1: none */
	uint64_t attempts;		/* made so far for this recipient */
	uint64_t size;			/* octets as received */
	uint64_t age;			/* milliseconds since it arrived */
	const char *account;		/* already chosen (stored), or NULL */
};

struct route_answer {
	const struct conf_account *account;	/* NULL: none */
	const struct conf_route *route;		/* NULL: the account's own
						 * transport, or direct */
	/* In order; SIZE_MAX stands for the built-in `direct`. */
	size_t via[16];
	size_t n_via;
};

/* Called for each statement considered, in order; reason is NULL when it
 * matched, else the criterion that failed ("to", "attempts", ...). */
typedef void route_trace(void *arg, const struct conf_route *route,
    const char *reason);

/* The account: the login's, the client's, the most specific sender pattern
 * among the accounts that this client may use, the default one; NULL: none. */
const struct conf_account *route_account(const struct conf *conf,
    const struct route_query *q);

/* Fills *a; always finds something (direct in the end).  trace may be NULL. */
void route_choose(const struct conf *conf, const struct route_query *q,
    struct route_answer *a, route_trace *trace, void *arg);

#endif

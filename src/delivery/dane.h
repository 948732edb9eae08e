/* TLSA records of a server, if DNS vouches for them. */
#ifndef DELIVERY_DANE_H
#define DELIVERY_DANE_H

#include <stddef.h>

#include "base/err.h"
#include "conf/conf.h"
#include "delivery/site_name.h"
#include "io/resolve.h"
#include "io/tls_dane.h"

enum dane_result {
	DANE_NONE,		/* it has none, or nobody vouches for them */
	DANE_RECORDS,
	DANE_UNUSABLE,		/* only such as mean nothing to us: TLS must be
				 * used all the same (RFC 7672 2.2) */
	DANE_FAILED		/* not to be known: the server is not safe */
};

struct dane_answer {
	enum dane_result result;
	struct tls_dane dane;	/* RECORDS; borrowed */
	struct err why;		/* FAILED */
};

struct dane;

/* Whether records are looked for.  Where a server's address is not signed its
 * TLSA record will not be, and its name servers may not even answer the
 * question (RFC 7672, 2.2.2).  Behind a proxy that resolves nobody knows.
 * secure: DNSSEC vouches for the address. */
bool dane_wanted(const struct conf_transport *t, bool secure);
/* NULL: the server may be talked to, with TLS by *mode; else why not.  Where
 * nothing can be verified by records, mark says whether it has to be without
 * them: they have precedence over an MTA-STS policy, and where they fail it
 * does not help (RFC 8461 2). */
const char *dane_judge(const struct conf_transport *t,
    const struct dane_answer *a, enum site_mark mark,
    enum conf_tls_mode *mode);

/* The lookup is gone when it is called. */
typedef void dane_cb(void *arg, const struct dane_answer *a);

/* names: at the first of them (NULL: none) that has records they are taken;
 * strings are copied.  The callback comes later, never from inside this
 * call. */
struct dane *dane_start(struct resolver *r, const char *const names[2],
    unsigned port, dane_cb *cb, void *arg);
/* No callback comes any more.  *d may be NULL. */
void dane_cancel(struct dane **d);

#endif

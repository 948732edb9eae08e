/* The name of a site (struct msg_site): its hosts, and what is demanded of
 * each. */
#ifndef DELIVERY_SITE_NAME_H
#define DELIVERY_SITE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "mail/mta_sts.h"

/* By the MTA-STS policy of the domain, where there is one. */
enum site_mark {
	SITE_MARK_NONE,
	SITE_MARK_VERIFY,	/* enforced: TLS, and a certificate that is
				 * good for the host's name */
	SITE_MARK_DANE,		/* enforced, and the host is not listed: it may
				 * only be used where DANE vouches for it */
	SITE_MARK_TEST,		/* testing: only told of */
	SITE_MARK_UNLISTED	/* testing, and the host is not listed */
};

/* Something is forbidden, not only told of. */
static inline bool
site_mark_enforced(enum site_mark m)
{
	return m == SITE_MARK_VERIFY || m == SITE_MARK_DANE;
}

static inline bool
site_mark_tested(enum site_mark m)
{
	return m == SITE_MARK_TEST || m == SITE_MARK_UNLISTED;
}

/* The i-th host of a site's name (NULL behind the last), the place of its
 * preference, 0 for the best, and its mark (not wanted: NULL).  The caller
 * frees it. */
char *site_name_host(const char *site, size_t i, unsigned *group,
    enum site_mark *mark);
/* false: it would be read as something else than one host. */
bool site_name_takes(const char *host);

/* Appends the name with what the policy demands of each host.  Hosts that it
 * does not cover are left out where it is enforced, unless by_dane: DNSSEC
 * vouches for it that they are the domain's.  false: none is left. */
bool site_name_mark(const char *site, const struct mta_sts_policy *p,
    bool by_dane, struct strbuf *out);

#endif

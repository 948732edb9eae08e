/* A domain's MTA-STS policy: from the note of the last time, DNS and its web
 * server (RFC 8461). */
#ifndef DELIVERY_STS_H
#define DELIVERY_STS_H

#include "base/slice.h"
#include "conf/conf.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "mail/mta_sts.h"

struct sts;

struct sts_options {
	struct loop *loop;
	struct resolver *resolver;
	struct http_client *http;
	const char *domain;		/* in normal form; copied */
	const char *note;		/* struct mta_sts_note, as text; NULL: none;
					 * read during the call only */
};

/* Valid during the callback. */
struct sts_answer {
	struct mta_sts_policy *policy;	/* in force; NULL: none, or one that
					 * demands nothing.  The callee may
					 * take what is in it (memset) */
	uint64_t lasts_ms;		/* so long, where there is one */
	const char *note;		/* to be remembered; NULL: nothing new */
};

/* Whether this transport looks at policies at all. */
bool sts_wanted(const struct conf_transport *t, const char *domain);

/* The lookup is gone when it is called. */
typedef void sts_cb(void *arg, const struct sts_answer *a);

/* The callback comes later, never from inside this call, within 20 s. */
struct sts *sts_start(const struct sts_options *o, sts_cb *cb, void *arg);
/* No callback comes any more.  *s may be NULL. */
void sts_cancel(struct sts **s);

#endif

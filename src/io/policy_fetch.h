/* The text of a domain's MTA-STS policy from its web server (RFC 8461 3.3).
 * What it says is for others to read.
 *
 * Link this only into programs that need it: it brings libcurl with it. */
#ifndef IO_POLICY_FETCH_H
#define IO_POLICY_FETCH_H

#include "base/slice.h"
#include "io/http_client.h"

struct policy_fetch;

enum policy_result {
	POLICY_FETCHED,
	POLICY_UNREACHABLE,		/* resolve, connect, time, reset */
	POLICY_UNTRUSTED,		/* TLS: handshake or certificate */
	POLICY_WRONG			/* the answer is none that counts */
};

struct policy_answer {			/* valid during the callback */
	enum policy_result result;
	struct slice text;		/* FETCHED */
	const char *why;		/* else; one printable line */
};

typedef void policy_fetch_cb(void *arg, const struct policy_answer *a);

/* domain: in normal form.  Who may vouch for the web server is the client's
 * to know (http_client_trust()).  cb is called once, later, within ms; the fetch is gone then. */
struct policy_fetch *policy_fetch_start(struct loop *l, struct http_client *c,
    const char *domain, uint64_t ms, policy_fetch_cb *cb, void *arg);
/* No callback comes any more; *f may be NULL. */
void policy_fetch_cancel(struct policy_fetch **f);

#endif

/* Names to addresses and mail exchangers, without blocking the loop.
 *
 * Address literals, localhost, and names in the hosts file are answered from
 * memory; everything else goes to DNS by libunbound's own thread, which is
 * started by the first query that needs it.  Link this only into roles that
 * resolve: it brings libunbound with it. */
#ifndef IO_RESOLVE_H
#define IO_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"
#include "io/loop.h"

struct resolver;
struct resolve_query;

struct resolver_options {
	struct slice hosts;		/* of /etc/hosts; may be empty */
	struct slice resolv_conf;	/* content; its nameserver lines */
	const char *const *servers;	/* ADDRESS[:PORT] instead of these */
	size_t server_count;
	bool dnssec;			/* validate with the anchors */
	struct slice anchors;		/* DS or DNSKEY, one on each line */
	bool forget_denials;		/* ask again each time where something
					 * is said not to exist */
};

/* Checks the options; makes no thread yet.  Octets are copied. */
struct resolver *resolver_new(struct loop *l, const struct resolver_options *o,
    struct err *e);
/* Queries still open are dropped without a callback. */
void resolver_free(struct resolver **r);

enum resolve_status {
	RESOLVE_OK,		/* count > 0 */
	RESOLVE_NODATA,		/* the name exists, not with this type */
	RESOLVE_NXDOMAIN,	/* the name does not exist */
	RESOLVE_FAILED,		/* no answer, SERVFAIL, timed out: try later */
	RESOLVE_BOGUS		/* DNSSEC validation failed: try later */
};

struct resolve_mx {
	uint16_t preference;
	const char *name;	/* without final dot; "" for the null MX */
};

/* Valid during the callback only. */
struct resolve_answer {
	enum resolve_status status;
	bool secure;		/* DNSSEC-validated, all of it */
	uint32_t ttl;		/* seconds; of the shortest-lived part */
	/* resolve_host: port 0; IPv6 first, each family in the order given */
	const struct sockaddr_storage *addrs;
	/* resolve_mx: sorted by preference, equals in random order */
	const struct resolve_mx *mx;
	/* resolve_records: the data as on the wire, names uncompressed */
	const struct slice *records;
	size_t count;
	const char *canonical;	/* name at the end of CNAMEs, or NULL */
	struct err why;		/* where status is not RESOLVE_OK */
};

typedef void resolve_cb(void *arg, const struct resolve_answer *a);

#define RESOLVE_V4	1u
#define RESOLVE_V6	2u
#define RESOLVE_NO_HOSTS 4u	/* not from the hosts file (names of MX) */

/* The callback comes later, never from inside these calls, exactly once, at
 * the latest after ms (0: 30 s); the query is gone then.  With both families
 * one that has addresses is enough: OK even if the other one failed. */
struct resolve_query *resolve_host(struct resolver *r, const char *name,
    unsigned flags, uint64_t ms, resolve_cb *cb, void *arg);
/* MX records of a domain, from DNS alone. */
struct resolve_query *resolve_mx(struct resolver *r, const char *domain,
    uint64_t ms, resolve_cb *cb, void *arg);
/* Records of one type, by its number, from DNS alone.  The name may hold any
 * octets but NUL; its labels are cut at dots. */
#define RESOLVE_TYPE_A		1u
#define RESOLVE_TYPE_NS		2u
#define RESOLVE_TYPE_PTR	12u
#define RESOLVE_TYPE_MX		15u
#define RESOLVE_TYPE_TXT	16u
#define RESOLVE_TYPE_AAAA	28u
#define RESOLVE_TYPE_TLSA	52u
struct resolve_query *resolve_records(struct resolver *r, const char *name,
    unsigned type, uint64_t ms, resolve_cb *cb, void *arg);
/* The data of a TXT record: its strings, one behind the other, appended; -1
 * when it is damaged. */
int resolve_txt(struct slice data, struct strbuf *out);
/* The name at the front of the data (PTR, NS) without final dot; -1 when it
 * is damaged or holds octets that no host name has. */
int resolve_name(struct slice data, char out[256]);
/* No callback comes any more.  *q may be NULL. */
void resolve_cancel(struct resolve_query **q);

#endif

/* What resolve.c, resolve_hosts.c and resolve_dns.c share. */
#ifndef IO_RESOLVE_PRIVATE_H
#define IO_RESOLVE_PRIVATE_H

#include "io/resolve.h"

/* ---- the hosts file ---- */

struct hosts;

struct hosts_entry {
	struct sockaddr_storage *addrs;		/* port 0 */
	size_t count;
};

/* Lines that cannot be read are passed over, as the C library does. */
struct hosts *hosts_new(struct slice text);
void hosts_free(struct hosts **h);
/* The name in lower case without final dot; NULL when it is not there. */
const struct hosts_entry *hosts_find(const struct hosts *h, const char *name);

/* ---- DNS ---- */

enum dns_type { DNS_A = 1, DNS_MX = 15, DNS_AAAA = 28 };

struct dns;
struct dns_call;

struct dns_reply {
	enum resolve_status status;
	bool secure;
	uint32_t ttl;
	char *const *data;	/* rdata, uncompressed; NULL at the end */
	const int *len;
	const char *canonical;
	const char *why;
};

typedef void dns_cb(void *arg, const struct dns_reply *r);

/* Copies what it needs of the options and checks them. */
struct dns *dns_new(struct loop *l, const struct resolver_options *o,
    struct err *e);
/* May be called inside a callback; open calls are dropped. */
void dns_free(struct dns **d);
/* The callback comes later from the loop, with no time limit of its own.
 * NULL with *e when libunbound refuses. */
struct dns_call *dns_ask(struct dns *d, const char *name, enum dns_type type,
    dns_cb *cb, void *arg, struct err *e);
void dns_cancel(struct dns_call **c);
/* A name in wire form as text without final dot, "" for the root; -1 when it
 * is damaged or holds octets that no host name has. */
int dns_name_text(const uint8_t *p, size_t n, char out[256]);

#endif

/* relayctl: questions to DNS, one after the other, by the name servers of the
 * configuration.  Works without a daemon. */
#ifndef TOOLS_CTL_DNS_H
#define TOOLS_CTL_DNS_H

#include "io/resolve.h"
#include "mail/spf.h"
#include "tools/relayctl.h"

struct ctl_dns;

struct ctl_dns_answer {
	enum resolve_status status;
	bool secure;
	const struct slice *records;	/* as resolve_records has them */
	size_t count;
	const char *why;		/* "" where there are records */
};

/* Loads the configuration; where none is named and none is there, the
 * system's name servers are asked.  NULL: told, *status is set. */
struct ctl_dns *ctl_dns_open(struct ctl *c, int *status);
void ctl_dns_close(struct ctl_dns **d);
/* Blocks until there is an answer, or none in time.  Asked twice, answered
 * from memory; what it returns lives until the end. */
const struct ctl_dns_answer *ctl_dns_ask(struct ctl_dns *d, const char *name,
    unsigned type);
/* The text of a TXT record, the name of a PTR or MX one; false: damaged. */
bool ctl_dns_text(const struct ctl_dns_answer *a, size_t i,
    struct strbuf *out);
bool ctl_dns_name(const struct ctl_dns_answer *a, size_t i, unsigned type,
    char out[256]);

/* What it works with, for others who wait beside it. */
struct loop *ctl_dns_loop(const struct ctl_dns *d);
struct resolver *ctl_dns_resolver(const struct ctl_dns *d);

/* ---- ctl_spf.c ---- */
/* Asks what it asks for until the verdict is there. */
const struct spf_verdict *ctl_spf_judge(struct ctl_dns *d, struct spf *s);

#endif

/* relayctl dnscheck: what its files share. */
#ifndef TOOLS_CTL_DNSCHECK_H
#define TOOLS_CTL_DNSCHECK_H

#include <netinet/in.h>

#include "tools/ctl_dns.h"

enum finding_status { FINDING_OK, FINDING_WARNING, FINDING_ERROR };

struct finding {
	const char *name;		/* "spf", "mx" ... */
	enum finding_status status;
	char *text;
	char *publish;			/* or NULL */
};

/* An address that mail of the domain leaves from, straight to others. */
struct leaving {
	struct mail_literal ip;
	char text[INET6_ADDRSTRLEN];
	const char *helo;
	const char *transport;
	const char *kind;		/* "this machine", ... */
};

struct dnscheck {
	struct ctl *ctl;
	struct ctl_dns *dns;
	const char *domain;		/* normal form */
	struct leaving *leaving;
	size_t n_leaving;
	struct finding *findings;
	size_t n_findings;
};

/* publish: zone-file text, or NULL; copied. */
void dnscheck_say(struct dnscheck *d, const char *name,
    enum finding_status status, const char *publish, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The texts at a name that claim this version (all, where NULL): how many,
 * the first appended.  -1: DNS does not say. */
int dnscheck_texts(struct dnscheck *d, const char *name, const char *version,
    struct strbuf *first, const char **why);

/* ctl_dnscheck_leave.c: fills leaving; tells what is known of the routes. */
void dnscheck_routes(struct dnscheck *d);
/* ctl_dnscheck_sender.c */
void dnscheck_spf(struct dnscheck *d);
void dnscheck_helo(struct dnscheck *d);
void dnscheck_ptr(struct dnscheck *d);
/* ctl_dnscheck_domain.c */
void dnscheck_mx(struct dnscheck *d);		/* and DANE */
void dnscheck_dkim(struct dnscheck *d);
void dnscheck_dmarc(struct dnscheck *d);
void dnscheck_tlsrpt(struct dnscheck *d);
/* One record at a label below the domain; true: there is, and it is good.
 * propose: what stands behind its version in the record to publish. */
bool dnscheck_one_record(struct dnscheck *d, const char *check,
    const char *label, const char *version,
    int (*syntax)(struct slice, struct err *), const char *propose);
bool dnscheck_has_address(struct dnscheck *d, const char *host);
/* ctl_dnscheck_sts.c: begins to fetch the policy, which goes on while the
 * others are at work; then waits for it, and tells. */
struct dnscheck_policy;
struct dnscheck_policy *dnscheck_policy_start(struct dnscheck *d);
void dnscheck_mta_sts(struct dnscheck *d, struct dnscheck_policy **p);

#endif

/*
 * relayctl dnscheck: what a domain publishes about its mail: where it is
 * received, by what keys it is signed, what receivers are to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/tag_list.h"
#include "tools/ctl_dns_record.h"
#include "tools/ctl_dnscheck.h"

/* ---- MX ---- */

bool
dnscheck_has_address(struct dnscheck *d, const char *host)
{
	return ctl_dns_ask(d->dns, host, RESOLVE_TYPE_A)->count > 0 ||
	    ctl_dns_ask(d->dns, host, RESOLVE_TYPE_AAAA)->count > 0;
}

static void
dane(struct dnscheck *d, const char *host, bool secure)
{
	const struct ctl_dns_answer *a;
	struct err e = { 0, "" };
	char *name = mem_printf("_25._tcp.%s", host);
	size_t i, bad = 0;

	a = ctl_dns_ask(d->dns, name, RESOLVE_TYPE_TLSA);
	free(name);
	for (i = 0; i < a->count; i++)
		bad += dns_record_tlsa(a->records[i], &e) < 0;
	if (a->count == 0 && a->status >= RESOLVE_FAILED)
		dnscheck_say(d, "dane", FINDING_WARNING, NULL,
		    "%s: DNS does not answer for TLSA, so that senders with "
		    "DANE wait: %s", host, a->why);
	else if (a->count == 0)
		dnscheck_say(d, "dane", FINDING_WARNING, NULL,
		    "%s has no TLSA record%s", host, secure ? "" :
		    ", and DNSSEC, which it needs, is missing");
	else if (!a->secure || !secure)
		dnscheck_say(d, "dane", FINDING_WARNING, NULL,
		    "%s: TLSA without DNSSEC counts for nothing", host);
	else if (bad > 0)
		dnscheck_say(d, "dane", FINDING_WARNING, NULL,
		    "%s: a TLSA record: %s", host, e.text);
	else
		dnscheck_say(d, "dane", FINDING_OK, NULL,
		    "%s has %zu TLSA record%s", host, a->count,
		    a->count > 1 ? "s" : "");
}

/* The number of hosts that can be reached; -1: the null MX. */
static int
mx_hosts(struct dnscheck *d, const struct ctl_dns_answer *mx)
{
	char host[256];
	int good = 0;
	size_t i;

	for (i = 0; i < mx->count; i++) {
		if (!ctl_dns_name(mx, i, RESOLVE_TYPE_MX, host))
			continue;
		if (host[0] == '\0')
			return -1;
		if (dnscheck_has_address(d, host)) {
			good++;
			dnscheck_say(d, "mx", FINDING_OK, NULL,
			    "%s takes its mail", host);
		} else {
			dnscheck_say(d, "mx", FINDING_WARNING, NULL,
			    "%s has no address", host);
		}
	}
	return good;
}

void
dnscheck_mx(struct dnscheck *d)
{
	const struct ctl_dns_answer *mx = ctl_dns_ask(d->dns, d->domain,
	    RESOLVE_TYPE_MX);
	char *publish = mem_printf("%s. MX 10 %s.", d->domain,
	    d->ctl->conf->hostname);
	char host[256];
	size_t i;
	int good;

	good = mx_hosts(d, mx);
	if (good < 0)
		dnscheck_say(d, "mx", FINDING_ERROR, publish, "a null MX: the "
		    "domain receives no mail, so no bounces either");
	else if (mx->count > 0 && good == 0)
		dnscheck_say(d, "mx", FINDING_ERROR, NULL,
		    "no MX host has an address: nobody can answer its mail");
	else if (mx->status >= RESOLVE_FAILED)
		dnscheck_say(d, "mx", FINDING_ERROR, NULL,
		    "DNS does not answer: %s", mx->why);
	else if (mx->count == 0 && dnscheck_has_address(d, d->domain))
		dnscheck_say(d, "mx", FINDING_WARNING, publish,
		    "no MX record: mail goes to the address of the domain");
	else if (mx->count == 0)
		dnscheck_say(d, "mx", FINDING_ERROR, publish, "%s: neither MX "
		    "nor address, so no way to receive mail",
		    mx->status == RESOLVE_NXDOMAIN ? "no such domain" :
		    "no record");
	for (i = 0; good > 0 && i < mx->count; i++)
		if (ctl_dns_name(mx, i, RESOLVE_TYPE_MX, host) &&
		    dnscheck_has_address(d, host))
			dane(d, host, mx->secure);
	free(publish);
}

/* ---- DKIM ---- */

/* What programs and providers call their keys; a domain may have others. */
static const char *const selectors[] = { "default", "dkim", "mail", "smtp",
    "mx", "key1", "s1", "s2", "selector1", "selector2", "google", "k1", "k2",
    "k3", "fm1", "fm2", "fm3", "protonmail", "protonmail2", "protonmail3",
    "sig1", "mxvault", "dk", "mandrill", "zoho", "rsa", "ed25519", "relay",
    NULL };

static bool
dkim_key(struct dnscheck *d, const char *selector)
{
	char *name = mem_printf("%s._domainkey.%s", selector, d->domain);
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0, "" };
	struct slice p;
	const char *why;
	bool found = dnscheck_texts(d, name, NULL, &text, &why) > 0 &&
	    (tag_list_claims(strbuf_slice(&text), "DKIM1") ||
	    tag_list_get(strbuf_slice(&text), "p", &p));

	if (found && dns_record_dkim(strbuf_slice(&text), &e) < 0)
		dnscheck_say(d, "dkim", FINDING_WARNING, NULL,
		    "selector `%s`: %s", selector, e.text);
	else if (found)
		dnscheck_say(d, "dkim", FINDING_OK, NULL,
		    "selector `%s`: a good key", selector);
	strbuf_free(&text);
	free(name);
	return found;
}

void
dnscheck_dkim(struct dnscheck *d)
{
	char *below = mem_printf("_domainkey.%s", d->domain);
	const struct ctl_dns_answer *a = ctl_dns_ask(d->dns, below,
	    RESOLVE_TYPE_TXT);
	bool found = false;
	size_t i;

	/* What does not exist has nothing below it (RFC 8020). */
	if (a->status != RESOLVE_NXDOMAIN)
		for (i = 0; selectors[i] != NULL; i++)
			found |= dkim_key(d, selectors[i]);
	if (!found && a->status == RESOLVE_NXDOMAIN)
		dnscheck_say(d, "dkim", FINDING_WARNING, NULL,
		    "no key: mail that is signed can be told from forged");
	else if (!found)
		dnscheck_say(d, "dkim", FINDING_WARNING, NULL,
		    "no key under a usual selector");
	free(below);
}

/* ---- DMARC ---- */

/* At the domain, else at one above it that still has a dot. */
static int
find_dmarc(struct dnscheck *d, struct strbuf *text, const char **where,
    const char **why)
{
	const char *at = d->domain;
	char *name;
	int n = 0;

	for (; at != NULL && strchr(at, '.') != NULL && n == 0;
	    at = strchr(at, '.') != NULL ? strchr(at, '.') + 1 : NULL) {
		name = mem_printf("_dmarc.%s", at);
		n = dnscheck_texts(d, name, "DMARC1", text, why);
		*where = at;
		free(name);
	}
	return n;
}

void
dnscheck_dmarc(struct dnscheck *d)
{
	char *publish = mem_printf("_dmarc.%s. TXT \"v=DMARC1; p=none; "
	    "rua=mailto:postmaster@%s\"", d->domain, d->domain);
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0, "" };
	const char *where = d->domain, *why = "";
	int n = find_dmarc(d, &text, &where, &why);

	if (n < 0)
		dnscheck_say(d, "dmarc", FINDING_WARNING, NULL,
		    "DNS does not answer: %s", why);
	else if (n == 0)
		dnscheck_say(d, "dmarc", FINDING_WARNING, publish,
		    "no record: large providers want one of their senders");
	else if (n > 1)
		dnscheck_say(d, "dmarc", FINDING_WARNING, NULL,
		    "_dmarc.%s has %d records: none of them counts", where, n);
	else if (dns_record_dmarc(strbuf_slice(&text), &e) < 0)
		dnscheck_say(d, "dmarc", FINDING_WARNING, publish,
		    "_dmarc.%s: %s", where, e.text);
	else
		dnscheck_say(d, "dmarc", FINDING_OK, NULL, "_dmarc.%s: %s",
		    where, text.p);
	strbuf_free(&text);
	free(publish);
}

/* ---- records of which there is one; TLSRPT ---- */

bool
dnscheck_one_record(struct dnscheck *d, const char *check, const char *label,
    const char *version, int (*syntax)(struct slice, struct err *),
    const char *propose)
{
	char *name = mem_printf("%s.%s", label, d->domain);
	char *publish = mem_printf("%s. TXT \"v=%s; %s\"", name, version,
	    propose);
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0, "" };
	const char *why;
	int n = dnscheck_texts(d, name, version, &text, &why);
	bool good = n == 1 && syntax(strbuf_slice(&text), &e) == 0;

	if (n < 0)
		dnscheck_say(d, check, FINDING_WARNING, NULL,
		    "DNS does not answer: %s", why);
	else if (n == 0)
		dnscheck_say(d, check, FINDING_WARNING, publish,
		    "no record at %s", name);
	else if (n > 1)
		dnscheck_say(d, check, FINDING_WARNING, NULL,
		    "%s has %d records: none of them counts", name, n);
	else if (!good)
		dnscheck_say(d, check, FINDING_WARNING, publish, "%s: %s",
		    name, e.text);
	else
		dnscheck_say(d, check, FINDING_OK, NULL, "%s: %s", name,
		    text.p);
	strbuf_free(&text);
	free(publish);
	free(name);
	return good;
}

void
dnscheck_tlsrpt(struct dnscheck *d)
{
	char *rua = mem_printf("rua=mailto:postmaster@%s", d->domain);

	(void)dnscheck_one_record(d, "tlsrpt", "_smtp._tls",
	    "TLSRPTv1", dns_record_tlsrpt, rua);
	free(rua);
}

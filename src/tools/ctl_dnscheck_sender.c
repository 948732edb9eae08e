/*
 * relayctl dnscheck: what receivers ask about an address that mail leaves
 * from: SPF of the domain and of the HELO name, and its own name.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "tools/ctl_dns_record.h"
#include "tools/ctl_dnscheck.h"

/* Lookups from which on the next include breaks the record. */
#define LOOKUPS_MANY 9

static struct spf *
check_of(struct dnscheck *d, const struct leaving *l, const char *from)
{
	struct spf_ask ask = { .from = from, .helo = l->helo,
	    .ip = l->ip, .receiver = d->ctl->conf->hostname,
	    .now = (uint64_t)time(NULL) };

	return spf_new(&ask);
}

/* ---- SPF of the domain ---- */

/* Judged once for an address, whatever its names are. */
static bool
first_of_address(const struct dnscheck *d, size_t i)
{
	size_t j;

	for (j = 0; j < i; j++)
		if (strcmp(d->leaving[j].text, d->leaving[i].text) == 0)
			return false;
	return true;
}

/* " ip4:192.0.2.1 ip6:2001:db8::1", of those that do not pass. */
static void
missing_terms(struct dnscheck *d, struct strbuf *out)
{
	const struct leaving *l;
	struct spf *s;
	size_t i;

	for (i = 0; i < d->n_leaving; i++) {
		if (!first_of_address(d, i))
			continue;
		l = &d->leaving[i];
		s = check_of(d, l, d->domain);
		if (ctl_spf_judge(d->dns, s)->result != SPF_PASS)
			strbuf_printf(out, " %s:%s", l->ip.family == AF_INET ?
			    "ip4" : "ip6", l->text);
		spf_free(&s);
	}
}

static void
proposal(struct dnscheck *d, struct slice record, struct strbuf *out)
{
	struct strbuf terms = STRBUF_INIT;

	missing_terms(d, &terms);
	strbuf_printf(out, "%s. TXT \"", d->domain);
	if (record.n == 0) {
		dns_record_spf_with(record, strbuf_cstr(&terms), out);
	} else {
		struct strbuf whole = STRBUF_INIT;

		dns_record_spf_with(record, strbuf_cstr(&terms), &whole);
		strbuf_add_slice(out, strbuf_slice(&whole));
		strbuf_free(&whole);
	}
	strbuf_putc(out, '"');
	strbuf_free(&terms);
}

/* The domain's own, whatever it redirects to. */
static void
own_record(struct dnscheck *d, struct strbuf *out)
{
	const struct ctl_dns_answer *a = ctl_dns_ask(d->dns, d->domain,
	    RESOLVE_TYPE_TXT);
	size_t i;

	for (i = 0; i < a->count; i++) {
		strbuf_clear(out);
		if (ctl_dns_text(a, i, out) &&
		    spf_is_record(strbuf_slice(out)))
			return;
	}
	strbuf_clear(out);
}

/* The record itself, whatever it says of an address. */
static void
survey(struct dnscheck *d)
{
	struct spf_ask ask = { .from = d->domain, .helo = d->domain,
	    .ip = { .family = AF_INET }, .survey = true };
	struct spf *s = spf_new(&ask);
	const struct spf_verdict *v = ctl_spf_judge(d->dns, s);

	if (v->result == SPF_PERMERROR)
		dnscheck_say(d, "spf", FINDING_ERROR, NULL,
		    "the record is wrong: %s", v->problem);
	else if (v->result == SPF_TEMPERROR)
		dnscheck_say(d, "spf", FINDING_WARNING, NULL,
		    "DNS does not answer: %s", v->problem);
	else if (v->result != SPF_NONE && v->lookups > SPF_LOOKUPS_MAX)
		dnscheck_say(d, "spf", FINDING_ERROR, NULL, "the record needs "
		    "%u lookups, more than %d: receivers take it as wrong",
		    v->lookups, SPF_LOOKUPS_MAX);
	else if (v->result != SPF_NONE && v->lookups >= LOOKUPS_MANY)
		dnscheck_say(d, "spf", FINDING_WARNING, NULL, "the record "
		    "needs %u lookups of %d", v->lookups, SPF_LOOKUPS_MAX);
	else if (v->result != SPF_NONE)
		dnscheck_say(d, "spf", FINDING_OK, NULL, "%s needs %u lookups "
		    "of %d", v->record, v->lookups, SPF_LOOKUPS_MAX);
	else if (d->n_leaving == 0)
		dnscheck_say(d, "spf", FINDING_WARNING, NULL,
		    "no SPF record: it names the servers that may send for "
		    "the domain");
	spf_free(&s);
}

static void
judge(struct dnscheck *d, const struct leaving *l, struct slice record)
{
	struct spf *s = check_of(d, l, d->domain);
	const struct spf_verdict *v = ctl_spf_judge(d->dns, s);
	struct strbuf publish = STRBUF_INIT;
	const char *why = v->explanation != NULL ? v->explanation :
	    v->problem;

	if (v->result == SPF_PASS) {
		dnscheck_say(d, "spf", FINDING_OK, NULL, "%s (%s): pass by "
		    "`%s`, %u lookups", l->text, l->kind, v->mechanism,
		    v->lookups);
	} else {
		if (v->result != SPF_TEMPERROR && v->result != SPF_PERMERROR)
			proposal(d, record, &publish);
		dnscheck_say(d, "spf", FINDING_ERROR,
		    publish.n > 0 ? publish.p : NULL,
		    "%s (%s): %s%s%s%s%s%s", l->text, l->kind,
		    spf_result_name(v->result),
		    v->mechanism != NULL ? " by `" : "",
		    v->mechanism != NULL ? v->mechanism : "",
		    v->mechanism != NULL ? "`" : "", why != NULL ? ": " : "",
		    why != NULL ? why : "");
	}
	strbuf_free(&publish);
	spf_free(&s);
}

void
dnscheck_spf(struct dnscheck *d)
{
	struct strbuf record = STRBUF_INIT;
	size_t i;

	own_record(d, &record);
	survey(d);
	for (i = 0; i < d->n_leaving; i++)
		if (first_of_address(d, i))
			judge(d, &d->leaving[i], strbuf_slice(&record));
	strbuf_free(&record);
}

/* ---- SPF of the HELO name ---- */

void
dnscheck_helo(struct dnscheck *d)
{
	const struct spf_verdict *v;
	const struct leaving *l;
	struct strbuf publish = STRBUF_INIT;
	struct spf *s;

	for (l = d->leaving; l < d->leaving + d->n_leaving; l++) {
		s = check_of(d, l, "");
		v = ctl_spf_judge(d->dns, s);
		strbuf_clear(&publish);
		strbuf_printf(&publish, "%s. TXT \"v=spf1 a -all\"", l->helo);
		if (v->result == SPF_PASS)
			dnscheck_say(d, "spf-helo", FINDING_OK, NULL,
			    "%s from %s: pass", l->helo, l->text);
		else if (v->result == SPF_NONE)
			dnscheck_say(d, "spf-helo", FINDING_WARNING,
			    publish.p, "%s has no SPF record: reports, which "
			    "have no sender, are judged by it", l->helo);
		else
			dnscheck_say(d, "spf-helo", v->result == SPF_FAIL ?
			    FINDING_ERROR : FINDING_WARNING, NULL,
			    "%s from %s: %s%s%s", l->helo, l->text,
			    spf_result_name(v->result),
			    v->problem != NULL ? ": " : "",
			    v->problem != NULL ? v->problem : "");
		spf_free(&s);
	}
	strbuf_free(&publish);
}

/* ---- PTR ---- */

static void
reverse_name(const struct mail_literal *ip, struct strbuf *out)
{
	int i;

	if (ip->family == AF_INET) {
		strbuf_printf(out, "%u.%u.%u.%u.in-addr.arpa", ip->addr[3],
		    ip->addr[2], ip->addr[1], ip->addr[0]);
		return;
	}
	for (i = 15; i >= 0; i--)
		strbuf_printf(out, "%x.%x.", ip->addr[i] & 15u,
		    ip->addr[i] >> 4);
	strbuf_puts(out, "ip6.arpa");
}

static bool
leads_to(struct dnscheck *d, const char *name, const struct mail_literal *ip)
{
	bool v4 = ip->family == AF_INET;
	const struct ctl_dns_answer *a = ctl_dns_ask(d->dns, name,
	    v4 ? RESOLVE_TYPE_A : RESOLVE_TYPE_AAAA);
	size_t i, n = v4 ? 4 : 16;

	for (i = 0; i < a->count; i++)
		if (a->records[i].n == n &&
		    memcmp(a->records[i].p, ip->addr, n) == 0)
			return true;
	return false;
}

/* Names of the address; those that lead back. */
struct backward {
	char first[256], good[256];
	bool same;			/* one of them is the HELO name */
};

static void
look_back(struct dnscheck *d, const struct leaving *l,
    const struct ctl_dns_answer *a, struct backward *b)
{
	char name[256];
	size_t i;

	memset(b, 0, sizeof(*b));
	for (i = 0; i < a->count && i < 10; i++) {
		if (!ctl_dns_name(a, i, RESOLVE_TYPE_PTR, name))
			continue;
		if (b->first[0] == '\0')
			strcpy(b->first, name);
		if (!leads_to(d, name, &l->ip))
			continue;
		if (b->good[0] == '\0')
			strcpy(b->good, name);
		b->same |= strcasecmp(name, l->helo) == 0;
	}
}

static void
say_ptr(struct dnscheck *d, const struct leaving *l, const char *reverse,
    const struct ctl_dns_answer *a)
{
	char publish[700];
	struct backward b;

	look_back(d, l, a, &b);
	snprintf(publish, sizeof(publish), "%s. PTR %s.", reverse, l->helo);
	if (a->count == 0) {
		dnscheck_say(d, "ptr", FINDING_ERROR, publish,
		    "%s has no name%s%s: many refuse its mail", l->text,
		    a->status == RESOLVE_FAILED ? " now: " : "",
		    a->status == RESOLVE_FAILED ? a->why : "");
	} else if (b.good[0] == '\0') {
		snprintf(publish, sizeof(publish), "%s. %s %s", b.first,
		    l->ip.family == AF_INET ? "A" : "AAAA", l->text);
		dnscheck_say(d, "ptr", FINDING_ERROR, b.first[0] != '\0' ?
		    publish : NULL, "%s is %s, which does not lead back to it",
		    l->text, b.first);
	} else if (!b.same) {
		dnscheck_say(d, "ptr", FINDING_WARNING, publish, "%s is %s, "
		    "but says EHLO %s", l->text, b.good, l->helo);
	} else {
		dnscheck_say(d, "ptr", FINDING_OK, NULL,
		    "%s is %s, and back", l->text, l->helo);
	}
}

void
dnscheck_ptr(struct dnscheck *d)
{
	struct strbuf reverse = STRBUF_INIT;
	size_t i;

	for (i = 0; i < d->n_leaving; i++) {
		strbuf_clear(&reverse);
		reverse_name(&d->leaving[i].ip, &reverse);
		say_ptr(d, &d->leaving[i], reverse.p, ctl_dns_ask(d->dns,
		    reverse.p, RESOLVE_TYPE_PTR));
	}
	strbuf_free(&reverse);
}

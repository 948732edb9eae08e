/*
 * relayctl dnscheck: the MTA-STS record of a domain, and its policy, fetched
 * as a sender would and held against the domain's mail exchangers.
 *
 * What cannot be fetched from here may be there for others: that is a warning
 * with the reason.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"
#include "conf/facts.h"
#include "io/policy_fetch.h"
#include "mail/mta_sts.h"
#include "tools/ctl_dns_record.h"
#include "tools/ctl_dnscheck.h"

#define FETCH_MS 10000u
#define CA_MAX (8u << 20)
#define AGE_SHORT (24u * 3600)		/* seconds */

struct dnscheck_policy {
	struct http_client *http;
	struct strbuf ca;		/* PEM */
	struct policy_fetch *fetch;
	enum policy_result result;
	struct strbuf text;		/* the policy, or why there is none */
};

/* ---- fetching ---- */

static void
on_policy(void *arg, const struct policy_answer *a)
{
	struct dnscheck_policy *p = arg;

	p->fetch = NULL;
	p->result = a->result;
	if (a->result == POLICY_FETCHED)
		strbuf_add_slice(&p->text, a->text);
	else
		strbuf_puts(&p->text, a->why);
}

/* As delivery has them; none: nobody is trusted. */
static void
read_anchors(const struct ctl *c, struct strbuf *out)
{
	struct conf_arena *arena;
	struct conf_facts facts;
	struct err e = { 0, "" };

	if (c->conf->tls_ca != NULL) {
		if (fs_read_file(c->conf->tls_ca, CA_MAX, out, &e) < 0)
			ctl_error(CTL_CONFIG, "%s", e.text);
		return;
	}
	arena = conf_arena_new();
	memset(&facts, 0, sizeof(facts));
	conf_facts_network(c->tree, arena, &facts);
	strbuf_puts(out, facts.tls_ca != NULL ? facts.tls_ca : "");
	conf_arena_free(&arena);
}

static bool
has_record(struct dnscheck *d)
{
	char *name = mem_printf("_mta-sts.%s", d->domain);
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0, "" };
	const char *why;
	bool good = dnscheck_texts(d, name, "STSv1", &text, &why) == 1 &&
	    dns_record_mta_sts(strbuf_slice(&text), &e) == 0;

	strbuf_free(&text);
	free(name);
	return good;
}

struct dnscheck_policy *
dnscheck_policy_start(struct dnscheck *d)
{
	struct dnscheck_policy *p;
	struct err e = { 0, "" };

	if (!has_record(d))
		return NULL;
	p = mem_zalloc(sizeof(*p));
	p->http = http_client_new(ctl_dns_loop(d->dns), &e);
	if (p->http == NULL) {
		p->result = POLICY_UNREACHABLE;
		strbuf_puts(&p->text, e.text);
		return p;
	}
	read_anchors(d->ctl, &p->ca);
	http_client_resolver(p->http, ctl_dns_resolver(d->dns));
	http_client_trust(p->http, strbuf_slice(&p->ca));
	p->fetch = policy_fetch_start(ctl_dns_loop(d->dns), p->http,
	    d->domain, FETCH_MS, on_policy, p);
	return p;
}

/* ---- judging ---- */

static void
say_exchangers(struct dnscheck *d, const struct mta_sts_policy *p)
{
	const struct ctl_dns_answer *mx = ctl_dns_ask(d->dns, d->domain,
	    RESOLVE_TYPE_MX);
	char host[256];
	size_t i;

	for (i = 0; i < mx->count; i++) {
		if (!ctl_dns_name(mx, i, RESOLVE_TYPE_MX, host) ||
		    host[0] == '\0' || mta_sts_covers(p, host))
			continue;
		dnscheck_say(d, "mta-sts", FINDING_WARNING, NULL,
		    "the policy does not list %s%s", host,
		    p->mode == MTA_STS_ENFORCE ? ": senders with MTA-STS do "
		    "not deliver there" : "");
	}
	if (mx->count == 0 && !mta_sts_covers(p, d->domain))
		dnscheck_say(d, "mta-sts", FINDING_WARNING, NULL,
		    "the policy does not list %s, which takes its mail without "
		    "an MX record", d->domain);
}

static void
say_policy(struct dnscheck *d, const struct mta_sts_policy *p)
{
	static const char *const means[] = { "senders demand nothing",
	    "senders only report what they would not deliver",
	    "senders insist on TLS with a good certificate" };
	char age[32];

	num_duration_text((uint64_t)p->max_age * 1000, age, sizeof(age));
	dnscheck_say(d, "mta-sts", p->mode == MTA_STS_NONE ? FINDING_WARNING :
	    FINDING_OK, NULL, "a policy, mode %s (%s), for %s",
	    mta_sts_mode_name(p->mode), means[p->mode], age);
	if (p->mode == MTA_STS_NONE)
		return;
	if (p->max_age < AGE_SHORT)
		dnscheck_say(d, "mta-sts", FINDING_WARNING, NULL,
		    "max_age of %s is short: whoever can hide the policy for "
		    "so long has done away with it; weeks are usual", age);
	say_exchangers(d, p);
}

static void
say_fetched(struct dnscheck *d, const struct dnscheck_policy *f)
{
	static const char *const what[] = {
		[POLICY_UNREACHABLE] = "cannot be fetched from here",
		[POLICY_UNTRUSTED] = "does not count, as its web server's "
		    "certificate is not good",
		[POLICY_WRONG] = "does not count"
	};
	struct mta_sts_policy p;
	struct err e = { 0, "" };

	if (f->result != POLICY_FETCHED) {
		dnscheck_say(d, "mta-sts", FINDING_WARNING, NULL,
		    "https://mta-sts.%s/.well-known/mta-sts.txt %s: %s",
		    d->domain, what[f->result], strbuf_cstr(&f->text));
	} else if (mta_sts_policy_parse(strbuf_slice(&f->text), &p, &e) < 0) {
		dnscheck_say(d, "mta-sts", FINDING_WARNING, NULL,
		    "https://mta-sts.%s/.well-known/mta-sts.txt is no policy: "
		    "%s", d->domain, e.text);
	} else {
		say_policy(d, &p);
		mta_sts_policy_clear(&p);
	}
}

void
dnscheck_mta_sts(struct dnscheck *d, struct dnscheck_policy **pp)
{
	struct dnscheck_policy *p = *pp;
	char *host = mem_printf("mta-sts.%s", d->domain);

	*pp = NULL;
	while (p != NULL && p->fetch != NULL)
		loop_turn(ctl_dns_loop(d->dns), true);
	(void)dnscheck_one_record(d, "mta-sts", "_mta-sts", "STSv1",
	    dns_record_mta_sts, "id=1");
	if (p != NULL && !dnscheck_has_address(d, host))
		dnscheck_say(d, "mta-sts", FINDING_WARNING, NULL,
		    "%s, where the policy is fetched from, has no address",
		    host);
	else if (p != NULL)
		say_fetched(d, p);
	free(host);
	if (p != NULL) {
		http_client_free(&p->http);
		strbuf_free(&p->text);
		strbuf_free(&p->ca);
		free(p);
	}
}

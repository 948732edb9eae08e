/*
 * Mail exchangers and policy of a domain, looked up side by side.  Run by
 * delivery, when queue asks.
 *
 * Where DNS has no mail exchanger to offer nobody waits for a policy.  Where
 * there is one, enforced, and it covers none of them, mail waits: the answer
 * is temporary, so that both are asked for again at the next attempt (RFC 8461
 * 5.1).
 */
#include "delivery/next_hop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delivery/site_name.h"
#include "delivery/sts.h"

#define TEXT_MAX 480

struct next_hop {
	struct mx_lookup *mx;
	struct sts *sts;
	char *domain;
	bool found;			/* DNS has answered: */
	bool secure;			/* and was signed */
	struct msg_site answer;		/* its texts are owned */
	bool bound;			/* a policy is in force: */
	struct mta_sts_policy policy;
	uint64_t lasts_ms;
	next_hop_cb *cb;
	void *arg;
};

static void
next_hop_free(struct next_hop *n)
{
	mx_cancel(&n->mx);
	sts_cancel(&n->sts);
	msg_site_clear(&n->answer);
	mta_sts_policy_clear(&n->policy);
	free(n->domain);
	free(n);
}

void
next_hop_cancel(struct next_hop **np)
{
	if (*np != NULL)
		next_hop_free(*np);
	*np = NULL;
}

static void
finish(struct next_hop *n)
{
	n->cb(n->arg, &n->answer);
	next_hop_free(n);
}

/* ---- the policy ---- */

static void
refuse(struct next_hop *n)
{
	struct msg_site *a = &n->answer;

	a->result = SITE_LATER;
	a->code = 450;
	a->status[0] = 4;
	a->status[1] = 7;
	a->status[2] = 5;
	a->text = mem_printf("MTA-STS: the policy of %s (enforce) lists none "
	    "of its mail exchangers (%.*s): its postmaster has to see to it",
	    n->domain, TEXT_MAX / 2, a->site);
	free(a->site);
	a->site = NULL;
}

static void
apply(struct next_hop *n)
{
	struct msg_site *a = &n->answer;
	struct strbuf site = STRBUF_INIT;

	if (n->lasts_ms / 1000 < a->ttl)
		a->ttl = (uint32_t)(n->lasts_ms / 1000) + 1;
	if (site_name_mark(a->site, &n->policy, n->secure, &site)) {
		free(a->site);
		a->site = mem_strdup(strbuf_cstr(&site));
	} else {
		refuse(n);
	}
	strbuf_free(&site);
}

static void
both(struct next_hop *n)
{
	if (!n->found || n->sts != NULL)
		return;
	if (n->bound)
		apply(n);
	finish(n);
}

static void
on_policy(void *arg, const struct sts_answer *a)
{
	struct next_hop *n = arg;

	n->sts = NULL;
	if (a->note != NULL)
		n->answer.policy = mem_strdup(a->note);
	if (a->policy != NULL) {
		n->bound = true;
		n->lasts_ms = a->lasts_ms;
		n->policy = *a->policy;
		memset(a->policy, 0, sizeof(*a->policy));
	}
	both(n);
}

/* ---- mail exchangers ---- */

static void
on_mx(void *arg, const struct msg_site *answer, bool secure)
{
	struct next_hop *n = arg;
	char *note = n->answer.policy;

	n->mx = NULL;
	n->found = true;
	n->secure = secure;
	n->answer = *answer;
	n->answer.policy = note;
	if (answer->site != NULL)
		n->answer.site = mem_strdup(answer->site);
	if (answer->text != NULL)
		n->answer.text = mem_strdup(answer->text);
	if (answer->result == SITE_FOUND)
		both(n);
	else
		finish(n);
}

struct next_hop *
next_hop_start(const struct next_hop_options *o, next_hop_cb *cb, void *arg)
{
	struct next_hop *n = mem_zalloc(sizeof(*n));
	struct sts_options sts = {
		.loop = o->mx.loop,
		.resolver = o->mx.resolver,
		.http = o->http,
		.domain = o->mx.domain,
		.note = o->note
	};

	n->cb = cb;
	n->arg = arg;
	n->domain = mem_strdup(o->mx.domain);
	n->mx = mx_start(&o->mx, on_mx, n);
	if (sts_wanted(o->transport, o->mx.domain))
		n->sts = sts_start(&sts, on_policy, n);
	return n;
}

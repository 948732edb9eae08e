/* Names to addresses and mail exchangers.
 *
 * delivery and auth.  A query asks memory first (literals, localhost, hosts)
 * and then DNS, once or once for each family, within one time limit.  All
 * callbacks come from the loop.  What fails for now (no answer, SERVFAIL,
 * bogus) is told apart from what is so: no such name, no such record.
 * RFC 5321 5.1, RFC 6761 6.3 (localhost), RFC 7505 (null MX). */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/strbuf.h"
#include "io/resolve.h"
#include "io/resolve_private.h"
#include "io/sockaddr.h"

#define DEFAULT_MS	30000
/* More than anyone has; what a hostile zone may cost us. */
#define ANSWERS_MAX	64
#define RECORDS_MAX	512

struct resolver {
	struct loop *loop;
	struct hosts *hosts;
	struct dns *dns;
	TAILQ_HEAD(resolve_queries, resolve_query) queries;
};

/* One question to DNS; a query has one or two. */
struct part {
	struct resolve_query *query;
	struct dns_call *call;		/* NULL: answered or not asked */
	enum dns_type type;
	bool asked;
	bool secure;
	enum resolve_status status;
	struct err why;
};

struct resolve_query {
	TAILQ_ENTRY(resolve_query) link;
	struct resolver *resolver;
	char *name;
	struct loop_task done;
	struct loop_task reap;
	struct loop_timer timer;
	struct part part[2];
	bool raw;			/* records as they are */
	struct slice *records;
	struct sockaddr_storage *addrs;
	struct resolve_mx *mx;
	struct resolve_answer answer;
	char *canonical;
	resolve_cb *cb;
	void *arg;
};

/* ---- the end of a query ---- */

static void
on_reap(void *arg)
{
	struct resolve_query *q = arg;
	size_t i;

	for (i = 0; q->mx != NULL && i < q->answer.count; i++)
		free((void *)(uintptr_t)q->mx[i].name);
	for (i = 0; q->records != NULL && i < q->answer.count; i++)
		free((void *)(uintptr_t)q->records[i].p);
	free(q->mx);
	free(q->records);
	free(q->addrs);
	free(q->canonical);
	free(q->name);
	free(q);
}

static void
query_gone(struct resolve_query *q)
{
	struct resolver *r = q->resolver;

	dns_cancel(&q->part[0].call);
	dns_cancel(&q->part[1].call);
	loop_timer_cancel(r->loop, &q->timer);
	loop_task_cancel(r->loop, &q->done);
	TAILQ_REMOVE(&r->queries, q, link);
	loop_reap(r->loop, &q->reap);
}

static void
on_done(void *arg)
{
	struct resolve_query *q = arg;

	q->answer.addrs = q->addrs;
	q->answer.mx = q->mx;
	q->answer.records = q->records;
	q->answer.canonical = q->canonical;
	query_gone(q);
	q->cb(q->arg, &q->answer);
}

static void
set_status(struct resolve_query *q, enum resolve_status status,
    const char *why)
{
	q->answer.status = status;
	if (status != RESOLVE_OK)
		err_set(&q->answer.why, status == RESOLVE_NXDOMAIN ||
		    status == RESOLVE_NODATA ? ENOENT : EAGAIN, "%s: %s",
		    q->name, why);
}

static void
on_timer(void *arg)
{
	struct resolve_query *q = arg;

	if (q->answer.count > 0)	/* one family is better than none */
		q->answer.status = RESOLVE_OK;
	else
		set_status(q, RESOLVE_FAILED, "no answer from DNS in time");
	on_done(q);
}

/* The graver of two failures decides: with one family unknown, "no such
 * address" may not be concluded from the other. */
static void
settle(struct resolve_query *q)
{
	static const int grave[] = {
		[RESOLVE_OK] = 0, [RESOLVE_NXDOMAIN] = 1, [RESOLVE_NODATA] = 2,
		[RESOLVE_FAILED] = 3, [RESOLVE_BOGUS] = 4,
	};
	struct part *worst = NULL, *p;
	size_t i;

	if (q->part[0].call != NULL || q->part[1].call != NULL)
		return;
	q->answer.secure = true;
	for (i = 0; i < 2; i++) {
		p = &q->part[i];
		if (!p->asked)
			continue;
		if (worst == NULL || grave[p->status] > grave[worst->status])
			worst = p;
		/* What was used must be validated, a denial in all parts. */
		if (!p->secure &&
		    (p->status == RESOLVE_OK || q->answer.count == 0))
			q->answer.secure = false;
	}
	if (q->answer.count > 0 || worst == NULL)
		q->answer.status = RESOLVE_OK;
	else
		set_status(q, worst->status, worst->why.text);
	loop_defer(q->resolver->loop, &q->done);
}

/* ---- answers from DNS ---- */

static void
add_addr(struct resolve_query *q, const struct sockaddr_storage *sa)
{
	struct sockaddr_storage *place;

	if (q->answer.count >= ANSWERS_MAX)
		return;
	place = mem_push(&q->addrs, &q->answer.count, sizeof(*place));
	*place = *sa;
}

static void
take_address(struct resolve_query *q, enum dns_type type, const char *p,
    int len)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)(void *)&sa;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)(void *)&sa;

	if (type == DNS_A && len == 4) {
		sin->sin_family = AF_INET;
		memcpy(&sin->sin_addr, p, 4);
	} else if (type == DNS_AAAA && len == 16) {
		sin6->sin6_family = AF_INET6;
		memcpy(&sin6->sin6_addr, p, 16);
	} else
		return;
	add_addr(q, &sa);
}

static void
take_mx(struct resolve_query *q, const char *p, int len)
{
	const uint8_t *u = (const uint8_t *)p;
	struct resolve_mx *mx;
	char name[256];

	if (len < 3 || q->answer.count >= ANSWERS_MAX ||
	    dns_name_text(u + 2, (size_t)len - 2, name) < 0)
		return;
	mx = mem_push(&q->mx, &q->answer.count, sizeof(*mx));
	mx->preference = (uint16_t)(u[0] << 8 | u[1]);
	mx->name = mem_strdup(name);
}

static void
take_record(struct resolve_query *q, const char *p, int len)
{
	struct slice *s;

	if (len < 0 || q->answer.count >= RECORDS_MAX)
		return;
	s = mem_push(&q->records, &q->answer.count, sizeof(*s));
	*s = slice_of(mem_dup(p, (size_t)len), (size_t)len);
}

/* Equals in random order: shuffled, then sorted in a way that keeps it. */
static void
sort_mx(struct resolve_query *q)
{
	struct resolve_mx t;
	size_t i, j;

	for (i = q->answer.count; i > 1; i--) {
		j = (size_t)rand_below(i);
		t = q->mx[i - 1];
		q->mx[i - 1] = q->mx[j];
		q->mx[j] = t;
	}
	for (i = 1; i < q->answer.count; i++)
		for (j = i; j > 0 && q->mx[j - 1].preference >
		    q->mx[j].preference; j--) {
			t = q->mx[j];
			q->mx[j] = q->mx[j - 1];
			q->mx[j - 1] = t;
		}
}

static void
take_canonical(struct resolve_query *q, const char *name)
{
	size_t n;

	if (name == NULL || q->canonical != NULL)
		return;
	n = strlen(name);
	if (n > 0 && name[n - 1] == '.')
		n--;
	q->canonical = mem_strndup(name, n);
}

static void
take_ok(struct resolve_query *q, struct part *p, const struct dns_reply *r)
{
	size_t before = q->answer.count, i;

	for (i = 0; r->data[i] != NULL; i++) {
		if (q->raw)
			take_record(q, r->data[i], r->len[i]);
		else if (p->type == DNS_MX)
			take_mx(q, r->data[i], r->len[i]);
		else
			take_address(q, p->type, r->data[i], r->len[i]);
	}
	if (q->answer.count == before) {
		p->status = RESOLVE_FAILED;
		err_set(&p->why, EPROTO, "records that cannot be used");
		return;
	}
	if (before == 0 || r->ttl < q->answer.ttl)
		q->answer.ttl = r->ttl;
	take_canonical(q, r->canonical);
	if (q->mx != NULL)
		sort_mx(q);
}

/* IPv6 first, whichever family was answered first. */
static void
order_families(struct resolve_query *q)
{
	struct sockaddr_storage t;
	size_t i, j;

	for (i = 1; i < q->answer.count; i++)
		for (j = i; j > 0 && q->addrs[j].ss_family == AF_INET6 &&
		    q->addrs[j - 1].ss_family == AF_INET; j--) {
			t = q->addrs[j];
			q->addrs[j] = q->addrs[j - 1];
			q->addrs[j - 1] = t;
		}
}

static void
on_reply(void *arg, const struct dns_reply *r)
{
	struct part *p = arg;
	struct resolve_query *q = p->query;

	p->call = NULL;
	p->status = r->status;
	p->secure = r->secure;
	err_set(&p->why, EAGAIN, "%s", r->why);
	if (r->status == RESOLVE_OK)
		take_ok(q, p, r);
	if (q->addrs != NULL)
		order_families(q);
	settle(q);
}

static void
ask(struct resolve_query *q, size_t i, enum dns_type type)
{
	struct part *p = &q->part[i];
	struct err e;

	p->query = q;
	p->type = type;
	p->asked = true;
	p->call = dns_ask(q->resolver->dns, q->name, type, on_reply, p, &e);
	if (p->call == NULL) {
		p->status = RESOLVE_FAILED;
		p->why = e;
	}
}

/* ---- asking ---- */

static struct resolve_query *
query_new(struct resolver *r, const char *name, uint64_t ms, resolve_cb *cb,
    void *arg)
{
	struct resolve_query *q = mem_zalloc(sizeof(*q));
	char *p;

	q->resolver = r;
	q->name = mem_strdup(name);
	if (q->name[0] != '\0' && q->name[strlen(q->name) - 1] == '.')
		q->name[strlen(q->name) - 1] = '\0';
	for (p = q->name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	q->cb = cb;
	q->arg = arg;
	loop_task_init(&q->done, on_done, q);
	loop_task_init(&q->reap, on_reap, q);
	loop_timer_init(&q->timer, on_timer, q);
	loop_timer_set(r->loop, &q->timer, ms > 0 ? ms : DEFAULT_MS);
	TAILQ_INSERT_TAIL(&r->queries, q, link);
	return q;
}

static bool
name_ok(const char *name)
{
	size_t n = strlen(name), label = 0;

	if (n == 0 || n > 253)
		return false;
	for (; *name != '\0'; name++) {
		if (*name == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)*name) && *name != '-' &&
		    *name != '_')
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0;
}

static void
add_wanted(struct resolve_query *q, const struct sockaddr_storage *sa,
    unsigned flags)
{
	if (flags & (sa->ss_family == AF_INET ? RESOLVE_V4 : RESOLVE_V6))
		add_addr(q, sa);
}

/* True when the answer is known without DNS. */
static bool
from_memory(struct resolve_query *q, unsigned flags)
{
	const struct hosts_entry *h = NULL;
	struct sockaddr_storage sa;
	struct slice name = slice_cstr(q->name);
	size_t i;

	if (sockaddr_from_ip(name, 0, &sa)) {
		add_wanted(q, &sa, flags);
	} else if (slice_eq_cstr(name, "localhost") ||
	    slice_ends_case(name, SLICE_LIT(".localhost"))) {
		sockaddr_from_ip(SLICE_LIT("::1"), 0, &sa);
		add_wanted(q, &sa, flags);
		sockaddr_from_ip(SLICE_LIT("127.0.0.1"), 0, &sa);
		add_wanted(q, &sa, flags);
	} else {
		if (!(flags & RESOLVE_NO_HOSTS))
			h = hosts_find(q->resolver->hosts, q->name);
		if (h == NULL)
			return false;
		for (i = 0; i < h->count; i++)
			add_wanted(q, &h->addrs[i], flags);
		order_families(q);
	}
	if (q->answer.count == 0)
		set_status(q, RESOLVE_NODATA, "no address of this family");
	return true;
}

struct resolve_query *
resolve_host(struct resolver *r, const char *name, unsigned flags,
    uint64_t ms, resolve_cb *cb, void *arg)
{
	struct resolve_query *q = query_new(r, name, ms, cb, arg);

	if (from_memory(q, flags)) {
		loop_defer(r->loop, &q->done);
		return q;
	}
	if (!name_ok(q->name)) {
		set_status(q, RESOLVE_NXDOMAIN, "not a host name");
		loop_defer(r->loop, &q->done);
		return q;
	}
	if (flags & RESOLVE_V6)
		ask(q, 0, DNS_AAAA);
	if (flags & RESOLVE_V4)
		ask(q, 1, DNS_A);
	settle(q);
	return q;
}

struct resolve_query *
resolve_mx(struct resolver *r, const char *domain, uint64_t ms,
    resolve_cb *cb, void *arg)
{
	struct resolve_query *q = query_new(r, domain, ms, cb, arg);

	if (!name_ok(q->name)) {
		set_status(q, RESOLVE_NXDOMAIN, "not a domain name");
		loop_defer(r->loop, &q->done);
		return q;
	}
	ask(q, 0, DNS_MX);
	settle(q);
	return q;
}

/* As zone files have it: octets that no host name holds are escaped. */
static bool
escape_name(const char *name, struct strbuf *out)
{
	size_t label = 0, all = strlen(name);

	if (all == 0 || all > 253)
		return false;
	for (; *name != '\0'; name++) {
		label = *name == '.' ? 0 : label + 1;
		if (label > 63 || (*name == '.' && name[1] == '.'))
			return false;
		if (isalnum((unsigned char)*name) || *name == '.' ||
		    *name == '-' || *name == '_')
			strbuf_putc(out, *name);
		else
			strbuf_printf(out, "\\%03u", (unsigned char)*name);
	}
	return true;
}

struct resolve_query *
resolve_records(struct resolver *r, const char *name, unsigned type,
    uint64_t ms, resolve_cb *cb, void *arg)
{
	struct resolve_query *q = query_new(r, name, ms, cb, arg);
	struct strbuf escaped = STRBUF_INIT;

	q->raw = true;
	if (q->name[0] == '.' || !escape_name(q->name, &escaped)) {
		set_status(q, RESOLVE_NXDOMAIN, "not a domain name");
		loop_defer(r->loop, &q->done);
	} else {
		free(q->name);
		q->name = strbuf_take(&escaped);
		ask(q, 0, (enum dns_type)type);
		settle(q);
	}
	strbuf_free(&escaped);
	return q;
}

void
resolve_cancel(struct resolve_query **qp)
{
	struct resolve_query *q = *qp;

	if (q == NULL)
		return;
	*qp = NULL;
	query_gone(q);
}

/* ---- the resolver ---- */

struct resolver *
resolver_new(struct loop *l, const struct resolver_options *o, struct err *e)
{
	struct resolver *r;
	struct dns *dns = dns_new(l, o, e);

	if (dns == NULL)
		return NULL;
	r = mem_zalloc(sizeof(*r));
	r->loop = l;
	r->dns = dns;
	r->hosts = hosts_new(o->hosts);
	TAILQ_INIT(&r->queries);
	return r;
}

void
resolver_free(struct resolver **rp)
{
	struct resolver *r = *rp;
	struct resolve_query *q;

	if (r == NULL)
		return;
	*rp = NULL;
	while ((q = TAILQ_FIRST(&r->queries)) != NULL)
		resolve_cancel(&q);
	dns_free(&r->dns);
	hosts_free(&r->hosts);
	free(r);
}

/* DNS by libunbound's threaded interface.
 *
 * delivery and auth.  One thread of libunbound's does the network and the
 * validation; results come through a descriptor, so callbacks never run inside
 * a call of ours.  The context is made by the first query: a role that needs
 * none has no thread.  libunbound has no overall time limit (resolve.c keeps
 * one) and reports SERVFAIL only in the result's rcode: looking for data alone
 * would turn it into "no such record".  RFC 1035; RFC 4033 for bogus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unbound.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "io/resolve_private.h"
#include "io/sockaddr.h"

#define CLASS_IN 1

struct dns {
	struct loop *loop;
	struct ub_ctx *ctx;		/* NULL before the first query */
	struct loop_fd fd;
	struct loop_task reap;
	TAILQ_HEAD(dns_calls, dns_call) calls;
	char **servers;			/* "address@port" */
	size_t server_count;
	char *anchors;
	bool dnssec;
	bool forget_denials;
};

struct dns_call {
	TAILQ_ENTRY(dns_call) link;
	struct dns *dns;
	int id;
	dns_cb *cb;
	void *arg;
};

/* libunbound answers these from memory with "no such name", also where a
 * forwarder knows better (RFC 6303 lists them): local networks use them. */
static const char *const built_in[] = {
	"test.", "home.arpa.", "10.in-addr.arpa.", "168.192.in-addr.arpa.",
	"16.172.in-addr.arpa.", "17.172.in-addr.arpa.", "18.172.in-addr.arpa.",
	"19.172.in-addr.arpa.", "20.172.in-addr.arpa.", "21.172.in-addr.arpa.",
	"22.172.in-addr.arpa.", "23.172.in-addr.arpa.", "24.172.in-addr.arpa.",
	"25.172.in-addr.arpa.", "26.172.in-addr.arpa.", "27.172.in-addr.arpa.",
	"28.172.in-addr.arpa.", "29.172.in-addr.arpa.", "30.172.in-addr.arpa.",
	"31.172.in-addr.arpa.", "d.f.ip6.arpa.",
	/* the documentation's addresses, which laboratories use too */
	"2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.",
	"113.0.203.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.", NULL
};

/* ---- options ---- */

static int
add_server(struct dns *d, struct slice text, struct err *e)
{
	struct sockaddr_storage sa[2];
	char ip[SOCKADDR_TEXT_MAX];
	size_t count;
	char **place;

	if (sockaddr_parse(text, 53, sa, &count, e) < 0)
		return -1;
	if (count != 1 || sa[0].ss_family == AF_UNIX)
		return err_set(e, EINVAL, "a name server is ADDRESS[:PORT]");
	place = mem_push(&d->servers, &d->server_count, sizeof(*place));
	*place = mem_printf("%s@%u", sockaddr_ip_text(&sa[0], ip),
	    (unsigned)sockaddr_port(&sa[0]));
	return 0;
}

/* nameserver lines of resolv.conf(5); the rest is for short names, which
 * nobody should use here. */
static void
add_resolv_conf(struct dns *d, struct slice text)
{
	struct slice line, word;
	long nl;

	while (text.n > 0) {
		nl = slice_find(text, '\n');
		line = text;
		if (nl >= 0)
			line.n = (size_t)nl;
		text = slice_skip(text, line.n + (nl >= 0));
		if (slice_word(&line, &word) &&
		    slice_eq_cstr(word, "nameserver") &&
		    slice_word(&line, &word))
			add_server(d, word, NULL);
	}
}

/* ---- the context ---- */

static int
ub_error(struct err *e, const char *what, int r)
{
	return err_set(e, EIO, "resolver: %s: %s", what, ub_strerror(r));
}

static int
add_anchors(struct dns *d, struct ub_ctx *ctx, struct err *e)
{
	char *text = mem_strdup(d->anchors), *line, *save = NULL;
	int r = 0;

	for (line = strtok_r(text, "\r\n", &save); line != NULL && r == 0;
	    line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t");
		if (*line != '\0' && *line != ';' && *line != '#')
			r = ub_ctx_add_ta(ctx, line);
	}
	free(text);
	return r == 0 ? 0 : ub_error(e, "trust anchor", r);
}

static int
configure(struct dns *d, struct ub_ctx *ctx, struct err *e)
{
	size_t i;
	int r;

	ub_ctx_debugout(ctx, NULL);
	r = ub_ctx_async(ctx, 1);
	if (r == 0)
		r = ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
	if (r == 0 && !d->dnssec)
		r = ub_ctx_set_option(ctx, "module-config:", "iterator");
	if (r == 0 && d->forget_denials)
		r = ub_ctx_set_option(ctx, "cache-max-negative-ttl:", "0");
	for (i = 0; r == 0 && i < d->server_count; i++)
		r = ub_ctx_set_fwd(ctx, d->servers[i]);
	if (r != 0)
		return ub_error(e, "settings", r);
	if (d->dnssec && add_anchors(d, ctx, e) < 0)
		return -1;
	for (i = 0; r == 0 && built_in[i] != NULL; i++)
		r = ub_ctx_zone_remove(ctx, built_in[i]);
	return r == 0 ? 0 : ub_error(e, "settings", r);
}

static void
on_fd(void *arg, unsigned what)
{
	struct dns *d = arg;

	(void)what;
	ub_process(d->ctx);
}

static int
make_context(struct dns *d, struct err *e)
{
	struct ub_ctx *ctx = ub_ctx_create();

	if (ctx == NULL)
		return err_set(e, ENOMEM, "resolver: cannot be started");
	if (configure(d, ctx, e) < 0) {
		ub_ctx_delete(ctx);
		return -1;
	}
	d->ctx = ctx;
	loop_fd_init(d->loop, &d->fd, ub_fd(ctx), on_fd, d);
	loop_fd_want(&d->fd, LOOP_READ);
	return 0;
}

/* At the end of the turn: not inside ub_process(). */
static void
on_reap(void *arg)
{
	struct dns *d = arg;
	size_t i;

	if (d->ctx != NULL)
		ub_ctx_delete(d->ctx);
	for (i = 0; i < d->server_count; i++)
		free(d->servers[i]);
	free(d->servers);
	free(d->anchors);
	free(d);
}

struct dns *
dns_new(struct loop *l, const struct resolver_options *o, struct err *e)
{
	struct dns *d = mem_zalloc(sizeof(*d));
	size_t i;

	d->loop = l;
	TAILQ_INIT(&d->calls);
	loop_task_init(&d->reap, on_reap, d);
	d->dnssec = o->dnssec && o->anchors.n > 0;
	d->forget_denials = o->forget_denials;
	d->anchors = slice_dup(o->anchors);
	for (i = 0; i < o->server_count; i++) {
		if (add_server(d, slice_cstr(o->servers[i]), e) < 0) {
			err_prefix(e, "resolver");
			on_reap(d);
			return NULL;
		}
	}
	if (o->server_count == 0)
		add_resolv_conf(d, o->resolv_conf);
	return d;
}

void
dns_free(struct dns **dp)
{
	struct dns *d = *dp;
	struct dns_call *c;

	if (d == NULL)
		return;
	*dp = NULL;
	while ((c = TAILQ_FIRST(&d->calls)) != NULL)
		dns_cancel(&c);
	loop_fd_del(&d->fd);
	loop_reap(d->loop, &d->reap);
}

/* ---- queries ---- */

static enum resolve_status
status_of(int error, const struct ub_result *u)
{
	if (error != 0 || u == NULL)
		return RESOLVE_FAILED;
	if (u->bogus)
		return RESOLVE_BOGUS;
	if (u->nxdomain)
		return RESOLVE_NXDOMAIN;
	if (u->rcode != 0)
		return RESOLVE_FAILED;
	return u->havedata ? RESOLVE_OK : RESOLVE_NODATA;
}

static const char *
why_of(enum resolve_status status, int error, const struct ub_result *u,
    char *buf, size_t n)
{
	static const char *const rcodes[] = { "no error", "format error",
	    "server failure", "no such name", "not implemented", "refused" };

	switch (status) {
	case RESOLVE_OK:
		return "";
	case RESOLVE_NODATA:
		return "no record of this type";
	case RESOLVE_NXDOMAIN:
		return "no such name";
	case RESOLVE_BOGUS:
		snprintf(buf, n, "DNSSEC: %s", u->why_bogus != NULL ?
		    u->why_bogus : "validation failed");
		return buf;
	default:
		break;
	}
	if (error != 0 || u == NULL)
		return ub_strerror(error);
	if (u->rcode > 0 && u->rcode < 6)
		return rcodes[u->rcode];
	snprintf(buf, n, "rcode %d", u->rcode);
	return buf;
}

static void
on_result(void *arg, int error, struct ub_result *u)
{
	struct dns_call *c = arg;
	struct dns_reply r = { 0 };
	char buf[256];
	dns_cb *cb = c->cb;

	arg = c->arg;
	TAILQ_REMOVE(&c->dns->calls, c, link);
	free(c);
	r.status = status_of(error, u);
	r.why = why_of(r.status, error, u, buf, sizeof(buf));
	if (u != NULL) {
		r.secure = u->secure != 0;
		r.ttl = u->ttl > 0 ? (uint32_t)u->ttl : 0;
		r.data = u->data;
		r.len = u->len;
		r.canonical = u->canonname;
	}
	cb(arg, &r);
	ub_resolve_free(u);
}

struct dns_call *
dns_ask(struct dns *d, const char *name, enum dns_type type, dns_cb *cb,
    void *arg, struct err *e)
{
	struct dns_call *c;
	char *full;
	int r;

	if (d->ctx == NULL && make_context(d, e) < 0)
		return NULL;
	c = mem_zalloc(sizeof(*c));
	c->dns = d;
	c->cb = cb;
	c->arg = arg;
	full = mem_printf("%s.", name);
	r = ub_resolve_async(d->ctx, full, (int)type, CLASS_IN, c, on_result,
	    &c->id);
	free(full);
	if (r != 0) {
		ub_error(e, name, r);
		free(c);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&d->calls, c, link);
	return c;
}

void
dns_cancel(struct dns_call **cp)
{
	struct dns_call *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	ub_cancel(c->dns->ctx, c->id);
	TAILQ_REMOVE(&c->dns->calls, c, link);
	free(c);
}

int
dns_name_text(const uint8_t *p, size_t n, char out[256])
{
	size_t used = 0, i, label;

	while (n > 0 && *p != 0) {
		label = *p++;
		n--;
		if (label > 63 || label > n || used + label + 2 > 256)
			return -1;
		if (used > 0)
			out[used++] = '.';
		for (i = 0; i < label; i++, p++, n--) {
			if (*p <= ' ' || *p >= 127 || *p == '.' ||
			    *p == '\\')
				return -1;
			out[used++] = (char)*p;
		}
	}
	out[used] = '\0';
	return n > 0 ? 0 : -1;
}

/* ---- data of records ---- */

int
resolve_txt(struct slice data, struct strbuf *out)
{
	struct slice rest = data;
	size_t n;

	for (; rest.n > 0; rest = slice_skip(rest, n + 1)) {
		n = (unsigned char)rest.p[0];
		if (n >= rest.n)
			return -1;
	}
	for (rest = data; rest.n > 0; rest = slice_skip(rest, n + 1)) {
		n = (unsigned char)rest.p[0];
		strbuf_add(out, rest.p + 1, n);
	}
	return 0;
}

int
resolve_name(struct slice data, char out[256])
{
	return dns_name_text((const uint8_t *)data.p, data.n, out);
}

/*
 * Reaching a host: its addresses, then a connection to the first of them that
 * accepts.  Run by delivery.  Every failure is kept for the text; none of
 * them is about a message.
 *
 * IPv6 goes first.  Where it does not answer within a moment, IPv4 is tried
 * beside it and whoever accepts first is taken (RFC 8305, with one address of
 * each family at a time).
 */
#include "delivery/reach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "delivery/network.h"
#include "delivery/proxy.h"
#include "io/dial.h"
#include "io/sockaddr.h"
#include "ipc/msg.h"

#define RESOLVE_MS 30000u
#define BESIDE_MS 300u			/* then the other family, too */
#define WHY_MAX 480			/* octets */

/* The addresses of one family, one after the other. */
struct lineup {
	struct reach *reach;
	struct sockaddr_storage *addrs;
	size_t count, next;
	struct dial *dial;
	struct proxied *proxied;	/* in place of it */
};

struct reach {
	struct reach_options o;		/* o.host is owned */
	reach_cb *cb;
	void *arg;
	struct resolve_query *query;
	struct lineup lineup[2];	/* in the order of preference */
	struct loop_timer beside;
	size_t no_route;		/* addresses without a network to
					 * them; or a name without an answer */
	struct strbuf why;
	bool secure;
	char *canonical;
	bool host_failed;		/* once it was not a proxy's fault */
	bool proxies_dead;
	struct loop_task failed;
	uint64_t asked;			/* of monitor; 0: nothing */
};

static void lineup_next(struct lineup *l);

static void
reach_free(struct reach *r)
{
	size_t i;

	resolve_cancel(&r->query);
	if (r->asked != 0)
		port_forget(r->o.monitor, r->asked);
	for (i = 0; i < 2; i++) {
		dial_cancel(&r->lineup[i].dial);
		proxied_cancel(&r->lineup[i].proxied);
		free(r->lineup[i].addrs);
	}
	loop_timer_cancel(r->o.loop, &r->beside);
	loop_task_cancel(r->o.loop, &r->failed);
	strbuf_free(&r->why);
	free(r->canonical);
	free((void *)(uintptr_t)r->o.host);
	free(r);
}

void
reach_cancel(struct reach **rp)
{
	if (*rp == NULL)
		return;
	reach_free(*rp);
	*rp = NULL;
}

static bool
by_proxy(const struct reach *r)
{
	return r->o.t != NULL && r->o.t->n_proxies > 0;
}

static void
done(struct reach *r, int fd, const char *remote,
    const struct conf_proxy *proxy)
{
	struct reach_result result = { .fd = fd, .remote = remote,
		.proxy = proxy };
	char *canonical = r->canonical;
	reach_cb *cb = r->cb;
	void *arg = r->arg;

	result.fault = r->proxies_dead ? REACH_PROXY : by_proxy(r) &&
	    !r->host_failed ? REACH_UNCLEAR : REACH_HOST;
	result.secure = r->secure;
	result.canonical = canonical;
	result.both = r->lineup[0].count > 0 && r->lineup[1].count > 0;
	if (fd < 0)
		err_set(&result.e, r->no_route > 0 && r->no_route >=
		    r->lineup[0].count + r->lineup[1].count &&
		    !network_is_there() ? ENETUNREACH : EHOSTUNREACH,
		    "%.*s", WHY_MAX, strbuf_cstr(&r->why));
	r->canonical = NULL;
	reach_free(r);
	cb(arg, &result);
	free(canonical);
}

static void
on_failed(void *arg)
{
	done(arg, -1, NULL, NULL);
}

static char *
remote_text(const struct reach *r, const struct sockaddr_storage *sa)
{
	char ip[SOCKADDR_TEXT_MAX];

	if (sa->ss_family == AF_UNSPEC)		/* the proxy knows */
		return mem_printf("%s:%u", r->o.host, r->o.port);
	return mem_printf("%s[%s]:%u", r->o.host, sockaddr_ip_text(sa, ip),
	    r->o.port);
}

void
reach_sources(const struct conf_transport *t, struct sockaddr_storage *v4,
    struct sockaddr_storage *v6)
{
	struct sockaddr_storage sa;
	size_t i;

	for (i = 0; i < t->source_address.n; i++) {
		if (!sockaddr_from_ip(slice_cstr(t->source_address.v[i]), 0,
		    &sa))
			continue;
		if (sa.ss_family == AF_INET && v4->ss_family == 0)
			*v4 = sa;
		if (sa.ss_family == AF_INET6 && v6->ss_family == 0)
			*v6 = sa;
	}
}

/* ---- connecting ---- */

static bool
busy(const struct lineup *l)
{
	return l->dial != NULL || l->proxied != NULL;
}

static bool
over(const struct lineup *l)
{
	return !busy(l) && l->next == l->count;
}

static void
add_why(struct reach *r, const char *remote, const char *text)
{
	if (r->why.n < WHY_MAX)
		strbuf_printf(&r->why, "%sconnect to %s%s: %s",
		    r->why.n > 0 ? "; " : "", remote,
		    by_proxy(r) ? " by proxy" : "", text);
}

static void
on_dial(void *arg, int fd, const struct sockaddr_storage *peer, size_t index,
    const struct err *e)
{
	struct lineup *l = arg;
	struct reach *r = l->reach;
	char *remote = remote_text(r, &l->addrs[l->next - 1]);

	(void)peer;
	(void)index;
	l->dial = NULL;
	if (fd >= 0) {
		done(r, fd, remote, NULL);
	} else {
		if (e->code == ENETUNREACH || e->code == ENETDOWN)
			r->no_route++;
		add_why(r, remote, e->code > 0 ? strerror(e->code) : e->text);
		lineup_next(l);
	}
	free(remote);
}

static void
on_proxied(void *arg, const struct proxied_result *p)
{
	struct lineup *l = arg;
	struct reach *r = l->reach;
	char *remote = remote_text(r, &l->addrs[l->next - 1]);

	l->proxied = NULL;
	if (p->end == PROXIED_OK) {
		done(r, p->fd, remote, &r->o.t->proxies[p->proxy]);
	} else if (p->end == PROXIED_DEAD) {
		/* No use to go on. */
		strbuf_clear(&r->why);
		strbuf_puts(&r->why, p->text);
		r->proxies_dead = true;
		done(r, -1, NULL, NULL);
	} else {
		r->host_failed |= p->end == PROXIED_REMOTE;
		add_why(r, remote, p->text);
		lineup_next(l);
	}
	free(remote);
}

static void
dial_address(struct lineup *l, const struct sockaddr_storage *to)
{
	struct reach *r = l->reach;
	struct dial_options d = {
		.addrs = to,
		.count = 1,
		.each_ms = r->o.connect_ms,
		.total_ms = r->o.connect_ms,
		.source4 = r->o.source4,
		.source6 = r->o.source6
	};
	struct proxied_options p = {
		.env = r->o.env, .resolver = r->o.resolver, .t = r->o.t,
		.states = r->o.states, .to = *to, .host = r->o.host,
		.port = (uint16_t)r->o.port, .ms = r->o.connect_ms,
		.source4 = r->o.source4, .source6 = r->o.source6
	};

	if (by_proxy(r))
		l->proxied = proxied_start(&p, on_proxied, l);
	else
		l->dial = dial_start(r->o.loop, &d, on_dial, l);
}

/* When one family is at its end the other one begins, if it has not. */
static void
lineup_next(struct lineup *l)
{
	struct reach *r = l->reach;
	struct lineup *other = &r->lineup[l == &r->lineup[0]];

	if (l->next < l->count)
		dial_address(l, &l->addrs[l->next++]);
	else if (!busy(other) && !over(other))
		lineup_next(other);
	else if (over(other))
		done(r, -1, NULL, NULL);
}

static void
on_beside(void *arg)
{
	struct reach *r = arg;
	struct lineup *l = &r->lineup[1];

	if (!busy(l) && !over(l))
		lineup_next(l);
}

/* ---- addresses ---- */

static void
take_addresses(struct reach *r, const struct sockaddr_storage *addrs,
    size_t count)
{
	int first = r->o.avoid == AF_INET6 ? AF_INET : AF_INET6;
	struct sockaddr_storage *place;
	struct lineup *l;
	size_t i;

	for (i = 0; i < count; i++) {
		l = &r->lineup[addrs[i].ss_family != first];
		place = mem_push(&l->addrs, &l->count, sizeof(*place));
		*place = addrs[i];
		sockaddr_set_port(place, (uint16_t)r->o.port);
	}
}

static void
on_resolved(void *arg, const struct resolve_answer *a)
{
	struct reach *r = arg;

	r->query = NULL;
	if (a->status == RESOLVE_FAILED)
		r->no_route++;
	if (a->status != RESOLVE_OK || a->count == 0) {
		strbuf_printf(&r->why, "resolve %s: %s", r->o.host,
		    a->why.text[0] != '\0' ? a->why.text : "no address");
		done(r, -1, NULL, NULL);
		return;
	}
	take_addresses(r, a->addrs, a->count);
	r->secure = a->secure;
	r->canonical = a->canonical != NULL ? mem_strdup(a->canonical) : NULL;
	if (r->lineup[0].count > 0 && r->lineup[1].count > 0)
		loop_timer_set(r->o.loop, &r->beside, BESIDE_MS);
	lineup_next(&r->lineup[0]);
}

/* ---- UNIX sockets ---- */

static void
on_connected(void *arg, struct port_message *m)
{
	struct reach *r = arg;
	struct msg_connected c = { .text = "monitor does not answer" };
	char *remote = mem_printf("unix:%s", r->o.host);

	r->asked = 0;
	if (m != NULL && (m->type != MSG_CONNECTED ||
	    msg_connected_decode(m->data, &c) < 0))
		strcpy(c.text, "monitor's answer is garbage");
	else if (m != NULL && c.text[0] == '\0' && m->fd < 0)
		strcpy(c.text, "no descriptor left");
	if (m != NULL && m->fd >= 0) {
		done(r, m->fd, remote, NULL);
	} else {
		strbuf_printf(&r->why, "connect to %s: %s", remote, c.text);
		done(r, -1, NULL, NULL);
	}
	free(remote);
}

static void
ask_monitor(struct reach *r)
{
	struct msg_connect m = { (char *)(uintptr_t)r->o.transport };
	struct strbuf b = STRBUF_INIT;

	msg_connect_encode(&b, &m);
	r->asked = port_request(r->o.monitor, r->o.connect_ms, on_connected,
	    r);
	port_send(r->o.monitor, MSG_CONNECT, r->asked, strbuf_slice(&b));
	strbuf_free(&b);
}

/* The name goes to the proxy as it is; addresses do not need to. */
static bool
resolved_there(const struct reach_options *o)
{
	struct sockaddr_storage sa;
	size_t i;

	if (o->t == NULL || sockaddr_from_ip(slice_cstr(o->host), 0, &sa))
		return false;
	for (i = 0; i < o->t->n_proxies; i++) {
		if (o->t->proxies[i].resolve_remote)
			return true;
	}
	return false;
}

static void
on_there(void *arg)
{
	struct reach *r = arg;
	struct lineup *l = &r->lineup[0];

	memset(mem_push(&l->addrs, &l->count, sizeof(*l->addrs)), 0,
	    sizeof(*l->addrs));
	lineup_next(l);
}

struct reach *
reach_start(const struct reach_options *o, reach_cb *cb, void *arg)
{
	struct reach *r = mem_zalloc(sizeof(*r));

	r->o = *o;
	r->o.host = mem_strdup(o->host);
	r->cb = cb;
	r->arg = arg;
	r->lineup[0].reach = r->lineup[1].reach = r;
	loop_task_init(&r->failed, on_failed, r);
	loop_timer_init(&r->beside, on_beside, r);
	if (o->monitor != NULL) {
		ask_monitor(r);
		return r;
	}
	if ((o->families & (RESOLVE_V4 | RESOLVE_V6)) == 0 ||
	    o->resolver == NULL) {
		strbuf_printf(&r->why, "resolve %s: both address families "
		    "are switched off", o->host);
		loop_defer(o->loop, &r->failed);
		return r;
	}
	if (resolved_there(o)) {
		loop_task_init(&r->failed, on_there, r);
		loop_defer(o->loop, &r->failed);
		return r;
	}
	r->query = resolve_host(o->resolver, o->host, o->families, RESOLVE_MS,
	    on_resolved, r);
	return r;
}

/*
 * Reaching a host: its addresses, then a connection to the first of them that
 * accepts.  Run by delivery.  Every failure is kept for the text; none of
 * them is about a message.
 */
#include "delivery/reach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "delivery/network.h"
#include "io/dial.h"
#include "io/sockaddr.h"

#define RESOLVE_MS 30000u
#define WHY_MAX 480			/* octets */

struct reach {
	struct reach_options o;		/* o.host is owned */
	reach_cb *cb;
	void *arg;
	struct resolve_query *query;
	struct dial *dial;
	struct sockaddr_storage *addrs;
	size_t count, next;
	size_t no_route;		/* addresses without a network to
					 * them; or a name without an answer */
	struct strbuf why;
	struct loop_task failed;
};

static void try_next(struct reach *r);

static void
reach_free(struct reach *r)
{
	resolve_cancel(&r->query);
	dial_cancel(&r->dial);
	loop_task_cancel(r->o.loop, &r->failed);
	strbuf_free(&r->why);
	free(r->addrs);
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

static void
done(struct reach *r, int fd, const char *remote)
{
	struct err e = { 0, "" };
	reach_cb *cb = r->cb;
	void *arg = r->arg;

	if (fd < 0)
		err_set(&e, r->no_route > 0 && r->no_route >= r->count &&
		    !network_is_there() ? ENETUNREACH : EHOSTUNREACH,
		    "%.*s", WHY_MAX, strbuf_cstr(&r->why));
	reach_free(r);
	cb(arg, fd, remote, &e);
}

static void
on_failed(void *arg)
{
	done(arg, -1, NULL);
}

static char *
remote_text(const struct reach *r, const struct sockaddr_storage *sa)
{
	char ip[SOCKADDR_TEXT_MAX];

	return mem_printf("%s[%s]:%u", r->o.host, sockaddr_ip_text(sa, ip),
	    r->o.port);
}

static void
on_dial(void *arg, int fd, const struct sockaddr_storage *peer, size_t index,
    const struct err *e)
{
	struct reach *r = arg;
	char *remote = remote_text(r, &r->addrs[r->next - 1]);

	(void)peer;
	(void)index;
	r->dial = NULL;
	if (fd >= 0) {
		done(r, fd, remote);
	} else {
		if (e->code == ENETUNREACH || e->code == ENETDOWN)
			r->no_route++;
		if (r->why.n < WHY_MAX)
			strbuf_printf(&r->why, "%sconnect to %s: %s",
			    r->why.n > 0 ? "; " : "", remote,
			    e->code > 0 ? strerror(e->code) : e->text);
		try_next(r);
	}
	free(remote);
}

static void
try_next(struct reach *r)
{
	struct dial_options d = {
		.count = 1,
		.each_ms = r->o.connect_ms,
		.total_ms = r->o.connect_ms,
		.source4 = r->o.source4,
		.source6 = r->o.source6
	};

	if (r->next == r->count) {
		done(r, -1, NULL);
		return;
	}
	d.addrs = &r->addrs[r->next++];
	r->dial = dial_start(r->o.loop, &d, on_dial, r);
}

static void
on_resolved(void *arg, const struct resolve_answer *a)
{
	struct reach *r = arg;
	size_t i;

	r->query = NULL;
	if (a->status == RESOLVE_FAILED)
		r->no_route++;
	if (a->status != RESOLVE_OK || a->count == 0) {
		strbuf_printf(&r->why, "resolve %s: %s", r->o.host,
		    a->why.text[0] != '\0' ? a->why.text : "no address");
		done(r, -1, NULL);
		return;
	}
	r->addrs = mem_dup(a->addrs, a->count * sizeof(*a->addrs));
	r->count = a->count;
	for (i = 0; i < r->count; i++)
		sockaddr_set_port(&r->addrs[i], (uint16_t)r->o.port);
	try_next(r);
}

struct reach *
reach_start(const struct reach_options *o, reach_cb *cb, void *arg)
{
	struct reach *r = mem_zalloc(sizeof(*r));

	r->o = *o;
	r->o.host = mem_strdup(o->host);
	r->cb = cb;
	r->arg = arg;
	loop_task_init(&r->failed, on_failed, r);
	if (o->families == 0 || o->resolver == NULL) {
		strbuf_printf(&r->why, "resolve %s: both address families "
		    "are switched off", o->host);
		loop_defer(o->loop, &r->failed);
		return r;
	}
	r->query = resolve_host(o->resolver, o->host, o->families, RESOLVE_MS,
	    on_resolved, r);
	return r;
}

/*
 * One end of a channel: requests, replies, transfers, credit.  Run by every
 * role.  Anything that is not well formed, a reply flood beyond the credit or
 * a broken socket ends the port, never the process: pending requests are
 * answered with NULL and the owner hears closed().  The socket's side is in
 * port_socket.c.
 */
#include "ipc/port.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/port_private.h"
#include "ipc/wire.h"

struct request {
	struct port *port;
	uint64_t ref;
	port_reply *cb;
	void *arg;
	struct loop_timer deadline;
};

static void
request_free(struct request *r)
{
	loop_timer_cancel(r->port->loop, &r->deadline);
	free(r);
}

/* Answers one request, or forgets it when cb is not to be called. */
static void
request_end(struct port *p, uint64_t ref, struct port_message *m)
{
	struct request *r = htab_del_u64(p->requests, ref);
	port_reply *cb;
	void *arg;

	if (r == NULL)
		return;
	cb = r->cb;
	arg = r->arg;
	request_free(r);
	cb(arg, m);
}

static void
request_late(void *arg)
{
	struct request *r = arg;

	request_end(r->port, r->ref, NULL);
}

uint64_t
port_request(struct port *p, uint64_t deadline_ms, port_reply *cb, void *arg)
{
	struct request *r = mem_zalloc(sizeof(*r));

	r->port = p;
	r->ref = ++p->last_ref;
	r->cb = cb;
	r->arg = arg;
	loop_timer_init(&r->deadline, request_late, r);
	if (deadline_ms > 0)
		loop_timer_set(p->loop, &r->deadline, deadline_ms);
	htab_put_u64(p->requests, r->ref, r);
	/* On a dead port the answer is "gone", but never from in here. */
	if (p->dead)
		loop_defer(p->loop, &p->end_task);
	return r->ref;
}

void
port_forget(struct port *p, uint64_t ref)
{
	struct request *r = htab_del_u64(p->requests, ref);

	if (r != NULL)
		request_free(r);
}

size_t
port_pending(const struct port *p)
{
	return htab_count(p->requests);
}

static void
requests_end(struct port *p, bool answer)
{
	struct request *r;
	size_t pos = 0;

	while ((r = htab_next(p->requests, &pos, NULL)) != NULL) {
		if (answer)
			request_end(p, r->ref, NULL);
		else
			port_forget(p, r->ref);
		pos = 0;		/* the callback may have changed it */
	}
}

/* ---- end of life ---- */

static void
port_ended(void *arg)
{
	struct port *p = arg;

	requests_end(p, true);
	if (p->freed || p->told)
		return;
	p->told = true;
	p->h.closed(p->arg, &p->why);
}

void
port_fail(struct port *p, const struct err *why)
{
	if (p->dead)
		return;
	p->dead = true;
	p->why = *why;
	port_socket_close(p);
	loop_defer(p->loop, &p->end_task);
}

bool
port_peer_ended(const struct err *why)
{
	return why->code == 0 || why->code == EPIPE || why->code == ECONNRESET;
}

static void
port_reap(void *arg)
{
	struct port *p = arg;

	strbuf_free(&p->x.meta);
	strbuf_free(&p->x.body);
	htab_free(&p->requests);
	free(p->in);
	free(p->name);
	free(p);
}

void
port_free(struct port **pp)
{
	struct port *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	p->freed = true;
	if (!p->dead) {
		port_socket_flush(p);
		p->dead = true;
		port_socket_close(p);
	}
	requests_end(p, false);
	loop_task_cancel(p->loop, &p->end_task);
	loop_task_init(&p->reap_task, port_reap, p);
	loop_reap(p->loop, &p->reap_task);
}

struct port *
port_new(struct loop *loop, int fd, const char *name,
    const struct port_handler *h, void *arg)
{
	struct port *p = mem_zalloc(sizeof(*p));

	p->loop = loop;
	p->name = mem_strdup(name);
	p->h = *h;
	p->arg = arg;
	p->credit = PORT_CREDIT;
	p->requests = htab_new();
	loop_task_init(&p->end_task, port_ended, p);
	port_socket_open(p, fd);
	return p;
}

const char *
port_name(const struct port *p)
{
	return p->name;
}

/* ---- what comes ---- */

static int
bad(struct err *e, const char *what)
{
	return err_set(e, EPROTO, "%s", what);
}

/* A whole message or transfer: to the request that waits or to the owner. */
static int
port_deliver(struct port *p, uint16_t flags, struct port_message *m, int *fd,
    struct err *e)
{
	if (flags & PACKET_FD) {
		m->with_fd = true;
		m->fd = *fd;
		*fd = -1;
	}
	if (!(flags & PACKET_REPLY))
		return p->h.message(p->arg, m, e);
	if (htab_get_u64(p->requests, m->ref) != NULL)
		request_end(p, m->ref, m);
	else if (m->fd >= 0)		/* forgotten or late */
		close(m->fd);
	return 0;
}

static int
port_credit(struct port *p, uint64_t octets, struct err *e)
{
	bool blocked = p->credit <= 0;

	if (octets > PORT_CREDIT * 2u ||
	    p->credit + (int64_t)octets > (int64_t)PORT_CREDIT)
		return bad(e, "more credit than was used");
	p->credit += (int64_t)octets;
	if (blocked && p->credit > 0 && p->h.ready != NULL)
		p->h.ready(p->arg);
	return 0;
}

/* What was not granted yet may not exceed the credit by more than the one
 * transfer that used its last octet. */
static int
port_charge(struct port *p, size_t octets, struct err *e)
{
	p->owed += octets;
	if (p->owed > (uint64_t)PORT_CREDIT + PORT_META_MAX + PORT_BODY_MAX)
		return bad(e, "more octets than the credit allows");
	return 0;
}

static int
transfer_begin(struct port *p, const struct packet_head *h, struct slice data,
    struct err *e)
{
	struct wire_reader r = wire_reader(data);

	if (p->x.active)
		return bad(e, "transfer inside a transfer");
	p->x.meta_n = wire_u32(&r);
	p->x.body_n = wire_u32(&r);
	if (!wire_end(&r) || p->x.meta_n > PORT_META_MAX ||
	    p->x.body_n > PORT_BODY_MAX)
		return bad(e, "transfer of an absurd size");
	p->x.active = true;
	p->x.type = h->type;
	p->x.ref = h->ref;
	return port_charge(p, p->x.meta_n + p->x.body_n, e);
}

static int
transfer_part(struct port *p, const struct packet_head *h, struct slice data,
    struct port_message *m, int *fd, struct err *e)
{
	size_t n;
	int rc;

	if (!p->x.active || h->type != p->x.type || h->ref != p->x.ref)
		return bad(e, "part of no transfer");
	n = p->x.meta_n - p->x.meta.n;
	if (n > data.n)
		n = data.n;
	strbuf_add(&p->x.meta, data.p, n);
	data = slice_skip(data, n);
	if (data.n > p->x.body_n - p->x.body.n)
		return bad(e, "transfer longer than announced");
	strbuf_add_slice(&p->x.body, data);
	if (!(h->flags & PACKET_LAST))
		return 0;
	if (p->x.meta.n != p->x.meta_n || p->x.body.n != p->x.body_n)
		return bad(e, "transfer shorter than announced");
	m->data = strbuf_slice(&p->x.meta);
	m->body = strbuf_slice(&p->x.body);
	p->x.active = false;
	rc = port_deliver(p, h->flags, m, fd, e);
	strbuf_free(&p->x.meta);
	strbuf_free(&p->x.body);
	return rc;
}

static int
transfer_whole(struct port *p, const struct packet_head *h, struct slice data,
    struct port_message *m, int *fd, struct err *e)
{
	struct wire_reader r = wire_reader(data);

	m->data = wire_slice(&r, PORT_META_MAX);
	m->body = r.rest;
	if (r.bad || p->x.active)
		return bad(e, "transfer that does not fit its message");
	if (port_charge(p, m->data.n + m->body.n, e) < 0)
		return -1;
	return port_deliver(p, h->flags, m, fd, e);
}

int
port_take(struct port *p, const struct packet_head *h, struct slice data,
    int *fd, struct err *e)
{
	struct port_message m = { h->type, h->ref, data,
	    slice_of("", 0), false, -1 };

	if (h->flags & PACKET_CREDIT)
		return port_credit(p, h->ref, e);
	if (h->flags & PACKET_BEGIN)
		return transfer_begin(p, h, data, e);
	if (h->flags & PACKET_PART)
		return transfer_part(p, h, data, &m, fd, e);
	if (h->flags & PACKET_WHOLE)
		return transfer_whole(p, h, data, &m, fd, e);
	return port_deliver(p, h->flags, &m, fd, e);
}

/* ---- what goes ---- */

/* The head of a message of so many octets, and where these go; NULL: the port
 * is dead, or has become so by holding too much. */
static struct strbuf *
begin(struct port *p, size_t n, uint16_t type, uint16_t flags, uint64_t ref,
    int fd)
{
	struct packet_head h = { (uint32_t)n, type, flags, ref };
	struct strbuf *out = port_socket_room(p, PACKET_HEAD + h.n, fd);

	if (fd >= 0)
		h.flags |= PACKET_FD;
	if (out != NULL)
		packet_put_head(out, &h);
	return out;
}

static void
send_one(struct port *p, uint16_t type, uint16_t flags, uint64_t ref,
    struct slice data, int fd)
{
	struct strbuf *out = begin(p, data.n, type, flags, ref, fd);

	if (out != NULL)
		strbuf_add_slice(out, data);
}

void
port_send(struct port *p, uint16_t type, uint64_t ref, struct slice data)
{
	send_one(p, type, 0, ref, data, -1);
}

void
port_send_reply(struct port *p, uint16_t type, uint64_t ref,
    struct slice data)
{
	send_one(p, type, PACKET_REPLY, ref, data, -1);
}

void
port_send_fd(struct port *p, uint16_t type, uint64_t ref, struct slice data,
    int fd)
{
	send_one(p, type, 0, ref, data, fd);
}

void
port_reply_fd(struct port *p, uint16_t type, uint64_t ref, struct slice data,
    int fd)
{
	send_one(p, type, PACKET_REPLY, ref, data, fd);
}

bool
port_can_send(const struct port *p)
{
	return !p->dead && p->credit > 0;
}

/* Cuts octets into PARTs; the last of the transfer carries LAST and fd. */
static void
send_parts(struct port *p, uint16_t type, uint64_t ref, struct slice s,
    bool last, int fd)
{
	do {
		size_t n = s.n > PORT_MESSAGE_MAX ? PORT_MESSAGE_MAX : s.n;
		bool end = last && n == s.n;

		send_one(p, type, PACKET_PART | (end ? PACKET_LAST : 0), ref,
		    slice_of(s.p, n), end ? fd : -1);
		s = slice_skip(s, n);
	} while (s.n > 0);
}

static void
transfer(struct port *p, uint16_t type, uint64_t ref, struct slice meta,
    struct slice body, int fd)
{
	struct strbuf *out;
	char head[8];
	size_t i;

	p->credit -= (int64_t)(meta.n + body.n);
	if (4 + meta.n + body.n <= PORT_MESSAGE_MAX) {
		out = begin(p, 4 + meta.n + body.n, type, PACKET_WHOLE, ref,
		    fd);
		if (out == NULL)
			return;
		wire_put_slice(out, meta);
		strbuf_add_slice(out, body);
		return;
	}
	for (i = 0; i < 4; i++) {
		head[i] = (char)(meta.n >> (8 * i));
		head[4 + i] = (char)(body.n >> (8 * i));
	}
	send_one(p, type, PACKET_BEGIN, ref, slice_of(head, 8), -1);
	send_parts(p, type, ref, meta, body.n == 0, fd);
	if (body.n > 0)
		send_parts(p, type, ref, body, true, fd);
}

void
port_transfer(struct port *p, uint16_t type, uint64_t ref, struct slice meta,
    struct slice body)
{
	transfer(p, type, ref, meta, body, -1);
}

void
port_transfer_fd(struct port *p, uint16_t type, uint64_t ref,
    struct slice meta, int fd)
{
	transfer(p, type, ref, meta, slice_of("", 0), fd);
}

void
port_grant(struct port *p, size_t octets)
{
	if (octets == 0)
		return;
	p->owed -= octets > p->owed ? p->owed : octets;
	send_one(p, 0, PACKET_CREDIT, octets, slice_of("", 0), -1);
}

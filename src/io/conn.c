/* A stream connection: its life, its input, its time limit.
 *
 * listener and delivery.  Input is read into the loop's scratch memory and
 * handed to the owner from there; only what it leaves is copied to memory of
 * its own, which is given back once it is consumed.  So an idle connection
 * holds no buffer at all.  Anything that goes wrong ends in closed(), once,
 * from the loop. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/conn.h"
#include "io/conn_private.h"

#define IN_LIMIT	65536
#define OUT_LOW		16384
#define CLOSE_MS	10000
#define LINGER_MS	2000
/* What a peer that goes on sending may send while we wait for its end. */
#define LINGER_MAX	(4u << 20)

static void on_fd(void *arg, unsigned what);
static void on_timer(void *arg);
static void on_work(void *arg);
static void on_reap(void *arg);

struct conn *
conn_new(struct loop *l, int fd, const struct conn_events *events, void *arg)
{
	struct conn *c = mem_zalloc(sizeof(*c));
	const int one = 1;

	c->loop = l;
	c->ev = *events;
	c->arg = arg;
	c->in_limit = IN_LIMIT;
	c->out_low = OUT_LOW;
	fs_set_nonblock(fd, 1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	loop_fd_init(l, &c->fd, fd, on_fd, c);
	loop_timer_init(&c->timer, on_timer, c);
	loop_task_init(&c->work, on_work, c);
	loop_task_init(&c->flush, conn_out_turn, c);
	loop_task_init(&c->reap, on_reap, c);
	conn_interest(c);
	return c;
}

void
conn_set_events(struct conn *c, const struct conn_events *events, void *arg)
{
	c->ev = *events;
	c->arg = arg;
	if (c->in.n > 0) {
		c->due_readable = true;
		loop_defer(c->loop, &c->work);
	}
}

/* ---- the end ---- */

void
conn_gone(struct conn *c)
{
	if (c->life == LIFE_GONE)
		return;
	c->life = LIFE_GONE;
	loop_fd_del(&c->fd);
	close(c->fd.fd);
	loop_timer_cancel(c->loop, &c->timer);
	loop_task_cancel(c->loop, &c->work);
	loop_task_cancel(c->loop, &c->flush);
	loop_reap(c->loop, &c->reap);
}

static void
on_reap(void *arg)
{
	struct conn *c = arg;

	/* Without conn_gone() before: the loop itself is being freed. */
	if (c->life != LIFE_GONE) {
		conn_gone(c);
		return;
	}
	if (c->tls_ops != NULL)
		c->tls_ops->free(c);
	strbuf_free(&c->in_own);
	strbuf_free(&c->out);
	free(c->why);
	free(c);
}

void
conn_abort(struct conn **cp)
{
	struct conn *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	conn_gone(c);
}

void
conn_close(struct conn **cp)
{
	struct conn *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	/* In a handshake there is nothing that could be sent. */
	if (c->end > CONN_EOF || c->tls == TLS_SHAKE) {
		conn_gone(c);
		return;
	}
	c->life = LIFE_CLOSING;
	c->in.n = 0;
	loop_task_cancel(c->loop, &c->work);
	loop_timer_set(c->loop, &c->timer, CLOSE_MS);
	loop_at_free(c->loop, &c->reap);
	loop_at_end(c->loop, &c->flush);
}

/* Everything is sent: says that this was all.  Closing at once instead, with
 * octets of the peer unread, would make the kernel send a reset, and a reset
 * can destroy our last reply on its way. */
void
conn_linger(struct conn *c)
{
	if (c->tls == TLS_ON) {
		switch (c->tls_ops->end(c)) {
		case IO_AGAIN:
			c->blocked = true;
			conn_interest(c);
			return;
		case IO_ERROR:
			conn_gone(c);
			return;
		default:
			break;
		}
	}
	if (shutdown(c->fd.fd, SHUT_WR) < 0 || c->read_end) {
		conn_gone(c);
		return;
	}
	c->life = LIFE_LINGER;
	loop_timer_set(c->loop, &c->timer, LINGER_MS);
	loop_fd_want(&c->fd, LOOP_READ);
}

static void
linger_read(struct conn *c)
{
	ssize_t r;

	r = recv(c->fd.fd, loop_scratch(c->loop), LOOP_SCRATCH, 0);
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (r > 0)
		c->discarded += (size_t)r;
	if (r <= 0 || c->discarded > LINGER_MAX)
		conn_gone(c);
}

enum conn_io
conn_fail(struct conn *c, enum conn_end end, int code, const char *fmt, ...)
{
	va_list ap;

	if (c->end > CONN_EOF)
		return IO_ERROR;
	c->end = end;
	c->read_end = true;
	c->blocked = false;
	c->out_off = 0;
	strbuf_free(&c->out);
	loop_fd_del(&c->fd);
	loop_timer_cancel(c->loop, &c->timer);
	if (c->life != LIFE_OWNED) {
		conn_gone(c);
		return IO_ERROR;
	}
	c->why = mem_zalloc(sizeof(*c->why));
	c->why->code = code;
	va_start(ap, fmt);
	vsnprintf(c->why->text, sizeof(c->why->text), fmt, ap);
	va_end(ap);
	c->due_closed = true;
	loop_defer(c->loop, &c->work);
	return IO_ERROR;
}

enum conn_io
conn_fail_errno(struct conn *c, const char *what)
{
	int code = errno;
	enum conn_end end;

	end = code == ECONNRESET || code == EPIPE ? CONN_RESET :
	    code == ETIMEDOUT ? CONN_TIMEOUT : CONN_FAILED;
	return conn_fail(c, end, code, "%s: %s", what, strerror(code));
}

/* ---- what the loop calls ---- */

bool
conn_may_read(const struct conn *c)
{
	return c->life == LIFE_OWNED && !c->paused && !c->read_end &&
	    c->in.n < c->in_limit && (c->tls == TLS_OFF || c->tls == TLS_ON);
}

/* Reading is only ever switched on here; it is switched off when the socket
 * has something to read that we may not take.  A session that pauses for
 * each command then costs no system calls. */
void
conn_interest(struct conn *c)
{
	unsigned want = c->fd.want & LOOP_READ;

	/* A handshake knows itself what it waits for. */
	if (c->life >= LIFE_LINGER || c->end > CONN_EOF ||
	    c->tls == TLS_SHAKE)
		return;
	if (conn_may_read(c) || c->ssl_write_wants_read) {
		want |= LOOP_READ;
		if (c->ssl_more)
			loop_defer(c->loop, &c->work);
	}
	if (c->read_end)
		want = 0;
	if (c->blocked || c->ssl_read_wants_write)
		want |= LOOP_WRITE;
	loop_fd_want(&c->fd, want);
}

static void
on_fd(void *arg, unsigned what)
{
	struct conn *c = arg;

	if (c->life == LIFE_LINGER) {
		linger_read(c);
		return;
	}
	if (c->tls == TLS_SHAKE) {
		c->tls_ops->step(c);
		return;
	}
	if (what == LOOP_WRITE) {
		if (c->ssl_read_wants_write)
			conn_do_read(c);
		conn_out_turn(c);
		return;
	}
	if (c->ssl_write_wants_read)
		conn_out_turn(c);
	if (conn_may_read(c))
		conn_do_read(c);
	else if (!c->ssl_write_wants_read && c->life < LIFE_LINGER &&
	    c->end <= CONN_EOF)
		loop_fd_want(&c->fd, c->fd.want & ~LOOP_READ);
}

static void
on_timer(void *arg)
{
	struct conn *c = arg;

	if (c->life != LIFE_OWNED)
		conn_gone(c);
	else
		conn_fail(c, CONN_TIMEOUT, ETIMEDOUT,
		    c->tls == TLS_FLUSH || c->tls == TLS_SHAKE ?
		    "TLS handshake timed out" : "timed out");
}

/* What could not be told from inside a call of the owner's. */
static void
on_work(void *arg)
{
	struct conn *c = arg;

	if (c->tls == TLS_FLUSH)
		conn_out_push(c);
	if (c->tls == TLS_SHAKE && c->end == CONN_OPEN)
		c->tls_ops->step(c);
	if (c->due_drained) {
		c->due_drained = false;
		if (c->life == LIFE_OWNED && c->ev.drained != NULL)
			c->ev.drained(c->arg);
	}
	if (c->due_readable && c->life == LIFE_OWNED && !c->paused) {
		c->due_readable = false;
		if (c->in.n > 0 && c->ev.readable != NULL)
			c->ev.readable(c->arg);
	}
	if (c->ssl_more && conn_may_read(c))
		conn_do_read(c);
	/* The end in order comes behind the input, whenever that is wanted. */
	if (c->due_closed && c->life == LIFE_OWNED &&
	    (c->end > CONN_EOF || !c->paused)) {
		c->due_closed = false;
		c->ev.closed(c->arg, c->end == CONN_EOF ? NULL : c->why);
	}
}

void
conn_timeout(struct conn *c, uint64_t ms)
{
	c->timeout_ms = ms;
	if (c->tls == TLS_FLUSH || c->tls == TLS_SHAKE || c->end > CONN_EOF)
		return;
	if (ms == 0)
		loop_timer_cancel(c->loop, &c->timer);
	else
		loop_timer_set(c->loop, &c->timer, ms);
}

/* ---- input ---- */

static enum conn_io
plain_read(struct conn *c, char *p, size_t max, size_t *n)
{
	ssize_t r;

	do
		r = recv(c->fd.fd, p, max, 0);
	while (r < 0 && errno == EINTR);
	if (r > 0) {
		*n = (size_t)r;
		return IO_MORE;
	}
	if (r == 0)
		return IO_END;
	if (errno == EAGAIN)
		return IO_AGAIN;
	return conn_fail_errno(c, "receive");
}

/* Copies what the owner left to memory of the connection's own. */
static void
keep_rest(struct conn *c)
{
	if (!c->in_borrowed)
		return;
	c->in_borrowed = false;
	if (c->in.n > 0) {
		strbuf_clear(&c->in_own);
		strbuf_add_slice(&c->in_own, c->in);
		c->in = strbuf_slice(&c->in_own);
	}
}

static void
deliver(struct conn *c, char *p, size_t n)
{
	c->received += n;
	c->due_readable = false;
	if (c->in.n == 0) {
		c->in = slice_of(p, n);
		c->in_borrowed = true;
	} else {
		if (c->in.p != c->in_own.p)
			strbuf_drop(&c->in_own, (size_t)(c->in.p -
			    c->in_own.p));
		strbuf_add(&c->in_own, p, n);
		c->in = strbuf_slice(&c->in_own);
	}
	if (c->ev.readable != NULL)
		c->ev.readable(c->arg);
	keep_rest(c);
}

void
conn_do_read(struct conn *c)
{
	char *p = loop_scratch(c->loop);
	size_t max = c->in_limit - c->in.n, n = 0;
	enum conn_io r;

	if (!conn_may_read(c))
		return;
	if (max > LOOP_SCRATCH)
		max = LOOP_SCRATCH;
	r = c->tls == TLS_ON ? c->tls_ops->read(c, p, max, &n) :
	    plain_read(c, p, max, &n);
	if (r == IO_END) {
		c->read_end = true;
		if (c->end == CONN_OPEN)
			c->end = CONN_EOF;
		c->due_closed = true;
		loop_defer(c->loop, &c->work);
	}
	if (n > 0)
		deliver(c, p, n);
	conn_interest(c);
}

struct slice
conn_input(const struct conn *c)
{
	return c->in;
}

void
conn_consume(struct conn *c, size_t n)
{
	bool full = c->in.n >= c->in_limit;

	if (n > c->in.n)
		n = c->in.n;
	c->in.p += n;
	c->in.n -= n;
	/* The memory goes at the turn's end: the owner may look at a line
	 * that it has consumed already. */
	if (c->in.n == 0 && !c->in_borrowed)
		loop_at_end(c->loop, &c->flush);
	if (full && !c->in_borrowed)
		conn_interest(c);
}

void
conn_read_limit(struct conn *c, size_t n)
{
	c->in_limit = n;
	conn_interest(c);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
}

void
conn_resume(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	if (c->in.n > 0)
		c->due_readable = true;
	if (c->due_readable || c->due_closed)
		loop_defer(c->loop, &c->work);
	conn_interest(c);
}

int
conn_fd(const struct conn *c)
{
	return c->fd.fd;
}

enum conn_end
conn_end(const struct conn *c)
{
	return c->end;
}

uint64_t
conn_received(const struct conn *c)
{
	return c->received;
}

uint64_t
conn_sent(const struct conn *c)
{
	return c->sent;
}

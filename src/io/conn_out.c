/* A stream connection's output.
 *
 * listener and delivery.  What is written in a turn gathers and leaves in one
 * write at its end; the socket is watched for room only after it refused
 * something.  An error is told by closed(), later, from the loop. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "io/conn.h"
#include "io/conn_private.h"

/* From here on a piece is worth a system call of its own. */
#define OUT_LARGE	16384
#define OUT_PIECES	16

static bool
writable(const struct conn *c)
{
	return c->end <= CONN_EOF && c->life < LIFE_LINGER;
}

static enum conn_io
plain_write(struct conn *c, const char *p, size_t len, size_t *n)
{
	ssize_t r;

	do
		r = send(c->fd.fd, p, len, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? IO_AGAIN :
		    conn_fail_errno(c, "send");
	*n = (size_t)r;
	/* A short write means that the socket is full: no second try. */
	return (size_t)r < len ? IO_AGAIN : IO_MORE;
}

static void
note_drained(struct conn *c, size_t before)
{
	size_t left = conn_pending_out(c);

	if (left == before || left > c->out_low)
		return;
	if (left == 0 || before > c->out_low)
		c->due_drained = true;
}

static enum conn_io
push_some(struct conn *c)
{
	const char *p = c->out.p + c->out_off;
	size_t left = conn_pending_out(c), n = 0;
	enum conn_io r;

	switch (c->tls) {
	case TLS_FLUSH:
		r = plain_write(c, p, c->out_plain, &n);
		c->out_plain -= n;
		break;
	case TLS_ON:
		r = c->tls_ops->write(c, p, left, &n);
		break;
	default:
		r = plain_write(c, p, left, &n);
	}
	if (r == IO_ERROR)
		return r;
	c->out_off += n;
	c->sent += n;
	return r;
}

void
conn_out_push(struct conn *c)
{
	size_t before = conn_pending_out(c);
	enum conn_io r = IO_MORE;

	if (!writable(c) || c->tls == TLS_SHAKE)
		return;
	while (r == IO_MORE &&
	    (c->tls == TLS_FLUSH ? c->out_plain : conn_pending_out(c)) > 0)
		r = push_some(c);
	if (r == IO_ERROR)
		return;
	c->blocked = r == IO_AGAIN && !c->ssl_write_wants_read;
	if (conn_pending_out(c) == 0) {
		strbuf_free(&c->out);
		c->out_off = 0;
	}
	note_drained(c, before);
	if (c->tls == TLS_FLUSH && c->out_plain == 0) {
		c->tls = TLS_SHAKE;
		loop_defer(c->loop, &c->work);
	}
	conn_interest(c);
}

/* Also when nothing is pending: a connection that is being closed goes on. */
void
conn_out_turn(void *arg)
{
	struct conn *c = arg;

	if (c->in.n == 0 && !c->in_borrowed)
		strbuf_free(&c->in_own);
	conn_out_push(c);
	if (c->life == LIFE_CLOSING) {
		if (c->tls == TLS_SHAKE)
			c->tls = TLS_OFF;
		if (c->tls != TLS_FLUSH && conn_pending_out(c) == 0)
			conn_linger(c);
		return;
	}
	if (!c->due_drained || c->life != LIFE_OWNED)
		return;
	c->due_drained = false;
	if (c->ev.drained != NULL)
		c->ev.drained(c->arg);
}

/* From a call of the owner's: callbacks wait. */
void
conn_flush(struct conn *c)
{
	conn_out_push(c);
	if (c->due_drained)
		loop_defer(c->loop, &c->work);
}

/* Makes ready to append; false when it would be for nothing. */
static bool
appending(struct conn *c)
{
	if (!writable(c))
		return false;
	if (c->out_off > 0 && c->out_off >= c->out.n / 2) {
		strbuf_drop(&c->out, c->out_off);
		c->out_off = 0;
	}
	if (!c->blocked)
		loop_at_end(c->loop, &c->flush);
	return true;
}

void
conn_write(struct conn *c, const void *p, size_t n)
{
	if (n > 0 && appending(c))
		strbuf_add(&c->out, p, n);
}

void
conn_puts(struct conn *c, const char *s)
{
	conn_write(c, s, strlen(s));
}

void
conn_printf(struct conn *c, const char *fmt, ...)
{
	va_list ap;

	if (!appending(c))
		return;
	va_start(ap, fmt);
	strbuf_vprintf(&c->out, fmt, ap);
	va_end(ap);
}

/* Sends what is pending and the pieces in one call, returns how many octets
 * of the pieces went. */
static size_t
send_pieces(struct conn *c, const struct slice *v, size_t count)
{
	struct iovec iov[OUT_PIECES + 1];
	struct msghdr m = { .msg_iov = iov };
	size_t pending = conn_pending_out(c), i, n;
	ssize_t r;

	if (pending > 0) {
		iov[m.msg_iovlen].iov_base = c->out.p + c->out_off;
		iov[m.msg_iovlen++].iov_len = pending;
	}
	for (i = 0; i < count; i++) {
		iov[m.msg_iovlen].iov_base = (void *)(uintptr_t)v[i].p;
		iov[m.msg_iovlen++].iov_len = v[i].n;
	}
	do
		r = sendmsg(c->fd.fd, &m, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		if (errno != EAGAIN)
			conn_fail_errno(c, "send");
		return 0;
	}
	n = (size_t)r;
	c->sent += n;
	c->out_off += n < pending ? n : pending;
	if (conn_pending_out(c) > 0)
		return 0;
	strbuf_free(&c->out);
	c->out_off = 0;
	return n - pending;
}

void
conn_writev(struct conn *c, const struct slice *v, size_t count)
{
	size_t total = 0, gone = 0, i;

	for (i = 0; i < count; i++)
		total += v[i].n;
	if (total == 0 || !writable(c))
		return;
	if (total >= OUT_LARGE && count <= OUT_PIECES && c->tls == TLS_OFF &&
	    !c->blocked)
		gone = send_pieces(c, v, count);
	for (i = 0; i < count; i++) {
		size_t skip = gone < v[i].n ? gone : v[i].n;

		gone -= skip;
		conn_write(c, v[i].p + skip, v[i].n - skip);
	}
	if (!writable(c))
		return;
	if (conn_pending_out(c) == 0) {
		c->due_drained = true;
		loop_defer(c->loop, &c->work);
	} else if (total >= OUT_LARGE && c->tls != TLS_OFF && !c->blocked)
		conn_flush(c);
}

size_t
conn_pending_out(const struct conn *c)
{
	return c->out.n - c->out_off;
}

void
conn_write_low(struct conn *c, size_t n)
{
	c->out_low = n;
}

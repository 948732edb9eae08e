/* Connecting to one of several addresses, in order.
 *
 * delivery.  One attempt at a time; each has its time limit and all have one
 * together.  The failure names every address that was tried, as people look
 * for exactly that in a log. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/dial.h"
#include "io/sockaddr.h"

struct dial {
	struct loop *loop;
	struct dial_options o;		/* addrs is our copy */
	size_t next;			/* to be tried */
	int fd;				/* of the attempt that runs, or -1 */
	struct loop_fd watch;
	struct loop_timer each;
	struct loop_timer total;
	struct loop_task begin;
	struct loop_task reap;
	struct err why;
	dial_cb *cb;
	void *arg;
};

static void try_next(struct dial *d);

static void
dial_gone(struct dial *d)
{
	loop_fd_del(&d->watch);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	loop_timer_cancel(d->loop, &d->each);
	loop_timer_cancel(d->loop, &d->total);
	loop_task_cancel(d->loop, &d->begin);
	loop_reap(d->loop, &d->reap);
}

static void
on_reap(void *arg)
{
	struct dial *d = arg;

	free((void *)(uintptr_t)d->o.addrs);
	free(d);
}

/* Notes why addrs[i] failed behind what failed before. */
static void
note(struct dial *d, size_t i, int code, const char *text)
{
	char where[SOCKADDR_TEXT_MAX];
	struct err old = d->why;

	sockaddr_text(&d->o.addrs[i], where);
	if (old.text[0] != '\0')
		err_set(&d->why, code, "%.300s; connect to %s: %s", old.text,
		    where, text);
	else
		err_set(&d->why, code, "connect to %s: %s", where, text);
}

static void
dial_failed(struct dial *d)
{
	if (d->why.code == 0)
		err_set(&d->why, EADDRNOTAVAIL, "no address to connect to");
	dial_gone(d);
	d->cb(d->arg, -1, NULL, 0, &d->why);
}

static void
attempt_failed(struct dial *d, int code, const char *text)
{
	loop_fd_del(&d->watch);
	loop_timer_cancel(d->loop, &d->each);
	close(d->fd);
	d->fd = -1;
	note(d, d->next - 1, code, text);
	try_next(d);
}

static void
connected(struct dial *d)
{
	size_t i = d->next - 1;
	int fd = d->fd;

	loop_fd_del(&d->watch);
	d->fd = -1;
	dial_gone(d);
	d->cb(d->arg, fd, &d->o.addrs[i], i, NULL);
}

static void
on_fd(void *arg, unsigned what)
{
	struct dial *d = arg;
	socklen_t len = sizeof(int);
	int code = 0;

	(void)what;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		code = errno;
	if (code == 0)
		connected(d);
	else
		attempt_failed(d, code, strerror(code));
}

static void
on_each(void *arg)
{
	attempt_failed(arg, ETIMEDOUT, "timed out");
}

static void
on_total(void *arg)
{
	struct dial *d = arg;

	if (d->fd >= 0)
		note(d, d->next - 1, ETIMEDOUT, "timed out");
	dial_failed(d);
}

/* The source for this address; false when it may not be used. */
static bool
source_of(const struct dial *d, const struct sockaddr_storage *to,
    const struct sockaddr_storage **source)
{
	const struct dial_options *o = &d->o;

	*source = NULL;
	if (to->ss_family != AF_INET && to->ss_family != AF_INET6)
		return true;
	if (o->source4.ss_family == 0 && o->source6.ss_family == 0)
		return true;
	*source = to->ss_family == AF_INET ? &o->source4 : &o->source6;
	return (*source)->ss_family == to->ss_family;
}

/* 1: connected, 0: under way, -1 with errno. */
static int
start_connect(struct dial *d, const struct sockaddr_storage *to,
    const struct sockaddr_storage *source)
{
	d->fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return -1;
	if (source != NULL && bind(d->fd, (const struct sockaddr *)source,
	    sockaddr_len(source)) < 0)
		return -1;
	if (connect(d->fd, (const struct sockaddr *)to,
	    sockaddr_len(to)) == 0)
		return 1;
	return errno == EINPROGRESS || errno == EINTR ? 0 : -1;
}

static void
try_next(struct dial *d)
{
	const struct sockaddr_storage *to, *source;
	int r, code;

	while (d->next < d->o.count) {
		to = &d->o.addrs[d->next++];
		if (!source_of(d, to, &source)) {
			note(d, d->next - 1, EADDRNOTAVAIL,
			    "no source address of this family");
			continue;
		}
		r = start_connect(d, to, source);
		if (r > 0) {
			connected(d);
			return;
		}
		if (r == 0) {
			loop_fd_init(d->loop, &d->watch, d->fd, on_fd, d);
			loop_fd_want(&d->watch, LOOP_WRITE);
			if (d->o.each_ms > 0)
				loop_timer_set(d->loop, &d->each,
				    d->o.each_ms);
			return;
		}
		code = errno;
		if (d->fd >= 0)
			close(d->fd);
		d->fd = -1;
		note(d, d->next - 1, code, strerror(code));
	}
	dial_failed(d);
}

static void
on_begin(void *arg)
{
	try_next(arg);
}

struct dial *
dial_start(struct loop *l, const struct dial_options *o, dial_cb *cb,
    void *arg)
{
	struct dial *d = mem_zalloc(sizeof(*d));

	d->loop = l;
	d->o = *o;
	d->o.addrs = o->count == 0 ? NULL :
	    mem_dup(o->addrs, o->count * sizeof(*o->addrs));
	d->cb = cb;
	d->arg = arg;
	d->fd = -1;
	loop_timer_init(&d->each, on_each, d);
	loop_timer_init(&d->total, on_total, d);
	loop_task_init(&d->begin, on_begin, d);
	loop_task_init(&d->reap, on_reap, d);
	if (o->total_ms > 0)
		loop_timer_set(l, &d->total, o->total_ms);
	loop_defer(l, &d->begin);
	return d;
}

void
dial_cancel(struct dial **dp)
{
	struct dial *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	dial_gone(d);
}

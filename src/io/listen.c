/* The accept loop.
 *
 * listener (and queue and monitor for their local sockets).  Takes connections
 * in batches.  When descriptors run out the socket would stay readable and the
 * process spin; then it is left alone for a while. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/listen.h"
#include "io/sockaddr.h"

/* So many in a turn: those who are connected get their turn too. */
#define BATCH	32
#define REST_MS	500

struct listen {
	struct loop *loop;
	struct loop_fd fd;
	struct loop_timer rest;
	struct loop_task reap;
	listen_cb *cb;
	void *arg;
	bool paused;
	bool gone;
	bool short_of;		/* descriptors or memory; logged */
};

static void
take_rest(struct listen *s, int code)
{
	if (!s->short_of)
		log_msg(LL_WARN, "accept", "%s: new connections wait",
		    strerror(code));
	s->short_of = true;
	loop_fd_want(&s->fd, 0);
	loop_timer_set(s->loop, &s->rest, REST_MS);
}

static void
on_rest(void *arg)
{
	struct listen *s = arg;

	if (!s->paused)
		loop_fd_want(&s->fd, LOOP_READ);
}

/* False at the end of the batch. */
static bool
accept_one(struct listen *s)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd;

	memset(&peer, 0, sizeof(peer));
	fd = accept4(s->fd.fd, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		s->short_of = false;
		sockaddr_unmap(&peer);
		s->cb(s->arg, fd, &peer);
		return !s->gone && !s->paused;
	}
	switch (errno) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EPERM:
		/* That connection's own trouble; accept(2). */
		return true;
	case EAGAIN:
		return false;
	default:
		take_rest(s, errno);
		return false;
	}
}

static void
on_fd(void *arg, unsigned what)
{
	struct listen *s = arg;
	int i;

	(void)what;
	for (i = 0; i < BATCH && accept_one(s); i++)
		;
}

struct listen *
listen_new(struct loop *l, int fd, listen_cb *cb, void *arg)
{
	struct listen *s = mem_zalloc(sizeof(*s));

	s->loop = l;
	s->cb = cb;
	s->arg = arg;
	fs_set_nonblock(fd, 1);
	loop_fd_init(l, &s->fd, fd, on_fd, s);
	loop_timer_init(&s->rest, on_rest, s);
	loop_task_init(&s->reap, free, s);
	loop_fd_want(&s->fd, LOOP_READ);
	return s;
}

void
listen_pause(struct listen *s)
{
	s->paused = true;
	loop_fd_want(&s->fd, 0);
}

void
listen_resume(struct listen *s)
{
	s->paused = false;
	if (!loop_timer_running(&s->rest))
		loop_fd_want(&s->fd, LOOP_READ);
}

void
listen_free(struct listen **sp)
{
	struct listen *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	s->gone = true;
	loop_fd_del(&s->fd);
	close(s->fd.fd);
	loop_timer_cancel(s->loop, &s->rest);
	loop_reap(s->loop, &s->reap);
}

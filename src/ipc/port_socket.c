/*
 * The socket under a port: packets gather and leave at the end of the turn,
 * up to four are read by one call.  Run by every role.  A full socket is
 * waited for, any other failure ends the port.
 */
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ipc/port_private.h"

#define READ_PACKETS 4
#define BACKLOG_MAX (64u << 20)		/* octets that wait to be written */
#define BACKLOG_FDS_MAX 4096u

union fd_control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

static void
packet_free(struct port *p, struct port_packet *k)
{
	TAILQ_REMOVE(&p->out, k, link);
	p->out_n -= k->b.n;
	if (k->fd >= 0) {
		close(k->fd);
		p->out_fds--;
	}
	strbuf_free(&k->b);
	free(k);
}

/* The credit and the roles' own limits keep a sane peer far below these. */
static bool
is_full(struct port *p, size_t n, int fd)
{
	struct err e;

	if (p->out_n + n <= BACKLOG_MAX && (fd < 0 ||
	    p->out_fds < BACKLOG_FDS_MAX))
		return false;
	err_set(&e, ENOBUFS, "%s does not read what it is sent", p->name);
	port_fail(p, &e);
	return true;
}

struct strbuf *
port_socket_room(struct port *p, size_t n, int fd)
{
	struct port_packet *k;

	if (p->dead || is_full(p, n, fd)) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	k = TAILQ_LAST(&p->out, port_packet_head);
	if (k == NULL || fd >= 0 || k->fd >= 0 || k->b.n + n > PACKET_MAX) {
		k = mem_zalloc(sizeof(*k));
		k->fd = fd;
		TAILQ_INSERT_TAIL(&p->out, k, link);
	}
	p->out_n += n;
	p->out_fds += fd >= 0;
	loop_at_end(p->loop, &p->flush_task);
	return &k->b;
}

/* 1 sent, 0 the socket is full, -1 with errno. */
static int
packet_send(struct port *p, struct port_packet *k)
{
	struct iovec iov = { k->b.p, k->b.n };
	struct msghdr m;
	union fd_control control;
	struct cmsghdr *c;

	memset(&m, 0, sizeof(m));
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	if (k->fd >= 0) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &k->fd, sizeof(int));
	}
	while (sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
	}
	return 1;
}

void
port_socket_flush(struct port *p)
{
	struct port_packet *k;
	struct err e;

	while (!p->dead && (k = TAILQ_FIRST(&p->out)) != NULL) {
		int rc = packet_send(p, k);

		if (rc == 0)
			break;
		if (rc < 0) {
			err_errno(&e, "send to %s", p->name);
			port_fail(p, &e);
			return;
		}
		packet_free(p, k);
	}
	if (!p->dead)
		loop_fd_want(&p->watch, LOOP_READ |
		    (TAILQ_EMPTY(&p->out) ? 0 : LOOP_WRITE));
}

static void
flush_task(void *arg)
{
	port_socket_flush(arg);
}

static int
control_fd(struct msghdr *m)
{
	struct cmsghdr *c;
	int fd = -1;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET ||
		    c->cmsg_type != SCM_RIGHTS ||
		    c->cmsg_len < CMSG_LEN(sizeof(int)))
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	}
	return fd;
}

/* All messages of one packet. */
static int
packet_take(struct port *p, struct slice rest, int fd, bool truncated,
    struct err *e)
{
	struct packet_head h;
	struct slice data;
	int rc = 0, more;

	if (truncated)
		rc = err_set(e, EPROTO, "packet longer than allowed");
	while (rc == 0 && !p->dead) {
		more = packet_next(&rest, &h, &data);
		if (more < 0)
			rc = err_set(e, EPROTO, "garbage in a packet");
		if (more <= 0)
			break;
		rc = port_take(p, &h, data, &fd, e);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static void
port_readable(struct port *p)
{
	struct mmsghdr m[READ_PACKETS];
	struct iovec iov[READ_PACKETS];
	union fd_control control[READ_PACKETS];
	struct err e = { 0, "" };
	int i, n;

	memset(m, 0, sizeof(m));
	for (i = 0; i < READ_PACKETS; i++) {
		iov[i].iov_base = p->in + (size_t)i * PACKET_MAX;
		iov[i].iov_len = PACKET_MAX;
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_control = &control[i];
		/* Not its size with the padding: a second descriptor would
		 * fit there, and stay open. */
		m[i].msg_hdr.msg_controllen = CMSG_LEN(sizeof(int));
	}
	n = recvmmsg(p->fd, m, READ_PACKETS, MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
	    NULL);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		err_errno(&e, "receive from %s", p->name);
		port_fail(p, &e);
		return;
	}
	for (i = 0; i < n; i++) {
		int fd = control_fd(&m[i].msg_hdr);

		/* The owner may have given the port up meanwhile. */
		if (p->dead) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		if (m[i].msg_len == 0) {
			err_set(&e, 0, "%s is gone", p->name);
			port_fail(p, &e);
			continue;
		}
		if (packet_take(p, slice_of(iov[i].iov_base, m[i].msg_len),
		    fd, (m[i].msg_hdr.msg_flags & MSG_TRUNC) != 0, &e) < 0) {
			err_prefix(&e, "from %s", p->name);
			port_fail(p, &e);
		}
	}
}

static void
port_event(void *arg, unsigned what)
{
	struct port *p = arg;

	if (p->dead)
		return;
	if (what & LOOP_WRITE)
		port_socket_flush(p);
	if (!p->dead && (what & LOOP_READ))
		port_readable(p);
}

void
port_socket_open(struct port *p, int fd)
{
	p->fd = fd;
	p->in = mem_alloc((size_t)READ_PACKETS * PACKET_MAX);
	TAILQ_INIT(&p->out);
	loop_task_init(&p->flush_task, flush_task, p);
	loop_fd_init(p->loop, &p->watch, fd, port_event, p);
	loop_fd_want(&p->watch, LOOP_READ);
}

void
port_socket_close(struct port *p)
{
	loop_fd_del(&p->watch);
	loop_task_cancel(p->loop, &p->flush_task);
	while (!TAILQ_EMPTY(&p->out))
		packet_free(p, TAILQ_FIRST(&p->out));
	close(p->fd);
	p->fd = -1;
	/* p->in may be in use up the stack: it goes with the port */
}

size_t
port_backlog(const struct port *p)
{
	return p->out_n;
}

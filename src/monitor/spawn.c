/*
 * Starting a role and handing it what it needs: its view of the
 * configuration in a sealed memfd, the log, its sockets, a channel to each
 * peer that runs.  What fails here is told to supervise.c, which tries again
 * later.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/role.h"
#include "monitor/alert_command.h"
#include "monitor/kerberos.h"
#include "monitor/monitor.h"
#include "monitor/secret.h"
#include "monitor/token.h"

/* Who talks to whom (ARCHITECTURE.md, "Channels"). */
static const struct { enum role a, b; } channels[] = {
	{ ROLE_LISTENER, ROLE_QUEUE },
	{ ROLE_LISTENER, ROLE_AUTH },
	{ ROLE_DELIVERY, ROLE_QUEUE },
	{ ROLE_DELIVERY, ROLE_AUTH },
	{ ROLE_QUEUE, ROLE_AUTH },
};

static enum conf_role
view_of(enum role role)
{
	switch (role) {
	case ROLE_LISTENER:
		return CONF_LISTENER;
	case ROLE_QUEUE:
		return CONF_QUEUE;
	case ROLE_DELIVERY:
		return CONF_DELIVERY;
	case ROLE_AUTH:
		return CONF_AUTH;
	default:
		return CONF_MONITOR;
	}
}

/* In the child, between fork and exec: only what is safe there. */
static void
child_exec(const struct identity *who, const char *path, int fd, int log_fd)
{
	char *argv[2] = { (char *)(uintptr_t)path, NULL };
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 ||
	    (log_fd >= 0 && dup2(log_fd, STDERR_FILENO) < 0))
		_exit(71);
	/* dup2 onto itself would keep close-on-exec */
	if (fd == ROLE_FD)
		fs_set_cloexec(fd, 0);
	else if (dup2(fd, ROLE_FD) < 0)
		_exit(71);
	close_range(ROLE_FD + 1, ~0U, 0);
	if (identity_become(who) < 0)
		_exit(77);
	execv(path, argv);
	_exit(69);
}

static int
process_message(void *arg, struct port_message *msg, struct err *e)
{
	struct process *p = arg;

	switch (msg->type) {
	case MSG_ROLE_READY:
		p->state = p->state == PROCESS_STARTING ? PROCESS_READY :
		    p->state;
		supervise_ready(p->m);
		return 0;
	case MSG_LOCAL_JOB:
		if (p->role == ROLE_QUEUE)
			return local_job_start(p->m, msg, e);
		break;
	case MSG_LOCAL_USER:
		if (p->role == ROLE_QUEUE)
			return local_job_ask(p->m, msg, e);
		break;
	case MSG_ROLE_BAD:
		if ((p->role == ROLE_QUEUE || p->role == ROLE_AUTH) &&
		    msg->fd < 0)
			return supervise_accused(p, msg->data, e);
		break;
	case MSG_CONNECT:
		if (p->role == ROLE_DELIVERY)
			return connect_socket(p, msg, e);
		break;
	case MSG_ALERT:
		if (p->role == ROLE_QUEUE)
			return alert_command(p, msg, e);
		break;
	case MSG_SECRET:
		if (p->role == ROLE_AUTH)
			return secret_ask(p, msg, e);
		break;
	case MSG_KERBEROS:
		if (p->role == ROLE_AUTH)
			return kerberos_ask(p, msg, e);
		break;
	case MSG_TOKEN_READ:
	case MSG_TOKEN_WRITE:
	case MSG_TOKEN_RELEASE:
	case MSG_TOKEN_CONNECT:
		if (p->role == ROLE_AUTH)
			return token_message(p, msg, e);
		break;
	default:
		break;
	}
	if (msg->fd >= 0)
		close(msg->fd);
	return err_set(e, EPROTO, "message %u is not for monitor", msg->type);
}

/* Its channel has ended: it is ending itself, or is not sane and is ended. */
static void
process_closed(void *arg, const struct err *why)
{
	struct process *p = arg;

	if (why->code != 0)
		log_msg(LL_ERROR, "monitor", "%s %u: %s", role_name(p->role),
		    p->slot, why->text);
	if (p->pid > 0 && why->code != 0)
		kill(p->pid, SIGKILL);
	port_free(&p->port);
}

static const struct port_handler process_handler = {
	process_message, process_closed, NULL
};

int
process_spawn(struct process *p, struct err *e)
{
	struct monitor *m = p->m;
	char *path = mem_printf("%s/%s", m->libexec, role_name(p->role));
	int sv[2] = { -1, -1 }, rc = -1;
	pid_t pid;

	if (access(path, X_OK) < 0) {
		err_errno(e, "%s: set SMARTHOSTD_LIBEXEC, or run make "
		    "install", path);
		goto out;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0) {
		err_errno(e, "socketpair");
		goto out;
	}
	log_flush();
	pid = fork();
	if (pid == 0)
		child_exec(&m->who[p->role], path, sv[1],
		    m->log.sink == LOG_STREAM ? m->log_fd : -1);
	close(sv[1]);
	if (pid < 0) {
		err_errno(e, "fork");
		close(sv[0]);
		goto out;
	}
	fs_set_nonblock(sv[0], 1);
	p->pid = pid;
	p->state = PROCESS_STARTING;
	p->unanswered = 0;
	p->started = clock_real_ms();
	p->started_mono = clock_mono_ms();
	p->port = port_new(m->loop, sv[0], role_name(p->role),
	    &process_handler, p);
	rc = 0;
out:
	free(path);
	return rc;
}

/* A descriptor with the octets that nobody can change any more; -1. */
static int
sealed(struct slice s, struct err *e)
{
	int fd = memfd_create("view", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_errno(e, "memfd_create");
	if (fs_write_all(fd, s.p, s.n) < 0 || fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
		err_errno(e, "memfd");
		close(fd);
		return -1;
	}
	return fd;
}

int
process_tell_view(struct process *p, struct err *e)
{
	struct strbuf view = STRBUF_INIT, b = STRBUF_INIT;
	/* 255 is queue's own, for the messages that it writes itself */
	struct msg_role me = { .slot = p->slot,
	    .instance = p->m->last_instance++ % 255 };
	int fd = -1;

	if (conf_view_encode(p->m->tree, view_of(p->role), &view, e) == 0)
		fd = sealed(strbuf_slice(&view), e);
	strbuf_wipe(&view);
	if (fd < 0)
		return -1;
	if (p->role == ROLE_QUEUE && p->m->conf->group != NULL)
		me.has_group = identity_group(p->m->conf->group, &me.group);
	msg_role_encode(&b, &me);
	port_send_fd(p->port, MSG_ROLE_VIEW, 0, strbuf_slice(&b), fd);
	strbuf_free(&b);
	return 0;
}

void
process_tell_log(struct process *p)
{
	struct strbuf b = STRBUF_INIT;
	int fd = fcntl(p->m->log_fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0 || p->port == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	msg_log_encode(&b, &p->m->log);
	port_send_fd(p->port, MSG_ROLE_LOG, 0, strbuf_slice(&b), fd);
	strbuf_free(&b);
}

static enum role
listener_of(uint8_t kind)
{
	switch (kind) {
	case LISTEN_CONTROL:
		return ROLE_QUEUE;
	case LISTEN_TOKEN:
		return ROLE_AUTH;
	default:
		return ROLE_LISTENER;
	}
}

static void
tell_sockets(struct process *p)
{
	struct monitor *m = p->m;
	struct strbuf b = STRBUF_INIT;
	size_t i;

	for (i = 0; i < m->n_sockets; i++) {
		const struct socket_bound *s = &m->sockets[i];
		struct msg_listen l = { s->kind, s->index, s->has_group,
		    s->group };
		int fd;

		if (s->kind == LISTEN_METRICS || p->role != listener_of(s->kind))
			continue;
		fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			continue;
		strbuf_clear(&b);
		msg_listen_encode(&b, &l);
		port_send_fd(p->port, MSG_ROLE_LISTEN, 0, strbuf_slice(&b),
		    fd);
	}
	strbuf_free(&b);
}

static void
tell_peer(struct process *to, const struct process *peer, int fd)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_peer m = { (uint8_t)peer->role, peer->slot };

	msg_peer_encode(&b, &m);
	port_send_fd(to->port, MSG_ROLE_PEER, 0, strbuf_slice(&b), fd);
	strbuf_free(&b);
}

static bool
are_peers(enum role a, enum role b)
{
	size_t i;

	for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
		if ((channels[i].a == a && channels[i].b == b) ||
		    (channels[i].a == b && channels[i].b == a))
			return true;
	}
	return false;
}

static int
connect_peers(struct process *p, struct err *e)
{
	struct process *q;
	int sv[2];

	TAILQ_FOREACH(q, &p->m->processes, link) {
		if (q == p || q->port == NULL || q->state == PROCESS_DRAINING ||
		    q->state == PROCESS_WAITING || !are_peers(p->role,
		    q->role))
			continue;
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0, sv) < 0)
			return err_errno(e, "socketpair");
		tell_peer(p, q, sv[0]);
		tell_peer(q, p, sv[1]);
	}
	return 0;
}

int
process_equip(struct process *p, struct err *e)
{
	process_tell_log(p);
	if (process_tell_view(p, e) < 0)
		return -1;
	tell_sockets(p);
	if (connect_peers(p, e) < 0)
		return -1;
	port_send(p->port, MSG_ROLE_START, 0, slice_of("", 0));
	return 0;
}

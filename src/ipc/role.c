/*
 * The life of a role as monitor sees it.  Run by listener, queue, delivery
 * and auth.  A message of monitor that cannot be read, or the end of its
 * channel, ends the role: monitor starts it anew, or is gone itself.
 */
#include "ipc/role.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/sandbox.h"

#define VIEW_MAX (64u * 1024 * 1024)	/* octets */

/* The program's; there is one role in each. */
static int exit_status;
/* Not a test that runs all roles on one loop. */
static bool own_program;

static int
role_garbage(struct err *e, const char *what)
{
	return err_set(e, EPROTO, "%s from monitor is garbage", what);
}

static int
role_view(struct role_base *r, struct port_message *m, struct err *e)
{
	struct stat st;
	struct strbuf b = STRBUF_INIT;
	int rc = -1;

	if (msg_role_decode(m->data, &r->me) < 0 || m->fd < 0 ||
	    fstat(m->fd, &st) < 0 || st.st_size > (off_t)VIEW_MAX) {
		role_garbage(e, "the view");
		goto out;
	}
	if (fs_pread_all(m->fd, strbuf_room(&b, (size_t)st.st_size),
	    (size_t)st.st_size, 0) < 0) {
		err_errno(e, "read the view");
		goto out;
	}
	b.n = (size_t)st.st_size;
	rc = r->ops->view != NULL ?
	    r->ops->view(r->arg, strbuf_slice(&b), e) : 0;
out:
	strbuf_wipe(&b);
	if (m->fd >= 0)
		close(m->fd);
	return rc;
}

static int
role_log(struct role_base *r, struct port_message *m, struct err *e)
{
	struct msg_log log;

	if (msg_log_decode(m->data, &log) < 0 || m->fd < 0)
		return role_garbage(e, "the log");
	/* Same number as before, so that nothing keeps the old file. */
	log_flush();
	if (dup2(m->fd, STDERR_FILENO) < 0) {
		close(m->fd);
		return err_errno(e, "dup the log");
	}
	close(m->fd);
	log_open(role_name(r->role), STDERR_FILENO, log.sink, log.format,
	    log.level);
	return 0;
}

static int
role_listen(struct role_base *r, struct port_message *m, struct err *e)
{
	struct msg_listen l;

	if (msg_listen_decode(m->data, &l) < 0 || m->fd < 0 ||
	    r->ops->listen == NULL)
		return role_garbage(e, "a socket");
	return r->ops->listen(r->arg, &l, m->fd, e);
}

static int
role_peer(struct role_base *r, struct port_message *m, struct err *e)
{
	struct msg_peer p;

	if (msg_peer_decode(m->data, &p) < 0 || m->fd < 0 ||
	    r->ops->peer == NULL)
		return role_garbage(e, "a channel");
	return r->ops->peer(r->arg, &p, m->fd, e);
}

static int
role_confine(struct role_base *r, struct err *e)
{
	const char *spool = r->ops->spool != NULL ? r->ops->spool(r->arg) :
	    NULL;

	bool network = r->ops->network != NULL && r->ops->network(r->arg);

	return own_program ? sandbox_enter(r->role, spool, network, e) : 0;
}

static int
role_start(struct role_base *r, struct err *e)
{
	if (r->started)
		return 0;
	r->started = true;
	if (role_confine(r, e) < 0)
		return -1;
	if (r->ops->start != NULL && r->ops->start(r->arg, e) < 0)
		return -1;
	port_send(r->monitor, MSG_ROLE_READY, 0, slice_of("", 0));
	return 0;
}

static int
role_do(struct role_base *r, struct port_message *m, struct err *e)
{
	switch (m->type) {
	case MSG_ROLE_VIEW:
		return role_view(r, m, e);
	case MSG_ROLE_LOG:
		return role_log(r, m, e);
	case MSG_ROLE_LISTEN:
		return role_listen(r, m, e);
	case MSG_ROLE_PEER:
		return role_peer(r, m, e);
	case MSG_ROLE_START:
		return role_start(r, e);
	case MSG_ROLE_DRAIN:
		if (!r->draining) {
			r->draining = true;
			if (r->ops->drain != NULL)
				r->ops->drain(r->arg);
			else
				role_exit(r);
		}
		return 0;
	case MSG_ROLE_PING:
		port_send_reply(r->monitor, MSG_ROLE_PONG, m->ref,
		    slice_of("", 0));
		return 0;
	default:
		if (r->ops->message != NULL)
			return r->ops->message(r->arg, m, e);
		if (m->fd >= 0)
			close(m->fd);
		return err_set(e, EPROTO, "unknown message %u", m->type);
	}
}

/* What monitor asks and the role cannot do ends it, with its own words: the
 * channel is not to blame. */
static int
role_message(void *arg, struct port_message *m, struct err *e)
{
	struct role_base *r = arg;

	if (role_do(r, m, e) < 0) {
		log_msg(LL_ERROR, "role", "%s", e->text);
		exit_status = 71;
		loop_stop(r->loop);
	}
	return 0;
}

static void
role_closed(void *arg, const struct err *why)
{
	struct role_base *r = arg;

	if (why->code != 0) {
		log_msg(LL_ERROR, "role", "%s", why->text);
		exit_status = 71;
	} else
		log_msg(LL_WARN, "role", "monitor is gone, ending");
	loop_stop(r->loop);
}

void
role_init(struct role_base *r, enum role role, struct loop *loop, int fd,
    const struct role_ops *ops, void *arg)
{
	static const struct port_handler handler = {
		role_message, role_closed, NULL
	};

	r->role = role;
	r->loop = loop;
	r->ops = ops;
	r->arg = arg;
	r->monitor = port_new(loop, fd, "monitor", &handler, r);
}

void
role_accuse(struct role_base *r, enum role role, uint32_t slot)
{
	struct msg_peer m = { (uint8_t)role, slot };
	struct strbuf b = STRBUF_INIT;

	if (r->monitor == NULL)		/* it is gone, or there was none */
		return;
	msg_peer_encode(&b, &m);
	port_send(r->monitor, MSG_ROLE_BAD, 0, strbuf_slice(&b));
	strbuf_free(&b);
}

void
role_exit(struct role_base *r)
{
	loop_stop(r->loop);
}

int
role_main(enum role role, int argc, char **argv,
    void *(*create)(struct loop *loop, int fd), void (*destroy)(void *role))
{
	struct err e = { 0, "" };
	struct loop *loop;
	void *r;

	(void)argv;
	if (argc > 1 || fcntl(ROLE_FD, F_GETFD) < 0) {
		fprintf(stderr, "smarthostd-%s: this program is started by "
		    "smarthostd, not by hand\n", role_name(role));
		return 64;
	}
	/* Ends come from monitor; a Ctrl-C at the terminal goes to all. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* Mail and secrets are in this memory: no core, no tracer. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	own_program = true;
	mem_keep_freed();
	fault_init();
	log_open(role_name(role), STDERR_FILENO, LOG_STREAM, LOG_TEXT,
	    LL_INFO);
	loop = loop_new(&e);
	if (loop == NULL) {
		log_msg(LL_ERROR, "role", "%s", e.text);
		log_flush();
		return 71;
	}
	fs_set_nonblock(ROLE_FD, 1);
	fs_set_cloexec(ROLE_FD, 1);
	r = create(loop, ROLE_FD);
	loop_run(loop);
	destroy(r);
	loop_free(&loop);
	log_flush();
	return exit_status;
}

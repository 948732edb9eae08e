/*
 * The control socket: who may speak, one request each, answers in steps.  Run
 * by queue.
 *
 * Anybody on the machine can connect.  Root, the daemon's own user and the
 * members of `group` may do everything; others see and touch their own
 * messages.  Who it is, the kernel says (SO_PEERCRED).  A caller that sends
 * garbage, stalls or goes away costs its own connection and nothing else.
 */
#include "queue/control.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/answer.h"
#include "queue/control_private.h"

#define CALLERS_MAX 200u
#define CALLERS_OF_UID_MAX 32u		/* of those who may not do all */
#define REQUEST_MS 10000u
#define STALLED_MS 300000u
#define GROUPS_MAX 256

static const struct command commands[] = {
	{ "status", true, control_status },
	{ "queue list", false, control_queue_list },
	{ "queue show", false, control_queue_show },
	{ "queue retry", false, control_queue_retry },
	{ "queue hold", false, control_queue_hold },
	{ "queue release", false, control_queue_release },
	{ "queue remove", false, control_queue_remove },
	{ "queue bounce", false, control_queue_bounce },
	{ "queue move", true, control_queue_move },
	{ "history", false, control_history },
	{ "why", false, control_why },
	{ "log", true, control_log },
	{ "metrics", true, control_metrics },
	{ "transport list", true, control_transport_list },
	{ "transport test", true, control_transport_test },
	{ "transport pause", true, control_steer },
	{ "transport resume", true, control_steer },
	{ "account list", true, control_account_list },
	{ "account pause", true, control_steer },
	{ "account resume", true, control_steer },
	{ "oauth login", true, control_oauth },
	{ "oauth answer", true, control_oauth },
	{ "oauth status", true, control_oauth },
	{ "oauth refresh", true, control_oauth },
	{ "oauth revoke", true, control_oauth },
	{ "oauth token", true, control_oauth },
};

/* ---- what is said ---- */

static void
caller_write(struct caller *cl)
{
	if (cl->conn != NULL)
		conn_write(cl->conn, cl->out.p, cl->out.n);
	strbuf_clear(&cl->out);
}

struct json_writer
caller_item(struct caller *cl)
{
	return answer_item(&cl->out);
}

void
caller_item_end(struct caller *cl, struct json_writer *w)
{
	answer_item_end(&cl->out, w);
	caller_write(cl);
}

void
caller_item_raw(struct caller *cl, struct slice json)
{
	struct json_writer w = json_to(&cl->out);

	json_object(&w, NULL);
	json_raw(&w, "item", json);
	json_close_object(&w);
	strbuf_putc(&cl->out, '\n');
	caller_write(cl);
}

void
caller_progress(struct caller *cl, uint64_t done)
{
	struct json_writer w = json_to(&cl->out);

	json_object(&w, NULL);
	json_object(&w, "progress");
	json_number(&w, "done", done);
	json_close_object(&w);
	json_close_object(&w);
	strbuf_putc(&cl->out, '\n');
	caller_write(cl);
}

void
caller_data(struct caller *cl, struct slice octets)
{
	struct json_writer w = json_to(&cl->out);

	json_object(&w, NULL);
	json_number(&w, "data", octets.n);
	json_close_object(&w);
	strbuf_putc(&cl->out, '\n');
	caller_write(cl);
	if (cl->conn != NULL)
		conn_write(cl->conn, octets.p, octets.n);
}

enum step
caller_end(struct caller *cl, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	answer_end(&cl->out, status, fmt, ap);
	va_end(ap);
	caller_write(cl);
	return STEP_END;
}

/* ---- the life of a caller ---- */

static void
caller_free(struct caller *cl)
{
	struct control *c = cl->c;

	control_unfollow(cl);
	control_trial_forget(cl);
	loop_task_cancel(c->loop, &cl->task);
	conn_abort(&cl->conn);
	TAILQ_REMOVE(&c->callers, cl, link);
	c->n_callers--;
	control_request_clear(&cl->req);
	strbuf_free(&cl->out);
	strbuf_free(&cl->content.head);
	strbuf_free(&cl->trail.found);
	if (cl->content.fd >= 0)
		close(cl->content.fd);
	free(cl);
	if (c->listen != NULL && c->n_callers < CALLERS_MAX)
		listen_resume(c->listen);
}

/* Nobody listens any more; changes that are under way still call back. */
static void
caller_leave(struct caller *cl)
{
	conn_abort(&cl->conn);
	control_unfollow(cl);
	loop_task_cancel(cl->c->loop, &cl->task);
	if (cl->under_way == 0)
		caller_free(cl);
}

/* All is said. */
static void
caller_finish(struct caller *cl)
{
	if (cl->conn != NULL)
		conn_close(&cl->conn);
	caller_leave(cl);
}

bool
control_is_late(struct control *c)
{
	uint64_t turn = clock_mono_ms(), now = clock_mono_us();

	if (turn != c->turn) {		/* it is read once in each */
		c->turn = turn;
		c->until = now + CONTROL_TURN_US;
	}
	return now >= c->until;
}

static void
caller_step(void *arg)
{
	struct caller *cl = arg;
	enum step s;

	if (cl->conn == NULL)
		return;
	if (conn_pending_out(cl->conn) > OUTPUT_HIGH)
		return;			/* drained() goes on */
	if (control_is_late(cl->c)) {
		loop_defer(cl->c->loop, &cl->task);
		return;
	}
	cl->stepping = true;
	s = cl->cmd->step(cl);
	cl->stepping = false;
	if (s == STEP_END)
		caller_finish(cl);
	else if (s == STEP_AGAIN)
		loop_defer(cl->c->loop, &cl->task);
}

void
caller_wake(struct caller *cl)
{
	if (cl->conn == NULL) {
		if (cl->under_way == 0 && !cl->stepping)
			caller_free(cl);
		return;
	}
	loop_defer(cl->c->loop, &cl->task);
}

bool
caller_owns(const struct caller *cl, const struct record *r)
{
	return cl->may_all || (r->env->uid >= 0 &&
	    (uint64_t)r->env->uid == (uint64_t)cl->uid);
}

/* ---- the request ---- */

static void
caller_refuse(struct caller *cl, int status, const char *text)
{
	(void)caller_end(cl, status, "%s", text);
	caller_finish(cl);
}

static void
caller_request(struct caller *cl, struct slice line)
{
	struct control *c = cl->c;
	struct err e = { 0, "" };
	size_t i;

	if (control_request_parse(line, &cl->req, &e) < 0) {
		caller_refuse(cl, CTL_USAGE, e.text);
		return;
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(cl->req.command, commands[i].name) == 0)
			cl->cmd = &commands[i];
	if (cl->cmd == NULL) {
		caller_refuse(cl, CTL_USAGE, "the daemon does not know this "
		    "command");
	} else if (cl->cmd->all && !cl->may_all) {
		caller_refuse(cl, CTL_DENIED, "only root, the daemon's user "
		    "and members of its group may do this");
	} else if (!c->started || c->draining) {
		caller_refuse(cl, CTL_UNAVAILABLE, c->draining ?
		    "the daemon is stopping" : "the queue is starting");
	} else {
		cl->began = clock_real_ms();
		conn_timeout(cl->conn, STALLED_MS);
		caller_step(cl);
	}
}

static void
caller_readable(void *arg)
{
	struct caller *cl = arg;
	struct slice in = conn_input(cl->conn);
	long n;

	if (cl->cmd != NULL) {		/* one request is all */
		conn_consume(cl->conn, in.n);
		return;
	}
	n = slice_find(in, '\n');
	if (n < 0 && in.n < CONTROL_LINE_MAX)
		return;
	if (n < 0 || (size_t)n > CONTROL_LINE_MAX) {
		caller_refuse(cl, CTL_USAGE, "the request is too long");
		return;
	}
	conn_consume(cl->conn, in.n);
	caller_request(cl, slice_of(in.p, (size_t)n));
}

static void
caller_drained(void *arg)
{
	struct caller *cl = arg;

	if (cl->cmd == NULL)
		return;
	conn_timeout(cl->conn, cl->follows ? 0 : STALLED_MS);
	if (!cl->follows && cl->under_way == 0)
		loop_defer(cl->c->loop, &cl->task);
}

/* It has nothing to say any more, so it has left: relayctl waits with both
 * of its sides open. */
static void
caller_closed(void *arg, const struct err *why)
{
	(void)why;
	caller_leave(arg);
}

/* ---- who it is ---- */

static bool
in_group(const struct control *c, int fd, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t n = sizeof(groups);
	size_t i;

	if (!c->has_group)
		return false;
	if (gid == c->group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
		return false;
	for (i = 0; i < n / sizeof(groups[0]); i++)
		if (groups[i] == c->group)
			return true;
	return false;
}

static bool
identify(struct caller *cl, int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return false;
	cl->uid = cred.uid;
	cl->may_all = cred.uid == 0 || cred.uid == geteuid() ||
	    in_group(cl->c, fd, cred.gid);
	return true;
}

static unsigned
callers_of(const struct control *c, uid_t uid)
{
	const struct caller *cl;
	unsigned n = 0;

	TAILQ_FOREACH(cl, &c->callers, link)
		n += cl->uid == uid;
	return n;
}

static void
control_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	static const struct conn_events events = {
		caller_readable, caller_drained, NULL, caller_closed
	};
	struct control *c = arg;
	struct caller *cl;

	(void)peer;
	cl = mem_zalloc(sizeof(*cl));
	cl->c = c;
	cl->content.fd = -1;
	if (!identify(cl, fd) || (!cl->may_all &&
	    callers_of(c, cl->uid) >= CALLERS_OF_UID_MAX)) {
		close(fd);
		free(cl);
		return;
	}
	loop_task_init(&cl->task, caller_step, cl);
	TAILQ_INSERT_TAIL(&c->callers, cl, link);
	cl->conn = conn_new(c->loop, fd, &events, cl);
	conn_read_limit(cl->conn, CONTROL_LINE_MAX + 1);
	conn_timeout(cl->conn, REQUEST_MS);
	if (++c->n_callers >= CALLERS_MAX)
		listen_pause(c->listen);
}

/* ---- what the queue tells ---- */

static int
control_listen(void *arg, const struct msg_listen *m, int fd, struct err *e)
{
	struct control *c = arg;

	if (m->kind != LISTEN_CONTROL) {
		close(fd);
		return err_set(e, EPROTO, "a socket that is not for queue");
	}
	listen_free(&c->listen);
	c->listen = listen_new(c->loop, fd, control_accept, c);
	return 0;
}

/* monitor looks up the group's number: this role may open no file. */
static void
control_view(void *arg)
{
	struct control *c = arg;
	const struct msg_role *me = queue_me(c->q);

	c->has_group = me->has_group;
	c->group = (gid_t)me->group;
}

static int
control_start(void *arg, struct err *e)
{
	struct control *c = arg;

	(void)e;
	control_view(c);
	c->started = true;
	return 0;
}

static void
control_drain(void *arg)
{
	struct control *c = arg;

	c->draining = true;
	listen_free(&c->listen);
}

struct control *
control_new(struct queue *q, struct loop *loop)
{
	static const struct queue_control ops = {
		control_listen, control_start, control_view, control_drain
	};
	struct control *c = mem_zalloc(sizeof(*c));

	c->q = q;
	c->loop = loop;
	TAILQ_INIT(&c->callers);
	queue_set_control(q, &ops, c);
	return c;
}

void
control_free(struct control **cp)
{
	struct control *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	listen_free(&c->listen);
	while (!TAILQ_EMPTY(&c->callers))
		caller_free(TAILQ_FIRST(&c->callers));
	free(c);
}

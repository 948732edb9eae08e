/*
 * Starts the roles, and starts anew what dies: after 0.1 s, doubling to 10 s,
 * back to 0.1 s after a good minute.  Before the first "ready" a role that
 * gives up by itself (a queue of a newer version, a second daemon) ends the
 * program, for its error is the administrator's to see.
 *
 * Ending: listener and delivery finish what is in flight, queue ends when
 * both have, auth last; what is not done within 10 s is killed, and goes on
 * after the next start.
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "monitor/kerberos.h"
#include "monitor/token.h"

#define BACKOFF_FIRST 100
#define BACKOFF_MOST 10000
#define GOOD_RUN 60000
#define STOP_LIMIT 9500		/* all is over within 10 s */

static void process_begin(void *arg);

static struct process *
process_new(struct monitor *m, enum role role)
{
	struct process *p = mem_zalloc(sizeof(*p));

	p->m = m;
	p->role = role;
	p->slot = m->last_slot++;
	p->backoff = BACKOFF_FIRST;
	loop_timer_init(&p->again, process_begin, p);
	TAILQ_INSERT_TAIL(&m->processes, p, link);
	return p;
}

static void
process_free(struct process *p)
{
	loop_timer_cancel(p->m->loop, &p->again);
	port_free(&p->port);
	TAILQ_REMOVE(&p->m->processes, p, link);
	free(p);
}

/* Not started, or ended: sees to it that it is tried again. */
static void
process_later(struct process *p)
{
	p->state = PROCESS_WAITING;
	loop_timer_set(p->m->loop, &p->again, p->backoff);
	p->backoff *= 2;
	if (p->backoff > BACKOFF_MOST)
		p->backoff = BACKOFF_MOST;
}

static void
process_begin(void *arg)
{
	struct process *p = arg;
	struct monitor *m = p->m;
	struct err e = { 0, "" };

	if (m->stopping)
		return;
	if (process_spawn(p, &e) < 0 || process_equip(p, &e) < 0) {
		log_msg(LL_ERROR, "monitor", "cannot start %s: %s",
		    role_name(p->role), e.text);
		if (p->pid > 0)
			kill(p->pid, SIGKILL);	/* comes back as a death */
		else if (!m->ready)
			supervise_stop(m, 1);	/* p may be gone now */
		else
			process_later(p);
	}
	supervise_tell_status(m);
}

#define ALL_BUT_QUEUE (CONF_AUTH | CONF_DELIVERY | CONF_LISTENER)

/* roles: a mask of enum conf_role */
static void
start_set(struct monitor *m, unsigned roles)
{
	unsigned i;

	/* queue first, so that its peers find it */
	if ((roles & CONF_QUEUE) != 0)
		process_begin(process_new(m, ROLE_QUEUE));
	if ((roles & CONF_AUTH) != 0)
		process_begin(process_new(m, ROLE_AUTH));
	for (i = 0; (roles & CONF_DELIVERY) && i < m->conf->deliveries; i++)
		process_begin(process_new(m, ROLE_DELIVERY));
	for (i = 0; (roles & CONF_LISTENER) && i < m->conf->listeners; i++)
		process_begin(process_new(m, ROLE_LISTENER));
}

void
supervise_start(struct monitor *m)
{
	start_set(m, CONF_QUEUE | ALL_BUT_QUEUE);
}

static void
drain(struct process *p)
{
	if (p->state == PROCESS_WAITING) {
		process_free(p);
		return;
	}
	p->state = PROCESS_DRAINING;
	if (p->port != NULL)
		port_send(p->port, MSG_ROLE_DRAIN, 0, slice_of("", 0));
}

static size_t
count(const struct monitor *m, enum role role)
{
	const struct process *p;
	size_t n = 0;

	TAILQ_FOREACH(p, &m->processes, link)
		n += p->role == role && p->pid > 0;
	return n;
}

static void
drain_all(struct monitor *m, enum role role, const struct process *but)
{
	struct process *p, *next;

	for (p = TAILQ_FIRST(&m->processes); p != NULL && p != but; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->role == role && p->state != PROCESS_DRAINING)
			drain(p);
	}
}

static void
tell_queue_view(struct monitor *m)
{
	struct process *p;
	struct err e;

	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->role == ROLE_QUEUE && p->port != NULL &&
		    process_tell_view(p, &e) < 0)
			log_msg(LL_ERROR, "monitor", "view of queue: %s",
			    e.text);
	}
}

/* The old ones finish what they have; queue swaps its view. */
void
supervise_renew(struct monitor *m, unsigned roles)
{
	struct process *last = TAILQ_LAST(&m->processes, process_list);
	struct process *first_new;

	/* Exchanges of listener and delivery with auth end with the auth
	 * that they began with; and queue tries what a credential has
	 * parked. */
	if ((roles & CONF_AUTH) != 0)
		roles |= CONF_QUEUE | ALL_BUT_QUEUE;
	if ((roles & CONF_QUEUE) != 0)
		tell_queue_view(m);
	start_set(m, roles & ALL_BUT_QUEUE);
	first_new = TAILQ_NEXT(last, link);
	if ((roles & CONF_LISTENER) != 0)
		drain_all(m, ROLE_LISTENER, first_new);
	if ((roles & CONF_DELIVERY) != 0)
		drain_all(m, ROLE_DELIVERY, first_new);
	if ((roles & CONF_AUTH) != 0)
		drain_all(m, ROLE_AUTH, first_new);
	supervise_tell_status(m);
}

void
supervise_reload(struct monitor *m)
{
	supervise_renew(m, CONF_QUEUE | ALL_BUT_QUEUE);
}

/* In the background: who started us is told, and whoever waits for the end of
 * our output need not any more. */
static void
leave_caller(struct monitor *m)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		close(null);
	}
	(void)!write(m->ready_pipe, "", 1);
	close(m->ready_pipe);
	m->ready_pipe = -1;
}

/* All but those that a reload has replaced. */
static bool
all_ready(const struct monitor *m)
{
	const struct process *p;

	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->state != PROCESS_READY && p->state != PROCESS_DRAINING)
			return false;
	}
	return true;
}

void
supervise_ready(struct monitor *m)
{
	if (m->stopping || (m->ready && !m->reloading) || !all_ready(m))
		return;
	if (m->ready) {
		m->reloading = false;
		notify_systemd("READY=1");
		return;
	}
	m->ready = true;
	log_msg(LL_INFO, "ready", "smarthostd is ready, hostname %s",
	    m->conf->hostname);
	log_flush();
	printf("smarthostd: ready\n");
	fflush(stdout);
	notify_systemd("READY=1");
	drop_start(m);
	if (m->ready_pipe >= 0)
		leave_caller(m);
}

void
supervise_tell_status(struct monitor *m)
{
	struct msg_status *s = mem_zalloc(sizeof(*s));
	struct strbuf b = STRBUF_INIT;
	struct process *p;

	s->started = m->started;
	s->pid = (uint32_t)getpid();
	TAILQ_FOREACH(p, &m->processes, link) {
		struct msg_status_role *r;

		if (s->n_roles == sizeof(s->role) / sizeof(s->role[0]))
			break;
		r = &s->role[s->n_roles++];
		r->role = (uint8_t)p->role;
		r->slot = p->slot;
		r->pid = (uint32_t)p->pid;
		r->restarts = p->restarts;
		r->started = p->started;
	}
	msg_status_encode(&b, s);
	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->role == ROLE_QUEUE && p->port != NULL)
			port_send(p->port, MSG_STATUS, 0, strbuf_slice(&b));
	}
	strbuf_free(&b);
	free(s);
}

/* ---- the end ---- */

static void
stop_next(struct monitor *m)
{
	if (count(m, ROLE_LISTENER) + count(m, ROLE_DELIVERY) +
	    count(m, ROLE_QUEUE) == 0)
		drain_all(m, ROLE_AUTH, NULL);
	if (TAILQ_EMPTY(&m->processes))
		loop_stop(m->loop);
}

void
supervise_stop(struct monitor *m, int status)
{
	if (m->stopping)
		return;
	m->stopping = true;
	m->status = status;
	notify_systemd("STOPPING=1");
	drain_all(m, ROLE_LISTENER, NULL);
	drain_all(m, ROLE_DELIVERY, NULL);
	drain_all(m, ROLE_QUEUE, NULL);
	loop_timer_set(m->loop, &m->stop_timer, STOP_LIMIT);
	stop_next(m);
}

void
supervise_kill(struct monitor *m)
{
	struct process *p;

	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->pid > 0) {
			log_msg(LL_WARN, "monitor", "%s did not end in time, "
			    "what it had in flight goes on after the next "
			    "start", role_name(p->role));
			kill(p->pid, SIGKILL);
		}
	}
}

int
supervise_accused(struct process *by, struct slice data, struct err *e)
{
	struct msg_peer bad;
	struct process *p;

	if (msg_peer_decode(data, &bad) < 0 || (bad.role != ROLE_LISTENER &&
	    bad.role != ROLE_DELIVERY && bad.role != ROLE_AUTH))
		return err_set(e, EPROTO, "a complaint that is garbage");
	TAILQ_FOREACH(p, &by->m->processes, link) {
		if (p->role != bad.role || p->slot != bad.slot || p->pid == 0)
			continue;
		log_msg(LL_ERROR, "role", "%s (pid %d): %s cannot work with "
		    "it, killing it", role_name(p->role), (int)p->pid,
		    role_name(by->role));
		kill(p->pid, SIGKILL);
	}
	return 0;
}

static void
tell_death(const struct process *p, int status)
{
	bool expected = p->state == PROCESS_DRAINING && status == 0;

	if (WIFSIGNALED(status))
		log_msg(LL_ERROR, "role", "%s (pid %d) was ended by signal %d"
		    "%s", role_name(p->role), (int)p->pid, WTERMSIG(status),
		    p->m->stopping ? "" : ", starting it anew");
	else
		log_msg(expected ? LL_DEBUG : LL_ERROR, "role",
		    "%s (pid %d) ended with status %d", role_name(p->role),
		    (int)p->pid, WEXITSTATUS(status));
}

void
supervise_child(struct monitor *m, pid_t pid, int status)
{
	struct process *p;

	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->pid == pid)
			break;
	}
	if (p == NULL)
		return;
	tell_death(p, status);
	port_free(&p->port);
	p->pid = 0;
	if (p->role == ROLE_QUEUE)
		local_job_forget(m);
	if (p->role == ROLE_AUTH) {
		token_forget(m, p->slot);
		kerberos_forget(m, p->slot);
	}
	if (m->stopping || p->state == PROCESS_DRAINING) {
		process_free(p);
		if (m->stopping)
			stop_next(m);
		return;
	}
	if (!m->ready && WIFEXITED(status)) {
		process_free(p);
		supervise_stop(m, WEXITSTATUS(status) != 0 ?
		    WEXITSTATUS(status) : 1);
		return;
	}
	if (clock_mono_ms() - p->started_mono >= GOOD_RUN)
		p->backoff = BACKOFF_FIRST;
	p->restarts++;
	process_later(p);
	supervise_tell_status(m);
}

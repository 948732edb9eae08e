/*
 * Deliveries on this machine: queue sends (transport, sender, recipient,
 * message), and libexec/local is run for it as the user concerned, with an
 * argument list, a clean environment, no descriptor but the message and a
 * time limit.  Its exit status (sysexits) and its first words go back.  Never
 * as root.
 */
#include <sys/wait.h>

#include <errno.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "monitor/monitor.h"

#define LOCAL_LIMIT 300000	/* ms */

struct local_job {
	TAILQ_ENTRY(local_job) link;
	struct monitor *m;
	uint64_t ref;
	pid_t pid;
	int out;			/* what it says */
	struct loop_fd watch;
	struct loop_timer limit;
	bool exited, closed, late;
	int status;
	struct msg_local_done done;
	size_t said;
};

struct local_plan {			/* what is to be run */
	struct identity who;
	struct strbuf path;		/* of the maildir */
};

static void
answer(struct monitor *m, uint64_t ref, const struct msg_local_done *d)
{
	struct strbuf b = STRBUF_INIT;
	struct process *p;

	msg_local_done_encode(&b, d);
	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->role == ROLE_QUEUE && p->port != NULL)
			port_send_reply(p->port, MSG_LOCAL_DONE, ref,
			    strbuf_slice(&b));
	}
	strbuf_free(&b);
}

static void
job_free(struct local_job *j)
{
	TAILQ_REMOVE(&j->m->locals, j, link);
	loop_timer_cancel(j->m->loop, &j->limit);
	if (j->out >= 0) {
		loop_fd_del(&j->watch);
		close(j->out);
	}
	free(j);
}

static void
job_end(struct local_job *j)
{
	if (!j->exited || !j->closed)
		return;
	if (j->late) {
		j->done.exit_status = EX_TEMPFAIL;
		snprintf(j->done.text, sizeof(j->done.text), "the delivery "
		    "program did not end within %d s", LOCAL_LIMIT / 1000);
	} else if (WIFEXITED(j->status))
		j->done.exit_status = (uint8_t)WEXITSTATUS(j->status);
	else {
		j->done.exit_status = EX_TEMPFAIL;
		snprintf(j->done.text, sizeof(j->done.text), "the delivery "
		    "program was ended by signal %d", WTERMSIG(j->status));
	}
	answer(j->m, j->ref, &j->done);
	job_free(j);
}

static void
job_reads(void *arg, unsigned what)
{
	struct local_job *j = arg;
	size_t room = sizeof(j->done.text) - 1 - j->said;
	char spare[512];
	ssize_t n;

	(void)what;
	n = read(j->out, room > 0 ? j->done.text + j->said : spare,
	    room > 0 ? room : sizeof(spare));
	if (n > 0) {
		j->said += room > 0 ? (size_t)n : 0;
		return;
	}
	while (j->said > 0 && j->done.text[j->said - 1] == '\n')
		j->done.text[--j->said] = 0;
	loop_fd_del(&j->watch);
	close(j->out);
	j->out = -1;
	j->closed = true;
	job_end(j);
}

static void
job_late(void *arg)
{
	struct local_job *j = arg;

	j->late = true;
	kill(-j->pid, SIGKILL);
}

/* %u, %d and a leading ~ of a maildir's path. */
static int
plan_maildir(struct monitor *m, const struct conf_transport *t,
    const char *recipient, struct local_plan *plan, struct msg_local_done *d)
{
	const char *at = strrchr(recipient, '@'), *p = t->maildir;
	char user[256], home[4096] = "";
	size_t n = at != NULL ? (size_t)(at - recipient) : strlen(recipient);
	bool known;

	d->exit_status = EX_NOUSER;
	snprintf(d->text, sizeof(d->text), "unknown user");
	if (n == 0 || n >= sizeof(user) || recipient[0] == '-' ||
	    recipient[0] == '.' || memchr(recipient, '/', n) != NULL)
		return -1;
	memcpy(user, recipient, n);
	user[n] = 0;
	plan->who = m->who[ROLE_QUEUE];
	known = (p[0] == '~' || strstr(p, "%u") != NULL) &&
	    identity_user(user, &plan->who, home, sizeof(home));
	if (p[0] == '~' && !known)
		return -1;
	if (known)
		plan->who.change = geteuid() == 0;
	if (plan->who.uid == 0 && geteuid() == 0) {
		d->exit_status = EX_NOPERM;
		snprintf(d->text, sizeof(d->text), "nothing is delivered as "
		    "root: give root's mail to somebody by an alias");
		return -1;
	}
	if (known && !plan->who.change && plan->who.uid != geteuid()) {
		/* Not root: only the own user's home can be written. */
		plan->who = m->who[ROLE_QUEUE];
		if (p[0] == '~')
			return -1;
	}
	if (p[0] == '~') {
		strbuf_puts(&plan->path, home);
		p++;
	}
	for (; *p != 0; p++) {
		if (p[0] == '%' && p[1] == 'u')
			strbuf_puts(&plan->path, user), p++;
		else if (p[0] == '%' && p[1] == 'd')
			strbuf_puts(&plan->path, at != NULL ? at + 1 : ""),
			    p++;
		else
			strbuf_putc(&plan->path, *p);
	}
	return 0;
}

/* In the child. */
static void
child_exec(const char *program, const struct local_plan *plan, int in,
    int out)
{
	char *argv[] = { (char *)(uintptr_t)"local",
	    (char *)(uintptr_t)"maildir", plan->path.p, NULL };
	char *envp[] = { (char *)(uintptr_t)"PATH=/usr/bin:/bin", NULL };
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0)
		_exit(EX_OSERR);
	close_range(3, ~0U, 0);
	if (identity_become(&plan->who) < 0)
		_exit(EX_TEMPFAIL);
	execve(program, argv, envp);
	_exit(EX_TEMPFAIL);
}

static int
job_spawn(struct local_job *j, const struct local_plan *plan, int in)
{
	char *program = mem_printf("%s/local", j->m->libexec);
	int out[2], rc = -1;

	j->out = -1;
	if (pipe2(out, O_CLOEXEC) == 0) {
		log_flush();
		j->pid = fork();
		if (j->pid == 0)
			child_exec(program, plan, in, out[1]);
		close(out[1]);
		if (j->pid > 0) {
			j->out = out[0];
			fs_set_nonblock(j->out, 1);
			loop_fd_init(j->m->loop, &j->watch, j->out, job_reads,
			    j);
			loop_fd_want(&j->watch, LOOP_READ);
			loop_timer_init(&j->limit, job_late, j);
			loop_timer_set(j->m->loop, &j->limit, LOCAL_LIMIT);
			rc = 0;
		} else
			close(out[0]);
	}
	free(program);
	return rc;
}

/* -1 with *d: it cannot be begun. */
static int
job_begin(struct monitor *m, uint64_t ref, const struct msg_local *l, int fd,
    struct msg_local_done *d)
{
	size_t i = conf_transport_find(m->conf, l->transport);
	struct local_plan plan = { .path = STRBUF_INIT };
	struct local_job *j;
	int rc = -1;

	d->exit_status = EX_TEMPFAIL;
	if (i == SIZE_MAX ||
	    m->conf->transports[i].kind != TRANSPORT_MAILDIR) {
		snprintf(d->text, sizeof(d->text), "transport %.200s is not "
		    "there any more", l->transport);
		return -1;
	}
	if (plan_maildir(m, &m->conf->transports[i], l->recipient, &plan,
	    d) < 0)
		goto out;
	j = mem_zalloc(sizeof(*j));
	j->m = m;
	j->ref = ref;
	TAILQ_INSERT_TAIL(&m->locals, j, link);
	if (job_spawn(j, &plan, fd) < 0) {
		d->exit_status = EX_TEMPFAIL;
		snprintf(d->text, sizeof(d->text), "cannot start the delivery "
		    "program");
		job_free(j);
		goto out;
	}
	rc = 0;
out:
	strbuf_free(&plan.path);
	return rc;
}

int
local_job_start(struct monitor *m, struct process *queue,
    struct port_message *msg, struct err *e)
{
	struct msg_local_done d = { 0, "" };
	struct msg_local l;
	int fd = msg->fd;

	(void)queue;
	if (msg_local_decode(msg->data, &l) < 0) {
		if (fd >= 0)
			close(fd);
		return err_set(e, EPROTO, "a local delivery is garbage");
	}
	if (fd < 0) {
		d.exit_status = EX_TEMPFAIL;
		snprintf(d.text, sizeof(d.text), "no descriptor left");
		answer(m, msg->ref, &d);
	} else if (job_begin(m, msg->ref, &l, fd, &d) < 0)
		answer(m, msg->ref, &d);
	if (fd >= 0)
		close(fd);
	msg_local_clear(&l);
	return 0;
}

bool
local_job_child(struct monitor *m, pid_t pid, int status)
{
	struct local_job *j;

	TAILQ_FOREACH(j, &m->locals, link) {
		if (j->pid != pid)
			continue;
		j->exited = true;
		j->status = status;
		job_end(j);
		return true;
	}
	return false;
}

/* Their results have nobody to go to; the programs run to their end. */
void
local_job_forget(struct monitor *m)
{
	struct local_job *j;

	while ((j = TAILQ_FIRST(&m->locals)) != NULL)
		job_free(j);
}

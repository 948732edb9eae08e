/*
 * Programs of libexec, and commands of the configuration, that do work as a
 * user: started with an argument list, no descriptor but their input and
 * pipes for what they say, no environment but PATH (commands: and who they
 * are), in a session of their own, and killed with all of it when the time is
 * up.
 */
#include "monitor/run_command.h"

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

struct run {
	TAILQ_ENTRY(run) link;
	struct monitor *m;
	pid_t pid;
	int out;			/* what it says; -1: closed */
	struct loop_fd watch;
	struct loop_timer limit;
	bool exited, late;
	int status;
	char text[512];
	size_t said;
	run_done *done;
	void *arg;
	/* a command's: */
	run_result *result;
	int data_fd;			/* -1: closed */
	struct loop_fd data_watch;
	char *data;
	size_t data_n, data_max;
};

static void
run_free(struct run *r)
{
	TAILQ_REMOVE(&r->m->runs, r, link);
	loop_timer_cancel(r->m->loop, &r->limit);
	if (r->out >= 0) {
		loop_fd_del(&r->watch);
		close(r->out);
	}
	if (r->data_fd >= 0) {
		loop_fd_del(&r->data_watch);
		close(r->data_fd);
	}
	if (r->data != NULL)
		mem_wipe(r->data, r->data_max);
	free(r->data);
	free(r);
}

/* The last line, printable: what a program says first is often a remark. */
static void
last_line(char *text)
{
	char *nl = strrchr(text, '\n'), *p;

	if (nl != NULL)
		memmove(text, nl + 1, strlen(nl + 1) + 1);
	for (p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
}

static void
run_tell(struct run *r, uint8_t status)
{
	run_result *result = r->result;
	void *arg = r->arg;
	char *data = r->data, text[sizeof(r->text)];
	size_t n = r->data_n, max = r->data_max;

	if (!r->late)
		last_line(r->text);
	memcpy(text, r->text, sizeof(text));
	r->data = NULL;
	run_free(r);
	result(arg, status, slice_of(data, n), text);
	mem_wipe(data, max);
	free(data);
}

static void
run_end(struct run *r)
{
	run_done *done = r->done;
	void *arg = r->arg;
	char text[sizeof(r->text)];
	uint8_t status = EX_TEMPFAIL;

	/* What a command left running in the background may hold its standard
	 * error open; its result is there all the same. */
	if (!r->exited || r->data_fd >= 0 || (r->out >= 0 && !r->late &&
	    r->result == NULL))
		return;
	if (r->late)
		snprintf(r->text, sizeof(r->text), "the program did not end "
		    "in time");
	else if (WIFEXITED(r->status))
		status = (uint8_t)WEXITSTATUS(r->status);
	else
		snprintf(r->text, sizeof(r->text), "the program was ended by "
		    "signal %d", WTERMSIG(r->status));
	if (r->result != NULL) {
		run_tell(r, status);
		return;
	}
	memcpy(text, r->text, sizeof(text));
	run_free(r);
	done(arg, status, text);
}

static void
run_reads(void *arg, unsigned what)
{
	struct run *r = arg;
	size_t room = sizeof(r->text) - 1 - r->said;
	char spare[512];
	ssize_t n;

	(void)what;
	n = read(r->out, room > 0 ? r->text + r->said : spare,
	    room > 0 ? room : sizeof(spare));
	if (n > 0) {
		r->said += room > 0 ? (size_t)n : 0;
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	while (r->said > 0 && r->text[r->said - 1] == '\n')
		r->text[--r->said] = 0;
	loop_fd_del(&r->watch);
	close(r->out);
	r->out = -1;
	run_end(r);
}

static void
run_late(void *arg)
{
	struct run *r = arg;

	r->late = true;
	kill(-r->pid, SIGKILL);
}

/* Between fork and exec: only what is safe there. */
static void
child_exec(const char *path, char *const argv[], const struct identity *who,
    int in, int out)
{
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
	if (identity_become(who) < 0)
		_exit(EX_TEMPFAIL);
	execve(path, argv, envp);
	_exit(EX_TEMPFAIL);
}

struct run *
run_start(struct monitor *m, const struct identity *who, char *const argv[],
    int in, uint64_t limit_ms, run_done *done, void *arg)
{
	char *path = mem_printf("%s/%s", m->libexec, argv[0]);
	struct run *r = NULL;
	int out[2] = { -1, -1 };
	pid_t pid = -1;

	if (pipe2(out, O_CLOEXEC) == 0) {
		log_flush();
		pid = fork();
		if (pid == 0)
			child_exec(path, argv, who, in, out[1]);
		close(out[1]);
		if (pid < 0)
			close(out[0]);
	}
	free(path);
	if (pid < 0)
		return NULL;
	r = mem_zalloc(sizeof(*r));
	r->m = m;
	r->pid = pid;
	r->out = out[0];
	r->done = done;
	r->arg = arg;
	fs_set_nonblock(r->out, 1);
	loop_fd_init(m->loop, &r->watch, r->out, run_reads, r);
	loop_fd_want(&r->watch, LOOP_READ);
	loop_timer_init(&r->limit, run_late, r);
	loop_timer_set(m->loop, &r->limit, limit_ms);
	TAILQ_INSERT_TAIL(&m->runs, r, link);
	return r;
}

void
run_forget(struct run *r)
{
	run_free(r);
}

bool
run_child(struct monitor *m, pid_t pid, int status)
{
	struct run *r;

	TAILQ_FOREACH(r, &m->runs, link) {
		if (r->pid != pid)
			continue;
		r->exited = true;
		r->status = status;
		run_end(r);
		return true;
	}
	return false;
}

void
run_forget_all(struct monitor *m)
{
	while (!TAILQ_EMPTY(&m->runs))
		run_free(TAILQ_FIRST(&m->runs));
}

/*
 * Programs of libexec, and commands of the configuration, that work as a
 * user: started with an argument list, no descriptor but their input (and one
 * that a helper is given) and pipes for what they say, hardly any environment,
 * in a session of their own, and killed with all of it when the time is up.
 *
 * A run is over when its program is: what a child of it that is still there
 * may say later is nobody's.
 */
#include "monitor/run_command.h"

#include <sys/stat.h>
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
#include "conf/command_line.h"

#define SAID_MAX 512			/* octets */
#define ENV_MAX 8			/* what a command gets beside its own */

/* What comes through a pipe, its first max - 1 octets. */
struct run_pipe {
	int fd;				/* -1: closed */
	struct loop_fd watch;
	char *p;			/* ends in NUL */
	size_t n, max;
};

struct run {
	TAILQ_ENTRY(run) link;
	struct monitor *m;
	pid_t pid;
	struct run_pipe out;		/* commands: their result */
	struct run_pipe said;
	struct loop_timer limit;
	bool late, stays;
	run_done *done;			/* programs of libexec */
	run_result *result;		/* commands */
	void *arg;
};

/* ---- pipes ---- */

static void
pipe_close(struct run_pipe *p)
{
	if (p->fd < 0)
		return;
	loop_fd_del(&p->watch);
	close(p->fd);
	p->fd = -1;
}

/* False: nothing is there now, or nothing more will come. */
static bool
pipe_read(struct run_pipe *p)
{
	size_t room = p->max - 1 - p->n;
	char spare[16384];
	ssize_t n;

	n = read(p->fd, room > 0 ? p->p + p->n : spare,
	    room > 0 ? room : sizeof(spare));
	if (n > 0) {
		p->n += room > 0 ? (size_t)n : 0;
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		pipe_close(p);
	return false;
}

static void
pipe_reads(void *arg, unsigned what)
{
	(void)what;
	pipe_read(arg);
}

/* ends[0] is taken. */
static void
pipe_open(struct run *r, struct run_pipe *p, int ends[2], size_t max)
{
	p->fd = ends[0];
	p->max = max;
	p->p = mem_zalloc(max);
	fs_set_nonblock(p->fd, 1);
	loop_fd_init(r->m->loop, &p->watch, p->fd, pipe_reads, p);
	loop_fd_want(&p->watch, LOOP_READ);
}

static void
pipe_free(struct run_pipe *p)
{
	pipe_close(p);
	if (p->p != NULL)
		mem_wipe(p->p, p->max);
	free(p->p);
}

/* All that the program wrote is in there by now.  A child of it may go on
 * writing for ever: what a pipe holds, and no more. */
static void
pipe_finish(struct run_pipe *p)
{
	unsigned n = 0;

	while (p->fd >= 0 && n++ < 256 && pipe_read(p))
		;
	pipe_close(p);
}

/* ---- the end ---- */

static void
run_free(struct run *r)
{
	TAILQ_REMOVE(&r->m->runs, r, link);
	loop_timer_cancel(r->m->loop, &r->limit);
	pipe_free(&r->out);
	pipe_free(&r->said);
	free(r);
}

/* The last line alone: what comes before it is often a remark. */
static const char *
last_line(char *text)
{
	char *nl = strrchr(text, '\n'), *p;

	for (p = text; *p != '\0'; p++) {
		if (p != nl && ((unsigned char)*p < ' ' || *p == 0x7f))
			*p = ' ';
	}
	return nl != NULL ? nl + 1 : text;
}

static void
run_end(struct run *r, int status)
{
	char *text = r->said.p;
	uint8_t code = EX_TEMPFAIL;

	pipe_finish(&r->out);
	pipe_finish(&r->said);
	while (r->said.n > 0 && text[r->said.n - 1] == '\n')
		text[--r->said.n] = '\0';
	if (r->late)
		snprintf(text, SAID_MAX, "the program did not end in time");
	else if (WIFEXITED(status))
		code = (uint8_t)WEXITSTATUS(status);
	else
		snprintf(text, SAID_MAX, "the program was ended by signal %d",
		    WTERMSIG(status));
	/* Whoever is told may start another one, but not touch this one. */
	if (r->result != NULL)
		r->result(r->arg, code, slice_of(r->out.p, r->out.n),
		    last_line(text));
	else if (r->done != NULL)
		r->done(r->arg, code, text);
	run_free(r);
}

void
run_kill(struct run *r)
{
	/* It may be on its way to a session of its own. */
	if (kill(-r->pid, SIGKILL) < 0)
		kill(r->pid, SIGKILL);
}

static void
run_late(void *arg)
{
	struct run *r = arg;

	r->late = true;
	kill(-r->pid, SIGKILL);
}

/* ---- the beginning ---- */

struct plan {
	const char *path;
	char *const *argv;
	char *const *envp;
	int in, out, said;		/* descriptors; out -1: as said */
	const char *dir;		/* NULL: where monitor is */
	int more;			/* becomes 3; 0: nothing does */
};

static int
keep_as_3(int fd)
{
	/* dup2 onto itself would keep close-on-exec */
	if (fd == 3)
		fs_set_cloexec(fd, 0);
	else if (dup2(fd, 3) < 0)
		return -1;
	close_range(4, ~0U, 0);
	return 0;
}

static void
child_exec(const struct plan *p, const struct identity *who)
{
	sigset_t none;
	int sig;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Whatever we, or who started us, had ignored. */
	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	if (dup2(p->in, STDIN_FILENO) < 0 ||
	    dup2(p->out >= 0 ? p->out : p->said, STDOUT_FILENO) < 0 ||
	    dup2(p->said, STDERR_FILENO) < 0)
		_exit(EX_OSERR);
	if (p->more == 0)
		close_range(3, ~0U, 0);
	else if (keep_as_3(p->more) < 0)
		_exit(EX_OSERR);
	/* monitor has one thread: all of libc may be used here. */
	if (identity_become(who) < 0)
		dprintf(STDERR_FILENO, "cannot become user %s: %s", who->name,
		    strerror(errno));
	else {
		if (p->dir != NULL) {
			umask(077);
			if (chdir(p->dir) < 0 && chdir("/") < 0)
				_exit(EX_OSERR);
		}
		execve(p->path, p->argv, p->envp);
		dprintf(STDERR_FILENO, "cannot run %s: %s", p->path,
		    strerror(errno));
	}
	_exit(EX_TEMPFAIL);
}

/* out_max 0: what it writes is all for people; limit_ms 0: no limit. */
static struct run *
launch(struct monitor *m, const struct identity *who, struct plan *p,
    size_t out_max, uint64_t limit_ms)
{
	int out[2] = { -1, -1 }, said[2] = { -1, -1 };
	struct run *r = NULL;
	pid_t pid = -1;

	if (pipe2(said, O_CLOEXEC) == 0 &&
	    (out_max == 0 || pipe2(out, O_CLOEXEC) == 0)) {
		p->out = out[1];
		p->said = said[1];
		log_flush();
		pid = fork();
		if (pid == 0)
			child_exec(p, who);
	}
	if (said[1] >= 0)
		close(said[1]);
	if (out[1] >= 0)
		close(out[1]);
	if (pid < 0) {
		if (said[0] >= 0)
			close(said[0]);
		if (out[0] >= 0)
			close(out[0]);
		return NULL;
	}
	r = mem_zalloc(sizeof(*r));
	r->m = m;
	r->pid = pid;
	r->out.fd = -1;
	if (out_max > 0)
		pipe_open(r, &r->out, out, out_max);
	pipe_open(r, &r->said, said, SAID_MAX);
	loop_timer_init(&r->limit, run_late, r);
	if (limit_ms > 0)
		loop_timer_set(m->loop, &r->limit, limit_ms);
	TAILQ_INSERT_TAIL(&m->runs, r, link);
	return r;
}

struct run *
run_start(struct monitor *m, const struct identity *who, char *const argv[],
    int in, uint64_t limit_ms, run_done *done, void *arg)
{
	char *envp[] = { (char *)(uintptr_t)"PATH=/usr/bin:/bin", NULL };
	char *path = mem_printf("%s/%s", m->libexec, argv[0]);
	struct plan p = { path, argv, envp, in, -1, -1, NULL, 0 };
	struct run *r = launch(m, who, &p, 0, limit_ms);

	if (r != NULL) {
		r->done = done;
		r->arg = arg;
	}
	free(path);
	return r;
}

struct run *
run_start_delivery(struct monitor *m, const struct identity *who,
    const struct run_delivery *d, run_done *done, void *arg)
{
	struct plan p = { d->path, d->argv, d->envp, d->in, -1, -1, d->dir, 0 };
	struct run *r = launch(m, who, &p, 0, d->limit_ms);

	if (r != NULL) {
		r->done = done;
		r->arg = arg;
	}
	return r;
}

/* PATH and whose environment it is, then what is added. */
struct environment {
	char *v[5 + ENV_MAX];		/* the first and the added: borrowed */
};

static void
environment_make(struct environment *e, const struct identity *who,
    const char *home, char *const *more)
{
	size_t n = 0;

	memset(e, 0, sizeof(*e));
	e->v[n++] = (char *)(uintptr_t)"PATH=" CONF_COMMAND_PATH;
	e->v[n++] = mem_printf("HOME=%s", home);
	e->v[n++] = mem_printf("USER=%s", who->name);
	e->v[n++] = mem_printf("LOGNAME=%s", who->name);
	while (more != NULL && *more != NULL && n < 4 + ENV_MAX)
		e->v[n++] = *more++;
}

static void
environment_clear(struct environment *e)
{
	size_t i;

	for (i = 1; i < 4; i++)
		free(e->v[i]);
}

struct run *
run_start_command(struct monitor *m, const struct identity *who,
    const struct run_command *c, run_result *result, void *arg)
{
	struct environment e;
	struct plan p = { c->path, c->argv, e.v, -1, -1, -1, NULL, 0 };
	struct run *r = NULL;

	environment_make(&e, who, c->home, c->env);
	p.in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (p.in >= 0) {
		r = launch(m, who, &p, c->max, c->limit_ms);
		close(p.in);
	}
	if (r != NULL) {
		r->result = result;
		r->arg = arg;
	}
	environment_clear(&e);
	return r;
}

struct run *
run_start_helper(struct monitor *m, const struct identity *who,
    const struct run_helper *h, run_done *done, void *arg)
{
	struct environment e;
	struct plan p = { h->path, h->argv, e.v, h->in, -1, -1, "/",
	    h->more >= 0 ? h->more : 0 };
	struct run *r;

	environment_make(&e, who, h->home, h->env);
	r = launch(m, who, &p, 0, 0);
	if (r != NULL) {
		r->done = done;
		r->arg = arg;
		r->stays = true;
	}
	environment_clear(&e);
	return r;
}

void
run_forget(struct run *r)
{
	run_free(r);
}

void
run_leave(struct run *r)
{
	r->done = NULL;
	r->result = NULL;
}

bool
run_child(struct monitor *m, pid_t pid, int status)
{
	struct run *r;

	TAILQ_FOREACH(r, &m->runs, link) {
		if (r->pid == pid) {
			run_end(r, status);
			return true;
		}
	}
	return false;
}

size_t
run_count(const struct monitor *m)
{
	const struct run *r;
	size_t n = 0;

	TAILQ_FOREACH(r, &m->runs, link)
		n += !r->stays;
	return n;
}

void
run_forget_all(struct monitor *m)
{
	while (!TAILQ_EMPTY(&m->runs))
		run_free(TAILQ_FIRST(&m->runs));
}

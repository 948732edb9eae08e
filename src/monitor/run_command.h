/* Running a program as somebody, with a time limit, a clean environment and
 * one descriptor as its standard input. */
#ifndef MONITOR_RUN_COMMAND_H
#define MONITOR_RUN_COMMAND_H

#include "monitor/monitor.h"

/* exit_status is of sysexits (75 where it was killed or late); text is what
 * it said first, printable or empty. */
typedef void run_done(void *arg, uint8_t exit_status, const char *text);

/* argv[0] is a program's name in libexec; the list ends in NULL.  in is
 * borrowed.  NULL: it cannot be started.  done is called once, unless the run
 * is forgotten before. */
struct run *run_start(struct monitor *m, const struct identity *who,
    char *const argv[], int in, uint64_t limit_ms, run_done *done, void *arg);

/* A program that takes a message as its standard input: all that it writes is
 * for people. */
struct run_delivery {
	const char *path;
	char *const *argv;
	char *const *envp;
	const char *dir;		/* to be in; else / */
	int in;				/* borrowed */
	uint64_t limit_ms;
};
struct run *run_start_delivery(struct monitor *m,
    const struct identity *who, const struct run_delivery *d,
    run_done *done, void *arg);

/* A command of the configuration: what it writes to standard output is the
 * result (at most max octets), errors go apart. */
struct run_command {
	const char *path;
	char *const *argv;
	const char *home;
	char *const *env;	/* further NAME=VALUE, ending in NULL; NULL */
	uint64_t limit_ms;
	size_t max;
};
/* Called once, unless the run is forgotten before; out is wiped behind the
 * call; exit_status as above; said is the last line that came by standard
 * error, printable. */
typedef void run_result(void *arg, uint8_t exit_status, struct slice out,
    const char *said);
struct run *run_start_command(struct monitor *m, const struct identity *who,
    const struct run_command *c, run_result *result, void *arg);

/* A program of libexec that works for as long as it is needed. */
struct run_helper {
	const char *path;
	char *const *argv;
	const char *home;
	char *const *env;	/* as above */
	int in;			/* its standard input; borrowed, as is */
	int more;		/* its descriptor 3; -1: it has none */
};
struct run *run_start_helper(struct monitor *m, const struct identity *who,
    const struct run_helper *h, run_done *done, void *arg);

/* How many run now; not those that work for as long as they are needed. */
size_t run_count(const struct monitor *m);
/* Kills it with all that it has started; its end is told as usual. */
void run_kill(struct run *r);
/* Its end is nobody's business any more; it runs on. */
void run_forget(struct run *r);
/* The same, but it is still listened to, and killed when its time is up. */
void run_leave(struct run *r);
/* A child has ended; false: it was none of these. */
bool run_child(struct monitor *m, pid_t pid, int status);
void run_forget_all(struct monitor *m);

#endif

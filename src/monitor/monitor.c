/*
 * Start, signals and end of the daemon.  An error at the start is told and
 * ends the program; an error in a new configuration leaves the old one.
 */
#include "monitor/monitor.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
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
#include "ipc/sandbox.h"
#include "monitor/kerberos.h"
#include "monitor/run_command.h"
#include "monitor/secret.h"
#include "monitor/token.h"
#include "monitor/start.h"

static void
on_end(void *arg, int signo)
{
	struct monitor *m = arg;

	log_msg(LL_INFO, "stopping", "signal %d: finishing what is in flight",
	    signo);
	supervise_stop(m, 0);
}

static void
on_stop_limit(void *arg)
{
	supervise_kill(arg);
}

static void
on_child(void *arg, int signo)
{
	struct monitor *m = arg;
	int status;
	pid_t pid;

	(void)signo;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!run_child(m, pid, status))
			supervise_child(m, pid, status);
	}
}

static void
on_usr1(void *arg, int signo)
{
	struct monitor *m = arg;
	struct process *p;
	struct err e;

	(void)signo;
	if (logging_open(m, &e) < 0) {
		log_msg(LL_ERROR, "log", "%s: going on with the old one",
		    e.text);
		return;
	}
	TAILQ_FOREACH(p, &m->processes, link)
		process_tell_log(p);
	log_msg(LL_INFO, "log", "opened anew");
}

/* A queue that dies would come back on another spool. */
static int
same_places(const struct conf *old, const struct conf *conf, struct err *e)
{
	if (strcmp(conf->spool_directory, old->spool_directory) == 0 &&
	    strcmp(conf->runtime_directory, old->runtime_directory) == 0)
		return 0;
	return err_set(e, -1, "spool-directory and runtime-directory change "
	    "with a restart only");
}

static void
reload(struct monitor *m)
{
	struct conf_tree *tree = NULL;
	struct socket_bound *sockets;
	struct conf *conf;
	struct err e;
	size_t n;

	conf = start_load(m->opt.file, &tree);
	if (conf == NULL) {
		log_msg(LL_ERROR, "reload", "refused, the configuration in "
		    "force goes on");
		return;
	}
	if (same_places(m->conf, conf, &e) < 0 ||
	    refresh_prepare(m, conf, tree, &e) < 0 ||
	    bind_all(m, conf, &sockets, &n, &e) < 0) {
		log_msg(LL_ERROR, "reload", "refused, the configuration in "
		    "force goes on: %s", e.text);
		conf_free(&conf);
		conf_tree_free(&tree);
		return;
	}
	bind_close(m->sockets, m->n_sockets, sockets, n);
	m->sockets = sockets;
	m->n_sockets = n;
	conf_free(&m->conf);
	conf_tree_free(&m->tree);
	m->conf = conf;
	m->tree = tree;
	if (logging_open(m, &e) < 0)
		log_msg(LL_ERROR, "reload", "%s", e.text);
	http_start(m);
	supervise_reload(m);
	refresh_start(m);
	log_msg(LL_INFO, "reload", "the new configuration is in force");
}

static void
on_hup(void *arg, int signo)
{
	struct monitor *m = arg;

	(void)signo;
	if (m->stopping || !m->ready)
		return;
	m->reloading = true;
	notify_reloading();
	reload(m);
	supervise_ready(m);
}

static void
watch_signals(struct monitor *m)
{
	loop_signal_set(m->loop, &m->on_term, SIGTERM, on_end, m);
	loop_signal_set(m->loop, &m->on_int, SIGINT, on_end, m);
	loop_signal_set(m->loop, &m->on_hup, SIGHUP, on_hup, m);
	loop_signal_set(m->loop, &m->on_usr1, SIGUSR1, on_usr1, m);
	loop_signal_set(m->loop, &m->on_child, SIGCHLD, on_child, m);
}

static void
raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void
monitor_clear(struct monitor *m)
{
	loop_timer_cancel(m->loop, &m->stop_timer);
	loop_timer_cancel(m->loop, &m->watch);
	loop_signal_del(&m->on_term);
	loop_signal_del(&m->on_int);
	loop_signal_del(&m->on_hup);
	loop_signal_del(&m->on_usr1);
	loop_signal_del(&m->on_child);
	drop_stop(m);
	http_stop(m);
	refresh_stop(m);
	local_job_forget(m);
	secret_forget_all(m);
	token_forget_all(m);
	kerberos_forget_all(m);
	run_forget_all(m);
	bind_close(m->sockets, m->n_sockets, NULL, 0);
	loop_free(&m->loop);
	conf_free(&m->conf);
	conf_tree_free(&m->tree);
}

int
monitor_run(const struct options *opt, struct conf *conf,
    struct conf_tree *tree, const char *libexec, int ready_pipe)
{
	struct monitor m = { .opt = *opt, .conf = conf, .tree = tree,
	    .libexec = libexec, .lock_fd = -1, .log_fd = -1,
	    .ready_pipe = ready_pipe };
	struct err e = { 0, "" };

	TAILQ_INIT(&m.processes);
	TAILQ_INIT(&m.locals);
	TAILQ_INIT(&m.runs);
	TAILQ_INIT(&m.secrets);
	TAILQ_INIT(&m.tokens);
	TAILQ_INIT(&m.kerberos);
	raise_limits();
	umask(022);
	/* The configuration and its secrets are in this memory. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	m.loop = loop_new(&e);
	if (m.loop == NULL)
		goto fail;
	m.started = clock_real_ms();
	/* Instances make ids unique; a new start begins elsewhere. */
	m.last_instance = (uint32_t)getpid();
	loop_timer_init(&m.stop_timer, on_stop_limit, &m);
	watch_signals(&m);
	if (logging_open(&m, &e) < 0 || identity_find(&m, &e) < 0 ||
	    dirs_make(&m, &e) < 0 || dirs_lock(&m, &e) < 0 ||
	    refresh_prepare(&m, conf, tree, &e) < 0 ||
	    bind_all(&m, conf, &m.sockets, &m.n_sockets, &e) < 0) {
		log_msg(LL_ERROR, "start", "%s", e.text);
		m.status = 1;
	} else {
		sandbox_report();
		supervise_start(&m);
		http_start(&m);
		watch_start(&m);
		refresh_start(&m);
		loop_run(m.loop);
		if (m.ready)
			log_msg(LL_INFO, "stopped", "smarthostd ended");
	}
	log_flush();
	monitor_clear(&m);
	log_flush();
	return m.status;
fail:
	fprintf(stderr, "smarthostd: %s\n", e.text);
	return 1;
}

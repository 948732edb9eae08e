/*
 * smarthostd: the command line, `-n`, and going into the background.
 */
#include <sys/wait.h>

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "config.h"
#include "monitor/kerberos.h"
#include "monitor/start.h"
#include "monitor/view_check.h"

static void
usage(FILE *to)
{
	fprintf(to, "usage: smarthostd [-f FILE] [-d] [-n] [-v]\n"
	    "  -f FILE    the configuration [%s]\n"
	    "  -d         stay in the foreground\n"
	    "  -n         check the configuration and end\n"
	    "  -v         log more\n"
	    "  --help     this text\n"
	    "  --version  the version\n", CONF_FILE);
}

/* Lines of messages, each to standard error or into the log. */
static void
tell(enum log_level level, const struct strbuf *text, bool to_log)
{
	struct slice rest = strbuf_slice(text);
	long n;

	if (!to_log) {
		fwrite(rest.p, 1, rest.n, stderr);
		return;
	}
	while ((n = slice_find(rest, '\n')) >= 0) {
		log_msg(level, "configuration", "%.*s", (int)n, rest.p);
		rest = slice_skip(rest, (size_t)n + 1);
	}
}

static const char *
libexec(void)
{
	const char *dir = getenv("SMARTHOSTD_LIBEXEC");

	return dir != NULL ? dir : LIBEXECDIR;
}

/* Programs that a build, or a package, may be without. */
static size_t
check_programs(const struct conf *conf, struct strbuf *out)
{
	const struct conf_transport *t;
	struct err e = { 0, "" };
	size_t i;

	for (i = 0; i < conf->n_transports; i++) {
		t = &conf->transports[i];
		if (t->kerberos && kerberos_check(libexec(), &e) < 0)
			strbuf_printf(out, "%s:%u: kerberos: %s\n",
			    t->where.file, t->where.line, e.text);
	}
	return e.code != 0;
}

/* check: a flaw is an error. */
static struct conf *
load(const char *file, struct conf_tree **tree, bool check, bool to_log)
{
	struct conf_messages messages;
	struct conf *conf;

	memset(&messages, 0, sizeof(messages));
	conf = conf_load(file, NULL, true, tree, &messages);
	if (conf != NULL && (view_check_all(*tree, &messages.errors) +
	    check_programs(conf, &messages.errors) > 0 ||
	    (check && messages.n_flaws > 0))) {
		conf_free(&conf);
		conf_tree_free(tree);
	}
	tell(LL_ERROR, &messages.errors, to_log);
	tell(LL_ERROR, &messages.flaws, to_log);
	tell(LL_WARN, &messages.warnings, to_log);
	conf_messages_free(&messages);
	return conf;
}

struct conf *
start_load(const char *file, struct conf_tree **tree)
{
	return load(file, tree, false, true);
}

/* The parent waits until all is ready, so that a script that starts us knows
 * how it went.  Returns the child's end of the pipe, in the child. */
static int
background(void)
{
	int fds[2], status = 0, null;
	char c;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		perror("smarthostd: cannot go into the background");
		exit(EX_OSERR);
	}
	if (pid > 0) {
		close(fds[1]);
		if (read(fds[0], &c, 1) == 1)
			_exit(0);
		waitpid(pid, &status, 0);
		fprintf(stderr, "smarthostd: ended before it was ready; the "
		    "log says why, or start it with -d\n");
		_exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ?
		    WEXITSTATUS(status) : 1);
	}
	close(fds[0]);
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(EX_OSERR);
	return fds[1];
}

static int
parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "f:dnv", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->file = optarg;
			break;
		case 'd':
			o->foreground = true;
			break;
		case 'n':
			o->check_only = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'V':
			printf("smarthostd %s\n", VERSION);
			exit(0);
		default:
			usage(stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "smarthostd: unexpected argument: %s\n",
		    argv[optind]);
		usage(stderr);
		return EX_USAGE;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = { .file = CONF_FILE };
	struct conf_tree *tree = NULL;
	struct conf *conf;
	int rc, pipe_end = -1;

	rc = parse(argc, argv, &o);
	if (rc != 0)
		return rc;
	conf = load(o.file, &tree, o.check_only, false);
	if (conf == NULL) {
		if (!o.check_only)
			fprintf(stderr, "smarthostd: not started, the "
			    "configuration has errors\n");
		return EX_CONFIG;
	}
	if (o.check_only) {
		printf("configuration ok\n");
		conf_free(&conf);
		conf_tree_free(&tree);
		return 0;
	}
	fault_init();
	/* Children set their own dispositions; ours must not be inherited
	 * ignored, or the loop would never hear of them. */
	signal(SIGCHLD, SIG_DFL);
	if (!o.foreground)
		pipe_end = background();
	return monitor_run(&o, conf, tree, libexec(), pipe_end);
}

/*
 * relayctl: shows and steers the daemon by its control socket, and does what
 * can be done without it.  Exit statuses: 0 done, 1 nothing matched, unknown
 * or failed, 64 usage, 69 the daemon is not running, 77 not permitted, 78
 * configuration.
 */
#include "tools/relayctl.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#define LIST_TAKES (TAKES_SELECTORS | TAKES_JSON)
#define ACTION_TAKES (TAKES_SELECTORS | TAKES_ALL | TAKES_JSON)
#define SELECTORS "[SELECTORS | ID...]"

static const struct ctl_command commands[] = {
	{ "status", "", "the daemon at a glance", ctl_status, TAKES_JSON,
	    0, 0 },
	{ "queue list", SELECTORS, "messages that wait", ctl_queue_list,
	    LIST_TAKES | TAKES_MAILQ, 0, -1 },
	{ "queue show", "ID [--headers|--content]", "one message",
	    ctl_queue_show, TAKES_JSON | TAKES_CONTENT, 1, 1 },
	{ "queue retry", SELECTORS " | --all", "due at once",
	    ctl_queue_action, ACTION_TAKES | TAKES_MAILQ, 0, -1 },
	{ "queue hold", SELECTORS " | --all", "not tried until release",
	    ctl_queue_action, ACTION_TAKES, 0, -1 },
	{ "queue release", SELECTORS " | --all", "undoes hold",
	    ctl_queue_action, ACTION_TAKES, 0, -1 },
	{ "queue remove", SELECTORS " | --all", "gone, nobody is told",
	    ctl_queue_action, ACTION_TAKES, 0, -1 },
	{ "queue bounce", SELECTORS " | --all", "gone, the sender is told",
	    ctl_queue_action, ACTION_TAKES, 0, -1 },
	{ "queue move", "--transport NAME|auto " SELECTORS " | --all",
	    "by that transport, at once; auto: by the routes again",
	    ctl_queue_action, ACTION_TAKES | TAKES_TARGET, 0, -1 },
	{ "queue import", "DIR | --maildir DIR", "messages that are files",
	    ctl_queue_import, TAKES_MAILDIR, 0, 1 },
	{ "queue verify", "", "checks every record, body and file",
	    ctl_queue_verify, TAKES_JSON, 0, 0 },
	{ "queue backup", "FILE", "the whole queue as a tar archive",
	    ctl_queue_backup, 0, 1, 1 },
	{ "history", "[SELECTORS | ID...] [--since DURATION]",
	    "finished deliveries", ctl_history,
	    LIST_TAKES | TAKES_JSONL | TAKES_SINCE, 0, -1 },
	{ "log", "-f", "the queue's events as they happen", ctl_log,
	    TAKES_FOLLOW | TAKES_JSONL, 0, 0 },
	{ "why", "ID|ADDRESS|last | --if from=A to=B [login=L] [client=IP]\n"
	    "           [attempts=N] [size=S] [age=D]",
	    "where a message goes and for what reason", ctl_why,
	    TAKES_IF | TAKES_JSON, 1, -1 },
	{ "transport list", "", "transports and their state",
	    ctl_transport_list, TAKES_JSON, 0, 0 },
	{ "transport test", "NAME [--to ADDRESS [--send]]",
	    "connects, logs in, shows the dialogue", ctl_transport_test,
	    TAKES_JSON | TAKES_TRIAL, 1, 1 },
	{ "transport pause", "NAME", "its mail waits until resume", ctl_switch,
	    0, 1, 1 },
	{ "transport resume", "NAME", "undoes pause; tried at once where parked",
	    ctl_switch, 0, 1, 1 },
	{ "account list", "", "accounts and their state", ctl_account_list,
	    TAKES_JSON, 0, 0 },
	{ "account pause", "NAME", "its mail waits until resume", ctl_switch,
	    0, 1, 1 },
	{ "account resume", "NAME", "undoes pause; tried at once where parked",
	    ctl_switch, 0, 1, 1 },
	{ "config check", "[FILE]", "is it right?", ctl_config_check, 0,
	    0, 1 },
	{ "config show", "[FILE]", "as it is understood, without secrets",
	    ctl_config_show, 0, 0, 1 },
	{ "config test", "[FILE]", "what FILE.expect says of the routes",
	    ctl_config_test, 0, 0, 1 },
	{ "passwd", "[--legacy] [--print | --store ACCOUNT] NAME",
	    "a hash of a password, for `login` or into `login-file`",
	    ctl_passwd, TAKES_ANYTHING, 1, 5 },
	{ "config import", "", "", ctl_later, TAKES_ANYTHING, 0, -1 },
	{ "clients", "", "", ctl_later, TAKES_ANYTHING, 0, -1 },
	{ "dnscheck", "DOMAIN...", "is DNS as a sender's domain needs it?",
	    ctl_dnscheck, TAKES_JSON, 1, -1 },
	{ "spf check", "--ip IP --from ADDRESS [--helo NAME]",
	    "may that address send for its domain?", ctl_spf_check,
	    TAKES_SPF | TAKES_JSON, 0, 0 },
	{ "oauth login", "ACCOUNT [--flow device|code] [--no-browser]",
	    "a human logs in at the provider", ctl_oauth_login,
	    TAKES_ANYTHING, 0, -1 },
	{ "oauth status", "[ACCOUNT] [--json]", "logins and their tokens",
	    ctl_oauth_account, TAKES_ANYTHING, 0, -1 },
	{ "oauth refresh", "ACCOUNT", "a new token now, and saves it",
	    ctl_oauth_account, TAKES_ANYTHING, 0, -1 },
	{ "oauth revoke", "ACCOUNT", "ends a login", ctl_oauth_account,
	    TAKES_ANYTHING, 0, -1 },
	{ "oauth token", "ACCOUNT [--output token|xoauth2|xoauth2-b64] "
	    "[--no-newline]", "an access token, for other programs",
	    ctl_oauth_account, TAKES_ANYTHING, 0, -1 },
	{ "providers", "[NAME] [--json]", "presets of mail providers",
	    ctl_providers, TAKES_ANYTHING, 0, -1 },
	{ "setup", "", "", ctl_later, TAKES_ANYTHING, 0, -1 },
	{ "metrics", "", "everything in numbers, for Prometheus",
	    ctl_metrics, 0, 0, 0 },
	{ "dashboard token", "", "", ctl_later, TAKES_ANYTHING, 0, -1 },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *to)
{
	size_t i;

	fprintf(to, "usage: relayctl [-f FILE] [-s CONTROL-SOCKET] COMMAND\n"
	    "  -f FILE    the configuration [%s]\n"
	    "  -s SOCKET  the daemon's control socket [as configured]\n"
	    "  --help     this text; behind a command: its own\n"
	    "  --version  the version\n\n"
	    "Commands (all but config, passwd and log take --json):\n",
	    CONF_FILE);
	for (i = 0; i < N_COMMANDS; i++)
		if (commands[i].help[0] != 0)
			fprintf(to, "  %-17s %s\n", commands[i].name,
			    commands[i].help);
	fprintf(to, "\nSELECTORS: --from PATTERN --to PATTERN --account NAME "
	    "--transport NAME\n"
	    "  --status queued|active|deferred|held --older DURATION "
	    "--larger SIZE --limit N\n");
}

/* By one or two words; *used tells how many. */
static const struct ctl_command *
find_command(int argc, char **argv, int *used)
{
	const char *name, *blank;
	size_t i, n;

	for (i = 0; i < N_COMMANDS; i++) {
		name = commands[i].name;
		blank = strchr(name, ' ');
		n = blank != NULL ? (size_t)(blank - name) : strlen(name);
		if (strlen(argv[0]) != n || strncmp(argv[0], name, n) != 0)
			continue;
		if (blank == NULL) {
			*used = 1;
			return &commands[i];
		}
		if (argc > 1 && strcmp(argv[1], blank + 1) == 0) {
			*used = 2;
			return &commands[i];
		}
	}
	return NULL;
}

/* The first word of some commands: tells what may follow. */
static int
wrong_command(int argc, char **argv)
{
	size_t i, n = strlen(argv[0]);
	bool group = false;

	for (i = 0; i < N_COMMANDS; i++) {
		if (strncmp(commands[i].name, argv[0], n) != 0 ||
		    commands[i].name[n] != ' ')
			continue;
		if (!group && argc > 1 && strcmp(argv[1], "--help") == 0) {
			usage(stdout);
			return 0;
		}
		if (!group)
			fprintf(stderr, "relayctl: %s: ", argv[0]);
		if (!group && argc > 1)
			fprintf(stderr, "there is no command `%s`; ",
			    argv[1]);
		fprintf(stderr, "%s%s", group ? ", " : "one of ",
		    commands[i].name + n + 1);
		group = true;
	}
	if (group) {
		fputc('\n', stderr);
		return CTL_USAGE;
	}
	return ctl_error(CTL_USAGE, "there is no command `%s`: see relayctl "
	    "--help", argv[0]);
}

/* 0: go on at optind; -1: done, exit 0. */
static int
global_options(struct ctl *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "spool", required_argument, NULL, 'S' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "+f:s:", longs, NULL)) != -1) {
		switch (o) {
		case 'f':
			c->file = optarg;
			break;
		case 's':
			c->socket = optarg;
			break;
		case 'S':
			c->spool = optarg;
			break;
		case 'j':
			c->json = true;
			break;
		case 'h':
			usage(stdout);
			return -1;
		case 'V':
			printf("relayctl %s\n", VERSION);
			return -1;
		default:
			return CTL_USAGE;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "relayctl: no command\n");
		usage(stderr);
		return CTL_USAGE;
	}
	return 0;
}

static void
clear(struct ctl *c)
{
	selector_clear(&c->sel);
	strbuf_free(&c->asked);
	conf_free(&c->conf);
	conf_tree_free(&c->tree);
	free(c->runtime_dir);
	free(c->spool_dir);
}

int
main(int argc, char **argv)
{
	static char name[] = "relayctl";
	struct ctl c = { .asked = STRBUF_INIT };
	int rc, used;

	setlocale(LC_CTYPE, "");
	argv[0] = name;			/* in messages of getopt */
	rc = global_options(&c, argc, argv);
	if (rc != 0)
		return rc < 0 ? 0 : rc;
	argc -= optind;
	argv += optind;
	c.cmd = find_command(argc, argv, &used);
	if (c.cmd == NULL)
		return wrong_command(argc, argv);
	argv[used - 1] = name;
	rc = ctl_args(&c, argc - used + 1, argv + used - 1);
	if (rc == 0)
		rc = c.cmd->run(&c);
	else if (rc < 0)
		rc = 0;
	clear(&c);
	if (fflush(stdout) != 0 || ferror(stdout))
		rc = ctl_error(CTL_NONE, "writing to standard output failed");
	return rc;
}

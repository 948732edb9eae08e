/*
 * Options of relayctl's commands: one table for all, and for each command
 * those that it takes.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "config.h"
#include "tools/relayctl.h"

enum { O_HELP = 256, O_VERSION, O_JSON, O_JSONL, O_MAILQ, O_FROM, O_TO,
	O_ACCOUNT, O_TRANSPORT, O_STATUS, O_OLDER, O_LARGER, O_LIMIT, O_ALL,
	O_SINCE, O_HEADERS, O_CONTENT, O_IF, O_MAILDIR, O_FOLLOW, O_IP,
	O_HELO, O_SEND };

static const struct option longs[] = {
	{ "help", no_argument, NULL, O_HELP },
	{ "version", no_argument, NULL, O_VERSION },
	{ "json", no_argument, NULL, O_JSON },
	{ "jsonl", no_argument, NULL, O_JSONL },
	{ "mailq", no_argument, NULL, O_MAILQ },
	{ "from", required_argument, NULL, O_FROM },
	{ "to", required_argument, NULL, O_TO },
	{ "account", required_argument, NULL, O_ACCOUNT },
	{ "transport", required_argument, NULL, O_TRANSPORT },
	{ "status", required_argument, NULL, O_STATUS },
	{ "older", required_argument, NULL, O_OLDER },
	{ "larger", required_argument, NULL, O_LARGER },
	{ "limit", required_argument, NULL, O_LIMIT },
	{ "all", no_argument, NULL, O_ALL },
	{ "since", required_argument, NULL, O_SINCE },
	{ "headers", no_argument, NULL, O_HEADERS },
	{ "content", no_argument, NULL, O_CONTENT },
	{ "if", no_argument, NULL, O_IF },
	{ "maildir", required_argument, NULL, O_MAILDIR },
	{ "follow", no_argument, NULL, O_FOLLOW },
	{ "ip", required_argument, NULL, O_IP },
	{ "helo", required_argument, NULL, O_HELO },
	{ "send", no_argument, NULL, O_SEND },
	{ NULL, 0, NULL, 0 }
};

/* In the order of the enum. */
static const unsigned needs[] = {
	0, 0, TAKES_JSON, TAKES_JSONL, TAKES_MAILQ,
	TAKES_SELECTORS | TAKES_SPF, TAKES_SELECTORS | TAKES_TRIAL,
	TAKES_SELECTORS, TAKES_SELECTORS | TAKES_TARGET,
	TAKES_SELECTORS, TAKES_SELECTORS, TAKES_SELECTORS, TAKES_SELECTORS,
	TAKES_ALL, TAKES_SINCE, TAKES_CONTENT, TAKES_CONTENT, TAKES_IF,
	TAKES_MAILDIR, TAKES_FOLLOW, TAKES_SPF, TAKES_SPF, TAKES_TRIAL
};

void
ctl_usage(const struct ctl_command *cmd, bool to_error)
{
	FILE *to = to_error ? stderr : stdout;

	fprintf(to, "usage: relayctl %s %s\n", cmd->name, cmd->args);
	if (cmd->help[0] != 0 && !to_error)
		fprintf(to, "%s\n", cmd->help);
	if (!to_error && (cmd->takes & TAKES_SELECTORS) != 0)
		fprintf(to, "SELECTORS: --from PATTERN --to PATTERN --account "
		    "NAME%s\n  --status queued|active|deferred|held --older "
		    "DURATION --larger SIZE --limit N\n",
		    (cmd->takes & TAKES_TARGET) != 0 ? "" :
		    " --transport NAME");
	if (!to_error && (cmd->takes & TAKES_JSON) != 0)
		fprintf(to, "--json: one document of JSON\n");
	if (!to_error && (cmd->takes & TAKES_JSONL) != 0)
		fprintf(to, "--jsonl: an object of JSON in each line\n");
}

static int
usage_error(const struct ctl *c, const char *what, const char *why)
{
	ctl_error(CTL_USAGE, "%s: %s%s%s", c->cmd->name, what,
	    why[0] != 0 ? ": " : "", why);
	ctl_usage(c->cmd, true);
	return CTL_USAGE;
}

/* A selector is checked here, and asked of the daemon as it was written. */
static int
take_selector(struct ctl *c, const char *name, const char *value)
{
	struct json_writer w = json_to(&c->asked);
	struct err e = { 0, "" };
	char option[32];

	if (selector_set(&c->sel, name, value, &e) < 0) {
		snprintf(option, sizeof(option), "--%s", name);
		return usage_error(c, option, e.text);
	}
	w.more = c->asked.n > 0;
	json_text(&w, name, value);
	return 0;
}

/* What became of it, in the history; the queue's own states there match
 * nothing. */
static int
take_history_status(struct ctl *c, const char *value)
{
	static const char *const known[] = { "delivered", "bounced",
	    "expired", "removed" };
	struct err e;
	size_t i;

	c->status_text = value;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(value, known[i]) == 0)
			return 0;
	if (selector_set(&c->sel, "status", value, &e) == 0)
		return 0;
	return usage_error(c, "--status", "is one of delivered, bounced, "
	    "expired, removed");
}

static int
take_since(struct ctl *c, const char *value)
{
	uint64_t ms;

	if (!num_duration(slice_cstr(value), &ms))
		return usage_error(c, "--since", "a duration is expected "
		    "(30s 5m 4h 5d)");
	c->since = value;
	return 0;
}

static int
take_option(struct ctl *c, int o, const char *value)
{
	const char *name = longs[o - O_HELP].name;

	switch (o) {
	case O_JSON:
		c->json = true;
		return 0;
	case O_JSONL:
		c->jsonl = true;
		return 0;
	case O_MAILQ:
		c->mailq = true;
		return 0;
	case O_ALL:
		c->sel.all = true;
		return 0;
	case O_HEADERS:
		c->headers = true;
		return 0;
	case O_CONTENT:
		c->content = true;
		return 0;
	case O_IF:
		c->dry = true;
		return 0;
	case O_FOLLOW:
		c->follow = true;
		return 0;
	case O_IP:
		c->spf_ip = value;
		return 0;
	case O_HELO:
		c->spf_helo = value;
		return 0;
	case O_FROM:
		if ((c->cmd->takes & TAKES_SPF) == 0)
			return take_selector(c, name, value);
		c->spf_from = value;
		return 0;
	case O_SEND:
		c->send = true;
		return 0;
	case O_MAILDIR:
		c->maildir = value;
		return 0;
	case O_SINCE:
		return take_since(c, value);
	case O_TO:
		if ((c->cmd->takes & TAKES_TRIAL) == 0)
			return take_selector(c, name, value);
		c->to = value;
		return 0;
	case O_TRANSPORT:
		if ((c->cmd->takes & TAKES_TARGET) == 0)
			return take_selector(c, name, value);
		c->transport = value;
		return 0;
	case O_STATUS:
		if ((c->cmd->takes & TAKES_SINCE) != 0)
			return take_history_status(c, value);
		return take_selector(c, name, value);
	default:
		return take_selector(c, name, value);
	}
}

static int
take_all(struct ctl *c, int argc, char **argv)
{
	int o, rc;

	optind = 0;			/* begin anew */
	while ((o = getopt_long(argc, argv, "f", longs, NULL)) != -1) {
		if (o == '?')
			return CTL_USAGE;
		if (o == 'f')
			o = O_FOLLOW;
		if (o == O_HELP) {
			ctl_usage(c->cmd, false);
			return -1;
		}
		if (o == O_VERSION) {
			printf("relayctl %s\n", VERSION);
			return -1;
		}
		if ((needs[o - O_HELP] & c->cmd->takes) == 0)
			return usage_error(c, "this option is not for it",
			    longs[o - O_HELP].name);
		rc = take_option(c, o, optarg);
		if (rc != 0)
			return rc;
	}
	c->rest = argv + optind;
	c->n_rest = argc - optind;
	return 0;
}

int
ctl_args(struct ctl *c, int argc, char **argv)
{
	struct err e;
	int i, rc;

	if ((c->cmd->takes & TAKES_ANYTHING) != 0) {
		c->rest = argv + 1;
		c->n_rest = argc - 1;
		for (i = 1; i < argc; i++) {
			if (strcmp(argv[i], "--help") == 0) {
				ctl_usage(c->cmd, false);
				return -1;
			}
			c->json |= strcmp(argv[i], "--json") == 0;
		}
		rc = 0;
	} else {
		rc = take_all(c, argc, argv);
	}
	if (rc != 0)
		return rc;
	if (c->n_rest < c->cmd->min)
		return usage_error(c, "something is missing", "");
	if (c->cmd->max >= 0 && c->n_rest > c->cmd->max)
		return usage_error(c, "one word too many",
		    c->rest[c->cmd->max]);
	if ((c->cmd->takes & TAKES_SELECTORS) != 0)
		for (i = 0; i < c->n_rest; i++)
			(void)selector_set(&c->sel, "id", c->rest[i], &e);
	return 0;
}

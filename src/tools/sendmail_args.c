/*
 * The command line of sendmail(1) as programs use it: what matters is taken,
 * what only other mail systems know is accepted without effect.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "tools/sendmail.h"

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: %s [OPTIONS] [RECIPIENT...]\n"
	    "Reads a message from standard input and hands it to smarthostd.\n"
	    "  -t          recipients from To, Cc and Bcc; Bcc is removed\n"
	    "  -i, -oi     a lone dot does not end the message\n"
	    "  -f, -r ADDR the envelope sender\n"
	    "  -F NAME     the full name of the sender\n"
	    "  -N LIST     never, or success,failure,delay\n"
	    "  -R full|hdrs, -V ENVID   of delivery reports\n"
	    "  -B TYPE     7BIT or 8BITMIME\n"
	    "  -bs         SMTP on standard input and output\n"
	    "  -bp         list the queue, as mailq does\n"
	    "  -q          try all that waits now\n"
	    "  -C FILE     configuration (its directories only)\n"
	    "  -v, -X FILE show, or write, the dialogue\n"
	    "  --help, --version\n", sendmail_program);
}

static int
mode_of(const char *arg, struct sendmail_args *a)
{
	switch (arg[0]) {
	case 'm':
		a->mode = MODE_DELIVER;
		return 0;
	case 's':
		a->mode = MODE_SMTP;
		return 0;
	case 'p':
		a->mode = MODE_LIST;
		return 0;
	case 'i':
		a->mode = MODE_ALIASES;
		return 0;
	default:
		return sendmail_error(EX_USAGE, "-b%s: not known here; -bm, "
		    "-bs, -bp and -bi are", arg);
	}
}

/* -o options: i is ours, the others of value do not matter here; `-o em` has
 * its value apart, `-oem` attached. */
static void
option_o(const char *arg, struct sendmail_args *a)
{
	if (strcmp(arg, "i") == 0)
		a->keep_dots = true;
}

static int
option(int c, char *arg, struct sendmail_args *a)
{
	switch (c) {
	case 'b':
		return mode_of(arg, a);
	case 'C':
		a->config = arg;
		break;
	case 'f':
	case 'r':
		a->sender = arg;
		break;
	case 'F':
		a->full_name = arg;
		break;
	case 'B':
		a->eight_bit = strcasecmp(arg, "8BITMIME") == 0;
		break;
	case 'N':
		a->notify = arg;
		break;
	case 'R':
		a->ret = arg;
		break;
	case 'V':
		a->envid = arg;
		break;
	case 'X':
		a->trace = arg;
		break;
	case 'i':
		a->keep_dots = true;
		break;
	case 'o':
		option_o(arg, a);
		break;
	case 'q':
		a->mode = MODE_RUN;
		break;
	case 't':
		a->from_header = true;
		break;
	case 'v':
		a->verbose = true;
		break;
	case 'I':
		a->mode = MODE_ALIASES;
		break;
	case 'A': case 'O': case 'G': case 'U': case 'L': case 'h':
	case 'm': case 'n': case 's':
		break;
	default:
		fprintf(stderr, "%s: see --help\n", sendmail_program);
		return EX_USAGE;
	}
	return 0;
}

int
sendmail_parse(int argc, char **argv, struct sendmail_args *a)
{
	int c, rc;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return -1;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("smarthostd %s, sendmail\n", VERSION);
		return -1;
	}
	while ((c = getopt(argc, argv, "+A:b:B:C:f:F:GiIh:L:mnN:o:O:q::"
	    "r:R:stUvV:X:")) != -1) {
		rc = option(c, optarg, a);
		if (rc != 0)
			return rc;
	}
	a->rcpt = argv + optind;
	a->n_rcpt = argc - optind;
	if (a->notify != NULL && strpbrk(a->notify, " \r\n<>") != NULL)
		return sendmail_error(EX_USAGE, "-N: never, or a list of "
		    "success, failure, delay");
	if (a->ret != NULL && strcasecmp(a->ret, "full") != 0 &&
	    strcasecmp(a->ret, "hdrs") != 0)
		return sendmail_error(EX_USAGE, "-R: full or hdrs");
	return 0;
}

/*
 * local: work on this machine that monitor has done as the user concerned.
 *
 *   local maildir PATH     the message on standard input into a maildir
 *   local submit SOCKET    a batch on standard input to the daemon
 *   local http SOCKET      one request for the daemon's numbers, answered on
 *                          the connection that is standard input
 *
 * Exit statuses of sysexits.h; what went wrong is one line on standard error.
 */
#include "tools/local.h"

#include <sys/stat.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int
main(int argc, char **argv)
{
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "maildir") == 0)
		return local_maildir(argv[2]);
	if (argc == 3 && strcmp(argv[1], "submit") == 0)
		return local_submit(argv[2]);
	if (argc == 3 && strcmp(argv[1], "http") == 0)
		return local_http(argv[2]);
	fprintf(stderr, "usage: local maildir PATH | submit SOCKET | http "
	    "SOCKET\n");
	return EX_USAGE;
}

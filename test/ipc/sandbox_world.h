/* What stands outside of a sandbox, and a process that goes into one and
 * tries a single thing there. */
#ifndef SANDBOX_WORLD_H
#define SANDBOX_WORLD_H

#include <netinet/in.h>
#include <sys/types.h>
#include <sys/un.h>

#include "ipc/msg.h"

struct outside {
	char dir[64];			/* with spool/ and elsewhere/ in it */
	char spool[96];
	char file[96];			/* DIR/elsewhere/file */
	pid_t victim;			/* a process of the same user */
	int tcp_listening;		/* what the attempt inherits: */
	struct sockaddr_in tcp;
	int tcp_idle;			/* neither bound nor connected */
	int tcp_shut;			/* listening, but not bound yet */
	int udp_idle;
	int unix_idle;
	struct sockaddr_un abstract;	/* somebody listens there */
	socklen_t abstract_n;
	int pair[2];
};

/* For all attempts. */
extern struct outside out;
/* 0: there is none in this build; else how many walls (1 or 2). */
extern int walls;
extern bool has_landlock, has_seccomp;
extern int landlock_version;

int sandbox_world_start(void **state);
int sandbox_world_stop(void **state);

/* In a process of its own: enters the role's sandbox, then attempt(), which
 * returns what a system call returned.  0, or the errno. */
int attempt_as(enum role role, long (*attempt)(void));

#endif

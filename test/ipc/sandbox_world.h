/* What stands outside of a sandbox, and a process that goes into one and
 * tries a single thing there. */
#ifndef SANDBOX_WORLD_H
#define SANDBOX_WORLD_H

#include <sys/types.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

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
/* How many walls there are: 0 in a build without the sandbox. */
extern int walls;
extern bool has_landlock, has_seccomp;
extern int landlock_version;

int sandbox_world_start(void **state);
int sandbox_world_stop(void **state);

/* In a process of its own: enters the role's sandbox, then attempt(), which
 * returns what a system call returned.  0, or the errno. */
int attempt_as(enum role role, long (*attempt)(void));
/* The role has to connect out, as auth does for OAuth2. */
extern bool attempt_with_network;

struct attempt {
	const char *what;
	long (*try)(void);
};

/* All of a list as that role: each must end with that errno, 0 for none. */
void expect(enum role role, const struct attempt *a, size_t n, int want);
#define EXPECT(role, list, want) expect(role, list, COUNT(list), want)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Skips the test on a kernel without the wall, and in a build without the
 * sandbox; the daemon itself says which it is. */
void need(bool wall);

#define CONFINED 4
extern const enum role roles[CONFINED];

#endif

/* The two walls of the sandbox. */
#ifndef IPC_SANDBOX_PRIVATE_H
#define IPC_SANDBOX_PRIVATE_H

#include <stdbool.h>

#include "ipc/sandbox.h"

/* Which version the kernel speaks; 0: none. */
int sandbox_landlock_version(void);
/* Versions below this one forbid to link from one directory of the spool to
 * another, so that queue must do without. */
#define SANDBOX_LANDLOCK_QUEUE 2
/* The version in force; 0: the kernel has none; -1 with *e. */
int sandbox_landlock(enum role role, const char *spool, bool network,
    struct err *e);

bool sandbox_seccomp_known(void);
/* 1: in force; 0: the kernel has none; -1 with *e. */
int sandbox_seccomp(enum role role, bool network, struct err *e);

#endif

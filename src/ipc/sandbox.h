/* What a role gives up for good once it has all that it needs: the file
 * system, the network, other processes.  A role that is taken over can do
 * what its own descriptors let it do, and nothing else. */
#ifndef IPC_SANDBOX_H
#define IPC_SANDBOX_H

#include <stdbool.h>

#include "base/err.h"
#include "ipc/msg.h"

/* Confines this process, and the threads that it starts from now on; there
 * may be no other thread yet, and every library must have read its files.
 * spool: the one directory in which queue goes on working, NULL for the other
 * roles; network: whether it has to connect out.  What the kernel does not
 * have is done without (sandbox_report() tells of it).  -1 with *e: the kernel
 * has it, and it failed; the role must not go on. */
int sandbox_enter(enum role role, const char *spool, bool network,
    struct err *e);

/* Logs, once for all roles, what this kernel lacks. */
void sandbox_report(void);

#endif

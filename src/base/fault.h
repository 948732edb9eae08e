/* Fault points: places where a test ends the process or lets a call fail.
 * SMARTHOSTD_FAULT="NAME[:N][=kill|ENOSPC|EIO|...]" in the environment that
 * monitor hands to its roles; the Nth passage (1 at first) is hit.
 * SMARTHOSTD_FAULT_HIT=FILE: where monitor and the roles note "NAME\n" before
 * it happens (opened by fault_init, before any sandbox).
 * SMARTHOSTD_FAULT_ONCE: what that file names already does not happen again,
 * so that a role which is started anew lives on.
 * SMARTHOSTD_FAULT_LIST: nothing happens, each point that is passed is noted
 * there once by each process. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

extern bool fault_armed;

/* Reads the environment; call once at the start of each program. */
void fault_init(void);
/* 0, or the errno to fail with (errno is set too); kill does not return. */
int fault_hit(const char *name);

/* Costs one load and a branch when nothing is armed. */
#define FAULT(name) (fault_armed ? fault_hit(name) : 0)

#endif

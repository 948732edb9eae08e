/* How a local delivery is done: as whom, which program, with what arguments
 * and environment. */
#ifndef MONITOR_LOCAL_PLAN_H
#define MONITOR_LOCAL_PLAN_H

#include "monitor/monitor.h"

struct words {				/* ends in NULL once it is used */
	char **v;
	size_t n;
};

struct local_plan {
	struct identity who;
	char *path;
	struct words argv, env;
	char *dir;
	/* Of several recipients those that have a status of their own. */
	uint8_t own[MSG_LOCAL_RCPT_MAX];
	uint32_t n_own;
};

/* 0, or the exit status with *why: nobody can be delivered to.  The caller
 * clears it in any case. */
uint8_t local_plan_make(struct monitor *m, const struct conf_transport *t,
    const struct msg_local *l, struct local_plan *plan, const char **why);
void local_plan_clear(struct local_plan *plan);

#endif

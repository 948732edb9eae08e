/* What main() and the running monitor share of the start. */
#ifndef MONITOR_START_H
#define MONITOR_START_H

#include "monitor/monitor.h"

/* Reads the configuration, tells all its errors (standard error, or the log
 * when it is open); NULL when there were any. */
struct conf *start_load(const char *file, struct conf_tree **tree);

/* Runs until it is told to end; takes conf and tree over.  ready_pipe: gets
 * an octet when all is ready, -1: nobody waits.  Returns the exit status. */
int monitor_run(const struct options *opt, struct conf *conf,
    struct conf_tree *tree, const char *libexec, int ready_pipe);

#endif

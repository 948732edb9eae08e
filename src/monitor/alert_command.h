/* The command of the `alert` block. */
#ifndef MONITOR_ALERT_COMMAND_H
#define MONITOR_ALERT_COMMAND_H

#include "monitor/monitor.h"

/* MSG_ALERT of queue, answered at once; -1: garbage. */
int alert_command(struct process *p, struct port_message *msg, struct err *e);

#endif

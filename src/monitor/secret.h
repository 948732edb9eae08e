/* Secrets that come from commands. */
#ifndef MONITOR_SECRET_H
#define MONITOR_SECRET_H

#include "monitor/monitor.h"

/* MSG_SECRET of an auth; -1: garbage. */
int secret_ask(struct process *p, struct port_message *msg, struct err *e);
/* Nobody is answered any more. */
void secret_forget_all(struct monitor *m);

#endif

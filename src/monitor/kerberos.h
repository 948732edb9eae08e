/* The programs that speak Kerberos for auth. */
#ifndef MONITOR_KERBEROS_H
#define MONITOR_KERBEROS_H

#include "monitor/monitor.h"

/* MSG_KERBEROS of an auth; -1: garbage.  A program that it had for the same
 * transport before is killed. */
int kerberos_ask(struct process *p, struct port_message *msg, struct err *e);
/* Those of an auth that is gone, or all. */
void kerberos_forget(struct monitor *m, uint32_t slot);
void kerberos_forget_all(struct monitor *m);
/* 0: the program is installed. */
int kerberos_check(const char *libexec, struct err *e);

#endif

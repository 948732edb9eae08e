/* Files of tokens and CMS sockets, for auth, which may open nothing. */
#ifndef MONITOR_TOKEN_H
#define MONITOR_TOKEN_H

#include "monitor/monitor.h"

/* MSG_TOKEN_* of an auth; -1: garbage. */
int token_message(struct process *p, struct port_message *msg,
    struct err *e);
/* That auth is gone: its locks are free. */
void token_forget(struct monitor *m, uint32_t slot);
void token_forget_all(struct monitor *m);
/* SPOOL/tokens, where what `relayctl oauth login` obtained is kept. */
int token_dir_make(struct monitor *m, struct err *e);

#endif

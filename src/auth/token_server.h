/* Access tokens for other programs (exim's readsocket, msmtp, mbsync), in the
 * protocol of cloud_mdir_sync's credential socket. */
#ifndef AUTH_TOKEN_SERVER_H
#define AUTH_TOKEN_SERVER_H

#include "auth/auth.h"

struct token_servers;

struct token_servers *token_servers_new(struct auth *a);
/* Takes the socket that monitor has bound; -1: no such statement, fd is
 * closed. */
int token_servers_listen(struct token_servers *s, const struct msg_listen *m,
    int fd, struct err *e);
/* Takes nothing new; what is under way ends by itself. */
void token_servers_drain(struct token_servers *s);
void token_servers_free(struct token_servers **s);

#endif

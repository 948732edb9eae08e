/* The client's side of SCRAM: we log in to a next hop. */
#ifndef AUTH_SCRAM_CLIENT_H
#define AUTH_SCRAM_CLIENT_H

#include "auth/scram.h"

struct scram_client;

enum scram_client_result {
	SCRAM_CLIENT_CONTINUE,		/* out goes to the server */
	SCRAM_CLIENT_WORK,		/* scram_client_work() first */
	SCRAM_CLIENT_DONE,		/* the server has proved itself; out
					 * (empty) goes to it */
	SCRAM_CLIENT_REFUSED,		/* the server says no, or wants what
					 * we do not do; people must see to it */
	SCRAM_CLIENT_BROKEN,		/* what came is no SCRAM */
	SCRAM_CLIENT_FORGED		/* the server does not know the password */
};

/* gs2: 'n', 'y', or 'p' with the binding (copied).  nonce NULL: made here. */
struct scram_client *scram_client_new(const struct scram_hash *hash, char gs2,
    const struct scram_binding *binding, const char *username,
    struct slice password, const char *nonce);
void scram_client_free(struct scram_client **c);

/* The first call takes nothing.  *out is valid until the next one. */
enum scram_client_result scram_client_take(struct scram_client *c,
    struct slice in, struct slice *out);
/* After WORK: the costly part, in any thread, while nobody else touches c;
 * then scram_client_worked() goes on where take() stopped. */
void scram_client_work(struct scram_client *c);
enum scram_client_result scram_client_worked(struct scram_client *c,
    struct slice *out);
/* After REFUSED: the server says that it does not do this channel binding. */
bool scram_client_unbound(const struct scram_client *c);
/* After one of the last three: what was wrong, for the log. */
const char *scram_client_why(const struct scram_client *c);

#endif

/* The client's side of one SASL exchange: we log in to a next hop. */
#ifndef AUTH_SASL_CLIENT_H
#define AUTH_SASL_CLIENT_H

#include <stdbool.h>

#include "auth/choose.h"
#include "auth/scram.h"
#include "base/err.h"
#include "base/slice.h"

struct sasl_client;

enum sasl_client_result {
	SASL_CLIENT_CONTINUE,		/* the server has more to say */
	SASL_CLIENT_DONE,		/* nothing is expected but its reply */
	SASL_CLIENT_WORK,		/* sasl_client_work() comes first */
	SASL_CLIENT_REFUSED,		/* the server said no, in words */
	SASL_CLIENT_BROKEN,		/* the server broke the exchange, or is
					 * not the one it says it is */
	SASL_CLIENT_FAILED		/* ours */
};

struct sasl_client_options {
	const struct mechanism *mechanism;
	const char *host;
	const char *username;		/* NULL: whom the certificate means */
	struct slice password;
	char gs2;			/* struct choice */
	struct scram_binding binding;
};

/* Begins with exactly this mechanism.  All is copied, and wiped in the end.
 * NULL: libsasl2 does not work. */
struct sasl_client *sasl_client_create(const struct sasl_client_options *o);
void sasl_client_destroy(struct sasl_client **c);

/* The first call takes nothing in and gives the initial response, if the
 * mechanism has one (*has_out); the next ones take a challenge each.  *out is
 * secret and stays valid until the next call. */
enum sasl_client_result sasl_client_take(struct sasl_client *c,
    struct slice in, bool *has_out, struct slice *out);
/* After WORK: in any thread, while nobody else touches c. */
void sasl_client_work(struct sasl_client *c);
/* Then this goes on where take() stopped. */
enum sasl_client_result sasl_client_worked(struct sasl_client *c,
    bool *has_out, struct slice *out);
/* After one of the last three: what it was, for the log. */
const char *sasl_client_why(const struct sasl_client *c);

/* After REFUSED: for the type of the channel binding, says the server. */
bool sasl_client_unbound(const struct sasl_client *c);

/* Is it on this machine? */
bool sasl_client_has(const struct mechanism *m);

#endif

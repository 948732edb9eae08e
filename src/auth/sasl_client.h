/* The client's side of one SASL exchange: we log in to a next hop. */
#ifndef AUTH_SASL_CLIENT_H
#define AUTH_SASL_CLIENT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct sasl_client;

enum sasl_client_result {
	SASL_CLIENT_CONTINUE,		/* the server has more to say */
	SASL_CLIENT_DONE,		/* nothing is expected but its reply */
	SASL_CLIENT_BROKEN,		/* the server broke the exchange */
	SASL_CLIENT_FAILED		/* ours */
};

/* Begins with exactly this mechanism.  The password is copied and wiped with
 * the rest.  NULL: libsasl2 does not work. */
struct sasl_client *sasl_client_create(const char *host,
    const char *mechanism, const char *username, struct slice password);
void sasl_client_destroy(struct sasl_client **c);

/* The first call takes nothing in and gives the initial response, if the
 * mechanism has one (*has_out); the next ones take a challenge each.  *out is
 * secret and stays valid until the next call. */
enum sasl_client_result sasl_client_take(struct sasl_client *c,
    struct slice in, bool *has_out, struct slice *out);

#endif

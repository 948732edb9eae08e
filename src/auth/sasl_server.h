/* The server's side of one SASL exchange: a client of ours logs in. */
#ifndef AUTH_SASL_SERVER_H
#define AUTH_SASL_SERVER_H

#include "base/slice.h"
#include "conf/conf.h"

struct sasl_server;

enum sasl_server_result {
	SASL_SERVER_CONTINUE,		/* out is a challenge, may be empty */
	SASL_SERVER_OK,			/* sasl_server_login() tells who */
	SASL_SERVER_REFUSED,		/* also for a broken exchange */
	SASL_SERVER_FAILED		/* ours: libsasl2 or memory */
};

struct secret_source;

/* conf and secrets (may be NULL) are borrowed for the life of it.  NULL:
 * libsasl2 does not work. */
struct sasl_server *sasl_server_create(const struct conf *conf,
    const struct secret_source *secrets, const char *mechanism);
void sasl_server_destroy(struct sasl_server **s);

/* has_in: the client sent something (the initial response may be missing);
 * *out stays valid until the next call. */
enum sasl_server_result sasl_server_take(struct sasl_server *s, bool has_in,
    struct slice in, struct slice *out);
/* Name of the login, after OK. */
const char *sasl_server_login(const struct sasl_server *s);

#endif

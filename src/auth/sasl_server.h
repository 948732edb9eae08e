/* The server's side of one SASL exchange: a client of ours logs in.  Every
 * mechanism but EXTERNAL, which the listener answers itself: the certificate
 * is there. */
#ifndef AUTH_SASL_SERVER_H
#define AUTH_SASL_SERVER_H

#include "auth/logins.h"
#include "auth/scram.h"
#include "base/slice.h"
#include "conf/conf.h"

struct sasl_server;

/* Do we have it? */
bool sasl_server_has(const char *mechanism);
/* Does it show the password on its way? */
bool sasl_server_shows(const char *mechanism);

struct sasl_server_options {
	const char *mechanism;		/* one that we have */
	const char *hostname;		/* for a challenge */
	struct logins *logins;		/* borrowed for the life of it */
	const struct scram_binding *bindings; /* where -PLUS was offered */
	size_t n_bindings;
};

enum sasl_server_result {
	SASL_SERVER_CONTINUE,		/* out is a challenge, may be empty */
	SASL_SERVER_CHECK,		/* see sasl_server_password() */
	SASL_SERVER_OK,			/* sasl_server_login() tells who */
	SASL_SERVER_REFUSED		/* also for a broken exchange */
};

struct sasl_server *sasl_server_create(const struct sasl_server_options *o);
void sasl_server_destroy(struct sasl_server **s);

/* has_in: the client sent something (the initial response may be missing);
 * *out stays valid until the next call. */
enum sasl_server_result sasl_server_take(struct sasl_server *s, bool has_in,
    struct slice in, struct slice *out);
/* After CHECK: the password that came, and what it is to be checked against,
 * both borrowed until the next turn; true: the name is known, false: the
 * answer is no whatever the check says. */
bool sasl_server_password(const struct sasl_server *s, struct slice *password,
    struct conf_secret *secret);
/* The name that was given; the login's after OK. */
const char *sasl_server_login(const struct sasl_server *s);

#endif

/* The server's side of SCRAM: a client of ours logs in. */
#ifndef AUTH_SCRAM_SERVER_H
#define AUTH_SCRAM_SERVER_H

#include "auth/scram.h"

struct scram_server;

/* What is known of a name.  A name that is unknown gets keys that nobody has
 * (known false), and nothing tells the difference before the end. */
struct scram_account {
	bool known;
	unsigned iterations;
	unsigned char salt[SCRAM_SALT_MAX];
	size_t salt_n;
	struct scram_keys keys;		/* stored and server */
	/* Of a password that SASLprep changes: of what it is without, as not
	 * all clients do it. */
	bool has_raw;
	struct scram_keys raw;
};
typedef void scram_lookup(void *arg, const char *name,
    const struct scram_hash *hash, struct scram_account *out);

struct scram_server_options {
	const struct scram_hash *hash;
	bool plus;			/* the mechanism's name says -PLUS */
	/* Those of the session, where a -PLUS was offered; borrowed during
	 * the call only. */
	const struct scram_binding *bindings;
	size_t n_bindings;
	scram_lookup *lookup;
	void *arg;
	const char *nonce;		/* NULL: made here */
};

enum scram_server_result {
	SCRAM_SERVER_CONTINUE,		/* out is a challenge */
	SCRAM_SERVER_OK,
	SCRAM_SERVER_REFUSED		/* also for what is no SCRAM */
};

struct scram_server *scram_server_new(const struct scram_server_options *o);
void scram_server_free(struct scram_server **s);
/* *out is valid until the next call. */
enum scram_server_result scram_server_take(struct scram_server *s,
    struct slice in, struct slice *out);
/* The name that was given; "" before. */
const char *scram_server_name(const struct scram_server *s);

#endif

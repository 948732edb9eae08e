/* SCRAM: what client and server share (RFC 5802, RFC 7677): hashes, keys, the
 * attributes of a message, names.  Pure. */
#ifndef AUTH_SCRAM_H
#define AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

#define SCRAM_KEY_MAX 64		/* octets of the longest hash */
#define SCRAM_SALT_MAX 256
#define SCRAM_NAME_MAX 1024
#define SCRAM_NONCE_MAX 1024
#define SCRAM_MESSAGE_MAX 8192
#define SCRAM_ITERATIONS 4096		/* of what we make */
#define SCRAM_ITERATIONS_MAX 1000000	/* some 0.3 s */
/* So many may be done inside the loop: less than a millisecond. */
#define SCRAM_ITERATIONS_INLINE 4096

struct evp_md_st;

struct scram_hash {
	const char *name;		/* "SCRAM-SHA-256" */
	const struct evp_md_st *(*md)(void);
	size_t size;			/* octets */
};
/* By the name of a mechanism, with or without -PLUS, or that in front of a
 * stored string; NULL: unknown. */
const struct scram_hash *scram_hash_find(struct slice name);

struct scram_keys {
	unsigned char client[SCRAM_KEY_MAX];	/* empty where only stored */
	unsigned char stored[SCRAM_KEY_MAX];
	unsigned char server[SCRAM_KEY_MAX];
};
/* False: OpenSSL failed.  Takes time in proportion to the iterations. */
bool scram_derive(const struct scram_hash *h, struct slice password,
    struct slice salt, unsigned iterations, struct scram_keys *out);
void scram_hmac(const struct scram_hash *h, const unsigned char *key,
    struct slice text, unsigned char *out);
/* ClientProof, and back: key XOR HMAC(StoredKey, message); may be in place. */
void scram_proof(const struct scram_hash *h, const unsigned char *stored,
    const unsigned char *key, struct slice message, unsigned char *out);
/* Is it the hash of this client key? */
bool scram_is_stored(const struct scram_hash *h, const unsigned char *client,
    const unsigned char *stored);

/* What relayctl passwd prints:
 * SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY, the last two in base64. */
struct scram_stored {
	const struct scram_hash *hash;
	unsigned iterations;
	unsigned char salt[SCRAM_SALT_MAX];
	size_t salt_n;
	struct scram_keys keys;		/* not the client's */
};
bool scram_stored_parse(const char *text, struct scram_stored *out);

/* Cuts "a=value" with this letter off the front, and the comma behind it;
 * false: something else stands there, *s is as it was. */
bool scram_attribute(struct slice *s, char letter, struct slice *value);
/* base64 of at most max octets; -1: it is none, or too long. */
int scram_octets(struct slice text, unsigned char *to, size_t max, size_t *n);
/* Appends the name with , and = escaped (RFC 5801 4, saslname). */
void scram_name_put(struct strbuf *b, const char *name);
/* Undoes that; -1: it holds what no escaping leaves, or a NUL, or is empty
 * or too long. */
int scram_name_get(struct slice text, struct strbuf *out);
/* Appends 24 printable characters nobody can guess. */
void scram_nonce_put(struct strbuf *b);
/* Printable, no comma, not empty. */
bool scram_nonce_good(struct slice nonce);

/* The channel that an exchange may be bound to. */
struct scram_binding {
	const char *type;		/* "tls-exporter"; NULL: none */
	struct slice data;
};

#endif

/* Token files as sasl-xoauth2 has them, and as we keep what `relayctl oauth
 * login` obtained: one object of JSON.  Pure: files are monitor's. */
#ifndef AUTH_TOKEN_FILE_H
#define AUTH_TOKEN_FILE_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

struct token_file {
	char *refresh_token;
	char *access_token;		/* all others: NULL where not there */
	char *user;
	char *client_id, *client_secret, *token_endpoint, *proxy;
	char *scope;
	uint64_t expiry;		/* wall seconds; 0: has expired */
	uint64_t refresh_window;	/* seconds; 0: not said */
};

/* -1 with *e (line and column; nothing of a value): no JSON, or no
 * refresh_token. */
int token_file_parse(struct slice text, struct token_file *f, struct err *e);
void token_file_clear(struct token_file *f);

/* What a refresh brought; NULL stays as it is. */
struct token_change {
	const char *access_token;
	uint64_t expiry;		/* written as a string */
	const char *refresh_token;
	const char *scope, *user;	/* only by a login */
};

/* The text with these members replaced, or added at its end; all others and
 * every octet between them stay.  before may be empty: a new document. */
void token_file_update(struct slice before, const struct token_change *c,
    struct strbuf *out);

#endif

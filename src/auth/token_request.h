/* One request of the token server's protocol (that of cloud_mdir_sync's
 * credential socket): "PROTO[,OPTION...] USER@DOMAIN", what follows does not
 * count.  Pure. */
#ifndef AUTH_TOKEN_REQUEST_H
#define AUTH_TOKEN_REQUEST_H

#include "base/slice.h"

#define TOKEN_REQUEST_MAX 4096		/* octets; more is none */

enum token_request_result {
	TOKEN_REQUEST_MORE,	/* not complete yet */
	TOKEN_REQUEST_WHOLE,	/* complete; more octets might still belong */
	TOKEN_REQUEST_DONE,	/* and its line has ended */
	TOKEN_REQUEST_BAD
};

struct token_request {
	struct slice protocol;	/* "SMTP"; borrowed, as is user */
	struct slice user;
};

/* All that has come so far; ended: nothing more will. */
enum token_request_result token_request_parse(struct slice in, bool ended,
    struct token_request *out);

#endif

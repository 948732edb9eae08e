/* What a token endpoint has answered, and what that means for whom.  Pure. */
#ifndef AUTH_OAUTH_ANSWER_H
#define AUTH_OAUTH_ANSWER_H

#include <stdint.h>

#include "base/slice.h"

enum oauth_class {
	OAUTH_GOT,			/* a token */
	OAUTH_TEMPORARY,		/* later, all by itself */
	OAUTH_LOGIN,			/* a human must log in again */
	OAUTH_CONFIGURATION,		/* the administrator must do it */
	/* of the device flow: */
	OAUTH_PENDING, OAUTH_SLOW_DOWN, OAUTH_EXPIRED, OAUTH_DECLINED
};

struct oauth_answer {
	enum oauth_class class;
	/* OAUTH_GOT; secrets but for scope, NULL where not there */
	char *access_token, *refresh_token, *scope;
	uint64_t expires_in;		/* seconds */
	/* else */
	char code[80];			/* "invalid_grant AADSTS70008" */
	const char *hint;		/* what that means, or NULL */
	char detail[300];		/* the provider's words, printable, what
					 * may be a secret hidden */
};

/* Never fails: what cannot be read is OAUTH_TEMPORARY. */
void oauth_answer_read(unsigned status, struct slice body,
    struct oauth_answer *a);
/* Takes what we have sent, or NULL, out of the provider's words. */
void oauth_answer_hide(struct oauth_answer *a, const char *secret);
void oauth_answer_clear(struct oauth_answer *a);

/* What a device endpoint has answered (RFC 8628 3.2); 0, or -1: then *a says
 * why. */
struct oauth_device {
	char *device_code;		/* secret */
	char *user_code, *url, *url_complete;
	uint64_t expires_in, interval;	/* seconds */
};
int oauth_device_read(unsigned status, struct slice body,
    struct oauth_device *d, struct oauth_answer *a);
void oauth_device_clear(struct oauth_device *d);

#endif

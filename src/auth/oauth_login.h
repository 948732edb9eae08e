/* A human logs in: device flow (RFC 8628), or code flow with PKCE (RFC 6749
 * 4.1, RFC 7636, RFC 8252).  What comes of it is saved before it is told. */
#ifndef AUTH_OAUTH_LOGIN_H
#define AUTH_OAUTH_LOGIN_H

#include <stdint.h>

#include "auth/oauth.h"

struct oauth_login;

struct oauth_prompt {
	const char *kind;		/* "device" or "code" */
	const char *url;		/* where the human goes */
	const char *code;		/* device: what he types there */
	const char *redirect;		/* code: where the browser comes to */
	uint64_t seconds;		/* how long it waits */
};

struct oauth_login_events {
	void (*prompt)(void *arg, const struct oauth_prompt *p);
	/* The last call; the login is gone.  good: text says what there is
	 * now, else why there is not. */
	void (*done)(void *arg, bool good, const char *text);
};

/* flow: "device", "code", or NULL for the configured one; port: of a listener
 * on loopback that hands on what comes by oauth_login_answer(), 0: none.
 * NULL with *e: it cannot begin. */
struct oauth_login *oauth_login_start(struct oauth_account *a,
    const char *flow, uint16_t port, const struct oauth_login_events *ev,
    void *arg, struct err *e);
/* The URL that the browser was sent to, or the code alone; -1 with *e: it is
 * not this login's, which goes on. */
int oauth_login_answer(struct oauth_account *a, const char *url,
    struct err *e);
/* Without a call. */
void oauth_login_stop(struct oauth_login **l);

#endif

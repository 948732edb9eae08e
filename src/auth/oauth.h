/* OAuth2 inside auth: for each transport with `oauth2` one access token that
 * is ready when it is needed.  One refresh at a time for each; everybody who
 * waits gets what it brings. */
#ifndef AUTH_OAUTH_H
#define AUTH_OAUTH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "auth/oauth_answer.h"
#include "conf/conf.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "ipc/port.h"

struct oauth;
struct oauth_account;
struct role_base;
struct secret_source;

enum oauth_protocol { OAUTH_SMTP, OAUTH_IMAP };

/* Valid during the callback only. */
struct oauth_token {
	const char *token;
	const char *user;		/* for `user=` */
	uint64_t expires;		/* wall ms; 0: not known */
	uint64_t generation;		/* differs from that before */
	bool again;			/* if it is refused, a new one may do */
};

struct oauth_failure {
	enum oauth_class class;		/* TEMPORARY, LOGIN, CONFIGURATION */
	const char *text;		/* for people, no secrets; begins with
					 * "invalid_grant:" where nothing but a
					 * human helps */
};

/* Exactly one of t and f is there. */
typedef void oauth_token_cb(void *arg, const struct oauth_token *t,
    const struct oauth_failure *f);

/* Somebody who waits; his own memory, zeroed before the first use. */
struct oauth_wait {
	TAILQ_ENTRY(oauth_wait) link;
	struct oauth_account *on;	/* NULL: does not wait */
	oauth_token_cb *cb;
	void *arg;
};

struct oauth_env {			/* all borrowed */
	struct loop *loop;
	const struct conf *conf;
	struct role_base *base;		/* whose monitor keeps the files */
	struct secret_source *secrets;
	struct http_client *http;
	/* There is something new to log in with; may be NULL. */
	void (*renewed)(void *arg, const char *transport);
	void *arg;
};

struct oauth *oauth_new(const struct oauth_env *env);
/* Looks at what is stored, and sees to tokens from here on. */
void oauth_start(struct oauth *o);
/* A provider may have exchanged a refresh token that is not saved yet. */
bool oauth_is_saving(const struct oauth *o);
void oauth_free(struct oauth **o);

/* By name of a transport, or of an account that has one in it; NULL: there is
 * none, or it has no `oauth2`. */
struct oauth_account *oauth_find(struct oauth *o, const char *name);
struct oauth_account *oauth_next(struct oauth *o, struct oauth_account *a);
const struct conf_transport *oauth_transport(const struct oauth_account *a);

/* Calls back with a token that can be used for some minutes: at once where
 * one is ready, else when it has been fetched. */
void oauth_get(struct oauth_account *a, struct oauth_wait *w,
    oauth_token_cb *cb, void *arg);
void oauth_cancel(struct oauth_wait *w);
/* The same without waiting; false: none is ready, one is being fetched
 * where that makes sense.  For IMAP only where its scope is granted. */
bool oauth_ready(struct oauth_account *a, enum oauth_protocol protocol,
    struct oauth_token *t);
/* Somebody wants it to be ready at any time. */
void oauth_keep_ready(struct oauth_account *a);
/* Gets a new one, whatever there is. */
void oauth_force(struct oauth_account *a, struct oauth_wait *w,
    oauth_token_cb *cb, void *arg);

/* What a server said to that token. */
void oauth_refused(struct oauth_account *a, uint64_t generation);
void oauth_accepted(struct oauth_account *a, uint64_t generation);
/* A human has obtained a token: mail that waits is tried now.  Not for what
 * happens by itself, as one that a server refuses is shown seldom. */
void oauth_tell_queue(struct oauth_account *a);
/* Microsoft's servers speak XOAUTH2 alone. */
bool oauth_is_microsoft(const struct oauth_account *a);

struct oauth_status {
	const char *flow;
	const char *state;		/* ok login configuration temporary
					 * unknown */
	const char *why;		/* or NULL */
	uint64_t expires;		/* wall ms; 0: not known */
	const char *scope;		/* or NULL */
};
void oauth_status(const struct oauth_account *a, struct oauth_status *s);

#endif

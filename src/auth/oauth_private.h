/* Inside of OAuth2: what oauth*.c share. */
#ifndef AUTH_OAUTH_PRIVATE_H
#define AUTH_OAUTH_PRIVATE_H

#include "auth/oauth.h"
#include "auth/token_file.h"
#include "base/strbuf.h"
#include "conf/provider.h"
#include "ipc/role.h"

struct oauth_fetch;
struct oauth_login;

/* Of locks, as monitor tells them apart. */
enum oauth_holder { HOLDER_FETCH, HOLDER_LOGIN, HOLDER_REVOKE };

struct oauth_account {
	TAILQ_ENTRY(oauth_account) link;
	struct oauth *o;
	const struct conf_transport *t;
	const struct conf_oauth2 *c;

	char *token;			/* NULL: none */
	char *user;			/* of the token file; NULL: as the
					 * transport says */
	char *scope;			/* granted; NULL: not known */
	char *endpoint;			/* of the token file; NULL: not it */
	uint64_t generation;
	uint64_t expires;		/* wall ms; 0: not known */
	uint64_t deadline;		/* mono ms: the same without jumps */
	uint64_t got;			/* wall ms: last refresh, about */
	uint64_t file_window;		/* ms; 0: the default */
	uint32_t file_mark;		/* of the text that was last used */
	uint64_t looked_at;		/* mono ms: when it was looked for a new
					 * one, while nothing else helps */
	uint64_t refused;		/* generation that a server refused */
	bool forced;			/* got because of that, and not yet
					 * accepted */
	bool used;			/* since it was got */
	bool keep;			/* somebody wants it ready */
	unsigned jitter;		/* ms, of the next refresh ahead */

	enum oauth_class class;		/* OAUTH_GOT: no failure is known */
	bool known;			/* it was looked at */
	char *why;
	uint64_t failed_at;		/* mono ms */
	uint64_t failed_real;		/* wall ms: a machine that slept, or a
					 * clock that was set, has waited */
	uint64_t wait_ms;		/* until it is tried again */
	unsigned failures;		/* in a row */

	/* A rotated refresh token that could not be saved: what the file
	 * shall hold, and the token that stood there before. */
	struct strbuf unsaved;
	char *unsaved_over;

	struct {			/* by openid-configuration */
		char *token, *authorize, *device, *revoke;
	} found;

	struct oauth_fetch *fetch;	/* NULL: none under way */
	struct oauth_login *login;	/* the same */
	TAILQ_HEAD(oauth_waits, oauth_wait) waits;
};

struct oauth {
	struct oauth_env env;
	TAILQ_HEAD(oauth_accounts, oauth_account) accounts;
	struct loop_timer sweep;
};

/* ---- oauth.c ---- */

struct oauth_result {
	char *token;			/* taken over */
	uint64_t expires;		/* wall ms; 0: not known, then */
	uint64_t keep_ms;		/* it is given out for so long */
	bool fresh;			/* from the provider, not from disk */
};
/* The fetch is over and gone. */
void oauth_got(struct oauth_account *a, struct oauth_result *r);
void oauth_failed(struct oauth_account *a, enum oauth_class class,
    uint64_t wait_ms, const char *text);
/* It was only looked at, and there is nothing to use; changed: by somebody
 * else, since it was of no use. */
void oauth_looked(struct oauth_account *a, uint64_t expires, bool changed);
/* What is stored has not long to live, but is better than nothing while the
 * provider cannot be reached. */
void oauth_adopt(struct oauth_account *a, const char *token,
    uint64_t expires);
/* A human or the administrator has to do something. */
bool oauth_is_stuck(const struct oauth_account *a);
/* How long a token must still live, in ms. */
uint64_t oauth_window(const struct oauth_account *a);
const char *oauth_user(const struct oauth_account *a);
void oauth_set_text(char **to, const char *text);

/* ---- oauth_fetch.c ---- */

enum oauth_how {
	FETCH_LOOK,			/* what is stored, nothing else */
	FETCH_NEED,			/* stored, or new where that is old */
	FETCH_AHEAD,			/* new if it gets old soon */
	FETCH_NEW			/* new in any case */
};
void oauth_fetch_start(struct oauth_account *a, enum oauth_how how);
void oauth_fetch_stop(struct oauth_account *a);
/* It holds the file, and may have been given what is not there yet. */
bool oauth_fetch_holds(const struct oauth_account *a);
enum oauth_how oauth_fetch_how(const struct oauth_account *a);

/* ---- oauth_login.c ---- */

/* It has what is not saved yet. */
bool oauth_login_holds(const struct oauth_account *a);

/* ---- oauth_endpoint.c ---- */

/* Where to ask and as whom; strings are owned. */
struct oauth_target {
	const struct conf_oauth_provider *provider;	/* or NULL */
	char *issuer;			/* who says where; or NULL */
	char *token_url, *authorize_url, *device_url, *revoke_url;
	char *client_id;
	char *client_secret;		/* "" or NULL: none; secret */
	char *proxy;
	char *scope;			/* of a user's login */
	const char *ca;			/* borrowed; PEM */
};
/* f: of the token file, or NULL. */
void oauth_target_make(const struct oauth_account *a,
    const struct token_file *f, struct oauth_target *t);
void oauth_target_clear(struct oauth_target *t);
/* What the class of an answer means to a human; for OAUTH_LOGIN it begins
 * with "invalid_grant:". */
void oauth_answer_text(const struct oauth_account *a,
    const struct oauth_answer *r, struct strbuf *out);
/* "host:port" of it. */
void oauth_put_host(struct strbuf *out, const char *url);
enum oauth_class oauth_http_text(const struct http_answer *h,
    const char *url, struct strbuf *out);

/* ---- oauth_cms.c: a CMS broker's token ---- */

struct oauth_cms;
typedef void oauth_cms_cb(void *arg, char *token, const char *why);
/* Takes the connected socket; the token is the callee's. */
struct oauth_cms *oauth_cms_start(struct loop *l, int fd, const char *user,
    oauth_cms_cb *cb, void *arg);
void oauth_cms_stop(struct oauth_cms **c);

#endif

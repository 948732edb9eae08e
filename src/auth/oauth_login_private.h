/* Inside of a login: what oauth_login.c and oauth_save.c share. */
#ifndef AUTH_OAUTH_LOGIN_PRIVATE_H
#define AUTH_OAUTH_LOGIN_PRIVATE_H

#include "auth/oauth_discover.h"
#include "auth/oauth_login.h"
#include "auth/oauth_private.h"
#include "auth/secret_source.h"

struct oauth_login {
	struct oauth_account *a;
	enum conf_oauth2_flow flow;	/* FLOW_DEVICE or FLOW_CODE */
	uint16_t port;
	struct oauth_login_events ev;
	void *arg;
	struct oauth_target target;
	struct strbuf ca;		/* that the token file names */
	struct secret_wait secret;
	struct http_call *call;
	struct oauth_discover *discover;
	struct loop_timer timer;
	struct oauth_device device;
	uint64_t until;			/* mono ms */
	uint64_t interval;		/* ms between polls */
	char *verifier, *state, *redirect;
	struct oauth_answer answer;
	/* oauth_save.c */
	uint64_t ref;			/* of a question to monitor; 0: none */
	bool locked;
	unsigned busy;
	struct loop_timer again;
};

void login_end(struct oauth_login *l, bool good, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void login_begin(struct oauth_login *l);

/* ---- oauth_save.c ---- */
/* Who we are, from the token file; then login_begin(). */
void login_read_file(struct oauth_login *l);
/* Saves l->answer and ends the login. */
void login_save(struct oauth_login *l);
void login_save_stop(struct oauth_login *l);

/* The CA bundle that a token file's text names, from the descriptor that
 * came with it (closed here); -1: it is needed and not there. */
int oauth_read_ca(struct slice text, int fd, struct strbuf *ca);

#endif

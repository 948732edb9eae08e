/* Inside of a fetch: what oauth_fetch.c and oauth_refresh.c share. */
#ifndef AUTH_OAUTH_FETCH_H
#define AUTH_OAUTH_FETCH_H

#include "auth/oauth_discover.h"
#include "auth/oauth_private.h"
#include "auth/secret_source.h"
#include "base/json_reader.h"

struct oauth_fetch {
	struct oauth_account *a;
	enum oauth_how how;
	uint64_t ref;			/* of a question to monitor; 0: none */
	bool locked;			/* the file, by monitor for us */
	unsigned busy;
	struct loop_timer again;
	struct strbuf text;		/* of the file */
	struct token_file file;
	struct strbuf ca;		/* that the file names */
	struct oauth_target target;
	struct secret_wait secret;
	struct oauth_cms *cms;
	struct oauth_discover *discover;
	struct http_call *call;
	struct oauth_answer answer;
};

/* ---- oauth_fetch.c ---- */
void fetch_failed(struct oauth_fetch *f, enum oauth_class class,
    uint64_t wait_ms, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool fetch_send(struct oauth_fetch *f, uint16_t type, struct slice text);
/* Saves f->answer where that is stored, then hands it on. */
void fetch_save_answer(struct oauth_fetch *f);
void fetch_hand_on(struct oauth_fetch *f);
void oauth_fetch_restart(struct oauth_fetch *f);

/* ---- oauth_refresh.c ---- */
/* Asks the provider as f->target says, by the account's flow. */
void fetch_refresh(struct oauth_fetch *f);

#endif

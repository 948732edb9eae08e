/*
 * Our own logins to next hops with access tokens (auth; RFC 7628): the token
 * is fetched where none is ready, shown in one step, and what the server then
 * says of it decides whether it is used again.  A token leaves only towards a
 * server that delivery has found to be the right one.
 */
#include "auth/token_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "auth/choose.h"
#include "auth/oauth_form.h"
#include "auth/oauth_sasl.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define FETCH_MS 70000u			/* delivery waits 80 s */

struct token_exchange {
	struct auth_exchange *x;
	struct oauth_account *account;
	struct oauth_wait wait;
	const struct mechanism *mechanism;
	char *host;
	uint64_t generation;		/* 0: no token was shown */
	bool said;			/* the server's error came already */
	bool again;			/* refused, another token may do */
};

static void
free_state(void *state)
{
	struct token_exchange *t = state;

	oauth_cancel(&t->wait);
	free(t->host);
	free(t);
}

/* Delivery is answered in time, whatever the provider does. */
static void
on_late(void *arg)
{
	struct auth_exchange *x = arg;

	auth_refuse(x->peer, x->ref, AUTH_TEMPORARY,
	    "the provider's token endpoint does not answer in time");
	auth_exchange_free(&x);
}

static bool
is_bearer(const struct token_exchange *t)
{
	return strcmp(t->mechanism->name, "OAUTHBEARER") == 0;
}

static void
show(struct token_exchange *t, const struct oauth_token *token)
{
	const struct conf_transport *tr = oauth_transport(t->account);
	struct auth_exchange *x = t->x;
	struct strbuf out = STRBUF_INIT;
	struct auth_answer a = { .state = AUTH_OK, .has_data = true,
	    .mechanism = t->mechanism->name, .again = token->again };

	t->generation = token->generation;
	t->again = token->again;
	oauth_sasl_first(is_bearer(t), token->user, token->token, t->host,
	    tr->n_hosts == 1 ? tr->hosts[0].port : 0, &out);
	a.data = strbuf_slice(&out);
	auth_answer_send(x->peer, MSG_CRED_STEP, x->ref, &a);
	strbuf_wipe(&out);
	auth_exchange_keep(x);
}

static void
on_token(void *arg, const struct oauth_token *token,
    const struct oauth_failure *f)
{
	struct token_exchange *t = arg;
	struct auth_exchange *x = t->x;

	if (token != NULL) {
		show(t, token);
		return;
	}
	auth_refuse(x->peer, x->ref, f->class == OAUTH_TEMPORARY ?
	    AUTH_TEMPORARY : AUTH_REFUSED, f->text);
	auth_exchange_free(&x);
}

void
token_exchange_start(struct auth_peer *p, struct oauth_account *account,
    const struct msg_cred *m, uint64_t ref)
{
	const struct conf_transport *tr = oauth_transport(account);
	struct choose in = {
		.held = HOLDS_TOKEN,
		.allowed = &tr->auth_mechanisms,
		.offered = slice_cstr(m->mechanisms),
		.secure = m->secure,
		.prefer_xoauth2 = oauth_is_microsoft(account)
	};
	struct choice choice;
	struct auth_exchange *x;
	struct token_exchange *t;

	choose_mechanism(&in, &choice);
	if (choice.mechanism == NULL) {
		auth_refuse(p, ref, AUTH_NO_MECHANISM, choice.why);
		return;
	}
	x = auth_exchange_new(p, m->session);
	if (x == NULL) {
		auth_refuse(p, ref, AUTH_TEMPORARY, "too many exchanges");
		return;
	}
	x->ref = ref;
	x->kind = EXCHANGE_TOKEN;
	x->state_free = free_state;
	x->state = t = mem_zalloc(sizeof(*t));
	t->x = x;
	t->account = account;
	t->mechanism = choice.mechanism;
	t->host = mem_strdup(m->host);
	auth_exchange_limit(x, FETCH_MS, on_late);
	oauth_get(account, &t->wait, on_token, t);
}

void
token_exchange_next(struct auth_exchange *x, const struct msg_cred *m,
    uint64_t ref)
{
	struct token_exchange *t = x->state;
	struct strbuf out = STRBUF_INIT, said = STRBUF_INIT;
	struct auth_answer a = { .state = AUTH_CONTINUE, .has_data = true,
	    .again = t->again };

	x->ref = ref;
	if (t->generation == 0 || t->said) {
		auth_refuse(x->peer, ref, AUTH_TEMPORARY,
		    "AUTH: a challenge that nobody waits for");
		auth_exchange_free(&x);
		return;
	}
	t->said = true;
	oauth_sasl_error(is_bearer(t), m->data, &out, &said);
	log_begin(LL_INFO, "token-refused");
	log_str("transport", oauth_transport(t->account)->name);
	log_str("said", strbuf_cstr(&said));
	log_end();
	a.data = strbuf_slice(&out);
	auth_answer_send(x->peer, MSG_CRED_STEP, ref, &a);
	strbuf_free(&out);
	strbuf_free(&said);
}

void
token_exchange_over(struct auth_exchange *x, uint16_t type)
{
	struct token_exchange *t = x->state;

	if (type == MSG_CRED_REFUSED && t->generation != 0)
		oauth_refused(t->account, t->generation);
	else if (type == MSG_CRED_ACCEPTED && t->generation != 0)
		oauth_accepted(t->account, t->generation);
}

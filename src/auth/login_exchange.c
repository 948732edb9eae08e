/* Clients of ours that log in, as listeners tell of them (auth).  An answer
 * waits the longer the more often this client failed before. */
#include "auth/auth.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/login_check.h"
#include "auth/sasl_server.h"
#include "auth/secret_source.h"
#include "auth/throttle.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define SECRET_AGE_MS (5 * 60 * 1000)	/* then its command is run again */
#define SECRETS_MS 10000	/* a login waits for commands that hang */
#define SECRETS_AT_ONCE 8	/* monitor runs 32 at most, for all */

/* What the client has begun with, until the secrets of commands are there;
 * then the exchange itself. */
struct login {
	struct auth_exchange *x;
	bool has_data;
	struct strbuf data;		/* wiped */
	size_t asked;			/* logins seen to */
	struct secret_wait wait;
	struct sasl_server *sasl;
	bool begun;			/* the client's next line may come */
	struct login_check *check;	/* under way, or NULL */
};

static void
wipe_data(struct login *l)
{
	strbuf_wipe(&l->data);
}

static void
free_state(void *state)
{
	struct login *l = state;

	secret_cancel(&l->wait);
	login_check_drop(&l->check);
	sasl_server_destroy(&l->sasl);
	wipe_data(l);
	free(l);
}

static void
reply(struct auth_peer *p, uint64_t ref, enum auth_state state,
    const char *text)
{
	struct auth_answer a = { .state = (uint8_t)state, .text = text };

	auth_answer_send(p, MSG_AUTH_STEP, ref, &a);
}

static void
on_refused(void *arg)
{
	struct auth_exchange *x = arg;

	reply(x->peer, x->ref, AUTH_REFUSED, NULL);
	auth_exchange_free(&x);
}

static void
on_accepted(void *arg)
{
	struct auth_exchange *x = arg;
	struct login *l = x->state;
	struct auth_answer a = { .state = AUTH_OK, .data = slice_of("", 0),
	    .login = sasl_server_login(l->sasl) };

	auth_throttle_success(x->peer->owner->throttle, x->client);
	auth_answer_send(x->peer, MSG_AUTH_STEP, x->ref, &a);
	auth_exchange_free(&x);
}

/* Whoever does not wait for it does not learn it. */
static void
finish(struct auth_exchange *x, uint64_t ms, void (*answer)(void *x))
{
	if (ms == 0) {
		answer(x);
		return;
	}
	x->delayed = true;
	auth_exchange_limit(x, ms, answer);
}

static void
refuse(struct auth_exchange *x)
{
	finish(x, auth_throttle_failure(x->peer->owner->throttle, x->client,
	    clock_mono_ms()), on_refused);
}

static void
succeeded(struct auth_exchange *x)
{
	finish(x, auth_throttle_wait(x->peer->owner->throttle, x->client,
	    clock_mono_ms()), on_accepted);
}

static void
on_checked(void *arg, bool good)
{
	struct auth_exchange *x = arg;

	((struct login *)x->state)->check = NULL;
	if (good)
		succeeded(x);
	else
		refuse(x);
}

static void
check(struct auth_exchange *x)
{
	struct login *l = x->state;
	struct conf_secret secret;
	struct slice password;
	bool known = sasl_server_password(l->sasl, &password, &secret);

	l->check = login_check_new(x->peer->owner->work, x->client,
	    &secret, known, password, on_checked, x);
	if (l->check != NULL)
		return;
	reply(x->peer, x->ref, AUTH_TEMPORARY, "too many logins at once");
	auth_exchange_free(&x);
}

/* One step, whoever made it. */
static void
take(struct auth_exchange *x, bool has_data, struct slice data)
{
	struct auth_answer a = { .state = AUTH_CONTINUE, .has_data = true };
	struct login *l = x->state;

	switch (sasl_server_take(l->sasl, has_data, data, &a.data)) {
	case SASL_SERVER_CONTINUE:
		auth_answer_send(x->peer, MSG_AUTH_STEP, x->ref, &a);
		loop_timer_set(x->peer->owner->loop, &x->timer,
		    AUTH_EXCHANGE_MS);
		break;
	case SASL_SERVER_CHECK:
		check(x);
		break;
	case SASL_SERVER_OK:
		succeeded(x);
		break;
	case SASL_SERVER_REFUSED:
		refuse(x);
		break;
	}
}

static void
begin(struct login *l)
{
	struct auth_exchange *x = l->x;
	struct strbuf data = l->data;

	/* take() may free the exchange */
	l->data = (struct strbuf)STRBUF_INIT;
	l->begun = true;
	auth_exchange_keep(x);
	take(x, l->has_data, strbuf_slice(&data));
	strbuf_wipe(&data);
}

/* Nobody knows yet who it will say it is: all secrets of commands have to be
 * there.  One that cannot be had refuses its own login only. */
static void
next_secret(void *arg, const char *value, const char *why)
{
	struct login *l = arg;
	struct auth *a = l->x->peer->owner;
	const struct conf_login *c;

	(void)value;
	(void)why;
	while (l->asked < a->conf->n_logins) {
		c = &a->conf->logins[l->asked++];
		if (c->password.kind != SECRET_COMMAND)
			continue;
		secret_get(a->secrets, a->base.monitor, true, c->name,
		    SECRET_AGE_MS, &l->wait, next_secret, l);
		return;
	}
	begin(l);
}

/* The others need not wait for somebody's command that hangs. */
static void
on_secrets_late(void *arg)
{
	struct auth_exchange *x = arg;
	struct login *l = x->state;

	secret_cancel(&l->wait);
	begin(l);
}

static void
get_secrets(struct login *l)
{
	struct auth *a = l->x->peer->owner;
	const struct conf_login *c;
	size_t i, n = 0;

	for (i = 0; i < a->conf->n_logins && n < SECRETS_AT_ONCE; i++) {
		c = &a->conf->logins[i];
		if (c->password.kind == SECRET_COMMAND)
			n += secret_want(a->secrets, a->base.monitor, true,
			    c->name, SECRET_AGE_MS);
	}
	auth_exchange_limit(l->x, SECRETS_MS, on_secrets_late);
	next_secret(l, NULL, NULL);
}

static struct sasl_server *
make_server(const struct auth_peer *p, const struct msg_auth *m)
{
	struct scram_binding bindings[MSG_BINDINGS_MAX];
	struct sasl_server_options o = {
		.mechanism = m->mechanism,
		.hostname = p->owner->conf->hostname,
		.logins = p->owner->logins,
		.bindings = bindings,
		.n_bindings = m->n_bindings,
	};
	uint32_t i;

	for (i = 0; i < m->n_bindings; i++)
		bindings[i] = (struct scram_binding){ m->binding[i].type,
		    m->binding[i].data };
	return sasl_server_create(&o);
}

static int
start(struct auth_peer *p, const struct msg_auth *m, uint64_t ref,
    struct err *e)
{
	struct auth_exchange *x;
	struct login *l;

	if (m->mechanism == NULL || m->client == NULL ||
	    auth_exchange_find(p, m->session) != NULL)
		return err_set(e, EPROTO, "AUTH that cannot begin");
	if (!sasl_server_has(m->mechanism) ||
	    (sasl_server_shows(m->mechanism) && !m->secure)) {
		reply(p, ref, AUTH_NO_MECHANISM, NULL);
		return 0;
	}
	x = auth_exchange_new(p, m->session);
	if (x == NULL) {
		reply(p, ref, AUTH_TEMPORARY, "too many exchanges");
		return 0;
	}
	x->ref = ref;
	x->client = mem_strdup(m->client);
	x->state_free = free_state;
	x->state = l = mem_zalloc(sizeof(*l));
	l->x = x;
	l->sasl = make_server(p, m);
	l->has_data = m->has_data;
	strbuf_add_slice(&l->data, m->data);
	get_secrets(l);
	return 0;
}

static int
next(struct auth_peer *p, const struct msg_auth *m, uint64_t ref,
    struct err *e)
{
	struct auth_exchange *x = auth_exchange_find(p, m->session);
	struct login *l;

	/* It may have timed out here. */
	if (x == NULL) {
		reply(p, ref, AUTH_TEMPORARY, "no such exchange");
		return 0;
	}
	l = x->state;
	if (x->delayed || !l->begun || l->check != NULL)
		return err_set(e, EPROTO, "AUTH goes on before its answer");
	x->ref = ref;
	take(x, m->has_data, m->data);
	return 0;
}

int
auth_login_message(struct auth_peer *p, struct port_message *pm, struct err *e)
{
	struct auth_exchange *x;
	struct msg_auth m;
	int r = 0;

	if (msg_auth_decode(pm->data, &m) != 0)
		return err_set(e, EPROTO, "AUTH is garbage");
	switch (pm->type) {
	case MSG_AUTH_START:
		r = start(p, &m, pm->ref, e);
		break;
	case MSG_AUTH_NEXT:
		r = next(p, &m, pm->ref, e);
		break;
	default:			/* MSG_AUTH_DROP */
		x = auth_exchange_find(p, m.session);
		auth_exchange_free(&x);
		break;
	}
	msg_auth_clear(&m);
	return r;
}

/* Clients of ours that log in, as listeners tell of them (auth).  A failure's
 * answer waits the longer the more often this client failed. */
#include "auth/auth.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/sasl_library.h"
#include "auth/sasl_server.h"
#include "auth/secret_source.h"
#include "auth/throttle.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define SECRET_AGE_MS (5 * 60 * 1000)	/* then its command is run again */

/* What the client has begun with, until the secrets of commands are there;
 * then libsasl2's part. */
struct login {
	struct auth_exchange *x;
	const char *mechanism;
	bool has_data;
	struct strbuf data;		/* wiped */
	size_t asked;			/* logins seen to */
	struct secret_wait wait;
	struct sasl_server *sasl;
};

static void
wipe_data(struct login *l)
{
	if (l->data.n > 0)
		mem_wipe(l->data.p, l->data.n);
	strbuf_free(&l->data);
}

static void
free_state(void *state)
{
	struct login *l = state;

	secret_cancel(&l->wait);
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
on_delayed(void *arg)
{
	struct auth_exchange *x = arg;

	reply(x->peer, x->ref, AUTH_REFUSED, NULL);
	auth_exchange_free(&x);
}

static void
refuse(struct auth_exchange *x)
{
	struct auth *a = x->peer->owner;
	uint64_t ms;

	ms = auth_throttle_failure(a->throttle, x->client, clock_mono_ms());
	if (ms == 0) {
		on_delayed(x);
		return;
	}
	x->delayed = true;
	loop_timer_init(&x->timer, on_delayed, x);
	loop_timer_set(a->loop, &x->timer, ms);
}

/* One step, whoever made it. */
static void
take(struct auth_exchange *x, bool has_data, struct slice data)
{
	struct auth_answer a = { .state = AUTH_OK };
	struct sasl_server *s = ((struct login *)x->state)->sasl;

	switch (sasl_server_take(s, has_data, data, &a.data)) {
	case SASL_SERVER_CONTINUE:
		a.state = AUTH_CONTINUE;
		a.has_data = true;
		auth_answer_send(x->peer, MSG_AUTH_STEP, x->ref, &a);
		loop_timer_set(x->peer->owner->loop, &x->timer,
		    AUTH_EXCHANGE_MS);
		return;
	case SASL_SERVER_OK:
		a.data = slice_of("", 0);
		a.login = sasl_server_login(s);
		auth_throttle_success(x->peer->owner->throttle, x->client);
		auth_answer_send(x->peer, MSG_AUTH_STEP, x->ref, &a);
		break;
	case SASL_SERVER_REFUSED:
		refuse(x);
		return;
	case SASL_SERVER_FAILED:
		reply(x->peer, x->ref, AUTH_TEMPORARY, "libsasl2 failed");
		break;
	}
	auth_exchange_free(&x);
}

static void
begin(struct login *l)
{
	struct auth_exchange *x = l->x;
	struct auth *a = x->peer->owner;
	struct strbuf data = l->data;

	l->sasl = sasl_server_create(a->conf, a->secrets, l->mechanism);
	if (l->sasl == NULL) {
		reply(x->peer, x->ref, AUTH_TEMPORARY, "libsasl2 failed");
		auth_exchange_free(&x);
		return;
	}
	/* take() may free the exchange */
	l->data = (struct strbuf)STRBUF_INIT;
	take(x, l->has_data, strbuf_slice(&data));
	if (data.n > 0)
		mem_wipe(data.p, data.n);
	strbuf_free(&data);
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

static int
start(struct auth_peer *p, const struct msg_auth *m, uint64_t ref,
    struct err *e)
{
	const struct sasl_mechanism *mech;
	struct auth_exchange *x;
	struct login *l;

	if (m->mechanism == NULL || m->client == NULL ||
	    auth_exchange_find(p, m->session) != NULL)
		return err_set(e, EPROTO, "AUTH that cannot begin");
	mech = sasl_mechanism_find(slice_cstr(m->mechanism));
	if (!p->owner->sasl) {
		reply(p, ref, AUTH_TEMPORARY, "no SASL mechanisms on "
		    "this machine: install libsasl2-modules");
		return 0;
	}
	if (mech == NULL || (mech->needs_tls && !m->secure)) {
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
	l->mechanism = mech->name;
	l->has_data = m->has_data;
	strbuf_add_slice(&l->data, m->data);
	next_secret(l, NULL, NULL);
	return 0;
}

static int
next(struct auth_peer *p, const struct msg_auth *m, uint64_t ref,
    struct err *e)
{
	struct auth_exchange *x = auth_exchange_find(p, m->session);

	/* It may have timed out here. */
	if (x == NULL) {
		reply(p, ref, AUTH_TEMPORARY, "no such exchange");
		return 0;
	}
	if (x->delayed || ((struct login *)x->state)->sasl == NULL)
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

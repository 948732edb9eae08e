/* Clients of ours that log in, as listeners tell of them (auth).  A failure's
 * answer waits the longer the more often this client failed. */
#include "auth/auth.h"

#include <errno.h>

#include "auth/sasl_library.h"
#include "auth/sasl_server.h"
#include "auth/throttle.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

static void
free_state(void *state)
{
	struct sasl_server *s = state;

	sasl_server_destroy(&s);
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
take(struct auth_exchange *x, const struct msg_auth *m)
{
	struct auth_answer a = { .state = AUTH_OK };
	struct sasl_server *s = x->state;

	switch (sasl_server_take(s, m->has_data, m->data, &a.data)) {
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

static int
start(struct auth_peer *p, const struct msg_auth *m, uint64_t ref,
    struct err *e)
{
	const struct sasl_mechanism *mech;
	struct auth_exchange *x;

	if (m->mechanism == NULL || m->client == NULL ||
	    auth_exchange_find(p, m->session) != NULL)
		return err_set(e, EPROTO, "AUTH that cannot begin");
	mech = sasl_mechanism_find(slice_cstr(m->mechanism));
	if (!p->owner->sasl) {
		reply(p, ref, AUTH_TEMPORARY, "libsasl2 is not there");
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
	x->state = sasl_server_create(p->owner->conf, mech->name);
	if (x->state == NULL) {
		reply(p, ref, AUTH_TEMPORARY, "libsasl2 failed");
		auth_exchange_free(&x);
		return 0;
	}
	take(x, m);
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
	if (x->delayed)
		return err_set(e, EPROTO, "AUTH goes on before its answer");
	x->ref = ref;
	take(x, m);
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

/* Our own logins to next hops, as deliveries ask for them (auth).  The
 * mechanism is chosen here, by the credential that there is and by what the
 * configuration allows; a password leaves only towards a peer that delivery
 * has found to be the right one. */
#include "auth/auth.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/sasl_client.h"
#include "auth/sasl_library.h"
#include "auth/secret_source.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

/* What the exchange is about, and libsasl2's part of it once the password is
 * there. */
struct credential {
	struct auth_exchange *x;
	const struct conf_transport *t;
	const struct sasl_mechanism *mech;
	char *host;
	struct secret_wait wait;
	struct sasl_client *sasl;
};

static void
free_state(void *state)
{
	struct credential *c = state;

	secret_cancel(&c->wait);
	sasl_client_destroy(&c->sasl);
	free(c->host);
	free(c);
}

static void
refuse(struct auth_peer *p, uint64_t ref, enum auth_state state,
    const char *text)
{
	struct auth_answer a = { .state = (uint8_t)state, .text = text };

	auth_answer_send(p, MSG_CRED_STEP, ref, &a);
}

static bool
offered(struct slice list, const char *name)
{
	struct slice word;

	while (slice_word(&list, &word))
		if (slice_eq_case_cstr(word, name))
			return true;
	return false;
}

static bool
allowed(const struct conf_list *list, const char *name)
{
	size_t i;

	if (list->n == 0)
		return true;
	for (i = 0; i < list->n; i++)
		if (slice_eq_case_cstr(slice_cstr(list->v[i]), name))
			return true;
	return false;
}

/* The strongest that all agree on; *why tells what is missing. */
static const struct sasl_mechanism *
choose(const struct conf_transport *t, const struct msg_cred *m,
    const char **why)
{
	const struct sasl_mechanism *mech = sasl_mechanisms;
	bool only_tls = false;

	for (; mech->name != NULL; mech++) {
		if (!offered(slice_cstr(m->mechanisms), mech->name) ||
		    !allowed(&t->auth_mechanisms, mech->name))
			continue;
		if (!mech->needs_tls || m->secure)
			return mech;
		only_tls = true;
	}
	*why = only_tls ? "the password is not shown to a server that is "
	    "not verified" : "no common AUTH mechanism";
	return NULL;
}

static void
take(struct auth_exchange *x, struct slice in, const char *mechanism)
{
	struct auth_answer a = { .state = AUTH_CONTINUE };
	struct credential *c = x->state;

	a.mechanism = mechanism;
	switch (sasl_client_take(c->sasl, in, &a.has_data, &a.data)) {
	case SASL_CLIENT_DONE:
		/* Kept until delivery says that the session has its reply. */
		a.state = AUTH_OK;
		break;
	case SASL_CLIENT_CONTINUE:
		break;
	case SASL_CLIENT_BROKEN:
		refuse(x->peer, x->ref, AUTH_TEMPORARY,
		    "AUTH: the server broke the exchange");
		auth_exchange_free(&x);
		return;
	case SASL_CLIENT_FAILED:
		refuse(x->peer, x->ref, AUTH_TEMPORARY,
		    "AUTH: libsasl2 failed");
		auth_exchange_free(&x);
		return;
	}
	auth_answer_send(x->peer, MSG_CRED_STEP, x->ref, &a);
	loop_timer_set(x->peer->owner->loop, &x->timer, AUTH_EXCHANGE_MS);
}

static const struct conf_transport *
transport_of(const struct conf *conf, const char *name)
{
	size_t i = name != NULL ? conf_transport_find(conf, name) : SIZE_MAX;

	return i < conf->n_transports ? &conf->transports[i] : NULL;
}

/* The password is there, or cannot be had. */
static void
on_password(void *arg, const char *password, const char *why)
{
	struct credential *c = arg;
	struct auth_exchange *x = c->x;

	if (password != NULL)
		c->sasl = sasl_client_create(c->host, c->mech->name,
		    c->t->username, slice_cstr(password));
	if (c->sasl == NULL) {
		refuse(x->peer, x->ref, AUTH_TEMPORARY, password != NULL ?
		    "libsasl2 failed" : why);
		auth_exchange_free(&x);
		return;
	}
	take(x, slice_of("", 0), c->mech->name);
}

static void
begin(struct auth_peer *p, const struct conf_transport *t,
    const struct msg_cred *m, uint64_t ref)
{
	const struct sasl_mechanism *mech;
	struct auth_exchange *x;
	struct credential *c;
	const char *why = NULL;

	mech = choose(t, m, &why);
	if (mech == NULL) {
		refuse(p, ref, AUTH_NO_MECHANISM, why);
		return;
	}
	x = auth_exchange_new(p, m->session);
	if (x == NULL) {
		refuse(p, ref, AUTH_TEMPORARY, "too many exchanges");
		return;
	}
	x->ref = ref;
	x->state_free = free_state;
	x->state = c = mem_zalloc(sizeof(*c));
	c->x = x;
	c->t = t;
	c->mech = mech;
	c->host = mem_strdup(m->host);
	if (t->password.kind == SECRET_COMMAND)
		secret_get(p->owner->secrets, p->owner->base.monitor, false,
		    t->name, 0, &c->wait, on_password, c);
	else
		on_password(c, t->password.text, NULL);
}

static int
start(struct auth_peer *p, const struct msg_cred *m, uint64_t ref,
    struct err *e)
{
	const struct conf_transport *t;

	if (m->host == NULL || m->mechanisms == NULL ||
	    auth_exchange_find(p, m->session) != NULL)
		return err_set(e, EPROTO, "a credential that cannot begin");
	t = transport_of(p->owner->conf, m->transport);
	if (!p->owner->sasl)
		refuse(p, ref, AUTH_TEMPORARY, "no SASL mechanisms on "
		    "this machine: install libsasl2-modules");
	else if (t == NULL || t->username == NULL ||
	    t->password.text == NULL)
		refuse(p, ref, AUTH_NO_MECHANISM,
		    "the transport has no username and password");
	else
		begin(p, t, m, ref);
	return 0;
}

static void
next(struct auth_peer *p, const struct msg_cred *m, uint64_t ref)
{
	struct auth_exchange *x = auth_exchange_find(p, m->session);
	struct credential *c = x != NULL ? x->state : NULL;

	if (c == NULL || c->sasl == NULL) {
		refuse(p, ref, AUTH_TEMPORARY, "no such exchange");
		return;
	}
	x->ref = ref;
	take(x, m->data, NULL);
}

/* The exchange is over; what a server has refused is fetched anew. */
static void
over(struct auth_peer *p, uint64_t session, bool refused)
{
	struct auth_exchange *x = auth_exchange_find(p, session);
	struct credential *c = x != NULL ? x->state : NULL;

	if (c != NULL && refused && c->t->password.kind == SECRET_COMMAND)
		secret_forget(p->owner->secrets, false, c->t->name);
	auth_exchange_free(&x);
}

int
auth_credential_message(struct auth_peer *p, struct port_message *pm,
    struct err *e)
{
	struct msg_cred m;
	int r = 0;

	if (msg_cred_decode(pm->data, &m) != 0)
		return err_set(e, EPROTO, "a credential's request is garbage");
	switch (pm->type) {
	case MSG_CRED_START:
		r = start(p, &m, pm->ref, e);
		break;
	case MSG_CRED_NEXT:
		next(p, &m, pm->ref);
		break;
	default:			/* MSG_CRED_DROP, MSG_CRED_REFUSED */
		over(p, m.session, pm->type == MSG_CRED_REFUSED);
		break;
	}
	msg_cred_clear(&m);
	return r;
}

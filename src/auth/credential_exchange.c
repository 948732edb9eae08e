/* Our own logins to next hops, as deliveries ask for them (auth).  The
 * mechanism is chosen by choose.c; a password leaves only towards a peer that
 * delivery has found to be the right one, and what takes long is done in a
 * thread (work.h). */
#include "auth/auth.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/choose.h"
#include "auth/kerberos.h"
#include "auth/sasl_client.h"
#include "auth/secret_source.h"
#include "auth/token_exchange.h"
#include "auth/unbound.h"
#include "auth/work.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

/* An exchange's costly step in a thread; owns the exchange's SASL meanwhile. */
struct hard_step {
	struct work work;		/* first: the two are one */
	struct sasl_client *sasl;
	struct credential *c;		/* NULL: the exchange is gone */
};

/* What the exchange is about, and its SASL once the password is there. */
struct credential {
	struct auth_exchange *x;
	const struct conf_transport *t;
	struct choice choice;
	char *host;
	char *binding_type;		/* or NULL */
	struct strbuf binding;
	struct secret_wait wait;
	struct sasl_client *sasl;	/* NULL too while it is in a thread */
	struct hard_step *hard;
	bool may_unbind;		/* unbound_allowed() */
	bool challenged;		/* the server has taken the first
					 * message */
};

static void
free_state(void *state)
{
	struct credential *c = state;

	secret_cancel(&c->wait);
	if (c->hard != NULL)
		c->hard->c = NULL;
	sasl_client_destroy(&c->sasl);
	free(c->binding_type);
	strbuf_wipe(&c->binding);
	free(c->host);
	free(c);
}

/* Ends the exchange with a reason; why is not the exchange's own. */
static void
give_up(struct auth_exchange *x, enum auth_state state, const char *why)
{
	char *text = mem_printf("AUTH: %s", why);

	auth_refuse(x->peer, x->ref, state, text);
	free(text);
	auth_exchange_free(&x);
}

/* The server has said no in SASL's own words. */
static void
refused(struct credential *c)
{
	struct auth_exchange *x = c->x;
	char *text = mem_printf("AUTH: %s", sasl_client_why(c->sasl));
	struct auth_answer a = { .state = AUTH_REFUSED, .text = text,
	    .again = c->may_unbind && sasl_client_unbound(c->sasl) };

	if (a.again)
		unbound_add(x->peer->owner->unbound, c->t->name, c->host,
		    c->binding_type);
	auth_answer_send(x->peer, MSG_CRED_STEP, x->ref, &a);
	free(text);
	auth_exchange_free(&x);
}

static void hard(struct credential *c);

static void
taken(struct credential *c, enum sasl_client_result r, bool has_data,
    struct slice data)
{
	struct auth_answer a = { .state = AUTH_CONTINUE,
	    .has_data = has_data, .data = data };
	struct auth_exchange *x = c->x;

	switch (r) {
	case SASL_CLIENT_DONE:
		/* Kept until delivery says that the session has its reply. */
		a.state = AUTH_OK;
		break;
	case SASL_CLIENT_CONTINUE:
		break;
	case SASL_CLIENT_WORK:
		hard(c);
		return;
	case SASL_CLIENT_REFUSED:
		refused(c);
		return;
	case SASL_CLIENT_BROKEN:
	case SASL_CLIENT_FAILED:
		give_up(x, AUTH_TEMPORARY, sasl_client_why(c->sasl));
		return;
	}
	if (c->choice.mechanism != NULL)	/* told once */
		a.mechanism = c->choice.mechanism->name;
	c->choice.mechanism = NULL;
	a.again = c->may_unbind && !c->challenged;
	auth_answer_send(x->peer, MSG_CRED_STEP, x->ref, &a);
	loop_timer_set(x->peer->owner->loop, &x->timer, AUTH_EXCHANGE_MS);
}

static void
take(struct credential *c, struct slice in)
{
	struct slice out = slice_of("", 0);
	bool has_out = false;
	enum sasl_client_result r;

	r = sasl_client_take(c->sasl, in, &has_out, &out);
	taken(c, r, has_out, out);
}

/* ---- the costly step ---- */

static void
hard_run(struct work *w)
{
	sasl_client_work(((struct hard_step *)w)->sasl);
}

static void
hard_done(struct work *w)
{
	struct hard_step *h = (struct hard_step *)w;
	struct credential *c = h->c;
	struct sasl_client *sasl = h->sasl;
	struct slice out = slice_of("", 0);
	bool has_out = false;
	enum sasl_client_result r;

	free(h);
	if (c == NULL) {
		sasl_client_destroy(&sasl);
		return;
	}
	c->hard = NULL;
	c->sasl = sasl;
	r = sasl_client_worked(c->sasl, &has_out, &out);
	taken(c, r, has_out, out);
}

static void
hard(struct credential *c)
{
	struct hard_step *h = mem_zalloc(sizeof(*h));

	h->work.run = hard_run;
	h->work.done = hard_done;
	h->work.who = c->t->name;
	h->sasl = c->sasl;
	h->c = c;
	if (work_submit(c->x->peer->owner->work, &h->work) < 0) {
		free(h);
		give_up(c->x, AUTH_TEMPORARY, "too many logins at once");
		return;
	}
	c->hard = h;
	c->sasl = NULL;
}

/* ---- beginning ---- */

static const struct conf_transport *
transport_of(const struct conf *conf, const char *name)
{
	size_t i = name != NULL ? conf_transport_find(conf, name) : SIZE_MAX;

	return i < conf->n_transports ? &conf->transports[i] : NULL;
}

static void
begin(struct credential *c, const char *password)
{
	struct sasl_client_options o = {
		.mechanism = c->choice.mechanism,
		.host = c->host,
		.username = c->t->username,
		.password = slice_cstr(password),
		.gs2 = c->choice.gs2,
		.binding = { c->binding_type, strbuf_slice(&c->binding) },
	};

	c->sasl = sasl_client_create(&o);
	if (c->sasl == NULL)
		give_up(c->x, AUTH_TEMPORARY, "libsasl2 failed");
	else
		take(c, slice_of("", 0));
}

/* The password is there, or cannot be had. */
static void
on_password(void *arg, const char *password, const char *why)
{
	struct credential *c = arg;

	if (password != NULL)
		begin(c, password);
	else
		give_up(c->x, AUTH_TEMPORARY, why);
}

static unsigned
held(const struct conf_transport *t)
{
	unsigned kinds = 0;

	if (t->password.kind != SECRET_NONE && t->username != NULL)
		kinds |= HOLDS_PASSWORD;
	if (t->has_certificate)
		kinds |= HOLDS_CERTIFICATE;
	return kinds;
}

static struct credential *
new_credential(struct auth_peer *p, const struct conf_transport *t,
    const struct msg_cred *m, uint64_t ref)
{
	struct auth_exchange *x = auth_exchange_new(p, m->session);
	struct credential *c;

	if (x == NULL)
		return NULL;
	x->ref = ref;
	x->state_free = free_state;
	x->state = c = mem_zalloc(sizeof(*c));
	c->x = x;
	c->t = t;
	c->host = mem_strdup(m->host);
	if (m->binding.type != NULL) {
		c->binding_type = mem_strdup(m->binding.type);
		strbuf_add_slice(&c->binding, m->binding.data);
	}
	return c;
}

/* in may lose its binding.  True: what is chosen may lose its own. */
static bool
choose_bound(const struct unbound *u, const struct conf_transport *t,
    const char *host, struct choose *in, struct choice *choice)
{
	choose_mechanism(in, choice);
	if (choice->mechanism == NULL || !unbound_allowed(in, choice))
		return false;
	if (!unbound_has(u, t->name, host))
		return true;
	in->binding = false;
	choose_mechanism(in, choice);
	return false;
}

static void
choose(struct auth_peer *p, const struct conf_transport *t,
    const struct msg_cred *m, uint64_t ref)
{
	struct choose in = {
		.held = held(t),
		.allowed = &t->auth_mechanisms,
		.offered = slice_cstr(m->mechanisms),
		.secure = m->secure,
		.binding = m->binding.type != NULL &&
		    m->binding.data.n > 0,
		.has = sasl_client_has,
	};
	struct choice choice;
	struct credential *c;
	bool may_unbind = choose_bound(p->owner->unbound, t, m->host, &in,
	    &choice);

	if (choice.mechanism == NULL) {
		auth_refuse(p, ref, AUTH_NO_MECHANISM, choice.why);
		return;
	}
	c = new_credential(p, t, m, ref);
	if (c == NULL) {
		auth_refuse(p, ref, AUTH_TEMPORARY, "too many exchanges");
		return;
	}
	c->choice = choice;
	c->may_unbind = may_unbind;
	if (choice.mechanism->kind == HOLDS_PASSWORD &&
	    t->password.kind == SECRET_COMMAND)
		secret_get(p->owner->secrets, p->owner->base.monitor, false,
		    t->name, 0, &c->wait, on_password, c);
	else if (choice.mechanism->kind == HOLDS_PASSWORD)
		on_password(c, t->password.text, "no password");
	else
		begin(c, "");
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
	if (t != NULL && t->oauth2 != NULL && p->owner->oauth != NULL) {
		token_exchange_start(p, oauth_find(p->owner->oauth, t->name),
		    m, ref);
		return 0;
	}
	if (t != NULL && t->kerberos) {
		kerberos_exchange_start(p, t, m, ref);
		return 0;
	}
	if (t == NULL || held(t) == 0)
		auth_refuse(p, ref, AUTH_NO_MECHANISM,
		    "the transport has no username and password");
	else
		choose(p, t, m, ref);
	return 0;
}

static void
next(struct auth_peer *p, const struct msg_cred *m, uint64_t ref)
{
	struct auth_exchange *x = auth_exchange_find(p, m->session);
	struct credential *c;

	if (x != NULL && x->kind == EXCHANGE_TOKEN) {
		token_exchange_next(x, m, ref);
		return;
	}
	if (x != NULL && x->kind == EXCHANGE_KERBEROS) {
		kerberos_exchange_next(x, m, ref);
		return;
	}
	c = x != NULL ? x->state : NULL;
	if (c == NULL || c->sasl == NULL) {
		auth_refuse(p, ref, AUTH_TEMPORARY, "no such exchange");
		return;
	}
	x->ref = ref;
	c->challenged = true;
	take(c, m->data);
}

/* The exchange is over; what a server has refused is fetched anew. */
static void
over(struct auth_peer *p, uint64_t session, uint16_t type)
{
	struct auth_exchange *x = auth_exchange_find(p, session);
	struct credential *c = x != NULL && x->kind == EXCHANGE_PLAIN ?
	    x->state : NULL;

	if (x != NULL && x->kind == EXCHANGE_TOKEN)
		token_exchange_over(x, type);
	else if (x != NULL && x->kind == EXCHANGE_KERBEROS)
		kerberos_exchange_over(x, type);
	if (c != NULL && type == MSG_CRED_REFUSED && c->t->password.kind == SECRET_COMMAND)
		secret_forget(p->owner->secrets, false, c->t->name);
	if (c != NULL && type == MSG_CRED_REFUSED && c->may_unbind &&
	    !c->challenged)
		unbound_add(p->owner->unbound, c->t->name, c->host,
		    c->binding_type);
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
	default:		/* MSG_CRED_DROP, _REFUSED, _ACCEPTED */
		over(p, m.session, pm->type);
		break;
	}
	msg_cred_clear(&m);
	return r;
}

/*
 * Our own logins to next hops with Kerberos tickets (auth; RFC 4752): carried
 * between delivery and the program that speaks it, which lives as long as its
 * transport uses it, so that its tickets outlive one login.
 *
 * A program that dies, or does not answer, is a temporary failure of all that
 * waited for it.  One that could not log in is left when the last exchange
 * with it is over: the next one reads keytab, cache and krb5.conf anew.
 */
#include "auth/kerberos.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/choose.h"
#include "base/log.h"
#include "base/mem.h"

#define PROGRAM_MS 10000u	/* monitor starts it */
#define ANSWER_MS 30000u	/* it gives itself 20 s; delivery waits 80 s */
#define IDLE_MS (10u * 60 * 1000)

static const char lost[] = "its program has ended or does not answer: a KDC "
    "or name server may be silent";

struct kerberos_exchange {
	TAILQ_ENTRY(kerberos_exchange) link;
	struct auth_exchange *x;
	struct kerberos *k;
	uint64_t number;		/* with the program */
	uint64_t ref;			/* what it is asked; 0: nothing */
	char *host;
	uint64_t life;			/* of the program that knows it; 0:
					 * none does yet */
	bool told;			/* delivery knows the mechanism */
};

/* The program of one transport. */
struct kerberos {
	LIST_ENTRY(kerberos) link;
	struct auth *a;
	char *transport;
	struct port *port;		/* NULL: not running */
	uint64_t asked;			/* monitor's ref for it; 0: not */
	uint64_t life;			/* how many there have been */
	uint64_t last;			/* number of an exchange */
	bool spent;			/* not used for another login */
	struct loop_timer idle;
	TAILQ_HEAD(, kerberos_exchange) exchanges;
};

/* ---- the program ---- */

static void
on_idle(void *arg)
{
	struct kerberos *k = arg;

	port_free(&k->port);
}

/* Nobody needs it just now. */
static void
rest(struct kerberos *k)
{
	if (k->port == NULL || !TAILQ_EMPTY(&k->exchanges))
		return;
	if (k->spent)
		port_free(&k->port);
	else
		loop_timer_set(k->a->loop, &k->idle, IDLE_MS);
}

static struct kerberos *
find_or_make(struct auth *a, const char *transport)
{
	struct kerberos *k;

	LIST_FOREACH(k, &a->kerberos, link)
		if (strcmp(k->transport, transport) == 0)
			return k;
	k = mem_zalloc(sizeof(*k));
	k->a = a;
	k->transport = mem_strdup(transport);
	TAILQ_INIT(&k->exchanges);
	loop_timer_init(&k->idle, on_idle, k);
	LIST_INSERT_HEAD(&a->kerberos, k, link);
	return k;
}

void
kerberos_free_all(struct auth *a)
{
	struct kerberos *k;

	while ((k = LIST_FIRST(&a->kerberos)) != NULL) {
		LIST_REMOVE(k, link);
		if (k->asked != 0)
			port_forget(a->base.monitor, k->asked);
		loop_timer_cancel(a->loop, &k->idle);
		port_free(&k->port);
		free(k->transport);
		free(k);
	}
}

static int
on_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	if (m->fd >= 0)
		close(m->fd);
	return err_set(e, EPROTO, "a message that nobody asked for");
}

/* Its exchanges have been answered: each waited for it, or will ask it. */
static void
on_closed(void *arg, const struct err *why)
{
	struct kerberos *k = arg;

	if (!port_peer_ended(why)) {
		log_begin(LL_WARN, "kerberos");
		log_str("transport", k->transport);
		log_str("text", why->text);
		log_end();
	}
	port_free(&k->port);
}

static const struct port_handler handler = {
	.message = on_message,
	.closed = on_closed,
};

/* ---- exchanges ---- */

/* Its program, the one that knows it, is there. */
static bool
has_program(const struct kerberos_exchange *w)
{
	return w->k->port != NULL && w->life == w->k->life;
}

static void
send_to(struct kerberos_exchange *w, uint16_t type, const struct msg_cred *m)
{
	struct strbuf b = STRBUF_INIT;

	msg_cred_encode(&b, m);
	port_send(w->k->port, type, w->ref, strbuf_slice(&b));
	strbuf_wipe(&b);
}

static void
free_state(void *state)
{
	struct kerberos_exchange *w = state;
	struct msg_cred m = { .session = w->number };

	if (has_program(w)) {
		if (w->ref != 0)
			port_forget(w->k->port, w->ref);
		w->ref = 0;
		send_to(w, MSG_CRED_DROP, &m);
	}
	TAILQ_REMOVE(&w->k->exchanges, w, link);
	rest(w->k);
	free(w->host);
	free(w);
}

static void
give_up(struct kerberos_exchange *w, enum auth_state state, const char *why)
{
	struct auth_exchange *x = w->x;
	char *text = mem_printf("AUTH: GSSAPI: %s", why);

	if (has_program(w))
		w->k->spent = true;
	auth_refuse(x->peer, x->ref, state, text);
	free(text);
	auth_exchange_free(&x);
}

static void
take(struct kerberos_exchange *w, const struct msg_auth_step *m)
{
	struct auth_answer a = { .state = m->state, .has_data = m->has_data,
	    .data = m->data };

	if (m->state != AUTH_CONTINUE && m->state != AUTH_OK) {
		give_up(w, (enum auth_state)m->state, m->text != NULL ?
		    m->text : "it failed");
		return;
	}
	if (!w->told)
		a.mechanism = "GSSAPI";
	w->told = true;
	auth_answer_send(w->x->peer, MSG_CRED_STEP, w->x->ref, &a);
	auth_exchange_keep(w->x);
}

/* It has died, hangs, or is not sane: whoever waits for it, w too, hears so at
 * once. */
static void
lose(struct kerberos *k, struct kerberos_exchange *w)
{
	struct kerberos_exchange *next;
	bool waits;

	port_free(&k->port);
	give_up(w, AUTH_TEMPORARY, lost);
	for (w = TAILQ_FIRST(&k->exchanges); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		waits = w->ref != 0;
		w->ref = 0;
		if (waits)
			give_up(w, AUTH_TEMPORARY, lost);
	}
}

static void
on_step(void *arg, struct port_message *m)
{
	struct kerberos_exchange *w = arg;
	struct msg_auth_step step;

	w->ref = 0;
	if (m != NULL && m->type == MSG_CRED_STEP && m->fd < 0 &&
	    msg_auth_step_decode(m->data, &step) == 0) {
		take(w, &step);
		msg_auth_step_clear(&step);
		return;
	}
	if (m != NULL && m->fd >= 0)
		close(m->fd);
	lose(w->k, w);
}

/* m has everything but the session. */
static void
ask(struct kerberos_exchange *w, uint16_t type, struct msg_cred *m)
{
	w->ref = port_request(w->k->port, ANSWER_MS, on_step, w);
	m->session = w->number;
	send_to(w, type, m);
}

static void
begin(struct kerberos_exchange *w)
{
	struct msg_cred m = { .host = w->host };

	w->number = ++w->k->last;
	w->life = w->k->life;
	ask(w, MSG_CRED_START, &m);
}

/* Those who waited for the program begin, or hear why there is none; those
 * that another one had begun hear so with their next step. */
static void
on_program(void *arg, struct port_message *m)
{
	struct kerberos *k = arg;
	struct kerberos_exchange *w, *next;
	struct msg_connected c = { .text = "monitor does not start its "
	    "program", .passing = true };

	k->asked = 0;
	if (m != NULL && m->type == MSG_CONNECTED && m->fd >= 0)
		k->port = port_new(k->a->loop, m->fd, "kerberos", &handler,
		    k);
	else if (m != NULL && (msg_connected_decode(m->data, &c) < 0 ||
	    c.text[0] == '\0'))
		c = (struct msg_connected){ "no descriptor left", true };
	if (m != NULL && k->port == NULL && m->fd >= 0)
		close(m->fd);
	k->spent = false;
	k->life++;
	for (w = TAILQ_FIRST(&k->exchanges); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->life != 0)
			continue;
		if (k->port != NULL)
			begin(w);
		else
			give_up(w, c.passing ? AUTH_TEMPORARY : AUTH_REFUSED,
			    c.text);
	}
	rest(k);
}

static void
want_program(struct kerberos *k)
{
	struct port *monitor = k->a->base.monitor;
	struct msg_connect m = { k->transport };
	struct strbuf b = STRBUF_INIT;

	k->asked = port_request(monitor, PROGRAM_MS, on_program, k);
	msg_connect_encode(&b, &m);
	port_send(monitor, MSG_KERBEROS, k->asked, strbuf_slice(&b));
	strbuf_free(&b);
}

void
kerberos_exchange_start(struct auth_peer *p, const struct conf_transport *t,
    const struct msg_cred *m, uint64_t ref)
{
	struct choose in = {
		.held = HOLDS_KERBEROS,
		.allowed = &t->auth_mechanisms,
		.offered = slice_cstr(m->mechanisms),
		.secure = m->secure,
	};
	struct kerberos_exchange *w;
	struct auth_exchange *x = NULL;
	struct choice choice;

	choose_mechanism(&in, &choice);
	if (choice.mechanism == NULL) {
		auth_refuse(p, ref, AUTH_NO_MECHANISM, choice.why);
		return;
	}
	if (p->owner->base.monitor != NULL)
		x = auth_exchange_new(p, m->session);
	if (x == NULL) {
		auth_refuse(p, ref, AUTH_TEMPORARY,
		    p->owner->base.monitor == NULL ? "monitor is gone" :
		    "too many exchanges");
		return;
	}
	x->ref = ref;
	x->kind = EXCHANGE_KERBEROS;
	x->state_free = free_state;
	x->state = w = mem_zalloc(sizeof(*w));
	w->x = x;
	w->host = mem_strdup(t->tls_name != NULL ? t->tls_name : m->host);
	w->k = find_or_make(p->owner, t->name);
	TAILQ_INSERT_TAIL(&w->k->exchanges, w, link);
	loop_timer_cancel(p->owner->loop, &w->k->idle);
	if (w->k->port != NULL)
		begin(w);
	else if (w->k->asked == 0)
		want_program(w->k);
}

void
kerberos_exchange_next(struct auth_exchange *x, const struct msg_cred *m,
    uint64_t ref)
{
	struct kerberos_exchange *w = x->state;
	struct msg_cred to = { .data = m->data };

	x->ref = ref;
	if (!has_program(w) || w->ref != 0 || !w->told)
		give_up(w, AUTH_TEMPORARY, "its program has ended");
	else
		ask(w, MSG_CRED_NEXT, &to);
}

/* What a server has refused may be a ticket of its old key: the next login
 * gets new ones. */
void
kerberos_exchange_over(struct auth_exchange *x, uint16_t type)
{
	struct kerberos_exchange *w = x->state;

	if (type == MSG_CRED_REFUSED)
		w->k->spent = true;
}

/* AUTH (listener; RFC 4954): carries the exchange between the client and the
 * auth role, in which the passwords are.  EXTERNAL is answered here, where
 * the certificate is (RFC 4422 appendix A).  A client with `auth any` is told
 * yes to everything; that counts for nothing, and nothing of it is kept or
 * logged. */
#include "listener/auth_offer.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"
#include "io/base64.h"

#define AUTH_MS 60000

static void
log_result(const struct session *s, const char *result, const char *text)
{
	log_begin(LL_INFO, "auth");
	log_str("login", s->login);
	log_str("client", s->client_text);
	log_str("listener", s->ep->conf->name);
	log_str("result", result);
	log_str("text", text);
	log_end();
}

/* A challenge in base64; raw may be empty. */
static void
challenge(struct session *s, struct slice raw)
{
	struct strbuf *b = &s->owner->scratch;

	strbuf_clear(b);
	strbuf_puts(b, "334 ");
	base64_encode(raw, b);
	strbuf_puts(b, "\r\n");
	session_set_state(s, ST_AUTH);
	session_say(s, b->p, b->n);
}

/* ---- auth any ---- */

static void
any_done(struct session *s)
{
	s->auth_any = AUTH_ANY_NONE;
	s->auth_done = true;
	session_set_state(s, ST_READY);
	SAY(s, "235 2.7.0 Authentication successful\r\n");
}

static void
any_start(struct session *s, const struct smtp_auth *a)
{
	bool login = slice_eq_case_cstr(a->mechanism, "LOGIN");

	if (a->has_initial && !login) {
		any_done(s);
	} else if (login && !a->has_initial) {
		s->auth_any = AUTH_ANY_PASSWORD;
		challenge(s, SLICE_LIT("Username:"));
	} else if (login) {
		s->auth_any = AUTH_ANY_LAST;
		challenge(s, SLICE_LIT("Password:"));
	} else {
		s->auth_any = AUTH_ANY_LAST;
		/* CRAM-MD5 wants one that looks like an id; others take it */
		challenge(s, slice_eq_case_cstr(a->mechanism, "PLAIN") ?
		    SLICE_LIT("") : SLICE_LIT("<1.1@localhost>"));
	}
}

static void
any_line(struct session *s)
{
	if (s->auth_any == AUTH_ANY_PASSWORD) {
		s->auth_any = AUTH_ANY_LAST;
		challenge(s, SLICE_LIT("Password:"));
	} else {
		any_done(s);
	}
}

/* ---- the auth role ---- */

static void
over(struct session *s, enum refusal_id id)
{
	s->exchange = 0;
	session_set_state(s, ST_READY);
	if (id != REFUSE_NOTHING)
		session_refuse(s, id);
}

static void
succeeded(struct session *s, const char *login)
{
	const struct conf *conf = s->owner->conf;
	size_t i;

	s->login = mem_strdup(login);
	for (i = 0; i < conf->n_logins; i++)
		if (strcmp(conf->logins[i].name, login) == 0)
			s->login_conf = &conf->logins[i];
	s->auth_done = true;
	over(s, REFUSE_NOTHING);
	SAY(s, "235 2.7.0 Authentication successful\r\n");
	log_result(s, "ok", NULL);
}

static void
answered(struct session *s, const struct msg_auth_step *step)
{
	switch (step->state) {
	case AUTH_CONTINUE:
		challenge(s, step->data);
		return;
	case AUTH_OK:
		if (step->login != NULL) {
			succeeded(s, step->login);
			return;
		}
		break;
	case AUTH_REFUSED:
		log_result(s, "refused", step->text);
		over(s, REFUSE_AUTH_FAILED);
		return;
	case AUTH_NO_MECHANISM:
		log_result(s, "no mechanism", step->text);
		over(s, REFUSE_AUTH_MECHANISM);
		return;
	default:
		break;
	}
	log_result(s, "temporary", step->text);
	over(s, REFUSE_AUTH_TEMPORARY);
}

static void
on_step(void *arg, struct port_message *m)
{
	struct msg_auth_step step = { 0 };
	struct session *s = arg;

	session_answered(s);
	if (m == NULL || m->type != MSG_AUTH_STEP ||
	    msg_auth_step_decode(m->data, &step) != 0) {
		log_result(s, "temporary", "no answer");
		over(s, REFUSE_AUTH_TEMPORARY);
	} else {
		answered(s, &step);
		msg_auth_step_clear(&step);
	}
	session_run(s);
}

/* ---- EXTERNAL: the certificate is here ---- */

static void
external_done(struct session *s, struct slice base64)
{
	const struct conf_login *login;
	struct strbuf as = STRBUF_INIT;

	s->external = false;
	if (base64_decode(base64, &as) != 0) {
		over(s, REFUSE_AUTH_BASE64);
		return;
	}
	login = auth_external(s, strbuf_slice(&as));
	strbuf_free(&as);
	if (login != NULL) {
		succeeded(s, login->name);
		return;
	}
	log_result(s, "refused", "the client's certificate names no login");
	over(s, REFUSE_AUTH_FAILED);
}

static void
external_start(struct session *s, const struct smtp_auth *a)
{
	if (a->has_initial) {
		external_done(s, a->initial);
		return;
	}
	s->external = true;
	challenge(s, SLICE_LIT(""));
}

/* base64 from the client (of a whole line, or an initial response) on its way
 * to the auth role; start: with mechanism. */
static void
forward(struct session *s, const char *mechanism, bool has_data,
    struct slice base64)
{
	struct port *auth = s->owner->auth;
	struct strbuf raw = STRBUF_INIT, msg = STRBUF_INIT;
	struct msg_auth m = { .session = s->exchange, .has_data = has_data };
	struct msg_binding bindings[MSG_BINDINGS_MAX];
	struct auth_bindings room;
	uint64_t ref;
	uint32_t i;

	/* The exchange may have died with an earlier auth role. */
	if (auth == NULL || (mechanism == NULL && s->exchange == 0)) {
		over(s, REFUSE_AUTH_TEMPORARY);
		return;
	}
	if (has_data && base64_decode(base64, &raw) != 0) {
		smtpd_auth_drop(s);
		over(s, REFUSE_AUTH_BASE64);
		goto out;
	}
	m.data = strbuf_slice(&raw);
	if (mechanism != NULL) {
		m.session = s->exchange = ++s->owner->next_exchange;
		m.mechanism = mem_strdup(mechanism);
		m.client = mem_strdup(s->client_text);
		m.secure = true;	/* or it would not have been offered */
		m.n_bindings = auth_bindings(s, &room, bindings);
		for (i = 0; i < m.n_bindings; i++)
			m.binding[i] = (struct msg_binding){
			    mem_strdup(bindings[i].type), bindings[i].data };
	}
	msg_auth_encode(&msg, &m);
	m.data = slice_of("", 0);
	msg_auth_clear(&m);
	ref = session_request(s, auth, AUTH_MS, on_step, ST_AUTH_WAIT);
	port_send(auth, mechanism != NULL ? MSG_AUTH_START : MSG_AUTH_NEXT,
	    ref, strbuf_slice(&msg));
out:
	strbuf_wipe(&raw);
	strbuf_wipe(&msg);
}

void
smtpd_auth_drop(struct session *s)
{
	struct strbuf msg = STRBUF_INIT;
	struct msg_auth m = { .session = s->exchange };

	if (s->exchange != 0 && s->owner->auth != NULL) {
		msg_auth_encode(&msg, &m);
		port_send(s->owner->auth, MSG_AUTH_DROP, 0,
		    strbuf_slice(&msg));
		strbuf_free(&msg);
	}
	s->exchange = 0;
}

void
smtpd_auth_stop(struct session *s, enum refusal_id id)
{
	s->auth_any = AUTH_ANY_NONE;
	s->external = false;
	smtpd_auth_drop(s);
	over(s, id);
}

void
smtpd_auth_line(struct session *s, struct slice line)
{
	if (slice_eq_cstr(line, "*")) {
		smtpd_auth_stop(s, REFUSE_AUTH_CANCELLED);
	} else if (s->auth_any != AUTH_ANY_NONE) {
		any_line(s);
	} else if (s->external) {
		external_done(s, line);
	} else {
		forward(s, NULL, true, line);
	}
}

void
smtpd_auth(struct session *s, const struct smtp_command *c)
{
	struct smtp_refusal no;
	struct smtp_auth a;
	const char *mechanism;

	if (s->auth_done) {
		session_refuse(s, REFUSE_AUTH_TWICE);
	} else if (s->ep->tls_mode == TLS_REQUIRED && !s->tls) {
		session_refuse(s, REFUSE_TLS_FIRST);
	} else if (smtp_auth_parse(c->arg, &a, &no) != 0) {
		session_refuse_as(s, "syntax", &no);
	} else if (auth_is_any(s)) {
		any_start(s, &a);
	} else if (!auth_possible(s)) {
		session_refuse(s, REFUSE_NOT_OFFERED);
	} else if ((mechanism = auth_mechanism(s, a.mechanism)) == NULL) {
		session_refuse(s, REFUSE_AUTH_MECHANISM);
	} else if (!auth_allowed(s)) {
		session_refuse(s, REFUSE_AUTH_ENCRYPTION);
	} else if (auth_unbound(s, a.mechanism)) {
		session_refuse(s, REFUSE_AUTH_MECHANISM);
	} else if (strcmp(mechanism, "EXTERNAL") == 0) {
		external_start(s, &a);
	} else {
		forward(s, mechanism, a.has_initial, a.initial);
	}
}

/*
 * AUTH: carries challenges and responses between the server and the auth
 * role, which alone holds the secret and chooses the mechanism.  Run by
 * delivery.  RFC 4954.
 *
 * A refused or impossible login is the account's failure, a temporary one or
 * a server that breaks the exchange makes the next hop unreachable; never is
 * either of them a message's.  A 235 counts only when our side has nothing
 * left to check (SCRAM verifies the server too).  What passes here is wiped.
 */
#include <stdlib.h>
#include <string.h>


#include "base/log.h"
#include "base/mem.h"
#include "delivery/reply_class.h"
#include "delivery/smtp_client_private.h"
#include "io/base64.h"

#define STEPS_MAX 100
#define COMMAND_MAX 512			/* octets with CRLF, RFC 4954 4 */
#define ANSWER_MS 80000u
#define CHALLENGE_MAX 12288		/* octets of base64 */

static void ask(struct smtp_client *c, uint16_t type, struct slice data);

/* ---- the exchange's life ---- */

/* The one that was asked first is still there. */
static bool
same_auth(const struct smtp_client *c)
{
	return c->env->auth != NULL && c->sasl.life == c->env->auth_life;
}

/* type: MSG_CRED_DROP, _REFUSED or _ACCEPTED. */
static void
drop_as(struct smtp_client *c, uint16_t type)
{
	struct sasl *s = &c->sasl;
	struct msg_cred m = { .session = s->number };
	struct strbuf b = STRBUF_INIT;

	if (s->number != 0 && same_auth(c)) {
		if (s->ref != 0)
			port_forget(c->env->auth, s->ref);
		msg_cred_encode(&b, &m);
		port_send(c->env->auth, type, 0, strbuf_slice(&b));
		strbuf_free(&b);
	}
	strbuf_wipe(&s->held);
	free(s->text);
	memset(s, 0, sizeof(*s));
}

void
auth_drop(struct smtp_client *c)
{
	drop_as(c, MSG_CRED_DROP);
}

/* Over TLS whose peer is known, or where the administrator wrote that he does
 * not care.  (Opportunistic TLS is unverified without anybody saying so.) */
static bool
is_secure(const struct smtp_client *c)
{
	if (c->tls_text == NULL)
		return false;
	if (conn_tls_verified(c->conn) || tls_context_pinned(c->to.context))
		return true;
	return c->to.tls != TLS_OPPORTUNISTIC &&
	    c->to.transport->tls_verify == VERIFY_OFF;
}

void
auth_ask(struct smtp_client *c)
{
	if (!(c->caps.flags & SMTP_CAP_AUTH) || c->caps.auth[0] == '\0') {
		client_end(c, SMTP_END_CREDENTIAL,
		    "the server offers no AUTH%s", c->tls_text == NULL ?
		    " (without TLS)" : "");
		return;
	}
	if (c->env->auth == NULL) {
		client_end(c, SMTP_END_UNREACHABLE,
		    "no credential at present: auth is being restarted");
		return;
	}
	c->sasl.number = ++c->env->exchanges;
	c->sasl.life = c->env->auth_life;
	ask(c, MSG_CRED_START, slice_of("", 0));
}

/* ---- between us and auth ---- */

static void
send_line(struct smtp_client *c, struct strbuf *b)
{
	strbuf_puts(b, "\r\n");
	client_state(c, ST_AUTH);
	c->hide = true;
	client_write(c, strbuf_slice(b), 1);
	c->hide = false;
	strbuf_wipe(b);
}

/* Ends the exchange with the server; its reply ends the session. */
static void
cancel(struct smtp_client *c, enum smtp_client_end why, const char *text)
{
	struct strbuf b = STRBUF_INIT;

	c->sasl.why = why;
	c->sasl.text = mem_strdup(text);
	strbuf_puts(&b, "*");
	send_line(c, &b);
}

/* "AUTH MECHANISM", with the initial response where it fits the line. */
static void
send_start(struct smtp_client *c, const struct msg_auth_step *m)
{
	struct strbuf b = STRBUF_INIT, ir = STRBUF_INIT;

	strbuf_puts(&b, "AUTH ");
	strbuf_puts(&b, m->mechanism);
	if (m->has_data) {
		if (m->data.n == 0)
			strbuf_puts(&ir, "=");
		else
			base64_encode(m->data, &ir);
		if (b.n + 1 + ir.n + 2 <= COMMAND_MAX) {
			strbuf_putc(&b, ' ');
			strbuf_add_slice(&b, strbuf_slice(&ir));
		} else {
			c->sasl.has_held = true;
			strbuf_add_slice(&c->sasl.held, strbuf_slice(&ir));
		}
	}
	strbuf_wipe(&ir);
	send_line(c, &b);
}

static void
send_response(struct smtp_client *c, const struct msg_auth_step *m)
{
	struct strbuf b = STRBUF_INIT;

	if (m->has_data)
		base64_encode(m->data, &b);
	send_line(c, &b);
}

static bool
is_mechanism(const char *s)
{
	return s != NULL && s[0] != '\0' && strlen(s) <= 20 &&
	    strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(s);
}

static void
on_step(struct smtp_client *c, const struct msg_auth_step *m)
{
	bool first = c->sasl.steps++ == 0;
	enum smtp_client_end why = m->again ? SMTP_END_TOKEN :
	    SMTP_END_CREDENTIAL;
	const char *text = m->text != NULL ? m->text : "no usable credential";

	switch ((enum auth_state)m->state) {
	case AUTH_CONTINUE:
	case AUTH_OK:
		c->sasl.done = m->state == AUTH_OK;
		c->sasl.again = m->again;
		if (!first)
			send_response(c, m);
		else if (is_mechanism(m->mechanism))
			send_start(c, m);
		else
			client_end(c, SMTP_END_UNREACHABLE,
			    "auth chose no mechanism");
		return;
	case AUTH_TEMPORARY:
		why = SMTP_END_UNREACHABLE;
		break;
	case AUTH_NO_MECHANISM:
		if (m->text == NULL)
			text = "no common AUTH mechanism";
		break;
	default:
		break;
	}
	if (first)
		client_end(c, why, "%s", text);
	else
		cancel(c, why, text);
}

static void
on_answer(void *arg, struct port_message *m)
{
	struct smtp_client *c = arg;
	struct msg_auth_step step;

	c->sasl.ref = 0;
	if (m != NULL && m->fd >= 0) {
		log_msg(LL_WARN, "auth", "a descriptor nobody asked for");
		m = NULL;
	}
	if (m == NULL || m->type != MSG_CRED_STEP ||
	    msg_auth_step_decode(m->data, &step) < 0) {
		client_end(c, SMTP_END_UNREACHABLE,
		    "no credential at present: auth does not answer");
		return;
	}
	on_step(c, &step);
	msg_auth_step_clear(&step);
}

/* tls-exporter on TLS 1.3, tls-unique below; type stays NULL where there is
 * none.  RFC 9266 2, RFC 5929 3. */
static void
bind_channel(const struct smtp_client *c, uint8_t octets[],
    struct msg_binding *m)
{
	static char exporter[] = "tls-exporter", unique[] = "tls-unique";
	size_t n = 0;

	if (c->tls_text == NULL)
		return;
	if (conn_tls_unique(c->conn, octets, &n) == 0) {
		m->type = unique;
	} else if (conn_tls_exporter(c->conn, octets) == 0) {
		m->type = exporter;
		n = CONN_BINDING_EXPORTER_LEN;
	}
	m->data = slice_of(octets, n);
}

static void
ask(struct smtp_client *c, uint16_t type, struct slice data)
{
	uint8_t octets[CONN_BINDING_UNIQUE_MAX];
	struct sasl *s = &c->sasl;
	struct strbuf b = STRBUF_INIT;
	struct msg_cred m = {
		.session = s->number,
		.transport = c->to.transport->name,
		.host = (char *)(uintptr_t)c->to.host,
		.mechanisms = type == MSG_CRED_START ? c->caps.auth : NULL,
		.secure = is_secure(c),
		.data = data
	};

	if (type == MSG_CRED_START)
		bind_channel(c, octets, &m.binding);
	client_state(c, ST_AUTH_ASK);
	msg_cred_encode(&b, &m);
	s->ref = port_request(c->env->auth, ANSWER_MS, on_answer, c);
	port_send(c->env->auth, type, s->ref, strbuf_slice(&b));
	strbuf_wipe(&b);
}

/* ---- between us and the server ---- */

static void
on_challenge(struct smtp_client *c)
{
	struct sasl *s = &c->sasl;
	struct strbuf b = STRBUF_INIT;
	struct slice line;

	if (s->text != NULL || c->reply.lines != 1 || s->steps >= STEPS_MAX) {
		client_broken(c, "a challenge that nobody waits for");
		return;
	}
	if (s->has_held) {
		s->has_held = false;
		strbuf_add_slice(&b, strbuf_slice(&s->held));
		strbuf_wipe(&s->held);
		send_line(c, &b);
		return;
	}
	if (!smtp_reply_line(&c->reply, 0, &line) || line.n > CHALLENGE_MAX ||
	    base64_decode(slice_trim(line), &b) < 0)
		cancel(c, SMTP_END_UNREACHABLE,
		    "AUTH: the server's challenge is not base64");
	else if (!same_auth(c))
		cancel(c, SMTP_END_UNREACHABLE,
		    "no credential at present: auth was restarted");
	else
		ask(c, MSG_CRED_NEXT, strbuf_slice(&b));
	strbuf_wipe(&b);
}

void
auth_reply(struct smtp_client *c)
{
	struct sasl *s = &c->sasl;
	enum smtp_client_end why = s->again ? SMTP_END_TOKEN :
	    SMTP_END_CREDENTIAL;
	int code = c->reply.code;
	char *text;

	if (code == 334) {
		on_challenge(c);
		return;
	}
	if (s->text != NULL && code >= 400) {
		text = s->text;
		s->text = NULL;
		client_end(c, s->why, "%s", text);
		free(text);
		return;
	}
	if (code == 235 && s->done && s->text == NULL && !s->has_held) {
		drop_as(c, MSG_CRED_ACCEPTED);
		hello_ready(c);
	} else if (code < 400)
		client_broken(c, "\"%s\" before AUTH is finished",
		    client_reply_text(c));
	else if (reply_is_full(&c->reply))
		client_end(c, SMTP_END_FULL, "AUTH refused: %s",
		    client_reply_text(c));
	else if (code < 500 && code != 432)
		client_end(c, SMTP_END_UNREACHABLE, "AUTH refused: %s",
		    client_reply_text(c));
	else {
		drop_as(c, MSG_CRED_REFUSED);
		client_end(c, why, "AUTH refused: %s", client_reply_text(c));
	}
}

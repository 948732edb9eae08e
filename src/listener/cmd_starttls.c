/* STARTTLS (listener; RFC 3207) and listeners with implicit TLS (RFC 8314).
 * What was said in plain is forgotten once TLS is on; plaintext that was sent
 * behind the command ends the connection. */
#include "listener/session.h"

#include <stdlib.h>

#include "base/log.h"

bool
smtpd_tls_offered(const struct session *s)
{
	return !s->tls && (s->ep->tls_mode == TLS_STARTTLS ||
	    s->ep->tls_mode == TLS_REQUIRED);
}

void
smtpd_starttls(struct session *s, const struct smtp_command *c)
{
	(void)c;
	if (s->tls) {
		session_refuse(s, REFUSE_TLS_TWICE);
		return;
	}
	if (!smtpd_tls_offered(s)) {
		session_refuse(s, REFUSE_NOT_OFFERED);
		return;
	}
	/* The handshake begins when this line was taken from the input. */
	session_set_state(s, ST_TLS);
	SAY(s, "220 2.0.0 Ready to start TLS\r\n");
}

void
smtpd_tls_begin(struct session *s)
{
	struct tls_context *ctx;
	struct err e = { 0 };

	ctx = endpoint_tls(s->ep, s->block != NULL ? s->block->min_tls : 0);
	session_set_state(s, ST_TLS);
	if (ctx == NULL) {
		session_abort(s, "no certificate");
		return;
	}
	if (conn_start_tls_server(s->conn, ctx, s->ep->conf->timeout, &e) == 0)
		return;
	listener_tell(s->owner, "", "starttls");
	log_begin(LL_INFO, "rejected");
	log_str("client", s->client_text);
	log_str("listener", s->ep->conf->name);
	log_str("reason", "starttls");
	log_str("text", e.text);
	log_end();
	session_abort(s, "starttls");
}

void
smtpd_tls_secured(struct session *s)
{
	s->tls = true;
	smtpd_transaction_drop(s);
	smtpd_auth_drop(s);
	free(s->helo);
	free(s->login);
	s->helo = s->login = NULL;
	s->login_conf = NULL;
	s->auth_done = false;
	session_set_state(s, ST_CONNECTED);
	listener_tell(s->owner, "tls ", conn_tls_version(s->conn));
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "tls");
		log_str("client", s->client_text);
		log_str("version", conn_tls_version(s->conn));
		log_str("cipher", conn_tls_cipher(s->conn));
		log_end();
	}
	if (s->ep->tls_mode == TLS_IMPLICIT)
		session_greet(s);
	session_touch(s);
}

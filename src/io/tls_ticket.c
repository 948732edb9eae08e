/* What a server gives so that the next handshake with it is short (RFC 8446
 * 2.2, RFC 5077).
 *
 * delivery.  A ticket belongs to one policy and one server: whoever keeps it
 * uses it for these only, as neither chain nor name is checked again when a
 * session is resumed (the verdict of the first handshake stands).  A ticket of
 * TLS 1.3 is used once. */
#include <stdlib.h>
#include <time.h>

#include <openssl/ssl.h>

#include "base/mem.h"
#include "io/conn.h"
#include "io/conn_private.h"
#include "io/tls_context_private.h"

#define AGE_MAX 3600			/* s; then certificates are looked at */

struct tls_ticket {
	unsigned refs;
	SSL_SESSION *session;		/* the latest, or NULL */
};

static int ticket_index = -1;		/* of SSL's own data */

struct tls_ticket *
tls_ticket_new(void)
{
	struct tls_ticket *t = mem_zalloc(sizeof(*t));

	if (ticket_index < 0)
		ticket_index = SSL_get_ex_new_index(0, NULL, NULL, NULL,
		    NULL);
	t->refs = 1;
	return t;
}

static void
forget(struct tls_ticket *t)
{
	SSL_SESSION_free(t->session);
	t->session = NULL;
}

void
tls_ticket_free(struct tls_ticket **tp)
{
	struct tls_ticket *t = *tp;

	*tp = NULL;
	if (t == NULL || --t->refs > 0)
		return;
	forget(t);
	free(t);
}

/* OpenSSL's callback: 1 takes the session over. */
int
tls_ticket_keep(SSL *ssl, SSL_SESSION *session)
{
	struct tls_ticket *t = ticket_index < 0 ? NULL :
	    SSL_get_ex_data(ssl, ticket_index);

	if (t == NULL || !SSL_SESSION_is_resumable(session))
		return 0;
	forget(t);
	t->session = session;
	return 1;
}

void
conn_tls_ticket(struct conn *c, struct tls_ticket *t)
{
	if (c->ssl == NULL || c->tls == TLS_ON || ticket_index < 0 ||
	    SSL_set_ex_data(c->ssl, ticket_index, t) != 1)
		return;
	t->refs++;
	if (t->session == NULL)
		return;
	if ((time_t)SSL_SESSION_get_time(t->session) + AGE_MAX < time(NULL)) {
		forget(t);
		return;
	}
	(void)SSL_set_session(c->ssl, t->session);
	if (SSL_SESSION_get_protocol_version(t->session) >= TLS1_3_VERSION)
		forget(t);
}

void
tls_ticket_drop(SSL *ssl, bool shaken)
{
	struct tls_ticket *t = ticket_index < 0 ? NULL :
	    SSL_get_ex_data(ssl, ticket_index);

	if (t == NULL)
		return;
	SSL_set_ex_data(ssl, ticket_index, NULL);
	/* OpenSSL spoils the session of a connection that ends without our
	 * close_notify, as after QUIT and the server's own end. */
	if (shaken)
		SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) |
		    SSL_SENT_SHUTDOWN);
	else
		forget(t);		/* may be what the server disliked */
	tls_ticket_free(&t);
}

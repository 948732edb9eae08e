/* What tls_context.c, tls_server.c and tls_client.c share. */
#ifndef IO_TLS_CONTEXT_PRIVATE_H
#define IO_TLS_CONTEXT_PRIVATE_H

#include <openssl/ssl.h>

#include "base/strbuf.h"
#include "io/tls_context.h"

/* Server: a certificate and the context that shows it; certificates of other
 * key kinds for the same names share the context. */
struct tls_identity {
	SSL_CTX *ssl;
	X509 *leaf;
	int64_t expiry;
};

struct tls_anchors {
	unsigned refs;
	X509_STORE *store;
	STACK_OF(X509_NAME) *names;	/* to show to clients */
};

struct tls_context {
	unsigned refs;
	bool server;
	SSL_CTX *ssl;			/* server: of the first identity */
	struct tls_identity *ids;
	size_t id_count;
	struct tls_pin *pins;
	size_t pin_count;
};

/* Keeps the certificate that a check refuses with its connection (SSL's own
 * data of the application); dropped before SSL_free(). */
void tls_note_refused(X509_STORE_CTX *x);
void tls_drop_refused(SSL *ssl);
/* Appends why, with what the certificate itself says about that. */
void tls_refusal_text(const SSL *ssl, long result, struct strbuf *out);

/* tls_ticket.c: a session of ours has come; a connection goes, its handshake
 * done or not. */
int tls_ticket_keep(SSL *ssl, SSL_SESSION *session);
void tls_ticket_drop(SSL *ssl, bool shaken);

/* A context with what is common to both sides; NULL with *e. */
SSL_CTX *tls_base_context(bool server, enum tls_version min, struct err *e);
/* Adds certificate, chain and key; *leaf (may be NULL) is the caller's. */
int tls_use_pem(SSL_CTX *ssl, const struct tls_pem *pem, X509 **leaf,
    struct err *e);

#endif

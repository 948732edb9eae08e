/* TLS policies: one context for each distinct set of certificates, anchors
 * and limits, shared by all connections under it.  Everything comes as octets
 * (PEM): the roles open no files.  Referenced; the last _free() frees. */
#ifndef IO_TLS_CONTEXT_H
#define IO_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct ssl_ctx_st;
struct x509_st;
struct tls_context;
struct tls_anchors;
struct tls_ticket;

enum tls_version { TLS_1_2, TLS_1_0, TLS_1_1, TLS_1_3 };  /* 0: the default */

/* A certificate with its chain behind it, and its key; the key may stand in
 * chain too (key empty then).  Passphrase empty: none. */
struct tls_pem {
	struct slice chain;
	struct slice key;
	struct slice passphrase;
};

/* Has the library read its own configuration, for a process that will not be
 * able to open files when it first needs TLS. */
void tls_start(void);

/* Trusted CA certificates, parsed once and shared by contexts.  -> NULL with
 * *e when the PEM holds none or a broken one. */
struct tls_anchors *tls_anchors_new(struct slice pem, struct err *e);
struct tls_anchors *tls_anchors_ref(struct tls_anchors *a);
void tls_anchors_free(struct tls_anchors **a);
/* A context of another library's trusts these and nobody else. */
void tls_anchors_lend(struct tls_anchors *a, struct ssl_ctx_st *ssl);

enum tls_client_cert {
	TLS_CLIENT_CERT_NONE,		/* not asked for */
	TLS_CLIENT_CERT_ASK		/* looked at; conn_tls_verified() */
};

/* Server: one of the certificates is chosen by the name the client asks for
 * (subjectAltName, wildcards as in RFC 6125), the first one where none fits
 * or none is asked for.  Certificates with the same names and keys of
 * different kinds (RSA, ECDSA) are offered together. */
struct tls_server_options {
	const struct tls_pem *certs;
	size_t cert_count;		/* at least 1 */
	enum tls_version min_version;
	enum tls_client_cert client_cert;
	struct tls_anchors *client_ca;	/* for ASK; borrowed */
};
/* Octets are only read during the call.  NULL with *e, whose text says which
 * certificate (counted from 1) and what is wrong with it. */
struct tls_context *tls_server_new(const struct tls_server_options *o,
    struct err *e);

/* SHA-256 of the certificate (DER) or of its public key. */
struct tls_pin {
	bool spki;
	uint8_t sha256[32];
};
/* "ab:cd..." or "spki:ab..."; colons and case free.  -1 when it is not. */
int tls_pin_parse(struct slice s, struct tls_pin *pin, struct err *e);

/* Client. */
struct tls_client_options {
	/* Refuse peers whose chain or name does not pass; else any is taken
	 * and conn_tls_verified() tells.  Pins replace both checks and are
	 * always insisted on. */
	bool verify;
	struct tls_anchors *anchors;	/* NULL: none, nothing will pass */
	const struct tls_pin *pins;	/* one of them must fit */
	size_t pin_count;
	const struct tls_pem *cert;	/* our own, or NULL */
	enum tls_version min_version;
};
struct tls_context *tls_client_new(const struct tls_client_options *o,
    struct err *e);

struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_free(struct tls_context **c);
/* For resuming sessions with one server under one policy; empty at first. */
struct tls_ticket *tls_ticket_new(void);
void tls_ticket_free(struct tls_ticket **t);
/* The SSL_CTX, borrowed. */
struct ssl_ctx_st *tls_context_ssl(const struct tls_context *c);
bool tls_context_is_server(const struct tls_context *c);
bool tls_context_pinned(const struct tls_context *c);

/* What an X509_V_* result means, for people; never NULL. */
const char *tls_verify_text(long result);
/* Appends what OpenSSL noted last as one line to e: "what: reason"; empties
 * its queue; returns -1 with code EPROTO. */
int tls_error(struct err *e, const char *what);
/* When the certificate ends, seconds since 1970, of the i-th given to
 * tls_server_new(); -1 when there is no such one. */
int64_t tls_server_expiry(const struct tls_context *c, size_t i);

#endif

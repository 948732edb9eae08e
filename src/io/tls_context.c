/* TLS policies: what both sides have in common, PEM, anchors, errors as text.
 *
 * listener and delivery; monitor to check a configuration.  Nothing here opens
 * a file and nothing asks for a passphrase on a terminal. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "io/tls_context.h"
#include "io/tls_context_private.h"

int
tls_error(struct err *e, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);
	const char *data = NULL;
	int flags = 0;

	if (code != 0)
		ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);
	if (reason == NULL && ERR_SYSTEM_ERROR(code))
		reason = strerror(ERR_GET_REASON(code));
	err_set(e, EPROTO, "%s: %s%s%s", what,
	    reason != NULL ? reason : "unknown error",
	    data != NULL && (flags & ERR_TXT_STRING) && *data ? ": " : "",
	    data != NULL && (flags & ERR_TXT_STRING) ? data : "");
	ERR_clear_error();
	return -1;
}

const char *
tls_verify_text(long result)
{
	switch (result) {
	case X509_V_OK:
		return "verified";
	case X509_V_ERR_APPLICATION_VERIFICATION:
		return "certificate does not fit any pinned fingerprint";
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return "certificate is for another name";
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "certificate is for another address";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "self-signed certificate";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "root certificate is not trusted";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "issuer is not trusted, or its certificate was not sent";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "certificate has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "certificate is not valid yet (or the clock is wrong)";
	case X509_V_ERR_INVALID_PURPOSE:
		return "certificate is not for this use";
	default:
		return X509_verify_cert_error_string(result);
	}
}

void
tls_start(void)
{
	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL);
}

SSL_CTX *
tls_base_context(bool server, enum tls_version min, struct err *e)
{
	static const int number[] = {
		[TLS_1_2] = TLS1_2_VERSION,
		[TLS_1_0] = TLS1_VERSION,
		[TLS_1_1] = TLS1_1_VERSION,
		[TLS_1_3] = TLS1_3_VERSION,
	};
	SSL_CTX *ssl;

	ERR_clear_error();
	ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (ssl == NULL) {
		tls_error(e, "TLS");
		return NULL;
	}
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* One read() for header and body of a record, and for several. */
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* The old versions sign with SHA-1: security level 0 only. */
	if (SSL_CTX_set_min_proto_version(ssl, number[min]) != 1 ||
	    ((min == TLS_1_0 || min == TLS_1_1) &&
	    SSL_CTX_set_cipher_list(ssl, "DEFAULT:@SECLEVEL=0") != 1)) {
		tls_error(e, "TLS version");
		SSL_CTX_free(ssl);
		return NULL;
	}
	return ssl;
}

/* ---- PEM ---- */

static BIO *
bio_of(struct slice s)
{
	if (s.n > INT_MAX)
		s.n = INT_MAX;
	return BIO_new_mem_buf(s.n > 0 ? s.p : "", (int)s.n);
}

/* Never asks anyone. */
static int
give_passphrase(char *buf, int size, int rwflag, void *arg)
{
	const struct slice *pass = arg;

	(void)rwflag;
	if (pass->n == 0 || pass->n > (size_t)size)
		return -1;
	memcpy(buf, pass->p, pass->n);
	return (int)pass->n;
}

/* True at the end of the PEM, false when it is damaged. */
static bool
pem_ended(void)
{
	unsigned long code = ERR_peek_last_error();
	bool ended = ERR_GET_LIB(code) == ERR_LIB_PEM &&
	    ERR_GET_REASON(code) == PEM_R_NO_START_LINE;

	if (ended)
		ERR_clear_error();
	return ended;
}

static int
use_chain(SSL_CTX *ssl, BIO *bio, X509 *leaf)
{
	X509 *cert;
	long r;

	if (SSL_CTX_use_certificate(ssl, leaf) != 1)
		return -1;
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		r = SSL_CTX_add1_chain_cert(ssl, cert);
		X509_free(cert);
		if (r != 1)
			return -1;
	}
	return pem_ended() ? 0 : -1;
}

static bool
holds(struct slice s, const char *text)
{
	return s.n > 0 && memmem(s.p, s.n, text, strlen(text)) != NULL;
}

/* OpenSSL's own words for a missing or wrong passphrase help nobody. */
static int
key_error(const struct tls_pem *pem, struct slice text, struct err *e)
{
	ERR_clear_error();
	if (!holds(text, "PRIVATE KEY-----"))
		return err_set(e, EINVAL, "holds no PEM private key");
	if (!holds(text, "ENCRYPTED"))
		return err_set(e, EINVAL, "private key: damaged");
	return err_set(e, EINVAL, "private key: %s", pem->passphrase.n > 0 ?
	    "damaged, or another passphrase" :
	    "encrypted, and no passphrase is given");
}

static int
use_key(SSL_CTX *ssl, const struct tls_pem *pem, struct err *e)
{
	struct slice text = pem->key.n > 0 ? pem->key : pem->chain;
	struct slice pass = pem->passphrase;
	EVP_PKEY *key = NULL;
	BIO *bio;
	int r;

	bio = bio_of(text);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase,
		    &pass);
	BIO_free(bio);
	if (key == NULL)
		return key_error(pem, text, e);
	r = SSL_CTX_use_PrivateKey(ssl, key);
	EVP_PKEY_free(key);
	if (r != 1 || SSL_CTX_check_private_key(ssl) != 1)
		return tls_error(e, "private key");
	return 0;
}

int
tls_use_pem(SSL_CTX *ssl, const struct tls_pem *pem, X509 **leaf,
    struct err *e)
{
	X509 *cert = NULL;
	BIO *bio;

	ERR_clear_error();
	bio = bio_of(pem->chain);
	if (bio != NULL)
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (cert == NULL) {
		if (pem_ended())
			err_set(e, EINVAL, "holds no PEM certificate");
		else
			tls_error(e, "certificate");
		goto fail;
	}
	if (use_chain(ssl, bio, cert) < 0) {
		tls_error(e, "certificate");
		goto fail;
	}
	if (use_key(ssl, pem, e) < 0)
		goto fail;
	BIO_free(bio);
	if (leaf != NULL)
		*leaf = cert;
	else
		X509_free(cert);
	return 0;

fail:
	X509_free(cert);
	BIO_free(bio);
	return -1;
}

/* ---- anchors ---- */

static int
add_anchor(struct tls_anchors *a, X509 *cert)
{
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));

	if (name == NULL || !sk_X509_NAME_push(a->names, name)) {
		X509_NAME_free(name);
		return -1;
	}
	return X509_STORE_add_cert(a->store, cert) == 1 ? 0 : -1;
}

struct tls_anchors *
tls_anchors_new(struct slice pem, struct err *e)
{
	struct tls_anchors *a = mem_zalloc(sizeof(*a));
	X509 *cert;
	BIO *bio;
	size_t n = 0;
	int r = 0;

	ERR_clear_error();
	a->refs = 1;
	a->store = X509_STORE_new();
	a->names = sk_X509_NAME_new_null();
	bio = bio_of(pem);
	if (a->store == NULL || a->names == NULL || bio == NULL)
		goto fail;
	while (r == 0 && (cert = PEM_read_bio_X509_AUX(bio, NULL, NULL,
	    NULL)) != NULL) {
		r = add_anchor(a, cert);
		X509_free(cert);
		n++;
	}
	if (r < 0 || !pem_ended())
		goto fail;
	BIO_free(bio);
	if (n > 0)
		return a;
	err_set(e, EINVAL, "holds no PEM certificate");
	tls_anchors_free(&a);
	return NULL;

fail:
	tls_error(e, "CA certificates");
	BIO_free(bio);
	tls_anchors_free(&a);
	return NULL;
}

struct tls_anchors *
tls_anchors_ref(struct tls_anchors *a)
{
	a->refs++;
	return a;
}

void
tls_anchors_free(struct tls_anchors **ap)
{
	struct tls_anchors *a = *ap;

	*ap = NULL;
	if (a == NULL || --a->refs > 0)
		return;
	X509_STORE_free(a->store);
	sk_X509_NAME_pop_free(a->names, X509_NAME_free);
	free(a);
}

void
tls_anchors_lend(struct tls_anchors *a, struct ssl_ctx_st *ssl)
{
	SSL_CTX_set1_cert_store(ssl, a->store);
}

/* ---- contexts ---- */

struct tls_context *
tls_context_ref(struct tls_context *c)
{
	c->refs++;
	return c;
}

void
tls_context_free(struct tls_context **cp)
{
	struct tls_context *c = *cp;
	size_t i;

	*cp = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	for (i = 0; i < c->id_count; i++) {
		SSL_CTX_free(c->ids[i].ssl);
		X509_free(c->ids[i].leaf);
	}
	SSL_CTX_free(c->ssl);
	free(c->ids);
	free(c->pins);
	free(c);
}

SSL_CTX *
tls_context_ssl(const struct tls_context *c)
{
	return c->ssl;
}

bool
tls_context_is_server(const struct tls_context *c)
{
	return c->server;
}

bool
tls_context_pinned(const struct tls_context *c)
{
	return c->pin_count > 0;
}

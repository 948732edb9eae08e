/* TLS policies for servers: certificates, chosen by the name asked for.
 *
 * listener.  Sessions are resumed by tickets, so nothing is kept for them; the
 * ticket key is this process' own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "io/tls_context.h"
#include "io/tls_context_private.h"

static int
choose_identity(SSL *ssl, int *alert, void *arg)
{
	const struct tls_context *c = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	(void)alert;
	if (name == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (i = 0; i < c->id_count; i++) {
		if (X509_check_host(c->ids[i].leaf, name, 0,
		    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1)
			continue;
		if (c->ids[i].ssl != SSL_get_SSL_CTX(ssl))
			SSL_set_SSL_CTX(ssl, c->ids[i].ssl);
		break;
	}
	/* An unknown name is not refused: old clients send odd ones. */
	return SSL_TLSEXT_ERR_OK;
}

/* The verdict on a client's certificate stands in the verify result; the
 * handshake goes on. */
static int
take_any(int ok, X509_STORE_CTX *x)
{
	(void)ok;
	(void)x;
	return 1;
}

static int
set_client_ca(SSL_CTX *ssl, struct tls_anchors *a)
{
	STACK_OF(X509_NAME) *names;

	SSL_CTX_set1_verify_cert_store(ssl, a->store);
	names = sk_X509_NAME_deep_copy(a->names, X509_NAME_dup,
	    X509_NAME_free);
	if (names == NULL)
		return -1;
	SSL_CTX_set_client_CA_list(ssl, names);
	return 0;
}

static SSL_CTX *
new_identity(struct tls_context *c, const struct tls_server_options *o,
    struct err *e)
{
	static const unsigned char sid[] = "smtp";
	SSL_CTX *ssl;

	ssl = tls_base_context(true, o->min_version, e);
	if (ssl == NULL)
		return NULL;
	SSL_CTX_set_session_id_context(ssl, sid, sizeof(sid) - 1);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_dh_auto(ssl, 1);
	SSL_CTX_set_tlsext_servername_callback(ssl, choose_identity);
	SSL_CTX_set_tlsext_servername_arg(ssl, c);
	if (o->client_cert == TLS_CLIENT_CERT_ASK) {
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, take_any);
		if (o->client_ca != NULL &&
		    set_client_ca(ssl, o->client_ca) < 0) {
			tls_error(e, "client CA");
			SSL_CTX_free(ssl);
			return NULL;
		}
	}
	return ssl;
}

/* The names that a certificate is good for. */
static bool
same_names(X509 *a, X509 *b)
{
	int i = X509_get_ext_by_NID(a, NID_subject_alt_name, -1);
	int j = X509_get_ext_by_NID(b, NID_subject_alt_name, -1);

	if (i < 0 && j < 0)
		return X509_NAME_cmp(X509_get_subject_name(a),
		    X509_get_subject_name(b)) == 0;
	return i >= 0 && j >= 0 && ASN1_OCTET_STRING_cmp(
	    X509_EXTENSION_get_data(X509_get_ext(a, i)),
	    X509_EXTENSION_get_data(X509_get_ext(b, j))) == 0;
}

/* One context for the same names with another kind of key. */
static int
join_identity(struct tls_context *c, struct tls_identity *id,
    const struct tls_pem *pem, struct err *e)
{
	struct tls_identity *o;
	EVP_PKEY *mine = X509_get0_pubkey(id->leaf), *theirs;

	for (o = c->ids; o < id; o++) {
		theirs = X509_get0_pubkey(o->leaf);
		if (mine == NULL || theirs == NULL ||
		    EVP_PKEY_get_base_id(mine) == EVP_PKEY_get_base_id(theirs)
		    || !same_names(o->leaf, id->leaf))
			continue;
		if (tls_use_pem(o->ssl, pem, NULL, e) < 0)
			return -1;
		SSL_CTX_free(id->ssl);
		id->ssl = o->ssl;
		SSL_CTX_up_ref(id->ssl);
		return 0;
	}
	return 0;
}

static int64_t
expiry_of(const X509 *cert)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

static int
add_identity(struct tls_context *c, const struct tls_server_options *o,
    const struct tls_pem *pem, struct err *e)
{
	struct tls_identity *id = &c->ids[c->id_count++];

	id->ssl = new_identity(c, o, e);
	if (id->ssl == NULL || tls_use_pem(id->ssl, pem, &id->leaf, e) < 0)
		return -1;
	id->expiry = expiry_of(id->leaf);
	return join_identity(c, id, pem, e);
}

struct tls_context *
tls_server_new(const struct tls_server_options *o, struct err *e)
{
	struct tls_context *c;
	size_t i;

	if (o->cert_count == 0) {
		err_set(e, EINVAL, "TLS needs a certificate");
		return NULL;
	}
	c = mem_zalloc(sizeof(*c));
	c->refs = 1;
	c->server = true;
	c->ids = mem_zarray(o->cert_count, sizeof(*c->ids));
	for (i = 0; i < o->cert_count; i++) {
		if (add_identity(c, o, &o->certs[i], e) < 0) {
			err_prefix(e, "certificate %zu", i + 1);
			tls_context_free(&c);
			return NULL;
		}
	}
	c->ssl = c->ids[0].ssl;
	SSL_CTX_up_ref(c->ssl);
	return c;
}

int64_t
tls_server_expiry(const struct tls_context *c, size_t i)
{
	return i < c->id_count ? c->ids[i].expiry : -1;
}

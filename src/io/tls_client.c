/* TLS policies for clients: anchors, pins, our own certificate.
 *
 * delivery and auth.  Names and addresses are set on each connection; whether
 * a chain is insisted on is the context's.  A pin replaces chain and name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "io/tls_context.h"
#include "io/tls_context_private.h"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
tls_pin_parse(struct slice s, struct tls_pin *pin, struct err *e)
{
	size_t i, n = 0;
	int v;

	memset(pin, 0, sizeof(*pin));
	pin->spki = slice_starts_case(s, SLICE_LIT("spki:"));
	if (pin->spki)
		s = slice_skip(s, 5);
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == ':')
			continue;
		v = hex_value(s.p[i]);
		if (v < 0 || n == 64)
			break;
		pin->sha256[n / 2] = (uint8_t)(pin->sha256[n / 2] << 4 | v);
		n++;
	}
	if (i < s.n || n != 64)
		return err_set(e, EINVAL, "a fingerprint is 64 hexadecimal "
		    "digits (SHA-256), \"spki:\" before it for a public key");
	return 0;
}

static int
spki_digest(X509 *cert, uint8_t out[32])
{
	unsigned char *der = NULL;
	int n;

	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	if (n <= 0)
		return -1;
	SHA256(der, (size_t)n, out);
	OPENSSL_free(der);
	return 0;
}

/* Instead of OpenSSL's own chain and name checks. */
static int
check_pins(X509_STORE_CTX *x, void *arg)
{
	const struct tls_context *c = arg;
	X509 *cert = X509_STORE_CTX_get0_cert(x);
	uint8_t whole[32], spki[32];
	unsigned n = 0;
	size_t i;

	X509_STORE_CTX_set_error(x, X509_V_ERR_APPLICATION_VERIFICATION);
	if (cert == NULL || X509_digest(cert, EVP_sha256(), whole, &n) != 1 ||
	    spki_digest(cert, spki) < 0)
		return 0;
	for (i = 0; i < c->pin_count; i++) {
		if (memcmp(c->pins[i].sha256, c->pins[i].spki ? spki : whole,
		    32) == 0) {
			X509_STORE_CTX_set_error(x, X509_V_OK);
			return 1;
		}
	}
	tls_note_refused(x);
	return 0;
}

/* OpenSSL's own verdict stands; what it was about is kept. */
static int
note_verdict(int ok, X509_STORE_CTX *x)
{
	if (!ok)
		tls_note_refused(x);
	return ok;
}

struct tls_context *
tls_client_new(const struct tls_client_options *o, struct err *e)
{
	struct tls_context *c = mem_zalloc(sizeof(*c));

	c->refs = 1;
	c->ssl = tls_base_context(false, o->min_version, e);
	if (c->ssl == NULL)
		goto fail;
	if (o->cert != NULL && tls_use_pem(c->ssl, o->cert, NULL, e) < 0) {
		err_prefix(e, "client certificate");
		goto fail;
	}
	if (o->anchors != NULL)
		SSL_CTX_set1_cert_store(c->ssl, o->anchors->store);
	if (o->pin_count > 0) {
		c->pins = mem_dup(o->pins, o->pin_count * sizeof(*c->pins));
		c->pin_count = o->pin_count;
		SSL_CTX_set_cert_verify_callback(c->ssl, check_pins, c);
	}
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ssl, tls_ticket_keep);
	/* Without VERIFY_PEER the checks run all the same, and their result
	 * is noted. */
	SSL_CTX_set_verify(c->ssl, o->verify || o->pin_count > 0 ?
	    SSL_VERIFY_PEER : SSL_VERIFY_NONE, note_verdict);
	return c;

fail:
	tls_context_free(&c);
	return NULL;
}

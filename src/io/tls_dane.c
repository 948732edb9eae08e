/* DANE on a TLS connection.
 *
 * delivery.  OpenSSL does the matching; here is which records count (RFC 7672
 * 3.1: the PKIX usages 0 and 1 are of no use between mail servers) and which
 * names (3.2: none for DANE-EE). */
#include "io/tls_dane.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "io/tls_context.h"

enum { USAGE_TA = 2, USAGE_EE = 3 };
enum { MATCH_FULL = 0, MATCH_SHA256 = 1, MATCH_SHA512 = 2 };

static bool
usable(struct slice r)
{
	const uint8_t *p = (const uint8_t *)r.p;

	if (r.n < 4 || (p[0] != USAGE_TA && p[0] != USAGE_EE) || p[1] > 1)
		return false;
	switch (p[2]) {
	case MATCH_FULL:
		return true;
	case MATCH_SHA256:
		return r.n == 3 + 32;
	case MATCH_SHA512:
		return r.n == 3 + 64;
	default:
		return false;
	}
}

size_t
tls_dane_usable(const struct slice *records, size_t count)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		n += usable(records[i]);
	return n;
}

int
tls_dane_apply(struct ssl_st *ssl, const struct tls_dane *d, struct err *e)
{
	size_t i, n = 0;

	if (SSL_CTX_dane_enable(SSL_get_SSL_CTX(ssl)) != 1 ||
	    SSL_dane_enable(ssl, d->name) != 1)
		return tls_error(e, "DANE");
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (i = 0; i < d->count; i++) {
		const uint8_t *p = (const uint8_t *)d->records[i].p;

		if (usable(d->records[i]) && SSL_dane_tlsa_add(ssl, p[0],
		    p[1], p[2], p + 3, d->records[i].n - 3) == 1)
			n++;
	}
	if (n == 0)
		return err_set(e, EINVAL, "DANE: no TLSA record of %s can be "
		    "used", d->name);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, SSL_get_verify_callback(ssl));
	return 0;
}

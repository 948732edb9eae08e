/* Why a certificate was refused, with what one needs to know to mend it: the
 * names that it is for, the day when it ended, its fingerprint.
 *
 * delivery and auth.  The texts go to logs and to people; what stands in them
 * of the certificate itself is made printable and short. */
#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "io/tls_context.h"
#include "io/tls_context_private.h"

#define NAMES_MAX 4			/* shown */
#define NAME_MAX_OCTETS 64

void
tls_note_refused(X509_STORE_CTX *x)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *cert = X509_STORE_CTX_get0_cert(x);

	if (ssl == NULL || cert == NULL || SSL_get_app_data(ssl) != NULL ||
	    X509_up_ref(cert) != 1)
		return;
	if (SSL_set_app_data(ssl, cert) != 1)
		X509_free(cert);
}

void
tls_drop_refused(SSL *ssl)
{
	X509_free(SSL_get_app_data(ssl));
	SSL_set_app_data(ssl, NULL);
}

static void
add_name(struct strbuf *out, size_t count, const unsigned char *p, size_t n)
{
	size_t i;

	strbuf_puts(out, count > 0 ? ", " : "");
	for (i = 0; i < n && i < NAME_MAX_OCTETS; i++)
		strbuf_putc(out, p[i] > ' ' && p[i] < 0x7f ? (char)p[i] : '?');
}

static void
add_address(struct strbuf *out, size_t count, const unsigned char *p,
    size_t n)
{
	size_t i;

	strbuf_puts(out, count > 0 ? ", " : "");
	for (i = 0; n == 4 && i < 4; i++)
		strbuf_printf(out, "%s%u", i > 0 ? "." : "", p[i]);
	for (i = 0; n == 16 && i < 16; i += 2)
		strbuf_printf(out, "%s%x", i > 0 ? ":" : "",
		    (unsigned)p[i] << 8 | p[i + 1]);
}

static void
add_names(struct strbuf *out, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name,
	    NULL, NULL);
	const GENERAL_NAME *name;
	const ASN1_STRING *s;
	size_t shown = 0;
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(names) && shown < NAMES_MAX;
	    i++) {
		name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS) {
			s = name->d.dNSName;
			add_name(out, shown++, ASN1_STRING_get0_data(s),
			    (size_t)ASN1_STRING_length(s));
		} else if (name->type == GEN_IPADD) {
			s = name->d.iPAddress;
			add_address(out, shown++, ASN1_STRING_get0_data(s),
			    (size_t)ASN1_STRING_length(s));
		}
	}
	if (i < sk_GENERAL_NAME_num(names))
		strbuf_puts(out, ", ...");
	if (shown == 0)
		strbuf_puts(out, "no name at all");
	GENERAL_NAMES_free(names);
}

static void
add_day(struct strbuf *out, const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) == 1)
		strbuf_printf(out, "%04d-%02d-%02d", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday);
}

static void
add_fingerprint(struct strbuf *out, const X509 *cert)
{
	unsigned char sha[EVP_MAX_MD_SIZE];
	unsigned i, n = 0;

	if (X509_digest(cert, EVP_sha256(), sha, &n) != 1)
		return;
	strbuf_puts(out, ", SHA-256 ");
	for (i = 0; i < n; i++)
		strbuf_printf(out, "%02X%s", sha[i], i + 1 < n ? ":" : "");
}

void
tls_refusal_text(const SSL *ssl, long result, struct strbuf *out)
{
	X509 *cert = SSL_get_app_data(ssl);

	strbuf_puts(out, tls_verify_text(result));
	if (cert == NULL)
		return;
	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		strbuf_puts(out, ": it is for ");
		add_names(out, cert);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		/* or one of those above it has */
		if (X509_cmp_current_time(X509_get0_notAfter(cert)) > 0)
			break;
		strbuf_puts(out, ", on ");
		add_day(out, X509_get0_notAfter(cert));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		strbuf_puts(out, ", but from ");
		add_day(out, X509_get0_notBefore(cert));
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_APPLICATION_VERIFICATION:
		add_fingerprint(out, cert);
		break;
	default:
		break;
	}
}

/*
 * The certificate of the other side, for people who try a next hop: whether
 * it was verified, whose it is, who vouches for it, how long, and the number
 * that `tls-fingerprint` takes.
 */
#include "io/tls_peer.h"

#include <ctype.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static void
add_printable(struct strbuf *out, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < 200; i++)
		strbuf_putc(out, isprint((unsigned char)s[i]) ? s[i] : '?');
}

/* The names it is for; the common name where it has none. */
static void
add_names(X509 *x, struct strbuf *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL,
	    NULL);
	char cn[200];
	int i, n = 0;

	for (i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS || n == 4)
			continue;
		strbuf_puts(out, n++ > 0 ? " " : "");
		add_printable(out,
		    (const char *)ASN1_STRING_get0_data(g->d.dNSName),
		    (size_t)ASN1_STRING_length(g->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	if (n > 0)
		return;
	i = X509_NAME_get_text_by_NID(X509_get_subject_name(x),
	    NID_commonName, cn, sizeof(cn));
	if (i > 0)
		add_printable(out, cn, (size_t)i);
	else
		strbuf_puts(out, "nobody");
}

static void
add_until(X509 *x, struct strbuf *out)
{
	char text[32];
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1 ||
	    strftime(text, sizeof(text), "%Y-%m-%d", &tm) == 0)
		return;
	strbuf_printf(out, ", until %s", text);
}

static void
add_fingerprint(X509 *x, struct strbuf *out)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int n, i;

	if (X509_digest(x, EVP_sha256(), hash, &n) != 1)
		return;
	strbuf_puts(out, ", SHA-256 ");
	for (i = 0; i < n; i++)
		strbuf_printf(out, "%02x", hash[i]);
}

void
tls_peer_text(const struct conn *c, struct strbuf *out)
{
	X509 *x = conn_tls_peer_cert(c);
	char issuer[200];

	strbuf_puts(out, conn_tls_verify_text(c));
	if (x == NULL)
		return;
	strbuf_puts(out, "; for ");
	add_names(x, out);
	if (X509_NAME_oneline(X509_get_issuer_name(x), issuer,
	    sizeof(issuer)) != NULL) {
		strbuf_puts(out, ", issued by ");
		add_printable(out, issuer, slice_cstr(issuer).n);
	}
	add_until(x, out);
	add_fingerprint(x, out);
	X509_free(x);
}

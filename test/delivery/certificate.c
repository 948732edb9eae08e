/* See certificate.h. */
#include "delivery/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/strbuf.h"

static struct strbuf chain = STRBUF_INIT, key = STRBUF_INIT;

static void
take_bio(BIO *b, struct strbuf *out)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	strbuf_add(out, p, (size_t)n);
	BIO_free(b);
}

static void
make(void)
{
	EVP_PKEY *pkey;
	X509 *x;
	X509_EXTENSION *ext;
	BIO *b;

	if (chain.n > 0)
		return;
	pkey = EVP_EC_gen("P-256");
	x = X509_new();
	assert_non_null(pkey);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, pkey);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)"mx.example", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
	    "DNS:mx.example");
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, x);
	take_bio(b, &chain);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, pkey, NULL, NULL, 0, NULL, NULL);
	take_bio(b, &key);
	X509_free(x);
	EVP_PKEY_free(pkey);
}

struct slice
certificate_pem(void)
{
	make();
	return strbuf_slice(&chain);
}

struct tls_context *
certificate_server(void)
{
	struct tls_pem pem;
	struct tls_server_options o = { .certs = &pem, .cert_count = 1 };
	struct err e = { 0, "" };
	struct tls_context *c;

	make();
	pem = (struct tls_pem){ strbuf_slice(&chain), strbuf_slice(&key),
		slice_of("", 0) };
	c = tls_server_new(&o, &e);
	if (c == NULL)
		fail_msg("%s", e.text);
	return c;
}

struct tls_context *
certificate_client(bool verify)
{
	struct tls_client_options o = { .verify = verify };
	struct err e = { 0, "" };
	struct tls_context *c = tls_client_new(&o, &e);

	if (c == NULL)
		fail_msg("%s", e.text);
	return c;
}

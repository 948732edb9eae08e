/* Self-signed certificates, and what a certificate says.
 *
 * monitor.  A new certificate keeps the key of the one before; RSA, because
 * the old devices that such a certificate is made for know nothing else.
 * (RFC 5280; no CA: whoever trusts it trusts this host and nobody else.) */
#include "io/tls_self_signed.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "io/tls_context.h"

#define KEY_BITS 2048
#define DAY (24 * 3600L)
#define CN_MAX 64			/* octets, RFC 5280 upper bound */

static BIO *
bio_of(struct slice s)
{
	return s.n <= INT_MAX ? BIO_new_mem_buf(s.n > 0 ? s.p : "",
	    (int)s.n) : NULL;
}

static EVP_PKEY *
read_key(struct slice pem)
{
	BIO *bio = bio_of(pem);
	EVP_PKEY *key = NULL;

	/* "": never asks anyone for a passphrase. */
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, NULL,
		    (void *)(uintptr_t)"");
	BIO_free(bio);
	ERR_clear_error();
	return key;
}

static X509 *
read_certificate(struct slice pem)
{
	BIO *bio = bio_of(pem);
	X509 *cert = NULL;

	if (bio != NULL)
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	ERR_clear_error();
	return cert;
}

/* ---- making one ---- */

static int
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int r;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (ext == NULL)
		return -1;
	r = X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return r == 1 ? 0 : -1;
}

static int
add_extensions(X509 *cert, const char *name)
{
	char *names = mem_printf("DNS:%s%s,IP:127.0.0.1,IP:::1", name,
	    strcmp(name, "localhost") == 0 ? "" : ",DNS:localhost");
	int rc = -1;

	if (add_extension(cert, NID_subject_alt_name, names) == 0 &&
	    add_extension(cert, NID_basic_constraints,
	    "critical,CA:FALSE") == 0 &&
	    add_extension(cert, NID_key_usage,
	    "critical,digitalSignature,keyEncipherment") == 0 &&
	    add_extension(cert, NID_ext_key_usage, "serverAuth") == 0 &&
	    add_extension(cert, NID_subject_key_identifier, "hash") == 0)
		rc = 0;
	free(names);
	return rc;
}

static int
set_serial(X509 *cert)
{
	BIGNUM *n = BN_new();
	int rc = -1;

	if (n != NULL && BN_rand(n, 127, BN_RAND_TOP_ONE,
	    BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL)
		rc = 0;
	BN_free(n);
	return rc;
}

static X509 *
make_certificate(EVP_PKEY *key, const char *name, unsigned days)
{
	const char *cn = strlen(name) <= CN_MAX ? name : "smarthostd";
	X509 *cert = X509_new();
	X509_NAME *subject;

	if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 ||
	    set_serial(cert) < 0 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) == NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0,
	    NULL) == NULL || X509_set_pubkey(cert, key) != 1)
		goto fail;
	subject = X509_get_subject_name(cert);
	if (X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, subject) != 1 ||
	    add_extensions(cert, name) < 0 ||
	    X509_sign(cert, key, EVP_sha256()) == 0)
		goto fail;
	return cert;

fail:
	X509_free(cert);
	return NULL;
}

int
tls_self_signed_make(const char *name, struct slice old, unsigned days,
    struct strbuf *out, struct err *e)
{
	EVP_PKEY *key = read_key(old);
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *cert = NULL;
	char *text = NULL;
	long n;
	int rc = -1;

	if (key == NULL)
		key = EVP_RSA_gen(KEY_BITS);
	if (key != NULL && bio != NULL)
		cert = make_certificate(key, name, days);
	if (cert == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0,
	    NULL, NULL) != 1 || PEM_write_bio_X509(bio, cert) != 1) {
		tls_error(e, "self-signed certificate");
	} else {
		n = BIO_get_mem_data(bio, &text);
		strbuf_add(out, text, (size_t)n);
		mem_wipe(text, (size_t)n);
		rc = 0;
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return rc;
}

/* ---- looking at one ---- */

static void
write_digest(X509 *cert, char out[3 * 32])
{
	unsigned char sha[EVP_MAX_MD_SIZE];
	unsigned i, n = 0;

	out[0] = '\0';
	if (X509_digest(cert, EVP_sha256(), sha, &n) != 1)
		return;
	for (i = 0; i < n && i < 32; i++)
		snprintf(out + 3 * i, 4, "%02X%s", sha[i],
		    i + 1 < n ? ":" : "");
}

int
tls_certificate_look(struct slice pem, const char *name,
    struct tls_certificate_facts *facts, struct err *e)
{
	X509 *cert = read_certificate(pem);
	EVP_PKEY *key;
	struct tm tm;

	memset(facts, 0, sizeof(*facts));
	if (cert == NULL)
		return err_set(e, EINVAL, "holds no PEM certificate");
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1)
		facts->expiry = (int64_t)timegm(&tm);
	facts->for_name = X509_check_host(cert, name, 0, 0, NULL) == 1;
	key = read_key(pem);
	facts->has_key = key != NULL &&
	    X509_check_private_key(cert, key) == 1;
	write_digest(cert, facts->sha256);
	EVP_PKEY_free(key);
	X509_free(cert);
	ERR_clear_error();
	return 0;
}

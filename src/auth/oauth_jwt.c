/* JWT with RS256 (auth; RFC 7515, RFC 7519, RFC 7523).  A key that cannot be
 * used is told without anything of it. */
#include "auth/oauth_jwt.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdlib.h>
#include <string.h>

#include "auth/oauth_form.h"
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "base/mem.h"

#define ASSERTION_S 3600u		/* Google's most */
#define CLIENT_S 300u
#define SKEW_S 30u			/* their clock may be behind */

static EVP_PKEY *
read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL,
	    (void *)(uintptr_t)"") : NULL;

	BIO_free(bio);
	if (key != NULL && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	return key;
}

int
oauth_jwt_sign(struct slice header, struct slice claims, const char *pem,
    struct strbuf *out, struct err *e)
{
	EVP_PKEY *key = read_key(pem);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t start = out->n, n = 0;
	unsigned char *sig = NULL;
	int rc = -1;

	if (key == NULL || ctx == NULL) {
		err_set(e, -1, "the private key is not one of RSA in PEM");
		goto out;
	}
	oauth_base64url(header, out);
	strbuf_putc(out, '.');
	oauth_base64url(claims, out);
	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, NULL, &n, (unsigned char *)out->p + start,
	    out->n - start) != 1) {
		err_set(e, -1, "the private key cannot sign");
		goto out;
	}
	sig = mem_alloc(n);
	if (EVP_DigestSign(ctx, sig, &n, (unsigned char *)out->p + start,
	    out->n - start) != 1) {
		err_set(e, -1, "the private key cannot sign");
		goto out;
	}
	strbuf_putc(out, '.');
	oauth_base64url(slice_of(sig, n), out);
	rc = 0;
out:
	free(sig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

int
oauth_jwt_service(struct slice key_file, const char *scope,
    const char *subject, uint64_t now, struct strbuf *out, char **endpoint,
    struct err *e)
{
	struct strbuf header = STRBUF_INIT, claims = STRBUF_INIT;
	struct json_writer w = json_to(&header);
	char *key = NULL, *id = NULL, *email = NULL, *uri = NULL;
	int rc = -1;

	if (json_object_check(key_file, e) < 0) {
		err_prefix(e, "key-file");
		goto out;
	}
	key = json_text_of(key_file, "private_key");
	id = json_text_of(key_file, "private_key_id");
	email = json_text_of(key_file, "client_email");
	uri = json_text_of(key_file, "token_uri");
	if (key == NULL || email == NULL || uri == NULL) {
		err_set(e, -1, "key-file: private_key, client_email or "
		    "token_uri is missing");
		goto out;
	}
	json_object(&w, NULL);
	json_text(&w, "alg", "RS256");
	json_text(&w, "typ", "JWT");
	if (id != NULL)
		json_text(&w, "kid", id);
	json_close_object(&w);
	w = json_to(&claims);
	json_object(&w, NULL);
	json_text(&w, "iss", email);
	if (subject != NULL)
		json_text(&w, "sub", subject);
	json_text(&w, "scope", scope);
	json_text(&w, "aud", uri);
	json_number(&w, "iat", now > SKEW_S ? now - SKEW_S : now);
	json_number(&w, "exp", now + ASSERTION_S - SKEW_S);
	json_close_object(&w);
	rc = oauth_jwt_sign(strbuf_slice(&header), strbuf_slice(&claims), key,
	    out, e);
	if (rc < 0)
		err_prefix(e, "key-file");
	else {
		*endpoint = uri;
		uri = NULL;
	}
out:
	mem_wipe_text(&key);
	free(id);
	free(email);
	free(uri);
	strbuf_free(&header);
	strbuf_free(&claims);
	return rc;
}

static int
put_thumbprint(struct json_writer *w, const char *name, X509 *cert,
    const EVP_MD *md)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	struct strbuf text = STRBUF_INIT;
	unsigned n = 0;

	if (X509_digest(cert, md, hash, &n) != 1)
		return -1;
	oauth_base64url(slice_of(hash, n), &text);
	json_text(w, name, strbuf_cstr(&text));
	strbuf_free(&text);
	return 0;
}

static int
put_header(struct strbuf *header, const char *certificate, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(certificate, -1);
	X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) :
	    NULL;
	struct json_writer w = json_to(header);
	int rc = -1;

	json_object(&w, NULL);
	json_text(&w, "alg", "RS256");
	json_text(&w, "typ", "JWT");
	if (cert != NULL && put_thumbprint(&w, "x5t", cert, EVP_sha1()) == 0 &&
	    put_thumbprint(&w, "x5t#S256", cert, EVP_sha256()) == 0)
		rc = 0;
	else
		err_set(e, -1, "certificate: there is none in PEM");
	json_close_object(&w);
	X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

int
oauth_jwt_client(const char *certificate, const char *key,
    const char *client_id, const char *endpoint, uint64_t now,
    struct strbuf *out, struct err *e)
{
	struct strbuf header = STRBUF_INIT, claims = STRBUF_INIT;
	struct strbuf id = STRBUF_INIT;
	struct json_writer w = json_to(&claims);
	int rc = -1;

	oauth_random(&id);
	json_object(&w, NULL);
	json_text(&w, "aud", endpoint);
	json_text(&w, "iss", client_id);
	json_text(&w, "sub", client_id);
	json_text(&w, "jti", strbuf_cstr(&id));
	json_number(&w, "iat", now);
	json_number(&w, "nbf", now > SKEW_S ? now - SKEW_S : now);
	json_number(&w, "exp", now + CLIENT_S);
	json_close_object(&w);
	if (put_header(&header, certificate, e) == 0)
		rc = oauth_jwt_sign(strbuf_slice(&header),
		    strbuf_slice(&claims), key, out, e);
	strbuf_free(&header);
	strbuf_free(&claims);
	strbuf_free(&id);
	return rc;
}

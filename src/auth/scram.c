/* The common parts of SCRAM (auth; RFC 5802 2.2, 3, 5.1, 7; RFC 7677).  Names
 * and passwords are taken as the octets that they are: who calls has prepared
 * them (mail/saslprep.h). */
#include "auth/scram.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/rand.h"
#include "io/base64.h"

static const struct scram_hash hashes[] = {
	{ "SCRAM-SHA-256", EVP_sha256, 32 },
	{ "SCRAM-SHA-1", EVP_sha1, 20 },
	{ "SCRAM-SHA-512", EVP_sha512, 64 },	/* of stored strings */
};

const struct scram_hash *
scram_hash_find(struct slice name)
{
	struct slice plus = SLICE_LIT("-PLUS");
	size_t i;

	if (slice_ends_case(name, plus))
		name.n -= plus.n;
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (slice_eq_case_cstr(name, hashes[i].name))
			return &hashes[i];
	return NULL;
}

/* ---- keys ---- */

void
scram_hmac(const struct scram_hash *h, const unsigned char *key,
    struct slice text, unsigned char *out)
{
	unsigned n = 0;

	if (HMAC(h->md(), key, (int)h->size, (const unsigned char *)text.p,
	    text.n, out, &n) == NULL)
		memset(out, 0, h->size);
}

bool
scram_derive(const struct scram_hash *h, struct slice password,
    struct slice salt, unsigned iterations, struct scram_keys *out)
{
	unsigned char salted[SCRAM_KEY_MAX];
	bool good;

	good = PKCS5_PBKDF2_HMAC(password.p, (int)password.n,
	    (const unsigned char *)salt.p, (int)salt.n, (int)iterations,
	    h->md(), (int)h->size, salted) == 1;
	if (good) {
		scram_hmac(h, salted, SLICE_LIT("Client Key"), out->client);
		scram_hmac(h, salted, SLICE_LIT("Server Key"), out->server);
		good = EVP_Digest(out->client, h->size, out->stored, NULL,
		    h->md(), NULL) == 1;
	}
	mem_wipe(salted, sizeof(salted));
	return good;
}

void
scram_proof(const struct scram_hash *h, const unsigned char *stored,
    const unsigned char *key, struct slice message, unsigned char *out)
{
	unsigned char signature[SCRAM_KEY_MAX];
	size_t i;

	scram_hmac(h, stored, message, signature);
	for (i = 0; i < h->size; i++)
		out[i] = key[i] ^ signature[i];
}

bool
scram_is_stored(const struct scram_hash *h, const unsigned char *client,
    const unsigned char *stored)
{
	unsigned char digest[SCRAM_KEY_MAX];

	return EVP_Digest(client, h->size, digest, NULL, h->md(), NULL) == 1
	    && CRYPTO_memcmp(digest, stored, h->size) == 0;
}

/* ---- text ---- */

int
scram_octets(struct slice text, unsigned char *to, size_t max, size_t *n)
{
	struct strbuf b = STRBUF_INIT;
	int rc = -1;

	if (text.n <= 2 * max + 4 && base64_decode(text, &b) == 0 &&
	    b.n > 0 && b.n <= max) {
		memcpy(to, b.p, b.n);
		*n = b.n;
		rc = 0;
	}
	strbuf_wipe(&b);
	return rc;
}

/* Cuts up to the separator off the front. */
static bool
cut(struct slice *s, char separator, struct slice *part)
{
	long at = slice_find(*s, separator);

	if (at < 0)
		return false;
	*part = slice_of(s->p, (size_t)at);
	*s = slice_skip(*s, (size_t)at + 1);
	return true;
}

bool
scram_stored_parse(const char *text, struct scram_stored *k)
{
	struct slice s = slice_cstr(text), name, iterations, salt, stored;
	size_t stored_n, server_n;
	uint64_t n;

	memset(k, 0, sizeof(*k));
	if (!cut(&s, '$', &name) || !cut(&s, ':', &iterations) ||
	    !cut(&s, '$', &salt) || !cut(&s, ':', &stored))
		return false;
	k->hash = scram_hash_find(name);
	if (k->hash == NULL || !slice_eq_cstr(name, k->hash->name) ||
	    !num_u64(iterations, SCRAM_ITERATIONS_MAX, &n) || n == 0)
		return false;
	k->iterations = (unsigned)n;
	return scram_octets(salt, k->salt, sizeof(k->salt),
	    &k->salt_n) == 0 &&
	    scram_octets(stored, k->keys.stored, SCRAM_KEY_MAX,
	    &stored_n) == 0 && stored_n == k->hash->size &&
	    scram_octets(s, k->keys.server, SCRAM_KEY_MAX,
	    &server_n) == 0 && server_n == k->hash->size;
}

bool
scram_attribute(struct slice *s, char letter, struct slice *value)
{
	struct slice rest = *s;

	if (rest.n < 2 || rest.p[0] != letter || rest.p[1] != '=')
		return false;
	rest = slice_skip(rest, 2);
	if (!cut(&rest, ',', value)) {
		*value = rest;
		rest = slice_of(rest.p + rest.n, 0);
	}
	*s = rest;
	return true;
}

void
scram_name_put(struct strbuf *b, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == ',')
			strbuf_puts(b, "=2C");
		else if (*name == '=')
			strbuf_puts(b, "=3D");
		else
			strbuf_putc(b, *name);
	}
}

int
scram_name_get(struct slice text, struct strbuf *out)
{
	struct slice code;
	size_t i;

	if (text.n == 0 || text.n > SCRAM_NAME_MAX)
		return -1;
	for (i = 0; i < text.n; i++) {
		if (text.p[i] == '\0' || text.p[i] == ',')
			return -1;
		if (text.p[i] != '=') {
			strbuf_putc(out, text.p[i]);
			continue;
		}
		code = slice_of(text.p + i, text.n - i < 3 ? text.n - i : 3);
		if (slice_eq_cstr(code, "=2C"))
			strbuf_putc(out, ',');
		else if (slice_eq_cstr(code, "=3D"))
			strbuf_putc(out, '=');
		else
			return -1;
		i += 2;
	}
	return 0;
}

void
scram_nonce_put(struct strbuf *b)
{
	unsigned char raw[18];

	rand_bytes(raw, sizeof(raw));
	base64_encode(slice_of(raw, sizeof(raw)), b);
}

bool
scram_nonce_good(struct slice nonce)
{
	size_t i;

	for (i = 0; i < nonce.n; i++)
		if (nonce.p[i] <= ' ' || nonce.p[i] > '~' ||
		    nonce.p[i] == ',')
			return false;
	return nonce.n > 0 && nonce.n <= SCRAM_NONCE_MAX;
}

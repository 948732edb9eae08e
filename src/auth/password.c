/* Checking the password of a login (auth; RFC 5802 3 for stored keys).  What
 * cannot be checked is refused; nothing of it is logged. */
#include "auth/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "auth/secret_source.h"
#include "base/mem.h"
#include "base/num.h"
#include "io/base64.h"

#define PASSWORD_MAX 4096
#define ITERATIONS_MAX 1000000
#define SALT_MAX 256

/* Equal lengths are compared as hashes, so that time tells nothing. */
static bool
same(struct slice a, struct slice b)
{
	unsigned char ha[SHA256_DIGEST_LENGTH], hb[SHA256_DIGEST_LENGTH];
	bool equal;

	SHA256((const unsigned char *)a.p, a.n, ha);
	SHA256((const unsigned char *)b.p, b.n, hb);
	equal = CRYPTO_memcmp(ha, hb, sizeof ha) == 0;
	mem_wipe(ha, sizeof ha);
	mem_wipe(hb, sizeof hb);
	return equal;
}

/* ---- SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY ---- */

struct scram {
	const EVP_MD *md;
	int iterations;
	unsigned char salt[SALT_MAX];
	int salt_n;
	unsigned char stored[EVP_MAX_MD_SIZE];
};

/* How many octets, or -1: not base64, none, or more than max. */
static int
unbase64(struct slice text, unsigned char *to, size_t max)
{
	struct strbuf b = STRBUF_INIT;
	int n = -1;

	if (base64_decode(text, &b) == 0 && b.n > 0 && b.n <= max) {
		memcpy(to, b.p, b.n);
		n = (int)b.n;
	}
	strbuf_free(&b);
	return n;
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

static bool
scram_parse(const char *text, struct scram *k)
{
	struct slice s = slice_cstr(text), name, iterations, salt, stored;
	unsigned char key[EVP_MAX_MD_SIZE + 3];
	uint64_t n;
	int key_n;

	if (!cut(&s, '$', &name) || !cut(&s, ':', &iterations) ||
	    !cut(&s, '$', &salt) || !cut(&s, ':', &stored))
		return false;
	if (slice_eq_cstr(name, "SCRAM-SHA-256"))
		k->md = EVP_sha256();
	else if (slice_eq_cstr(name, "SCRAM-SHA-1"))
		k->md = EVP_sha1();
	else if (slice_eq_cstr(name, "SCRAM-SHA-512"))
		k->md = EVP_sha512();
	else
		return false;
	if (!num_u64(iterations, ITERATIONS_MAX, &n) || n == 0)
		return false;
	k->iterations = (int)n;
	k->salt_n = unbase64(salt, k->salt, sizeof k->salt);
	key_n = unbase64(stored, key, sizeof key);
	if (k->salt_n <= 0 || key_n != EVP_MD_get_size(k->md))
		return false;
	memcpy(k->stored, key, (size_t)key_n);
	return true;
}

static bool
scram_check(const char *text, struct slice password)
{
	unsigned char salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE];
	unsigned char stored[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct scram k;
	bool ok;
	int size;

	if (!scram_parse(text, &k))
		return false;
	size = EVP_MD_get_size(k.md);
	ok = PKCS5_PBKDF2_HMAC(password.p, (int)password.n, k.salt, k.salt_n,
	    k.iterations, k.md, size, salted) == 1 &&
	    HMAC(k.md, salted, size, (const unsigned char *)"Client Key", 10,
	    client, &n) != NULL &&
	    EVP_Digest(client, n, stored, &n, k.md, NULL) == 1 &&
	    CRYPTO_memcmp(stored, k.stored, (size_t)size) == 0;
	mem_wipe(salted, sizeof salted);
	mem_wipe(client, sizeof client);
	return ok;
}

static bool
crypt_check(const char *hash, struct slice password)
{
	struct crypt_data *data = mem_zalloc(sizeof *data);
	char *text = slice_dup(password);
	const char *got = crypt_rn(text, hash, data, sizeof *data);
	bool ok = got != NULL && same(slice_cstr(got), slice_cstr(hash));

	mem_wipe(text, password.n);
	mem_wipe(data, sizeof *data);
	free(text);
	free(data);
	return ok;
}

bool
auth_password_check(const struct conf_secret *secret, struct slice password)
{
	if (secret->text == NULL || password.n == 0 ||
	    password.n > PASSWORD_MAX || slice_find(password, '\0') >= 0)
		return false;
	switch (secret->kind) {
	case SECRET_VALUE:
	case SECRET_FILE:		/* its text, in our view */
	case SECRET_CREDENTIAL:
		return same(slice_cstr(secret->text), password);
	case SECRET_HASH:
		if (strncmp(secret->text, "SCRAM-", 6) == 0)
			return scram_check(secret->text, password);
		return crypt_check(secret->text, password);
	case SECRET_NONE:
	case SECRET_COMMAND:
		break;
	}
	return false;
}

static bool
check_login(const struct conf_login *l, const struct secret_source *secrets,
    struct slice password)
{
	struct conf_secret value = { .kind = SECRET_VALUE };

	if (l->password.kind != SECRET_COMMAND)
		return auth_password_check(&l->password, password);
	if (secrets != NULL)
		value.text = (char *)(uintptr_t)secret_held(secrets, true,
		    l->name);
	return auth_password_check(&value, password);
}

const struct conf_login *
auth_password_login(const struct conf *conf,
    const struct secret_source *secrets, const char *name,
    struct slice password)
{
	size_t i;

	for (i = 0; i < conf->n_logins; i++)
		if (strcmp(conf->logins[i].name, name) == 0)
			return check_login(&conf->logins[i], secrets,
			    password) ? &conf->logins[i] : NULL;
	/* As much work as for somebody who is there. */
	if (conf->n_logins > 0)
		(void)check_login(&conf->logins[0], secrets, password);
	return NULL;
}

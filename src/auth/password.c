/* Checking the password of a login (auth; RFC 5802 3 for stored keys).  What
 * cannot be checked is refused; nothing of it is logged. */
#include "auth/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "auth/scram.h"
#include "base/mem.h"

#define PASSWORD_MAX 4096

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

static bool
scram_check(const char *text, struct slice password)
{
	struct scram_stored k;
	struct scram_keys keys;
	bool ok;

	if (!scram_stored_parse(text, &k))
		return false;
	ok = scram_derive(k.hash, password, slice_of(k.salt, k.salt_n),
	    k.iterations, &keys) &&
	    CRYPTO_memcmp(keys.stored, k.keys.stored, k.hash->size) == 0;
	mem_wipe(&keys, sizeof keys);
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

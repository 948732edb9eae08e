/* Checking the password of a login (auth; RFC 5802 3 for stored keys).  What
 * cannot be checked is refused; nothing of it is logged.  It is compared as
 * SASLprep has it (RFC 4616 2).  What a hash was made of nobody knows:
 * relayctl passwd prepares the password, mkpasswd does not, and clients do as
 * they please.  So a hash is tried with both forms, where there are two. */
#include "auth/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "auth/scram.h"
#include "base/mem.h"
#include "mail/saslprep.h"

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

static bool
hash_check(const char *hash, struct slice password)
{
	if (strncmp(hash, "SCRAM-", 6) == 0)
		return scram_check(hash, password);
	return crypt_check(hash, password);
}

static bool
value_check(const char *value, struct slice form)
{
	struct strbuf own = STRBUF_INIT;
	bool equal;

	(void)mail_saslprep_lenient(slice_cstr(value), &own);
	equal = same(strbuf_slice(&own), form);
	strbuf_wipe(&own);
	return equal;
}

static bool
check(const struct conf_secret *secret, struct slice password,
    struct slice form, bool differs)
{
	switch (secret->kind) {
	case SECRET_VALUE:
	case SECRET_FILE:		/* its text, in our view */
	case SECRET_CREDENTIAL:
		return value_check(secret->text, form);
	case SECRET_HASH:
		return hash_check(secret->text, password) ||
		    (differs && hash_check(secret->text, form));
	case SECRET_NONE:
	case SECRET_COMMAND:
		break;
	}
	return false;
}

bool
auth_password_check(const struct conf_secret *secret, struct slice password)
{
	struct strbuf form = STRBUF_INIT;
	bool good, differs;

	if (secret->text == NULL || password.n == 0 ||
	    password.n > PASSWORD_MAX || slice_find(password, '\0') >= 0)
		return false;
	differs = mail_saslprep_lenient(password, &form);
	good = check(secret, password, strbuf_slice(&form), differs);
	strbuf_wipe(&form);
	return good;
}

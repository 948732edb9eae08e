/* Looking up names for the listener's exchanges (auth; RFC 5802 9 about
 * names that nobody has).  What is made up for them comes from a key that is
 * the same as long as the configuration is: a restart changes no challenge.
 * Names and passwords are compared as SASLprep has them (RFC 4616 2, RFC 5802
 * 5.1), as clients may send them in that form or not. */
#include "auth/logins.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "auth/secret_source.h"
#include "base/mem.h"
#include "base/rand.h"
#include "mail/domain.h"
#include "mail/saslprep.h"

#define MADE_SALT 16

struct logins {
	const struct conf *conf;
	const struct secret_source *secrets;
	unsigned char key[32];
};

/* Of all secrets: nobody knows it who does not know them all. */
static void
make_key(struct logins *l)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *text;
	size_t i, n = 0;
	bool good;

	good = ctx != NULL &&
	    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	for (i = 0; good && l->conf != NULL && i < l->conf->n_logins; i++) {
		text = l->conf->logins[i].password.text;
		if (text == NULL)
			continue;
		n++;
		good = EVP_DigestUpdate(ctx, text, strlen(text) + 1) == 1;
	}
	if (!good || n == 0 || EVP_DigestFinal_ex(ctx, l->key, NULL) != 1)
		rand_bytes(l->key, sizeof(l->key));
	EVP_MD_CTX_free(ctx);
}

struct logins *
logins_new(const struct conf *conf, const struct secret_source *secrets)
{
	struct logins *l = mem_zalloc(sizeof(*l));

	l->conf = conf;
	l->secrets = secrets;
	make_key(l);
	return l;
}

void
logins_free(struct logins **lp)
{
	struct logins *l = *lp;

	if (l == NULL)
		return;
	mem_wipe(l, sizeof(*l));
	free(l);
	*lp = NULL;
}

/* 32 octets for a purpose, a name in whatever form, and a number. */
static void
make_up(const struct logins *l, const char *purpose, const char *name,
    unsigned number, unsigned char out[32])
{
	struct strbuf b = STRBUF_INIT;

	strbuf_printf(&b, "%s %u ", purpose, number);
	(void)mail_saslprep_lenient(slice_cstr(name), &b);
	scram_hmac(scram_hash_find(SLICE_LIT("SCRAM-SHA-256")), l->key,
	    strbuf_slice(&b), out);
	strbuf_free(&b);
}

/* ---- whom a name means ---- */

/* Does this login have a name of this form? */
static bool
has_form(const struct conf_login *c, struct slice form)
{
	struct strbuf own = STRBUF_INIT;
	bool same;

	if (!mail_has_8bit(slice_cstr(c->name)))
		return slice_eq_cstr(form, c->name);
	(void)mail_saslprep_lenient(slice_cstr(c->name), &own);
	same = slice_eq(strbuf_slice(&own), form);
	strbuf_free(&own);
	return same;
}

/* The one that is written so, else the first that means the same. */
static const struct conf_login *
find_name(const struct logins *l, const char *name)
{
	const struct conf_login *c, *found = NULL;
	struct strbuf form = STRBUF_INIT;
	size_t i;

	(void)mail_saslprep_lenient(slice_cstr(name), &form);
	for (i = 0; l->conf != NULL && i < l->conf->n_logins; i++) {
		c = &l->conf->logins[i];
		if (strcmp(c->name, name) == 0) {
			found = c;
			break;
		}
		if (found == NULL && has_form(c, strbuf_slice(&form)))
			found = c;
	}
	strbuf_free(&form);
	return found;
}

/* uses: a mask, one of which it must be good for. */
static const struct conf_login *
find(const struct logins *l, const char *name, unsigned uses)
{
	const struct conf_login *c = find_name(l, name);

	return c != NULL && (c->uses & uses) != 0 ? c : NULL;
}

const char *
logins_name(const struct logins *l, const char *name)
{
	const struct conf_login *c = find_name(l, name);

	return c != NULL ? c->name : name;
}

/* One of those that are good for it; NULL: there is none. */
static const struct conf_login *
stand_in(const struct logins *l, const char *name, unsigned uses)
{
	unsigned char made[32];
	uint64_t which;
	size_t i, n = 0;

	for (i = 0; l->conf != NULL && i < l->conf->n_logins; i++)
		n += (l->conf->logins[i].uses & uses) != 0;
	if (n == 0)
		return NULL;
	make_up(l, "like", name, 0, made);
	memcpy(&which, made, sizeof(which));
	which %= n;
	for (i = 0; ; i++)
		if ((l->conf->logins[i].uses & uses) != 0 && which-- == 0)
			return &l->conf->logins[i];
}

static const struct conf_login *
find_or_stand_in(const struct logins *l, const char *name, unsigned uses,
    bool *known)
{
	const struct conf_login *c = find(l, name, uses);

	*known = c != NULL;
	return c != NULL ? c : stand_in(l, name, uses);
}

/* ---- passwords ---- */

static void
secret_of(const struct logins *l, const struct conf_login *c,
    struct conf_secret *out)
{
	*out = c->password;
	if (out->kind != SECRET_COMMAND)
		return;
	out->kind = SECRET_VALUE;
	out->text = l->secrets == NULL ? NULL :
	    (char *)(uintptr_t)secret_held(l->secrets, true, c->name);
	if (out->text == NULL)
		out->kind = SECRET_NONE;
}

static bool
secret_for(const struct logins *l, const char *name, unsigned uses,
    struct conf_secret *out)
{
	const struct conf_login *c;
	bool known;

	memset(out, 0, sizeof(*out));
	c = find_or_stand_in(l, name, uses, &known);
	if (c != NULL)
		secret_of(l, c, out);
	return known;
}

bool
logins_secret(const struct logins *l, const char *name,
    struct conf_secret *out)
{
	return secret_for(l, name, LOGIN_USE_PASSWORD, out);
}

bool
logins_clear(const struct logins *l, const char *name,
    struct conf_secret *out)
{
	return secret_for(l, name, LOGIN_USE_CLEAR, out);
}

/* ---- SCRAM ---- */

static void
make_salt(const struct logins *l, const char *name,
    const struct scram_hash *hash, struct scram_account *out)
{
	unsigned char made[32];
	size_t at, n;

	for (at = 0; at < out->salt_n; at += n) {
		make_up(l, hash->name, name, (unsigned)at, made);
		n = out->salt_n - at < 32 ? out->salt_n - at : 32;
		memcpy(out->salt + at, made, n);
	}
}

static bool
derive(const struct scram_hash *hash, struct slice password,
    const struct scram_account *by, struct scram_keys *out)
{
	bool good = scram_derive(hash, password, slice_of(by->salt,
	    by->salt_n), by->iterations, out);

	mem_wipe(out->client, sizeof(out->client));
	return good;
}

/* A password that is there as it is: salt by name, keys made now. */
static void
scram_of_clear(const struct logins *l, const char *name,
    const struct conf_login *c, const struct scram_hash *hash,
    struct scram_account *out)
{
	struct strbuf form = STRBUF_INIT;
	struct conf_secret secret;

	out->salt_n = MADE_SALT;
	out->iterations = SCRAM_ITERATIONS;
	make_salt(l, name, hash, out);
	secret_of(l, c, &secret);
	out->has_raw = mail_saslprep_lenient(slice_cstr(secret.text), &form);
	if (!derive(hash, strbuf_slice(&form), out, &out->keys) ||
	    (out->has_raw && !derive(hash, slice_cstr(secret.text), out,
	    &out->raw)) || secret.text == NULL)
		out->known = false;
	strbuf_wipe(&form);
}

static bool
scram_of_string(const struct conf_login *c, const struct scram_hash *hash,
    struct scram_account *out)
{
	struct scram_stored stored;

	if (c->password.text == NULL ||
	    !scram_stored_parse(c->password.text, &stored) ||
	    stored.hash != hash)
		return false;
	out->iterations = stored.iterations;
	out->salt_n = stored.salt_n;
	memcpy(out->salt, stored.salt, sizeof(out->salt));
	out->keys = stored.keys;
	return true;
}

void
logins_scram(void *arg, const char *name, const struct scram_hash *hash,
    struct scram_account *out)
{
	const struct logins *l = arg;
	const struct conf_login *c;
	unsigned use = LOGIN_USE_CLEAR;

	if (strcmp(hash->name, "SCRAM-SHA-256") == 0)
		use |= LOGIN_USE_SCRAM_SHA_256;
	else if (strcmp(hash->name, "SCRAM-SHA-1") == 0)
		use |= LOGIN_USE_SCRAM_SHA_1;
	memset(out, 0, sizeof(*out));
	c = find_or_stand_in(l, name, use, &out->known);
	if (c != NULL && (c->uses & LOGIN_USE_CLEAR) != 0) {
		scram_of_clear(l, name, c, hash, out);
	} else if (c == NULL || !scram_of_string(c, hash, out)) {
		out->known = false;
		out->salt_n = MADE_SALT;
		out->iterations = SCRAM_ITERATIONS;
	}
	if (out->known)
		return;
	make_salt(l, name, hash, out);
	rand_bytes(&out->keys, sizeof(out->keys));
	rand_bytes(&out->raw, sizeof(out->raw));
}

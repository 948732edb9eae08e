/* SASL as server (auth; RFC 4422; PLAIN: RFC 4616, CRAM-MD5: RFC 2195,
 * LOGIN: as everybody does it, SCRAM: scram_server.c).  A client that breaks
 * the exchange is refused like one that does not know the password. */
#include "auth/sasl_server.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

#define NAME_MAX_OCTETS 1024

struct sasl_server {
	const struct mechanism_row *mech;
	struct logins *logins;
	struct scram_server *scram;
	struct strbuf challenge;	/* CRAM-MD5's */
	struct strbuf name, password;
	int step;
};

typedef enum sasl_server_result step(struct sasl_server *s, bool has_in,
    struct slice in, struct slice *out);
static step plain_step, login_step, cram_step, scram_step;

struct mechanism_row {
	const char *name;
	step *take;
	bool shows;			/* the password */
};

static const struct mechanism_row rows[] = {
	{ "PLAIN", plain_step, true },
	{ "LOGIN", login_step, true },
	{ "CRAM-MD5", cram_step, false },
	{ "SCRAM-SHA-256-PLUS", scram_step, false },
	{ "SCRAM-SHA-256", scram_step, false },
	{ "SCRAM-SHA-1-PLUS", scram_step, false },
	{ "SCRAM-SHA-1", scram_step, false },
};

static const struct mechanism_row *
row_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_eq_case_cstr(slice_cstr(name), rows[i].name))
			return &rows[i];
	return NULL;
}

bool
sasl_server_has(const char *mechanism)
{
	return row_of(mechanism) != NULL;
}

bool
sasl_server_shows(const char *mechanism)
{
	const struct mechanism_row *m = row_of(mechanism);

	return m == NULL || m->shows;
}

/* ---- life ---- */

static void
begin_scram(struct sasl_server *s, const struct sasl_server_options *o)
{
	struct slice name = slice_cstr(s->mech->name);
	struct scram_server_options scram = {
		.hash = scram_hash_find(name),
		.plus = slice_ends_case(name, SLICE_LIT("-PLUS")),
		.bindings = o->bindings,
		.n_bindings = o->n_bindings,
		.lookup = logins_scram,
		.arg = o->logins,
	};

	s->scram = scram_server_new(&scram);
}

struct sasl_server *
sasl_server_create(const struct sasl_server_options *o)
{
	struct sasl_server *s = mem_zalloc(sizeof(*s));

	s->mech = row_of(o->mechanism);
	s->logins = o->logins;
	if (s->mech->take == scram_step)
		begin_scram(s, o);
	if (s->mech->take == cram_step)
		strbuf_printf(&s->challenge, "<%llu.%llu@%s>",
		    (unsigned long long)rand_u64(),
		    (unsigned long long)(clock_real_ms() / 1000),
		    o->hostname);
	return s;
}

void
sasl_server_destroy(struct sasl_server **sp)
{
	struct sasl_server *s = *sp;

	if (s == NULL)
		return;
	scram_server_free(&s->scram);
	strbuf_wipe(&s->challenge);
	strbuf_wipe(&s->name);
	strbuf_wipe(&s->password);
	free(s);
	*sp = NULL;
}

enum sasl_server_result
sasl_server_take(struct sasl_server *s, bool has_in, struct slice in,
    struct slice *out)
{
	*out = slice_of("", 0);
	return s->mech->take(s, has_in, in, out);
}

bool
sasl_server_password(const struct sasl_server *s, struct slice *password,
    struct conf_secret *secret)
{
	*password = strbuf_slice(&s->password);
	return logins_secret(s->logins, strbuf_cstr(&s->name), secret);
}

const char *
sasl_server_login(const struct sasl_server *s)
{
	return logins_name(s->logins, s->scram != NULL ?
	    scram_server_name(s->scram) : strbuf_cstr(&s->name));
}

/* ---- mechanisms ---- */

static bool
take_name(struct sasl_server *s, struct slice name)
{
	if (name.n == 0 || name.n > NAME_MAX_OCTETS ||
	    slice_find(name, '\0') >= 0)
		return false;
	strbuf_add_slice(&s->name, name);
	return true;
}

/* [as whom] NUL name NUL password; as oneself only */
static enum sasl_server_result
plain_step(struct sasl_server *s, bool has_in, struct slice in,
    struct slice *out)
{
	struct slice as, name;
	long at;

	if (!has_in && s->step++ == 0)
		return SASL_SERVER_CONTINUE;
	(void)out;
	at = slice_find(in, '\0');
	if (at < 0)
		return SASL_SERVER_REFUSED;
	as = slice_of(in.p, (size_t)at);
	in = slice_skip(in, (size_t)at + 1);
	at = slice_find(in, '\0');
	if (at < 0)
		return SASL_SERVER_REFUSED;
	name = slice_of(in.p, (size_t)at);
	in = slice_skip(in, (size_t)at + 1);
	if ((as.n > 0 && !slice_eq(as, name)) || !take_name(s, name))
		return SASL_SERVER_REFUSED;
	strbuf_add_slice(&s->password, in);
	return SASL_SERVER_CHECK;
}

/* The name may come with the command; Outlook sends it so. */
static enum sasl_server_result
login_step(struct sasl_server *s, bool has_in, struct slice in,
    struct slice *out)
{
	if (s->step == 0 && !has_in) {
		s->step = 1;
		*out = SLICE_LIT("Username:");
		return SASL_SERVER_CONTINUE;
	}
	if (s->step <= 1) {
		s->step = 2;
		if (!take_name(s, in))
			return SASL_SERVER_REFUSED;
		*out = SLICE_LIT("Password:");
		return SASL_SERVER_CONTINUE;
	}
	strbuf_add_slice(&s->password, in);
	return SASL_SERVER_CHECK;
}

/* Lower-case hex of HMAC-MD5; false: MD5 is not allowed here. */
static bool
cram_digest(const char *password, struct slice challenge, char out[33])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned i, n = 0;

	if (HMAC(EVP_md5(), password, (int)strlen(password),
	    (const unsigned char *)challenge.p, challenge.n, raw, &n) == NULL
	    || n != 16)
		return false;
	for (i = 0; i < n; i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[32] = '\0';
	return true;
}

/* name SP hex; the server speaks first */
static enum sasl_server_result
cram_step(struct sasl_server *s, bool has_in, struct slice in,
    struct slice *out)
{
	struct conf_secret secret;
	char want[33] = "";
	struct slice got;
	bool known, good;
	long at;

	if (s->step++ == 0) {
		*out = strbuf_slice(&s->challenge);
		return has_in ? SASL_SERVER_REFUSED : SASL_SERVER_CONTINUE;
	}
	at = slice_rfind(in, ' ');
	if (at < 0 || !take_name(s, slice_of(in.p, (size_t)at)))
		return SASL_SERVER_REFUSED;
	got = slice_skip(in, (size_t)at + 1);
	known = logins_clear(s->logins, strbuf_cstr(&s->name), &secret);
	good = cram_digest(secret.text != NULL ? secret.text : "",
	    strbuf_slice(&s->challenge), want) && got.n == 32 &&
	    CRYPTO_memcmp(got.p, want, 32) == 0;
	mem_wipe(want, sizeof(want));
	return good && known && secret.text != NULL ? SASL_SERVER_OK :
	    SASL_SERVER_REFUSED;
}

static enum sasl_server_result
scram_step(struct sasl_server *s, bool has_in, struct slice in,
    struct slice *out)
{
	if (!has_in && s->step++ == 0)
		return SASL_SERVER_CONTINUE;
	s->step++;
	switch (scram_server_take(s->scram, in, out)) {
	case SCRAM_SERVER_CONTINUE:
		return SASL_SERVER_CONTINUE;
	case SCRAM_SERVER_OK:
		return SASL_SERVER_OK;
	case SCRAM_SERVER_REFUSED:
		break;
	}
	return SASL_SERVER_REFUSED;
}

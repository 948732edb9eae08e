/* Clients of ours that log in, mechanism by mechanism; what a name that
 * nobody has looks like from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/logins.h"
#include "auth/password.h"
#include "auth/sasl_server.h"
#include "auth/scram_client.h"

#define S(text) ((char *)(uintptr_t)(text))
#define CLEAR (LOGIN_USE_CLEAR | LOGIN_USE_PASSWORD | \
    LOGIN_USE_SCRAM_SHA_1 | LOGIN_USE_SCRAM_SHA_256)

static struct conf_login people[] = {
	{ .name = S("joe"), .uses = CLEAR,
	    .password = { SECRET_VALUE, S("sesame"), NULL } },
	{ .name = S("ann"),
	    .uses = LOGIN_USE_PASSWORD | LOGIN_USE_SCRAM_SHA_256,
	    .password = { SECRET_HASH, S("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsU"
	    "Ejb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6n"
	    "TWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="), NULL } },
	{ .name = S("old"), .uses = LOGIN_USE_PASSWORD,
	    .password = { SECRET_HASH, S("$1$saltsalt$wCrc3hcrR95SV83Xh8Z.41"),
	    NULL } },
	/* j, o umlaut, rg; roman numeral nine */
	{ .name = S("j\xc3\xb6rg"), .uses = CLEAR,
	    .password = { SECRET_VALUE, S("\xe2\x85\xa8"), NULL } },
};
static struct conf conf = { .hostname = S("relay.test"), .logins = people,
	.n_logins = 4 };
static struct logins *logins;

static int
setup(void **state)
{
	(void)state;
	logins = logins_new(&conf, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	logins_free(&logins);
	return 0;
}

static struct sasl_server *
begin(const char *mechanism)
{
	struct sasl_server_options o = { .mechanism = mechanism,
	    .hostname = "relay.test", .logins = logins };

	assert_true(sasl_server_has(mechanism));
	return sasl_server_create(&o);
}

static enum sasl_server_result
says(struct sasl_server *s, const void *p, size_t n, const char *want)
{
	enum sasl_server_result r;
	struct slice out;

	r = sasl_server_take(s, p != NULL, slice_of(p != NULL ? p : "", n),
	    &out);
	if (want != NULL)
		assert_true(slice_eq_cstr(out, want));
	return r;
}

static bool
checks(struct sasl_server *s)
{
	struct conf_secret secret;
	struct slice password;
	bool known = sasl_server_password(s, &password, &secret);

	return auth_password_check(&secret, password) && known;
}

static bool
plain(const char *text, size_t n)
{
	struct sasl_server *s = begin("PLAIN");
	bool good = says(s, text, n, "") == SASL_SERVER_CHECK && checks(s);

	sasl_server_destroy(&s);
	return good;
}

#define PLAIN(text) plain(text, sizeof(text) - 1)

static void
plain_is_checked_against_whatever_there_is(void **state)
{
	(void)state;
	assert_true(PLAIN("\0joe\0sesame"));
	assert_true(PLAIN("joe\0joe\0sesame"));
	assert_true(PLAIN("\0ann\0pencil"));
	assert_true(PLAIN("\0old\0pencil"));
	assert_false(PLAIN("\0joe\0pencil"));
	assert_false(PLAIN("\0nobody\0sesame"));
	assert_false(PLAIN("\0nobody\0pencil"));
	assert_false(PLAIN("ann\0joe\0sesame"));
	assert_false(PLAIN("\0joe\0"));
	assert_false(PLAIN("\0\0sesame"));
	assert_false(PLAIN("joe"));
	assert_false(PLAIN("\0joe"));
	assert_false(PLAIN("\0joe\0ses\0ame"));
	assert_false(PLAIN(""));
}

static void
login_asks_or_takes_the_name_with_the_command(void **state)
{
	struct sasl_server *s = begin("login");

	(void)state;
	assert_int_equal(says(s, NULL, 0, "Username:"),
	    SASL_SERVER_CONTINUE);
	assert_int_equal(says(s, "joe", 3, "Password:"),
	    SASL_SERVER_CONTINUE);
	assert_int_equal(says(s, "sesame", 6, ""), SASL_SERVER_CHECK);
	assert_true(checks(s));
	assert_string_equal(sasl_server_login(s), "joe");
	sasl_server_destroy(&s);
	s = begin("LOGIN");
	assert_int_equal(says(s, "joe", 3, "Password:"),
	    SASL_SERVER_CONTINUE);
	assert_int_equal(says(s, "sesam", 5, ""), SASL_SERVER_CHECK);
	assert_false(checks(s));
	sasl_server_destroy(&s);
	s = begin("LOGIN");
	assert_int_equal(says(s, "", 0, ""), SASL_SERVER_REFUSED);
	sasl_server_destroy(&s);
}

/* RFC 2195 2, by the library that both sides use. */
static void
the_example_of_cram_md5(void **state)
{
	static const char challenge[] =
	    "<1896.697170952@postoffice.reston.mci.net>";
	unsigned char raw[EVP_MAX_MD_SIZE];
	char hex[33];
	unsigned i, n = 0;

	(void)state;
	HMAC(EVP_md5(), "tanstaaftanstaaf", 16,
	    (const unsigned char *)challenge, strlen(challenge), raw, &n);
	for (i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", raw[i]);
	assert_string_equal(hex, "b913a602c7eda7a495b4e6e7334d3890");
}

static enum sasl_server_result
cram(const char *name, const char *password)
{
	struct sasl_server *s = begin("CRAM-MD5");
	struct strbuf b = STRBUF_INIT;
	unsigned char raw[EVP_MAX_MD_SIZE];
	enum sasl_server_result r;
	struct slice challenge;
	unsigned i, n = 0;

	r = sasl_server_take(s, false, slice_of("", 0), &challenge);
	assert_int_equal(r, SASL_SERVER_CONTINUE);
	assert_int_equal(challenge.p[0], '<');
	assert_true(slice_ends_case(challenge, SLICE_LIT("@relay.test>")));
	HMAC(EVP_md5(), password, (int)strlen(password),
	    (const unsigned char *)challenge.p, challenge.n, raw, &n);
	strbuf_printf(&b, "%s ", name);
	for (i = 0; i < n; i++)
		strbuf_printf(&b, "%02x", raw[i]);
	r = says(s, b.p, b.n, "");
	strbuf_free(&b);
	sasl_server_destroy(&s);
	return r;
}

static void
cram_md5_needs_the_password_itself(void **state)
{
	struct sasl_server *s;

	(void)state;
	assert_int_equal(cram("joe", "sesame"), SASL_SERVER_OK);
	assert_int_equal(cram("joe", "sesam"), SASL_SERVER_REFUSED);
	assert_int_equal(cram("ann", "pencil"), SASL_SERVER_REFUSED);
	assert_int_equal(cram("ann", "sesame"), SASL_SERVER_REFUSED);
	assert_int_equal(cram("nobody", "sesame"), SASL_SERVER_REFUSED);
	assert_int_equal(cram("old", ""), SASL_SERVER_REFUSED);
	s = begin("CRAM-MD5");
	assert_int_equal(says(s, "joe x", 5, NULL), SASL_SERVER_REFUSED);
	sasl_server_destroy(&s);
	s = begin("CRAM-MD5");
	says(s, NULL, 0, NULL);
	assert_int_equal(says(s, "joe", 3, NULL), SASL_SERVER_REFUSED);
	sasl_server_destroy(&s);
}

static enum sasl_server_result
scram(const char *mechanism, const char *name, const char *password)
{
	struct sasl_server *s = begin(mechanism);
	struct scram_binding none = { NULL, { "", 0 } };
	struct scram_client *c;
	enum sasl_server_result r = SASL_SERVER_CONTINUE;
	struct slice text = slice_of("", 0);

	c = scram_client_new(scram_hash_find(slice_cstr(mechanism)), 'n',
	    &none, name, slice_cstr(password), NULL);
	while (r == SASL_SERVER_CONTINUE) {
		scram_client_take(c, text, &text);
		r = sasl_server_take(s, true, text, &text);
	}
	scram_client_free(&c);
	sasl_server_destroy(&s);
	return r;
}

static void
scram_from_keys_and_from_a_password(void **state)
{
	(void)state;
	assert_int_equal(scram("SCRAM-SHA-256", "ann", "pencil"),
	    SASL_SERVER_OK);
	assert_int_equal(scram("SCRAM-SHA-256", "joe", "sesame"),
	    SASL_SERVER_OK);
	assert_int_equal(scram("SCRAM-SHA-1", "joe", "sesame"),
	    SASL_SERVER_OK);
	assert_int_equal(scram("SCRAM-SHA-256", "ann", "pencils"),
	    SASL_SERVER_REFUSED);
	/* keys of another hash, no keys at all, nobody */
	assert_int_equal(scram("SCRAM-SHA-1", "ann", "pencil"),
	    SASL_SERVER_REFUSED);
	assert_int_equal(scram("SCRAM-SHA-256", "old", "pencil"),
	    SASL_SERVER_REFUSED);
	assert_int_equal(scram("SCRAM-SHA-256", "nobody", "sesame"),
	    SASL_SERVER_REFUSED);
}

/* The name is told as the configuration has it, in whatever form it came. */
static void
names_and_passwords_have_one_form(void **state)
{
	static const char composed[] = "\0j\xc3\xb6rg\0IX";
	static const char decomposed[] = "\0jo\xcc\x88rg\0\xe2\x85\xa8";
	struct sasl_server *s;

	(void)state;
	assert_true(plain(composed, sizeof(composed) - 1));
	assert_true(plain(decomposed, sizeof(decomposed) - 1));
	assert_false(PLAIN("\0jorg\0IX"));
	s = begin("PLAIN");
	assert_int_equal(says(s, decomposed, sizeof(decomposed) - 1, ""),
	    SASL_SERVER_CHECK);
	assert_string_equal(sasl_server_login(s), "j\xc3\xb6rg");
	sasl_server_destroy(&s);
	assert_int_equal(scram("SCRAM-SHA-256", "jo\xcc\x88rg", "IX"),
	    SASL_SERVER_OK);
	assert_int_equal(scram("SCRAM-SHA-1", "j\xc3\xb6rg", "\xe2\x85\xa8"),
	    SASL_SERVER_OK);
	assert_int_equal(scram("SCRAM-SHA-1", "j\xc3\xb6rg", "ix"),
	    SASL_SERVER_REFUSED);
	assert_string_equal(logins_name(logins, "nobody"), "nobody");
}

/* Salt and iterations of a challenge. */
static void
challenge_for(const char *name, struct scram_account *out)
{
	logins_scram(logins, name, scram_hash_find(SLICE_LIT("SCRAM-SHA-256")),
	    out);
}

static void
a_name_that_nobody_has_looks_like_one(void **state)
{
	struct scram_account a, b, c;

	(void)state;
	challenge_for("nobody", &a);
	challenge_for("nobody", &b);
	challenge_for("somebody", &c);
	assert_false(a.known);
	assert_int_equal(a.iterations, 4096);
	assert_int_equal(a.salt_n, 16);
	/* the same each time, also after a restart; another for another */
	assert_memory_equal(a.salt, b.salt, 16);
	assert_memory_not_equal(a.salt, c.salt, 16);
	assert_memory_not_equal(a.keys.stored, b.keys.stored, 32);
	logins_free(&logins);
	logins = logins_new(&conf, NULL);
	challenge_for("nobody", &b);
	assert_memory_equal(a.salt, b.salt, 16);
	/* a password that is there as it is has a salt that stays, too */
	challenge_for("joe", &a);
	challenge_for("joe", &b);
	assert_true(a.known);
	assert_memory_equal(a.salt, b.salt, 16);
}

/* Somebody's salt is the same in whatever form his name comes. */
static void
nor_do_the_forms_of_a_name_tell(void **state)
{
	struct scram_account a, b;

	(void)state;
	challenge_for("ann", &a);
	challenge_for("an\xc2\xadn", &b);	/* a soft hyphen */
	assert_true(b.known);
	assert_memory_equal(a.salt, b.salt, 16);
	challenge_for("nobody", &a);
	challenge_for("no\xc2\xad" "body", &b);
	assert_false(b.known);
	assert_int_equal(a.iterations, b.iterations);
	assert_memory_equal(a.salt, b.salt, 16);
}

static void
without_anybody_nobody_gets_in(void **state)
{
	struct logins *none = logins_new(NULL, NULL), *keep = logins;
	struct conf_secret secret;

	(void)state;
	logins = none;
	assert_false(logins_secret(none, "joe", &secret));
	assert_int_equal(secret.kind, SECRET_NONE);
	assert_int_equal(scram("SCRAM-SHA-256", "joe", ""),
	    SASL_SERVER_REFUSED);
	assert_int_equal(cram("joe", ""), SASL_SERVER_REFUSED);
	logins = keep;
	logins_free(&none);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain_is_checked_against_whatever_there_is),
		T(login_asks_or_takes_the_name_with_the_command),
		T(the_example_of_cram_md5),
		T(cram_md5_needs_the_password_itself),
		T(scram_from_keys_and_from_a_password),
		T(names_and_passwords_have_one_form),
		T(a_name_that_nobody_has_looks_like_one),
		T(nor_do_the_forms_of_a_name_tell),
		T(without_anybody_nobody_gets_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

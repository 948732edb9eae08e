/* Which mechanism is taken, by what is held, offered, allowed and known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/choose.h"
#include "base/strbuf.h"

#define ALL "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 " \
    "PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM EXTERNAL GSSAPI ANONYMOUS"

enum { PLAINLY = 0, SECURE = 1, BINDING = 2, BOTH = 3 };

static struct choice choice;

static const char *
choose_from(unsigned held, const char *offered, const char *allowed, int how)
{
	char words[256], *v[8], *save = NULL;
	struct conf_list list = { v, 0 };
	struct choose in = {
		.held = held, .allowed = &list,
		.offered = slice_cstr(offered),
		.secure = (how & SECURE) != 0, .binding = (how & BINDING) != 0
	};

	strcpy(words, allowed);
	for (v[0] = strtok_r(words, " ", &save); v[list.n] != NULL;
	    v[list.n] = strtok_r(NULL, " ", &save))
		list.n++;
	choose_mechanism(&in, &choice);
	assert_true((choice.mechanism == NULL) == (choice.why[0] != '\0'));
	return choice.mechanism != NULL ? choice.mechanism->name : "";
}

#define TAKES(want, ...) assert_string_equal(choose_from(__VA_ARGS__), want)

static void
the_strongest_that_is_offered(void **state)
{
	static const char *const order[] = { "SCRAM-SHA-256-PLUS",
		"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN",
		"LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM" };
	struct strbuf b = STRBUF_INIT;
	size_t i, j;

	(void)state;
	for (i = 0; i < 9; i++) {
		strbuf_clear(&b);
		for (j = 9; j > i; j--)
			strbuf_printf(&b, "%s ", order[j - 1]);
		TAKES(order[i], HOLDS_PASSWORD, strbuf_cstr(&b), "", BOTH);
	}
	strbuf_free(&b);
	TAKES("SCRAM-SHA-256-PLUS", HOLDS_PASSWORD, ALL, "", BOTH);
	TAKES("PLAIN", HOLDS_PASSWORD, "login plain", "", SECURE);
}

static void
a_password_is_shown_to_a_known_server_only(void **state)
{
	(void)state;
	TAKES("", HOLDS_PASSWORD, "PLAIN LOGIN", "", PLAINLY);
	assert_non_null(strstr(choice.why, "verified"));
	TAKES("", HOLDS_PASSWORD, "PLAIN LOGIN", "PLAIN", BINDING);
	TAKES("SCRAM-SHA-1", HOLDS_PASSWORD, "PLAIN SCRAM-SHA-1", "",
	    PLAINLY);
	/* nor does a weak one go where nobody asked for it */
	TAKES("", HOLDS_PASSWORD, "CRAM-MD5 DIGEST-MD5 NTLM", "", PLAINLY);
	assert_non_null(strstr(choice.why, "CRAM-MD5"));
	TAKES("CRAM-MD5", HOLDS_PASSWORD, "CRAM-MD5 NTLM", "CRAM-MD5",
	    PLAINLY);
	TAKES("CRAM-MD5", HOLDS_PASSWORD, "CRAM-MD5", "", SECURE);
	TAKES("NTLM", HOLDS_PASSWORD, ALL, "NTLM", SECURE);
}

static void
what_is_named_is_never_left(void **state)
{
	(void)state;
	TAKES("", HOLDS_PASSWORD, "SCRAM-SHA-256 PLAIN LOGIN",
	    "SCRAM-SHA-256-PLUS", BOTH);
	assert_non_null(strstr(choice.why, "SCRAM-SHA-256-PLUS"));
	assert_non_null(strstr(choice.why, "auth-mechanisms"));
	TAKES("", HOLDS_PASSWORD, ALL, "SCRAM-SHA-256-PLUS", SECURE);
	assert_non_null(strstr(choice.why, "TLS 1.3"));
	TAKES("LOGIN", HOLDS_PASSWORD, ALL, "LOGIN", BOTH);
	TAKES("SCRAM-SHA-1", HOLDS_PASSWORD, ALL, "PLAIN SCRAM-SHA-1", BOTH);
	TAKES("", HOLDS_PASSWORD, "PLAIN", "CRAM-MD5", SECURE);
}

static void
the_flag_of_scram(void **state)
{
	(void)state;
	TAKES("SCRAM-SHA-256-PLUS", HOLDS_PASSWORD, ALL, "", BOTH);
	assert_int_equal(choice.gs2, 'p');
	/* no -PLUS of any hash: it may have been taken away */
	TAKES("SCRAM-SHA-256", HOLDS_PASSWORD, "SCRAM-SHA-256 PLAIN", "",
	    BOTH);
	assert_int_equal(choice.gs2, 'y');
	/* there is one, but we cannot, or may not */
	TAKES("SCRAM-SHA-256", HOLDS_PASSWORD, ALL, "", SECURE);
	assert_int_equal(choice.gs2, 'n');
	TAKES("SCRAM-SHA-256", HOLDS_PASSWORD, ALL, "SCRAM-SHA-256", BOTH);
	assert_int_equal(choice.gs2, 'n');
	/* binding goes before the hash: bare SHA-256 would look cheated */
	TAKES("SCRAM-SHA-1-PLUS", HOLDS_PASSWORD,
	    "SCRAM-SHA-1-PLUS SCRAM-SHA-256", "", BOTH);
	assert_int_equal(choice.gs2, 'p');
}

static void
the_kind_of_credential_comes_first(void **state)
{
	(void)state;
	TAKES("EXTERNAL", HOLDS_CERTIFICATE, ALL, "", SECURE);
	TAKES("SCRAM-SHA-256", HOLDS_CERTIFICATE | HOLDS_PASSWORD, ALL, "",
	    SECURE);
	TAKES("EXTERNAL", HOLDS_CERTIFICATE | HOLDS_PASSWORD, ALL, "EXTERNAL",
	    SECURE);
	TAKES("", HOLDS_PASSWORD, "EXTERNAL", "", SECURE);
	assert_non_null(strstr(choice.why, "certificate"));
	TAKES("", HOLDS_CERTIFICATE, "PLAIN LOGIN", "", SECURE);
	assert_non_null(strstr(choice.why, "password"));
	TAKES("", HOLDS_PASSWORD, "GSSAPI ANONYMOUS", "", SECURE);
	assert_non_null(strstr(choice.why, "`kerberos`"));
	TAKES("GSSAPI", HOLDS_KERBEROS, ALL, "", SECURE);
	/* it shows no secret */
	TAKES("GSSAPI", HOLDS_KERBEROS, ALL, "GSSAPI", PLAINLY);
	TAKES("", HOLDS_KERBEROS, "PLAIN LOGIN SCRAM-SHA-256", "", BOTH);
	assert_non_null(strstr(choice.why, "password"));
	TAKES("EXTERNAL", HOLDS_CERTIFICATE | HOLDS_KERBEROS, ALL, "", SECURE);
	TAKES("", HOLDS_PASSWORD, "", "", SECURE);
	TAKES("", 0, ALL, "", BOTH);
}

static bool
only_plain(const struct mechanism *m)
{
	return strcmp(m->name, "PLAIN") == 0;
}

static void
what_is_not_on_this_machine_is_not_taken(void **state)
{
	struct conf_list none = { NULL, 0 };
	struct choose in = { .held = HOLDS_PASSWORD, .allowed = &none,
	    .offered = SLICE_LIT("LOGIN PLAIN"), .secure = true,
	    .has = only_plain };

	(void)state;
	choose_mechanism(&in, &choice);
	assert_string_equal(choice.mechanism->name, "PLAIN");
	in.offered = SLICE_LIT("LOGIN");
	choose_mechanism(&in, &choice);
	assert_null(choice.mechanism);
	assert_non_null(strstr(choice.why, "libsasl2-modules"));
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_strongest_that_is_offered),
		T(a_password_is_shown_to_a_known_server_only),
		T(what_is_named_is_never_left), T(the_flag_of_scram),
		T(the_kind_of_credential_comes_first),
		T(what_is_not_on_this_machine_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Passwords against values and hashes; back-off by client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/password.h"
#include "auth/throttle.h"

static bool
check(enum conf_secret_kind kind, const char *secret, const char *password)
{
	struct conf_secret s = { .kind = kind,
		.text = (char *)(uintptr_t)secret };

	return auth_password_check(&s, slice_cstr(password));
}

static void
values(void **state)
{
	struct conf_secret s = { .kind = SECRET_VALUE,
		.text = (char *)(uintptr_t)"a" };

	(void)state;
	assert_true(check(SECRET_VALUE, "pa ss:1%", "pa ss:1%"));
	assert_false(check(SECRET_VALUE, "pa ss:1%", "pa ss:1"));
	assert_false(check(SECRET_VALUE, "pa ss:1%", "pa ss:1%x"));
	assert_false(check(SECRET_VALUE, "x", ""));
	assert_false(check(SECRET_VALUE, NULL, "x"));
	assert_false(check(SECRET_NONE, "x", "x"));
	assert_false(check(SECRET_COMMAND, "x", "x"));
	assert_false(auth_password_check(&s, slice_of("a\0", 2)));
}

static void
hashes(void **state)
{
	/* RFC 7677's example, and the same password otherwise */
	static const char *const pencil[] = {
		"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi"
		"4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxS"
		"rmfPwDl2dU=",
		"SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y="
		":D+CSWLOshSulAsxiupA+qs2/fTE=",
		"$6$saltsalt$rD9fW1BwIrjB90WCgCTdIQc3phTBhf04I6Iw/XlgKD9E9aEbzq"
		"GZipjiFxGo/4wWXDA6jV6/vZO.kKdDSfUJb0",
		"$1$saltsalt$wCrc3hcrR95SV83Xh8Z.41",
	};
	static const char *const broken[] = { "", "SCRAM-", "SCRAM-SHA-256$",
		"SCRAM-SHA-256$0:AAAA$AAAA:AAAA", "SCRAM-MD5$1:AAAA$AAAA:AAAA",
		"SCRAM-SHA-256$99999999999:AAAA$AAAA:AAAA",
		"SCRAM-SHA-256$4096:AAAA$AAAA:AAAA", "*", "!", "x",
		"$9$nosuch$hash" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pencil / sizeof *pencil; i++) {
		assert_true(check(SECRET_HASH, pencil[i], "pencil"));
		assert_false(check(SECRET_HASH, pencil[i], "pencils"));
		assert_false(check(SECRET_HASH, pencil[i], pencil[i]));
	}
	for (i = 0; i < sizeof broken / sizeof *broken; i++)
		assert_false(check(SECRET_HASH, broken[i], "pencil"));
}

/* I, soft hyphen, X; roman numeral nine; what has no form.  A hash is of one
 * form, and nobody knows of which. */
static void
other_forms_of_the_same(void **state)
{
	static const char ix[] = "I\xc2\xadX", nine[] = "\xe2\x85\xa8";
	static const char of_ix[] = "$1$saltsalt$u.JZ1xh3SdhYrhShibcnb1";
	static const char of_nine[] = "$1$saltsalt$xqxSLsivEc/JDmmb54j1//";

	(void)state;
	assert_true(check(SECRET_VALUE, "IX", ix));
	assert_true(check(SECRET_VALUE, ix, nine));
	assert_true(check(SECRET_VALUE, nine, "IX"));
	assert_false(check(SECRET_VALUE, nine, "ix"));
	assert_true(check(SECRET_VALUE, "caf\xe9", "caf\xe9"));
	assert_false(check(SECRET_VALUE, "caf\xe9", "caf\xc3\xa9"));
	assert_true(check(SECRET_VALUE, "a\tb", "a\tb"));
	assert_true(check(SECRET_HASH, of_ix, "IX"));
	assert_true(check(SECRET_HASH, of_ix, nine));
	assert_true(check(SECRET_HASH, of_nine, nine));
	assert_false(check(SECRET_HASH, of_nine, "IX"));
	assert_false(check(SECRET_HASH, of_ix, "ix"));
}

static void
failures_wait(void **state)
{
	struct throttle *t = auth_throttle_new();
	uint64_t now = 1000, ms = 0;
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(auth_throttle_failure(t, "a", now), 0);
	assert_int_equal(auth_throttle_failure(t, "a", now), 1000);
	assert_int_equal(auth_throttle_failure(t, "a", now), 2000);
	assert_int_equal(auth_throttle_failure(t, "b", now), 0);
	for (i = 0; i < 100; i++)
		ms = auth_throttle_failure(t, "a", now);
	assert_int_equal(ms, 16000);
	auth_throttle_success(t, "a");
	assert_int_equal(auth_throttle_failure(t, "a", now), 0);
	auth_throttle_sweep(t, now + 3600000);
	assert_int_equal(auth_throttle_count(t), 0);
	auth_throttle_free(&t);
}

/* A right answer that came sooner would spare a guesser the wrong ones. */
static void
success_waits_as_long_as_a_failure_would(void **state)
{
	struct throttle *t = auth_throttle_new();
	uint64_t now = 1000, ms;
	int i;

	(void)state;
	for (i = 0; i < 12; i++) {
		ms = auth_throttle_wait(t, "a", now);
		assert_int_equal(auth_throttle_failure(t, "a", now), ms);
	}
	assert_int_equal(auth_throttle_wait(t, "b", now), 0);
	assert_int_equal(auth_throttle_wait(t, "a", now + 3600000), 0);
	auth_throttle_free(&t);
}

static void
addresses_of_one_network_are_one_client(void **state)
{
	struct throttle *t = auth_throttle_new();

	(void)state;
	(void)auth_throttle_failure(t, "2001:db8::1", 1);
	(void)auth_throttle_failure(t, "2001:db8::2", 1);
	(void)auth_throttle_failure(t, "2001:db8:0:0:ffff::", 1);
	assert_int_equal(auth_throttle_failure(t, "2001:db8::3:4", 1), 1000);
	assert_int_equal(auth_throttle_failure(t, "2001:db8:0:1::1", 1), 0);
	assert_int_equal(auth_throttle_count(t), 2);
	auth_throttle_success(t, "2001:db8::9");
	assert_int_equal(auth_throttle_count(t), 1);
	auth_throttle_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values), cmocka_unit_test(hashes),
		cmocka_unit_test(other_forms_of_the_same),
		cmocka_unit_test(failures_wait),
		cmocka_unit_test(success_waits_as_long_as_a_failure_would),
		cmocka_unit_test(addresses_of_one_network_are_one_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

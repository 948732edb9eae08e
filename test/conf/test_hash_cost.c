/* What a hash may cost: what programs make passes, with their defaults and
 * well above; what would take minutes does not. */
#include "conf/fixture.h"

#include <string.h>

#include "conf/hash_cost.h"

static void
what_programs_make(void **state)
{
	static const char *const made[] = {
		/* mkpasswd -m, each with its default */
		"$y$j9T$IO6nYpeOfSuFRHStLpUuS.$rMtxNc3Ij8hbqEXbXwi/Zs6NL2",
		"$gy$j9T$IO6nYpeOfSuFRHStLpUuS.$rMtxNc3Ij8hbqEXbXwi/Zs6NL2",
		"$7$CU..../....2Q9obwLhin8qvQl6sisAO/$sGayo/AQOxCqBZ3LZgGN",
		"$2b$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZ",
		"$6$52450745$k5ka2p8bFuSmoVT1tzOyyuaREkkKBcCNqoDKzYiJL9Ra",
		"$5$rounds=12345$q3hvJE5mn5jKRsW.$BbbYTFiaImz9rTy03GGi.J",
		"$md5,rounds=4096$abc$xyz", "$md5$rounds=4096$abc$xyz",
		"$sha1$248488$ggu.H673kaZ5$", "$1$abc$xyz", "_J9..K0Ay",
		"saXXXXXXXXXXX", "$3$$8846f7eaee8fb117ad06bdd830b7586c", "!",
		/* doveadm pw, htpasswd -B */
		"$2y$05$OqNIGgGruqJVv8PureTGIuzbjw2OYXPaMjrjo7HVw7QEHfkca",
		"$6$skTLqjFXVCDMWD0W$7FXu2qONgLQqa0er5TRwKOKEcM2TV8yG6CM",
		"SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
		/* the strongest ones */
		"$6$rounds=1000000$salt$x", "$6$rounds=656000$salt$x",
		"$5$rounds=1000000$salt$x", "$2b$12$x", "$2b$14$x", "$2a$08$x",
		"$y$jDT$x$y", "$gy$jDT$x$y", "$y$j75$x$y",
		"$7$EU..../....x$y", "SCRAM-SHA-1$1000000:A$A:A",
		/* nobody can log in with these, and it costs nothing */
		"", "$", "$6$", "$6$rounds=$x", "$6$rounds=x", "$2b$", "$2",
		"$7$", "$7$C", "$9$x", "SCRAM-", "SCRAM-SHA-256$x", "$sha1$",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (conf_hash_costly(slice_cstr(made[i])) != NULL)
			fail_msg("%s", made[i]);
}

static void
what_takes_minutes(void **state)
{
	static const struct {
		const char *hash, *words;
	} rows[] = {
		{ "$6$rounds=999999999$salt$x", "1000000 rounds" },
		{ "$6$rounds=1000001$salt$x", "1000000 rounds" },
		{ "$5$rounds=99999999999999999999999$salt$x", "rounds" },
		{ "$md5,rounds=4294967295$salt$x", "rounds" },
		{ "$md5$rounds=4294967295$salt$x", "rounds" },
		{ "$sha1$4294967295$salt$x", "rounds" },
		{ "SCRAM-SHA-256$1000001:A$A:A", "rounds" },
		{ "SCRAM-SHA-1$99999999:A$A:A", "rounds" },
		{ "$2b$15$x", "a cost of more than 14" },
		{ "$2y$31$x", "a cost of more than 14" },
		{ "$y$jET$x$y", "256 MiB" },
		{ "$y$jZT$x$y", "256 MiB" },
		{ "$gy$jFT$x$y", "256 MiB" },
		{ "$y$jhT$x$y", "256 MiB" },
		{ "$y$jzT$x$y", "mkpasswd does not make" },
		{ "$y$j9T/5$x$y", "mkpasswd does not make" },
		{ "$y$j9$x$y", "mkpasswd does not make" },
		{ "$y$", "mkpasswd does not make" },
		{ "$7$GU..../....x$y", "256 MiB" },
		{ "$7$CU....U....x$y", "256 MiB" },
		{ "$7$zU..../....x$y", "256 MiB" },
		{ "$7$Czzzzz/....x$y", "256 MiB" },
		{ "$7$CU....zzzzzx$y", "256 MiB" },
	};
	const char *got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		got = conf_hash_costly(slice_cstr(rows[i].hash));
		if (got == NULL || strstr(got, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].hash,
			    got != NULL ? got : "fine");
		assert_non_null(strstr(got, "relayctl passwd"));
	}
}

static void
a_login_with_one_is_an_error(void **state)
{
	(void)state;
	expect_error("login a { password hash "
	    "\"$6$rounds=999999999$salt$hash\" }\n",
	    "t.conf:1: the hash takes too long to check (more than 1000000 "
	    "rounds)");
	expect_errors("login a { password hash \"$6$salt$hash\" }\n", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_programs_make),
		cmocka_unit_test(what_takes_minutes),
		cmocka_unit_test(a_login_with_one_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

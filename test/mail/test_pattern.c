/* PATTERN: parsing, matching, which is more specific. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "mail/pattern.h"

static bool
matches(const char *pattern, const char *address)
{
	struct mail_pattern p;
	struct err e;
	bool yes;

	if (mail_pattern_parse(slice_cstr(pattern), &p, &e) < 0)
		fail_msg("%s: %s", pattern, e.text);
	yes = mail_pattern_matches(&p, slice_cstr(address));
	mail_pattern_free(&p);
	mail_pattern_free(&p);
	return yes;
}

static void
addresses_match_themselves(void **state)
{
	(void)state;
	assert_true(matches("user@x.example", "User@X.EXAMPLE"));
	assert_true(matches("user@x.example", "\"user\"@x.example."));
	assert_false(matches("user@x.example", "user2@x.example"));
	assert_false(matches("user@x.example", "user@y.x.example"));
	assert_true(matches("\"a b\"@x", "\"A b\"@x"));
	assert_true(matches("\"a b\"@x", "\"A\\ b\"@x"));
	assert_true(matches("a@b\xc3\xbc.de", "a@XN--B-EHA.de"));
	assert_true(matches("a@[192.0.2.1]", "a@[192.0.2.1]"));
}

static void
an_asterisk_stands_for_any_run(void **state)
{
	(void)state;
	assert_true(matches("user*@x", "user@x"));
	assert_true(matches("user*@x", "user+tag@x"));
	assert_true(matches("*-bounces@x", "list-bounces@x"));
	assert_true(matches("a*b*c@x", "a-b-b-c@x"));
	assert_false(matches("a*b*c@x", "a-b-b-d@x"));
	assert_false(matches("user*@x", "user@y"));
	assert_true(matches("*@x", "any@x"));
	/* Quoted it is an octet like others. */
	assert_true(matches("\"a*\"@x", "a*@x"));
	assert_false(matches("\"a*\"@x", "ab@x"));
}

static void
domains_and_what_is_below(void **state)
{
	(void)state;
	assert_true(matches("corp.example", "a@corp.example"));
	assert_true(matches("@corp.example", "a@CORP.example"));
	assert_false(matches("corp.example", "a@x.corp.example"));
	assert_true(matches(".corp.example", "a@corp.example"));
	assert_true(matches("@.corp.example", "a@x.y.corp.example"));
	assert_false(matches(".corp.example", "a@xcorp.example"));
	assert_true(matches("[192.0.2.1]", "a@[192.0.2.1]"));
	assert_false(matches("[192.0.2.1]", "a@[192.0.2.2]"));
	assert_true(matches("[IPv6:2001:db8::1]", "a@[ipv6:2001:DB8:0::1]"));
	assert_false(matches("corp.example", "corp.example"));
}

static void
the_null_sender(void **state)
{
	(void)state;
	assert_true(matches("<>", ""));
	assert_true(matches("<>", "<>"));
	assert_true(matches("*", ""));
	assert_true(matches("*", "a@b"));
	assert_true(matches("*", "root"));
	assert_false(matches("<>", "a@b"));
	assert_false(matches("<>", "root"));
	assert_false(matches("corp.example", ""));
	assert_false(matches(".corp.example", ""));
	assert_false(matches("*@corp.example", ""));
}

static void
what_is_no_pattern(void **state)
{
	static const char *const bad[] = { "", "@", ".", "@.", "a@", "a@.b",
		"a@*", "*.b", "a b", "a@b@c", "<a@b>", ".[192.0.2.1]", "[1.2]",
		"a b@c", "-a.b", "**" };
	struct mail_pattern p;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (mail_pattern_parse(slice_cstr(bad[i]), &p, &e) == 0)
			fail_msg("%s is taken", bad[i]);
		assert_true(strlen(e.text) > 0);
	}
}

static void
canonical_text_means_the_same(void **state)
{
	static const char *const pairs[][2] = {
		{ "User@X.Example.", "user@x.example" },
		{ "@X", "x" }, { "@.X", ".x" }, { "*", "*" }, { "<>", "<>" },
		{ "A*@X", "a*@x" }, { "\"a*\"@x", "\"a*\"@x" },
		{ "\"a*\\\"\"@x", "\"a*\\\"\"@x" },
		{ "\"a b\"@x", "\"a b\"@x" }, { "\"ab\"@x", "ab@x" },
		{ "[192.0.2.1]", "[192.0.2.1]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct strbuf b = STRBUF_INIT;
		struct mail_pattern p;

		assert_int_equal(mail_pattern_parse(slice_cstr(pairs[i][0]),
		    &p, NULL), 0);
		mail_pattern_text(&p, &b);
		assert_string_equal(strbuf_cstr(&b), pairs[i][1]);
		mail_pattern_free(&p);
		strbuf_free(&b);
	}
}

static void
the_most_specific_wins(void **state)
{
	static const char *const order[] = { "a.b@x.example",
		"a.*@x.example", "a*@x.example", "x.example",
		".x.example", ".example", "*" };
	enum { N = sizeof(order) / sizeof(order[0]) };
	struct mail_pattern list[N];
	struct mail_subject s;

	(void)state;
	/* Written in the opposite order, so that position decides nothing. */
	for (size_t i = 0; i < N; i++)
		assert_int_equal(mail_pattern_parse(slice_cstr(order[i]),
		    &list[N - 1 - i], NULL), 0);
	mail_subject_set(&s, SLICE_LIT("a.b@x.example"));
	for (size_t n = N; n > 0; n--) {
		assert_ptr_equal(mail_pattern_best(list, n, &s),
		    &list[n - 1]);
		if (n > 1)
			assert_true(mail_pattern_compare(&list[n - 1],
			    &list[n - 2]) < 0);
	}
	assert_null(mail_pattern_best(list, 0, &s));
	mail_subject_set(&s, SLICE_LIT("q@other.test"));
	assert_null(mail_pattern_best(list + 1, N - 1, &s));
	for (size_t i = 0; i < N; i++)
		mail_pattern_free(&list[i]);
}

static void
an_absurd_subject_matches_nothing_but_anything(void **state)
{
	struct mail_subject s;
	char addr[1200];
	struct mail_pattern any = { MAIL_PATTERN_ANY, NULL, NULL };
	struct mail_pattern x;

	(void)state;
	memset(addr, 'a', sizeof(addr));
	memcpy(addr + 1000, "@x", 3);
	mail_subject_set(&s, slice_cstr(addr));
	assert_true(mail_pattern_match(&any, &s));
	assert_int_equal(mail_pattern_parse(SLICE_LIT("x"), &x, NULL), 0);
	assert_false(mail_pattern_match(&x, &s));
	mail_pattern_free(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_match_themselves),
		cmocka_unit_test(an_asterisk_stands_for_any_run),
		cmocka_unit_test(domains_and_what_is_below),
		cmocka_unit_test(the_null_sender),
		cmocka_unit_test(what_is_no_pattern),
		cmocka_unit_test(canonical_text_means_the_same),
		cmocka_unit_test(the_most_specific_wins),
		cmocka_unit_test(an_absurd_subject_matches_nothing_but_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* JSON as it stands in a text: what is one object, and where its members
 * are. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json_reader.h"

static void
one_object_and_nothing_else(void **state)
{
	static const char *const good[] = { "{}", " { } \n", "{\"a\":1}",
		"{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":true,\"e\":false}",
		"{\"a\":-1.5e+10,\"\":\"\"}", "// c\n{/* x */\"a\":1}",
		"{\"\\u00e9\\\\\\/\":\"\\ud83d\\ude00\"}" };
	static const char *const bad[] = { "", " ", "[]", "1", "{", "{a:1}",
		"{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}",
		"{\"a\":1}{}", "{\"a\":01x}", "{\"a\":\"\n\"}",
		"{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"b",
		"{\"a\":tru}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":-}",
		"{\"a\":[1,]}", "{/*}", "{\"a\":\"\\" };
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(json_object_check(slice_cstr(good[i]), &e),
		    0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(json_object_check(slice_cstr(bad[i]), &e),
		    -1);
}

static void
a_mistake_has_its_place(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(json_object_check(SLICE_LIT("{\n  \"a\": 1,\n}\n"),
	    &e), -1);
	assert_string_equal(e.text, "line 3, column 1: a name in quotes is "
	    "expected");
}

static void
depth_is_bounded(void **state)
{
	char text[1000] = "{\"a\":";
	struct err e;

	(void)state;
	memset(text + 5, '[', 500);
	assert_int_equal(json_object_check(slice_cstr(text), &e), -1);
	assert_non_null(strstr(e.text, "too deep"));
}

static void
members_and_their_values(void **state)
{
	const struct slice o = SLICE_LIT("{ \"a\" : \"x\\ty\\u20ac\", "
	    "\"n\": 3600, \"t\": \"77\", \"f\": 3600.9, \"b\": true,"
	    "\"a\\u0062\": 1, \"n\": 5, \"neg\": -1, \"z\": \"\\u0000\"}");
	struct json_member m;
	size_t at = 0, count = 0;
	uint64_t n = 0;
	char *s;

	(void)state;
	while (json_member_next(o, &at, &m))
		count++;
	assert_int_equal(count, 9);
	s = json_text_of(o, "a");
	assert_string_equal(s, "x\ty\xe2\x82\xac");
	free(s);
	assert_null(json_text_of(o, "n"));
	assert_null(json_text_of(o, "z"));
	assert_null(json_text_of(o, "none"));
	assert_true(json_number_of(o, "n", 1000000, &n));
	assert_int_equal(n, 5);			/* the last counts */
	assert_true(json_number_of(o, "t", 1000000, &n));
	assert_int_equal(n, 77);
	assert_true(json_number_of(o, "f", 1000000, &n));
	assert_int_equal(n, 3600);
	assert_false(json_number_of(o, "neg", 1000000, &n));
	assert_false(json_number_of(o, "b", 1000000, &n));
	assert_false(json_number_of(o, "t", 76, &n));
	assert_true(json_member_find(o, "ab", &m));
	assert_int_equal(m.type, JSON_NUMBER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_object_and_nothing_else),
		cmocka_unit_test(a_mistake_has_its_place),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(members_and_their_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

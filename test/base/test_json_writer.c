/* JSON for the control socket and the tools: always whole, always one line,
 * whatever a peer has chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_writer.h"

static void
objects_and_arrays_nest(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct json_writer w = json_to(&b);

	(void)state;
	json_object(&w, NULL);
	json_text(&w, "a", "x");
	json_array(&w, "list");
	json_number(&w, NULL, 0);
	json_number(&w, NULL, UINT64_MAX);
	json_object(&w, NULL);
	json_close_object(&w);
	json_close_array(&w);
	json_bool(&w, "yes", true);
	json_null(&w, "none");
	json_raw(&w, "raw", SLICE_LIT("[1]"));
	json_close_object(&w);
	assert_string_equal(b.p, "{\"a\":\"x\",\"list\":[0,"
	    "18446744073709551615,{}],\"yes\":true,\"none\":null,"
	    "\"raw\":[1]}");
	strbuf_free(&b);
}

static void
what_is_absent_is_null(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct json_writer w = json_to(&b);

	(void)state;
	json_array(&w, NULL);
	json_text(&w, NULL, NULL);
	json_text(&w, NULL, "");
	json_when(&w, NULL, 0);
	json_when(&w, NULL, 1);
	json_close_array(&w);
	assert_string_equal(b.p,
	    "[null,\"\",null,\"1970-01-01T00:00:00.001Z\"]");
	strbuf_free(&b);
}

static void
text_is_escaped(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct json_writer w = json_to(&b);

	(void)state;
	json_text(&w, NULL, "a\"b\\c\nd\te\033f\377g\303\274");
	assert_string_equal(b.p, "\"a\\\"b\\\\c\\u000ad\\u0009e\\u001bf"
	    "\\ufffdg\303\274\"");
	strbuf_clear(&b);
	w = json_to(&b);
	json_slice(&w, NULL, slice_of("a\0b", 3));
	assert_string_equal(b.p, "\"a\\u0000b\"");
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_arrays_nest),
		cmocka_unit_test(what_is_absent_is_null),
		cmocka_unit_test(text_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

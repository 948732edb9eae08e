/* What people read of relayctl: ages, times, text that a terminal may get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tools/relayctl.h"

static void
an_age_has_two_digits_or_three(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} t[] = {
		{ 0, "0s" }, { 999, "0s" }, { 99000, "99s" },
		{ 100000, "1m" }, { 5999000, "99m" }, { 6000000, "1h" },
		{ 359999000, "99h" }, { 360000000, "4d" },
	};
	char buf[CTL_AGE_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(ctl_age(t[i].ms, buf), t[i].text);
}

static void
a_time_is_read_as_it_is_written(void **state)
{
	(void)state;
	assert_int_equal(ctl_time("1970-01-01T00:00:01.007Z"), 1007);
	assert_int_equal(ctl_time("2026-11-20T04:05:06.789Z"),
	    1795147506789);
	assert_int_equal(ctl_time(""), 0);
	assert_int_equal(ctl_time("2026-11-20"), 0);
	assert_int_equal(ctl_time("yesterday"), 0);
}

static void
controls_do_not_reach_a_terminal(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	ctl_printable(&b, "a\033[2Jb\r\n\177\302\233c\303\274");
	assert_string_equal(b.p, "a?[2Jb????c\303\274");
	strbuf_free(&b);
}

static void
members_that_are_missing_are_empty(void **state)
{
	cJSON *o = cJSON_Parse("{\"a\":\"x\",\"n\":7,\"t\":true,\"z\":null}");

	(void)state;
	assert_string_equal(ctl_get(o, "a"), "x");
	assert_string_equal(ctl_get(o, "z"), "");
	assert_string_equal(ctl_get(o, "nosuch"), "");
	assert_string_equal(ctl_get(NULL, "a"), "");
	assert_int_equal(ctl_get_number(o, "n"), 7);
	assert_int_equal(ctl_get_number(o, "a"), 0);
	assert_true(ctl_get_bool(o, "t"));
	assert_false(ctl_get_bool(o, "n"));
	cJSON_Delete(o);
}

static void
the_recipient_that_waits_is_shown(void **state)
{
	cJSON *m = cJSON_Parse("{\"recipients\":["
	    "{\"address\":\"a@x\",\"status\":\"delivered\","
	    "\"last_reply\":\"250 ok\"},"
	    "{\"address\":\"b@x\",\"status\":\"deferred\","
	    "\"last_reply\":\"451 later\"}]}");
	struct strbuf b = STRBUF_INIT;

	(void)state;
	ctl_recipients(m, &b);
	assert_string_equal(b.p, "b@x +1");
	assert_string_equal(ctl_reply(m), "451 later");
	strbuf_free(&b);
	cJSON_Delete(m);
	m = cJSON_Parse("{\"recipients\":[]}");
	ctl_recipients(m, &b);
	assert_string_equal(strbuf_cstr(&b), "");
	assert_string_equal(ctl_reply(m), "");
	cJSON_Delete(m);
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_age_has_two_digits_or_three),
		cmocka_unit_test(a_time_is_read_as_it_is_written),
		cmocka_unit_test(controls_do_not_reach_a_terminal),
		cmocka_unit_test(members_that_are_missing_are_empty),
		cmocka_unit_test(the_recipient_that_waits_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

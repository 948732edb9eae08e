/* Requests of the token server's protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/token_request.h"

static enum token_request_result
parse(const char *text, bool ended, struct token_request *r)
{
	return token_request_parse(slice_cstr(text), ended, r);
}

static void
whole_requests_are_read(void **state)
{
	static const char *const same[] = { "SMTP a@b.test", "SMTP a@b.test\n",
	    "SMTP a@b.test\r\n", "SMTP a@b.test and more\n",
	    "SMTP,x,y=1 a@b.test", "SMTP, a@b.test" };
	struct token_request r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_int_equal(parse(same[i], true, &r),
		    TOKEN_REQUEST_DONE);
		assert_true(slice_eq_cstr(r.protocol, "SMTP"));
		assert_true(slice_eq_cstr(r.user, "a@b.test"));
	}
}

static void
what_is_open_may_go_on(void **state)
{
	struct token_request r;
	const char *text = "SMTP,o a@b.test";
	size_t n;

	(void)state;
	for (n = 0; text[n] != '@'; n++)
		assert_int_equal(token_request_parse(slice_of(text, n), false,
		    &r), TOKEN_REQUEST_MORE);
	assert_int_equal(parse("SMTP a@", false, &r), TOKEN_REQUEST_MORE);
	assert_int_equal(parse("SMTP a@b", false, &r), TOKEN_REQUEST_WHOLE);
	assert_int_equal(parse("SMTP a@b\n", false, &r), TOKEN_REQUEST_DONE);
}

static void
anything_else_is_refused(void **state)
{
	static const char *const bad[] = { "", "SMTP", "SMTP ", "SMTP  a@b",
	    " SMTP a@b", ",x a@b", "SMTP nouser", "SMTP @b", "SMTP a@",
	    "SMTP\ta@b", "\n", "SMTP\na@b" };
	struct token_request r;
	char *big;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], true, &r), TOKEN_REQUEST_BAD);
	assert_int_equal(token_request_parse(slice_of("SMTP a@\0b", 9), false,
	    &r), TOKEN_REQUEST_BAD);
	big = test_calloc(1, TOKEN_REQUEST_MAX + 2);
	memset(big, 'x', TOKEN_REQUEST_MAX + 1);
	assert_int_equal(parse(big, false, &r), TOKEN_REQUEST_BAD);
	test_free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_requests_are_read),
		cmocka_unit_test(what_is_open_may_go_on),
		cmocka_unit_test(anything_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

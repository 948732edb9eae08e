/* Names of domains, address literals, UTF-8. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "mail/domain.h"

static const char *
norm(const char *in)
{
	static char out[MAIL_DOMAIN_MAX + 1];

	return mail_domain_normal(slice_cstr(in), out) < 0 ? NULL : out;
}

static void
names_have_one_form(void **state)
{
	(void)state;
	assert_string_equal(norm("Example.COM"), "example.com");
	assert_string_equal(norm("example.com."), "example.com");
	assert_string_equal(norm("localhost"), "localhost");
	assert_string_equal(norm("my_host.lan"), "my_host.lan");
	assert_string_equal(norm("B\xc3\x9c" "cher.example"),
	    "xn--bcher-kva.example");
	/* Non-transitional: the sharp s stays itself. */
	assert_string_equal(norm("stra\xc3\x9f" "e.de"), "xn--strae-oqa.de");
	assert_string_equal(norm("[192.0.2.1]"), "[192.0.2.1]");
	assert_string_equal(norm("[IPV6:2001:DB8::0:1]"),
	    "[ipv6:2001:db8::1]");
	assert_string_equal(norm("[2001:db8::1]"), "[ipv6:2001:db8::1]");
}

static void
what_is_no_name(void **state)
{
	static const char *const bad[] = { "", ".", "a..b", ".a", "-a", "a-",
		"a.-b", "a-.b", "a b", "a@b", "[", "[]", "[1.2.3]", "[1.2.3.4",
		"[x]", "[IPv6:1.2.3.4]", "[1:2]", "a..", "*", "a/b",
		"\xc3", "\xff.example", "a\xe2\x80\xa8.x" };
	char label[80];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (norm(bad[i]) != NULL)
			fail_msg("%s", bad[i]);
	}
	memset(label, 'a', 64);
	label[64] = '\0';
	assert_null(norm(label));
	assert_non_null(norm(label + 1));
	assert_false(mail_domain_valid(SLICE_LIT("a\0b")));
}

static void
names_are_at_most_253_octets(void **state)
{
	char name[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	assert_non_null(norm(name));
	name[253] = '.';
	name[254] = '\0';
	assert_non_null(norm(name));
	name[254] = 'a';
	name[255] = '\0';
	assert_null(norm(name));
	memset(name, 0xc3, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_null(norm(name));
}

static void
literals_give_their_address(void **state)
{
	struct mail_literal lit = { 0, { 0 } };

	(void)state;
	assert_true(mail_literal_parse(SLICE_LIT("[192.0.2.9]"), &lit));
	assert_int_equal(lit.family, AF_INET);
	assert_memory_equal(lit.addr, "\xc0\0\2\x9", 4);
	assert_true(mail_literal_parse(SLICE_LIT("[ipv6:::1]"), &lit));
	assert_int_equal(lit.family, AF_INET6);
	assert_int_equal(lit.addr[15], 1);
	assert_false(mail_literal_parse(SLICE_LIT("192.0.2.9"), &lit));
	assert_false(mail_literal_parse(SLICE_LIT("[1.2.3.4\0]"), &lit));
}

static void
below_means_at_a_dot(void **state)
{
	(void)state;
	assert_true(mail_domain_within(SLICE_LIT("a.b"), SLICE_LIT("a.b")));
	assert_true(mail_domain_within(SLICE_LIT("x.a.b"), SLICE_LIT("a.b")));
	assert_false(mail_domain_within(SLICE_LIT("xa.b"), SLICE_LIT("a.b")));
	assert_false(mail_domain_within(SLICE_LIT("b"), SLICE_LIT("a.b")));
	assert_false(mail_domain_within(SLICE_LIT("b"), SLICE_LIT("")));
}

static void
utf8_is_told_from_noise(void **state)
{
	static const char *const bad[] = { "\x80", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xe2\x82", "\xc3(", "\xe2(\xa1",
		"\xf0\x90(\xbc" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(mail_utf8_valid(slice_cstr(bad[i])));
	assert_true(mail_utf8_valid(SLICE_LIT("a\0\xc3\xbc\xe2\x82\xac"
	    "\xf0\x9f\x93\xa8\xed\x9f\xbf\xf4\x8f\xbf\xbf\xe0\xa0\x80"
	    "\xf0\x90\x80\x80")));
	assert_true(mail_has_8bit(SLICE_LIT("a\x80")));
	assert_false(mail_has_8bit(SLICE_LIT("a\x7f")));
	assert_true(mail_domain_valid_utf8(SLICE_LIT("\xc3\xbc.example")));
	assert_false(mail_domain_valid_utf8(SLICE_LIT("[192.0.2.1]")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_one_form),
		cmocka_unit_test(what_is_no_name),
		cmocka_unit_test(names_are_at_most_253_octets),
		cmocka_unit_test(literals_give_their_address),
		cmocka_unit_test(below_means_at_a_dot),
		cmocka_unit_test(utf8_is_told_from_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

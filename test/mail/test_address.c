/* Addresses: paths of MAIL and RCPT, parts, comparison. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "mail/address.h"

/* What parsing gives, as "local|domain" or the error. */
static const char *
path(const char *in, bool utf8)
{
	static char out[1200];
	struct mail_path p;
	size_t used = 0;
	int rc = mail_path_parse(slice_cstr(in), &p, utf8, &used);

	if (rc == MAIL_PATH_SYNTAX)
		return "syntax";
	if (rc == MAIL_PATH_UTF8)
		return "utf8";
	assert_true(used <= strlen(in));
	assert_int_equal(p.whole.n, p.local.n + p.domain.n +
	    (p.domain.n > 0));
	snprintf(out, sizeof(out), "%.*s|%.*s|%s", (int)p.local.n, p.local.p,
	    (int)p.domain.n, p.domain.p, in + used);
	return out;
}

static void
ordinary_paths(void **state)
{
	(void)state;
	assert_string_equal(path("<a@b.example>", false), "a|b.example|");
	assert_string_equal(path("<a@b> SIZE=1", false), "a|b| SIZE=1");
	assert_string_equal(path("  <A.B@C>", false), "A.B|C|");
	assert_string_equal(path("<>", false), "||");
	assert_string_equal(path("<Postmaster>", false), "Postmaster||");
	assert_string_equal(path("<a@[192.0.2.1]>", false),
	    "a|[192.0.2.1]|");
	assert_string_equal(path("<a@[IPv6:2001:db8::1]>", false),
	    "a|[IPv6:2001:db8::1]|");
	assert_string_equal(path("<!#$%&'*+-/=?^_`{|}~@b>", false),
	    "!#$%&'*+-/=?^_`{|}~|b|");
	assert_string_equal(path("<a@b.example.>", false), "a|b.example.|");
}

static void
quoted_local_parts(void **state)
{
	(void)state;
	assert_string_equal(path("<\"a b\"@c>", false), "\"a b\"|c|");
	assert_string_equal(path("<\"a\\\"@x>\"@c> X", false),
	    "\"a\\\"@x>\"|c| X");
	assert_string_equal(path("<\"\"@c>", false), "\"\"|c|");
	assert_string_equal(path("<\"a@c>", false), "syntax");
	assert_string_equal(path("<\"a\"b@c>", false), "syntax");
	assert_string_equal(path("<\"a\\", false), "syntax");
	assert_string_equal(path("<\"a\tb\"@c>", false), "syntax");
}

static void
old_habits_are_borne_with(void **state)
{
	(void)state;
	assert_string_equal(path("<@x,@y.example:a@b>", false), "a|b|");
	assert_string_equal(path("<@x:a@b>", false), "a|b|");
	assert_string_equal(path("a@b", false), "a|b|");
	assert_string_equal(path("a@b SIZE=1", false), "a|b| SIZE=1");
	assert_string_equal(path("<a..b.@c>", false), "a..b.|c|");
}

static void
what_is_no_path(void **state)
{
	static const char *const bad[] = { "", "<", "<a@b", "a@b>", "<a@>",
		"<@b>", "<a@b>x", "<a b@c>", "<a@b c>", "<a@b,c>", "<a@@b>",
		"<a@-b>", "<a@b-.c>", "<a@b..c>", "<a@[1.2.3]>", "<a@[1.2.3.4>",
		"<a@[x:y]>", "<a@b\x01>", "<a\x7f@b>", "<@x,a@b>", "<@:a@b>",
		"<a(x)@b>", "<a@b>>", "<a@.b>", "<\"a\"@>", "<a,b@c>", "< a@b>",
		"<a@b >" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (strcmp(path(bad[i], true), "syntax") != 0)
			fail_msg("%s: %s", bad[i], path(bad[i], true));
	}
	assert_int_equal(mail_path_parse(SLICE_LIT("<a\0b@c>"),
	    &(struct mail_path){ .utf8 = false }, false, &(size_t){ 0 }),
	    MAIL_PATH_SYNTAX);
	assert_int_equal(mail_path_parse(SLICE_LIT("<a@b\0c>"),
	    &(struct mail_path){ .utf8 = false }, false, &(size_t){ 0 }),
	    MAIL_PATH_SYNTAX);
}

static void
utf8_needs_to_be_allowed(void **state)
{
	(void)state;
	assert_string_equal(path("<gr\xc3\xbc@b>", true), "gr\xc3\xbc|b|");
	assert_string_equal(path("<gr\xc3\xbc@b>", false), "utf8");
	assert_string_equal(path("<a@gr\xc3\xbc.example>", true),
	    "a|gr\xc3\xbc.example|");
	assert_string_equal(path("<a@gr\xc3\xbc.example>", false), "utf8");
	/* Not well-formed. */
	assert_string_equal(path("<gr\xc3@b>", true), "syntax");
	assert_string_equal(path("<a@\xff.example>", true), "syntax");
}

static void
absurd_lengths_are_refused(void **state)
{
	char in[1000];

	(void)state;
	memset(in, 'a', sizeof(in));
	in[0] = '<';
	memcpy(in + 1 + MAIL_LOCAL_MAX, "@b>", 4);
	assert_string_not_equal(path(in, false), "syntax");
	memset(in + 1, 'a', MAIL_LOCAL_MAX + 10);
	memcpy(in + 2 + MAIL_LOCAL_MAX, "@b>", 4);
	assert_string_equal(path(in, false), "syntax");
	memset(in + 1, 'a', 300);
	in[2] = '@';
	memcpy(in + 70, ">", 2);
	assert_string_equal(path(in, false), "syntax");
}

static void
addresses_are_split_at_the_last_at(void **state)
{
	struct slice l, d;

	(void)state;
	mail_address_split(SLICE_LIT("a@b"), &l, &d);
	assert_true(slice_eq_cstr(l, "a") && slice_eq_cstr(d, "b"));
	mail_address_split(SLICE_LIT("\"x@y\"@b"), &l, &d);
	assert_true(slice_eq_cstr(l, "\"x@y\"") && slice_eq_cstr(d, "b"));
	mail_address_split(SLICE_LIT("\"x@y\""), &l, &d);
	assert_true(slice_eq_cstr(l, "\"x@y\"") && d.n == 0);
	mail_address_split(SLICE_LIT("root"), &l, &d);
	assert_true(slice_eq_cstr(l, "root") && d.n == 0);
	mail_address_split(SLICE_LIT(""), &l, &d);
	assert_true(l.n == 0 && d.n == 0);
}

static void
whole_addresses_are_judged(void **state)
{
	(void)state;
	assert_true(mail_address_valid(SLICE_LIT("a@b.example"), false));
	assert_true(mail_address_valid(SLICE_LIT("\"a b\"@b"), false));
	assert_false(mail_address_valid(SLICE_LIT("a"), false));
	assert_false(mail_address_valid(SLICE_LIT(""), false));
	assert_false(mail_address_valid(SLICE_LIT("<a@b>"), false));
	assert_false(mail_address_valid(SLICE_LIT("a@b x"), false));
	assert_false(mail_address_valid(SLICE_LIT("\xc3\xbc@b"), false));
	assert_true(mail_address_valid(SLICE_LIT("\xc3\xbc@b"), true));
	assert_true(mail_local_valid(SLICE_LIT("a.b"), false));
	assert_false(mail_local_valid(SLICE_LIT("a b"), false));
	assert_false(mail_local_valid(SLICE_LIT(""), false));
	assert_false(mail_local_valid(SLICE_LIT("\xc3\xbc"), false));
	assert_false(mail_local_valid(SLICE_LIT("\xc3"), true));
}

static void
normal(const char *in, const char *want)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b, "X");
	mail_address_normal(slice_cstr(in), &b);
	assert_string_equal(strbuf_cstr(&b) + 1, want);
	assert_int_equal(b.p[0], 'X');
	strbuf_free(&b);
}

static void
comparison_ignores_what_means_nothing(void **state)
{
	(void)state;
	normal("A.b@Example.COM.", "a.b@example.com");
	normal("\"A\"@x", "a@x");
	normal("\"a b\\\"c\"@x", "\"a b\\\"c\"@x");
	normal("a@B\xc3\xbc" "cher.example", "a@xn--bcher-kva.example");
	normal("a@[IPv6:2001:DB8:0::1]", "a@[ipv6:2001:db8::1]");
	normal("Root", "root");
	normal("", "");
	normal("a@-X", "a@-x");
	assert_true(mail_address_same(SLICE_LIT("\"A\"@X"),
	    SLICE_LIT("a@x")));
	assert_true(mail_address_same(SLICE_LIT("a"), SLICE_LIT("a")));
	assert_false(mail_address_same(SLICE_LIT("a@x"), SLICE_LIT("b@x")));
}

static void
quoting_and_back(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	mail_local_quote(SLICE_LIT("a\\b\"c d"), &b);
	assert_string_equal(b.p, "\"a\\\\b\\\"c d\"");
	strbuf_clear(&b);
	mail_local_unquote(SLICE_LIT("\"a\\\\b\\\"c d\""), &b);
	assert_string_equal(b.p, "a\\b\"c d");
	strbuf_clear(&b);
	mail_local_quote(SLICE_LIT(""), &b);
	assert_string_equal(b.p, "\"\"");
	strbuf_clear(&b);
	mail_local_unquote(SLICE_LIT("\""), &b);
	assert_string_equal(b.p, "\"");
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_paths),
		cmocka_unit_test(quoted_local_parts),
		cmocka_unit_test(old_habits_are_borne_with),
		cmocka_unit_test(what_is_no_path),
		cmocka_unit_test(utf8_needs_to_be_allowed),
		cmocka_unit_test(absurd_lengths_are_refused),
		cmocka_unit_test(addresses_are_split_at_the_last_at),
		cmocka_unit_test(whole_addresses_are_judged),
		cmocka_unit_test(comparison_ignores_what_means_nothing),
		cmocka_unit_test(quoting_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

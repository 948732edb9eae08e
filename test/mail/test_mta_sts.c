/* MTA-STS: records, policies, the hosts that they cover, notes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/mta_sts.h"

static struct err e;

static const char *
record(const char *text)
{
	static char id[100];
	struct slice s;

	if (mta_sts_record(slice_cstr(text), &s, &e) < 0)
		return e.text;
	memcpy(id, s.p, s.n);
	id[s.n] = '\0';
	return id;
}

static void
records(void **state)
{
	(void)state;
	assert_string_equal(record("v=STSv1; id=20260101T000000"),
	    "20260101T000000");
	assert_string_equal(record("v=STSv1;id=a;"), "a");
	assert_string_equal(record("v=STSv1; more=x y; id=1"), "1");
	assert_string_equal(record(
	    "v=STSv1; id=12345678901234567890123456789012"),
	    "12345678901234567890123456789012");
	assert_non_null(strstr(record("v=STSv1"), "is missing"));
	assert_non_null(strstr(record("v=STSv1; id="), "is missing"));
	assert_non_null(strstr(record(
	    "v=STSv1; id=123456789012345678901234567890123"), "is missing"));
	assert_string_equal(record("v=STSv1; id=a-b"),
	    "id= has letters and digits only");
	assert_string_equal(record("v=STSv1; id=a; id=b"),
	    "`id` stands twice");
	assert_string_equal(record("v=STSv1; nonsense"),
	    "`nonsense` is not tag=value");
	assert_true(mta_sts_claims(SLICE_LIT("v=STSv1; id=1")));
	assert_true(mta_sts_claims(SLICE_LIT(" v=STSv1;")));
	assert_false(mta_sts_claims(SLICE_LIT("id=1; v=STSv1")));
	assert_false(mta_sts_claims(SLICE_LIT("v=STSv2; id=1")));
	assert_false(mta_sts_claims(SLICE_LIT("")));
}

#define USUAL "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n" \
    "mx: *.Example.NET.\r\nmax_age: 604800\r\n"

static void
a_policy(void **state)
{
	struct mta_sts_policy p;

	(void)state;
	assert_int_equal(mta_sts_policy_parse(SLICE_LIT(USUAL), &p, &e), 0);
	assert_int_equal(p.mode, MTA_STS_ENFORCE);
	assert_int_equal(p.max_age, 604800);
	assert_int_equal(p.n_mx, 2);
	assert_string_equal(p.mx[0], "mail.example.com");
	assert_string_equal(p.mx[1], "*.example.net");
	mta_sts_policy_clear(&p);
}

static const char *
verdict(const char *text, struct mta_sts_policy *p)
{
	e.text[0] = '\0';
	if (mta_sts_policy_parse(slice_cstr(text), p, &e) < 0) {
		assert_int_not_equal(e.text[0], 0);
		assert_int_equal(p->n_mx, 0);
		return e.text;
	}
	return "";
}

static void
what_is_forgiven(void **state)
{
	static const char *const good[] = {
		"mode: none\nmax_age: 0\nversion: STSv1",
		"version:STSv1\nmode:testing\nmax_age:1\nmx:a\n",
		"version: STSv1 \t\r\n\r\nmode: none\nmax_age: 1\n \n",
		"version: STSv1\nmode: none\nmax_age: 1\nmode: garbage\n",
		"version: STSv1\nmode: none\nmax_age: 1\nmax_age: garbage\n",
		"version: STSv1\nversion: STSv2\nmode: none\nmax_age: 1\n",
		"version: STSv1\nmode: none\nmax_age: 1\nx-new_key.2: a:\xc3\xa4 b\n",
		"version: STSv1\nmode: none\nmax_age: 9999999999\n",
	};
	struct mta_sts_policy p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_string_equal(verdict(good[i], &p), "");
		assert_int_not_equal(p.mode, MTA_STS_ENFORCE);
		mta_sts_policy_clear(&p);
	}
	assert_string_equal(verdict(good[7], &p), "");
	assert_int_equal(p.max_age, MTA_STS_AGE_MAX);
	mta_sts_policy_clear(&p);
}

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 1\n"

static void
what_is_no_policy(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "`version: STSv1` is missing" },
		{ "version: STSv2\n", "line 1: the version is not STSv1" },
		{ "Version: STSv1\nmode: none\nmax_age: 1\n",
		    "`version: STSv1` is missing" },
		{ "version: STSv1\nmax_age: 1\nmx: a\n",
		    "`mode` is missing" },
		{ "version: STSv1\nmode: Enforce\n", "line 2: the mode is "
		    "none of enforce, testing, none" },
		{ "version: STSv1\nmode: enforce\nmx: a\n",
		    "`max_age` is missing" },
		{ "max_age: 1d\n", "line 1: max_age is no number of seconds" },
		{ "max_age: 12345678901\n",
		    "line 1: max_age is no number of seconds" },
		{ "max_age: -1\n", "line 1: max_age is no number of seconds" },
		{ HEAD, "`mx` is missing" },
		{ "version: STSv1\nmode: testing\nmax_age: 1\n",
		    "`mx` is missing" },
		{ HEAD "mx: *\n", "line 4: mx is the name of a host, \"*.\" "
		    "may stand for its first label" },
		{ HEAD "mx: a.*.example\n", "line 4" },
		{ HEAD "mx: *.*.example\n", "line 4" },
		{ HEAD "mx: m*.example\n", "line 4" },
		{ HEAD "mx: *.\n", "line 4" },
		{ HEAD "mx: .example\n", "line 4" },
		{ HEAD "mx: a b\n", "line 4" },
		{ HEAD "mx: [192.0.2.1]\n", "line 4" },
		{ HEAD "mx:\n", "line 4: no `key: value`" },
		{ HEAD "mx a\n", "line 4: no `key: value`" },
		{ HEAD "mx : a\n", "line 4: no `key: value`" },
		{ HEAD ": a\n", "line 4: no `key: value`" },
		{ HEAD "-x: a\n", "line 4: no `key: value`" },
		{ HEAD "mx: a\rmx: b\n", "line 4: no `key: value`" },
		{ HEAD "x: \x01\n", "line 4: no `key: value`" },
		{ "<html>\n", "line 1: no `key: value`" },
		{ HEAD "a12345678901234567890123456789012: b\n",
		    "line 4: no `key: value`" },
	};
	struct mta_sts_policy p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (strncmp(verdict(bad[i].text, &p), bad[i].why,
		    strlen(bad[i].why)) != 0)
			fail_msg("%s: %s", bad[i].text, e.text);
}

static void
what_is_too_much(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct mta_sts_policy p;
	unsigned i;

	(void)state;
	strbuf_puts(&b, HEAD "mx: a\nx: ");
	while (b.n < MTA_STS_POLICY_MAX)
		strbuf_putc(&b, 'x');
	assert_string_equal(verdict(strbuf_cstr(&b), &p), "");
	mta_sts_policy_clear(&p);
	strbuf_putc(&b, 'x');
	assert_string_equal(verdict(strbuf_cstr(&b), &p),
	    "longer than 65536 octets");
	strbuf_clear(&b);
	strbuf_puts(&b, HEAD);
	for (i = 0; i < 1000; i++)
		strbuf_printf(&b, "mx: mx%u.example.com\n", i);
	assert_non_null(strstr(verdict(strbuf_cstr(&b), &p),
	    "more than we keep"));
	strbuf_free(&b);
}

static bool
covers(const char *mx, const char *host)
{
	struct mta_sts_policy p;
	char text[1024];
	bool covered;

	snprintf(text, sizeof(text), HEAD "mx: other.test\nmx: %s\n", mx);
	assert_string_equal(verdict(text, &p), "");
	covered = mta_sts_covers(&p, host);
	mta_sts_policy_clear(&p);
	return covered;
}

static void
hosts(void **state)
{
	(void)state;
	assert_true(covers("mail.example.com", "mail.example.com"));
	assert_true(covers("mail.example.com", "MAIL.example.COM"));
	assert_true(covers("anything", "other.test"));
	assert_false(covers("mail.example.com", "mail.example.co"));
	assert_false(covers("mail.example.com", "a.mail.example.com"));
	assert_false(covers("example.com", "mail.example.com"));
	assert_true(covers("*.example.com", "mail.example.com"));
	assert_false(covers("*.example.com", "example.com"));
	assert_false(covers("*.example.com", "a.b.example.com"));
	assert_false(covers("*.example.com", ".example.com"));
	assert_false(covers("*.example.com", "mailexample.com"));
	assert_false(covers("*.example.com", ""));
	/* As a browser would: names in DNS are A-labels. */
	assert_true(covers("b\xc3\xbc" "cher.example",
	    "xn--bcher-kva.example"));
	assert_true(covers("*.xn--bcher-kva.example",
	    "mx.XN--bcher-kva.example"));
}

static void
notes(void **state)
{
	struct mta_sts_note n = { .fetched = 1700000000000, .id = "a1",
	    .failed = 5, .failed_id = "b2" }, back;
	struct strbuf b = STRBUF_INIT;

	(void)state;
	assert_int_equal(mta_sts_policy_parse(SLICE_LIT(USUAL), &n.policy,
	    &e), 0);
	assert_int_equal(mta_sts_note_expires(&n), 1700604800000);
	mta_sts_note_encode(&n, &b);
	mta_sts_note_clear(&n);
	assert_int_equal(mta_sts_note_expires(&n), 0);
	assert_int_equal(mta_sts_note_decode(strbuf_slice(&b), &back), 0);
	assert_string_equal(back.id, "a1");
	assert_string_equal(back.failed_id, "b2");
	assert_int_equal(back.fetched, 1700000000000);
	assert_int_equal(back.failed, 5);
	assert_int_equal(back.policy.max_age, 604800);
	assert_true(mta_sts_covers(&back.policy, "a.example.net"));
	mta_sts_note_clear(&back);
	strbuf_clear(&b);
	mta_sts_note_encode(&back, &b);
	assert_string_equal(strbuf_cstr(&b), "policy - 0\nfailed - 0\n");
	assert_int_equal(mta_sts_note_decode(strbuf_slice(&b), &back), 0);
	assert_int_equal(back.fetched, 0);
	strbuf_free(&b);
}

static void
the_longest_policy_makes_a_note_that_fits(void **state)
{
	struct mta_sts_note n = { .fetched = UINT64_MAX / 2,
	    .failed = UINT64_MAX / 2 }, back;
	struct strbuf b = STRBUF_INIT;
	unsigned i;

	(void)state;
	memset(n.id, 'x', MTA_STS_ID_MAX);
	memset(n.failed_id, 'x', MTA_STS_ID_MAX);
	strbuf_puts(&b, HEAD);
	/* One-letter names have the longest lines for their octets. */
	for (i = 0; i < 12288 / 8; i++)
		strbuf_puts(&b, "mx:a\n");
	assert_int_equal(mta_sts_policy_parse(strbuf_slice(&b), &n.policy,
	    &e), 0);
	strbuf_clear(&b);
	mta_sts_note_encode(&n, &b);
	assert_true(b.n <= MTA_STS_NOTE_MAX);
	assert_int_equal(mta_sts_note_decode(strbuf_slice(&b), &back), 0);
	mta_sts_note_clear(&n);
	mta_sts_note_clear(&back);
	strbuf_free(&b);
}

static void
damaged_notes(void **state)
{
	static const char *const bad[] = { "", "policy", "policy a 1\n",
		"policy a 1\nfailed - 0\n", "policy a 1\nfailed - 0\nmode: x\n",
		"policy - 0\nfailed - 0\nversion: STSv1\n",
		"policy a-b 0\nfailed - 0\n", "policy - 0x\nfailed - 0\n",
		"policy - 0 0\nfailed - 0\n", "failed - 0\npolicy - 0\n",
		"policy - 0\nfailed - 18446744073709551615\n" };
	struct mta_sts_note n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (mta_sts_note_decode(slice_cstr(bad[i]), &n) == 0 ||
		    n.fetched != 0 || n.id[0] != '\0')
			fail_msg("%s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(a_policy),
		cmocka_unit_test(what_is_forgiven),
		cmocka_unit_test(what_is_no_policy),
		cmocka_unit_test(what_is_too_much),
		cmocka_unit_test(hosts),
		cmocka_unit_test(notes),
		cmocka_unit_test(the_longest_policy_makes_a_note_that_fits),
		cmocka_unit_test(damaged_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

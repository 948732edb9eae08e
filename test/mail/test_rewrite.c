/* Another author, and domains for bare addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "mail/qualify.h"
#include "mail/rewrite.h"

static bool
owns(void *arg, struct slice address)
{
	(void)arg;
	return slice_ends_case(address, SLICE_LIT("@own.test"));
}

/* The message as it leaves; "" where nothing is changed. */
static const char *
rewritten(const char *msg, bool always, bool signed_too)
{
	static struct strbuf out;
	struct rewrite r = { .address = "me@own.test", .always = always,
	    .signed_too = signed_too, .owns = owns };
	size_t skip = 9999;

	strbuf_clear(&out);
	if (!rewrite_from(slice_cstr(msg), &r, &out, &skip)) {
		assert_int_equal(out.n, 0);
		return "";
	}
	assert_true(skip <= strlen(msg));
	strbuf_puts(&out, msg + skip);
	return out.p;
}

static void
a_foreign_author_becomes_the_accounts(void **state)
{
	(void)state;
	assert_string_equal(rewritten("To: a@b\r\nFrom: Cron <root@host>\r\n"
	    "Subject: x\r\n\r\nbody\r\n", false, false),
	    "To: a@b\r\nFrom: Cron <me@own.test>\r\n"
	    "Reply-To: Cron <root@host>\r\nSubject: x\r\n\r\nbody\r\n");
	assert_string_equal(rewritten("From: root (Cron Daemon)\r\n\r\n",
	    false, false), "From: <me@own.test>\r\n"
	    "Reply-To: root (Cron Daemon)\r\n\r\n");
	assert_string_equal(rewritten("from:\"a, b\"\r\n\t<a@x>,\r\n c@y\r\n",
	    false, false), "From: \"a, b\" <me@own.test>\r\n"
	    "Reply-To: \"a, b\"\r\n\t<a@x>,\r\n c@y\r\n");
	/* a line of blanks must not become the end of the header */
	assert_string_equal(rewritten("From: a@x,\r\n \r\nTo: x\r\n", false,
	    false), "From: <me@own.test>\r\nReply-To: a@x,\r\nTo: x\r\n");
	assert_string_equal(rewritten("From:\r\nTo: x\r\n", false, false),
	    "From: <me@own.test>\r\nTo: x\r\n");
}

static size_t
longest_line(const char *s)
{
	size_t longest = 0, n;

	for (; *s != '\0'; s += n + (s[n] != '\0')) {
		n = strcspn(s, "\n");
		if (n > longest)
			longest = n;
	}
	return longest;			/* with CR */
}

/* From is the shortest of the names: what just fits into its line would not
 * fit into that of another one. */
static void
lines_stay_within_their_limit(void **state)
{
	char msg[4096], name[1024];
	const char *out;
	int n;

	(void)state;
	for (n = 900; n <= 981; n++) {
		memset(name, 'n', sizeof(name));
		name[n] = '\0';
		snprintf(msg, sizeof(msg), "From: %s <a@x.test>\r\n"
		    "Reply-To: b@x.test\r\n\r\n", name);
		assert_true(longest_line(msg) <= 999);
		out = rewritten(msg, false, false);
		assert_true(longest_line(out) <= 999);
		assert_non_null(strstr(out, "\nX-Original-From:"));
		assert_non_null(strstr(out, name));
		msg[strlen(msg) - 2 - strlen("Reply-To: b@x.test\r\n")] = 0;
		out = rewritten(msg, false, false);
		assert_true(longest_line(out) <= 999);
		snprintf(name + n, sizeof(name) - (size_t)n, " <a@x.test>");
		assert_non_null(strstr(out, name));
	}
}

static void
an_own_author_stays_unless_always(void **state)
{
	static const char own[] = "From: You <you@OWN.test>\r\n\r\n";

	(void)state;
	assert_string_equal(rewritten(own, false, false), "");
	assert_string_equal(rewritten(own, true, false),
	    "From: You <me@own.test>\r\nReply-To: You <you@OWN.test>"
	    "\r\n\r\n");
	assert_string_equal(rewritten("From: a@own.test, b@x\r\n", false,
	    false), "From: <me@own.test>\r\n"
	    "Reply-To: a@own.test, b@x\r\n");
	assert_string_equal(rewritten("To: a@b\r\n\r\nFrom: c@d\r\n", true,
	    true), "");
}

static void
a_reply_to_stays(void **state)
{
	(void)state;
	assert_string_equal(rewritten("Reply-to: r@x\r\nFrom: a@x\r\n\r\n",
	    false, false), "Reply-to: r@x\r\nFrom: <me@own.test>\r\n"
	    "X-Original-From: a@x\r\n\r\n");
}

static void
what_its_own_domain_signed_is_left_alone(void **state)
{
	static const char *const kept[] = { "x.test", "X.Test.", "sub.x.test",
	    NULL };
	static const char *const broken[] = { "y.test", "est", "", NULL };
	char msg[200];
	int i;

	(void)state;
	for (i = 0; kept[i] != NULL; i++) {
		snprintf(msg, sizeof(msg), "DKIM-Signature: v=1; a=rsa-sha256;"
		    "\r\n\td = %s; bh=d=own.test; s=d\r\nFrom: a@x.test\r\n",
		    kept[i]);
		assert_string_equal(rewritten(msg, true, false), "");
		assert_string_not_equal(rewritten(msg, true, true), "");
	}
	for (i = 0; broken[i] != NULL; i++) {
		snprintf(msg, sizeof(msg), "DKIM-Signature: v=1; bd=x.test; "
		    "d=%s\r\nFrom: a@x.test\r\n", broken[i]);
		assert_string_not_equal(rewritten(msg, false, false), "");
	}
	assert_string_equal(rewritten("DKIM-Signature: d=y.test\r\n"
	    "DKIM-Signature: d=test\r\nFrom: a@x.test\r\n", false, false),
	    "");
}

static void
a_name_that_is_too_long_for_a_line_is_left_out(void **state)
{
	char msg[1200] = "From: ";

	(void)state;
	memset(msg + 6, 'x', 1000);
	strcpy(msg + 1006, " <a@x>\r\n");
	assert_memory_equal(rewritten(msg, false, false),
	    "From: <me@own.test>\r\nReply-To:\r\n xxx", 35);
}

/* ---- bare addresses ---- */

static const char *
qualified(const char *fields)
{
	static struct strbuf out;

	strbuf_clear(&out);
	if (!qualify_fields(slice_cstr(fields), "host.test", &out)) {
		assert_int_equal(out.n, 0);
		return "";
	}
	return out.p;
}

static void
bare_addresses_get_a_domain(void **state)
{
	(void)state;
	assert_string_equal(qualified("From: root\r\nTo: a@b, bob,\r\n\t"
	    "Carl <carl>, \"d e\"\r\nSubject: bob\r\n"),
	    "From: root@host.test\r\nTo: a@b, bob@host.test,\r\n\t"
	    "Carl <carl@host.test>, \"d e\"@host.test\r\nSubject: bob\r\n");
	assert_string_equal(qualified("From: root (Cron Daemon)\r\n"),
	    "From: root@host.test (Cron Daemon)\r\n");
	assert_string_equal(qualified("Cc: x\r\nX: y\r\nReply-To:z\r\n"),
	    "Cc: x@host.test\r\nX: y\r\nReply-To:z@host.test\r\n");
}

static void
what_is_whole_stays(void **state)
{
	(void)state;
	assert_string_equal(qualified(""), "");
	assert_string_equal(qualified("From: a@b\r\nTo: Bob <b@c>\r\n"), "");
	assert_string_equal(qualified("To: undisclosed-recipients:;\r\n"),
	    "");
	assert_string_equal(qualified("To: Bob Smith\r\nCc:\r\n"), "");
	assert_string_equal(qualified("Subject: bob\r\n"), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_foreign_author_becomes_the_accounts),
		cmocka_unit_test(lines_stay_within_their_limit),
		cmocka_unit_test(an_own_author_stays_unless_always),
		cmocka_unit_test(a_reply_to_stays),
		cmocka_unit_test(what_its_own_domain_signed_is_left_alone),
		cmocka_unit_test(
		    a_name_that_is_too_long_for_a_line_is_left_out),
		cmocka_unit_test(bare_addresses_get_a_domain),
		cmocka_unit_test(what_is_whole_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

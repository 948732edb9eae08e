/* Reports: what stands in them, and what of the original goes back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/domain.h"
#include "mail/dsn.h"
#include "mail/dsn_text.h"

static const char original_text[] = "From: a@b\r\nSubject: Hello\r\n"
    " there\r\nMessage-ID: <1@b>\r\n\r\nBody text\r\n";

static struct envelope env;
static struct dsn_recipient rcpt;
static struct dsn d;
static struct strbuf out;
static unsigned flags;

static int
set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	envelope_init(&env);
	env.id = 7;
	env.received_ms = 1795147506789;
	envelope_set(&env.from, SLICE_LIT("a@b"));
	memset(&rcpt, 0, sizeof(rcpt));
	rcpt.address = "c@d.example";
	rcpt.action = DSN_FAILED;
	rcpt.status = MAIL_STATUS(5, 1, 1);
	rcpt.remote_mta = "mx.d.example";
	rcpt.diagnostic = "550 5.1.1 no such user here";
	rcpt.diagnostic_smtp = true;
	rcpt.last_attempt_ms = 1795147507000;
	memset(&d, 0, sizeof(d));
	d.reporting_mta = "relay.example";
	d.from = "postmaster@relay.example";
	d.to = "a@b";
	d.id = 8;
	d.now_ms = 1795147508000;
	d.original = &env;
	d.recipients = &rcpt;
	d.recipient_count = 1;
	d.message = slice_cstr(original_text);
	d.message_whole = true;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	envelope_clear(&env);
	strbuf_free(&out);
	return 0;
}

static void
compose(void)
{
	struct slice left;

	strbuf_clear(&out);
	flags = dsn_compose(&d, &out);
	/* Every line of it is one of SMTP. */
	left = strbuf_slice(&out);
	while (left.n > 0) {
		long lf = slice_find(left, '\n');

		assert_true(lf >= 1 && lf < 998);
		assert_int_equal(left.p[lf - 1], '\r');
		left = slice_skip(left, (size_t)lf + 1);
	}
}

static void
has(const char *text)
{
	if (strstr(strbuf_cstr(&out), text) == NULL)
		fail_msg("missing: %s\nin:\n%s", text, strbuf_cstr(&out));
}

static void
lacks(const char *text)
{
	if (strstr(strbuf_cstr(&out), text) != NULL)
		fail_msg("not wanted: %s\nin:\n%s", text, strbuf_cstr(&out));
}

static void
a_failure_says_all_that_is_known(void **state)
{
	(void)state;
	env.envid = strdup("QQ+2B1");
	rcpt.orcpt = "rfc822;C+2Bx@d.example";
	compose();
	has("From: Mail Delivery System <postmaster@relay.example>\r\n");
	has("To: <a@b>\r\n");
	has("Date: Fri, 20 Nov 2026 04:05:08 +0000\r\n");
	has("Message-ID: <0000000000008@relay.example>\r\n");
	has("In-Reply-To: <1@b>\r\n");
	has("Auto-Submitted: auto-replied\r\n");
	has("multipart/report; report-type=delivery-status;");
	has("could not be delivered");
	has("    <c@d.example>: mx.d.example answered: 550 5.1.1 no such "
	    "user here\r\n");
	has("Subject:  Hello there\r\n");
	has("Our id:   0000000000007\r\n");
	has("Content-Type: message/delivery-status\r\n");
	has("Reporting-MTA: dns; relay.example\r\n");
	has("Original-Envelope-Id: QQ+1\r\n");
	has("Arrival-Date: Fri, 20 Nov 2026 04:05:06 +0000\r\n");
	has("Original-Recipient: rfc822; C+x@d.example\r\n");
	has("Final-Recipient: rfc822; c@d.example\r\n");
	has("Action: failed\r\nStatus: 5.1.1\r\n");
	has("Remote-MTA: dns; mx.d.example\r\n");
	has("Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n");
	has("Last-Attempt-Date: Fri, 20 Nov 2026 04:05:07 +0000\r\n");
	has("Content-Type: message/rfc822\r\n\r\nFrom: a@b\r\n");
	has("Body text\r\n\r\n--report_");
	lacks("8bit");
	lacks("Will-Retry-Until");
	assert_int_equal(flags, 0);
}

static void
a_delay_says_how_long_it_will_be_tried(void **state)
{
	(void)state;
	rcpt.action = DSN_DELAYED;
	rcpt.status = MAIL_STATUS_NONE;
	rcpt.remote_mta = NULL;
	rcpt.diagnostic = "connection refused";
	rcpt.diagnostic_smtp = false;
	rcpt.retry_until_ms = 1795234000000;
	rcpt.last_attempt_ms = 0;
	compose();
	has("Subject: Delayed mail");
	has("no need to send it again");
	has("It will be tried until Sat, 21 Nov 2026 04:06:40 +0000\r\n");
	has("Action: delayed\r\nStatus: 4.0.0\r\n");
	has("Diagnostic-Code: x-smarthostd; connection refused\r\n");
	has("Will-Retry-Until: Sat, 21 Nov 2026 04:06:40 +0000\r\n");
	has("text/rfc822-headers\r\n\r\nFrom: a@b\r\n");
	lacks("Body text");
	lacks("Remote-MTA");
	lacks("Last-Attempt-Date");
}

static void
several_recipients_have_a_block_each(void **state)
{
	struct dsn_recipient list[3];

	(void)state;
	list[0] = list[1] = list[2] = rcpt;
	list[1].address = "second@d.example";
	list[1].diagnostic = NULL;
	list[2].address = "third@d.example";
	list[2].action = DSN_RELAYED;
	list[2].status = MAIL_STATUS_NONE;
	d.recipients = list;
	d.recipient_count = 3;
	compose();
	has("\r\n\r\nFinal-Recipient: rfc822; second@d.example\r\n");
	has("    <second@d.example>\r\n");
	has("Action: relayed\r\nStatus: 2.0.0\r\n");
	has("handed on");
	list[0].action = list[1].action = list[2].action = DSN_DELIVERED;
	compose();
	has("Subject: Delivered mail: report\r\n");
	has("was delivered");
}

static void
what_goes_back_depends_on_ret_and_size(void **state)
{
	struct strbuf big = STRBUF_INIT;

	(void)state;
	env.ret = MAIL_RET_HDRS;
	compose();
	lacks("Body text");
	env.ret = MAIL_RET_NONE;
	strbuf_puts(&big, original_text);
	while (big.n <= DSN_WHOLE_MAX)
		strbuf_puts(&big, "more text in the body\r\n");
	d.message = strbuf_slice(&big);
	compose();
	lacks("Body text");
	has("text/rfc822-headers");
	env.ret = MAIL_RET_FULL;
	compose();
	has("Body text");
	has("message/rfc822");
	d.message_whole = false;
	compose();
	lacks("Body text");
	strbuf_free(&big);
}

static void
eight_bits_are_declared(void **state)
{
	(void)state;
	d.message = SLICE_LIT("From: a@b\r\n\r\nGr\xc3\xbc\xc3\x9f" "e\r\n");
	compose();
	assert_int_equal(flags, ENVELOPE_8BITMIME);
	has("Content-Transfer-Encoding: 8bit\r\n");
	has("message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n");
	has("charset=us-ascii\r\n\r\n");
}

static void
international_mail_gets_an_international_report(void **state)
{
	(void)state;
	env.flags = ENVELOPE_SMTPUTF8;
	envelope_set(&env.from, SLICE_LIT("gr\xc3\xbc@b"));
	d.to = env.from;
	rcpt.address = "\xc3\xbc@d";
	compose();
	assert_int_equal(flags, ENVELOPE_8BITMIME | ENVELOPE_SMTPUTF8);
	has("message/global-delivery-status\r\n");
	has("Final-Recipient: utf-8; \xc3\xbc@d\r\n");
	has("Content-Type: message/global\r\n");
	has("charset=utf-8");
	env.ret = MAIL_RET_HDRS;
	compose();
	has("message/global-headers\r\n");
}

static void
nothing_that_was_said_can_break_out(void **state)
{
	char diagnostic[3000];

	(void)state;
	memset(diagnostic, 'x', sizeof(diagnostic));
	memcpy(diagnostic, "550 a\r\nBcc: z\r\n\r\n--report \xff ", 28);
	memset(diagnostic + 60, ' ', 4);
	diagnostic[sizeof(diagnostic) - 1] = '\0';
	rcpt.diagnostic = diagnostic;
	rcpt.remote_mta = "mx\r\n\r\nx";
	rcpt.orcpt = "rfc822;a+0D+0AX:+00y";
	env.envid = strdup("broken+0");
	compose();
	lacks("\nBcc");
	has("550 a??Bcc: z????" "--report ?");
	has("Remote-MTA: dns; mx????x\r\n");
	has("Original-Recipient: rfc822; a??X:?y\r\n");
	has("Original-Envelope-Id: broken+0\r\n");
	rcpt.orcpt = "nonsense";
	compose();
	lacks("Original-Recipient");
	assert_false(mail_has_8bit(strbuf_slice(&out)));
}

static void
odd_originals_do_no_harm(void **state)
{
	static const char *const odd[] = { "", "\r\n", "no header at all\r\n",
		"Message-ID: <a b>\r\n\r\n", "Message-ID: x\r\n\r\n",
		"Subject: \xc3\xbc\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		d.message = slice_cstr(odd[i]);
		d.message_whole = i % 2;
		compose();
		lacks("In-Reply-To");
		lacks("Subject:  ");
	}
}

static void
who_wants_to_hear_of_it(void **state)
{
	(void)state;
	assert_true(dsn_wanted(&env, 0, DSN_FAILED));
	assert_true(dsn_wanted(&env, 0, DSN_DELAYED));
	assert_false(dsn_wanted(&env, 0, DSN_DELIVERED));
	assert_false(dsn_wanted(&env, MAIL_NOTIFY_NEVER, DSN_FAILED));
	assert_true(dsn_wanted(&env, MAIL_NOTIFY_FAILURE, DSN_FAILED));
	assert_false(dsn_wanted(&env, MAIL_NOTIFY_FAILURE, DSN_DELAYED));
	assert_true(dsn_wanted(&env, MAIL_NOTIFY_DELAY, DSN_DELAYED));
	assert_true(dsn_wanted(&env, MAIL_NOTIFY_SUCCESS, DSN_RELAYED));
	envelope_set(&env.from, SLICE_LIT(""));
	assert_false(dsn_wanted(&env, MAIL_NOTIFY_FAILURE, DSN_FAILED));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_failure_says_all_that_is_known),
		T(a_delay_says_how_long_it_will_be_tried),
		T(several_recipients_have_a_block_each),
		T(what_goes_back_depends_on_ret_and_size),
		T(eight_bits_are_declared),
		T(international_mail_gets_an_international_report),
		T(nothing_that_was_said_can_break_out),
		T(odd_originals_do_no_harm),
		T(who_wants_to_hear_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

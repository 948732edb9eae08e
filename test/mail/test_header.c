/* Header fields: scanning, and those that we add. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/header.h"
#include "mail/received.h"
#include "mail/submission_fields.h"

static struct header_scan scan;

static void
look(const char *msg)
{
	header_scan(slice_cstr(msg), &scan);
}

static void
fields_are_noticed(void **state)
{
	(void)state;
	look("Received: a\r\n\tb\r\nreceived:c\r\nDATE: x\r\nFrom : y\r\n"
	    "Message-Id: <z>\r\nDKIM-Signature: v=1;\r\n b=\r\n"
	    "Return-Path: <>\r\nResent-From: q\r\nSubject:\r\n\r\n"
	    "To: not a field\r\n");
	assert_int_equal(scan.received, 2);
	assert_int_equal(scan.present, HEADER_DATE | HEADER_FROM |
	    HEADER_MESSAGE_ID | HEADER_DKIM_SIGNATURE | HEADER_RETURN_PATH |
	    HEADER_RESENT | HEADER_SUBJECT);
	assert_true(scan.complete);
	assert_int_equal(scan.body, scan.fields_end + 2);
}

static void
the_header_ends_where_no_field_is(void **state)
{
	(void)state;
	look("A: b\r\n\r\nbody");
	assert_int_equal(scan.fields_end, 6);
	assert_int_equal(scan.body, 8);
	look("A: b\n\nbody");
	assert_int_equal(scan.fields_end, 5);
	assert_int_equal(scan.body, 6);
	look("A: b\r\nno field here\r\n");
	assert_true(scan.complete);
	assert_int_equal(scan.fields_end, 6);
	assert_int_equal(scan.body, 6);
	look("\r\nbody");
	assert_true(scan.complete && scan.fields_end == 0 && scan.body == 2);
	look(" folded\r\nA: b\r\n\r\n");
	assert_true(scan.complete && scan.body == 0);
	look(": x\r\n\r\n");
	assert_true(scan.complete && scan.body == 0);
}

static void
more_may_follow(void **state)
{
	static const char *const parts[] = { "", "A", "A: b", "A: b\r\n",
		"A: b\r\n c", "A: b\r\n c\r\n", "A: b\r\n\r" };

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		look(parts[i]);
		assert_false(scan.complete);
	}
	look("Date: x");
	assert_int_equal(scan.present, HEADER_DATE);
}

static void
fields_are_found_and_unfolded(void **state)
{
	struct slice msg = SLICE_LIT("To: a\r\nSubject: one\r\n two\r\n"
	    "\tthree \r\nTO:b\r\n\r\nTo: c\r\n");
	struct strbuf b = STRBUF_INIT;
	struct header_field f;
	size_t pos = 0;

	(void)state;
	assert_true(header_find(msg, "to", &pos, &f));
	assert_true(slice_eq_cstr(f.value, "a"));
	assert_true(header_find(msg, "to", &pos, &f));
	assert_true(slice_eq_cstr(f.value, "b"));
	assert_true(slice_eq_cstr(f.whole, "TO:b\r\n"));
	assert_false(header_find(msg, "to", &pos, &f));
	pos = 0;
	assert_true(header_find(msg, "SUBJECT", &pos, &f));
	header_unfold(f.value, &b);
	assert_string_equal(b.p, "one two\tthree");
	strbuf_free(&b);
}

static void
missing_fields_are_made(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	look("Subject: x\r\n\r\n");
	assert_int_equal(submission_fields(&b, &scan, 1795147506789,
	    "host.example", "a@b"), HEADER_DATE | HEADER_MESSAGE_ID |
	    HEADER_FROM);
	assert_non_null(strstr(b.p,
	    "Date: Fri, 20 Nov 2026 04:05:06 +0000\r\n"));
	assert_non_null(strstr(b.p, "Message-ID: <"));
	assert_non_null(strstr(b.p, "@host.example>\r\n"));
	assert_non_null(strstr(b.p, "From: <a@b>\r\n"));
	strbuf_clear(&b);
	assert_int_equal(submission_fields(&b, &scan, 1, "h", ""),
	    HEADER_DATE | HEADER_MESSAGE_ID);
	strbuf_clear(&b);
	look("Date: x\r\nFrom: y\r\nMessage-ID: z\r\n\r\n");
	assert_int_equal(submission_fields(&b, &scan, 1, "h", "a@b"), 0);
	look("DKIM-Signature: x\r\n\r\n");
	assert_int_equal(submission_fields(&b, &scan, 1, "h", "a@b"), 0);
	assert_int_equal(b.n, 0);
	strbuf_free(&b);
}

static void
received(const struct envelope *env, const char *rcpt, const char *want)
{
	struct strbuf b = STRBUF_INIT;

	received_compose(&b, env, "relay.example", rcpt);
	assert_string_equal(strbuf_cstr(&b), want);
	strbuf_free(&b);
}

static void
a_trace_line_tells_where_it_came_from(void **state)
{
	struct envelope env;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	envelope_init(&env);
	env.id = 12345;
	env.received_ms = 1795147506789;
	env.protocol = MAIL_PROTO_ESMTP;
	envelope_set(&env.helo, SLICE_LIT("client.example"));
	envelope_set(&env.client, SLICE_LIT("192.0.2.1"));
	received(&env, "a@b", "Received: from client.example ([192.0.2.1])"
	    "\r\n\tby relay.example with ESMTP id 0000000000C1S for <a@b>;"
	    "\r\n\tFri, 20 Nov 2026 04:05:06 +0000\r\n");
	envelope_set(&env.client_name, SLICE_LIT("pc.example"));
	envelope_set(&env.client, SLICE_LIT("2001:db8::1"));
	envelope_set(&env.tls, SLICE_LIT("TLSv1.3 AES_256"));
	envelope_set(&env.login, SLICE_LIT("joe"));
	received(&env, NULL, "Received: from client.example (pc.example "
	    "[IPv6:2001:db8::1])\r\n\t(using TLSv1.3 AES_256)"
	    "\r\n\tby relay.example with ESMTPSA id 0000000000C1S;"
	    "\r\n\tFri, 20 Nov 2026 04:05:06 +0000\r\n");
	env.protocol = MAIL_PROTO_LOCAL;
	env.uid = 1000;
	received(&env, "bcc@b", "Received: by relay.example (from uid 1000) "
	    "id 0000000000C1S;"
	    "\r\n\tFri, 20 Nov 2026 04:05:06 +0000\r\n");
	envelope_clear(&env);
}

static void
a_client_cannot_forge_the_trace(void **state)
{
	struct envelope env;
	struct strbuf b = STRBUF_INIT;
	char big[4000];

	(void)state;
	envelope_init(&env);
	env.protocol = MAIL_PROTO_SMTP;
	envelope_set(&env.helo,
	    SLICE_LIT("x)\r\nBcc: y;(\"\\<>\xff\x7f"));
	envelope_set(&env.client, SLICE_LIT("192.0.2.1"));
	received_compose(&b, &env, "h", NULL);
	assert_non_null(strstr(b.p,
	    "from x???Bcc:?y???????? ([192.0.2.1])\r\n\tby h with SMTP id"));
	strbuf_clear(&b);
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	envelope_set(&env.helo, slice_cstr(big));
	received_compose(&b, &env, "h", NULL);
	assert_true(b.n < 500);
	strbuf_clear(&b);
	/* Without any, and with nothing in it. */
	envelope_set(&env.helo, slice_of(NULL, 0));
	received_compose(&b, &env, "h", "a\r\nb");
	assert_non_null(strstr(b.p, "from unknown ("));
	assert_non_null(strstr(b.p, "for <a??b>;"));
	strbuf_free(&b);
	envelope_clear(&env);
}

static void
the_protocol_has_a_registered_name(void **state)
{
	struct envelope env;

	(void)state;
	envelope_init(&env);
	env.protocol = MAIL_PROTO_ESMTP;
	assert_string_equal(received_with(&env), "ESMTP");
	envelope_set(&env.tls, SLICE_LIT("x"));
	assert_string_equal(received_with(&env), "ESMTPS");
	env.flags = ENVELOPE_SMTPUTF8;
	assert_string_equal(received_with(&env), "UTF8SMTPS");
	envelope_set(&env.login, SLICE_LIT("x"));
	assert_string_equal(received_with(&env), "UTF8SMTPSA");
	env.protocol = MAIL_PROTO_LMTP;
	assert_string_equal(received_with(&env), "UTF8LMTPSA");
	env.flags = 0;
	assert_string_equal(received_with(&env), "LMTPSA");
	env.protocol = MAIL_PROTO_REPORT;
	assert_string_equal(received_with(&env), "");
	envelope_clear(&env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_noticed),
		cmocka_unit_test(the_header_ends_where_no_field_is),
		cmocka_unit_test(more_may_follow),
		cmocka_unit_test(fields_are_found_and_unfolded),
		cmocka_unit_test(missing_fields_are_made),
		cmocka_unit_test(a_trace_line_tells_where_it_came_from),
		cmocka_unit_test(a_client_cannot_forge_the_trace),
		cmocka_unit_test(the_protocol_has_a_registered_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Replies, enhanced status codes, capabilities. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/smtp_caps.h"
#include "mail/smtp_reply.h"
#include "mail/status.h"

static struct smtp_reply r = SMTP_REPLY_INIT;
static struct err e;
static size_t used;

static enum smtp_reply_result
feed(const char *text)
{
	return smtp_reply_feed(&r, slice_cstr(text), &used, &e);
}

static void
status_codes(void **state)
{
	static const char *const bad[] = { "", "5", "5.", "5.1", "5.1.",
		"3.1.1", "5.1.1x", "5.1111.1", "5.1.1111", "a.b.c", "5..1" };
	char text[MAIL_STATUS_LEN + 1];
	struct mail_status st = MAIL_STATUS_NONE;
	size_t n;

	(void)state;
	assert_true(mail_status_parse(SLICE_LIT("5.1.1 no"), &st, &n));
	assert_int_equal(n, 5);
	assert_string_equal(mail_status_text(st, text), "5.1.1");
	assert_true(mail_status_parse(SLICE_LIT("4.999.123"), &st, NULL));
	assert_string_equal(mail_status_text(st, text), "4.999.123");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(mail_status_parse(slice_cstr(bad[i]), &st, &n));
	assert_int_equal(st.class, 4);
	assert_string_equal(mail_status_text(MAIL_STATUS_NONE, text), "");
	assert_string_equal(mail_status_text(mail_status_of_code(550), text),
	    "5.0.0");
	assert_string_equal(mail_status_text(mail_status_of_code(552), text),
	    "5.3.4");
	assert_string_equal(mail_status_text(mail_status_of_code(250), text),
	    "2.0.0");
	assert_string_equal(mail_status_text(mail_status_of_code(354), text),
	    "");
}

static void
one_line(void **state)
{
	(void)state;
	assert_int_equal(feed("250 2.1.0 Ok\r\n354 go"), SMTP_REPLY_DONE);
	assert_int_equal(used, 14);
	assert_int_equal(r.code, 250);
	assert_int_equal(r.status.subject, 1);
	assert_string_equal(strbuf_cstr(&r.text), "2.1.0 Ok");
	assert_int_equal(feed("354 go"), SMTP_REPLY_MORE);
	assert_int_equal(used, 0);
	assert_int_equal(feed("354\r\n"), SMTP_REPLY_DONE);
	assert_int_equal(r.code, 354);
	assert_int_equal(r.text.n, 0);
	assert_int_equal(feed("220 \n"), SMTP_REPLY_DONE);
	assert_int_equal(used, 5);
}

static void
several_lines_in_pieces(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct slice line;

	(void)state;
	assert_int_equal(feed("550-5.7.1 first\r\n550-5.7.1 sec"),
	    SMTP_REPLY_MORE);
	assert_int_equal(used, 17);
	assert_int_equal(feed("550-5.7.1 second\r\n"), SMTP_REPLY_MORE);
	assert_int_equal(feed("550 5.7.1 third\r\n"), SMTP_REPLY_DONE);
	assert_int_equal(r.lines, 3);
	assert_true(smtp_reply_line(&r, 1, &line));
	assert_true(slice_eq_cstr(line, "5.7.1 second"));
	assert_true(smtp_reply_line(&r, 2, &line));
	assert_true(slice_eq_cstr(line, "5.7.1 third"));
	assert_false(smtp_reply_line(&r, 3, &line));
	smtp_reply_text(&r, &b, 0);
	assert_string_equal(b.p, "550 5.7.1 first second third");
	strbuf_clear(&b);
	smtp_reply_text(&r, &b, 9);
	assert_string_equal(b.p, "550 5.7.1");
	strbuf_free(&b);
}

static void
an_enhanced_code_of_another_class_counts_for_nothing(void **state)
{
	(void)state;
	assert_int_equal(feed("550 2.1.1 odd\r\n"), SMTP_REPLY_DONE);
	assert_int_equal(r.status.class, 0);
	assert_int_equal(smtp_reply_status(&r).class, 5);
	assert_int_equal(feed("450 4.2.1 ok\r\n"), SMTP_REPLY_DONE);
	assert_int_equal(smtp_reply_status(&r).subject, 2);
}

static void
garbage_is_no_reply(void **state)
{
	static const char *const bad[] = { "\r\n", "25\r\n", "abc def\r\n",
		"2500 x\r\n", "250_x\r\n", "100 x\r\n", "600 x\r\n",
		"250-a\r\n251 b\r\n", "HTTP/1.1 400\r\n", "099 x\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		smtp_reply_clear(&r);
		if (feed(bad[i]) != SMTP_REPLY_BAD)
			fail_msg("%s", bad[i]);
		assert_true(e.text[0] != '\0');
	}
	smtp_reply_clear(&r);
}

static void
absurd_lengths_end_it(void **state)
{
	char *line = mem_alloc(SMTP_REPLY_LINE_MAX + 2);
	enum smtp_reply_result res = SMTP_REPLY_MORE;
	int n = 0;

	(void)state;
	memset(line, 'x', SMTP_REPLY_LINE_MAX);
	memcpy(line, "250-", 4);
	line[SMTP_REPLY_LINE_MAX] = '\0';
	assert_int_equal(feed(line), SMTP_REPLY_BAD);
	smtp_reply_clear(&r);
	memcpy(line + 3000, "\r\n", 3);
	while (res == SMTP_REPLY_MORE && n++ < 100)
		res = feed(line);
	assert_int_equal(res, SMTP_REPLY_BAD);
	assert_in_range(n, 20, 23);
	assert_true(r.text.n <= SMTP_REPLY_TEXT_MAX);
	smtp_reply_clear(&r);
	memcpy(line, "250 ", 4);
	assert_int_equal(feed(line), SMTP_REPLY_DONE);
	free(line);
}

static void
controls_do_not_reach_the_log(void **state)
{
	(void)state;
	assert_int_equal(smtp_reply_feed(&r,
	    SLICE_LIT("250 a\x1b[31m\tb\0\r\r\n"), &used, &e),
	    SMTP_REPLY_DONE);
	assert_string_equal(strbuf_cstr(&r.text), "a?[31m b??");
}

static void
writing(void **state)
{
	struct strbuf b = STRBUF_INIT;
	char big[2000];

	(void)state;
	smtp_reply_write(&b, 250, MAIL_STATUS(2, 1, 0), "Ok");
	smtp_reply_write(&b, 250, MAIL_STATUS_NONE, "host\nSIZE 1\nHELP");
	smtp_reply_write(&b, 220, MAIL_STATUS_NONE, "a\rb");
	assert_string_equal(b.p, "250 2.1.0 Ok\r\n250-host\r\n250-SIZE 1\r\n"
	    "250 HELP\r\n220 a?b\r\n");
	strbuf_clear(&b);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	smtp_reply_write(&b, 550, MAIL_STATUS(5, 0, 0), big);
	assert_true(b.n <= 512);
	strbuf_free(&b);
}

static void
capabilities(void **state)
{
	struct smtp_caps c;

	(void)state;
	assert_int_equal(feed("250-DSN greets you\r\n250-8bitmime\r\n"
	    "250-SIZE 52428800\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
	    "250-BINARYMIME\r\n250-SMTPUTF8\r\n"
	    "250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n"
	    "250-AUTH PLAIN login  PLAIN\r\n250-AUTH=LOGIN XOAUTH2\r\n"
	    "250-LIMITS RCPTMAX=20 MAILMAX=x RCPTDOMAINMAX=1 FOO\r\n"
	    "250-X-UNKNOWN\r\n250-\r\n250 REQUIRETLS\r\n"), SMTP_REPLY_DONE);
	smtp_caps_parse(&r, &c);
	assert_int_equal(c.flags, SMTP_CAP_8BITMIME | SMTP_CAP_SIZE |
	    SMTP_CAP_PIPELINING | SMTP_CAP_CHUNKING | SMTP_CAP_BINARYMIME |
	    SMTP_CAP_SMTPUTF8 | SMTP_CAP_STARTTLS | SMTP_CAP_ENHANCED |
	    SMTP_CAP_AUTH | SMTP_CAP_LIMITS | SMTP_CAP_REQUIRETLS);
	assert_int_equal(c.size, 52428800);
	assert_string_equal(c.auth, "PLAIN LOGIN XOAUTH2");
	assert_true(smtp_caps_has_auth(&c, "LOGIN"));
	assert_false(smtp_caps_has_auth(&c, "LOG"));
	assert_int_equal(c.rcpt_max, 20);
	assert_int_equal(c.mail_max, 0);
	assert_int_equal(c.rcpt_domain_max, 1);
	/* A greeting alone, and one named like an extension. */
	assert_int_equal(feed("250 SIZE\r\n"), SMTP_REPLY_DONE);
	smtp_caps_parse(&r, &c);
	assert_int_equal(c.flags, 0);
}

static void
more_mechanisms_than_fit_are_left_out(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct smtp_caps c;

	(void)state;
	strbuf_puts(&b, "250-x\r\n250 AUTH");
	for (int i = 0; i < 200; i++)
		strbuf_printf(&b, " MECH-%d", i);
	strbuf_printf(&b, " %070d\r\n", 1);
	assert_int_equal(feed(b.p), SMTP_REPLY_DONE);
	smtp_caps_parse(&r, &c);
	assert_true(smtp_caps_has_auth(&c, "MECH-0"));
	assert_true(strlen(c.auth) < sizeof(c.auth));
	strbuf_free(&b);
}

static int
free_all(void **state)
{
	(void)state;
	smtp_reply_free(&r);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_codes),
		cmocka_unit_test(one_line),
		cmocka_unit_test(several_lines_in_pieces),
		cmocka_unit_test(
		    an_enhanced_code_of_another_class_counts_for_nothing),
		cmocka_unit_test(garbage_is_no_reply),
		cmocka_unit_test(absurd_lengths_end_it),
		cmocka_unit_test(controls_do_not_reach_the_log),
		cmocka_unit_test(writing),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(more_mechanisms_than_fit_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, free_all);
}

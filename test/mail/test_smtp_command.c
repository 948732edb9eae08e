/* Lines and commands of SMTP clients. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "mail/smtp_command.h"
#include "mail/smtp_line.h"

static struct smtp_line line;

#define NEXT(text, max, lf_ok) \
	smtp_line_next(SLICE_LIT(text), (max), (lf_ok), &line)

static void
a_line_ends_in_crlf(void **state)
{
	(void)state;
	assert_int_equal(NEXT("NOOP\r\nQUIT\r\n", 512, false),
	    SMTP_LINE_DONE);
	assert_true(slice_eq_cstr(line.text, "NOOP"));
	assert_int_equal(line.size, 6);
	assert_int_equal(NEXT("\r\n", 512, false), SMTP_LINE_DONE);
	assert_int_equal(line.text.n, 0);
	assert_int_equal(NEXT("", 512, false), SMTP_LINE_MORE);
	assert_int_equal(NEXT("NOOP", 512, false), SMTP_LINE_MORE);
	assert_int_equal(NEXT("NOOP\r", 512, false), SMTP_LINE_MORE);
}

static void
bare_line_ends_are_reported(void **state)
{
	(void)state;
	assert_int_equal(NEXT("NO\nOP\r\n", 512, false), SMTP_LINE_BARE_LF);
	assert_int_equal(line.bad, 2);
	assert_int_equal(NEXT("\n", 512, false), SMTP_LINE_BARE_LF);
	assert_int_equal(line.bad, 0);
	assert_int_equal(NEXT("NO\rOP\r\n", 512, false), SMTP_LINE_BARE_CR);
	assert_int_equal(line.bad, 2);
	assert_int_equal(NEXT("NOOP\r\r\n", 512, false), SMTP_LINE_BARE_CR);
	/* Known before the line is complete. */
	assert_int_equal(NEXT("NO\rOP", 512, false), SMTP_LINE_BARE_CR);
	assert_int_equal(line.bad, 2);
	assert_int_equal(NEXT("A\r\nB\rC", 512, false), SMTP_LINE_DONE);
}

static void
fixing_takes_lf_alone(void **state)
{
	(void)state;
	assert_int_equal(NEXT("NOOP\nX", 512, true), SMTP_LINE_DONE);
	assert_true(slice_eq_cstr(line.text, "NOOP"));
	assert_int_equal(line.size, 5);
	assert_int_equal(NEXT("A\rB\r\n", 512, true), SMTP_LINE_DONE);
	assert_true(slice_eq_cstr(line.text, "A\rB"));
	assert_int_equal(NEXT("A\rB", 512, true), SMTP_LINE_MORE);
}

static void
the_limit_counts_the_line_end(void **state)
{
	bool done;

	(void)state;
	assert_int_equal(NEXT("NOOP\r\n", 6, false), SMTP_LINE_DONE);
	assert_int_equal(NEXT("NOOP\r\n", 5, false), SMTP_LINE_LONG);
	assert_int_equal(NEXT("NOOPX", 5, false), SMTP_LINE_LONG);
	assert_int_equal(NEXT("NOOP", 5, false), SMTP_LINE_MORE);
	assert_int_equal(smtp_line_skip(SLICE_LIT("xxx"), &done), 3);
	assert_false(done);
	assert_int_equal(smtp_line_skip(SLICE_LIT("xx\r\nQUIT"), &done), 4);
	assert_true(done);
}

static void
nul_is_told_but_the_line_is_whole(void **state)
{
	(void)state;
	assert_int_equal(NEXT("NO\0P\r\nX", 512, false), SMTP_LINE_NUL);
	assert_int_equal(line.bad, 2);
	assert_int_equal(line.size, 6);
}

static enum smtp_verb
verb_of(const char *text, struct smtp_command *c)
{
	smtp_command_parse(slice_cstr(text), c);
	return c->verb;
}

static void
verbs_are_known_in_any_case(void **state)
{
	static const char *const words[] = { "EHLO", "helo", "LhLo", "MAIL",
		"RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY",
		"EXPN", "HELP", "STARTTLS", "AUTH" };
	struct smtp_command c;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_int_equal(verb_of(words[i], &c), i + 1);
		assert_true(slice_eq_case_cstr(slice_cstr(words[i]),
		    smtp_verb_name(c.verb)));
	}
	assert_int_equal(verb_of("", &c), SMTP_UNKNOWN);
	assert_int_equal(verb_of(" NOOP", &c), SMTP_UNKNOWN);
	assert_int_equal(verb_of("NOOPE", &c), SMTP_UNKNOWN);
	assert_int_equal(verb_of("HTTP", &c), SMTP_UNKNOWN);
	assert_int_equal(verb_of("?", &c), SMTP_UNKNOWN);
	assert_int_equal(verb_of("GET / HTTP/1.1", &c), SMTP_HTTP);
	assert_int_equal(verb_of("Host: x", &c), SMTP_HTTP);
	assert_string_equal(smtp_verb_name((enum smtp_verb)999), "?");
	assert_int_equal(verb_of("MAIL\t FROM:<>  ", &c), SMTP_MAIL);
	assert_true(slice_eq_cstr(c.arg, "FROM:<>"));
	assert_true(slice_eq_cstr(c.word, "MAIL"));
}

static void
arguments_where_they_belong(void **state)
{
	struct smtp_refusal no;
	struct smtp_command c;

	(void)state;
	smtp_command_parse(SLICE_LIT("DATA now"), &c);
	assert_int_equal(smtp_command_check(&c, &no), -1);
	assert_int_equal(no.code, 501);
	smtp_command_parse(SLICE_LIT("MAIL"), &c);
	assert_int_equal(smtp_command_check(&c, &no), -1);
	assert_int_equal(no.status.subject, 5);
	smtp_command_parse(SLICE_LIT("NOOP what ever"), &c);
	assert_int_equal(smtp_command_check(&c, &no), 0);
	smtp_command_parse(SLICE_LIT("QUIT  "), &c);
	assert_int_equal(smtp_command_check(&c, &no), 0);
}

static void
hello_takes_what_devices_say(void **state)
{
	struct smtp_refusal no;
	struct slice name;
	char big[300];

	(void)state;
	assert_int_equal(smtp_hello_parse(SLICE_LIT("[192.0.2.1]"), &name,
	    &no), 0);
	assert_int_equal(smtp_hello_parse(SLICE_LIT("HP LaserJet"), &name,
	    &no), 0);
	assert_true(slice_eq_cstr(name, "HP"));
	assert_int_equal(smtp_hello_parse(SLICE_LIT(""), &name, &no), -1);
	assert_int_equal(smtp_hello_parse(SLICE_LIT("a\x01"), &name, &no),
	    -1);
	memset(big, 'a', sizeof(big));
	assert_int_equal(smtp_hello_parse(slice_of(big, 255), &name, &no), 0);
	assert_int_equal(smtp_hello_parse(slice_of(big, 256), &name, &no),
	    -1);
}

static void
bdat_has_a_size(void **state)
{
	static const char *const bad[] = { "", "x", "-1", "1 2", "1 LAST x",
		"9223372036854775808", "99999999999999999999999", "LAST" };
	struct smtp_refusal no;
	struct smtp_bdat b;

	(void)state;
	assert_int_equal(smtp_bdat_parse(SLICE_LIT("123"), &b, &no), 0);
	assert_true(b.size == 123 && !b.last);
	assert_int_equal(smtp_bdat_parse(SLICE_LIT("0 last"), &b, &no), 0);
	assert_true(b.size == 0 && b.last);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(smtp_bdat_parse(slice_cstr(bad[i]), &b, &no),
		    -1);
}

static void
auth_has_a_mechanism(void **state)
{
	struct smtp_refusal no;
	struct smtp_auth a;

	(void)state;
	assert_int_equal(smtp_auth_parse(SLICE_LIT("PLAIN"), &a, &no), 0);
	assert_false(a.has_initial);
	assert_int_equal(smtp_auth_parse(SLICE_LIT("PLAIN ="), &a, &no), 0);
	assert_true(a.has_initial && slice_eq_cstr(a.initial, "="));
	assert_true(slice_eq_cstr(a.mechanism, "PLAIN"));
	assert_int_equal(smtp_auth_parse(SLICE_LIT("PLAIN a b"), &a, &no),
	    -1);
	assert_int_equal(smtp_auth_parse(SLICE_LIT("PL!"), &a, &no), -1);
	assert_int_equal(smtp_auth_parse(SLICE_LIT(""), &a, &no), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_ends_in_crlf),
		cmocka_unit_test(bare_line_ends_are_reported),
		cmocka_unit_test(fixing_takes_lf_alone),
		cmocka_unit_test(the_limit_counts_the_line_end),
		cmocka_unit_test(nul_is_told_but_the_line_is_whole),
		cmocka_unit_test(verbs_are_known_in_any_case),
		cmocka_unit_test(arguments_where_they_belong),
		cmocka_unit_test(hello_takes_what_devices_say),
		cmocka_unit_test(bdat_has_a_size),
		cmocka_unit_test(auth_has_a_mechanism),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Parameters of MAIL and RCPT, read and written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "mail/smtp_caps.h"
#include "mail/smtp_params.h"

#define ALL (SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_SMTPUTF8 | \
    SMTP_PARAM_DSN | SMTP_PARAM_AUTH)

static struct smtp_mail m;
static struct smtp_rcpt r;
static struct smtp_refusal no;

/* 0, or the code that refuses it. */
static int
mail(const char *arg, unsigned accept)
{
	if (smtp_mail_parse(slice_cstr(arg), accept, &m, &no) == 0)
		return 0;
	assert_true(no.text[0] != '\0');
	assert_int_equal(no.status.class, 5);
	return no.code;
}

static int
rcpt(const char *arg, unsigned accept)
{
	if (smtp_rcpt_parse(slice_cstr(arg), accept, false, &r, &no) == 0)
		return 0;
	assert_true(no.text[0] != '\0');
	return no.code;
}

static void
mail_without_parameters(void **state)
{
	(void)state;
	assert_int_equal(mail("FROM:<a@b>", 0), 0);
	assert_true(slice_eq_cstr(m.path.whole, "a@b"));
	assert_false(m.has_size || m.smtputf8);
	assert_int_equal(m.envid.n, 0);
	assert_int_equal(mail("from: <>", 0), 0);
	assert_int_equal(m.path.whole.n, 0);
	assert_int_equal(mail("FROM :<a@b>", 0), 0);
	assert_int_equal(mail("FROM:a@b", 0), 0);
}

static void
mail_with_all_of_them(void **state)
{
	(void)state;
	assert_int_equal(mail("FROM:<a@b> SIZE=1000 body=8BITMIME "
	    "SMTPUTF8 RET=hdrs ENVID=QQ+2B314159 AUTH=<>", ALL), 0);
	assert_true(m.has_size && m.size == 1000);
	assert_int_equal(m.body, SMTP_BODY_8BIT);
	assert_true(m.smtputf8);
	assert_int_equal(m.ret, MAIL_RET_HDRS);
	assert_true(slice_eq_cstr(m.envid, "QQ+2B314159"));
	assert_true(slice_eq_cstr(m.auth, "<>"));
	assert_int_equal(mail("FROM:<a@b> BODY=7bit RET=FULL", ALL), 0);
	assert_int_equal(m.body, SMTP_BODY_7BIT);
	assert_int_equal(m.ret, MAIL_RET_FULL);
	assert_int_equal(mail("FROM:<a@b> SIZE=99999999999999999999", ALL),
	    0);
	assert_true(m.size == UINT64_MAX);
	assert_int_equal(mail("FROM:<a@b> BODY=BINARYMIME",
	    ALL | SMTP_PARAM_BINARY), 0);
	assert_int_equal(m.body, SMTP_BODY_BINARY);
}

static void
mail_that_is_refused(void **state)
{
	static const struct {
		const char *arg;
		int code;
	} bad[] = {
		{ "", 501 }, { "TO:<a@b>", 501 }, { "FROM<a@b>", 501 },
		{ "FROM:", 501 }, { "FROM:<a@b", 501 },
		{ "FROM:<a@b> FOO", 555 }, { "FROM:<a@b> FOO=1", 555 },
		{ "FROM:<a@b> SIZE=1 SIZE=1", 501 },
		{ "FROM:<a@b> SIZE", 501 }, { "FROM:<a@b> SIZE=", 501 },
		{ "FROM:<a@b> SIZE=-1", 501 },
		{ "FROM:<a@b> SIZE=111111111111111111111", 501 },
		{ "FROM:<a@b> BODY=9BIT", 501 },
		{ "FROM:<a@b> BODY=BINARYMIME", 501 },
		{ "FROM:<a@b> SMTPUTF8=1", 501 },
		{ "FROM:<a@b> RET=SOME", 501 },
		{ "FROM:<a@b> ENVID=", 501 }, { "FROM:<a@b> ENVID=+2", 501 },
		{ "FROM:<a@b> ENVID=+ZZ", 501 },
		{ "FROM:<a@b> ENVID=a=b", 501 },
		{ "FROM:<a@b> ENVID=\xc3\xbc", 501 },
		{ "FROM:<a@b> AUTH=", 501 },
		{ "FROM:<a@b>SIZE=1", 501 },
		{ "FROM:<a@b> NOTIFY=NEVER", 555 },
		{ "FROM:<\xc3\xbc@b>", 553 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (mail(bad[i].arg, ALL) != bad[i].code)
			fail_msg("%s: %d", bad[i].arg, no.code);
	}
	/* What was not offered is unknown. */
	assert_int_equal(mail("FROM:<a@b> RET=FULL", SMTP_PARAM_SIZE), 555);
	assert_int_equal(mail("FROM:<a@b> SMTPUTF8", SMTP_PARAM_SIZE), 555);
}

static void
smtputf8_may_stand_behind_the_address_it_allows(void **state)
{
	(void)state;
	assert_int_equal(mail("FROM:<\xc3\xbc@b> SMTPUTF8", ALL), 0);
	assert_true(m.path.utf8 && m.smtputf8);
	assert_int_equal(mail("FROM:<\xc3\xbc@b> SMTPUTF8", 0), 553);
	assert_int_equal(no.status.subject, 6);
	assert_int_equal(smtp_rcpt_parse(SLICE_LIT("TO:<\xc3\xbc@b>"), ALL,
	    true, &r, &no), 0);
	assert_int_equal(rcpt("TO:<\xc3\xbc@b>", ALL), 553);
}

static void
recipients(void **state)
{
	(void)state;
	assert_int_equal(rcpt("TO:<a@b>", ALL), 0);
	assert_int_equal(r.notify, 0);
	assert_int_equal(r.orcpt.n, 0);
	assert_int_equal(rcpt("to:<Postmaster>", ALL), 0);
	assert_int_equal(rcpt("TO:<a@b> NOTIFY=SUCCESS,failure,DELAY "
	    "ORCPT=rfc822;a+2Bx@b", ALL), 0);
	assert_int_equal(r.notify, MAIL_NOTIFY_SUCCESS |
	    MAIL_NOTIFY_FAILURE | MAIL_NOTIFY_DELAY);
	assert_true(slice_eq_cstr(r.orcpt, "rfc822;a+2Bx@b"));
	assert_int_equal(rcpt("TO:<a@b> NOTIFY=NEVER", ALL), 0);
	assert_int_equal(r.notify, MAIL_NOTIFY_NEVER);
}

static void
recipients_that_are_refused(void **state)
{
	static const struct {
		const char *arg;
		int code;
	} bad[] = {
		{ "FROM:<a@b>", 501 }, { "TO:<>", 501 }, { "TO:<a@>", 501 },
		{ "TO:<a@b> SIZE=1", 555 }, { "TO:<a@b> NOTIFY", 501 },
		{ "TO:<a@b> NOTIFY=", 501 },
		{ "TO:<a@b> NOTIFY=NEVER,DELAY", 501 },
		{ "TO:<a@b> NOTIFY=DELAY,", 501 },
		{ "TO:<a@b> NOTIFY=OFTEN", 501 },
		{ "TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", 501 },
		{ "TO:<a@b> ORCPT=x", 501 }, { "TO:<a@b> ORCPT=;x", 501 },
		{ "TO:<a@b> ORCPT=rfc822;", 501 },
		{ "TO:<a@b> ORCPT=rfc822;+", 501 },
		{ "TO:<a@b> ORCPT=rf/2;x", 501 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (rcpt(bad[i].arg, ALL) != bad[i].code)
			fail_msg("%s: %d", bad[i].arg, no.code);
	}
	assert_int_equal(rcpt("TO:<a@b> NOTIFY=NEVER", 0), 555);
}

static void
overlong_values_are_refused(void **state)
{
	char arg[1000];

	(void)state;
	memset(arg, 'x', sizeof(arg));
	memcpy(arg, "FROM:<a@b> ENVID=", 17);
	arg[17 + 101] = '\0';
	assert_int_equal(mail(arg, ALL), 501);
	arg[17 + 100] = '\0';
	assert_int_equal(mail(arg, ALL), 0);
	memset(arg, 'x', sizeof(arg));
	memcpy(arg, "TO:<a@b> ORCPT=rfc822;", 22);
	arg[15 + 501] = '\0';
	assert_int_equal(rcpt(arg, ALL), 501);
}

static void
xtext_both_ways(void **state)
{
	struct strbuf x = STRBUF_INIT, t = STRBUF_INIT;

	(void)state;
	smtp_xtext_encode(SLICE_LIT("a+b=c d\0\xff"), &x);
	assert_string_equal(x.p, "a+2Bb+3Dc+20d+00+FF");
	assert_int_equal(smtp_xtext_decode(strbuf_slice(&x), &t), 0);
	assert_int_equal(t.n, 9);
	assert_memory_equal(t.p, "a+b=c d\0\xff", 9);
	assert_int_equal(smtp_xtext_decode(SLICE_LIT("a b"), &t), -1);
	assert_true(smtp_xtext_valid(SLICE_LIT("+2b")));
	assert_false(smtp_xtext_valid(SLICE_LIT("+2")));
	strbuf_free(&x);
	strbuf_free(&t);
}

static void
commands_say_what_the_server_understands(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct envelope env;
	unsigned all = ~0u;

	(void)state;
	envelope_init(&env);
	env.flags = ENVELOPE_8BITMIME | ENVELOPE_SMTPUTF8;
	env.ret = MAIL_RET_FULL;
	envelope_set(&env.envid, SLICE_LIT("E+20"));
	smtp_mail_write(&b, &env, "a@b", 10, all);
	assert_string_equal(b.p, "MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME "
	    "SMTPUTF8 RET=FULL ENVID=E+20\r\n");
	strbuf_clear(&b);
	smtp_mail_write(&b, &env, "", 10, 0);
	assert_string_equal(b.p, "MAIL FROM:<>\r\n");
	strbuf_clear(&b);
	env.ret = MAIL_RET_HDRS;
	smtp_mail_write(&b, &env, "", 0, SMTP_CAP_DSN | SMTP_CAP_SIZE);
	assert_string_equal(b.p, "MAIL FROM:<> RET=HDRS ENVID=E+20\r\n");
	strbuf_clear(&b);
	envelope_add_recipient(&env, SLICE_LIT("c@d"),
	    MAIL_NOTIFY_FAILURE | MAIL_NOTIFY_DELAY, SLICE_LIT("rfc822;x"));
	smtp_rcpt_write(&b, &env.recipients[0], all);
	assert_string_equal(b.p,
	    "RCPT TO:<c@d> NOTIFY=FAILURE,DELAY ORCPT=rfc822;x\r\n");
	strbuf_clear(&b);
	smtp_rcpt_write(&b, &env.recipients[0], 0);
	assert_string_equal(b.p, "RCPT TO:<c@d>\r\n");
	strbuf_free(&b);
	envelope_clear(&env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_without_parameters),
		cmocka_unit_test(mail_with_all_of_them),
		cmocka_unit_test(mail_that_is_refused),
		cmocka_unit_test(
		    smtputf8_may_stand_behind_the_address_it_allows),
		cmocka_unit_test(recipients),
		cmocka_unit_test(recipients_that_are_refused),
		cmocka_unit_test(overlong_values_are_refused),
		cmocka_unit_test(xtext_both_ways),
		cmocka_unit_test(commands_say_what_the_server_understands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

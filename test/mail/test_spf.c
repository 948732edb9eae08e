/* SPF beyond the public suite: what is counted, surveys, hostile zones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "mail/spf.h"

struct zone {
	const char *name;
	enum spf_type type;
	const char *text;
};

static const struct zone zone[] = {
	{ "plain.test", SPF_TXT, "v=spf1 a mx include:inc.test -all" },
	{ "plain.test", SPF_A, "192.0.2.1" },
	{ "plain.test", SPF_MX, "mail.plain.test." },
	{ "mail.plain.test", SPF_A, "192.0.2.2" },
	{ "inc.test", SPF_TXT, "v=spf1 ip4:192.0.2.64/26 exists:x.test ?all" },
	{ "all.test", SPF_TXT, "v=spf1 +all a include:inc.test "
	    "redirect=plain.test" },
	{ "moved.test", SPF_TXT, "v=spf1 redirect=plain.test" },
	{ "big.test", SPF_TXT, "v=spf1 a a a a a a a a a a a -all" },
	{ "wrong.test", SPF_TXT, "v=spf1 include:bad.test -all" },
	{ "bad.test", SPF_TXT, "v=spf1 ipv4:192.0.2.1 -all" },
	{ "loop.test", SPF_TXT, "v=spf1 include:loop.test -all" },
	{ "p.test", SPF_TXT, "v=spf1 exists:%{p}.test -all" },
	{ "zero.test", SPF_TXT, "v=spf1 exists:%{d0}.test -all" },
	{ "down.test", SPF_TXT, NULL },
	{ "xn--bcher-kva.test", SPF_TXT, "v=spf1 exists:%{o}.x.test -all" },
	{ "xn--bcher-kva.test.x.test", SPF_A, "127.0.0.2" },
	{ "relay.test", SPF_TXT, "v=spf1 a:%{h} -all exp=e.test" },
	{ "e.test", SPF_TXT, "%{r} at %{t}: %{L}%_%%%-" },
	{ NULL, SPF_TXT, NULL }
};

static struct spf *check;

static const struct spf_verdict *
finish(struct spf *s)
{
	struct slice records[8];
	uint8_t addr[8][16];
	struct spf_question q;
	const struct zone *z;

	while (spf_next(s, &q)) {
		struct spf_reply r = { .status = SPF_NXDOMAIN,
		    .records = records };

		for (z = zone; z->name != NULL; z++) {
			if (strcasecmp(z->name, q.name) != 0)
				continue;
			if (z->text == NULL)
				r.status = SPF_UNKNOWN;
			if (r.status == SPF_NXDOMAIN)
				r.status = SPF_NODATA;
			if (z->type != q.type || z->text == NULL)
				continue;
			r.status = SPF_FOUND;
			records[r.count] = slice_cstr(z->text);
			if (q.type == SPF_A) {
				inet_pton(AF_INET, z->text, addr[r.count]);
				records[r.count] =
				    slice_of(addr[r.count], 4);
			}
			r.count++;
		}
		spf_reply(s, &r);
	}
	return spf_verdict(s);
}

static const struct spf_verdict *
judge(const char *ip, const char *from, const char *helo)
{
	struct spf_ask ask = { .from = from, .helo = helo,
	    .receiver = "mx.test", .now = 1234567890 };

	if (ip == NULL)
		ask.survey = true;
	else
		inet_pton(AF_INET, ip, ask.ip.addr);
	ask.ip.family = AF_INET;
	spf_free(&check);
	check = spf_new(&ask);
	return finish(check);
}

static void
the_mechanism_and_the_lookups_are_told(void **state)
{
	const struct spf_verdict *v;

	(void)state;
	v = judge("192.0.2.2", "x@plain.test", "h.test");
	assert_int_equal(v->result, SPF_PASS);
	assert_string_equal(v->mechanism, "mx");
	assert_string_equal(v->domain, "plain.test");
	assert_int_equal(v->lookups, 2);
	assert_int_equal(v->void_lookups, 0);
	assert_null(v->problem);
	v = judge("192.0.2.9", "x@plain.test", "h.test");
	assert_int_equal(v->result, SPF_FAIL);
	assert_string_equal(v->mechanism, "-all");
	assert_int_equal(v->lookups, 4);
	assert_int_equal(v->void_lookups, 1);
	assert_null(v->explanation);
	v = judge("192.0.2.65", "x@moved.test", "h.test");
	assert_int_equal(v->result, SPF_PASS);
	assert_string_equal(v->mechanism, "include:inc.test");
	assert_string_equal(v->domain, "plain.test");
}

static void
the_null_sender_is_judged_by_its_helo(void **state)
{
	(void)state;
	assert_int_equal(judge("192.0.2.1", "", "plain.test")->result,
	    SPF_PASS);
	assert_int_equal(judge("192.0.2.1", "plain.test", "x")->result,
	    SPF_PASS);
	assert_int_equal(judge("192.0.2.1", "", "[192.0.2.1]")->result,
	    SPF_NONE);
	assert_int_equal(judge("192.0.2.1", "", "")->result, SPF_NONE);
}

static void
a_sender_in_unicode_has_the_record_of_its_ascii_form(void **state)
{
	(void)state;
	assert_int_equal(judge("192.0.2.1", "x@B\xc3\xbc" "cher.test",
	    "h.test")->result, SPF_PASS);
}

static void
an_explanation_knows_who_received_it_and_when(void **state)
{
	const struct spf_verdict *v;

	(void)state;
	v = judge("192.0.2.1", "a b=c@relay.test", "h.test");
	assert_int_equal(v->result, SPF_FAIL);
	assert_string_equal(v->explanation,
	    "mx.test at 1234567890: a%20b%3Dc %%20");
}

static void
what_is_wrong_is_told(void **state)
{
	const struct spf_verdict *v;

	(void)state;
	v = judge("192.0.2.1", "x@wrong.test", "h.test");
	assert_int_equal(v->result, SPF_PERMERROR);
	assert_string_equal(v->problem,
	    "bad.test: `ipv4:192.0.2.1`: no such mechanism");
	v = judge("192.0.2.1", "x@loop.test", "h.test");
	assert_int_equal(v->result, SPF_PERMERROR);
	assert_string_equal(v->problem, "loop.test: more than 10 lookups");
	v = judge("192.0.2.1", "x@zero.test", "h.test");
	assert_string_equal(v->problem, "zero.test: "
	    "`exists:%{d0}.test`: not a domain");
	v = judge("192.0.2.1", "x@down.test", "h.test");
	assert_int_equal(v->result, SPF_TEMPERROR);
	v = judge("192.0.2.1", "x@nothing.test", "h.test");
	assert_int_equal(v->result, SPF_NONE);
	assert_string_equal(v->problem, "nothing.test: no SPF record");
	assert_null(v->mechanism);
}

static void
the_name_of_the_client_costs_a_lookup(void **state)
{
	const struct spf_verdict *v = judge("192.0.2.1", "x@p.test", "h");

	(void)state;
	assert_int_equal(v->result, SPF_FAIL);
	assert_int_equal(v->lookups, 2);
}

static void
a_survey_counts_all_terms(void **state)
{
	const struct spf_verdict *v;

	(void)state;
	v = judge(NULL, "plain.test", "plain.test");
	assert_int_equal(v->result, SPF_NEUTRAL);
	assert_int_equal(v->lookups, 4);
	v = judge(NULL, "all.test", "all.test");
	assert_int_equal(v->lookups, 3);	/* no redirect beside all */
	v = judge(NULL, "moved.test", "moved.test");
	assert_int_equal(v->lookups, 5);
	v = judge(NULL, "big.test", "big.test");
	assert_int_equal(v->result, SPF_NEUTRAL);
	assert_int_equal(v->lookups, 11);
	v = judge(NULL, "wrong.test", "wrong.test");
	assert_int_equal(v->result, SPF_PERMERROR);
	v = judge(NULL, "loop.test", "loop.test");
	assert_int_equal(v->result, SPF_PERMERROR);
	assert_in_range(v->lookups, 11, 100);
}

static void
answers_that_nobody_asked_for_are_dropped(void **state)
{
	struct spf_ask ask = { .from = "x@plain.test", .helo = "h.test",
	    .ip = { .family = AF_INET } };
	struct spf_reply r = { .status = SPF_FOUND };
	struct spf *s = spf_new(&ask);
	struct spf_question q;

	(void)state;
	spf_reply(s, &r);
	assert_true(spf_next(s, &q));
	assert_true(spf_next(s, &q));	/* the same one */
	assert_string_equal(q.name, "plain.test");
	spf_reply(s, &r);		/* found, and nothing there: none */
	assert_false(spf_next(s, &q));
	assert_int_equal(spf_verdict(s)->result, SPF_NONE);
	assert_false(spf_next(s, &q));
	spf_free(&s);
	spf_free(&s);
}

static int
forget(void **state)
{
	(void)state;
	spf_free(&check);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_mechanism_and_the_lookups_are_told),
		cmocka_unit_test(the_null_sender_is_judged_by_its_helo),
		cmocka_unit_test(
		    a_sender_in_unicode_has_the_record_of_its_ascii_form),
		cmocka_unit_test(
		    an_explanation_knows_who_received_it_and_when),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(the_name_of_the_client_costs_a_lookup),
		cmocka_unit_test(a_survey_counts_all_terms),
		cmocka_unit_test(answers_that_nobody_asked_for_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}

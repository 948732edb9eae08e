/* Which account a message belongs to and which way it takes. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/expect.h"

static const char config[] =
    "transport a { discard }; transport b { discard }\n"
    "transport c { discard }; transport d { discard }\n"
    "transport e { discard }; transport f { discard }\n"
    "login scanner { password x; account scans }\n"
    "login plain { password x }\n"
    "client 10.9.0.0/16 { account devices }\n"
    "client 10.9.8.0/24 { account press }\n"
    "client 10.7.0.0/16 { }\n"
    "account scans {\n"
    "  route to .archive.test via a\n"
    "  route larger 5M via b\n"
    "  route attempts 3 via c\n"
    "}\n"
    "account devices { senders @devices.test; route via d }\n"
    "account press { route to press.test via e }\n"
    "account boss@corp.test { route to vip.test via a }\n"
    "account corp { senders @corp.test; route to partner.test via b }\n"
    "account corp-below { senders @.a.corp.test; "
    "route to partner.test via c }\n"
    "account alerts { senders alert*@corp.test; route to p.test via d }\n"
    "account alerts-long { senders alert-long*@corp.test; "
    "route to p.test via e }\n"
    "account lan { senders @use.test; use-by 192.0.2.0/24 }\n"
    "account uids { senders @use.test; use-by uid 1000 }\n"
    "account logins { senders @use.test; use-by login }\n"
    "account own@sub.test { submission h.test; username u; password p; "
    "route to beside.test via f }\n"
    "account fallback { default; route to fb.test via f }\n"
    "domain .corp.test { route to y.test via b; route to z.test via c }\n"
    "domain corp.test { route to y.test via a; route to w.test via c }\n"
    "domain .a.corp.test { route to z.test via d }\n"
    "domain boss@corp.test { route to w.test via e }\n"
    "route from lone@one.test via a\n"
    "route from bulk*@one.test via b\n"
    "route from <> via c\n"
    "route from b\xc3\xbc" "cher.test via d\n"
    "route to retry.test attempts 5 via b\n"
    "route to retry.test attempts 3 via a\n"
    "route to host.test client 192.0.2.0/24 via a\n"
    "route to host.test login plain via b\n"
    "route to host.test larger 10M via c\n"
    "route to host.test age 2h via d\n"
    "route to [192.0.2.1] via e\n"
    "route from s.test to r.test via f\n"
    "route to list.test via a b own@sub.test\n"
    "route to star.test from * via f\n";

static struct conf *conf;

static int
load(void **state)
{
	(void)state;
	conf = load_good(config);
	return 0;
}

static int
unload(void **state)
{
	(void)state;
	conf_free(&conf);
	return 0;
}

static struct route_answer
ask(const char *question)
{
	struct route_query q = { .uid = -1 };
	struct route_answer a;
	struct err e = { 0 };
	struct slice rest = slice_cstr(question), word;
	char *words[8];
	size_t n = 0;

	while (slice_word(&rest, &word)) {
		words[n] = slice_dup(word);
		if (conf_query_word(words[n++], &q, &e) == -1)
			fail_msg("%s", e.text);
	}
	if (q.from == NULL)
		q.from = "x@any.test";
	route_choose(conf, &q, &a, NULL, NULL);
	while (n > 0)
		free(words[--n]);
	return a;
}

static const char *
via(const struct route_answer *a)
{
	assert_true(a->n_via > 0);
	return a->via[0] == SIZE_MAX ? "direct" :
	    conf->transports[a->via[0]].name;
}

static void
check(const char *question, const char *transport, const char *account)
{
	struct route_answer a = ask(question);
	const char *name = a.account != NULL ? a.account->name : "-";

	if (strcmp(via(&a), transport) != 0 ||
	    (account != NULL && strcmp(name, account) != 0))
		fail_msg("%s: %s of account %s, not %s of %s", question,
		    via(&a), name, transport, account);
}

static void
the_account_is_the_login_s_first(void **state)
{
	(void)state;
	check("to=u@archive.test login=scanner", "a", "scans");
	check("from=x@corp.test to=u@archive.test login=scanner", "a",
	    "scans");
	check("to=u@archive.test login=scanner client=10.9.8.7", "a",
	    "scans");
	/* A login without an account, and one that is gone. */
	check("to=u@fb.test login=plain", "f", "fallback");
	check("to=u@fb.test login=gone", "f", "fallback");
}

static void
then_the_client_s(void **state)
{
	(void)state;
	check("to=u@host.test client=10.9.1.1", "d", "devices");
	check("to=u@press.test client=10.9.8.7", "e", "press");
	check("to=u@press.test client=::ffff:10.9.8.7", "e", "press");
	check("from=x@corp.test to=u@host.test client=10.9.1.1", "d",
	    "devices");
	/* A block without an account. */
	check("from=x@corp.test to=u@partner.test client=10.7.1.1", "b",
	    "corp");
}

static void
then_that_of_the_sender_the_most_specific(void **state)
{
	(void)state;
	check("from=x@devices.test to=u@host.test", "d", "devices");
	check("from=boss@corp.test to=u@vip.test", "a", "boss@corp.test");
	check("from=BOSS@CORP.test to=u@vip.test", "a", "boss@corp.test");
	check("from=bob@corp.test to=u@partner.test", "b", "corp");
	check("from=bob@a.corp.test to=u@partner.test", "c", "corp-below");
	check("from=bob@c.b.a.corp.test to=u@partner.test", "c",
	    "corp-below");
	check("from=bob@b.corp.test to=u@partner.test", "direct",
	    "fallback");
	check("from=alert-7@corp.test to=u@p.test", "d", "alerts");
	check("from=alert-long-7@corp.test to=u@p.test", "e", "alerts-long");
}

static void
then_the_default_one(void **state)
{
	(void)state;
	check("to=u@fb.test", "f", "fallback");
	check("from=<> to=u@fb.test", "f", "fallback");
	check("from=x@notcorp.test to=u@partner.test", "direct", "fallback");
}

static void
use_by_says_who_may_have_it_by_its_sender(void **state)
{
	(void)state;
	check("from=x@use.test to=u@z.test", "direct", "fallback");
	check("from=x@use.test to=u@z.test client=192.0.2.7", "direct",
	    "lan");
	check("from=x@use.test to=u@z.test client=uid:1000", "direct",
	    "uids");
	check("from=x@use.test to=u@z.test client=uid:1001", "direct",
	    "fallback");
	check("from=x@use.test to=u@z.test login=plain", "direct", "logins");
}

static void
an_account_once_chosen_stays(void **state)
{
	struct route_query q = { .from = "x@corp.test", .to = "u@fb.test",
	    .uid = -1, .account = "fallback" };
	struct route_answer a;

	(void)state;
	route_choose(conf, &q, &a, NULL, NULL);
	assert_string_equal(a.account->name, "fallback");
	assert_string_equal(via(&a), "f");
	/* One that is gone is chosen anew. */
	q.account = "gone";
	route_choose(conf, &q, &a, NULL, NULL);
	assert_string_equal(a.account->name, "corp");
}

static void
routes_of_the_account_then_the_domain_then_all(void **state)
{
	(void)state;
	check("from=boss@corp.test to=u@y.test", "a", NULL);
	check("from=bob@corp.test to=u@y.test", "a", NULL);
	check("from=bob@corp.test to=u@z.test", "c", NULL);
	check("from=bob@a.corp.test to=u@z.test", "d", NULL);
	check("from=bob@a.corp.test to=u@y.test", "b", NULL);
	check("from=boss@corp.test to=u@w.test", "e", NULL);
	check("from=bob@corp.test to=u@w.test", "c", NULL);
	check("from=bob@b.corp.test to=u@w.test", "direct", NULL);
	check("to=u@y.test", "direct", NULL);
	check("to=u@corp.test", "direct", NULL);
	check("to=u@retry.test attempts=3 login=scanner", "c", "scans");
}

static void
attempts_made_so_far(void **state)
{
	(void)state;
	check("to=u@retry.test", "direct", NULL);
	check("to=u@retry.test attempts=2", "direct", NULL);
	check("to=u@retry.test attempts=3", "a", NULL);
	check("to=u@retry.test attempts=4", "a", NULL);
	check("to=u@retry.test attempts=5", "b", NULL);
	check("to=u@retry.test attempts=100", "b", NULL);
}

static void
each_criterion_alone(void **state)
{
	(void)state;
	check("from=lone@ONE.test to=u@z.test", "a", NULL);
	check("from=lone2@one.test to=u@z.test", "direct", NULL);
	check("from=bulk-7@one.test to=u@z.test", "b", NULL);
	check("from=<> to=u@z.test", "c", NULL);
	check("from=x@xn--bcher-kva.test to=u@z.test", "d", NULL);
	check("from=x@B\xc3\x9c" "CHER.test to=u@z.test", "d", NULL);
	check("to=u@host.test client=192.0.2.200", "a", NULL);
	check("to=u@host.test client=192.0.3.1", "direct", NULL);
	check("to=u@host.test client=uid:7", "direct", NULL);
	check("to=u@host.test login=plain", "b", NULL);
	check("to=u@host.test size=10485761", "c", NULL);
	check("to=u@host.test size=10M", "direct", NULL);
	check("to=u@host.test age=3h", "d", NULL);
	check("to=u@host.test age=1h", "direct", NULL);
	check("to=u@[192.0.2.1]", "e", NULL);
	check("to=u@[192.0.2.11]", "direct", NULL);
	check("to=u@star.test", "f", NULL);
}

static void
criteria_are_joined_by_and(void **state)
{
	(void)state;
	check("from=x@s.test to=u@r.test", "f", NULL);
	check("from=x@s.test to=u@q.test", "direct", NULL);
	check("from=x@q.test to=u@r.test", "direct", NULL);
	check("to=u@host.test login=plain client=192.0.2.1", "a", NULL);
}

static void
several_transports_in_order(void **state)
{
	struct route_answer a = ask("to=u@list.test");

	(void)state;
	assert_int_equal(a.n_via, 3);
	assert_string_equal(conf->transports[a.via[1]].name, "b");
	assert_string_equal(conf->transports[a.via[2]].name, "own@sub.test");
	assert_non_null(a.route);
}

static void
the_account_s_own_transport_comes_last(void **state)
{
	struct route_answer a = ask("from=own@sub.test to=u@z.test");

	(void)state;
	assert_string_equal(via(&a), "own@sub.test");
	assert_null(a.route);
	check("from=own@sub.test to=u@beside.test", "f", NULL);
	check("from=own@sub.test to=u@star.test", "f", NULL);
}

static void
the_account_alone(void **state)
{
	struct route_query q = { .from = "bob@corp.test", .uid = -1 };
	struct route_answer a;

	(void)state;
	assert_string_equal(route_account(conf, &q)->name, "corp");
	/* Without a recipient no route that asks for one matches. */
	route_choose(conf, &q, &a, NULL, NULL);
	assert_string_equal(via(&a), "direct");
}

struct traced {
	struct strbuf text;
};

static void
take(void *arg, const struct conf_route *route, const char *reason)
{
	struct traced *t = arg;

	strbuf_printf(&t->text, "%u:%s ", route->where.line,
	    reason != NULL ? reason : "yes");
}

static void
what_was_considered_can_be_told(void **state)
{
	struct route_query q = { .from = "x@any.test", .to = "u@host.test",
	    .uid = -1, .size = (uint64_t)11 << 20 };
	struct route_answer a;
	struct traced t = { STRBUF_INIT };

	(void)state;
	route_choose(conf, &q, &a, take, &t);
	assert_string_equal(strbuf_cstr(&t.text),
	    "25:to 30:from 31:from 32:from 33:from 34:to 35:to 36:client "
	    "37:login 38:yes ");
	strbuf_free(&t.text);
}

static void
the_queue_s_view_chooses_the_same(void **state)
{
	struct conf *whole = conf;

	conf = load_view(config, CONF_QUEUE);
	the_account_is_the_login_s_first(state);
	then_the_client_s(state);
	then_that_of_the_sender_the_most_specific(state);
	use_by_says_who_may_have_it_by_its_sender(state);
	routes_of_the_account_then_the_domain_then_all(state);
	attempts_made_so_far(state);
	each_criterion_alone(state);
	several_transports_in_order(state);
	the_account_s_own_transport_comes_last(state);
	conf_free(&conf);
	conf = whole;
}

static void
questions_that_are_wrong_are_told(void **state)
{
	static const char *const wrong[] = {
		"form=a@b.test", "from", "attempts=many", "size=5Q",
		"age=soon", "client=10.0.0.0/8", "client=lan",
		"client=uid:x", "a-key-of-more-than-sixteen-letters=1", "="
	};
	struct route_query q = { .uid = -1 };
	struct err e = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (conf_query_word(wrong[i], &q, &e) != -1)
			fail_msg("%s", wrong[i]);
	conf_query_word("form=a@b.test", &q, &e);
	assert_non_null(strstr(e.text, "did you mean `from`?"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_account_is_the_login_s_first),
		cmocka_unit_test(then_the_client_s),
		cmocka_unit_test(then_that_of_the_sender_the_most_specific),
		cmocka_unit_test(then_the_default_one),
		cmocka_unit_test(use_by_says_who_may_have_it_by_its_sender),
		cmocka_unit_test(an_account_once_chosen_stays),
		cmocka_unit_test(
		    routes_of_the_account_then_the_domain_then_all),
		cmocka_unit_test(attempts_made_so_far),
		cmocka_unit_test(each_criterion_alone),
		cmocka_unit_test(criteria_are_joined_by_and),
		cmocka_unit_test(several_transports_in_order),
		cmocka_unit_test(the_account_s_own_transport_comes_last),
		cmocka_unit_test(the_account_alone),
		cmocka_unit_test(what_was_considered_can_be_told),
		cmocka_unit_test(the_queue_s_view_chooses_the_same),
		cmocka_unit_test(questions_that_are_wrong_are_told),
	};

	return cmocka_run_group_tests(tests, load, unload);
}

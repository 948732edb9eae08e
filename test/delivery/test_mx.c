/* From a domain to its site. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "delivery/mx.h"
#include "delivery/names.h"

static const struct names_record records[] = {
	{ "pref.test", "MX", "20 B.mx.test" },
	{ "pref.test", "MX", "10 c.mx.test" },
	{ "pref.test", "MX", "10 a.mx.test" },
	{ "other.test", "MX", "5 c.mx.test" },
	{ "other.test", "MX", "7 b.mx.test" },
	{ "other.test", "MX", "5 A.MX.test" },
	{ "twice.test", "MX", "30 a.mx.test" },
	{ "twice.test", "MX", "10 a.mx.test" },
	{ "null.test", "MX", "0 ." },
	{ "null.test", "A", "192.0.2.1" },
	{ "mixed.test", "MX", "0 ." },
	{ "mixed.test", "MX", "10 a.mx.test" },
	{ "plain.test", "A", "192.0.2.1" },
	{ "plain6.test", "AAAA", "2001:db8::1" },
	{ "empty.test", "CNAME", "nothing.test" },
	{ "nothing.test", "TXT", "x" },
	{ "alias.test", "CNAME", "pref.test" },
	{ "serv.test", NULL, "servfail" },
	{ "backup.test", "MX", "10 a.mx.test" },
	{ "backup.test", "MX", "20 us.test" },
	{ "backup.test", "MX", "20 b.mx.test" },
	{ "backup.test", "MX", "30 c.mx.test" },
	{ "loop.test", "MX", "10 US.test" },
	{ "loop.test", "MX", "20 a.mx.test" },
	{ "ours.test", "MX", "10 a.mx.test" },
	{ "ours.test", "MX", "20 here.mx.test" },
	{ "plainours.test", "A", "127.0.0.9" },
	{ "a.mx.test", "A", "192.0.2.1" },
	{ "b.mx.test", "A", "192.0.2.2" },
	{ "c.mx.test", "AAAA", "2001:db8::3" },
	{ "here.mx.test", "A", "192.0.2.4" },
	{ "here.mx.test", "A", "127.0.0.9" },
	{ NULL, NULL, NULL }
};

struct world {
	struct loop *loop;
	struct names names;
	struct resolver *resolver;
	struct conf conf;
	struct conf_listen listens[2];
	struct mx_options o;
	bool done;
	struct strbuf text;	/* of the answer */
	uint32_t ttl;
};

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *servers[1];
	struct resolver_options o = { .server_count = 1, .servers = servers };
	struct err e = { 0, "" };

	names_start(&w->names, records);
	servers[0] = w->names.address;
	w->loop = loop_new(&e);
	w->resolver = resolver_new(w->loop, &o, &e);
	w->conf.hostname = (char *)"us.test";
	w->conf.listens = w->listens;
	w->o = (struct mx_options){ .loop = w->loop, .conf = &w->conf,
		.resolver = w->resolver, .port = 25 };
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	resolver_free(&w->resolver);
	loop_turn(w->loop, false);
	loop_free(&w->loop);
	names_stop(&w->names);
	strbuf_free(&w->text);
	free(w);
	return 0;
}

static void
on_answer(void *arg, const struct msg_site *a, bool secure)
{
	struct world *w = arg;

	(void)secure;
	w->done = true;
	w->ttl = a->ttl;
	strbuf_clear(&w->text);
	if (a->result == SITE_FOUND)
		strbuf_puts(&w->text, a->site);
	else
		strbuf_printf(&w->text, "%u: %u %u.%u.%u %s", a->result,
		    a->code, a->status[0], a->status[1], a->status[2],
		    a->text);
}

static void
goes_to(struct world *w, const char *domain, const char *want)
{
	uint64_t until = clock_mono_us() + 10000000;

	w->done = false;
	w->o.domain = domain;
	assert_non_null(mx_start(&w->o, on_answer, w));
	assert_false(w->done);
	while (!w->done && clock_mono_us() < until)
		loop_turn(w->loop, false);
	assert_true(w->done);
	assert_string_equal(strbuf_cstr(&w->text), want);
}

static void
a_site_is_the_set_of_hosts(void **state)
{
	struct world *w = *state;

	goes_to(w, "pref.test", "a.mx.test,c.mx.test;b.mx.test");
	/* Whatever the numbers are, and in whatever order they come. */
	goes_to(w, "other.test", "a.mx.test,c.mx.test;b.mx.test");
	goes_to(w, "alias.test", "a.mx.test,c.mx.test;b.mx.test");
	goes_to(w, "twice.test", "a.mx.test");
	assert_in_range(w->ttl, 30, 300);
}

static void
without_mx_the_domain_itself(void **state)
{
	struct world *w = *state;

	goes_to(w, "plain.test", "plain.test");
	goes_to(w, "plain6.test", "plain6.test");
	goes_to(w, "empty.test", "2: 550 5.1.2 empty.test has neither MX nor "
	    "address records");
}

static void
null_mx(void **state)
{
	struct world *w = *state;

	goes_to(w, "null.test", "3: 556 5.1.10 null.test accepts no mail "
	    "(null MX)");
	goes_to(w, "mixed.test", "a.mx.test");
}

static void
no_such_domain_and_no_answer_are_two_things(void **state)
{
	struct world *w = *state;

	goes_to(w, "gone.test", "2: 550 5.1.2 gone.test does not exist");
	goes_to(w, "serv.test", "1: 450 4.4.3 MX lookup failed: serv.test: "
	    "server failure");
}

static void
literals(void **state)
{
	struct world *w = *state;

	goes_to(w, "[192.0.2.1]", "192.0.2.1");
	goes_to(w, "[ipv6:2001:db8::1]", "2001:db8::1");
	goes_to(w, "[x400:1]", "3: 550 5.1.3 [x400:1] is no address that "
	    "mail can be sent to");
}

static void
only_hosts_better_than_ourselves(void **state)
{
	struct world *w = *state;

	goes_to(w, "backup.test", "a.mx.test");
	goes_to(w, "loop.test", "3: 554 5.4.6 mail for loop.test loops back "
	    "to this host");
}

static void
where_we_listen_is_ourselves(void **state)
{
	struct world *w = *state;

	goes_to(w, "ours.test", "a.mx.test;here.mx.test");
	w->listens[0] = (struct conf_listen){ .address = (char *)"127.0.0.9",
		.port = 25 };
	w->listens[1] = (struct conf_listen){ .is_unix = true };
	w->conf.n_listens = 2;
	goes_to(w, "ours.test", "a.mx.test");
	goes_to(w, "plainours.test", "3: 554 5.4.6 mail for plainours.test "
	    "loops back to this host");
	goes_to(w, "[127.0.0.9]", "3: 554 5.4.6 mail for [127.0.0.9] loops "
	    "back to this host");
	/* Every address of the machine. */
	w->listens[0].address = (char *)"*";
	goes_to(w, "ours.test", "a.mx.test");
	goes_to(w, "[127.0.0.77]", "3: 554 5.4.6 mail for [127.0.0.77] loops "
	    "back to this host");
	goes_to(w, "[192.0.2.77]", "192.0.2.77");
	/* Another port is another server. */
	w->o.port = 26;
	goes_to(w, "ours.test", "a.mx.test;here.mx.test");
}

static void
a_lookup_can_be_cancelled(void **state)
{
	struct world *w = *state;
	struct mx_lookup *m;

	w->o.domain = "pref.test";
	m = mx_start(&w->o, on_answer, w);
	mx_cancel(&m);
	assert_null(m);
	w->o.domain = "[192.0.2.1]";
	m = mx_start(&w->o, on_answer, w);
	mx_cancel(&m);
	goes_to(w, "pref.test", "a.mx.test,c.mx.test;b.mx.test");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_site_is_the_set_of_hosts,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_mx_the_domain_itself,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(null_mx, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    no_such_domain_and_no_answer_are_two_things, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(literals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    only_hosts_better_than_ourselves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_we_listen_is_ourselves,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lookup_can_be_cancelled,
		    set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

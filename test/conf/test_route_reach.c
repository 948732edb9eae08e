/* Which transports mail of a domain can take. */
#include "conf/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/route_reach.h"

#define TRANSPORTS \
	"transport a { discard }; transport b { discard }\n" \
	"transport c { discard }; transport d { discard }\n"

/* The names of them, in order, "direct" at the end. */
static const char *
reached(const char *config, const char *domain)
{
	static char text[200];
	char whole[4000];
	struct conf *conf;
	bool *r;
	size_t i;

	snprintf(whole, sizeof(whole), TRANSPORTS "%s\n", config);
	conf = load_good(whole);
	r = mem_zarray(conf->n_transports + 1, sizeof(*r));
	route_reach(conf, domain, r);
	text[0] = '\0';
	for (i = 0; i <= conf->n_transports; i++) {
		if (!r[i])
			continue;
		if (text[0] != '\0')
			strcat(text, " ");
		strcat(text, i < conf->n_transports ?
		    conf->transports[i].name : "direct");
	}
	free(r);
	conf_free(&conf);
	return text;
}

static void
without_routes_it_is_direct(void **state)
{
	(void)state;
	assert_string_equal(reached("", "x.test"), "direct");
}

static void
a_route_for_all_of_the_domain_ends_the_search(void **state)
{
	(void)state;
	assert_string_equal(reached("route via a; route via b", "x.test"),
	    "a");
	assert_string_equal(reached("route from x.test via a b\nroute via c",
	    "x.test"), "a b");
	assert_string_equal(reached("route from x.test via a b\nroute via c",
	    "y.x.test"), "c");
	assert_string_equal(reached("route from .test via a\nroute via c",
	    "y.x.test"), "a");
	assert_string_equal(reached("route from * via a\nroute via c",
	    "y.x.test"), "a");
}

static void
a_condition_lets_some_pass(void **state)
{
	static const char *const conditions[] = { "to y.test", "attempts 3",
	    "login l", "client 192.0.2.0/24", "larger 1M", "age 1h",
	    "from u@x.test", "from u*@x.test" };
	char config[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		snprintf(config, sizeof(config), "login l { password p }\n"
		    "route %s via a\nroute via b", conditions[i]);
		assert_string_equal(reached(config, "x.test"), "a b");
	}
	assert_string_equal(reached("route from <> via a\nroute via b",
	    "x.test"), "b");
	assert_string_equal(reached("route from u@y.test via a", "x.test"),
	    "direct");
}

static void
domain_blocks_come_before_global_routes(void **state)
{
	(void)state;
	assert_string_equal(reached("domain x.test { route via a }\n"
	    "route via b", "x.test"), "a");
	assert_string_equal(reached("domain u@x.test { route via a }\n"
	    "route via b", "x.test"), "a b");
	assert_string_equal(reached("domain .x.test { route to z.test via a }"
	    "\nroute via b", "y.x.test"), "a b");
	assert_string_equal(reached("domain y.test { route via a }",
	    "x.test"), "direct");
}

static void
accounts_that_may_send_for_it_count(void **state)
{
	(void)state;
	assert_string_equal(reached("account o { senders @x.test; "
	    "route via a }\nroute via b", "x.test"), "a");
	assert_string_equal(reached("account o { senders @x.test; "
	    "route via a }\nroute via b", "y.test"), "b");
	assert_string_equal(reached("account u@x.test { route via a }\n"
	    "route via b", "x.test"), "a b");
	assert_string_equal(reached("account o { senders @x.test; use-by "
	    "login; route via a }\nroute via b", "x.test"), "a b");
	assert_string_equal(reached("account o { default; route via a }\n"
	    "route via b", "x.test"), "a");
	assert_string_equal(reached("account o { senders @x.test; submission "
	    "h.test; username u; password p }", "x.test"), "o");
}

static void
an_account_without_senders_needs_somebody_who_has_it(void **state)
{
	(void)state;
	assert_string_equal(reached("account o { route via a }", "x.test"),
	    "direct");
	assert_string_equal(reached("login l { password p; account o }\n"
	    "account o { route via a }", "x.test"), "a direct");
	assert_string_equal(reached("client 10.0.0.0/8 { account o }\n"
	    "account o { route via a }", "x.test"), "a direct");
	assert_string_equal(reached("login l { password p; account o }\n"
	    "account o { senders @y.test; route via a }", "x.test"),
	    "direct");
}

static void
an_account_that_rewrites_to_it_counts(void **state)
{
	(void)state;
	assert_string_equal(reached("account o { senders @y.test; rewrite "
	    "envelope u@X.test; route from @z.test via a; route via b }\n"
	    "route via c", "x.test"), "a b c");
	assert_string_equal(reached("account o { senders @y.test; rewrite "
	    "from u@x.test; route via b }\nroute via c", "x.test"), "c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_routes_it_is_direct),
		cmocka_unit_test(
		    a_route_for_all_of_the_domain_ends_the_search),
		cmocka_unit_test(a_condition_lets_some_pass),
		cmocka_unit_test(domain_blocks_come_before_global_routes),
		cmocka_unit_test(accounts_that_may_send_for_it_count),
		cmocka_unit_test(
		    an_account_without_senders_needs_somebody_who_has_it),
		cmocka_unit_test(an_account_that_rewrites_to_it_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

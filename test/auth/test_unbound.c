/* A server that offers -PLUS and does not take our channel binding: the next
 * login goes without it, where that may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/role.h"

#define BOTH "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"

/* What is taken, and the beginning of its first message. */
static bool
takes(uint64_t number, const char *transport, const char *offered,
    bool secure, const char *mechanism, const char *first)
{
	struct answer a = credential(number, transport, offered, secure, "");
	bool again = a.step.again;

	assert_int_equal(a.step.state, AUTH_CONTINUE);
	assert_string_equal(a.step.mechanism, mechanism);
	assert_memory_equal(a.data, first, strlen(first));
	msg_auth_step_clear(&a.step);
	return again;
}

static int
setup_bound(void **state)
{
	channel_binding = "tls-exporter";
	return setup(state);
}

static int
teardown_bound(void **state)
{
	channel_binding = NULL;
	return teardown(state);
}

static void
one_that_refuses_the_first_message(void **state)
{
	(void)state;
	assert_true(takes(1, "scram", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p=tls-exporter,,n=user,"));
	drop(1, MSG_CRED_REFUSED);
	assert_false(takes(2, "scram", BOTH, true, "SCRAM-SHA-256",
	    "n,,n=user,"));
	drop(2, MSG_CRED_REFUSED);
	assert_false(takes(3, "scram", BOTH, true, "SCRAM-SHA-256", "n,,"));
	drop(3, MSG_CRED_ACCEPTED);
	/* that host of that transport */
	assert_true(takes(4, "up", BOTH, true, "SCRAM-SHA-256-PLUS", "p="));
}

/* What was found in one session does not stand where it would not have been
 * given up: in one with nobody knows whom, or without another SCRAM. */
static void
one_that_is_not_the_same_later(void **state)
{
	(void)state;
	assert_true(takes(1, "scram", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
	drop(1, MSG_CRED_REFUSED);
	assert_false(takes(2, "scram", BOTH, false, "SCRAM-SHA-256-PLUS",
	    "p="));
	drop(2, MSG_CRED_DROP);
	assert_false(takes(3, "scram", "SCRAM-SHA-256-PLUS PLAIN", true,
	    "SCRAM-SHA-256-PLUS", "p="));
	drop(3, MSG_CRED_DROP);
	assert_false(takes(4, "scram", BOTH, true, "SCRAM-SHA-256", "n,,"));
}

/* A session that just ends says nothing of the binding. */
static void
one_that_hangs_up(void **state)
{
	(void)state;
	assert_true(takes(1, "scram", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
	drop(1, MSG_CRED_DROP);
	assert_true(takes(2, "scram", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
}

/* RFC 5802 7 */
static void
one_that_says_so(void **state)
{
	static const struct {
		const char *transport, *says;
		bool again;
	} rows[] = {
		{ "scram", "e=unknown-user", false },
		{ "scram", "e=channel-bindings-dont-match", false },
		{ "scram", "e=unsupported-channel-binding-type", true },
		{ "up", "e=channel-binding-not-supported", true },
	};
	struct answer a;
	uint64_t n = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(takes(++n, rows[i].transport, BOTH, true,
		    "SCRAM-SHA-256-PLUS", "p="));
		a = credential(n, rows[i].transport, NULL, true,
		    rows[i].says);
		assert_int_equal(a.step.again, rows[i].again);
		expect_step(a, AUTH_REFUSED, "");
		if (rows[i].again)
			assert_false(takes(++n, rows[i].transport, BOTH,
			    true, "SCRAM-SHA-256", "n,,"));
	}
}

/* A wrong password, or whatever: not the binding. */
static void
one_that_refuses_later(void **state)
{
	struct answer a = credential(1, "scram", BOTH, true, "");
	char text[200];

	(void)state;
	assert_true(a.step.again);
	snprintf(text, sizeof(text), "%.*s12345678,s=W22ZaJ0SNY7soEsUEjb6gQ=="
	    ",i=4096", (int)a.step.data.n - 23, a.data + 23);
	msg_auth_step_clear(&a.step);
	a = credential(1, "scram", NULL, true, text);
	assert_false(a.step.again);
	expect_step(a, AUTH_CONTINUE, NULL);
	drop(1, MSG_CRED_REFUSED);
	assert_true(takes(2, "scram", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
}

static void
where_it_is_not_given_up(void **state)
{
	(void)state;
	/* the administrator has named it */
	assert_false(takes(1, "bound", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
	drop(1, MSG_CRED_REFUSED);
	assert_false(takes(2, "bound", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
	/* or has left out PLAIN, by which it would be no loss */
	assert_false(takes(8, "strict", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
	drop(8, MSG_CRED_REFUSED);
	assert_false(takes(9, "strict", BOTH, true, "SCRAM-SHA-256-PLUS",
	    "p="));
	/* whoever it is */
	assert_false(takes(3, "scram", BOTH, false, "SCRAM-SHA-256-PLUS",
	    "p="));
	drop(3, MSG_CRED_REFUSED);
	assert_false(takes(4, "scram", BOTH, false, "SCRAM-SHA-256-PLUS",
	    "p="));
	/* no SCRAM without it */
	assert_false(takes(5, "up", "SCRAM-SHA-256-PLUS PLAIN", true,
	    "SCRAM-SHA-256-PLUS", "p="));
	drop(5, MSG_CRED_REFUSED);
	assert_false(takes(6, "up", "SCRAM-SHA-256-PLUS PLAIN", true,
	    "SCRAM-SHA-256-PLUS", "p="));
	/* `y` where the server seems to have none at all, as ever */
	assert_false(takes(7, "up", "SCRAM-SHA-256", true, "SCRAM-SHA-256",
	    "y,,"));
}

#define B(name) cmocka_unit_test_setup_teardown(name, setup_bound, \
    teardown_bound)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		B(one_that_refuses_the_first_message),
		B(one_that_is_not_the_same_later),
		B(one_that_hangs_up),
		B(one_that_says_so),
		B(one_that_refuses_later),
		B(where_it_is_not_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

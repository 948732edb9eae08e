/* The auth role as its peers see it: clients that log in to us, and what
 * happens to nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "auth/role.h"

static void
plain(void **state)
{
	struct answer a = log_in(1, PLAIN("\0joe\0sesame"));

	(void)state;
	assert_string_equal(a.step.login, "joe");
	expect_step(a, AUTH_OK, "");
	a = log_in(2, "PLAIN", NULL, 0);
	expect_step(a, AUTH_CONTINUE, "");
	a = log_in(2, NULL, "\0joe\0sesame", 11);
	assert_string_equal(a.step.login, "joe");
	expect_step(a, AUTH_OK, "");
	a = log_in(3, PLAIN("\0ann\0pencil"));
	assert_string_equal(a.step.login, "ann");
	expect_step(a, AUTH_OK, "");
	/* as oneself is fine, as another is not */
	expect_step(log_in(4, PLAIN("joe\0joe\0sesame")), AUTH_OK, "");
	expect_step(log_in(5, PLAIN("ann\0joe\0sesame")), AUTH_REFUSED, NULL);
}

static void
login(void **state)
{
	struct answer a;

	(void)state;
	expect_step(log_in(1, "LOGIN", NULL, 0), AUTH_CONTINUE, "Username:");
	expect_step(log_in(1, NULL, "joe", 3), AUTH_CONTINUE, "Password:");
	a = log_in(1, NULL, "sesame", 6);
	assert_string_equal(a.step.login, "joe");
	expect_step(a, AUTH_OK, "");
	/* the name in front, as some clients do */
	expect_step(log_in(2, "LOGIN", "ann", 3), AUTH_CONTINUE, "Password:");
	expect_step(log_in(2, NULL, "pencil", 6), AUTH_OK, "");
}

static void
refused(void **state)
{
	(void)state;
	expect_step(log_in(1, PLAIN("\0joe\0wrong")), AUTH_REFUSED, NULL);
	expect_step(log_in(2, PLAIN("\0joe\0")), AUTH_REFUSED, NULL);
	expect_step(log_in(3, PLAIN("\0nobody\0sesame")), AUTH_REFUSED, NULL);
	/* a success forgives */
	expect_step(log_in(4, PLAIN("\0joe\0sesame")), AUTH_OK, NULL);
	expect_step(log_in(5, PLAIN("garbage")), AUTH_REFUSED, NULL);
	expect_step(log_in(6, PLAIN("")), AUTH_REFUSED, NULL);
	expect_step(log_in(7, "DIGEST-MD5", NULL, 0), AUTH_NO_MECHANISM,
	    NULL);
	expect_step(log_in(8, NULL, "x", 1), AUTH_TEMPORARY, NULL);
}

static void
scram_by_the_role(void **state)
{
	struct answer a = log_in(1, "SCRAM-SHA-256", "n,,n=ann,r=abcdefgh",
	    19);

	(void)state;
	assert_int_equal(a.step.state, AUTH_CONTINUE);
	assert_memory_equal(a.data, "r=abcdefgh", 10);
	assert_non_null(memmem(a.data, a.step.data.n,
	    ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", 34));
	msg_auth_step_clear(&a.step);
	expect_step(log_in(1, NULL, "c=biws,r=abcdefgh,p=AAAA", 24),
	    AUTH_REFUSED, NULL);
	/* a -PLUS without the session's octets */
	expect_step(log_in(2, "SCRAM-SHA-256-PLUS",
	    "p=tls-exporter,,n=ann,r=abcdefgh", 32), AUTH_REFUSED, NULL);
	expect_step(log_in(3, "CRAM-MD5", NULL, 0), AUTH_CONTINUE, NULL);
	expect_step(log_in(3, NULL, "joe 0123", 8), AUTH_REFUSED, NULL);
}

static void
guessing_becomes_slow(void **state)
{
	uint64_t begin = clock_mono_ms();
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		expect_step(log_in(1, PLAIN("\0joe\0x")), AUTH_REFUSED, NULL);
	assert_true(clock_mono_ms() - begin < 900);
	expect_step(log_in(1, PLAIN("\0joe\0x")), AUTH_REFUSED, NULL);
	assert_true(clock_mono_ms() - begin >= 1000);
	expect_step(log_in(1, PLAIN("\0joe\0sesame")), AUTH_OK, NULL);
}

/* ---- nonsense ---- */

static void
loses_channel(struct port **p, uint16_t type, struct slice data)
{
	port_send(*p, type, 1, data);
	while (*p != NULL)
		loop_turn(loop, true);
}

static void
garbage_costs_the_channel(void **state)
{
	(void)state;
	loses_channel(&listener, MSG_AUTH_START, SLICE_LIT("nonsense"));
	loses_channel(&delivery, MSG_CRED_NEXT, SLICE_LIT(""));
	/* a listener has no business with our own passwords */
	listener = connect_as(ROLE_LISTENER, &listener);
	loses_channel(&listener, MSG_CRED_START, SLICE_LIT(""));
	delivery = connect_as(ROLE_DELIVERY, &delivery);
	loses_channel(&delivery, MSG_AUTH_START, SLICE_LIT(""));
	/* the others are still served */
	listener = connect_as(ROLE_LISTENER, &listener);
	expect_step(log_in(1, PLAIN("\0joe\0sesame")), AUTH_OK, NULL);
}

static void
exchanges_die_with_their_peer(void **state)
{
	struct port *old = listener;

	(void)state;
	expect_step(log_in(1, "LOGIN", NULL, 0), AUTH_CONTINUE, NULL);
	listener = connect_as(ROLE_LISTENER, &listener);
	port_free(&old);
	expect_step(log_in(1, NULL, "joe", 3), AUTH_TEMPORARY, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain), T(login), T(refused), T(scram_by_the_role),
		T(guessing_becomes_slow), T(garbage_costs_the_channel),
		T(exchanges_die_with_their_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

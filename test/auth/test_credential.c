/* Our own logins to next hops, as a delivery sees the auth role. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/scram_server.h"
#include "auth/work.h"
#include "auth/role.h"

static void
our_own_plain(void **state)
{
	struct answer a;

	(void)state;
	a = credential(1, "up", "LOGIN PLAIN CRAM-MD5", true, "");
	assert_int_equal(a.step.state, AUTH_OK);
	assert_string_equal(a.step.mechanism, "PLAIN");
	assert_true(a.step.has_data);
	assert_true(slice_eq(slice_of(a.data, a.step.data.n),
	    SLICE_LIT("\0me@x.test\0pass word")));
	msg_auth_step_clear(&a.step);
}

static void
our_own_login(void **state)
{
	struct answer a = credential(1, "login", "PLAIN LOGIN", true, "");

	(void)state;
	assert_string_equal(a.step.mechanism, "LOGIN");
	assert_false(a.step.has_data);
	expect_step(a, AUTH_CONTINUE, "");
	a = credential(1, "login", NULL, true, "User Name");
	assert_true(a.step.has_data);
	expect_step(a, AUTH_CONTINUE, "me");
	expect_step(credential(1, "login", NULL, true, "Password"), AUTH_OK,
	    "p");
}

static void
no_credential(void **state)
{
	(void)state;
	expect_step(credential(1, "up", "PLAIN LOGIN", false, ""),
	    AUTH_NO_MECHANISM, "");
	expect_step(credential(2, "up", "GSSAPI", true, ""),
	    AUTH_NO_MECHANISM, "");
	expect_step(credential(3, "login", "PLAIN", true, ""),
	    AUTH_NO_MECHANISM, "");
	expect_step(credential(4, "open", "PLAIN", true, ""),
	    AUTH_NO_MECHANISM, "");
	expect_step(credential(5, "nosuch", "PLAIN", true, ""),
	    AUTH_NO_MECHANISM, "");
	expect_step(credential(6, "up", NULL, true, ""), AUTH_TEMPORARY, "");
}

static void
known_account(void *arg, const char *name, const struct scram_hash *hash,
    struct scram_account *out)
{
	(void)hash;
	assert_string_equal(name, "user");
	*out = *(struct scram_account *)arg;
}

/* RFC 2195 2, by libsasl2. */
static void
our_own_cram_md5(void **state)
{
	struct answer a = credential(1, "cram", "PLAIN CRAM-MD5", true, "");

	(void)state;
	assert_string_equal(a.step.mechanism, "CRAM-MD5");
	assert_false(a.step.has_data);
	expect_step(a, AUTH_CONTINUE, "");
	expect_step(credential(1, "cram", NULL, true,
	    "<1896.697170952@postoffice.reston.mci.net>"), AUTH_OK,
	    "tim b913a602c7eda7a495b4e6e7334d3890");
}

/* Its first message names nobody yet; a server's nonsense is its own. */
static void
our_own_ntlm(void **state)
{
	struct answer a = credential(1, "ntlm", "PLAIN NTLM", true, "");

	(void)state;
	assert_string_equal(a.step.mechanism, "NTLM");
	if (!a.step.has_data) {
		expect_step(a, AUTH_CONTINUE, NULL);
		a = credential(1, "ntlm", NULL, true, "");
	}
	assert_int_equal(a.step.state, AUTH_CONTINUE);
	assert_memory_equal(a.data, "NTLMSSP\0\1", 9);
	msg_auth_step_clear(&a.step);
	expect_step(credential(1, "ntlm", NULL, true, "nonsense"),
	    AUTH_TEMPORARY, "");
}

static void
our_own_certificate(void **state)
{
	struct answer a = credential(1, "card", "PLAIN EXTERNAL", true, "");

	(void)state;
	assert_string_equal(a.step.mechanism, "EXTERNAL");
	assert_true(a.step.has_data);
	expect_step(a, AUTH_OK, "");
	expect_step(credential(1, "card", NULL, true, "more"),
	    AUTH_TEMPORARY, "");
	expect_step(credential(2, "card", "PLAIN LOGIN", true, ""),
	    AUTH_NO_MECHANISM, "");
}

/* A server of ours against our client, by the messages of delivery. */
static void
our_own_scram(unsigned iterations)
{
	struct scram_account account = { .known = true,
	    .iterations = iterations, .salt = "0123456789abcdef",
	    .salt_n = 16 };
	struct scram_server_options o = {
		.hash = scram_hash_find(SLICE_LIT("SCRAM-SHA-256")),
		.lookup = known_account, .arg = &account
	};
	struct scram_server *s = scram_server_new(&o);
	char text[512];
	struct slice out;
	struct answer a;

	assert_true(scram_derive(o.hash, SLICE_LIT("pencil"), slice_of(
	    account.salt, 16), iterations, &account.keys));
	a = credential(1, "scram", "SCRAM-SHA-256 PLAIN", true, "");
	assert_string_equal(a.step.mechanism, "SCRAM-SHA-256");
	assert_int_equal(a.step.state, AUTH_CONTINUE);
	assert_int_equal(scram_server_take(s, slice_of(a.data,
	    a.step.data.n), &out), SCRAM_SERVER_CONTINUE);
	msg_auth_step_clear(&a.step);
	snprintf(text, sizeof(text), "%.*s", (int)out.n, out.p);
	a = credential(1, "scram", NULL, true, text);
	assert_int_equal(a.step.state, AUTH_CONTINUE);
	assert_null(a.step.mechanism);
	assert_int_equal(scram_server_take(s, slice_of(a.data,
	    a.step.data.n), &out), SCRAM_SERVER_CONTINUE);
	msg_auth_step_clear(&a.step);
	snprintf(text, sizeof(text), "%.*s", (int)out.n, out.p);
	expect_step(credential(1, "scram", NULL, true, text), AUTH_OK, "");
	scram_server_free(&s);
}

static void
our_own_scram_fast_and_slow(void **state)
{
	(void)state;
	our_own_scram(4096);
	drop(1, MSG_CRED_DROP);
	our_own_scram(50000);
}

/* The session ends while a thread is at it. */
static void
nobody_waits_for_the_thread(void **state)
{
	struct msg_cred m = { .session = 1, .data = SLICE_LIT("") };
	struct strbuf b = STRBUF_INIT;
	struct answer a;
	char text[200];

	(void)state;
	a = credential(1, "scram", "SCRAM-SHA-256", true, "");
	snprintf(text, sizeof(text), "%.*s12345678,s=W22ZaJ0SNY7soEsUEjb6gQ=="
	    ",i=400000", (int)a.step.data.n - 10, a.data + 10);
	msg_auth_step_clear(&a.step);
	m.data = slice_cstr(text);
	msg_cred_encode(&b, &m);
	port_send(delivery, MSG_CRED_NEXT, 7, strbuf_slice(&b));
	strbuf_free(&b);
	drop(1, MSG_CRED_DROP);
	expect_step(credential(1, "scram", NULL, true, "x"), AUTH_TEMPORARY,
	    "");
}

static void
what_a_server_must_not_say_to_scram(void **state)
{
	static const struct {
		const char *text;
		uint8_t state;
	} cases[] = {
		{ "hello", AUTH_TEMPORARY },
		{ "e=unknown-user", AUTH_REFUSED },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		expect_step(credential(1, "scram", "SCRAM-SHA-256", true,
		    ""), AUTH_CONTINUE, NULL);
		expect_step(credential(1, "scram", NULL, true,
		    cases[i].text), cases[i].state, "");
	}
	/* no binding, no -PLUS */
	expect_step(credential(2, "bound", "SCRAM-SHA-256-PLUS PLAIN", true,
	    ""), AUTH_NO_MECHANISM, "");
}

/* ---- too much at once ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static struct work jam[WORK_WAITING_MAX + WORK_WAITING_FIRST + WORK_THREADS];
static size_t jammed;
static _Atomic size_t at_gate;

static void
wait_for_gate(struct work *w)
{
	(void)w;
	at_gate++;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void
one_less(struct work *w)
{
	(void)w;
	jammed--;
}

static void
too_many_logins_are_told_to_come_again(void **state)
{
	struct answer a;
	char text[200];
	size_t i;

	(void)state;
	pthread_mutex_lock(&gate);
	for (i = 0; i < sizeof(jam) / sizeof(jam[0]); i++) {
		/* the last ones have nothing waiting yet */
		snprintf(text, sizeof(text), "client %zu", i);
		jam[i] = (struct work){ .run = wait_for_gate,
		    .done = one_less, .who = i < WORK_WAITING_MAX +
		    WORK_THREADS ? NULL : text };
		jammed++;
		assert_int_equal(work_submit(auth->work, &jam[i]), 0);
		/* all threads are held before the rest waits */
		while (i + 1 == WORK_THREADS && at_gate < WORK_THREADS)
			sched_yield();
	}
	expect_step(log_in(1, PLAIN("\0joe\0sesame")), AUTH_TEMPORARY, NULL);
	a = credential(1, "scram", "SCRAM-SHA-256", true, "");
	snprintf(text, sizeof(text), "%.*s12345678,s=W22ZaJ0SNY7soEsUEjb6gQ=="
	    ",i=50000", (int)a.step.data.n - 10, a.data + 10);
	msg_auth_step_clear(&a.step);
	expect_step(credential(1, "scram", NULL, true, text), AUTH_TEMPORARY,
	    "");
	pthread_mutex_unlock(&gate);
	while (jammed > 0)
		loop_turn(loop, true);
	expect_step(log_in(2, PLAIN("\0joe\0sesame")), AUTH_OK, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(our_own_plain),
		T(our_own_login),
		T(no_credential),
		T(our_own_cram_md5),
		T(our_own_ntlm),
		T(our_own_certificate),
		T(our_own_scram_fast_and_slow),
		T(nobody_waits_for_the_thread),
		T(what_a_server_must_not_say_to_scram),
		T(too_many_logins_are_told_to_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The auth role as its peers see it: clients that log in to us, our own
 * logins to next hops, and what happens to nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/load.h"
#include "ipc/msg.h"

static const char conf[] =
    "hostname relay.test\n"
    "login joe { password sesame }\n"
    "login ann { password hash "
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBF"
    "zpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= }\n"
    "transport up { submission 127.0.0.1:1; tls required; username me@x.test;"
    " password \"pass word\" }\n"
    "transport login { submission 127.0.0.1:1; tls required; username me;"
    " password p; auth-mechanisms LOGIN }\n"
    "transport open { smarthost 127.0.0.1:1 }\n"
    "route via up\n";

static struct loop *loop;
static struct auth *auth;
static struct port *listener, *delivery;

static int
read_text(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	(void)arg;
	(void)path;
	(void)e;
	strbuf_puts(out, conf);
	return 0;
}

static int
no_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	(void)m;
	return err_set(e, -1, "unexpected");
}

static void
gone(void *arg, const struct err *why)
{
	(void)why;
	port_free(arg);
}

static struct port *
connect_as(uint8_t role, struct port **at)
{
	static const struct port_handler handler = { no_message, gone, NULL };
	struct msg_peer peer = { .role = role };
	struct err e = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(auth_ops.peer(auth, &peer, fd[0], &e), 0);
	return port_new(loop, fd[1], "auth", &handler, at);
}

static int
setup(void **state)
{
	struct conf_reader reader = { read_text, NULL };
	struct conf_messages m = { 0 };
	struct strbuf view = STRBUF_INIT;
	struct conf_tree *tree = NULL;
	struct err e = { 0 };
	struct conf *c;

	(void)state;
	loop = loop_new(&e);
	auth = auth_new(loop, -1);
	assert_true(auth->sasl);
	c = conf_load("test.conf", &reader, false, &tree, &m);
	if (c == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	assert_int_equal(conf_view_encode(tree, CONF_AUTH, &view, &e), 0);
	assert_int_equal(auth_ops.view(auth, strbuf_slice(&view), &e), 0);
	assert_int_equal(auth_ops.start(auth, &e), 0);
	strbuf_free(&view);
	conf_messages_free(&m);
	conf_free(&c);
	conf_tree_free(&tree);
	listener = connect_as(ROLE_LISTENER, &listener);
	delivery = connect_as(ROLE_DELIVERY, &delivery);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	port_free(&listener);
	port_free(&delivery);
	auth_free(&auth);
	loop_turn(loop, false);
	loop_free(&loop);
	return 0;
}

/* ---- asking ---- */

struct answer {
	bool there, lost;
	struct msg_auth_step step;
	char data[256];
};

static void
on_answer(void *arg, struct port_message *m)
{
	struct answer *a = arg;

	a->there = true;
	a->lost = m == NULL;
	if (m == NULL)
		return;
	assert_int_equal(msg_auth_step_decode(m->data, &a->step), 0);
	assert_true(a->step.data.n < sizeof a->data);
	memcpy(a->data, a->step.data.p, a->step.data.n);
	a->step.data.p = NULL;		/* it moves with the struct */
}

static struct answer
ask(struct port *p, uint16_t type, struct strbuf *b)
{
	struct answer a = { 0 };
	uint64_t ref = port_request(p, 60000, on_answer, &a);

	port_send(p, type, ref, strbuf_slice(b));
	strbuf_free(b);
	while (!a.there)
		loop_turn(loop, true);
	return a;
}

static struct answer
log_in(uint64_t number, const char *mechanism, const void *data, size_t n)
{
	struct msg_auth m = { .session = number,
		.mechanism = (char *)(uintptr_t)mechanism,
		.client = (char *)(uintptr_t)"192.0.2.1", .secure = true,
		.has_data = data != NULL,
		.data = slice_of(data != NULL ? data : "", n) };
	struct strbuf b = STRBUF_INIT;

	if (mechanism == NULL)
		m.client = NULL;
	msg_auth_encode(&b, &m);
	return ask(listener,
	    mechanism != NULL ? MSG_AUTH_START : MSG_AUTH_NEXT, &b);
}

static void
expect_step(struct answer a, uint8_t state, const char *data)
{
	assert_false(a.lost);
	assert_int_equal(a.step.state, state);
	if (data != NULL)
		assert_memory_equal(a.data, data, strlen(data));
	if (data != NULL)
		assert_int_equal(a.step.data.n, strlen(data));
	msg_auth_step_clear(&a.step);
}

#define PLAIN(text) "PLAIN", text, sizeof(text) - 1

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
	expect_step(log_in(7, "SCRAM-SHA-1", "n,,n=joe,r=x", 12),
	    AUTH_NO_MECHANISM, NULL);
	expect_step(log_in(8, NULL, "x", 1), AUTH_TEMPORARY, NULL);
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

/* ---- next hops ---- */

static struct answer
credential(uint64_t number, const char *transport, const char *mechanisms,
    bool secure, const char *challenge)
{
	struct msg_cred m = { .session = number,
		.transport = (char *)(uintptr_t)transport,
		.host = (char *)(uintptr_t)"mx.x.test",
		.mechanisms = (char *)(uintptr_t)mechanisms,
		.secure = secure, .data = slice_cstr(challenge) };
	struct strbuf b = STRBUF_INIT;

	msg_cred_encode(&b, &m);
	return ask(delivery,
	    mechanisms != NULL ? MSG_CRED_START : MSG_CRED_NEXT, &b);
}

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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain), T(login), T(refused), T(guessing_becomes_slow),
		T(our_own_plain), T(our_own_login), T(no_credential),
		T(garbage_costs_the_channel),
		T(exchanges_die_with_their_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

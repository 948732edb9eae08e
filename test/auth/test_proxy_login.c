/* The login of a proxy: who gets it, and who does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "conf/load.h"
#include "ipc/msg.h"

static const char conf[] =
    "hostname relay.test\n"
    "transport up { smarthost 127.0.0.1:1; socks5 127.0.0.1:2;"
    " socks5 127.0.0.1:3 { username me; password \"pass word\" } }\n"
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
	struct msg_proxy_secret secret;
};

static void
on_answer(void *arg, struct port_message *m)
{
	struct answer *a = arg;

	a->there = true;
	a->lost = m == NULL;
	if (m == NULL)
		return;
	assert_int_equal(m->type, MSG_PROXY_SECRET);
	assert_int_equal(msg_proxy_secret_decode(m->data, &a->secret), 0);
}

static void
ask(struct port *p, struct slice octets, struct answer *a)
{
	uint64_t until = clock_mono_us() + 10000000;

	memset(a, 0, sizeof(*a));
	port_send(p, MSG_PROXY_LOGIN, port_request(p, 0, on_answer, a),
	    octets);
	while (!a->there && clock_mono_us() < until)
		loop_turn(loop, false);
	assert_true(a->there);
}

static void
ask_for(const char *transport, uint32_t proxy, struct answer *a)
{
	struct msg_proxy_login m = { (char *)(uintptr_t)transport, proxy };
	struct strbuf b = STRBUF_INIT;

	msg_proxy_login_encode(&b, &m);
	ask(delivery, strbuf_slice(&b), a);
	strbuf_free(&b);
}

static void
a_delivery_gets_the_login(void **state)
{
	struct answer a;

	(void)state;
	ask_for("up", 1, &a);
	assert_string_equal(a.secret.username, "me");
	assert_string_equal(a.secret.password, "pass word");
	msg_proxy_secret_clear(&a.secret);
}

static void
where_there_is_none_it_hears_so(void **state)
{
	struct answer a;

	(void)state;
	ask_for("up", 0, &a);
	assert_null(a.secret.password);
	assert_string_equal(a.secret.text, "the proxy has no username and "
	    "password");
	msg_proxy_secret_clear(&a.secret);
	ask_for("up", 2, &a);
	assert_null(a.secret.password);
	msg_proxy_secret_clear(&a.secret);
	ask_for("down", 0, &a);
	assert_null(a.secret.password);
	msg_proxy_secret_clear(&a.secret);
}

static void
garbage_costs_the_channel(void **state)
{
	struct answer a;

	(void)state;
	ask(delivery, SLICE_LIT("x"), &a);
	assert_true(a.lost);
	assert_null(delivery);
}

static void
a_listener_gets_nothing(void **state)
{
	struct msg_proxy_login m = { (char *)"up", 1 };
	struct strbuf b = STRBUF_INIT;
	struct answer a;

	(void)state;
	msg_proxy_login_encode(&b, &m);
	ask(listener, strbuf_slice(&b), &a);
	assert_true(a.lost);
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_delivery_gets_the_login,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    where_there_is_none_it_hears_so, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_costs_the_channel,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(a_listener_gets_nothing,
		    setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

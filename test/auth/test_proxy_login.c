/* The login of a proxy: who gets it, and who does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/role.h"
#include "base/clock.h"

struct proxy_answer {
	bool there, lost;
	struct msg_proxy_secret secret;
};

static void
on_answer(void *arg, struct port_message *m)
{
	struct proxy_answer *a = arg;

	a->there = true;
	a->lost = m == NULL;
	if (m == NULL)
		return;
	assert_int_equal(m->type, MSG_PROXY_SECRET);
	assert_int_equal(msg_proxy_secret_decode(m->data, &a->secret), 0);
}

static void
ask(struct port *p, struct slice octets, struct proxy_answer *a)
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
ask_for(const char *transport, uint32_t proxy, struct proxy_answer *a)
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
	struct proxy_answer a;

	(void)state;
	ask_for("proxied", 1, &a);
	assert_string_equal(a.secret.username, "me");
	assert_string_equal(a.secret.password, "pass word");
	msg_proxy_secret_clear(&a.secret);
}

static void
where_there_is_none_it_hears_so(void **state)
{
	struct proxy_answer a;

	(void)state;
	ask_for("proxied", 0, &a);
	assert_null(a.secret.password);
	assert_string_equal(a.secret.text, "the proxy has no username and "
	    "password");
	msg_proxy_secret_clear(&a.secret);
	ask_for("proxied", 2, &a);
	assert_null(a.secret.password);
	msg_proxy_secret_clear(&a.secret);
	ask_for("down", 0, &a);
	assert_null(a.secret.password);
	msg_proxy_secret_clear(&a.secret);
}

static void
garbage_costs_the_channel(void **state)
{
	struct proxy_answer a;

	(void)state;
	ask(delivery, SLICE_LIT("x"), &a);
	assert_true(a.lost);
	assert_null(delivery);
}

static void
a_listener_gets_nothing(void **state)
{
	struct msg_proxy_login m = { (char *)"proxied", 1 };
	struct strbuf b = STRBUF_INIT;
	struct proxy_answer a;

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
		T(a_delivery_gets_the_login),
		T(where_there_is_none_it_hears_so),
		T(garbage_costs_the_channel),
		T(a_listener_gets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

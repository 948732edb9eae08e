/* The client's side of SOCKS 5: what it says, what it takes, whose failure a
 * failure is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "io/sockaddr.h"
#include "io/socks5.h"

static void
says(struct socks5 *s, const char *octets, size_t n)
{
	assert_int_equal(s->out_n, n);
	assert_memory_equal(s->out, octets, n);
	s->out_n = 0;
}
#define SAYS(s, octets) says(s, octets, sizeof(octets) - 1)

/* One octet at a time; never more than are wanted. */
static enum socks5_result
hear(struct socks5 *s, const char *octets, size_t n)
{
	enum socks5_result r = SOCKS5_MORE;
	size_t i;

	for (i = 0; i < n; i++) {
		assert_int_equal(r, SOCKS5_MORE);
		assert_true(socks5_want(s) >= 1);
		r = socks5_feed(s, slice_of(octets + i, 1));
	}
	return r;
}
#define HEAR(s, octets) hear(s, octets, sizeof(octets) - 1)

static void
begin(struct socks5 *s, const char *to, const char *user, const char *pass)
{
	struct socks5_options o = { .host = to, .port = 25,
		.username = user, .password = pass };
	struct err e = { 0, "" };

	if (!sockaddr_from_ip(slice_cstr(to), 25, &o.to))
		memset(&o.to, 0, sizeof(o.to));
	assert_int_equal(socks5_begin(s, &o, &e), 0);
}

static void
without_a_login(void **state)
{
	struct socks5 s;

	(void)state;
	begin(&s, "192.0.2.1", NULL, NULL);
	SAYS(&s, "\5\1\0");
	assert_int_equal(HEAR(&s, "\5\0"), SOCKS5_MORE);
	SAYS(&s, "\5\1\0\1\xc0\0\2\1\0\x19");
	assert_int_equal(HEAR(&s, "\5\0\0\1\x0a\0\0\1\x30\x39"),
	    SOCKS5_DONE);
	assert_int_equal(socks5_want(&s), 0);
	assert_int_equal(socks5_feed(&s, SLICE_LIT("220")), SOCKS5_DONE);
}

static void
with_a_login(void **state)
{
	struct socks5 s;

	(void)state;
	begin(&s, "2001:db8::1", "me", "secret");
	SAYS(&s, "\5\2\0\2");
	assert_int_equal(HEAR(&s, "\5\2"), SOCKS5_MORE);
	SAYS(&s, "\1\2me\6secret");
	assert_int_equal(HEAR(&s, "\1\0"), SOCKS5_MORE);
	SAYS(&s, "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x19");
	/* Nothing of it is left. */
	assert_null(memmem(&s, sizeof(s), "secret", 6));
	assert_int_equal(HEAR(&s, "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
	    "\0\1"), SOCKS5_DONE);
	socks5_end(&s);
}

static void
a_login_that_nobody_wants(void **state)
{
	struct socks5 s;

	(void)state;
	begin(&s, "192.0.2.1", "me", "secret");
	s.out_n = 0;
	assert_int_equal(HEAR(&s, "\5\0"), SOCKS5_MORE);
	SAYS(&s, "\5\1\0\1\xc0\0\2\1\0\x19");
}

static void
a_name_for_the_proxy_to_look_up(void **state)
{
	struct socks5 s;

	(void)state;
	begin(&s, "mx.test", NULL, NULL);
	s.out_n = 0;
	HEAR(&s, "\5\0");
	SAYS(&s, "\5\1\0\3\7mx.test\0\x19");
	/* It may answer with a name, of any length. */
	assert_int_equal(HEAR(&s, "\5\0\0\3\3abc\0\1"), SOCKS5_DONE);
	begin(&s, "mx.test", NULL, NULL);
	HEAR(&s, "\5\0");
	assert_int_equal(HEAR(&s, "\5\0\0\3\0\0\1"), SOCKS5_DONE);
}

static void
only_what_is_beyond_the_proxy_is_not_its_fault(void **state)
{
	static const struct {
		uint8_t code;
		enum socks5_fault fault;
		const char *text;
	} replies[] = {
		{ 1, SOCKS5_FAULT_PROXY, "it has failed" },
		{ 2, SOCKS5_FAULT_PROXY, "rules" },
		{ 3, SOCKS5_FAULT_REMOTE, "Network is unreachable" },
		{ 4, SOCKS5_FAULT_REMOTE, "No route to host" },
		{ 5, SOCKS5_FAULT_REMOTE, "Connection refused" },
		{ 6, SOCKS5_FAULT_REMOTE, "timed out" },
		{ 7, SOCKS5_FAULT_PROXY, "CONNECT" },
		{ 8, SOCKS5_FAULT_PROXY, "address" },
		{ 200, SOCKS5_FAULT_PROXY, "it has failed" },
	};
	struct socks5 s;
	char reply[5] = { 5, 0, 0, 1, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		begin(&s, "192.0.2.1", NULL, NULL);
		assert_false(s.request_sent);
		HEAR(&s, "\5\0");
		assert_true(s.request_sent);
		reply[1] = (char)replies[i].code;
		assert_int_equal(hear(&s, reply, 5), SOCKS5_FAILED);
		assert_int_equal(s.fault, replies[i].fault);
		assert_non_null(strstr(s.why.text, replies[i].text));
		assert_int_equal(socks5_feed(&s, SLICE_LIT("x")),
		    SOCKS5_FAILED);
	}
}

static void
logins_that_fail(void **state)
{
	struct socks5 s;

	(void)state;
	begin(&s, "192.0.2.1", NULL, NULL);
	assert_int_equal(HEAR(&s, "\5\xff"), SOCKS5_FAILED);
	assert_int_equal(s.fault, SOCKS5_FAULT_LOGIN);
	assert_string_equal(s.why.text, "it wants a login");
	begin(&s, "192.0.2.1", "me", "secret");
	assert_int_equal(HEAR(&s, "\5\xff"), SOCKS5_FAILED);
	assert_int_equal(s.fault, SOCKS5_FAULT_LOGIN);
	begin(&s, "192.0.2.1", "me", "secret");
	HEAR(&s, "\5\2");
	assert_int_equal(HEAR(&s, "\1\1"), SOCKS5_FAILED);
	assert_int_equal(s.fault, SOCKS5_FAULT_LOGIN);
	assert_string_equal(s.why.text, "it refuses the login");
}

static void
what_is_no_socks(void **state)
{
	struct socks5 s;

	(void)state;
	begin(&s, "192.0.2.1", NULL, NULL);
	assert_int_equal(HEAR(&s, "HT"), SOCKS5_FAILED);
	assert_int_equal(s.fault, SOCKS5_FAULT_PROXY);
	begin(&s, "192.0.2.1", NULL, NULL);
	assert_int_equal(HEAR(&s, "\5\2"), SOCKS5_FAILED);
	begin(&s, "192.0.2.1", NULL, NULL);
	HEAR(&s, "\5\0");
	assert_int_equal(HEAR(&s, "\4\0\0\1\0"), SOCKS5_FAILED);
	begin(&s, "192.0.2.1", NULL, NULL);
	HEAR(&s, "\5\0");
	assert_int_equal(HEAR(&s, "\5\0\0\2\0"), SOCKS5_FAILED);
	assert_int_equal(s.fault, SOCKS5_FAULT_PROXY);
}

static void
what_cannot_be_said(void **state)
{
	struct socks5_options o = { .host = "x", .port = 25 };
	struct socks5 s;
	struct err e = { 0, "" };
	char longer[257];

	(void)state;
	memset(longer, 'a', 256);
	longer[256] = '\0';
	o.host = longer;
	assert_int_equal(socks5_begin(&s, &o, &e), -1);
	assert_int_equal(socks5_feed(&s, SLICE_LIT("x")), SOCKS5_FAILED);
	longer[255] = '\0';
	assert_int_equal(socks5_begin(&s, &o, &e), 0);
	o.username = longer;
	o.password = longer;
	assert_int_equal(socks5_begin(&s, &o, &e), 0);
	HEAR(&s, "\5\2");
	assert_int_equal(s.out_n, 513);
	longer[255] = 'a';
	assert_int_equal(socks5_begin(&s, &o, &e), -1);
	o.host = "x";
	assert_int_equal(socks5_begin(&s, &o, &e), -1);
	o.username = "";
	assert_int_equal(socks5_begin(&s, &o, &e), -1);
	o.host = "";
	assert_int_equal(socks5_begin(&s, &o, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_login),
		cmocka_unit_test(with_a_login),
		cmocka_unit_test(a_login_that_nobody_wants),
		cmocka_unit_test(a_name_for_the_proxy_to_look_up),
		cmocka_unit_test(
		    only_what_is_beyond_the_proxy_is_not_its_fault),
		cmocka_unit_test(logins_that_fail),
		cmocka_unit_test(what_is_no_socks),
		cmocka_unit_test(what_cannot_be_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How far addresses and networks reach, at the edges of each. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "mail/scope.h"

static enum mail_scope
scope(const char *text)
{
	struct mail_literal ip;

	memset(&ip, 0, sizeof(ip));
	ip.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(ip.family, text, ip.addr), 1);
	return mail_scope_of(&ip);
}

static void
addresses(void **state)
{
	static const struct {
		const char *ip;
		enum mail_scope want;
	} rows[] = {
		{ "9.255.255.255", MAIL_SCOPE_WORLD },
		{ "10.0.0.0", MAIL_SCOPE_PRIVATE },
		{ "10.255.255.255", MAIL_SCOPE_PRIVATE },
		{ "11.0.0.0", MAIL_SCOPE_WORLD },
		{ "172.15.255.255", MAIL_SCOPE_WORLD },
		{ "172.16.0.0", MAIL_SCOPE_PRIVATE },
		{ "172.31.255.255", MAIL_SCOPE_PRIVATE },
		{ "172.32.0.0", MAIL_SCOPE_WORLD },
		{ "192.167.255.255", MAIL_SCOPE_WORLD },
		{ "192.168.1.1", MAIL_SCOPE_PRIVATE },
		{ "192.169.0.0", MAIL_SCOPE_WORLD },
		{ "100.63.255.255", MAIL_SCOPE_WORLD },
		{ "100.64.0.0", MAIL_SCOPE_SHARED },
		{ "100.127.255.255", MAIL_SCOPE_SHARED },
		{ "100.128.0.0", MAIL_SCOPE_WORLD },
		{ "169.253.255.255", MAIL_SCOPE_WORLD },
		{ "169.254.0.1", MAIL_SCOPE_LINK },
		{ "169.255.0.0", MAIL_SCOPE_WORLD },
		{ "127.0.0.1", MAIL_SCOPE_MACHINE },
		{ "127.255.255.255", MAIL_SCOPE_MACHINE },
		{ "128.0.0.0", MAIL_SCOPE_WORLD },
		{ "0.0.0.0", MAIL_SCOPE_NONE },
		{ "0.1.2.3", MAIL_SCOPE_NONE },
		{ "1.0.0.0", MAIL_SCOPE_WORLD },
		{ "::", MAIL_SCOPE_NONE },
		{ "::1", MAIL_SCOPE_MACHINE },
		{ "::2", MAIL_SCOPE_WORLD },
		{ "fbff::1", MAIL_SCOPE_WORLD },
		{ "fc00::1", MAIL_SCOPE_PRIVATE },
		{ "fdff::1", MAIL_SCOPE_PRIVATE },
		{ "fe00::1", MAIL_SCOPE_WORLD },
		{ "fe7f::1", MAIL_SCOPE_WORLD },
		{ "fe80::1", MAIL_SCOPE_LINK },
		{ "febf::1", MAIL_SCOPE_LINK },
		{ "fec0::1", MAIL_SCOPE_WORLD },
		{ "2001:db8::1", MAIL_SCOPE_WORLD },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (scope(rows[i].ip) != rows[i].want)
			fail_msg("%s: %d", rows[i].ip,
			    (int)scope(rows[i].ip));
}

/* All of it has to be in one. */
static void
networks(void **state)
{
	static const uint8_t ten[16] = { 10 }, near[16] = { 172, 16 },
	    unique[16] = { 0xfc }, all[16] = { 0 };

	(void)state;
	assert_int_equal(mail_scope_of_net(false, ten, 8),
	    MAIL_SCOPE_PRIVATE);
	assert_int_equal(mail_scope_of_net(false, ten, 24),
	    MAIL_SCOPE_PRIVATE);
	assert_int_equal(mail_scope_of_net(false, ten, 7), MAIL_SCOPE_WORLD);
	assert_int_equal(mail_scope_of_net(false, near, 11),
	    MAIL_SCOPE_WORLD);
	assert_int_equal(mail_scope_of_net(true, unique, 7),
	    MAIL_SCOPE_PRIVATE);
	assert_int_equal(mail_scope_of_net(true, unique, 6),
	    MAIL_SCOPE_WORLD);
	assert_int_equal(mail_scope_of_net(false, all, 0), MAIL_SCOPE_WORLD);
	assert_int_equal(mail_scope_of_net(true, all, 0), MAIL_SCOPE_WORLD);
}

static void
what_the_world_does_not_see(void **state)
{
	(void)state;
	assert_true(mail_scope_is_hidden(scope("192.168.0.1")));
	assert_true(mail_scope_is_hidden(scope("100.100.0.1")));
	assert_false(mail_scope_is_hidden(scope("192.0.2.1")));
	assert_false(mail_scope_is_hidden(scope("127.0.0.1")));
	assert_false(mail_scope_is_hidden(scope("fe80::1")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(networks),
		cmocka_unit_test(what_the_world_does_not_see),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

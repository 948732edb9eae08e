/* Addresses and networks as text, both ways. */
#include <string.h>
#include <sys/un.h>

#include "io/fixture.h"
#include "io/sockaddr.h"

static const char *
round_trip(const char *text, uint16_t default_port)
{
	static char buf[SOCKADDR_TEXT_MAX];
	static struct err e;
	struct sockaddr_storage sa[2];
	size_t n;

	if (sockaddr_parse(slice_cstr(text), default_port, sa, &n, &e) < 0)
		return e.text;
	assert_int_equal(n, 1);
	return sockaddr_text(&sa[0], buf);
}

static struct sockaddr_storage
ip(const char *text)
{
	struct sockaddr_storage sa;

	assert_true(sockaddr_from_ip(slice_cstr(text), 25, &sa));
	return sa;
}

static void
addresses_are_read_and_written(void **state)
{
	(void)state;
	assert_string_equal(round_trip("1.2.3.4:25", 0), "1.2.3.4:25");
	assert_string_equal(round_trip("1.2.3.4", 587), "1.2.3.4:587");
	assert_string_equal(round_trip("[::1]:25", 0), "[::1]:25");
	assert_string_equal(round_trip("[2001:db8::1]", 25),
	    "[2001:db8::1]:25");
	assert_string_equal(round_trip("2001:db8::1", 25), "[2001:db8::1]:25");
	assert_string_equal(round_trip("[fe80::1%3]:25", 0), "[fe80::1%3]:25");
	assert_string_equal(round_trip("[::ffff:1.2.3.4]:25", 0),
	    "1.2.3.4:25");
	assert_string_equal(round_trip("unix:/run/x.sock", 25),
	    "unix:/run/x.sock");
}

static void
what_is_no_address_is_refused_with_the_reason(void **state)
{
	char path[200];

	(void)state;
	assert_string_equal(round_trip("1.2.3.4", 0), "a port is missing");
	assert_string_equal(round_trip("1.2.3.4:0", 0),
	    "\"0\" is no port (1 to 65535)");
	assert_string_equal(round_trip("1.2.3.4:65536", 0),
	    "\"65536\" is no port (1 to 65535)");
	assert_string_equal(round_trip("1.2.3.4:x", 0),
	    "\"x\" is no port (1 to 65535)");
	assert_string_equal(round_trip("1.2.3:25", 0),
	    "\"1.2.3\" is no IP address");
	assert_string_equal(round_trip("mail.example:25", 0),
	    "\"mail.example\" is no IP address");
	assert_string_equal(round_trip("[::1:25", 0), "\"]\" is missing");
	assert_non_null(strstr(round_trip("[::1]25", 0), "may stand behind"));
	assert_string_equal(round_trip("", 25), "\"\" is no IP address");
	memset(path, 'x', sizeof(path));
	memcpy(path, "unix:", 5);
	path[199] = '\0';
	assert_non_null(strstr(round_trip(path, 0), "1 to 107 octets"));
	assert_non_null(strstr(round_trip("unix:", 0), "octets"));
}

static void
a_star_is_both_families(void **state)
{
	struct sockaddr_storage sa[2];
	struct err e;
	char buf[SOCKADDR_TEXT_MAX];
	size_t n;

	(void)state;
	assert_int_equal(sockaddr_parse(SLICE_LIT("*:25"), 0, sa, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(sockaddr_text(&sa[0], buf), "[::]:25");
	assert_string_equal(sockaddr_text(&sa[1], buf), "0.0.0.0:25");
}

static void
host_and_port_are_told_apart(void **state)
{
	struct slice host;
	uint16_t port;
	struct err e;

	(void)state;
	assert_int_equal(sockaddr_split(SLICE_LIT("mail.example:587"), &host,
	    &port, &e), 0);
	assert_true(slice_eq_cstr(host, "mail.example"));
	assert_int_equal(port, 587);
	assert_int_equal(sockaddr_split(SLICE_LIT("mail.example"), &host,
	    &port, &e), 0);
	assert_int_equal(port, 0);
	assert_int_equal(sockaddr_split(SLICE_LIT("[::1]:26"), &host, &port,
	    &e), 0);
	assert_true(slice_eq_cstr(host, "::1"));
	assert_int_equal(port, 26);
	assert_int_equal(sockaddr_split(SLICE_LIT("a:"), &host, &port, &e),
	    -1);
}

static void
addresses_have_an_smtp_form(void **state)
{
	struct sockaddr_storage sa = ip("192.0.2.1");
	char buf[SOCKADDR_TEXT_MAX];

	(void)state;
	assert_string_equal(sockaddr_literal(&sa, buf), "[192.0.2.1]");
	sa = ip("2001:db8::1");
	assert_string_equal(sockaddr_literal(&sa, buf), "[IPv6:2001:db8::1]");
	assert_string_equal(sockaddr_ip_text(&sa, buf), "2001:db8::1");
	sa = ip("::ffff:192.0.2.1");
	assert_string_equal(sockaddr_literal(&sa, buf), "[192.0.2.1]");
	memset(&sa, 0, sizeof(sa));
	sa.ss_family = AF_UNIX;
	assert_string_equal(sockaddr_ip_text(&sa, buf), "unix");
	assert_string_equal(sockaddr_text(&sa, buf), "unix:");
}

static void
mapped_addresses_equal_their_ipv4(void **state)
{
	struct sockaddr_storage a = ip("::ffff:192.0.2.1");
	struct sockaddr_storage b = ip("192.0.2.1"), c = ip("192.0.2.2");
	struct sockaddr_storage d = ip("2001:db8::1");

	(void)state;
	assert_true(sockaddr_eq(&a, &b));
	assert_false(sockaddr_eq(&b, &c));
	assert_false(sockaddr_eq(&b, &d));
	assert_true(sockaddr_eq(&d, &d));
	sockaddr_set_port(&b, 26);
	assert_false(sockaddr_eq(&a, &b));
	assert_int_equal(sockaddr_port(&b), 26);
	sockaddr_unmap(&a);
	assert_int_equal(a.ss_family, AF_INET);
	assert_int_equal(sockaddr_len(&a), sizeof(struct sockaddr_in));
	assert_int_equal(sockaddr_len(&d), sizeof(struct sockaddr_in6));
}

static bool
in(const char *network, const char *address)
{
	struct sockaddr_storage sa = ip(address);
	struct net n;
	struct err e;

	assert_int_equal(net_parse(slice_cstr(network), &n, &e), 0);
	return net_match(&n, &sa);
}

static void
networks_match_what_is_in_them(void **state)
{
	struct sockaddr_storage sun = { .ss_family = AF_UNIX };
	struct net n;
	struct err e;
	char buf[SOCKADDR_TEXT_MAX];

	(void)state;
	assert_true(in("192.0.2.0/24", "192.0.2.255"));
	assert_false(in("192.0.2.0/24", "192.0.3.0"));
	assert_true(in("192.0.2.0/23", "192.0.3.1"));
	assert_true(in("192.0.2.7", "192.0.2.7"));
	assert_false(in("192.0.2.7", "192.0.2.6"));
	assert_true(in("0.0.0.0/0", "203.0.113.9"));
	assert_false(in("0.0.0.0/0", "2001:db8::1"));
	assert_true(in("::/0", "2001:db8::1"));
	assert_false(in("::/0", "203.0.113.9"));
	assert_true(in("2001:db8::/33", "2001:db8:7fff::"));
	assert_false(in("2001:db8::/33", "2001:db8:8000::"));
	assert_true(in("192.0.2.0/24", "::ffff:192.0.2.1"));
	assert_true(in("::ffff:192.0.2.0/120", "192.0.2.1"));
	assert_int_equal(net_parse(SLICE_LIT("10.0.0.0/8"), &n, &e), 0);
	assert_false(net_match(&n, &sun));
	assert_string_equal(net_text(&n, buf), "10.0.0.0/8");
}

static void
bad_networks_are_refused(void **state)
{
	static const char *const bad[] = { "", "/8", "10.0.0.0/33", "x/8",
	    "10.0.0.0/", "10.0.0.0/-1", "10.0.0.1/8", "2001:db8::/129",
	    "2001:db8::1/64", "::ffff:0.0.0.0/80", "fe80::1%3", NULL };
	struct net n;
	struct err e;
	int i;

	(void)state;
	for (i = 0; bad[i] != NULL; i++)
		if (net_parse(slice_cstr(bad[i]), &n, &e) == 0)
			fail_msg("%s was taken", bad[i]);
}

static void
loopback_is_known(void **state)
{
	struct sockaddr_storage sa;

	(void)state;
	sa = ip("127.0.0.53");
	assert_true(sockaddr_is_loopback(&sa));
	sa = ip("::1");
	assert_true(sockaddr_is_loopback(&sa));
	sa = ip("::ffff:127.0.0.1");
	assert_true(sockaddr_is_loopback(&sa));
	sa = ip("172.31.0.1");
	assert_false(sockaddr_is_loopback(&sa));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(what_is_no_address_is_refused_with_the_reason),
		cmocka_unit_test(a_star_is_both_families),
		cmocka_unit_test(host_and_port_are_told_apart),
		cmocka_unit_test(addresses_have_an_smtp_form),
		cmocka_unit_test(mapped_addresses_equal_their_ipv4),
		cmocka_unit_test(networks_match_what_is_in_them),
		cmocka_unit_test(bad_networks_are_refused),
		cmocka_unit_test(loopback_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

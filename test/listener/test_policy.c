/* Who may relay: the order of the rules in smarthostd.conf(5), as a table and
 * through sessions. */
#include "steps.h"

#include <string.h>

#include "listener/relay_policy.h"

static void
order_of_the_rules(void **state)
{
	static const struct {
		struct relay_standing s;
		enum relay_answer want;
	} table[] = {
		/* trusted, must_auth, authenticated, auth_offered */
		{ { false, false, false, false }, RELAY_NO },
		{ { false, false, false, true }, RELAY_NEEDS_AUTH },
		{ { false, false, true, false }, RELAY_YES },
		{ { true, false, false, false }, RELAY_YES },
		{ { true, false, false, true }, RELAY_YES },
		{ { true, true, false, true }, RELAY_NEEDS_AUTH },
		{ { true, true, false, false }, RELAY_NO },
		{ { true, true, true, false }, RELAY_YES },
		{ { false, true, true, false }, RELAY_YES },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++)
		assert_int_equal(relay_may(&table[i].s), table[i].want);
}

static void
required_authentication(void **state)
{
	struct conf_listen listen = { .auth = AUTH_REQUIRED };
	struct conf_client off = { .auth = AUTH_OFF };
	struct conf_client any = { .auth = AUTH_ANY };
	struct conf_client plain = { .auth = AUTH_UNSET };
	struct relay_origin net = { .kind = RELAY_FROM_NET };
	struct relay_origin submit = { .kind = RELAY_FROM_SUBMIT };

	(void)state;
	assert_true(relay_must_auth(&listen, NULL, &net));
	assert_true(relay_must_auth(&listen, &plain, &net));
	assert_false(relay_must_auth(&listen, &off, &net));
	assert_false(relay_must_auth(&listen, &any, &net));
	assert_false(relay_must_auth(&listen, NULL, &submit));
	listen.auth = AUTH_OPTIONAL;
	assert_false(relay_must_auth(&listen, NULL, &net));
}

const char conf[] =
    "local-domains home.test\n"
    "listen 127.0.0.1:2525 {\n"
    "  allow 127.0.0.0/8 192.168.1.0/24 fd00::/16\n"
    "  deny 192.168.1.66 10.0.0.0/8\n}\n"
    "listen 127.0.0.1:2526 {\n}\n"
    "listen unix:/run/x.sock {\n}\n"
    "listen 127.0.0.1:2527 { auth required }\n"
    "client 10.0.0.0/8 { auth off }\n"
    "client 172.16.0.0/16 { recipients boss@corp.test .home.test }\n"
    "client 172.16.5.0/24 { auth any }\n"
    "client 172.16.6.0/24 { auth off }\n";

/* The reply to a recipient elsewhere. */
static void
relays(size_t listen, const char *address, const char *want)
{
	struct client *c = greeted(listen, address);

	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<b@elsewhere.test>", want);
	client_close(&c);
}

static void
by_address(void **state)
{
	(void)state;
	relays(0, "127.0.0.1", "S: 250");
	relays(0, "192.168.1.7", "S: 250");
	relays(0, "fd00::7", "S: 250");
	relays(0, "::ffff:192.168.1.7", "S: 250");
	relays(0, "192.168.2.7", "S: 550 5.7.1");
	relays(0, "::1", "S: 550 5.7.1");
	relays(0, "2001:db8::1", "S: 550 5.7.1");
	relays(1, "::1", "S: 250");
	relays(1, "10.9.9.9", "S: 250");
	relays(2, NULL, "S: 250");
	relays(FIXTURE_SUBMIT, NULL, "S: 250");
	relays(3, "172.16.6.1", "S: 250");
}

static void
denied_at_the_greeting(void **state)
{
	struct client *c = client_connect(&f, 0, "192.168.1.66");

	(void)state;
	dialogue(c, "S: 554 5.7.1", "S: ");
	client_close(&c);
	c = client_connect(&f, 0, "10.9.9.9");
	dialogue(c, "S: 554", "S: ");
	client_close(&c);
	assert_int_equal(f.l->session_count, 0);
}

static void
everybody_may_write_to_local_users(void **state)
{
	struct client *c = greeted(0, "203.0.113.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<root@home.test>", "S: 250",
	    "C: RCPT TO:<root@sub.home.test>", "S: 550 5.7.1");
	client_close(&c);
}

static void
recipients_of_a_client(void **state)
{
	struct client *c = greeted(0, "172.16.0.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<Boss@corp.test>", "S: 250",
	    "C: RCPT TO:<root@home.test>", "S: 250",
	    "C: RCPT TO:<other@corp.test>", "S: 550 5.7.1");
	client_close(&c);
	/* the longest matching network wins */
	relays(0, "172.16.5.1", "S: 250");
}

static void
required_means_before_mail(void **state)
{
	struct client *c = greeted(3, "127.0.0.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 550 5.7.1");
	client_close(&c);
}

static void
any_login_is_taken_and_counts_for_nothing(void **state)
{
	struct client *c = client_connect(&f, 3, "172.16.5.1");

	(void)state;
	client_text(c, "EHLO x\r\n");
	dialogue(c, "S: 220");
	assert_non_null(strstr(client_reply(c), "250-AUTH PLAIN LOGIN\r\n"));
	dialogue(c, "C: AUTH LOGIN", "S: 334 VXNlcm5hbWU6", "C: eA==",
	    "S: 334 UGFzc3dvcmQ6", "C: not base64 at all", "S: 235 2.7.0",
	    "C: AUTH PLAIN", "S: 503",
	    "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<b@y.test>", "S: 250", "C: DATA", "S: 354",
	    "C: x\r\n.", "S: 250");
	assert_null(fixture_mail(&f, 0)->env.login);
	assert_int_equal(f.auth_started, 0);
	client_close(&c);
	c = greeted(3, "172.16.5.1");
	dialogue(c, "C: AUTH PLAIN", "S: 334",
	    "C: *", "S: 501", "C: AUTH CRAM-MD5", "S: 334", "C: zzz", "S: 235");
	client_close(&c);
	c = greeted(3, "172.16.5.1");
	dialogue(c, "C: AUTH PLAIN AGEAYg==", "S: 235");
	client_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_the_rules),
		cmocka_unit_test(required_authentication),
		T(by_address), T(denied_at_the_greeting),
		T(everybody_may_write_to_local_users),
		T(recipients_of_a_client), T(required_means_before_mail),
		T(any_login_is_taken_and_counts_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

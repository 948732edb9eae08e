/* AUTH: what is offered when, exchanges with the auth role, what a login may
 * do; and that role's absence. */
#include "steps.h"

#include <stdio.h>
#include <string.h>

#define WRONG "AGpvZQBhYWFhYWE="
#define OFFER "AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"

const char conf[] =
    "listen 127.0.0.1:2525 {\n}\n"
    "listen 127.0.0.1:2526 { auth required }\n"
    "listen 127.0.0.1:2527 { auth off }\n"
    "listen 127.0.0.1:2528 { auth-without-tls on; auth-mechanisms LOGIN }\n"
    "listen 127.0.0.1:2529 { auth-without-tls off }\n"
    "listen 127.0.0.1:2530 { auth-mechanisms CRAM-MD5 EXTERNAL }\n"
    "login joe { password x; senders joe@x.test .joe.test;"
    " recipients *@y.test z.test }\n"
    "login ann { password y }\n";

/* What EHLO offers: "" for nothing. */
static const char *
offered(size_t listen, const char *address)
{
	struct client *c = client_connect(&f, listen, address);
	static char line[128];
	const char *at;

	dialogue(c, "S: 220");
	client_text(c, "EHLO x\r\n");
	at = strstr(client_reply(c), "AUTH");
	line[0] = '\0';
	if (at != NULL)
		sscanf(at, "%127[^\r]", line);
	client_close(&c);
	return line;
}

static void
what_is_offered(void **state)
{
	(void)state;
	assert_string_equal(offered(0, "127.0.0.1"), OFFER);
	assert_string_equal(offered(0, "::1"), OFFER);
	assert_string_equal(offered(0, "192.0.2.1"), "");
	assert_string_equal(offered(2, "127.0.0.1"), "");
	assert_string_equal(offered(3, "192.0.2.1"), "AUTH LOGIN");
	assert_string_equal(offered(4, "127.0.0.1"), "");
	assert_string_equal(offered(5, "127.0.0.1"), "AUTH CRAM-MD5");
}

/* What no login could use is not shown. */
static void
what_is_offered_goes_by_the_secrets(void **state)
{
	static const struct {
		const char *secret, *offer;
	} cases[] = {
		{ "password x", OFFER },
		{ "password command \"/bin/echo x\"", OFFER },
		{ "password hash $6$salt$hash", "AUTH PLAIN LOGIN" },
		{ "password hash SCRAM-SHA-1$4096:AAAA$AAAA:AAAA",
		    "AUTH SCRAM-SHA-1 PLAIN LOGIN" },
		{ "password hash SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
		    "AUTH SCRAM-SHA-256 PLAIN LOGIN" },
	};
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fixture_stop(&f);
		snprintf(text, sizeof(text), "login joe { %s }\n",
		    cases[i].secret);
		fixture_start(&f, text);
		assert_string_equal(offered(0, "127.0.0.1"), cases[i].offer);
	}
}

/* -PLUS needs a TLS session, EXTERNAL a certificate. */
static void
what_needs_tls_is_not_taken_without(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	dialogue(c, "C: AUTH SCRAM-SHA-256-PLUS", "S: 504", "C: AUTH EXTERNAL",
	    "S: 504", "C: AUTH EXTERNAL =", "S: 504", "C: AUTH CRAM-MD5",
	    "S: 504");
	client_close(&c);
}

static void
plain_and_login(void **state)
{
	struct client *c = greeted(1, "127.0.0.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<joe@x.test>", "S: 530 5.7.0",
	    "C: auth plain " JOE, "S: 235 2.7.0",
	    "C: AUTH PLAIN " JOE, "S: 503",
	    "C: MAIL FROM:<joe@x.test> AUTH=<>", "S: 250",
	    "C: RCPT TO:<b@y.test>", "S: 250",
	    "C: RCPT TO:<b@other.test>", "S: 550 5.7.1",
	    "C: RCPT TO:<b@z.test>", "S: 250", "C: DATA", "S: 354",
	    "C: Subject: x\r\n\r\n.", "S: 250");
	assert_string_equal(fixture_mail(&f, 0)->env.login, "joe");
	assert_non_null(strstr(f.mail[0].body.p, "Date: "));
	client_text(c, "EHLO x\r\n");
	assert_null(strstr(client_reply(c), "AUTH"));
	client_close(&c);
	c = greeted(1, "127.0.0.1");
	dialogue(c, "C: AUTH  PLAIN", "S: 334 ", "C: " JOE, "S: 235");
	client_close(&c);
	c = greeted(1, "127.0.0.1");
	dialogue(c, "C: AUTH LOGIN", "S: 334 VXNlcm5hbWU6", "C: am9l",
	    "S: 334 UGFzc3dvcmQ6", "C: c2VzYW1l", "S: 235");
	client_close(&c);
	c = greeted(1, "127.0.0.1");
	dialogue(c, "C: AUTH LOGIN am9l", "S: 334 UGFzc3dvcmQ6", "C: c2VzYW1l",
	    "S: 235");
	client_close(&c);
}

static void
whose_addresses(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	dialogue(c, "C: AUTH PLAIN " JOE, "S: 235",
	    "C: MAIL FROM:<ann@x.test>", "S: 553 5.7.1",
	    "C: MAIL FROM:<>", "S: 250", "C: RSET", "S: 250",
	    "C: MAIL FROM:<any@sub.joe.test>", "S: 250", "C: RSET", "S: 250",
	    "C: MAIL FROM:<JOE@X.test>", "S: 250");
	client_close(&c);
}

static void
what_is_refused(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	dialogue(c, "S: 220", "C: AUTH PLAIN " JOE, "S: 503",
	    "C: EHLO x", "S: 250",
	    "C: AUTH", "S: 501", "C: AUTH NOSUCH", "S: 504 5.5.4",
	    "C: AUTH PLAIN " WRONG, "S: 535 5.7.8",
	    "C: AUTH PLAIN !!!", "S: 501 5.5.2",
	    "C: AUTH PLAIN", "S: 334", "C: ???", "S: 501 5.5.2",
	    "C: AUTH PLAIN =", "S: 535",
	    "C: AUTH LOGIN", "S: 334", "C: *", "S: 501 5.0.0",
	    "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: AUTH PLAIN " JOE, "S: 503", "C: RSET", "S: 250",
	    "C: AUTH PLAIN " JOE, "S: 235");
	client_close(&c);
	c = greeted(0, "192.0.2.1");
	dialogue(c, "C: AUTH PLAIN " JOE, "S: 538 5.7.11");
	client_close(&c);
	c = greeted(2, "127.0.0.1");
	dialogue(c, "C: AUTH PLAIN " JOE, "S: 502");
	client_close(&c);
}

static void
stranger_with_auth_offered(void **state)
{
	struct client *c = greeted(3, "192.0.2.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<b@y.test>", "S: 530 5.7.0");
	client_close(&c);
}

static void
long_exchange_lines(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");
	static char line[14000];

	(void)state;
	memset(line, 'A', sizeof line);
	client_text(c, "AUTH PLAIN ");
	client_send(c, line, 12000);
	dialogue(c, "C: ", "S: 535", "C: AUTH PLAIN", "S: 334");
	client_send(c, line, 12288);
	dialogue(c, "C: ", "S: 535", "C: AUTH PLAIN", "S: 334");
	client_send(c, line, 14000);
	/* And that is its end (RFC 4954 section 6). */
	dialogue(c, "C: ", "S: 500 5.5.6", "C: NOOP", "S: 250");
	client_close(&c);
}

static void
the_auth_role_is_away(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	struct client *d = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	dialogue(d, "S: 220", "C: EHLO x", "S: 250", "C: AUTH LOGIN",
	    "S: 334");
	dialogue(c, "S: 220", "C: EHLO x", "S: 250",
	    "C: AUTH PLAIN Y3Jhc2g=", "S: 454 4.7.0");	/* "crash" */
	assert_string_equal(offered(0, "127.0.0.1"), "");
	dialogue(c, "C: AUTH PLAIN " JOE, "S: 454 4.7.0");
	fixture_connect_auth(&f);
	dialogue(d, "C: am9l", "S: 454 4.7.0");
	dialogue(c, "C: AUTH PLAIN " JOE, "S: 235");
	assert_string_equal(offered(0, "127.0.0.1"), OFFER);
	client_close(&c);
	client_close(&d);
}

static void
a_client_that_leaves_in_between(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	dialogue(c, "C: AUTH LOGIN", "S: 334");
	client_close(&c);
	fixture_settle(&f);
	assert_int_equal(f.l->session_count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_offered), T(what_is_offered_goes_by_the_secrets),
		T(what_needs_tls_is_not_taken_without),
		T(plain_and_login), T(whose_addresses),
		T(what_is_refused), T(stranger_with_auth_offered),
		T(long_exchange_lines), T(the_auth_role_is_away),
		T(a_client_that_leaves_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* STARTTLS and implicit TLS: what is forgotten, what closes, old versions. */
#include "steps.h"

#include <string.h>

#include <openssl/ssl.h>

const char conf[] =
    "listen 127.0.0.1:2525 { certificate cert }\n"
    "listen 127.0.0.1:2526 { tls implicit; certificate cert }\n"
    "listen 127.0.0.1:2527 { tls required; certificate cert }\n"
    "listen 127.0.0.1:2528 { certificate cert; auth required }\n"
    "client 10.0.0.1 { min-tls 1.0 }\n"
    "client 10.0.0.2 { min-tls 1.3 }\n"
    "login joe { password x }\n";

static void
starttls(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	struct received_mail *m;

	(void)state;
	client_text(c, "EHLO x\r\n");
	dialogue(c, "S: 220");
	assert_non_null(strstr(client_reply(c), "250-STARTTLS\r\n"));
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 250", "C: RSET", "S: 250",
	    "C: STARTTLS", "S: 220 2.0.0");
	assert_int_equal(client_start_tls(c, 0), 0);
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 503");	/* forgotten */
	client_text(c, "EHLO y\r\n");
	assert_null(strstr(client_reply(c), "STARTTLS"));
	dialogue(c, "C: STARTTLS", "S: 503", "C: MAIL FROM:<a@x.test>",
	    "S: 250", "C: RCPT TO:<b@y.test>", "S: 250", "C: DATA", "S: 354",
	    "C: x\r\n.", "S: 250");
	m = fixture_mail(&f, 0);
	assert_non_null(m->env.tls);
	assert_memory_equal(m->env.tls, "TLSv1.3 TLS_", 12);
	assert_string_equal(m->env.helo, "y");
	dialogue(c, "C: QUIT", "S: 221", "S: ");
	client_close(&c);
}

static void
plaintext_behind_starttls(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	client_text(c, "STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n");
	while (!client_is_closed(c))
		assert_memory_equal(client_reply(c), "220", 3);
	client_close(&c);
	assert_int_equal(f.l->session_count, 0);
}

static void
a_handshake_that_is_none(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	dialogue(c, "C: STARTTLS", "S: 220");
	client_text(c, "EHLO again\r\n");
	client_wait_closed(c);
	client_close(&c);
	c = greeted(0, "127.0.0.1");
	dialogue(c, "C: STARTTLS", "S: 220");
	client_shut(c);
	client_wait_closed(c);
	client_close(&c);
	fixture_settle(&f);
	assert_int_equal(f.l->session_count, 0);
}

static void
implicit(void **state)
{
	struct client *c = client_connect(&f, 1, "127.0.0.1");

	(void)state;
	assert_true(client_is_silent(c));
	assert_int_equal(client_start_tls(c, 0), 0);
	dialogue(c, "S: 220 relay.test", "C: EHLO x", "S: 250",
	    "C: AUTH PLAIN " JOE, "S: 235", "C: QUIT", "S: 221", "S: ");
	client_close(&c);
}

static void
required(void **state)
{
	struct client *c = greeted(2, "127.0.0.1");

	(void)state;
	dialogue(c, "C: NOOP", "S: 250",
	    "C: MAIL FROM:<a@x.test>", "S: 530 5.7.0",
	    "C: AUTH PLAIN " JOE, "S: 530 5.7.0", "C: STARTTLS",
	    "S: 220");
	assert_int_equal(client_start_tls(c, 0), 0);
	dialogue(c, "C: EHLO x", "S: 250", "C: MAIL FROM:<a@x.test>", "S: 250");
	client_close(&c);
}

static void
auth_waits_for_tls(void **state)
{
	struct client *c = client_connect(&f, 3, "192.0.2.1");

	(void)state;
	client_text(c, "EHLO x\r\n");
	dialogue(c, "S: 220");
	assert_null(strstr(client_reply(c), "AUTH"));
	dialogue(c, "C: AUTH PLAIN " JOE, "S: 538 5.7.11",
	    "C: MAIL FROM:<a@x.test>", "S: 530 5.7.0",
	    "C: STARTTLS", "S: 220");
	assert_int_equal(client_start_tls(c, 0), 0);
	client_text(c, "EHLO x\r\n");
	assert_non_null(strstr(client_reply(c), "250-AUTH SCRAM-SHA-256-PLUS "
	    "SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN\r\n"));
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 530 5.7.0",
	    "C: AUTH PLAIN " JOE, "S: 235",
	    "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<b@y.test>", "S: 250");
	client_close(&c);
}

static void
with_version(const char *address, int version, bool works)
{
	struct client *c = greeted(0, address);

	dialogue(c, "C: STARTTLS", "S: 220");
	assert_int_equal(client_start_tls(c, version), works ? 0 : -1);
	if (works)
		dialogue(c, "C: EHLO x", "S: 250");
	client_close(&c);
	fixture_settle(&f);
	assert_int_equal(f.l->session_count, 0);
}

static void
old_versions_by_client(void **state)
{
	(void)state;
	with_version("127.0.0.1", TLS1_3_VERSION, true);
	with_version("127.0.0.1", TLS1_2_VERSION, true);
	with_version("127.0.0.1", TLS1_1_VERSION, false);
	with_version("10.0.0.1", TLS1_VERSION, true);
	with_version("10.0.0.2", TLS1_2_VERSION, false);
	with_version("10.0.0.2", TLS1_3_VERSION, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(starttls), T(plaintext_behind_starttls),
		T(a_handshake_that_is_none), T(implicit), T(required),
		T(auth_waits_for_tls), T(old_versions_by_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

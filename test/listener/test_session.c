/* The dialogue of a session: order of commands, pipelining, what is offered,
 * what is refused and how, how it ends. */
#include "steps.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/msg.h"

const char conf[] =
    "listen 127.0.0.1:2525 {\n}\n"
    "max-recipients 3\nmax-message-size 1M\n"
    "local-domains home.test\n";

static void
a_message_goes_in(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	struct received_mail *m;

	(void)state;
	dialogue(c, "S: 220 relay.test ESMTP",
	    "C: EHLO client.test", "S: 250 ",
	    "C: MAIL FROM:<a@x.test> SIZE=100 BODY=8BITMIME", "S: 250 2.1.0",
	    "C: RCPT TO:<b@y.test>", "S: 250 2.1.5",
	    "C: RCPT TO:<c@z.test>", "S: 250 2.1.5",
	    "C: DATA", "S: 354 ",
	    "C: Subject: x\r\n\r\n..dot\r\n.", "S: 250 2.0.0 Ok: queued as ",
	    "C: QUIT", "S: 221 2.0.0", "S: ");
	m = fixture_mail(&f, 0);
	assert_string_equal(m->body.p, "Subject: x\r\n\r\n.dot\r\n");
	assert_string_equal(m->env.from, "a@x.test");
	assert_int_equal(m->env.recipient_count, 2);
	assert_string_equal(m->env.recipients[1].address, "c@z.test");
	assert_string_equal(m->env.client, "127.0.0.1");
	assert_string_equal(m->env.helo, "client.test");
	assert_string_equal(m->env.listener, "127.0.0.1:2525");
	assert_int_equal(m->env.protocol, MAIL_PROTO_ESMTP);
	assert_int_equal(m->env.flags, ENVELOPE_8BITMIME);
	assert_int_equal(m->env.uid, -1);
	assert_int_equal(m->env.size, m->body.n);
	client_close(&c);
}

static void
helo_and_old_devices(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	struct received_mail *m;

	(void)state;
	dialogue(c, "S: 220",
	    "C: helo Printer_2 (floor 3)", "S: 250 relay.test",
	    "C: mail from: <a@x.test>", "S: 250",
	    "C: rcpt to: <b@y.test>", "S: 250",
	    "C: data", "S: 354", "C: scan\r\n.", "S: 250");
	m = fixture_mail(&f, 0);
	assert_int_equal(m->env.protocol, MAIL_PROTO_SMTP);
	assert_string_equal(m->body.p, "scan\r\n");
	client_close(&c);
}

static void
ehlo_offers_what_is_honoured(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	const char *r;

	(void)state;
	dialogue(c, "S: 220");
	client_text(c, "EHLO x\r\n");
	r = client_reply(c);
	assert_non_null(strstr(r, "250-PIPELINING\r\n"));
	assert_non_null(strstr(r, "250-SIZE 1048576\r\n"));
	assert_non_null(strstr(r, "250-8BITMIME\r\n"));
	assert_non_null(strstr(r, "250-SMTPUTF8\r\n"));
	assert_non_null(strstr(r, "250-CHUNKING\r\n"));
	assert_non_null(strstr(r, "250-LIMITS RCPTMAX=3\r\n"));
	assert_non_null(strstr(r, "ENHANCEDSTATUSCODES\r\n"));
	assert_null(strstr(r, "STARTTLS"));
	assert_null(strstr(r, "AUTH"));
	assert_null(strstr(r, "DSN"));
	client_close(&c);
}

static void
a_whole_group_may_come_at_once(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	client_text(c, "EHLO x\r\nMAIL FROM:<a@x.test>\r\n"
	    "RCPT TO:<b@home.test>\r\nRCPT TO:<unknown@home.test>\r\n"
	    "RCPT TO:<c@y.test>\r\nDATA\r\n");
	dialogue(c, "S: 220", "S: 250", "S: 250 2.1.0", "S: 250 2.1.5",
	    "S: 550 5.1.1", "S: 250 2.1.5", "S: 354");
	client_text(c, "one\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<d@y.test>\r\n"
	    "DATA\r\n");
	dialogue(c, "S: 250", "S: 250", "S: 250", "S: 354");
	client_text(c, "two\r\n.\r\nQUIT\r\n");
	dialogue(c, "S: 250", "S: 221", "S: ");
	assert_int_equal(f.verified, 2);
	assert_int_equal(fixture_mail(&f, 0)->env.recipient_count, 2);
	assert_string_equal(fixture_mail(&f, 1)->env.from, "");
	assert_string_equal(fixture_mail(&f, 1)->body.p, "two\r\n");
	assert_true(f.mail[1].env.id > f.mail[0].env.id);
	client_close(&c);
}

static void
commands_out_of_order(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	dialogue(c, "S: 220",
	    "C: MAIL FROM:<a@x.test>", "S: 503 5.5.1",
	    "C: EHLO x", "S: 250",
	    "C: RCPT TO:<b@y.test>", "S: 503 5.5.1",
	    "C: DATA", "S: 503 5.5.1",
	    "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: MAIL FROM:<a@x.test>", "S: 503 5.5.1",
	    "C: DATA", "S: 554 5.5.1",
	    "C: STARTTLS", "S: 503 5.5.1",
	    "C: RSET", "S: 250",
	    "C: RCPT TO:<b@y.test>", "S: 503",
	    "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: EHLO y", "S: 250",		/* resets */
	    "C: RCPT TO:<b@y.test>", "S: 503");
	client_close(&c);
}

static void
small_verbs(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	dialogue(c, "S: 220", "C: NOOP whatever", "S: 250", "C: HELP", "S: 214",
	    "C: VRFY root", "S: 252", "C: EXPN list", "S: 502 5.5.1",
	    "C: RSET", "S: 250", "C: FROBNICATE", "S: 500 5.5.2",
	    "C: AUTH PLAIN", "S: 503", "C: STARTTLS", "S: 502 5.5.1",
	    "C: EHLO", "S: 501", "C: HELO x", "S: 250",
	    "C: AUTH PLAIN AAAA", "S: 502", "C: RSET x", "S: 501");
	client_close(&c);
}

static void
addresses_that_are_refused(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<a@b@c>", "S: 501 5.1.7",
	    "C: MAIL FROM:<a@x.test> FOO=1", "S: 555 5.5.4",
	    "C: MAIL FROM:<a@x.test> SIZE=x", "S: 501 5.5.4",
	    "C: MAIL FROM:<a@x.test> SIZE=1048577", "S: 552 5.3.4",
	    "C: MAIL FROM:<a@x.test> SIZE=99999999999999999999", "S: 552 5.3.4",
	    "C: MAIL FROM:<\303\244@x.test>", "S: 553 5.6.7",
	    "C: MAIL FROM:<\303\244@x.test> SMTPUTF8", "S: 250",
	    "C: RCPT TO:<>", "S: 501 5.1.3",
	    "C: RCPT TO:<a b@y.test>", "S: 501 5.1.3",
	    "C: RCPT TO:<\303\266@y.test>", "S: 250",
	    "C: RCPT TO:<2@y.test>", "S: 250",
	    "C: RCPT TO:<3@y.test>", "S: 250",
	    "C: RCPT TO:<4@y.test>", "S: 452 4.5.3",
	    "C: DATA", "S: 354", "C: .", "S: 250");
	assert_int_equal(fixture_mail(&f, 0)->env.recipient_count, 3);
	assert_int_equal(f.mail[0].env.flags, ENVELOPE_SMTPUTF8);
	assert_int_equal(f.mail[0].body.n, 0);
	client_close(&c);
}

static void
bare_addresses_get_our_domain(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<root>", "S: 250", "C: RCPT TO:<postmaster>",
	    "S: 250", "C: RCPT TO:<cron>", "S: 250", "C: DATA", "S: 354",
	    "C: x\r\n.", "S: 250");
	assert_string_equal(fixture_mail(&f, 0)->env.from, "root@relay.test");
	assert_string_equal(f.mail[0].env.recipients[0].address,
	    "postmaster@relay.test");
	/* relay.test is no local domain here, but postmaster is ours */
	assert_int_equal(f.verified, 1);
	client_close(&c);
}

static void
local_recipients_are_verified(void **state)
{
	struct client *c = greeted(0, "203.0.113.9");

	(void)state;
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<unknown.user@Home.Test>", "S: 550 5.1.1 No such",
	    "C: RCPT TO:<b@y.test>", "S: 550 5.7.1",
	    "C: RCPT TO:<root@HOME.test>", "S: 250",
	    "C: DATA", "S: 354", "C: x\r\n.", "S: 250");
	assert_int_equal(f.verified, 2);
	assert_int_equal(fixture_mail(&f, 0)->env.recipient_count, 1);
	client_close(&c);
}

static void
over_long_lines(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");
	static char line[200000];

	(void)state;
	memset(line, 'x', sizeof line);
	client_text(c, "NOOP ");
	client_send(c, line, 2040);
	dialogue(c, "C: ", "S: 250");
	client_send(c, line, sizeof line);
	dialogue(c, "C: ", "S: 500 5.5.2", "C: NOOP", "S: 250");
	client_text(c, "MAIL FROM:<");
	client_send(c, line, 5000);
	dialogue(c, "C: >", "S: 500 5.5.2", "C: NOOP", "S: 250");
	client_close(&c);
}

static void
bare_line_ends_in_commands_close(void **state)
{
	static const char *const bad[] = { "NOOP\n", "NOOP\rX\r\n",
	    "EHLO x\r\nMAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\r\n" };
	struct client *c;
	const char *r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		c = client_connect(&f, 0, "127.0.0.1");
		dialogue(c, "S: 220");
		client_text(c, bad[i]);
		do
			r = client_reply(c);
		while (strncmp(r, "250", 3) == 0);
		assert_memory_equal(r, "521 5.5.2", 9);
		assert_true(client_is_closed(c));
		client_close(&c);
	}
}

static void
a_nul_in_a_command(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	client_send(c, "NO\0OP\r\nNOOP\r\n", 13);
	dialogue(c, "S: 220", "S: 500 5.5.2", "S: 250");
	client_close(&c);
}

static void
http_and_tls_are_sent_away(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	dialogue(c, "S: 220", "C: GET / HTTP/1.1", "S: 421", "S: ");
	client_close(&c);
	c = client_connect(&f, 0, "127.0.0.1");
	client_send(c, "\026\003\001\002\000\001", 6);
	dialogue(c, "S: 220", "S: 500", "S: ");
	client_close(&c);
}

static void
twenty_errors_are_enough(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	int i;

	(void)state;
	dialogue(c, "S: 220");
	for (i = 0; i < 20; i++)
		dialogue(c, "C: BLAH", "S: 500 5.5.2");
	dialogue(c, "S: 421 4.7.0", "S: ");
	client_close(&c);
}

static void
garbage_harms_nobody_else(void **state)
{
	struct client *good = client_connect(&f, 0, "127.0.0.1");
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	unsigned char junk[40000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof junk; i++)
		junk[i] = (unsigned char)(i * 7919 >> 3);
	dialogue(c, "S: 220");
	client_send(c, junk, sizeof junk);
	client_wait_closed(c);
	client_close(&c);
	dialogue(good, "S: 220", "C: NOOP", "S: 250");
	client_close(&good);
}

static void
half_closed_sockets_get_their_answers(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	client_text(c, "EHLO x\r\nMAIL FROM:<a@x.test>\r\n"
	    "RCPT TO:<b@y.test>\r\nDATA\r\n");
	dialogue(c, "S: 220", "S: 250", "S: 250", "S: 250", "S: 354");
	client_text(c, "x\r\n.\r\nNOOP\r\n");
	client_shut(c);
	dialogue(c, "S: 250 2.0.0 Ok: queued", "S: 250", "S: ");
	assert_int_equal(f.mails, 1);
	client_close(&c);
	/* in the midst of a message: it is nobody's */
	c = to_data(0, "127.0.0.1");
	dialogue(c, "C: half a mess");
	client_shut(c);
	dialogue(c, "S: ");
	client_close(&c);
	fixture_settle(&f);
	assert_int_equal(f.mails, 1);
	assert_int_equal(f.l->session_count, 0);
}

static void
a_client_that_does_not_read(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	char noops[6 * 2000];
	size_t i, replies = 0;

	(void)state;
	dialogue(c, "S: 220");
	for (i = 0; i < 2000; i++)
		memcpy(noops + 6 * i, "NOOP\r\n", 6);
	for (i = 0; i < 10; i++) {
		client_send(c, noops, sizeof noops);
		fixture_settle(&f);
	}
	while (replies < 20000) {
		assert_memory_equal(client_reply(c), "250", 3);
		replies++;
	}
	dialogue(c, "C: QUIT", "S: 221");
	client_close(&c);
}

static void
submission_by_unix_socket(void **state)
{
	struct client *c = client_connect(&f, FIXTURE_SUBMIT, NULL);
	struct received_mail *m;
	char uid[32];

	(void)state;
	snprintf(uid, sizeof uid, "uid:%u", (unsigned)getuid());
	dialogue(c, "S: 220", "C: EHLO localhost", "S: 250",
	    "C: MAIL FROM:<a@x.test> RET=HDRS ENVID=q1", "S: 250",
	    "C: RCPT TO:<b@elsewhere.test> NOTIFY=SUCCESS,FAILURE", "S: 250",
	    "C: DATA", "S: 354", "C: Subject: s\r\n\r\nx\r\n.", "S: 250");
	m = fixture_mail(&f, 0);
	assert_int_equal(m->env.protocol, MAIL_PROTO_LOCAL);
	assert_string_equal(m->env.client, uid);
	assert_int_equal(m->env.uid, getuid());
	assert_int_equal(m->env.ret, MAIL_RET_HDRS);
	assert_string_equal(m->env.envid, "q1");
	assert_int_equal(m->env.recipients[0].notify,
	    MAIL_NOTIFY_SUCCESS | MAIL_NOTIFY_FAILURE);
	/* submitted mail is completed */
	assert_non_null(strstr(m->body.p, "Date: "));
	assert_non_null(strstr(m->body.p, "Message-ID: <"));
	assert_non_null(strstr(m->body.p, "From: <a@x.test>\r\n"));
	assert_non_null(strstr(m->body.p, "\r\nSubject: s\r\n\r\nx\r\n"));
	client_close(&c);
}

static void
statistics_reach_the_queue(void **state)
{
	struct client *a = client_connect(&f, 0, "127.0.0.1");
	struct client *b = client_connect(&f, 0, "127.0.0.1");
	struct client *u = client_connect(&f, FIXTURE_SUBMIT, NULL);

	(void)state;
	dialogue(a, "S: 220");
	dialogue(b, "S: 220");
	dialogue(u, "S: 220");
	while (f.open[0] != 2 || f.open[1] != 1)
		loop_turn(f.loop, true);
	client_close(&b);
	while (f.open[0] != 1)
		loop_turn(f.loop, true);
	client_close(&a);
	client_close(&u);
}

static void
a_drain_lets_messages_finish(void **state)
{
	struct client *idle = client_connect(&f, 0, "127.0.0.1");
	struct client *busy = to_data(0, "127.0.0.1");

	(void)state;
	dialogue(idle, "S: 220");
	f.l->base.draining = true;
	listener_ops.drain(f.l);
	dialogue(idle, "S: 421 4.3.2", "S: ");
	dialogue(busy, "C: x\r\n.", "S: 250 2.0.0", "S: 421 4.3.2", "S: ");
	assert_int_equal(fixture_mail(&f, 0)->body.n, 3);
	client_close(&idle);
	client_close(&busy);
	loop_run(f.loop);		/* ends by itself */
}

static void
what_monitor_may_not_hand_over(void **state)
{
	struct msg_listen unknown = { .kind = LISTEN_SMTP, .index = 9 };
	struct msg_listen control = { .kind = LISTEN_CONTROL };
	struct msg_peer delivery = { .role = ROLE_DELIVERY };
	struct listener *fresh = listener_new(f.loop, -1);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(listener_ops.start(fresh, &e), -1);
	assert_int_equal(listener_ops.view(fresh, SLICE_LIT("junk"), &e), -1);
	assert_int_equal(listener_ops.listen(fresh, &unknown, dup(0), &e), -1);
	listener_free(&fresh);
	assert_int_equal(listener_ops.view(f.l, SLICE_LIT("junk"), &e), -1);
	assert_int_equal(listener_ops.listen(f.l, &unknown, dup(0), &e), -1);
	assert_int_equal(listener_ops.listen(f.l, &control, dup(0), &e), -1);
	assert_int_equal(listener_ops.peer(f.l, &delivery, dup(0), &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_message_goes_in), T(helo_and_old_devices),
		T(ehlo_offers_what_is_honoured),
		T(a_whole_group_may_come_at_once), T(commands_out_of_order),
		T(small_verbs), T(addresses_that_are_refused),
		T(bare_addresses_get_our_domain),
		T(local_recipients_are_verified), T(over_long_lines),
		T(bare_line_ends_in_commands_close), T(a_nul_in_a_command),
		T(http_and_tls_are_sent_away), T(twenty_errors_are_enough),
		T(garbage_harms_nobody_else),
		T(half_closed_sockets_get_their_answers),
		T(a_client_that_does_not_read), T(submission_by_unix_socket),
		T(what_monitor_may_not_hand_over),
		T(statistics_reach_the_queue), T(a_drain_lets_messages_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

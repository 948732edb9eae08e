/* The text of a message: its end and nothing else ends it, nothing of it
 * changes, what must not pass is refused at its end. */
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/fault.h"
#include "base/strbuf.h"

const char conf[] =
    "max-message-size 1M\n"
    "listen 127.0.0.1:2525 {\n}\n"
    "listen 127.0.0.1:2526 { bare-lf fix }\n"
    "listen 127.0.0.1:2527 { auth required }\n"
    "client 10.1.2.3 { bare-lf fix; max-message-size 1K }\n"
    "client 10.1.2.4 { auth off }\n";

static void
nothing_but_crlf_dot_crlf_ends_it(void **state)
{
	static const char *const bad[] = {
		"x\n.\nMAIL FROM:<evil@x.test>\r\n.\r\n",
		"x\n.\r\nMAIL FROM:<evil@x.test>\r\n.\r\n",
		"x\r.\rMAIL FROM:<evil@x.test>\r\n.\r\n",
		"x\r\n.\nMAIL FROM:<evil@x.test>\r\n.\r\n",
		"x\r\n.\rMAIL FROM:<evil@x.test>\r\n.\r\n",
		"x\r.\r\nMAIL FROM:<evil@x.test>\r\n.\r\n",
		"x\n\r.\r\n.\r\n", "x\r\r\n.\r\n", "\n.\r\n", ".\n.\r\n",
	};
	struct client *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		c = to_data(0, "127.0.0.1");
		client_text(c, bad[i]);
		dialogue(c, "S: 521 5.5.2", "S: ");
		client_close(&c);
	}
	assert_int_equal(f.mails, 0);
}

static void
bare_ends_are_mended_where_asked(void **state)
{
	struct client *c = to_data(1, "127.0.0.1");

	(void)state;
	client_text(c, "a\n.\nb\r\n.\rc\r.\r\nd\n.\r\ne\r\n.\r\n");
	dialogue(c, "S: 250", "C: NOOP", "S: 250");
	assert_null(strstr(fixture_mail(&f, 0)->body.p, "MAIL"));
	assert_non_null(strstr(f.mail[0].body.p, "a\r\n"));
	assert_non_null(strstr(f.mail[0].body.p, "e\r\n"));
	assert_true(f.mail[0].env.flags & ENVELOPE_FIXED);
	client_text(c, "NOOP\n");
	dialogue(c, "S: 250");
	client_close(&c);
	c = to_data(0, "10.1.2.3");
	client_text(c, "a\nb\r\n.\r\n");
	dialogue(c, "S: 250");
	assert_string_equal(fixture_mail(&f, 1)->body.p, "a\r\nb\r\n");
	client_close(&c);
}

static void
octets_in_any_pieces(void **state)
{
	static const char text[] = "A: b\r\n\r\n...\r\n\r\n.x\r\n\r\n.\r\n";
	struct client *c = to_data(0, "127.0.0.1");
	size_t i;

	(void)state;
	for (i = 0; i < sizeof text - 1; i++) {
		client_send(c, text + i, 1);
		fixture_settle(&f);
	}
	dialogue(c, "S: 250");
	assert_string_equal(fixture_mail(&f, 0)->body.p,
	    "A: b\r\n\r\n..\r\n\r\nx\r\n\r\n");
	client_close(&c);
}

static void
a_nul_is_refused(void **state)
{
	struct client *c = to_data(0, "127.0.0.1");

	(void)state;
	client_send(c, "a\0b\r\n.\r\n", 8);
	dialogue(c, "S: 554 5.6.0", "C: NOOP", "S: 250");
	assert_int_equal(f.mails, 0);
	client_close(&c);
}

static void
mail_in_circles_is_refused(void **state)
{
	struct client *c = to_data(0, "127.0.0.1");
	int i;

	(void)state;
	for (i = 0; i < 50; i++)
		client_text(c, "Received: from a by b; now\r\n");
	dialogue(c, "C: \r\nx\r\n.", "S: 250");
	to_next_data(c);
	for (i = 0; i < 51; i++)
		client_text(c, "received: from a\r\n\tby b; now\r\n");
	dialogue(c, "C: \r\nx\r\n.", "S: 554 5.4.6");
	assert_int_equal(f.mails, 1);
	assert_int_equal(fixture_mail(&f, 0)->env.hops, 50);
	client_close(&c);
}

/* n octets of lines, none of them alike. */
static struct strbuf
long_text(size_t n)
{
	struct strbuf b = STRBUF_INIT;
	unsigned i = 0;

	strbuf_puts(&b, "Subject: long\r\n\r\n");
	while (b.n < n)
		strbuf_printf(&b, "line %u of a long message\r\n", i++);
	return b;
}

static void
large_bodies_go_to_a_file(void **state)
{
	static const size_t sizes[] = { 127 * 1024, 131072, 131073, 140000,
	    300000, 1000000 };
	struct strbuf text;
	struct client *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		c = to_data(0, "127.0.0.1");
		text = long_text(sizes[i]);
		client_send(c, text.p, text.n);
		dialogue(c, "C: .", "S: 250");
		assert_int_equal(fixture_mail(&f, i)->body.n, text.n);
		assert_memory_equal(f.mail[i].body.p, text.p, text.n);
		assert_int_equal(f.mail[i].env.size, text.n);
		assert_int_equal(f.mail[i].env.crc, crc32c(0, text.p, text.n));
		assert_int_equal(f.mail[i].by_file, text.n > 131072);
		strbuf_free(&text);
		client_close(&c);
	}
}

static void
too_large_is_said_at_the_end(void **state)
{
	struct strbuf text = long_text(1048577);
	struct client *c = to_data(0, "127.0.0.1");

	(void)state;
	client_send(c, text.p, text.n);
	dialogue(c, "C: .", "S: 552 5.3.4", "C: NOOP", "S: 250");
	client_close(&c);
	c = to_data(0, "10.1.2.3");
	client_send(c, text.p, 2000);
	dialogue(c, "C: \r\n.", "S: 552 5.3.4", "C: NOOP", "S: 250");
	client_close(&c);
	strbuf_free(&text);
	assert_int_equal(f.mails, 0);
}

static void
an_endless_text_is_cut_off(void **state)
{
	struct strbuf text = long_text(1 << 20);
	struct client *c = to_data(0, "127.0.0.1");
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		client_send(c, text.p, text.n);
	dialogue(c, "S: 552 5.3.4");
	client_close(&c);
	strbuf_free(&text);
}

static void
no_room_on_the_disk(void **state)
{
	struct strbuf text = long_text(200000);
	struct client *c = to_data(0, "127.0.0.1");

	(void)state;
	f.mood = QUEUE_FULL;
	dialogue(c, "C: small\r\n.", "S: 452 4.3.1", "C: NOOP", "S: 250");
	client_close(&c);
	c = to_data(0, "127.0.0.1");
	client_send(c, text.p, text.n);
	dialogue(c, "C: .", "S: 452 4.3.1", "C: NOOP", "S: 250");
	client_close(&c);
	strbuf_free(&text);
}

static void
a_file_that_cannot_be_written(void **state)
{
	struct strbuf text = long_text(400000);
	struct client *c;

	(void)state;
	setenv("SMARTHOSTD_FAULT", "listener.data:2=ENOSPC", 1);
	fault_init();
	c = to_data(0, "127.0.0.1");
	client_send(c, text.p, text.n);
	dialogue(c, "C: .", "S: 452 4.3.1", "C: NOOP", "S: 250");
	client_close(&c);
	setenv("SMARTHOSTD_FAULT", "listener.before_commit=EIO", 1);
	fault_init();
	c = to_data(0, "127.0.0.1");
	dialogue(c, "C: .", "S: 451 4.3.0", "C: NOOP", "S: 250");
	client_close(&c);
	unsetenv("SMARTHOSTD_FAULT");
	fault_init();
	fault_armed = false;
	strbuf_free(&text);
	assert_int_equal(f.mails, 0);
}

/* ---- BDAT ---- */

static void
chunks(void **state)
{
	struct client *c = to_rcpt(0, "127.0.0.1");

	(void)state;
	client_text(c, "BDAT 6\r\nA: b\r\nBDAT 3\r\n\r\n.BDAT 0\r\n"
	    "BDAT 5 LAST\r\n\r\n.\r\n");
	dialogue(c, "S: 250", "S: 250", "S: 250", "S: 250 2.0.0 Ok: queued",
	    "C: MAIL FROM:<a@x.test>", "S: 250", "C: RCPT TO:<b@y.test>",
	    "S: 250", "C: BDAT 7 last\r\nno end", "S: 521");
	client_close(&c);
	assert_string_equal(fixture_mail(&f, 0)->body.p,
	    "A: b\r\n\r\n.\r\n.\r\n");
	assert_true(f.mail[0].env.flags & ENVELOPE_CHUNKED);
	c = to_rcpt(0, "127.0.0.1");
	client_text(c, "BDAT 6 LAST\r\nno endQUIT\r\n");
	dialogue(c, "S: 250", "S: 221");
	assert_string_equal(fixture_mail(&f, 1)->body.p, "no end");
	client_close(&c);
	c = to_rcpt(0, "127.0.0.1");
	dialogue(c, "C: BDAT 0 LAST", "S: 250");
	assert_int_equal(fixture_mail(&f, 2)->body.n, 0);
	client_close(&c);
}

static void
chunks_out_of_order(void **state)
{
	struct client *c = client_connect(&f, 0, "127.0.0.1");

	(void)state;
	dialogue(c, "S: 220", "C: BDAT 6 LAST\r\nQUIT", "S: 503",
	    "C: EHLO x", "S: 250", "C: BDAT 6\r\nQUIT", "S: 503",
	    "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: BDAT 6 LAST\r\nQUIT", "S: 554 5.5.1",
	    "C: RCPT TO:<b@y.test>", "S: 250",
	    "C: BDAT 6\r\nQUIT", "S: 250",
	    "C: DATA", "S: 503", "C: MAIL FROM:<c@x.test>", "S: 503",
	    "C: RCPT TO:<b@y.test>", "S: 503",
	    "C: RSET", "S: 250",
	    "C: BDAT 6 LAST\r\nQUIT", "S: 503",
	    "C: BDAT x", "S: 501", "S: ");
	assert_int_equal(f.mails, 0);
	client_close(&c);
}

static void
chunks_too_large(void **state)
{
	struct strbuf text = long_text(700000);
	struct client *c = to_rcpt(0, "127.0.0.1");
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		char head[32];

		snprintf(head, sizeof head, "BDAT %zu\r\n", text.n);
		client_text(c, head);
		client_send(c, text.p, text.n);
	}
	dialogue(c, "S: 250", "S: 552 5.3.4", "S: 503",
	    "C: NOOP", "S: 250");
	client_close(&c);
	c = to_rcpt(0, "127.0.0.1");
	dialogue(c, "C: BDAT 99999999999999 LAST", "S: 552 5.3.4", "S: ");
	client_close(&c);
	c = to_rcpt(0, "127.0.0.1");
	dialogue(c, "C: BDAT 4 LAST\r\nab", "S: 250");
	client_close(&c);
	c = to_rcpt(0, "127.0.0.1");
	client_text(c, "BDAT 5 LAST\r\na\nbcd");
	dialogue(c, "S: 521", "S: ");
	client_close(&c);
	c = to_rcpt(0, "127.0.0.1");
	client_send(c, "BDAT 3 LAST\r\na\0b", 16);
	dialogue(c, "S: 554 5.6.0", "C: NOOP", "S: 250");
	client_close(&c);
	strbuf_free(&text);
}

static void
large_chunks_are_identical(void **state)
{
	struct strbuf text = long_text(900000);
	struct client *c = to_rcpt(0, "127.0.0.1");
	size_t at, n;
	char head[32];

	(void)state;
	for (at = 0; at < text.n; at += n) {
		n = text.n - at > 100001 ? 100001 : text.n - at;
		snprintf(head, sizeof head, "BDAT %zu%s\r\n", n,
		    at + n == text.n ? " LAST" : "");
		client_text(c, head);
		client_send(c, text.p + at, n);
		dialogue(c, "S: 250");
	}
	assert_int_equal(fixture_mail(&f, 0)->body.n, text.n);
	assert_memory_equal(f.mail[0].body.p, text.p, text.n);
	assert_true(f.mail[0].by_file);
	strbuf_free(&text);
	client_close(&c);
}

/* ---- missing fields ---- */

static void
send_text(size_t listen, const char *address, const char *text)
{
	struct client *c = to_data(listen, address);

	client_text(c, text);
	dialogue(c, "C: .", "S: 250");
	client_close(&c);
	fixture_settle(&f);
}

static const char *
last_body(void)
{
	return f.mail[f.mails - 1].body.p;
}

static void
fields_are_added_to_submitted_mail_only(void **state)
{
	(void)state;
	send_text(0, "127.0.0.1", "Subject: x\r\n\r\nb\r\n");
	assert_string_equal(last_body(), "Subject: x\r\n\r\nb\r\n");
	/* a device on a listener for submission */
	send_text(2, "10.1.2.4", "Subject: x\r\n\r\nb\r\n");
	assert_non_null(strstr(last_body(), "Date: "));
	assert_non_null(strstr(last_body(), "From: <a@x.test>\r\n"));
	assert_non_null(strstr(last_body(), "\r\nSubject: x\r\n\r\nb\r\n"));
	assert_int_equal(f.mail[1].env.size, f.mail[1].body.n);
	assert_int_equal(f.mail[1].env.crc, crc32c(0, f.mail[1].body.p,
	    f.mail[1].body.n));
	/* signed: never */
	send_text(2, "10.1.2.4", "DKIM-Signature: v=1\r\nSubject: x\r\n\r\n");
	assert_memory_equal(last_body(), "DKIM-Signature: v=1\r\nSubject", 28);
	assert_true(f.mail[2].env.flags & ENVELOPE_SIGNED);
	/* nothing is missing */
	send_text(2, "10.1.2.4",
	    "Date: d\r\nFrom: f@x\r\nMessage-ID: m\r\n\r\n");
	assert_string_equal(last_body(),
	    "Date: d\r\nFrom: f@x\r\nMessage-ID: m\r\n\r\n");
	/* a bare address gets a domain */
	send_text(2, "10.1.2.4",
	    "Date: d\r\nFrom: f\r\nMessage-ID: m\r\nTo: t\r\n\r\nf\r\n");
	assert_string_equal(last_body(), "Date: d\r\nFrom: f@relay.test\r\n"
	    "Message-ID: m\r\nTo: t@relay.test\r\n\r\nf\r\n");
	send_text(0, "127.0.0.1", "From: f\r\n\r\n");
	assert_string_equal(last_body(), "From: f\r\n\r\n");
	/* no header at all: the text stays text */
	send_text(2, "10.1.2.4", "just text\r\n");
	assert_non_null(strstr(last_body(), "\r\n\r\njust text\r\n"));
}

static void
fields_before_a_large_body(void **state)
{
	struct strbuf text = long_text(300000);
	struct client *c = to_data(2, "10.1.2.4");
	struct received_mail *m;

	(void)state;
	client_send(c, text.p, text.n);
	dialogue(c, "C: .", "S: 250");
	m = fixture_mail(&f, 0);
	assert_true(m->by_file);
	assert_true(m->body.n > text.n);
	assert_memory_equal(m->body.p + m->body.n - text.n, text.p, text.n);
	assert_non_null(memmem(m->body.p, m->body.n - text.n, "Date: ", 6));
	assert_int_equal(m->env.crc, crc32c(0, m->body.p, m->body.n));
	strbuf_free(&text);
	client_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_but_crlf_dot_crlf_ends_it),
		T(bare_ends_are_mended_where_asked), T(octets_in_any_pieces),
		T(a_nul_is_refused), T(mail_in_circles_is_refused),
		T(large_bodies_go_to_a_file), T(too_large_is_said_at_the_end),
		T(an_endless_text_is_cut_off), T(no_room_on_the_disk),
		T(a_file_that_cannot_be_written), T(chunks),
		T(chunks_out_of_order), T(chunks_too_large),
		T(large_chunks_are_identical),
		T(fields_are_added_to_submitted_mail_only),
		T(fields_before_a_large_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Limits of connections, rates, time; the small counters behind them. */
#include "steps.h"

#include <string.h>

#include "base/clock.h"
#include "io/base64.h"
#include "listener/client_table.h"
#include "listener/message_number.h"

/* ---- numbers of messages ---- */

static void
numbers_only_grow(void **state)
{
	struct message_number n = { .instance = 7 };
	uint64_t last = 0, id;
	int i;

	(void)state;
	for (i = 0; i < 40000; i++) {
		/* the clock goes back, stands, and jumps */
		id = message_number_next(&n, 1000000 - (uint64_t)(i % 100));
		assert_true(id > last);
		assert_int_equal(id >> 14 & 0xff, 7);
		last = id;
	}
	id = message_number_next(&n, 2000000);
	assert_int_equal(id >> 22, 2000000);
	assert_int_equal(id & 0x3fff, 0);
}

/* ---- clients ---- */

static void
rates_fill_and_drain(void **state)
{
	struct client_table *t = client_table_new();
	struct client_entry *e, *same;
	struct conf_rate rate = { .count = 3, .per = 60000 };
	struct conf_rate none = { 0 };
	uint64_t now = 1000000;

	(void)state;
	e = client_table_enter(t, SLICE_LIT("192.0.2.1"));
	same = client_table_enter(t, SLICE_LIT("192.0.2.1"));
	assert_ptr_equal(e, same);
	assert_int_equal(client_table_connections(e), 2);
	assert_true(client_table_rate(e, &rate, now));
	assert_true(client_table_rate(e, &rate, now));
	assert_true(client_table_rate(e, &rate, now + 1));
	assert_false(client_table_rate(e, &rate, now + 2));
	assert_true(client_table_rate(e, &none, now + 2));
	assert_false(client_table_rate(e, &rate, now + 19999));
	assert_true(client_table_rate(e, &rate, now + 20000));
	assert_false(client_table_rate(e, &rate, now + 20001));
	client_table_leave(t, &same);
	client_table_leave(t, &e);
	assert_null(e);
	/* remembered while the rate runs */
	client_table_sweep(t, now + 30000);
	assert_int_equal(client_table_count(t), 1);
	client_table_sweep(t, now + 100000);
	assert_int_equal(client_table_count(t), 0);
	e = client_table_enter(t, SLICE_LIT("192.0.2.2"));
	client_table_leave(t, &e);
	assert_int_equal(client_table_count(t), 0);
	client_table_free(&t);
}

static void
base64_is_strict(void **state)
{
	static const char *const bad[] = { "A", "AA", "AAA", "A===", "AA=A",
	    "AAA!", " AAA", "AAA ", "====", "AA\nA" };
	struct strbuf b = STRBUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(base64_decode(slice_cstr(bad[i]), &b),
		    -1);
	assert_int_equal(b.n, 0);
	assert_int_equal(base64_decode(SLICE_LIT("="), &b), 0);
	assert_int_equal(base64_decode(SLICE_LIT(""), &b), 0);
	assert_int_equal(b.n, 0);
	assert_int_equal(base64_decode(SLICE_LIT("AGEAYg=="), &b), 0);
	assert_memory_equal(b.p, "\0a\0b", 4);
	assert_int_equal(b.n, 4);
	strbuf_clear(&b);
	base64_encode(SLICE_LIT("Username:"), &b);
	assert_string_equal(b.p, "VXNlcm5hbWU6");
	strbuf_free(&b);
}

/* ---- sessions ---- */

const char conf[] =
    "listen 127.0.0.1:2525 {\n  max-connections 3\n"
    "  max-connections-per-client 2\n  rate 2/1h\n}\n"
    "listen 127.0.0.1:2526 { timeout 300ms }\n"
    "client 10.0.0.1 { rate 1/1h }\n";

static void
connections(void **state)
{
	struct client *a = client_connect(&f, 0, "127.0.0.1");
	struct client *b = client_connect(&f, 0, "127.0.0.1");
	struct client *c = client_connect(&f, 0, "127.0.0.1");
	struct client *d;

	(void)state;
	dialogue(c, "S: 421 4.7.0", "S: ");
	client_close(&c);
	c = client_connect(&f, 0, "127.0.0.2");
	d = client_connect(&f, 0, "127.0.0.3");
	dialogue(d, "S: 421 4.7.0", "S: ");
	client_close(&d);
	dialogue(a, "S: 220");
	client_close(&a);
	d = client_connect(&f, 0, "127.0.0.3");
	dialogue(d, "S: 220", "C: NOOP", "S: 250");
	client_close(&b);
	client_close(&c);
	client_close(&d);
	assert_int_equal(f.l->session_count, 0);
}

static void
messages_per_client(void **state)
{
	struct client *c = greeted(0, "127.0.0.1");

	(void)state;
	dialogue(c, "C: MAIL FROM:<bad", "S: 501",	/* costs nothing */
	    "C: MAIL FROM:<a@x.test>", "S: 250", "C: RSET", "S: 250",
	    "C: MAIL FROM:<a@x.test>", "S: 250", "C: RSET", "S: 250",
	    "C: MAIL FROM:<a@x.test>", "S: 450 4.7.1");
	client_close(&c);
	/* also over several connections */
	c = greeted(0, "127.0.0.1");
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 450 4.7.1");
	client_close(&c);
	/* a client's own rate */
	c = greeted(0, "10.0.0.1");
	dialogue(c, "C: MAIL FROM:<a@x.test>", "S: 250", "C: RSET", "S: 250",
	    "C: MAIL FROM:<a@x.test>", "S: 450 4.7.1");
	client_close(&c);
}

static void
silence_ends_a_session(void **state)
{
	struct client *c = client_connect(&f, 1, "127.0.0.1");

	(void)state;
	dialogue(c, "S: 220", "S: 421 4.4.2", "S: ");
	client_close(&c);
	c = to_data(1, "127.0.0.1");
	dialogue(c, "C: half", "S: 421 4.4.2", "S: ");
	client_close(&c);
	assert_int_equal(f.mails, 0);
}

static void
a_slow_queue_is_not_the_clients_fault(void **state)
{
	struct client *c = to_data(1, "127.0.0.1");
	uint64_t end;

	(void)state;
	f.mood = QUEUE_KEEPS;
	dialogue(c, "C: x\r\n.");
	for (end = clock_mono_ms() + 1000; clock_mono_ms() < end;)
		loop_turn(f.loop, true);
	assert_true(client_is_silent(c));
	fixture_answer_kept(&f, 250);
	dialogue(c, "S: 250");
	client_close(&c);
}

/* Dripping a command now and then does not keep a session for ever. */
static void
a_session_is_bounded(void **state)
{
	struct client *c = client_connect(&f, 1, "127.0.0.1");
	uint64_t begin = clock_mono_ms();
	const char *r;

	(void)state;
	dialogue(c, "S: 220");
	do {
		client_text(c, "NOOP\r\n");
		r = client_reply(c);
	} while (strncmp(r, "250", 3) == 0 && clock_mono_ms() < begin + 9000);
	assert_memory_equal(r, "421 4.4.2", 9);
	assert_true(clock_mono_ms() >= begin + 3000);
	client_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_only_grow),
		cmocka_unit_test(rates_fill_and_drain),
		cmocka_unit_test(base64_is_strict),
		T(connections), T(messages_per_client),
		T(silence_ends_a_session),
		T(a_slow_queue_is_not_the_clients_fault),
		T(a_session_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When the queue is slow, full or dead: nothing gets a 250 that it did not
 * say, sessions stay, and no memory is taken for what must wait. */
#include "steps.h"

#include "base/strbuf.h"
#include "ipc/msg.h"

const char conf[] =
    "local-domains home.test\n";

static void
no_answer_no_250(void **state)
{
	struct client *c = to_data(0, "127.0.0.1");

	(void)state;
	f.mood = QUEUE_KEEPS;
	dialogue(c, "C: x\r\n.");
	assert_true(client_is_silent(c));
	assert_int_equal(f.mails, 1);
	fixture_answer_kept(&f, 250);
	dialogue(c, "S: 250 2.0.0 Ok: queued", "C: NOOP", "S: 250");
	client_close(&c);
}

static void
pipelined_behind_a_commit(void **state)
{
	struct client *c = to_data(0, "127.0.0.1");

	(void)state;
	f.mood = QUEUE_KEEPS;
	dialogue(c, "C: x\r\n.\r\nMAIL FROM:<a@x.test>\r\nNOOP");
	assert_true(client_is_silent(c));
	fixture_answer_kept(&f, 250);
	dialogue(c, "S: 250 2.0.0", "S: 250 2.1.0", "S: 250 2.0.0");
	client_close(&c);
}

static void
it_dies_with_messages(void **state)
{
	struct client *waiting = to_data(0, "127.0.0.1");
	struct client *writing = to_data(0, "127.0.0.1");
	struct client *later;

	(void)state;
	f.mood = QUEUE_KEEPS;
	dialogue(waiting, "C: x\r\n.");
	fixture_settle(&f);
	assert_int_equal(f.mails, 1);
	fixture_kill_queue(&f);
	dialogue(waiting, "S: 451 4.3.0", "C: NOOP", "S: 250");
	dialogue(writing, "C: x\r\n.", "S: 451 4.3.0");
	later = client_connect(&f, 0, "127.0.0.1");
	dialogue(later, "S: 220", "C: EHLO x", "S: 250",
	    "C: MAIL FROM:<a@x.test>", "S: 250",
	    "C: RCPT TO:<b@home.test>", "S: 451 4.3.0",
	    "C: RCPT TO:<b@y.test>", "S: 250", "C: DATA", "S: 451 4.3.0");
	f.mood = QUEUE_ACCEPTS;
	fixture_connect_queue(&f);
	dialogue(later, "C: DATA", "S: 354", "C: y\r\n.", "S: 250");
	to_next_data(waiting);
	dialogue(waiting, "C: z\r\n.", "S: 250");
	assert_string_equal(fixture_mail(&f, 2)->body.p, "z\r\n");
	client_close(&waiting);
	client_close(&writing);
	client_close(&later);
}

/* The new one may come before the end of the old one was seen. */
static void
it_is_replaced(void **state)
{
	struct client *c = to_data(0, "127.0.0.1");
	struct port *old = f.queue;

	(void)state;
	f.mood = QUEUE_KEEPS;
	dialogue(c, "C: x\r\n.");
	fixture_settle(&f);
	fixture_connect_queue(&f);
	port_free(&old);
	dialogue(c, "S: 451 4.3.0");
	f.mood = QUEUE_ACCEPTS;
	to_next_data(c);
	dialogue(c, "C: z\r\n.", "S: 250");
	client_close(&c);
}

static void
it_dies_while_a_file_is_wanted(void **state)
{
	struct client *c = to_data(0, "127.0.0.1");
	struct strbuf text = STRBUF_INIT;

	(void)state;
	while (text.n < 300000)
		strbuf_puts(&text, "a long message, line after line\r\n");
	fixture_kill_queue(&f);
	client_send(c, text.p, text.n);
	dialogue(c, "C: .", "S: 451 4.3.0", "C: NOOP", "S: 250");
	strbuf_free(&text);
	client_close(&c);
}

static void
a_client_that_leaves_during_a_commit(void **state)
{
	struct client *c = to_data(0, "127.0.0.1");

	(void)state;
	f.mood = QUEUE_KEEPS;
	dialogue(c, "C: x\r\n.");
	fixture_settle(&f);
	client_close(&c);
	fixture_answer_kept(&f, 250);
	fixture_settle(&f);
	assert_int_equal(f.l->session_count, 0);
}

#define MANY 8

/* Takes all credit, as other sessions' messages would. */
static void
use_credit(size_t octets)
{
	static char zeros[1 << 20];
	size_t n, left;

	for (left = octets; left > 0; left -= n) {
		n = left > sizeof zeros ? sizeof zeros : left;
		port_transfer(f.l->queue, MSG_MAIL, 0, slice_of("", 0),
		    slice_of(zeros, n));
	}
	f.filler = true;
	while (f.credit < octets)
		loop_turn(f.loop, true);
	f.filler = false;
	assert_false(port_can_send(f.l->queue));
}

/* Clients whose messages the channel to the queue has no room for. */
static void
many_wait(struct client *c[MANY])
{
	size_t i;

	f.keep_credit = true;
	use_credit(PORT_CREDIT);
	for (i = 0; i < MANY; i++) {
		c[i] = to_data(0, "127.0.0.1");
		client_text(c[i], "x\r\n.\r\n");
		assert_true(client_is_silent(c[i]));
	}
}

static void
a_full_channel_makes_them_wait(void **state)
{
	struct client *c[MANY];
	size_t i;

	(void)state;
	many_wait(c);
	assert_int_equal(f.mails, 0);
	client_close(&c[0]);		/* noticed when it is its turn */
	f.keep_credit = false;
	fixture_answer_kept(&f, 250);
	for (i = 1; i < MANY; i++) {
		dialogue(c[i], "S: 250", "C: NOOP", "S: 250");
		client_close(&c[i]);
	}
	fixture_settle(&f);
	assert_int_equal(f.l->session_count, 0);
}

static void
it_dies_while_they_wait(void **state)
{
	struct client *c[MANY];
	size_t i;

	(void)state;
	many_wait(c);
	fixture_kill_queue(&f);
	for (i = 0; i < MANY; i++) {
		dialogue(c[i], "S: 451 4.3.0", "C: NOOP", "S: 250");
		client_close(&c[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_answer_no_250), T(pipelined_behind_a_commit),
		T(it_dies_with_messages), T(it_is_replaced),
		T(it_dies_while_a_file_is_wanted),
		T(a_client_that_leaves_during_a_commit),
		T(a_full_channel_makes_them_wait), T(it_dies_while_they_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

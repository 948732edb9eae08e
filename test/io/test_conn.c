/* Plain connections: input, output, back-pressure, memory. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/fixture.h"

static void
octets_go_both_ways(void **state)
{
	struct loop *l = fx_loop();
	struct end a, b;

	(void)state;
	fx_pair(l, &a, &b);
	conn_puts(a.conn, "hello");
	conn_printf(a.conn, " %s %d", "number", 7);
	conn_write(b.conn, "back", 4);
	assert_int_equal(conn_pending_out(a.conn), 14);
	WAIT_FOR(l, a.got.n == 4 && b.got.n == 14);
	assert_string_equal(strbuf_cstr(&b.got), "hello number 7");
	assert_string_equal(strbuf_cstr(&a.got), "back");
	assert_int_equal(a.drained, 1);
	assert_int_equal(conn_sent(a.conn), 14);
	assert_int_equal(conn_received(a.conn), 4);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

static void
what_is_written_in_a_turn_leaves_in_one_piece(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	char buf[64];
	int fds[2];

	(void)state;
	/* Each packet is one write of the other side. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	fx_end(&a, l, fds[0]);
	conn_puts(a.conn, "one ");
	conn_puts(a.conn, "two ");
	conn_puts(a.conn, "three");
	loop_turn(l, false);
	assert_int_equal(recv(fds[1], buf, sizeof(buf), MSG_DONTWAIT), 13);
	fx_end_free(&a);
	close(fds[1]);
	loop_free(&l);
}

/* ---- input ---- */

/* Takes whole lines only; the line is looked at after it was consumed. */
static void
take_line(struct end *e)
{
	struct slice in;
	long nl;

	while ((nl = slice_find(in = conn_input(e->conn), '\n')) >= 0) {
		conn_consume(e->conn, (size_t)nl + 1);
		strbuf_add(&e->got, in.p, (size_t)nl);
		strbuf_putc(&e->got, '|');
	}
}

static void
what_is_not_consumed_stays_and_grows(void **state)
{
	struct loop *l = fx_loop();
	struct end a, b;
	const char *s;

	(void)state;
	fx_pair(l, &a, &b);
	b.hook = take_line;
	for (s = "first\nsec"; *s != '\0'; s++) {
		conn_write(a.conn, s, 1);
		loop_turn(l, false);
	}
	WAIT_FOR(l, conn_input(b.conn).n == 3);
	conn_puts(a.conn, "ond\nthird\nf");
	WAIT_FOR(l, conn_input(b.conn).n == 1);
	conn_puts(a.conn, "in\n");
	WAIT_FOR(l, conn_input(b.conn).n == 0 && b.got.n == 23);
	assert_string_equal(strbuf_cstr(&b.got), "first|second|third|fin|");
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

static void
pause_once(struct end *e)
{
	struct slice in = conn_input(e->conn);

	strbuf_add(&e->got, in.p, 1);
	conn_consume(e->conn, 1);
	conn_pause(e->conn);
}

static void
a_paused_connection_is_silent_until_resumed(void **state)
{
	struct loop *l = fx_loop();
	struct end a, b;

	(void)state;
	fx_pair(l, &a, &b);
	b.hook = pause_once;
	conn_puts(a.conn, "abc");
	WAIT_FOR(l, b.readable == 1);
	conn_puts(a.conn, "de");
	conn_close(&a.conn);
	loop_turn(l, false);
	loop_turn(l, false);
	assert_int_equal(b.readable, 1);
	assert_int_equal(b.closed, 0);
	assert_int_equal(conn_input(b.conn).n, 2);
	conn_resume(b.conn);
	WAIT_FOR(l, b.readable == 2);
	assert_string_equal(strbuf_cstr(&b.got), "ab");
	/* Everything that was sent comes before the end. */
	b.hook = NULL;
	conn_resume(b.conn);
	WAIT_FOR(l, b.closed);
	assert_true(b.in_order);
	assert_string_equal(strbuf_cstr(&b.got), "abcde");
	fx_end_free(&b);
	loop_free(&l);
}

static void
reading_stops_at_the_limit(void **state)
{
	enum { N = 4 << 20 };
	struct loop *l = fx_loop();
	struct end a, b;
	char *data = mem_zalloc(N);
	int i;

	(void)state;
	fx_pair(l, &a, &b);
	b.keep = true;
	conn_read_limit(b.conn, 10000);
	conn_write(a.conn, data, N);
	for (i = 0; i < 50; i++)
		loop_turn(l, false);
	assert_int_equal(conn_input(b.conn).n, 10000);
	/* and the writer is held up */
	assert_true(conn_pending_out(a.conn) > N / 2);
	assert_int_equal(a.drained, 0);
	b.keep = false;
	conn_consume(b.conn, 10000);
	WAIT_FOR(l, b.got.n == N - 10000);
	assert_int_equal(conn_pending_out(a.conn), 0);
	assert_true(a.drained >= 1);
	free(data);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

static void
a_higher_limit_goes_on_with_what_is_there(void **state)
{
	struct loop *l = fx_loop();
	struct end a, b;

	(void)state;
	fx_pair(l, &a, &b);
	b.keep = true;
	conn_read_limit(b.conn, 4);
	conn_puts(a.conn, "123456789");
	WAIT_FOR(l, conn_input(b.conn).n == 4);
	conn_read_limit(b.conn, 9);
	WAIT_FOR(l, conn_input(b.conn).n == 9);
	assert_memory_equal(conn_input(b.conn).p, "123456789", 9);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

static struct end *heir;

static void
hand_over(struct end *e)
{
	fx_end_free(heir);	/* not connected to anything */
	heir->conn = e->conn;
	e->conn = NULL;
}

static void
new_owner_readable(void *arg)
{
	struct end *e = arg;

	strbuf_add_slice(&e->got, conn_input(e->conn));
	conn_consume(e->conn, conn_input(e->conn).n);
}

static void
new_owner_closed(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
}

static void
input_is_announced_to_a_new_owner(void **state)
{
	const struct conn_events ev = { .readable = new_owner_readable,
	    .closed = new_owner_closed };
	struct loop *l = fx_loop();
	struct end a, b, c = { 0 };

	(void)state;
	fx_pair(l, &a, &b);
	heir = &c;
	b.hook = hand_over;
	conn_puts(a.conn, "for the heir");
	WAIT_FOR(l, c.conn != NULL);
	conn_set_events(c.conn, &ev, &c);
	WAIT_FOR(l, c.got.n == 12);
	fx_end_free(&a);
	fx_end_free(&b);
	fx_end_free(&c);
	loop_free(&l);
}

/* ---- output ---- */

static void
large_pieces_are_written_at_once(void **state)
{
	struct loop *l = fx_loop();
	struct end a, b;
	char *body = mem_alloc(1 << 20);
	struct slice v[2] = { SLICE_LIT("header\r\n") };
	size_t i;

	(void)state;
	for (i = 0; i < 1 << 20; i++)
		body[i] = (char)(i * 7 >> 3);
	v[1] = slice_of(body, 40000);
	fx_pair(l, &a, &b);
	conn_puts(a.conn, "before ");
	conn_writev(a.conn, v, 2);
	assert_int_equal(conn_pending_out(a.conn), 0);
	WAIT_FOR(l, b.got.n == 40015 && a.drained == 1);
	/* more than the socket takes: the rest waits */
	v[1] = slice_of(body, 1 << 20);
	conn_writev(a.conn, v, 2);
	assert_true(conn_pending_out(a.conn) > 0);
	conn_puts(a.conn, "after");
	WAIT_FOR(l, b.got.n == 40015 + 8 + (1 << 20) + 5);
	assert_memory_equal(b.got.p, "before header\r\n", 15);
	assert_memory_equal(b.got.p + 15, body, 40000);
	assert_memory_equal(b.got.p + 40015 + 8, body, 1 << 20);
	assert_memory_equal(b.got.p + b.got.n - 5, "after", 5);
	free(body);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

static void
a_writer_goes_on_while_the_socket_is_full(void **state)
{
	enum { PIECE = 100000, PIECES = 40 };
	struct loop *l = fx_loop();
	struct end a, b;
	char *piece = mem_alloc(PIECE);
	size_t i;

	(void)state;
	fx_pair(l, &a, &b);
	conn_pause(b.conn);
	for (i = 0; i < PIECES; i++) {
		memset(piece, 'a' + (int)(i % 26), PIECE);
		conn_write(a.conn, piece, PIECE);
		loop_turn(l, false);
		if (i % 8 == 7) {
			conn_resume(b.conn);
			loop_turn(l, false);
			loop_turn(l, false);
			conn_pause(b.conn);
		}
	}
	conn_resume(b.conn);
	WAIT_FOR(l, b.got.n == (size_t)PIECE * PIECES);
	for (i = 0; i < b.got.n; i += PIECE / 2)
		assert_int_equal(b.got.p[i],
		    'a' + (int)(i / PIECE % 26));
	free(piece);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

static void
large_pieces_to_a_peer_that_left_are_dropped(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	struct slice v[3];
	char *data = mem_zalloc(20000);
	int fds[2];

	(void)state;
	v[0] = slice_of(data, 20000);
	v[1] = v[2] = slice_of(data, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fx_end(&a, l, fds[0]);
	close(fds[1]);
	conn_writev(a.conn, v + 1, 2);	/* nothing: not even tried */
	assert_int_equal(conn_end(a.conn), CONN_OPEN);
	conn_writev(a.conn, v, 3);
	conn_writev(a.conn, v, 3);
	assert_int_equal(conn_end(a.conn), CONN_RESET);
	assert_int_equal(conn_pending_out(a.conn), 0);
	assert_int_equal(a.closed, 0);
	WAIT_FOR(l, a.closed == 1);
	free(data);
	fx_end_free(&a);
	loop_free(&l);
}

static void
drained_comes_at_the_low_mark(void **state)
{
	enum { N = 2 << 20 };
	struct loop *l = fx_loop();
	struct end a, b;
	char *data = mem_zalloc(N);

	(void)state;
	fx_pair(l, &a, &b);
	conn_write_low(a.conn, N / 2);
	conn_write(a.conn, data, N);
	WAIT_FOR(l, a.drained > 0);
	assert_in_range(conn_pending_out(a.conn), 1, N / 2);
	WAIT_FOR(l, b.got.n == N);
	assert_int_equal(a.drained, 2);		/* and when all is gone */
	free(data);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

/* ---- memory ---- */

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HEAP_IS_COUNTED 0
#else
#define HEAP_IS_COUNTED 1
#endif

static void
an_idle_connection_costs_less_than_1_kib(void **state)
{
	struct loop *l;
	struct end *e;
	size_t before, after, i;

	(void)state;
	if (!HEAP_IS_COUNTED || getenv("VALGRIND") != NULL)
		skip();
	l = fx_loop();
	e = mem_zarray(200, sizeof(*e));
	fx_pair(l, &e[0], &e[1]);
	conn_puts(e[0].conn, "warm up");
	WAIT_FOR(l, e[1].got.n > 0);
	before = mallinfo2().uordblks;
	for (i = 2; i < 200; i += 2) {
		fx_pair(l, &e[i], &e[i + 1]);
		conn_puts(e[i].conn, "EHLO x\r\n");
		conn_timeout(e[i].conn, 5000);
		WAIT_FOR(l, e[i + 1].got.n > 0);
		strbuf_free(&e[i + 1].got);
	}
	after = mallinfo2().uordblks;
	assert_true(after > before);
	assert_in_range((after - before) / 198, 1, 1024);
	for (i = 0; i < 200; i++)
		fx_end_free(&e[i]);
	loop_free(&l);
	free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_go_both_ways),
		cmocka_unit_test(what_is_written_in_a_turn_leaves_in_one_piece),
		cmocka_unit_test(what_is_not_consumed_stays_and_grows),
		cmocka_unit_test(a_paused_connection_is_silent_until_resumed),
		cmocka_unit_test(reading_stops_at_the_limit),
		cmocka_unit_test(a_higher_limit_goes_on_with_what_is_there),
		cmocka_unit_test(input_is_announced_to_a_new_owner),
		cmocka_unit_test(large_pieces_are_written_at_once),
		cmocka_unit_test(a_writer_goes_on_while_the_socket_is_full),
		cmocka_unit_test(large_pieces_to_a_peer_that_left_are_dropped),
		cmocka_unit_test(drained_comes_at_the_low_mark),
		cmocka_unit_test(an_idle_connection_costs_less_than_1_kib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How connections end: closed, half closed, reset, timed out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/fixture.h"

static void
close_sends_everything_first(void **state)
{
	enum { N = 3 << 20 };
	struct loop *l = fx_loop();
	struct end a, b;
	char *data = mem_zalloc(N);

	(void)state;
	fx_pair(l, &a, &b);
	conn_write(a.conn, data, N);
	conn_close(&a.conn);
	assert_null(a.conn);
	assert_int_equal(loop_lingering(l), 1);
	WAIT_FOR(l, b.closed);
	assert_int_equal(b.got.n, N);
	assert_true(b.in_order);
	assert_int_equal(b.how, CONN_EOF);
	assert_int_equal(a.closed, 0);
	conn_close(&b.conn);
	WAIT_FOR(l, loop_lingering(l) == 0);
	free(data);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

/* Linux answers data in a closed socket with a reset, which would take the
 * reply with it. */
static void
a_last_reply_survives_unread_input(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	char buf[64];
	int fds[2];

	(void)state;
	fx_tcp_pair(l, fds);
	fx_end(&a, l, fds[1]);
	conn_pause(a.conn);
	assert_int_equal(write(fds[0], "EHLO x\r\n", 8), 8);
	conn_puts(a.conn, "554 no\r\n");
	conn_close(&a.conn);
	loop_turn(l, false);
	assert_int_equal(write(fds[0], "QUIT\r\n", 6), 6);
	loop_turn(l, false);
	loop_turn(l, false);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 8);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 0);
	close(fds[0]);
	WAIT_FOR(l, loop_lingering(l) == 0);
	fx_end_free(&a);
	loop_free(&l);
}

static void
a_half_closed_peer_still_gets_its_answer(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	char buf[64];
	int fds[2];

	(void)state;
	fx_tcp_pair(l, fds);
	fx_end(&a, l, fds[1]);
	assert_int_equal(write(fds[0], "QUIT\r\n", 6), 6);
	shutdown(fds[0], SHUT_WR);
	WAIT_FOR(l, a.closed);
	assert_true(a.in_order);
	assert_string_equal(strbuf_cstr(&a.got), "QUIT\r\n");
	conn_puts(a.conn, "221 bye\r\n");
	conn_close(&a.conn);
	WAIT_FOR(l, loop_lingering(l) == 0);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 9);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 0);
	close(fds[0]);
	fx_end_free(&a);
	loop_free(&l);
}

static void
reset(int fd)
{
	struct linger hard = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static void
a_reset_is_not_an_end_in_order(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	int fds[2];

	(void)state;
	fx_tcp_pair(l, fds);
	fx_end(&a, l, fds[1]);
	reset(fds[0]);
	WAIT_FOR(l, a.closed);
	assert_false(a.in_order);
	assert_int_equal(a.how, CONN_RESET);
	assert_int_equal(a.why.code, ECONNRESET);
	assert_non_null(strstr(a.why.text, "reset"));
	/* Writing to it is harmless. */
	conn_puts(a.conn, "anyone?");
	assert_int_equal(conn_pending_out(a.conn), 0);
	loop_turn(l, false);
	assert_int_equal(a.closed, 1);
	fx_end_free(&a);
	loop_free(&l);
}

static void
a_write_that_fails_is_told_once_and_later(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	int fds[2], i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fx_end(&a, l, fds[0]);
	conn_pause(a.conn);
	close(fds[1]);
	conn_puts(a.conn, "into the void");
	conn_flush(a.conn);
	assert_int_equal(a.closed, 0);
	for (i = 0; i < 3; i++)
		loop_turn(l, false);
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.how, CONN_RESET);
	assert_int_equal(a.why.code, EPIPE);
	fx_end_free(&a);
	loop_free(&l);
}

static void
a_reset_after_the_end_is_told_too(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fx_end(&a, l, fds[0]);
	shutdown(fds[1], SHUT_WR);
	WAIT_FOR(l, a.closed == 1);
	assert_true(a.in_order);
	close(fds[1]);
	conn_puts(a.conn, "still there?");
	WAIT_FOR(l, a.closed == 2);
	assert_false(a.in_order);
	fx_end_free(&a);
	loop_free(&l);
}

static void
abort_self(struct end *e)
{
	conn_abort(&e->conn);
}

static void
close_self(struct end *e)
{
	conn_puts(e->conn, "bye");
	conn_close(&e->conn);
}

static void
a_connection_may_be_given_up_inside_its_callback(void **state)
{
	struct loop *l = fx_loop();
	struct end a, b, c, d;

	(void)state;
	fx_pair(l, &a, &b);
	fx_pair(l, &c, &d);
	b.hook = abort_self;
	d.hook = close_self;
	conn_puts(a.conn, "x");
	conn_puts(c.conn, "x");
	WAIT_FOR(l, a.closed && c.closed);
	assert_null(b.conn);
	assert_null(d.conn);
	assert_string_equal(strbuf_cstr(&c.got), "bye");
	assert_int_equal(b.closed + d.closed, 0);
	fx_end_free(&a);
	fx_end_free(&c);
	fx_end_free(&d);
	WAIT_FOR(l, loop_lingering(l) == 0);
	loop_free(&l);
}

static void
a_peer_that_never_ends_is_not_waited_for(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	uint64_t t = clock_mono_us();
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fx_end(&a, l, fds[0]);
	conn_puts(a.conn, "221 bye\r\n");
	conn_close(&a.conn);
	WAIT_FOR(l, loop_lingering(l) == 0);
	assert_in_range((clock_mono_us() - t) / 1000, 1990, 4000);
	close(fds[1]);
	loop_free(&l);
}

static void
the_loop_frees_what_is_still_closing(void **state)
{
	struct loop *l = fx_loop();
	struct end a;
	int fds[2];
	char *data = mem_zalloc(1 << 20);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fx_end(&a, l, fds[0]);
	conn_write(a.conn, data, 1 << 20);
	conn_close(&a.conn);
	loop_turn(l, false);
	assert_int_equal(loop_lingering(l), 1);
	loop_free(&l);
	close(fds[1]);
	free(data);
}

static void
time_limits_end_a_connection(void **state)
{
	struct loop *l = fx_loop();
	struct end a, b;
	uint64_t t = clock_mono_us();

	(void)state;
	fx_pair(l, &a, &b);
	conn_timeout(a.conn, 100);
	conn_timeout(a.conn, 300);
	conn_timeout(b.conn, 100);
	conn_timeout(b.conn, 0);
	conn_puts(b.conn, "traffic does not move it");
	WAIT_FOR(l, a.closed);
	assert_in_range((clock_mono_us() - t) / 1000, 290, 900);
	assert_int_equal(a.how, CONN_TIMEOUT);
	assert_int_equal(a.why.code, ETIMEDOUT);
	assert_int_equal(b.closed, 0);
	fx_end_free(&a);
	fx_end_free(&b);
	loop_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_sends_everything_first),
		cmocka_unit_test(a_last_reply_survives_unread_input),
		cmocka_unit_test(a_half_closed_peer_still_gets_its_answer),
		cmocka_unit_test(a_reset_is_not_an_end_in_order),
		cmocka_unit_test(a_write_that_fails_is_told_once_and_later),
		cmocka_unit_test(a_reset_after_the_end_is_told_too),
		cmocka_unit_test(
		    a_connection_may_be_given_up_inside_its_callback),
		cmocka_unit_test(a_peer_that_never_ends_is_not_waited_for),
		cmocka_unit_test(the_loop_frees_what_is_still_closing),
		cmocka_unit_test(time_limits_end_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

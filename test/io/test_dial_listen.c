/* Connecting and accepting. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/dial.h"
#include "io/fixture.h"
#include "io/listen.h"
#include "io/sockaddr.h"

struct outcome {
	int calls;
	int fd;
	size_t index;
	struct sockaddr_storage peer;
	struct err why;
};

static void
on_dial(void *arg, int fd, const struct sockaddr_storage *peer, size_t index,
    const struct err *e)
{
	struct outcome *o = arg;

	o->calls++;
	o->fd = fd;
	o->index = index;
	if (peer != NULL)
		o->peer = *peer;
	if (e != NULL)
		o->why = *e;
}

static int
listener(struct sockaddr_storage *sa, int backlog)
{
	socklen_t len = sizeof(*sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(sockaddr_from_ip(SLICE_LIT("127.0.0.1"), 0, sa));
	assert_int_equal(bind(fd, (struct sockaddr *)sa, sockaddr_len(sa)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	getsockname(fd, (struct sockaddr *)sa, &len);
	return fd;
}

/* A port that refuses: bound, but nobody listens. */
static int
refusing(struct sockaddr_storage *sa)
{
	return listener(sa, -1);
}

static void
the_first_that_accepts_is_taken(void **state)
{
	struct loop *l = fx_loop();
	struct sockaddr_storage sa[3];
	struct dial_options o = { .addrs = sa, .count = 3 };
	struct outcome out = { 0 };
	int a = refusing(&sa[0]), b = listener(&sa[1], 5);
	int c = listener(&sa[2], 5);

	(void)state;
	assert_non_null(dial_start(l, &o, on_dial, &out));
	memset(sa, 0xff, sizeof(sa[0]));	/* they were copied */
	assert_int_equal(out.calls, 0);
	WAIT_FOR(l, out.calls);
	assert_true(out.fd >= 0);
	assert_int_equal(out.index, 1);
	assert_true(sockaddr_eq(&out.peer, &sa[1]));
	assert_true(fcntl(out.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(out.fd, F_GETFD) & FD_CLOEXEC);
	loop_turn(l, false);
	assert_int_equal(out.calls, 1);
	close(out.fd);
	close(a);
	close(b);
	close(c);
	loop_free(&l);
}

static void
a_failure_names_every_address(void **state)
{
	struct loop *l = fx_loop();
	struct sockaddr_storage sa[2];
	struct dial_options o = { .addrs = sa, .count = 2 };
	struct outcome out = { 0 };
	int a = refusing(&sa[0]), b = refusing(&sa[1]);
	char want[256];

	(void)state;
	dial_start(l, &o, on_dial, &out);
	WAIT_FOR(l, out.calls);
	assert_int_equal(out.fd, -1);
	assert_int_equal(out.why.code, ECONNREFUSED);
	snprintf(want, sizeof(want), "connect to 127.0.0.1:%u: Connection "
	    "refused; connect to 127.0.0.1:%u: Connection refused",
	    sockaddr_port(&sa[0]), sockaddr_port(&sa[1]));
	assert_string_equal(out.why.text, want);
	close(a);
	close(b);
	loop_free(&l);
}

static void
no_address_is_a_failure_too(void **state)
{
	struct loop *l = fx_loop();
	struct dial_options o = { 0 };
	struct outcome out = { 0 };

	(void)state;
	dial_start(l, &o, on_dial, &out);
	assert_int_equal(out.calls, 0);
	WAIT_FOR(l, out.calls);
	assert_int_equal(out.fd, -1);
	assert_string_equal(out.why.text, "no address to connect to");
	loop_free(&l);
}

/* The queue of a listener that never accepts fills up; then connecting
 * hangs. */
static void
fill(const struct sockaddr_storage *sa, int fds[], int n)
{
	int i;

	for (i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fds[i], (const struct sockaddr *)sa,
		    sockaddr_len(sa));
	}
}

static void
a_silent_address_is_given_up_for_the_next(void **state)
{
	struct loop *l = fx_loop();
	struct sockaddr_storage sa[2];
	struct dial_options o = { .addrs = sa, .count = 2, .each_ms = 150 };
	struct outcome out = { 0 };
	int a = listener(&sa[0], 0), b = listener(&sa[1], 5);
	int fds[4], i;

	(void)state;
	fill(&sa[0], fds, 4);
	dial_start(l, &o, on_dial, &out);
	WAIT_FOR(l, out.calls);
	assert_int_equal(out.index, 1);
	assert_true(out.fd >= 0);
	close(out.fd);
	for (i = 0; i < 4; i++)
		close(fds[i]);
	close(a);
	close(b);
	loop_free(&l);
}

static void
all_together_have_a_limit(void **state)
{
	struct loop *l = fx_loop();
	struct sockaddr_storage sa[2];
	struct dial_options o = { .addrs = sa, .count = 2, .total_ms = 200 };
	struct outcome out = { 0 };
	int a = listener(&sa[0], 0), fds[4], i;
	uint64_t t = clock_mono_us();

	(void)state;
	sa[1] = sa[0];
	fill(&sa[0], fds, 4);
	dial_start(l, &o, on_dial, &out);
	WAIT_FOR(l, out.calls);
	assert_in_range((clock_mono_us() - t) / 1000, 190, 900);
	assert_int_equal(out.why.code, ETIMEDOUT);
	assert_non_null(strstr(out.why.text, ": timed out"));
	for (i = 0; i < 4; i++)
		close(fds[i]);
	close(a);
	loop_free(&l);
}

static void
a_cancelled_dial_is_silent(void **state)
{
	struct loop *l = fx_loop();
	struct sockaddr_storage sa;
	struct dial_options o = { .addrs = &sa, .count = 1, .total_ms = 50 };
	struct outcome out = { 0 };
	int a = listener(&sa, 5);
	struct dial *early, *late;

	(void)state;
	early = dial_start(l, &o, on_dial, &out);
	dial_cancel(&early);
	assert_null(early);
	late = dial_start(l, &o, on_dial, &out);
	loop_turn(l, false);
	dial_cancel(&late);
	dial_cancel(&late);
	loop_turn(l, false);
	loop_turn(l, false);
	assert_int_equal(out.calls, 0);
	close(a);
	loop_free(&l);
}

static void
the_source_address_is_used(void **state)
{
	struct loop *l = fx_loop();
	struct sockaddr_storage sa, from;
	struct dial_options o = { .addrs = &sa, .count = 1 };
	struct outcome out = { 0 };
	socklen_t len = sizeof(from);
	int a = listener(&sa, 5), fd;
	char buf[SOCKADDR_TEXT_MAX];

	(void)state;
	sockaddr_from_ip(SLICE_LIT("127.0.0.9"), 0, &o.source4);
	dial_start(l, &o, on_dial, &out);
	WAIT_FOR(l, out.calls);
	fd = accept(a, (struct sockaddr *)&from, &len);
	assert_string_equal(sockaddr_ip_text(&from, buf), "127.0.0.9");
	close(fd);
	close(out.fd);
	/* none of this family: passed over */
	memset(&o.source4, 0, sizeof(o.source4));
	sockaddr_from_ip(SLICE_LIT("::1"), 0, &o.source6);
	memset(&out, 0, sizeof(out));
	dial_start(l, &o, on_dial, &out);
	WAIT_FOR(l, out.calls);
	assert_int_equal(out.fd, -1);
	assert_non_null(strstr(out.why.text,
	    "no source address of this family"));
	/* one that is not ours */
	memset(&o.source6, 0, sizeof(o.source6));
	sockaddr_from_ip(SLICE_LIT("192.0.2.1"), 0, &o.source4);
	memset(&out, 0, sizeof(out));
	dial_start(l, &o, on_dial, &out);
	WAIT_FOR(l, out.calls);
	assert_int_equal(out.why.code, EADDRNOTAVAIL);
	close(a);
	loop_free(&l);
}

/* ---- accepting ---- */

struct taken {
	struct loop *loop;
	struct listen *listen;
	int fds[64];
	int n;
	int limit;		/* stop listening here: 0 never */
	struct sockaddr_storage peer;
};

static void
on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct taken *t = arg;

	t->fds[t->n++] = fd;
	t->peer = *peer;
	if (t->n == t->limit)
		listen_free(&t->listen);
}

static void
connections_are_accepted(void **state)
{
	struct taken t = { .loop = fx_loop() };
	struct sockaddr_storage sa;
	int fds[5], i;

	(void)state;
	t.listen = listen_new(t.loop, listener(&sa, 5), on_accept, &t);
	fill(&sa, fds, 5);
	WAIT_FOR(t.loop, t.n == 5);
	assert_int_equal(t.peer.ss_family, AF_INET);
	assert_true(sockaddr_is_loopback(&t.peer));
	for (i = 0; i < 5; i++) {
		assert_true(fcntl(t.fds[i], F_GETFL) & O_NONBLOCK);
		close(t.fds[i]);
		close(fds[i]);
	}
	listen_free(&t.listen);
	assert_null(t.listen);
	loop_free(&t.loop);
}

static void
a_paused_listener_leaves_them_in_the_queue(void **state)
{
	struct taken t = { .loop = fx_loop() };
	struct sockaddr_storage sa;
	int fds[2];

	(void)state;
	t.listen = listen_new(t.loop, listener(&sa, 5), on_accept, &t);
	listen_pause(t.listen);
	fill(&sa, fds, 2);
	loop_turn(t.loop, false);
	loop_turn(t.loop, false);
	assert_int_equal(t.n, 0);
	listen_resume(t.listen);
	WAIT_FOR(t.loop, t.n == 2);
	close(t.fds[0]);
	close(t.fds[1]);
	close(fds[0]);
	close(fds[1]);
	listen_free(&t.listen);
	loop_free(&t.loop);
}

static void
a_listener_may_go_inside_its_callback(void **state)
{
	struct taken t = { .loop = fx_loop(), .limit = 1 };
	struct sockaddr_storage sa;
	int fds[3], i;

	(void)state;
	t.listen = listen_new(t.loop, listener(&sa, 5), on_accept, &t);
	fill(&sa, fds, 3);
	WAIT_FOR(t.loop, t.n == 1);
	loop_turn(t.loop, false);
	assert_int_equal(t.n, 1);
	assert_null(t.listen);
	close(t.fds[0]);
	for (i = 0; i < 3; i++)
		close(fds[i]);
	loop_free(&t.loop);
}

static void
without_descriptors_it_waits_instead_of_spinning(void **state)
{
	struct taken t = { .loop = fx_loop() };
	struct sockaddr_storage sa;
	struct rlimit old, low;
	int fds[1], turns = 0, spare;
	uint64_t start;

	(void)state;
	/* valgrind keeps count of descriptors by a limit of its own */
	if (getenv("VALGRIND") != NULL) {
		loop_free(&t.loop);
		skip();
	}
	t.listen = listen_new(t.loop, listener(&sa, 5), on_accept, &t);
	fill(&sa, fds, 1);
	spare = dup(0);
	close(spare);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)spare;
	setrlimit(RLIMIT_NOFILE, &low);
	start = clock_mono_us();
	while (clock_mono_us() - start < 300000) {
		fx_turn(t.loop, UINT64_MAX);
		turns++;
	}
	assert_int_equal(t.n, 0);
	assert_true(turns < 20);
	setrlimit(RLIMIT_NOFILE, &old);
	WAIT_FOR(t.loop, t.n == 1);
	close(t.fds[0]);
	close(fds[0]);
	listen_free(&t.listen);
	loop_free(&t.loop);
}

static void
local_sockets_work_as_well(void **state)
{
	struct taken t = { .loop = fx_loop() };
	struct sockaddr_storage sa[2];
	struct dial_options o = { .addrs = sa, .count = 1 };
	struct outcome out = { 0 };
	char dir[] = "/tmp/test-listen-XXXXXX", path[64];
	struct err e;
	size_t n;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "unix:%s/sock", dir);
	assert_int_equal(sockaddr_parse(slice_cstr(path), 0, sa, &n, &e), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)sa, sockaddr_len(sa)), 0);
	assert_int_equal(listen(fd, 5), 0);
	t.listen = listen_new(t.loop, fd, on_accept, &t);
	dial_start(t.loop, &o, on_dial, &out);
	WAIT_FOR(t.loop, t.n == 1 && out.calls == 1);
	assert_int_equal(t.peer.ss_family, AF_UNIX);
	close(t.fds[0]);
	close(out.fd);
	listen_free(&t.listen);
	unlink(path + 5);
	rmdir(dir);
	/* and when nobody is there */
	memset(&out, 0, sizeof(out));
	dial_start(t.loop, &o, on_dial, &out);
	WAIT_FOR(t.loop, out.calls == 1);
	assert_int_equal(out.why.code, ENOENT);
	loop_free(&t.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_accepts_is_taken),
		cmocka_unit_test(a_failure_names_every_address),
		cmocka_unit_test(no_address_is_a_failure_too),
		cmocka_unit_test(a_silent_address_is_given_up_for_the_next),
		cmocka_unit_test(all_together_have_a_limit),
		cmocka_unit_test(a_cancelled_dial_is_silent),
		cmocka_unit_test(the_source_address_is_used),
		cmocka_unit_test(connections_are_accepted),
		cmocka_unit_test(a_paused_listener_leaves_them_in_the_queue),
		cmocka_unit_test(a_listener_may_go_inside_its_callback),
		cmocka_unit_test(
		    without_descriptors_it_waits_instead_of_spinning),
		cmocka_unit_test(local_sockets_work_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

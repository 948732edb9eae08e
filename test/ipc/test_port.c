/* Two ports on one loop: what goes in at one end comes out at the other, and
 * nothing that a peer does harms more than its own channel. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ipc/packet.h"
#include "ipc/port.h"

struct end {
	struct port *port;
	unsigned messages, closed, ready, replies, gone;
	uint16_t type;
	uint64_t ref;
	struct strbuf data, body;
	int fd;
	struct err why;
	int answer;		/* -1: refuse the next message */
};

struct pair {
	struct loop *loop;
	struct end a, b;
	int raw;		/* the peer's descriptor where b has none */
};

static int
on_message(void *arg, struct port_message *m, struct err *e)
{
	struct end *x = arg;

	x->messages++;
	x->type = m->type;
	x->ref = m->ref;
	strbuf_clear(&x->data);
	strbuf_add_slice(&x->data, m->data);
	strbuf_clear(&x->body);
	strbuf_add_slice(&x->body, m->body);
	if (x->fd >= 0)
		close(x->fd);
	x->fd = m->fd;
	return x->answer < 0 ? err_set(e, 1, "not wanted") : 0;
}

static void
on_closed(void *arg, const struct err *why)
{
	struct end *x = arg;

	x->closed++;
	x->why = *why;
}

static void
on_ready(void *arg)
{
	((struct end *)arg)->ready++;
}

static const struct port_handler handler = { on_message, on_closed, on_ready };

static void
on_reply(void *arg, struct port_message *m)
{
	struct end *x = arg;

	if (m == NULL) {
		x->gone++;
		return;
	}
	x->replies++;
	x->type = m->type;
	x->ref = m->ref;
}

static void
turns(struct pair *p)
{
	int i;

	for (i = 0; i < 50; i++)
		loop_turn(p->loop, false);
}

static int
setup(void **state)
{
	struct pair *p = mem_zalloc(sizeof(*p));
	struct err e;
	int sv[2];

	p->a.fd = p->b.fd = p->raw = -1;
	p->loop = loop_new(&e);
	assert_non_null(p->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, sv), 0);
	p->a.port = port_new(p->loop, sv[0], "b", &handler, &p->a);
	p->b.port = port_new(p->loop, sv[1], "a", &handler, &p->b);
	*state = p;
	return 0;
}

/* The same, but what talks to a is the test itself. */
static int
setup_raw(void **state)
{
	struct pair *p = mem_zalloc(sizeof(*p));
	struct err e;
	int sv[2];

	p->a.fd = p->b.fd = -1;
	p->loop = loop_new(&e);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, sv), 0);
	p->a.port = port_new(p->loop, sv[0], "raw", &handler, &p->a);
	p->raw = sv[1];
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	port_free(&p->a.port);
	port_free(&p->b.port);
	if (p->raw >= 0)
		close(p->raw);
	strbuf_free(&p->a.data);
	strbuf_free(&p->a.body);
	strbuf_free(&p->b.data);
	strbuf_free(&p->b.body);
	if (p->a.fd >= 0)
		close(p->a.fd);
	if (p->b.fd >= 0)
		close(p->b.fd);
	loop_free(&p->loop);
	free(p);
	return 0;
}

static void
messages_arrive_in_order(void **state)
{
	struct pair *p = *state;
	unsigned i;

	for (i = 1; i <= 1000; i++)
		port_send(p->a.port, 7, i, slice_cstr("hello"));
	turns(p);
	assert_int_equal(p->b.messages, 1000);
	assert_int_equal(p->b.ref, 1000);
	assert_int_equal(p->b.type, 7);
	assert_true(slice_eq_cstr(strbuf_slice(&p->b.data), "hello"));
	assert_int_equal(port_backlog(p->a.port), 0);
}

static void
a_request_gets_one_reply(void **state)
{
	struct pair *p = *state;
	uint64_t ref = port_request(p->a.port, 0, on_reply, &p->a);

	port_send(p->a.port, 3, ref, slice_cstr("?"));
	turns(p);
	port_send_reply(p->b.port, 4, p->b.ref, slice_cstr("!"));
	port_send_reply(p->b.port, 4, p->b.ref, slice_cstr("again"));
	turns(p);
	assert_int_equal(p->a.replies, 1);
	assert_int_equal(p->a.type, 4);
	assert_int_equal(p->a.ref, ref);
	assert_int_equal(p->a.closed, 0);
	assert_int_equal(port_pending(p->a.port), 0);
}

static void
a_dead_peer_answers_all_requests_with_nothing(void **state)
{
	struct pair *p = *state;
	int i;

	for (i = 0; i < 100; i++)
		port_send(p->a.port, 3, port_request(p->a.port, 0, on_reply,
		    &p->a), slice_cstr("?"));
	port_free(&p->b.port);
	turns(p);
	assert_int_equal(p->a.gone, 100);
	assert_int_equal(p->a.closed, 1);
	assert_false(port_can_send(p->a.port));
	/* and later ones too, instead of waiting for ever */
	port_send(p->a.port, 3, port_request(p->a.port, 0, on_reply, &p->a),
	    slice_cstr("?"));
	turns(p);
	assert_int_equal(p->a.gone, 101);
	assert_int_equal(p->a.closed, 1);
}

static void
a_deadline_answers_with_nothing(void **state)
{
	struct pair *p = *state;
	uint64_t ref = port_request(p->a.port, 1, on_reply, &p->a);

	port_send(p->a.port, 3, ref, slice_cstr("?"));
	while (p->a.gone == 0)
		loop_turn(p->loop, true);
	assert_int_equal(p->b.messages, 1);
	/* what comes too late is nobody's */
	port_send_reply(p->b.port, 4, ref, slice_cstr("late"));
	turns(p);
	assert_int_equal(p->a.replies, 0);
	assert_int_equal(p->a.closed, 0);
}

static void
a_forgotten_request_is_not_called(void **state)
{
	struct pair *p = *state;
	uint64_t ref = port_request(p->a.port, 0, on_reply, &p->a);

	port_forget(p->a.port, ref);
	port_send_reply(p->b.port, 4, ref, slice_cstr("x"));
	turns(p);
	assert_int_equal(p->a.replies + p->a.gone, 0);
}

static void
transfer_of(struct pair *p, size_t meta_n, size_t body_n)
{
	struct strbuf meta = STRBUF_INIT, body = STRBUF_INIT;
	size_t i;

	for (i = 0; i < meta_n; i++)
		strbuf_putc(&meta, (char)(i * 7));
	for (i = 0; i < body_n; i++)
		strbuf_putc(&body, (char)(i * 13));
	p->b.messages = 0;
	port_transfer(p->a.port, 9, 5, strbuf_slice(&meta),
	    strbuf_slice(&body));
	while (p->b.messages == 0)
		loop_turn(p->loop, true);
	assert_true(slice_eq(strbuf_slice(&p->b.data), strbuf_slice(&meta)));
	assert_true(slice_eq(strbuf_slice(&p->b.body), strbuf_slice(&body)));
	port_grant(p->b.port, meta_n + body_n);
	turns(p);
	strbuf_free(&meta);
	strbuf_free(&body);
}

static void
transfers_of_all_sizes_arrive_whole(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, PORT_MESSAGE_MAX - 4,
	    PORT_MESSAGE_MAX - 3, PORT_MESSAGE_MAX, PORT_MESSAGE_MAX + 1,
	    200000, PORT_BODY_MAX };
	size_t i, k, n = sizeof(sizes) / sizeof(sizes[0]);

	for (i = 0; i < n; i++)
		for (k = 0; k < n; k++)
			transfer_of(*state, sizes[i], sizes[k]);
}

static void
a_descriptor_travels_with_its_transfer(void **state)
{
	struct pair *p = *state;
	struct strbuf meta = STRBUF_INIT;
	char c = 0;
	int fds[2];

	strbuf_room(&meta, 100000);
	memset(meta.p, 'm', 100000);
	meta.n = 100000;
	assert_int_equal(pipe(fds), 0);
	port_send(p->a.port, 1, 1, slice_cstr("before"));
	port_transfer_fd(p->a.port, 9, 5, strbuf_slice(&meta), fds[0]);
	turns(p);
	assert_int_equal(p->b.messages, 2);
	assert_int_equal(p->b.data.n, 100000);
	assert_true(p->b.fd >= 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(p->b.fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(fds[1]);
	strbuf_free(&meta);
}

static void
a_late_reply_does_not_leak_its_descriptor(void **state)
{
	struct pair *p = *state;
	char c;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	port_reply_fd(p->b.port, 9, 12345, slice_cstr(""), fds[1]);
	turns(p);
	/* the last writing end is closed: end of file */
	assert_int_equal(read(fds[0], &c, 1), 0);
	close(fds[0]);
}

static void
credit_stops_the_sender_and_comes_back(void **state)
{
	struct pair *p = *state;
	struct strbuf body = STRBUF_INIT;
	unsigned sent = 0;

	strbuf_room(&body, 1000000);
	memset(body.p, 'b', 1000000);
	body.n = 1000000;
	while (port_can_send(p->a.port)) {
		port_transfer(p->a.port, 9, 1, slice_cstr("m"),
		    strbuf_slice(&body));
		sent++;
	}
	assert_int_equal(sent, 9);
	while (p->b.messages < sent)
		loop_turn(p->loop, true);
	assert_int_equal(p->a.ready, 0);
	port_grant(p->b.port, 1000001);
	turns(p);
	assert_int_equal(p->a.ready, 1);
	assert_true(port_can_send(p->a.port));
	strbuf_free(&body);
}

static void
too_much_credit_ends_the_channel(void **state)
{
	struct pair *p = *state;

	port_grant(p->b.port, 1);
	turns(p);
	assert_int_equal(p->a.closed, 1);
	assert_non_null(strstr(p->a.why.text, "credit"));
}

static void
a_message_that_is_refused_ends_the_channel_only(void **state)
{
	struct pair *p = *state;

	p->b.answer = -1;
	port_send(p->a.port, 1, 1, slice_cstr("x"));
	port_send(p->a.port, 1, 2, slice_cstr("y"));
	turns(p);
	assert_int_equal(p->b.messages, 1);
	assert_int_equal(p->b.closed, 1);
	assert_int_equal(p->a.closed, 1);
	assert_string_equal(p->b.why.text, "from a: not wanted");
}

static void
put(struct strbuf *b, uint32_t n, uint16_t flags, struct slice data)
{
	struct packet_head h = { n, 9, flags, 1 };

	packet_put_head(b, &h);
	strbuf_add_slice(b, data);
}

/* Each of these packets ends the channel, with a reason, and nothing else. */
static void
garbage_ends_the_channel(void **state)
{
	static const struct {
		uint32_t n;
		uint16_t flags;
		const char *data;
		size_t data_n;
	} bad[] = {
		{ 100, 0, "short", 5 },
		{ 0xffffffff, 0, "", 0 },
		{ 2, PACKET_WHOLE, "xx", 2 },
		{ 8, PACKET_WHOLE, "\xff\xff\xff\x7fxxxx", 8 },
		{ 4, PACKET_BEGIN, "xxxx", 4 },
		{ 8, PACKET_BEGIN, "\xff\xff\xff\xff\1\0\0\0", 8 },
		{ 8, PACKET_BEGIN, "\1\0\0\0\xff\xff\xff\xff", 8 },
		{ 1, PACKET_PART, "x", 1 },
		{ 1, PACKET_PART | PACKET_LAST, "x", 1 },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct strbuf b = STRBUF_INIT;
		struct pair *p;
		void *inner;

		setup_raw(&inner);
		p = inner;
		put(&b, bad[i].n, bad[i].flags,
		    slice_of(bad[i].data, bad[i].data_n));
		assert_int_equal(send(p->raw, b.p, b.n, 0), (ssize_t)b.n);
		turns(p);
		assert_int_equal(p->a.closed, 1);
		assert_int_equal(p->a.messages, 0);
		assert_true(p->a.why.code != 0);
		strbuf_free(&b);
		teardown(&inner);
	}
	(void)state;
}

static void
begin_with(struct strbuf *b, const char *lens, const char *part,
    uint16_t part_flags)
{
	put(b, 8, PACKET_BEGIN, slice_of(lens, 8));
	put(b, (uint32_t)strlen(part), part_flags, slice_cstr(part));
}

static void
a_transfer_that_breaks_its_word_ends_the_channel(void **state)
{
	static const struct {
		const char *lens, *part;
		uint16_t flags;
	} bad[] = {
		{ "\2\0\0\0\2\0\0\0", "xxxxx", PACKET_PART },
		{ "\2\0\0\0\2\0\0\0", "xxx", PACKET_PART | PACKET_LAST },
		{ "\2\0\0\0\2\0\0\0", "\1\0\0\0\1\0\0\0", PACKET_BEGIN },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct strbuf b = STRBUF_INIT;
		struct pair *p;
		void *inner;

		setup_raw(&inner);
		p = inner;
		begin_with(&b, bad[i].lens, bad[i].part, bad[i].flags);
		assert_int_equal(send(p->raw, b.p, b.n, 0), (ssize_t)b.n);
		turns(p);
		assert_int_equal(p->a.closed, 1);
		strbuf_free(&b);
		teardown(&inner);
	}
	(void)state;
}

/* Sends the packet with n writing ends of a pipe; true when none of them is
 * open any more once it has been read. */
static bool
all_closed_after(struct pair *p, const struct strbuf *b, size_t n)
{
	struct iovec iov = { b->p, b->n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control = { .room = { 0 } };
	struct cmsghdr *c;
	int fds[2], copies[4];
	char octet;
	size_t i;
	bool closed;

	assert_int_equal(0, pipe2(fds, O_NONBLOCK));
	for (i = 0; i < n; i++)
		copies[i] = fds[1];
	m.msg_control = &control;
	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), copies, n * sizeof(int));
	assert_true(sendmsg(p->raw, &m, 0) > 0);
	close(fds[1]);
	turns(p);
	if (p->a.fd >= 0)
		close(p->a.fd);
	p->a.fd = -1;
	closed = read(fds[0], &octet, 1) == 0;
	close(fds[0]);
	return closed;
}

/* They come along where none belongs, or more than one. */
static void
descriptors_that_nobody_wants_are_closed(void **state)
{
	static const struct {
		const char *data;
		uint32_t n;
		uint16_t flags;
		size_t fds;
	} with[] = {
		{ "", 0, 0, 1 },
		{ "", 0, PACKET_FD, 2 },
		{ "", 0, PACKET_FD, 4 },
		{ "", 0, PACKET_FD | PACKET_CREDIT, 1 },
		{ "\1\0\0\0\0\0\0\0", 8, PACKET_FD | PACKET_BEGIN, 1 },
		{ "x", 1, PACKET_FD | PACKET_PART, 1 },
		{ "xx", 2, PACKET_FD | PACKET_WHOLE, 1 },
	};
	size_t i;

	for (i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		struct strbuf b = STRBUF_INIT;
		struct pair *p;
		void *inner;

		setup_raw(&inner);
		p = inner;
		put(&b, with[i].n, with[i].flags,
		    slice_of(with[i].data, with[i].n));
		assert_true(all_closed_after(p, &b, with[i].fds));
		strbuf_free(&b);
		teardown(&inner);
	}
	(void)state;
}

/* It asks and asks, and never reads an answer. */
static void
a_peer_that_does_not_read_is_dropped(void **state)
{
	struct pair *p = *state;
	struct strbuf d = STRBUF_INIT;
	unsigned i;

	strbuf_room(&d, 40000);
	memset(d.p, 'd', 40000);
	d.n = 40000;
	for (i = 0; i < 4000 && p->a.closed == 0; i++) {
		port_send_reply(p->a.port, 1, i, strbuf_slice(&d));
		if (i % 64 == 0)
			loop_turn(p->loop, false);
	}
	turns(p);
	assert_int_equal(1, p->a.closed);
	assert_in_range(i, 500, 3000);
	strbuf_free(&d);
}

static void
nor_is_a_peer_given_descriptors_without_end(void **state)
{
	struct pair *p = *state;
	unsigned i;

	for (i = 0; i < 10000 && p->a.closed == 0; i++) {
		int fd = dup(p->raw);

		assert_true(fd >= 0);
		port_reply_fd(p->a.port, 1, i, slice_cstr(""), fd);
		if (i % 64 == 0)
			loop_turn(p->loop, false);
	}
	turns(p);
	assert_int_equal(1, p->a.closed);
	assert_in_range(i, 1000, 9000);
}

static void
a_packet_longer_than_allowed_ends_the_channel(void **state)
{
	struct pair *p = *state;
	char *big = mem_zalloc(PACKET_MAX + 100);

	assert_true(send(p->raw, big, PACKET_MAX + 100, 0) > 0);
	turns(p);
	assert_int_equal(p->a.closed, 1);
	free(big);
}

static void
a_peer_that_ignores_its_credit_is_dropped(void **state)
{
	struct pair *p = *state;
	struct strbuf b = STRBUF_INIT;
	char lens[8] = { 0, 0, 0, 0, 0, 0, 16, 0 };	/* 1 MiB of body */
	char *part = mem_zalloc(PORT_MESSAGE_MAX);
	int i;

	for (i = 0; i < 20 && p->a.closed == 0; i++) {
		size_t left = 1u << 20;

		strbuf_clear(&b);
		put(&b, 8, PACKET_BEGIN, slice_of(lens, 8));
		(void)!send(p->raw, b.p, b.n, 0);
		while (left > 0 && p->a.closed == 0) {
			size_t n = left > PORT_MESSAGE_MAX ?
			    PORT_MESSAGE_MAX : left;

			left -= n;
			strbuf_clear(&b);
			put(&b, (uint32_t)n, (uint16_t)(PACKET_PART |
			    (left == 0 ? PACKET_LAST : 0)),
			    slice_of(part, n));
			(void)!send(p->raw, b.p, b.n, 0);
			turns(p);
		}
		turns(p);
	}
	assert_int_equal(p->a.closed, 1);
	assert_non_null(strstr(p->a.why.text, "credit"));
	free(part);
	strbuf_free(&b);
}

static void
what_the_socket_does_not_take_waits(void **state)
{
	struct pair *p = *state;
	struct strbuf d = STRBUF_INIT;
	unsigned i, got = 0;
	char *buf = mem_alloc(PACKET_MAX);
	ssize_t n;

	strbuf_room(&d, 40000);
	memset(d.p, 'd', 40000);
	d.n = 40000;
	for (i = 0; i < 100; i++)
		port_send(p->a.port, 1, i, strbuf_slice(&d));
	turns(p);
	assert_true(port_backlog(p->a.port) > 0);
	while (got < 100) {
		n = recv(p->raw, buf, PACKET_MAX, MSG_DONTWAIT);
		if (n > 0)
			got++;
		else
			loop_turn(p->loop, true);
	}
	assert_int_equal(port_backlog(p->a.port), 0);
	strbuf_free(&d);
	free(buf);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define R(f) cmocka_unit_test_setup_teardown(f, setup_raw, teardown)
	const struct CMUnitTest tests[] = {
		T(messages_arrive_in_order),
		T(a_request_gets_one_reply),
		T(a_dead_peer_answers_all_requests_with_nothing),
		T(a_deadline_answers_with_nothing),
		T(a_forgotten_request_is_not_called),
		T(transfers_of_all_sizes_arrive_whole),
		T(a_descriptor_travels_with_its_transfer),
		T(a_late_reply_does_not_leak_its_descriptor),
		T(credit_stops_the_sender_and_comes_back),
		T(too_much_credit_ends_the_channel),
		T(a_message_that_is_refused_ends_the_channel_only),
		cmocka_unit_test(garbage_ends_the_channel),
		cmocka_unit_test(
		    a_transfer_that_breaks_its_word_ends_the_channel),
		cmocka_unit_test(descriptors_that_nobody_wants_are_closed),
		R(a_peer_that_does_not_read_is_dropped),
		R(nor_is_a_peer_given_descriptors_without_end),
		R(a_packet_longer_than_allowed_ends_the_channel),
		R(a_peer_that_ignores_its_credit_is_dropped),
		R(what_the_socket_does_not_take_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

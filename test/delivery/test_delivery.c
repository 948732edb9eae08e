/* The whole role between monitor, queue and a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "conf/load.h"
#include "delivery/delivery.h"
#include "delivery/sink.h"
#include "ipc/msg.h"
#include "ipc/port.h"

struct world {
	struct loop *loop;
	struct delivery *delivery;
	struct port *monitor, *queue;
	bool monitor_closed, queue_closed, ready, stopped;
	struct sink sink;
	unsigned answers;
	unsigned lost;			/* answered by the port's end */
	uint32_t n_rcpt;		/* of the last answer */
	struct strbuf results;
};

#define UNTIL(w, condition) do { \
	uint64_t until_ = clock_mono_us() + 10000000; \
	while (!(condition) && clock_mono_us() < until_) \
		loop_turn((w)->loop, false); \
	assert_true(condition); \
} while (0)

/* ---- the others ---- */

static int
on_monitor_message(void *arg, struct port_message *m, struct err *e)
{
	struct world *w = arg;

	(void)e;
	if (m->type == MSG_ROLE_READY)
		w->ready = true;
	return 0;
}

static void
on_monitor_closed(void *arg, const struct err *why)
{
	(void)why;
	((struct world *)arg)->monitor_closed = true;
}

static int
on_queue_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	return err_set(e, -1, "message %u from delivery", m->type);
}

static void
on_queue_closed(void *arg, const struct err *why)
{
	(void)why;
	((struct world *)arg)->queue_closed = true;
}

static const struct port_handler monitor_handler = {
	on_monitor_message, on_monitor_closed, NULL
};
static const struct port_handler queue_handler = {
	on_queue_message, on_queue_closed, NULL
};

/* ---- what monitor does at a start ---- */

static int
read_text(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	if (strcmp(path, "/test.conf") != 0)
		return err_set(e, 2, "%s: no such file", path);
	strbuf_puts(out, arg);
	return 0;
}

static void
send_view(struct world *w)
{
	char text[300];
	struct conf_reader reader = { read_text, text };
	struct conf_messages m = { .n_errors = 0 };
	struct conf_tree *tree = NULL;
	struct strbuf view = STRBUF_INIT, b = STRBUF_INIT;
	struct msg_role me = { .instance = 1 };
	struct err e = { 0, "" };
	struct conf *conf;
	int fd;

	snprintf(text, sizeof(text), "hostname us.example\n"
	    "spool-directory /tmp\n"
	    "transport out { smarthost 127.0.0.1:%u; tls off }\n"
	    "transport box { maildir /tmp/x }\n"
	    "route via out\n", w->sink.port);
	conf = conf_load("/test.conf", &reader, false, &tree, &m);
	if (conf == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	conf_messages_free(&m);
	if (conf_view_encode(tree, CONF_DELIVERY, &view, &e) < 0)
		fail_msg("%s", e.text);
	fd = memfd_create("view", 0);
	assert_int_equal(write(fd, view.p, view.n), (ssize_t)view.n);
	msg_role_encode(&b, &me);
	port_send_fd(w->monitor, MSG_ROLE_VIEW, 0, strbuf_slice(&b), fd);
	strbuf_free(&b);
	strbuf_free(&view);
	conf_free(&conf);
	conf_tree_free(&tree);
}

static void
send_queue(struct world *w)
{
	struct msg_peer peer = { ROLE_QUEUE, 0 };
	struct strbuf b = STRBUF_INIT;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	w->queue = port_new(w->loop, fds[0], "delivery", &queue_handler, w);
	msg_peer_encode(&b, &peer);
	port_send_fd(w->monitor, MSG_ROLE_PEER, 0, strbuf_slice(&b), fds[1]);
	strbuf_free(&b);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err e = { 0, "" };
	int fds[2];

	w->loop = loop_new(&e);
	sink_open(&w->sink, w->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	w->monitor = port_new(w->loop, fds[0], "delivery", &monitor_handler,
	    w);
	w->delivery = delivery_new(w->loop, fds[1]);
	send_view(w);
	send_queue(w);
	port_send(w->monitor, MSG_ROLE_START, 0, slice_of("", 0));
	UNTIL(w, w->ready);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	delivery_free(&w->delivery);
	port_free(&w->monitor);
	port_free(&w->queue);
	sink_close(&w->sink);
	loop_turn(w->loop, false);
	loop_free(&w->loop);
	strbuf_free(&w->results);
	free(w);
	return 0;
}

/* ---- what queue does ---- */

static void
on_answer(void *arg, struct port_message *m)
{
	struct world *w = arg;
	struct msg_job_done d;
	uint32_t i;

	if (m == NULL) {
		w->lost++;
		return;
	}
	w->answers++;
	assert_int_equal(m->type, MSG_JOB_DONE);
	assert_int_equal(msg_job_done_decode(m->data, &d), 0);
	w->n_rcpt = d.n_rcpt;
	strbuf_printf(&w->results, "%u", d.class);
	for (i = 0; i < d.n_rcpt && i < 4; i++)
		strbuf_printf(&w->results, " %u=%u", d.rcpt[i].index,
		    d.rcpt[i].code);
	strbuf_puts(&w->results, ";");
	msg_job_done_clear(&d);
}

struct job_spec {
	const char *transport;
	const char *to;
	uint32_t n_rcpt;
	size_t body;			/* octets; 0: a short text */
	bool file, torn;		/* torn: shorter than said */
};

static void
send_job(struct world *w, const struct job_spec *s)
{
	size_t n = s->body ? s->body : 22, i;
	char *body = mem_alloc(n);
	struct msg_job m = {
		.id = 5,
		.transport = (char *)(uintptr_t)(s->transport ?
		    s->transport : "out"),
		.from = (char *)"s@example",
		.trace = (char *)"Received: by us\r\n",
		.body_size = n
	};
	struct strbuf b = STRBUF_INIT;
	uint64_t ref;
	int fd;

	memset(body, 'x', n);
	for (i = 998; i + 4 < n; i += 1000)
		memcpy(body + i, "\r\n", 2);
	memcpy(body + n - 2, "\r\n", 2);
	m.body_crc = crc32c(0, body, n);
	m.n_rcpt = s->n_rcpt ? s->n_rcpt : 1;
	m.rcpt = mem_zarray(m.n_rcpt, sizeof(*m.rcpt));
	for (i = 0; i < m.n_rcpt; i++) {
		m.rcpt[i].index = (uint32_t)i + 10;
		m.rcpt[i].address = (char *)(uintptr_t)(s->to ? s->to :
		    "a@example");
	}
	msg_job_encode(&b, &m);
	if (s->torn)
		n /= 2;
	ref = port_request(w->queue, 0, on_answer, w);
	if (s->file) {
		fd = memfd_create("body", 0);
		assert_int_equal(write(fd, body, n), (ssize_t)n);
		port_transfer_fd(w->queue, MSG_JOB, ref, strbuf_slice(&b),
		    fd);
	} else
		port_transfer(w->queue, MSG_JOB, ref, strbuf_slice(&b),
		    slice_of(body, n));
	strbuf_free(&b);
	free(m.rcpt);
	free(body);
}

static void
expect(struct world *w, unsigned answers, const char *results)
{
	UNTIL(w, w->answers >= answers);
	assert_string_equal(strbuf_cstr(&w->results), results);
}

/* ---- the tests ---- */

static void
a_message_is_delivered(void **state)
{
	struct world *w = *state;

	send_job(w, &(struct job_spec){ .n_rcpt = 2 });
	expect(w, 1, "0 10=250 11=250;");
	assert_string_equal(strbuf_cstr(&w->sink.mail),
	    "Received: by us\r\nxxxxxxxxxxxxxxxxxxxx\r\n.\r\n");
	assert_true(port_can_send(w->queue));
}

static void
large_bodies_come_as_files(void **state)
{
	struct world *w = *state;

	send_job(w, &(struct job_spec){ .body = 5000000, .file = true });
	expect(w, 1, "0 10=250;");
	assert_int_equal(w->sink.mail.n, 5000000 + 17 + 3);
}

static void
inline_bodies_of_all_sizes(void **state)
{
	struct world *w = *state;

	send_job(w, &(struct job_spec){ .body = 1000000 });
	expect(w, 1, "0 10=250;");
	assert_int_equal(w->sink.mail.n, 1000000 + 17 + 3);
}

static void
a_body_that_is_too_short_is_broken(void **state)
{
	struct world *w = *state;

	send_job(w, &(struct job_spec){ .body = 1000, .torn = true });
	expect(w, 1, "5 10=451;");
	send_job(w, &(struct job_spec){ .body = 1000, .torn = true,
	    .file = true });
	expect(w, 2, "5 10=451;5 10=451;");
	assert_int_equal(w->sink.accepted, 0);
}

static void
no_line_end_gets_into_a_command(void **state)
{
	struct world *w = *state;

	send_job(w, &(struct job_spec){
	    .to = "a@example>\r\nRSET\r\nMAIL FROM:<x@y" });
	expect(w, 1, "5 10=451;");
	assert_int_equal(w->sink.accepted, 0);
}

static void
transports_that_are_not_ours(void **state)
{
	struct world *w = *state;

	send_job(w, &(struct job_spec){ .transport = "nowhere" });
	expect(w, 1, "1 10=450;");
	send_job(w, &(struct job_spec){ .transport = "box" });
	expect(w, 2, "1 10=450;1 10=450;");
}

static void
many_recipients_with_long_replies_fit_one_answer(void **state)
{
	struct world *w = *state;
	char reply[600];

	memset(reply, 'z', sizeof(reply));
	memcpy(reply, "550 5.1.1 ", 10);
	reply[sizeof(reply) - 1] = '\0';
	w->sink.rcpt = reply;
	send_job(w, &(struct job_spec){ .n_rcpt = 1000 });
	expect(w, 1, "0 10=550 11=550 12=550 13=550;");
}

/* What the answer cannot tell must not be delivered: it would be again. */
static void
more_recipients_than_an_answer_holds_are_left(void **state)
{
	struct world *w = *state;

	send_job(w, &(struct job_spec){ .n_rcpt = 4000 });
	expect(w, 1, "0 10=250 11=250 12=250 13=250;");
	assert_int_equal(w->n_rcpt, w->sink.rcpts);
}

static void
garbage_ends_the_channel_and_nothing_else(void **state)
{
	struct world *w = *state;
	uint64_t ref = port_request(w->queue, 0, on_answer, w);

	port_transfer(w->queue, MSG_JOB, ref, slice_of("garbage", 7),
	    slice_of("", 0));
	UNTIL(w, w->queue_closed);
	assert_int_equal(w->lost, 1);
	port_free(&w->queue);
	send_queue(w);
	send_job(w, &(struct job_spec){ .n_rcpt = 1 });
	expect(w, 1, "0 10=250;");
}

static void
other_messages_too(void **state)
{
	struct world *w = *state;

	port_send(w->queue, MSG_MAIL, 0, slice_of("", 0));
	UNTIL(w, w->queue_closed);
	assert_false(w->monitor_closed);
}

static void
when_queue_dies_nothing_is_sent_to_its_end(void **state)
{
	struct world *w = *state;

	w->sink.hold_mail = true;
	send_job(w, &(struct job_spec){ .n_rcpt = 1 });
	UNTIL(w, w->sink.rcpts == 1);
	port_free(&w->queue);
	UNTIL(w, w->sink.open == 0);
	assert_int_equal(w->sink.messages, 0);
	w->sink.hold_mail = false;
	send_queue(w);
	send_job(w, &(struct job_spec){ .n_rcpt = 1 });
	expect(w, 1, "0 10=250;");
}

static void
draining_ends_the_role_when_all_is_done(void **state)
{
	struct world *w = *state;

	w->sink.hold = true;
	send_job(w, &(struct job_spec){ .n_rcpt = 1 });
	UNTIL(w, w->sink.messages == 1);
	port_send(w->monitor, MSG_ROLE_DRAIN, 0, slice_of("", 0));
	/* Too late for another one. */
	send_job(w, &(struct job_spec){ .n_rcpt = 1 });
	loop_turn(w->loop, false);
	expect(w, 1, "4 10=451;");
	sink_cut(&w->sink);
	/* Its last act stops the loop. */
	loop_run(w->loop);
	expect(w, 2, "4 10=451;0 10=451;");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_message_is_delivered),
		T(large_bodies_come_as_files),
		T(inline_bodies_of_all_sizes),
		T(a_body_that_is_too_short_is_broken),
		T(no_line_end_gets_into_a_command),
		T(transports_that_are_not_ours),
		T(many_recipients_with_long_replies_fit_one_answer),
		T(more_recipients_than_an_answer_holds_are_left),
		T(garbage_ends_the_channel_and_nothing_else),
		T(other_messages_too),
		T(when_queue_dies_nothing_is_sent_to_its_end),
		T(draining_ends_the_role_when_all_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The control socket: what each command answers, to whom, and what garbage
 * costs.  The role runs on this test's loop, with a spool of its own that
 * holds messages for a transport that never takes any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "conf/load.h"
#include "ipc/port.h"
#include "queue/control.h"

#define PATIENCE_MS 20000
#define LANE 2u
#define ID(n) (((uint64_t)1795000000000 << 22) + (n))
#define OTHER 65534u			/* a uid that may not do all */

struct world {
	char dir[80];
	struct loop *loop;
	struct port *monitor;
	struct queue *q;
	struct control *control;
	bool ready;
	struct strbuf answer;
};

/* ---- a spool with messages ---- */

struct result {
	bool done;
	int code;
};

static void
note(void *arg, int code, const char *text)
{
	struct result *r = arg;

	(void)text;
	r->done = true;
	r->code = code;
}

static void
idle(void *arg)
{
	(void)arg;
}

static struct record *
make_record(uint64_t id, struct slice body, const char *from, int64_t uid)
{
	struct envelope *env = envelope_new();
	struct record *r;

	env->id = id;
	env->received_ms = clock_real_ms() - 3600000;
	env->size = body.n;
	env->crc = crc32c(0, body.p, body.n);
	env->uid = uid;
	env->client = uid >= 0 ? mem_printf("uid:%d", (int)uid) :
	    mem_strdup("192.0.2.7");
	envelope_set(&env->from, slice_cstr(from));
	envelope_add_recipient(env, slice_cstr("to@example.org"), 0,
	    slice_of(NULL, 0));
	r = record_new(env);
	r->rcpt[0].lane = LANE;
	r->rcpt[0].due = clock_real_ms() + 7200000;
	r->rcpt[0].attempts = 1;
	r->rcpt[0].last_code = 451;
	r->rcpt[0].last_reply = mem_strdup("451 not now");
	r->transport = mem_strdup("later");
	return r;
}

static void
add(struct store *s, uint64_t id, struct slice body, const char *from,
    int64_t uid)
{
	struct store_change *c = store_change_new(s);
	struct record *r = make_record(id, body, from, uid);
	struct result done = { false, 0 };
	struct err e;
	int fd;

	if (body.n > STORE_INLINE_MAX) {
		fd = store_body_file(s, &e);
		assert_true(fd >= 0);
		assert_int_equal(fs_write_all(fd, body.p, body.n), 0);
		store_new_message_file(c, r, fd);
	} else {
		store_new_message(c, r, body);
	}
	store_put_lane(c, LANE, slice_of("later", 6), slice_of("", 0));
	store_due_add(c, LANE, r->rcpt[0].due, id);
	store_count(c, COUNT_DEFERRED, 1);
	store_commit(s, &c, false, note, &done);
	while (!done.done) {
		usleep(500);
		store_complete(s);
	}
	assert_int_equal(done.code, 0);
	record_free(&r);
}

/* ids 1 and 2 of the network, 3 with a large body, 4 of a local user. */
static void
fill(struct world *w, unsigned more)
{
	struct store_options o = { .spool = w->dir, .wake = idle };
	struct err e = { 0, "" };
	struct store *s = store_open(&o, &e);
	char *big = mem_alloc(200000);
	unsigned i;

	if (s == NULL)
		fail_msg("%s", e.text);
	memset(big, 'x', 200000);
	memcpy(big, "Subject: big\r\n\r\n", 16);
	add(s, ID(1), SLICE_LIT("Subject: one\r\n\r\nbody one\r\n"),
	    "a@example.net", -1);
	add(s, ID(2), SLICE_LIT("Subject: two\r\n\r\nbody two\r\n"),
	    "b@example.net", -1);
	add(s, ID(3), slice_of(big, 200000), "b@example.net", -1);
	add(s, ID(4), SLICE_LIT("Subject: four\r\n\r\nbody\r\n"),
	    "c@example.net", OTHER);
	for (i = 0; i < more; i++)
		add(s, ID(100 + i), SLICE_LIT("\r\n"), "many@example.net",
		    -1);
	free(big);
	store_close(&s);
}

/* ---- the role ---- */

static int
monitor_message(void *arg, struct port_message *m, struct err *e)
{
	struct world *w = arg;

	(void)e;
	if (m->type == MSG_ROLE_READY)
		w->ready = true;
	if (m->fd >= 0)
		close(m->fd);
	return 0;
}

static void
monitor_closed(void *arg, const struct err *why)
{
	(void)arg;
	fail_msg("the role ended its channel: %s", why->text);
}

static uint64_t
limit(void)
{
	clock_update();
	return clock_mono_ms() + PATIENCE_MS;
}

static void
turn(struct world *w, uint64_t end)
{
	loop_turn(w->loop, false);
	usleep(200);
	clock_update();
	if (clock_mono_ms() > end)
		fail_msg("waited in vain; so far: %s",
		    strbuf_cstr(&w->answer));
}

static int
read_conf(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	const struct world *w = arg;

	(void)path;
	(void)e;
	strbuf_printf(out, "hostname relay.test\nspool-directory %s\n"
	    "runtime-directory %s\nretry 1h\nbounce-to sender\nlisten 127.0.0.1:25 { }\n"
	    "transport later { fail 451 \"not now\" }\n"
	    "transport black { discard }\n"
	    "route from never@example.net via black\n"
	    "route via later\n", w->dir, w->dir);
	return 0;
}

static int
make_view(struct world *w)
{
	struct conf_reader reader = { read_conf, w };
	struct conf_tree *tree = NULL;
	struct conf_messages m = { .n_errors = 0 };
	struct strbuf view = STRBUF_INIT;
	struct err e = { 0, "" };
	struct conf *conf;
	int fd = memfd_create("view", MFD_CLOEXEC);

	conf = conf_load("test.conf", &reader, false, &tree, &m);
	if (conf == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	assert_int_equal(conf_view_encode(tree, CONF_QUEUE, &view, &e), 0);
	assert_int_equal(fs_write_all(fd, view.p, view.n), 0);
	strbuf_free(&view);
	conf_messages_free(&m);
	conf_free(&conf);
	conf_tree_free(&tree);
	return fd;
}

static int
listen_at(const char *dir)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(chmod(sun.sun_path, 0666), 0);
	assert_int_equal(listen(fd, 10), 0);
	return fd;
}

static void
start(struct world *w)
{
	static const struct port_handler handler = {
		monitor_message, monitor_closed, NULL
	};
	struct strbuf b = STRBUF_INIT;
	struct msg_role me = { 0, 1 };
	struct msg_listen l = { LISTEN_CONTROL, 0 };
	uint64_t end = limit();
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	w->monitor = port_new(w->loop, fds[0], "queue", &handler, w);
	w->q = queue_new(w->loop, fds[1]);
	w->control = control_new(w->q, w->loop);
	msg_role_encode(&b, &me);
	port_send_fd(w->monitor, MSG_ROLE_VIEW, 0, strbuf_slice(&b),
	    make_view(w));
	strbuf_clear(&b);
	msg_listen_encode(&b, &l);
	port_send_fd(w->monitor, MSG_ROLE_LISTEN, 0, strbuf_slice(&b),
	    listen_at(w->dir));
	port_send(w->monitor, MSG_ROLE_START, 0, slice_of("", 0));
	strbuf_free(&b);
	while (!w->ready)
		turn(w, end);
}

static struct world *
world_new(unsigned more)
{
	struct world *w = mem_zalloc(sizeof(*w));
	const char *tmp = getenv("TMPDIR");
	struct err e = { 0, "" };

	clock_update();
	snprintf(w->dir, sizeof(w->dir), "%.50s/control.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	w->loop = loop_new(&e);
	assert_non_null(w->loop);
	fill(w, more);
	start(w);
	return w;
}

static int
setup(void **state)
{
	*state = world_new(0);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	queue_free(&w->q);
	control_free(&w->control);
	port_free(&w->monitor);
	loop_free(&w->loop);
	strbuf_free(&w->answer);
	nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(w);
	return 0;
}

/* ---- a client ---- */

static int
connect_to(struct world *w)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock",
	    w->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)),
	    0);
	return fd;
}

/* Reads what is there; false: it has ended. */
static bool
take(struct world *w, int fd, size_t max)
{
	ssize_t n = read(fd, strbuf_room(&w->answer, max), max);

	if (n > 0)
		w->answer.n += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static void
say(int fd, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* All of the answer, with a NUL behind it. */
static const char *
hear(struct world *w, int fd)
{
	uint64_t end = limit();

	strbuf_clear(&w->answer);
	while (take(w, fd, 65536))
		turn(w, end);
	close(fd);
	strbuf_putc(&w->answer, '\0');
	return w->answer.p;
}

static const char *
ask(struct world *w, const char *request)
{
	int fd = connect_to(w);

	say(fd, request);
	say(fd, "\n");
	return hear(w, fd);
}

static const char *
ask_as_other(struct world *w, const char *request)
{
	int fd;

	if (geteuid() != 0)
		skip();
	assert_int_equal(seteuid(OTHER), 0);
	fd = connect_to(w);
	assert_int_equal(seteuid(0), 0);
	say(fd, request);
	say(fd, "\n");
	return hear(w, fd);
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static const char *
name(unsigned n)
{
	static char text[NUM_ID_LEN + 1];

	num_id_text(ID(n), text);
	return text;
}

/* A command on one message. */
static const char *
ask_id(struct world *w, const char *command, unsigned n)
{
	char *line = mem_printf("{\"command\":\"%s\",\"ids\":[\"%s\"]}",
	    command, name(n));
	const char *answer = ask(w, line);

	free(line);
	return answer;
}

#define HAS(answer, text) do {						\
	const char *a_ = (answer);					\
	if (strstr(a_, text) == NULL)					\
		fail_msg("no %s in: %.2000s", text, a_);		\
} while (0)
#define ENDS(answer, status)						\
	HAS(answer, "{\"end\":{\"status\":" #status ",")

/* ---- what it answers ---- */

static void
status_tells_counts_listeners_and_transports(void **state)
{
	const char *a = ask(*state, "{\"command\":\"status\"}");

	HAS(a, "{\"item\":{\"version\":\"");
	HAS(a, "\"queue\":{\"queued\":0,\"active\":0,\"deferred\":4,"
	    "\"held\":0,\"oldest\":\"20");
	HAS(a, "{\"address\":\"127.0.0.1:25\",\"connections\":0}");
	HAS(a, "{\"name\":\"later\",\"state\":\"ok\"");
	HAS(a, "\"waiting\":4");
	ENDS(a, 0);
}

static void
list_gives_an_object_a_line_in_order_of_arrival(void **state)
{
	const char *a = ask(*state, "{\"command\":\"queue list\"}");
	const char *at = a;
	unsigned i;

	for (i = 1; i <= 4; i++) {
		at = strstr(at, name(i));
		assert_non_null(at);
	}
	assert_int_equal(count(a, "{\"item\":{\"id\":"), 4);
	HAS(a, "\"status\":\"deferred\",\"from\":\"a@example.net\","
	    "\"account\":null,\"login\":null,\"client\":\"192.0.2.7\"");
	HAS(a, "\"last_reply\":\"451 not now\"");
	ENDS(a, 0);
}

static void
selectors_narrow_a_list(void **state)
{
	static const struct {
		const char *sel;
		unsigned n;
	} t[] = {
		{ "\"from\":\"b@example.net\"", 2 },
		{ "\"from\":\"example.net\",\"larger\":\"10K\"", 1 },
		{ "\"to\":\"to@example.org\"", 4 },
		{ "\"to\":\"nobody@example.org\"", 0 },
		{ "\"transport\":\"later\"", 4 },
		{ "\"transport\":\"black\"", 0 },
		{ "\"account\":\"scans\"", 0 },
		{ "\"status\":\"deferred\"", 4 },
		{ "\"status\":\"held\"", 0 },
		{ "\"older\":\"30m\"", 4 },
		{ "\"older\":\"2h\"", 0 },
		{ "\"limit\":\"3\"", 3 },
	};
	const char *a;
	char *line;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		line = mem_printf("{\"command\":\"queue list\","
		    "\"selectors\":{%s}}", t[i].sel);
		a = ask(*state, line);
		if (count(a, "\"item\"") != t[i].n)
			fail_msg("%s: %s", line, a);
		ENDS(a, 0);
		free(line);
	}
	assert_int_equal(count(ask_id(*state, "queue list", 2), "\"item\""),
	    1);
	assert_int_equal(count(ask_id(*state, "queue list", 99),
	    "\"item\""), 0);
}

static void
a_long_list_waits_for_a_slow_reader(void **state)
{
	struct world *w = world_new(2000);
	uint64_t end;
	int fd = connect_to(w);
	int i;

	(void)state;
	say(fd, "{\"command\":\"queue list\"}\n");
	end = limit();
	for (i = 0; i < 200; i++)
		turn(w, end);		/* it does not read at all */
	strbuf_clear(&w->answer);
	while (take(w, fd, 3000))
		loop_turn(w->loop, false);
	close(fd);
	strbuf_putc(&w->answer, '\0');
	assert_int_equal(count(w->answer.p, "{\"item\""), 2004);
	ENDS(w->answer.p, 0);
	teardown((void **)&w);
}

static void
show_gives_the_message_with_its_trace_in_front(void **state)
{
	struct world *w = *state;
	char *line;

	HAS(ask_id(w, "queue show", 1), "{\"item\":{\"id\":");
	line = mem_printf("{\"command\":\"queue show\",\"ids\":[\"%s\"],"
	    "\"content\":true}", name(1));
	HAS(ask(w, line), "Received: ");
	HAS(w->answer.p, "\r\nSubject: one\r\n\r\nbody one\r\n{\"end\"");
	free(line);
	line = mem_printf("{\"command\":\"queue show\",\"ids\":[\"%s\"],"
	    "\"headers\":true}", name(3));
	HAS(ask(w, line), "Subject: big\r\n{\"end\"");
	free(line);
	line = mem_printf("{\"command\":\"queue show\",\"ids\":[\"%s\"],"
	    "\"content\":true}", name(3));
	ENDS(ask(w, line), 0);
	assert_true(w->answer.n > 200000);
	free(line);
	ENDS(ask_id(w, "queue show", 99), 1);
	ENDS(ask(w, "{\"command\":\"queue show\"}"), 64);
	ENDS(ask(w, "{\"command\":\"queue show\",\"ids\":[\"??\"]}"), 1);
}

/* ---- actions ---- */

static void
hold_and_release(void **state)
{
	struct world *w = *state;

	ENDS(ask_id(w, "queue hold", 1), 0);
	HAS(ask_id(w, "queue list", 1), "\"status\":\"held\"");
	HAS(ask_id(w, "queue hold", 1), "\"result\":\"nothing\"");
	ENDS(ask_id(w, "queue retry", 1), 1);
	HAS(w->answer.p, "\"result\":\"declined\"");
	ENDS(ask_id(w, "queue release", 1), 0);
	HAS(ask(w, "{\"command\":\"queue list\",\"selectors\":"
	    "{\"status\":\"held\"}}"), "{\"end\":{\"status\":0");
	assert_int_equal(count(w->answer.p, "\"item\""), 0);
}

static void
retry_makes_an_attempt_at_once(void **state)
{
	struct world *w = *state;
	uint64_t end = limit();

	ENDS(ask_id(w, "queue retry", 1), 0);
	while (strstr(ask_id(w, "queue list", 1), "\"attempts\":2") == NULL)
		turn(w, end);
}

static void
remove_leaves_a_trace_in_the_history_alone(void **state)
{
	struct world *w = *state;

	ENDS(ask_id(w, "queue remove", 1), 0);
	HAS(w->answer.p, "\"text\":\"1 done\"");
	ENDS(ask_id(w, "queue show", 1), 1);
	HAS(ask(w, "{\"command\":\"history\"}"), "\"status\":\"removed\"");
	HAS(w->answer.p, name(1));
	HAS(ask(w, "{\"command\":\"history\",\"since\":\"1h\"}"), name(1));
	ENDS(ask_id(w, "queue remove", 1), 1);
	HAS(w->answer.p, "\"result\":\"unknown\"");
}

static void
bouncing_all_does_not_bounce_the_reports(void **state)
{
	struct world *w = *state;

	ENDS(ask(w, "{\"command\":\"queue bounce\",\"all\":true}"), 0);
	HAS(w->answer.p, "\"text\":\"4 done\"");
	ask(w, "{\"command\":\"queue list\",\"selectors\":"
	    "{\"from\":\"<>\"}}");
	assert_int_equal(count(w->answer.p, "{\"item\""), 4);
}

static void
move_pins_and_unpins(void **state)
{
	struct world *w = *state;
	char *line = mem_printf("{\"command\":\"queue move\",\"ids\":"
	    "[\"%s\"],\"transport\":\"auto\"}", name(1));
	uint64_t end = limit();

	ENDS(ask(w, "{\"command\":\"queue move\",\"all\":true}"), 64);
	ENDS(ask(w, "{\"command\":\"queue move\",\"all\":true,"
	    "\"transport\":\"nosuch\"}"), 1);
	ENDS(ask(w, "{\"command\":\"queue move\",\"transport\":\"later\","
	    "\"selectors\":{\"from\":\"a@example.net\"}}"), 0);
	HAS(ask_id(w, "queue list", 1), "\"transport\":\"later\","
	    "\"pinned\":true");
	ENDS(ask(w, line), 0);
	HAS(ask_id(w, "queue list", 1), "\"pinned\":false");
	free(line);
	ENDS(ask(w, "{\"command\":\"queue move\",\"transport\":\"black\","
	    "\"selectors\":{\"from\":\"a@example.net\"}}"), 0);
	while (strstr(ask(w, "{\"command\":\"history\"}"), name(1)) == NULL)
		turn(w, end);
	HAS(w->answer.p, "\"status\":\"delivered\"");
}

static void
an_action_says_when_nothing_matched(void **state)
{
	struct world *w = *state;

	ENDS(ask(w, "{\"command\":\"queue retry\",\"selectors\":"
	    "{\"to\":\"nobody@example.org\"}}"), 1);
	ENDS(ask(w, "{\"command\":\"queue retry\"}"), 64);
	ENDS(ask(w, "{\"command\":\"queue hold\",\"ids\":[\"nosuch\"]}"),
	    1);
	HAS(w->answer.p, "\"id\":\"nosuch\",\"result\":\"unknown\"");
	ENDS(ask(w, "{\"command\":\"transport pause\",\"name\":\"no\"}"),
	    1);
	ENDS(ask(w, "{\"command\":\"account resume\",\"name\":\"no\"}"), 1);
}

static void
an_action_on_many_goes_on_when_its_client_leaves(void **state)
{
	struct world *w = world_new(1000);
	uint64_t end = limit();
	int fd = connect_to(w);

	(void)state;
	say(fd, "{\"command\":\"queue hold\",\"all\":true}\n");
	turn(w, end);
	turn(w, end);
	close(fd);
	ENDS(ask(w, "{\"command\":\"queue hold\",\"all\":true}"), 0);
	HAS(ask(w, "{\"command\":\"status\"}"), "\"held\":1004");
	teardown((void **)&w);
}

/* ---- why ---- */

static void
why_finds_by_id_by_address_and_the_last(void **state)
{
	struct world *w = *state;
	char *line = mem_printf("{\"command\":\"why\",\"what\":\"%s\"}",
	    name(2));

	HAS(ask(w, line), "\"where\":\"queue\"");
	HAS(w->answer.p, "\"transport\":{\"name\":\"later\"");
	HAS(w->answer.p, name(2));
	HAS(ask(w, "{\"command\":\"why\",\"what\":\"last\"}"), name(4));
	HAS(ask(w, "{\"command\":\"why\",\"what\":\"B@example.net\"}"),
	    name(3));
	ENDS(ask(w, "{\"command\":\"why\",\"what\":\"z@example.net\"}"), 1);
	ENDS(ask(w, "{\"command\":\"why\",\"what\":\"nosuch\"}"), 1);
	ENDS(ask(w, "{\"command\":\"why\"}"), 64);
	ENDS(ask_id(w, "queue remove", 2), 0);
	HAS(ask(w, line), "\"where\":\"history\"");
	HAS(ask(w, "{\"command\":\"why\",\"what\":\"last\"}"), name(4));
	free(line);
}

/* ---- who may ---- */

static void
others_see_and_touch_their_own_messages(void **state)
{
	struct world *w = *state;
	char *line = mem_printf("{\"command\":\"queue hold\",\"ids\":"
	    "[\"%s\"]}", name(1));

	HAS(ask_as_other(w, "{\"command\":\"queue list\"}"), name(4));
	assert_int_equal(count(w->answer.p, "{\"item\""), 1);
	ENDS(ask_as_other(w, line), 77);
	ENDS(ask_as_other(w, "{\"command\":\"status\"}"), 77);
	ENDS(ask_as_other(w, "{\"command\":\"log\"}"), 77);
	ENDS(ask_as_other(w, "{\"command\":\"queue move\",\"all\":true,"
	    "\"transport\":\"black\"}"), 77);
	ENDS(ask_as_other(w, "{\"command\":\"queue hold\",\"all\":true}"),
	    0);
	HAS(ask(w, "{\"command\":\"status\"}"), "\"held\":1,");
	ENDS(ask_id(w, "queue remove", 1), 0);
	ENDS(ask_as_other(w, "{\"command\":\"queue remove\",\"all\":true}"),
	    0);
	HAS(ask_as_other(w, "{\"command\":\"history\"}"), name(4));
	assert_int_equal(count(w->answer.p, "{\"item\""), 1);
	HAS(ask_as_other(w, "{\"command\":\"why\",\"what\":\"last\"}"),
	    name(4));
	free(line);
}

/* ---- the log ---- */

static void
log_tells_events_as_they_happen(void **state)
{
	struct world *w = *state;
	uint64_t end = limit();
	int fd = connect_to(w);

	say(fd, "{\"command\":\"log\"}\n");
	turn(w, end);
	turn(w, end);
	(void)ask_id(w, "queue hold", 2);
	strbuf_clear(&w->answer);
	while (w->answer.n == 0 ||
	    memmem(w->answer.p, w->answer.n, "\"event\":\"hold\"", 14) ==
	    NULL) {
		assert_true(take(w, fd, 4096));
		turn(w, end);
	}
	assert_memory_equal(w->answer.p, "{\"item\":{", 9);
	close(fd);
	turn(w, end);
	turn(w, end);
	ENDS(ask_id(w, "queue release", 2), 0);
}

/* ---- garbage ---- */

static void
garbage_is_refused(void **state)
{
	static const char *const t[] = {
		"", "hello", "[]", "{}", "{\"command\":7}",
		"{\"command\":\"nosuch\"}", "{\"command\":\"status\"} x",
		"{\"command\":\"queue list\",\"colour\":\"red\"}",
		"{\"command\":\"queue list\",\"selectors\":{\"a\":\"b\"}}",
		"{\"command\":\"queue list\",\"selectors\":{\"older\":1}}",
		"{\"command\":\"queue list\",\"selectors\":\"older\"}",
		"{\"command\":\"queue list\",\"ids\":[1]}",
		"{\"command\":\"queue list\",\"ids\":{}}",
		"{\"command\":\"queue list\",\"all\":\"yes\"}",
		"{\"command\":\"history\",\"since\":\"soon\"}",
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ENDS(ask(*state, t[i]), 64);
	ENDS(ask(*state, "{\"command\":\"queue list\"}"), 0);
}

static void
a_line_without_end_is_cut_off(void **state)
{
	struct world *w = *state;
	char *flood = mem_alloc(65536);
	uint64_t end = limit();
	int fd = connect_to(w);
	ssize_t n;

	memset(flood, ' ', 65536);
	do {
		n = send(fd, flood, 65536, MSG_NOSIGNAL);
		turn(w, end);
	} while (n > 0 || (n < 0 && errno == EAGAIN &&
	    recv(fd, flood, 1, MSG_PEEK) < 0));
	free(flood);
	ENDS(hear(w, fd), 64);
	ENDS(ask(w, "{\"command\":\"queue list\"}"), 0);
}

static void
clients_that_leave_harm_nothing(void **state)
{
	struct world *w = *state;
	uint64_t end = limit();
	int fd;

	close(connect_to(w));
	fd = connect_to(w);
	say(fd, "{\"command\":\"queue li");
	turn(w, end);
	close(fd);
	turn(w, end);
	ENDS(ask(w, "{\"command\":\"queue list\"}"), 0);
}

int
main(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(status_tells_counts_listeners_and_transports),
		T(list_gives_an_object_a_line_in_order_of_arrival),
		T(selectors_narrow_a_list),
		cmocka_unit_test(a_long_list_waits_for_a_slow_reader),
		T(show_gives_the_message_with_its_trace_in_front),
		T(hold_and_release),
		T(retry_makes_an_attempt_at_once),
		T(remove_leaves_a_trace_in_the_history_alone),
		T(bouncing_all_does_not_bounce_the_reports),
		T(move_pins_and_unpins),
		T(an_action_says_when_nothing_matched),
		cmocka_unit_test(
		    an_action_on_many_goes_on_when_its_client_leaves),
		T(why_finds_by_id_by_address_and_the_last),
		T(others_see_and_touch_their_own_messages),
		T(log_tells_events_as_they_happen),
		T(garbage_is_refused),
		T(a_line_without_end_is_cut_off),
		T(clients_that_leave_harm_nothing),
	};

	log_open("queue", null, LOG_STREAM, LOG_TEXT, LL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

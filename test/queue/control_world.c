/* See control_world.h. */
#include "control_world.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"
#include "conf/load.h"
#include "support/tree.h"

#define PATIENCE_MS 20000
#define LANE 2u
#define ID(n) (((uint64_t)1795000000000 << 22) + (n))

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

uint64_t
world_limit(void)
{
	clock_update();
	return clock_mono_ms() + PATIENCE_MS;
}

void
world_turn(struct world *w, uint64_t end)
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
	    "runtime-directory %s\nretry 1h\nbounce-to sender\n"
	    "listen 127.0.0.1:25 { }\n"
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
	struct msg_role me = { .slot = 0, .instance = 1 };
	struct msg_listen l = { .kind = LISTEN_CONTROL };
	uint64_t end = world_limit();
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
		world_turn(w, end);
}

struct world *
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

int
world_setup(void **state)
{
	*state = world_new(0);
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;

	queue_free(&w->q);
	control_free(&w->control);
	port_free(&w->monitor);
	loop_free(&w->loop);
	strbuf_free(&w->answer);
	tree_remove(w->dir);
	free(w);
	return 0;
}

/* ---- a client ---- */

int
world_connect(struct world *w)
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
bool
world_take(struct world *w, int fd, size_t max)
{
	ssize_t n = read(fd, strbuf_room(&w->answer, max), max);

	if (n > 0)
		w->answer.n += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

void
world_say(int fd, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* All of the answer, with a NUL behind it. */
const char *
world_hear(struct world *w, int fd)
{
	uint64_t end = world_limit();

	strbuf_clear(&w->answer);
	while (world_take(w, fd, 65536))
		world_turn(w, end);
	close(fd);
	strbuf_putc(&w->answer, '\0');
	return w->answer.p;
}

const char *
ask(struct world *w, const char *request)
{
	int fd = world_connect(w);

	world_say(fd, request);
	world_say(fd, "\n");
	return world_hear(w, fd);
}

const char *
ask_as_other(struct world *w, const char *request)
{
	int fd;

	if (geteuid() != 0)
		skip();
	assert_int_equal(seteuid(OTHER), 0);
	fd = world_connect(w);
	assert_int_equal(seteuid(0), 0);
	world_say(fd, request);
	world_say(fd, "\n");
	return world_hear(w, fd);
}

unsigned
count_text(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

const char *
id_name(unsigned n)
{
	static char text[NUM_ID_LEN + 1];

	num_id_text(ID(n), text);
	return text;
}

/* A command on one message. */
const char *
ask_id(struct world *w, const char *command, unsigned n)
{
	char *line = mem_printf("{\"command\":\"%s\",\"ids\":[\"%s\"]}",
	    command, id_name(n));
	const char *answer = ask(w, line);

	free(line);
	return answer;
}

/* Passwords that come from commands: auth asks monitor, once for all who
 * wait, and keeps what it got. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <cmocka.h>

#include "auth/logins.h"
#include "auth/password.h"
#include "auth/secret_source.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "conf/conf.h"
#include "ipc/msg.h"

static struct loop *loop;
static struct port *auth, *monitor;
static struct secret_source *source;

/* What monitor was asked, and what it answers. */
static struct {
	int asked;
	uint64_t ref;
	bool login, silent, garbage;
	char name[64];
	const char *text;		/* NULL: failed */
} world;

struct caller {
	struct secret_wait wait;
	int called;
	char value[64], why[128];
};

static void
answer(void)
{
	struct msg_secret_done d = { world.text != NULL,
	    slice_cstr(world.text != NULL ? world.text : "x ended") };
	struct strbuf b = STRBUF_INIT;

	if (world.garbage)
		strbuf_puts(&b, "garbage");
	else
		msg_secret_done_encode(&b, &d);
	port_send_reply(monitor, MSG_SECRET_DONE, world.ref,
	    strbuf_slice(&b));
	strbuf_free(&b);
}

static int
on_message(void *arg, struct port_message *m, struct err *e)
{
	struct msg_secret s;

	(void)arg;
	(void)e;
	assert_int_equal(m->type, MSG_SECRET);
	assert_int_equal(msg_secret_decode(m->data, &s), 0);
	world.asked++;
	world.ref = m->ref;
	world.login = s.of == SECRET_OF_LOGIN;
	strcpy(world.name, s.name);
	msg_secret_clear(&s);
	if (!world.silent)
		answer();
	return 0;
}

static void
on_closed(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
}

static int
setup(void **state)
{
	static const struct port_handler handler = {
		on_message, on_closed, NULL
	};
	struct err e = { 0 };
	int fd[2];

	(void)state;
	memset(&world, 0, sizeof(world));
	loop = loop_new(&e);
	assert_int_equal(socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	auth = port_new(loop, fd[0], "monitor", &handler, NULL);
	monitor = port_new(loop, fd[1], "auth", &handler, NULL);
	source = secret_source_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	secret_source_free(&source);
	port_free(&auth);
	port_free(&monitor);
	loop_turn(loop, false);
	loop_free(&loop);
	return 0;
}

static void
on_secret(void *arg, const char *value, const char *why)
{
	struct caller *c = arg;

	c->called++;
	strcpy(c->value, value != NULL ? value : "");
	strcpy(c->why, why != NULL ? why : "");
}

static void
get(struct caller *c, const char *name, uint64_t age)
{
	secret_get(source, auth, false, name, age, &c->wait, on_secret, c);
}

static void
turns(void)
{
	int i;

	for (i = 0; i < 4; i++)
		loop_turn(loop, false);
}

static void
it_is_asked_for_once_and_kept(void **state)
{
	struct caller a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	world.text = "sesame";
	get(&a, "up", 0);
	get(&b, "up", 0);
	assert_int_equal(a.called, 0);
	while (a.called == 0)
		loop_turn(loop, true);
	assert_string_equal(a.value, "sesame");
	assert_string_equal(b.value, "sesame");
	assert_int_equal(world.asked, 1);
	assert_string_equal(world.name, "up");
	assert_false(world.login);
	get(&c, "up", 0);
	assert_string_equal(c.value, "sesame");
	assert_int_equal(world.asked, 1);
	assert_string_equal(secret_held(source, false, "up"), "sesame");
	assert_null(secret_held(source, true, "up"));
}

static void
what_was_refused_is_asked_for_anew(void **state)
{
	struct caller a = { 0 }, b = { 0 };

	(void)state;
	world.text = "old";
	get(&a, "up", 0);
	while (a.called == 0)
		loop_turn(loop, true);
	secret_forget(source, false, "other");
	secret_forget(source, false, "up");
	assert_null(secret_held(source, false, "up"));
	world.text = "new";
	get(&b, "up", 0);
	while (b.called == 0)
		loop_turn(loop, true);
	assert_string_equal(b.value, "new");
	assert_int_equal(world.asked, 2);
}

static void
a_failure_is_told_and_not_tried_at_once_again(void **state)
{
	struct caller a = { 0 }, b = { 0 };

	(void)state;
	get(&a, "up", 0);
	while (a.called == 0)
		loop_turn(loop, true);
	assert_string_equal(a.value, "");
	assert_string_equal(a.why, "password command: x ended");
	get(&b, "up", 0);
	assert_int_equal(b.called, 1);
	assert_string_equal(b.why, "password command: x ended");
	assert_int_equal(world.asked, 1);
}

static void
an_old_one_is_better_than_none(void **state)
{
	struct caller a = { 0 }, b = { 0 };

	(void)state;
	world.text = "sesame";
	get(&a, "up", 1);
	while (a.called == 0)
		loop_turn(loop, true);
	world.text = NULL;
	/* older than 1 ms some turns later */
	while (b.called == 0 || world.asked == 1) {
		loop_turn(loop, false);
		get(&b, "up", 1);
		while (b.wait.on != NULL)
			loop_turn(loop, true);
	}
	assert_string_equal(b.value, "sesame");
	assert_string_equal(b.why, "");
}

static void
who_does_not_wait_any_more_is_not_called(void **state)
{
	struct caller a = { 0 }, b = { 0 };

	(void)state;
	world.silent = true;
	get(&a, "up", 0);
	get(&b, "up", 0);
	turns();
	assert_int_equal(world.asked, 1);
	secret_cancel(&a.wait);
	secret_cancel(&a.wait);
	world.text = "sesame";
	answer();
	while (b.called == 0)
		loop_turn(loop, true);
	assert_int_equal(a.called, 0);
	/* and the source may go while somebody waits */
	get(&a, "other", 0);
	turns();
	secret_source_free(&source);
	assert_null(a.wait.on);
}

static void
garbage_and_no_monitor_are_failures(void **state)
{
	struct caller a = { 0 }, b = { 0 };

	(void)state;
	world.garbage = true;
	get(&a, "up", 0);
	while (a.called == 0)
		loop_turn(loop, true);
	assert_string_equal(a.why, "password command: no answer");
	secret_get(source, NULL, true, "joe", 0, &b.wait, on_secret, &b);
	assert_int_equal(b.called, 1);
	assert_string_equal(b.value, "");
}

static void
a_login_is_checked_against_what_the_command_said(void **state)
{
	struct conf_login names[1] = { { .name = (char *)(uintptr_t)"joe",
	    .uses = LOGIN_USE_PASSWORD | LOGIN_USE_CLEAR,
	    .password = { .kind = SECRET_COMMAND,
	    .text = (char *)(uintptr_t)"show joe" } } };
	struct conf conf = { .logins = names, .n_logins = 1 };
	struct logins *l = logins_new(&conf, source);
	struct logins *without = logins_new(&conf, NULL);
	struct conf_secret secret;
	struct caller a = { 0 };

	(void)state;
	assert_true(logins_secret(l, "joe", &secret));
	assert_int_equal(secret.kind, SECRET_NONE);
	assert_true(logins_secret(without, "joe", &secret));
	assert_int_equal(secret.kind, SECRET_NONE);
	world.text = "sesame";
	secret_get(source, auth, true, "joe", 0, &a.wait, on_secret, &a);
	while (a.called == 0)
		loop_turn(loop, true);
	assert_true(world.login);
	assert_true(logins_secret(l, "joe", &secret));
	assert_true(auth_password_check(&secret, SLICE_LIT("sesame")));
	assert_false(auth_password_check(&secret, SLICE_LIT("show joe")));
	assert_false(logins_secret(l, "ann", &secret));
	logins_free(&l);
	logins_free(&without);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_asked_for_once_and_kept),
		T(what_was_refused_is_asked_for_anew),
		T(a_failure_is_told_and_not_tried_at_once_again),
		T(an_old_one_is_better_than_none),
		T(who_does_not_wait_any_more_is_not_called),
		T(garbage_and_no_monitor_are_failures),
		T(a_login_is_checked_against_what_the_command_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

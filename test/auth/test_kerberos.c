/* Logins with Kerberos as auth carries them: monitor hands it a program, and
 * that one is good, silent, mad or dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <cmocka.h>

#include "auth/role.h"

enum manner { GOOD, REFUSES, GARBAGE, DIES, SILENT };

/* What monitor and the program were asked, and how they answer. */
static struct {
	struct port *monitor;		/* its end, and auth's */
	struct port *program;		/* the program's end; NULL: ended */
	int asked, starts, nexts, drops;
	const char *no;			/* monitor's reason for none */
	bool passing;			/* it is over soon */
	bool mute;			/* monitor says nothing */
	enum manner manner;
	char transport[32], host[64];
} world;

/* ---- the program ---- */

static void
answer(uint64_t ref, uint8_t state, const char *data, const char *text)
{
	struct msg_auth_step m = { .state = state, .has_data = data != NULL,
		.data = slice_cstr(data), .text = (char *)(uintptr_t)text };
	struct strbuf b = STRBUF_INIT;

	msg_auth_step_encode(&b, &m);
	port_send_reply(world.program, MSG_CRED_STEP, ref, strbuf_slice(&b));
	strbuf_free(&b);
}

static int
do_start(uint64_t ref, struct err *e)
{
	switch (world.manner) {
	case GOOD:
		answer(ref, AUTH_CONTINUE, "token", NULL);
		break;
	case REFUSES:
		answer(ref, AUTH_REFUSED, NULL, "Ticket expired");
		break;
	case GARBAGE:
		port_send_reply(world.program, MSG_CRED_STEP, ref,
		    SLICE_LIT("what?"));
		break;
	case DIES:
		return err_set(e, -1, "it dies");
	case SILENT:
		break;
	}
	return 0;
}

static int
program_message(void *arg, struct port_message *pm, struct err *e)
{
	struct msg_cred m;
	int rc = 0;

	(void)arg;
	assert_int_equal(msg_cred_decode(pm->data, &m), 0);
	switch (pm->type) {
	case MSG_CRED_START:
		world.starts++;
		strcpy(world.host, m.host);
		assert_null(m.mechanisms);
		rc = do_start(pm->ref, e);
		break;
	case MSG_CRED_NEXT:
		world.nexts++;
		assert_memory_equal(m.data.p, "layers", m.data.n);
		answer(pm->ref, AUTH_OK, "none", NULL);
		break;
	default:
		assert_int_equal(pm->type, MSG_CRED_DROP);
		world.drops++;
		break;
	}
	msg_cred_clear(&m);
	return rc;
}

static void
program_closed(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
	port_free(&world.program);
}

/* ---- monitor ---- */

static void
monitor_answers(uint64_t ref)
{
	static const struct port_handler handler = {
		program_message, program_closed, NULL
	};
	struct msg_connected m = { .passing = world.passing };
	struct strbuf b = STRBUF_INIT;
	int fd[2];

	if (world.no != NULL)
		strcpy(m.text, world.no);
	msg_connected_encode(&b, &m);
	if (world.no != NULL) {
		port_send_reply(world.monitor, MSG_CONNECTED, ref,
		    strbuf_slice(&b));
	} else {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET |
		    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
		assert_null(world.program);
		world.program = port_new(loop, fd[1], "auth", &handler, NULL);
		port_reply_fd(world.monitor, MSG_CONNECTED, ref,
		    strbuf_slice(&b), fd[0]);
	}
	strbuf_free(&b);
}

static int
monitor_message(void *arg, struct port_message *pm, struct err *e)
{
	struct msg_connect m;

	(void)arg;
	(void)e;
	assert_int_equal(pm->type, MSG_KERBEROS);
	assert_int_equal(msg_connect_decode(pm->data, &m), 0);
	world.asked++;
	strcpy(world.transport, m.transport);
	msg_connect_clear(&m);
	if (!world.mute)
		monitor_answers(pm->ref);
	return 0;
}

static void
on_closed(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
}

static int
krb_setup(void **state)
{
	static const struct port_handler handler = {
		monitor_message, on_closed, NULL
	};
	int fd[2];

	memset(&world, 0, sizeof(world));
	if (setup(state) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) != 0)
		return -1;
	auth->base.monitor = port_new(loop, fd[0], "monitor", &handler, NULL);
	world.monitor = port_new(loop, fd[1], "auth", &handler, NULL);
	return 0;
}

static int
krb_teardown(void **state)
{
	port_free(&world.program);
	port_free(&world.monitor);
	return teardown(state);
}

static void
turn_until(const int *count, int n)
{
	while (*count < n)
		loop_turn(loop, true);
}

static struct answer
begin(uint64_t number)
{
	return credential(number, "krb", "PLAIN GSSAPI", false, "");
}

/* ---- tests ---- */

static void
octets_are_carried_in_both_directions(void **state)
{
	struct answer a;

	(void)state;
	a = begin(1);
	assert_string_equal(a.step.mechanism, "GSSAPI");
	assert_true(a.step.has_data);
	expect_step(a, AUTH_CONTINUE, "token");
	assert_string_equal(world.transport, "krb");
	/* the name of the certificate is the server's */
	assert_string_equal(world.host, "mail.x.test");
	a = credential(1, "krb", NULL, false, "layers");
	assert_null(a.step.mechanism);
	expect_step(a, AUTH_OK, "none");
	drop(1, MSG_CRED_ACCEPTED);
	turn_until(&world.drops, 1);
	/* the program is kept, with its tickets */
	expect_step(begin(2), AUTH_CONTINUE, "token");
	assert_int_equal(world.asked, 1);
	assert_int_equal(world.starts, 2);
	/* another transport has another one */
	port_free(&world.program);
	expect_step(credential(3, "ticket", "GSSAPI", true, ""), AUTH_CONTINUE,
	    "token");
	assert_int_equal(world.asked, 2);
	assert_string_equal(world.host, "mx.x.test");
}

static void
nothing_else_is_tried(void **state)
{
	struct answer a = credential(1, "krb", "PLAIN LOGIN", true, "");

	(void)state;
	assert_non_null(strstr(a.step.text, "the server offers PLAIN LOGIN"));
	expect_step(a, AUTH_NO_MECHANISM, "");
	assert_int_equal(world.asked, 0);
}

static void
what_could_not_log_in_is_left(void **state)
{
	struct answer a;

	(void)state;
	world.manner = REFUSES;
	a = begin(1);
	assert_string_equal(a.step.text, "AUTH: GSSAPI: Ticket expired");
	expect_step(a, AUTH_REFUSED, "");
	while (world.program != NULL)
		loop_turn(loop, true);
	world.manner = GOOD;
	expect_step(begin(2), AUTH_CONTINUE, "token");
	assert_int_equal(world.asked, 2);
	/* a server's refusal, too: tickets may be of its old key */
	expect_step(credential(2, "krb", NULL, false, "layers"), AUTH_OK,
	    "none");
	drop(2, MSG_CRED_REFUSED);
	while (world.program != NULL)
		loop_turn(loop, true);
	expect_step(begin(3), AUTH_CONTINUE, "token");
	assert_int_equal(world.asked, 3);
}

static void
a_program_that_fails_is_a_temporary_failure(void **state)
{
	static const enum manner manners[] = { GARBAGE, DIES };
	struct answer a;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		world.manner = manners[i];
		a = begin(i + 1);
		assert_non_null(strstr(a.step.text, "its program has ended"));
		expect_step(a, AUTH_TEMPORARY, "");
		while (world.program != NULL)
			loop_turn(loop, true);
	}
	world.manner = GOOD;
	expect_step(begin(9), AUTH_CONTINUE, "token");
	assert_int_equal(world.asked, 3);
}

static void
a_program_that_ends_in_between(void **state)
{
	struct answer a;

	(void)state;
	expect_step(begin(1), AUTH_CONTINUE, "token");
	port_free(&world.program);
	a = credential(1, "krb", NULL, false, "layers");
	expect_step(a, AUTH_TEMPORARY, "");
	/* and the exchange is gone */
	expect_step(credential(1, "krb", NULL, false, "layers"),
	    AUTH_TEMPORARY, "");
	expect_step(begin(2), AUTH_CONTINUE, "token");
}

/* It is no business of the next program, which knows nothing of it. */
static void
one_that_was_in_the_middle_is_not_begun_anew(void **state)
{
	struct answer a;

	(void)state;
	expect_step(begin(1), AUTH_CONTINUE, "token");
	port_free(&world.program);
	expect_step(begin(2), AUTH_CONTINUE, "token");
	assert_int_equal(world.asked, 2);
	assert_int_equal(world.starts, 2);
	a = credential(1, "krb", NULL, false, "layers");
	assert_string_equal(a.step.text, "AUTH: GSSAPI: its program has "
	    "ended");
	expect_step(a, AUTH_TEMPORARY, "");
	assert_int_equal(world.nexts, 0);
	expect_step(credential(2, "krb", NULL, false, "layers"), AUTH_OK,
	    "none");
}

static void
on_late(void *arg, struct port_message *m)
{
	struct msg_auth_step step;

	assert_non_null(m);
	assert_int_equal(msg_auth_step_decode(m->data, &step), 0);
	assert_int_equal(step.state, AUTH_TEMPORARY);
	msg_auth_step_clear(&step);
	++*(int *)arg;
}

/* Several wait for one program. */
static void
all_who_wait_hear_of_its_end(void **state)
{
	char krb[] = "krb", host[] = "h", offered[] = "GSSAPI";
	struct msg_cred m = { .transport = krb, .host = host,
		.mechanisms = offered };
	struct strbuf b = STRBUF_INIT;
	int told = 0;

	(void)state;
	world.manner = SILENT;
	for (m.session = 1; m.session <= 3; m.session++) {
		strbuf_clear(&b);
		msg_cred_encode(&b, &m);
		port_send(delivery, MSG_CRED_START, port_request(delivery,
		    60000, on_late, &told), strbuf_slice(&b));
	}
	strbuf_free(&b);
	turn_until(&world.starts, 3);
	assert_int_equal(world.asked, 1);
	/* one gives up before */
	drop(2, MSG_CRED_DROP);
	turn_until(&world.drops, 1);
	port_free(&world.program);
	turn_until(&told, 2);
}

static void
monitor_has_none(void **state)
{
	struct answer a;

	(void)state;
	world.no = "/etc/k: No such file or directory";
	a = begin(1);
	assert_string_equal(a.step.text, "AUTH: GSSAPI: /etc/k: No such file "
	    "or directory");
	expect_step(a, AUTH_REFUSED, "");
	assert_int_equal(world.starts, 0);
	/* that it lacks something itself is nobody's fault */
	world.no = "/etc/k: Too many open files";
	world.passing = true;
	a = begin(1);
	assert_string_equal(a.step.text, "AUTH: GSSAPI: /etc/k: Too many open "
	    "files");
	expect_step(a, AUTH_TEMPORARY, "");
	/* nor is it where we could not take what it sent */
	world.no = "";
	world.passing = false;
	a = begin(1);
	assert_string_equal(a.step.text, "AUTH: GSSAPI: no descriptor left");
	expect_step(a, AUTH_TEMPORARY, "");
	world.no = NULL;
	expect_step(begin(2), AUTH_CONTINUE, "token");
	/* without a monitor nothing is begun */
	port_free(&world.program);
	drop(2, MSG_CRED_DROP);
	port_free(&auth->base.monitor);
	expect_step(begin(3), AUTH_TEMPORARY, "");
}

/* The exchange is gone before its program is there. */
static void
nobody_waits_any_more(void **state)
{
	char krb[] = "krb", host[] = "h", offered[] = "GSSAPI";
	struct msg_cred m = { .session = 1, .transport = krb, .host = host,
		.mechanisms = offered };
	struct strbuf b = STRBUF_INIT;

	(void)state;
	world.mute = true;
	msg_cred_encode(&b, &m);
	port_send(delivery, MSG_CRED_START, 0, strbuf_slice(&b));
	strbuf_free(&b);
	turn_until(&world.asked, 1);
	drop(1, MSG_CRED_DROP);
	/* who comes now waits for the same one */
	monitor_answers(1);
	expect_step(begin(7), AUTH_CONTINUE, "token");
	assert_int_equal(world.asked, 1);
}

#define K(name) cmocka_unit_test_setup_teardown(name, krb_setup, krb_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		K(octets_are_carried_in_both_directions),
		K(nothing_else_is_tried),
		K(what_could_not_log_in_is_left),
		K(a_program_that_fails_is_a_temporary_failure),
		K(a_program_that_ends_in_between),
		K(one_that_was_in_the_middle_is_not_begun_anew),
		K(all_who_wait_hear_of_its_end),
		K(monitor_has_none),
		K(nobody_waits_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

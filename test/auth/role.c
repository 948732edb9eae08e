/* See role.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/load.h"
#include "auth/role.h"

static const char conf[] =
    "hostname relay.test\n"
    "login joe { password sesame }\n"
    "login ann { password hash "
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBF"
    "zpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= }\n"
    "transport up { submission 127.0.0.1:1; tls required; username me@x.test;"
    " password \"pass word\" }\n"
    "transport login { submission 127.0.0.1:1; tls required; username me;"
    " password p; auth-mechanisms LOGIN }\n"
    "transport open { smarthost 127.0.0.1:1 }\n"
    "transport proxied { smarthost 127.0.0.1:1; socks5 127.0.0.1:2;"
    " socks5 127.0.0.1:3 { username me; password \"pass word\" } }\n"
    "transport bound { submission 127.0.0.1:1; username user; password pencil;"
    " auth-mechanisms SCRAM-SHA-256-PLUS }\n"
    "transport scram { submission 127.0.0.1:1; username user; "
    "password pencil }\n"
    "transport strict { submission 127.0.0.1:1; username user; password p;"
    " auth-mechanisms SCRAM-SHA-256-PLUS SCRAM-SHA-256 }\n"
    "transport card { submission 127.0.0.1:1; certificate c.pem }\n"
    "transport cram { submission 127.0.0.1:1; username tim; "
    "password tanstaaftanstaaf; auth-mechanisms CRAM-MD5 }\n"
    "transport ntlm { submission 127.0.0.1:1; username \"CORP\\\\me\"; "
    "password p; auth-mechanisms NTLM }\n"
    "transport krb { submission 127.0.0.1:1; tls off; tls-name mail.x.test; "
    "kerberos keytab k }\n"
    "transport ticket { submission 127.0.0.1:1; kerberos cache /c }\n"
    "route via up\n";

struct loop *loop;
struct auth *auth;
struct port *listener, *delivery;

static int
read_text(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	(void)arg;
	(void)path;
	(void)e;
	strbuf_puts(out, conf);
	return 0;
}

static int
no_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	(void)m;
	return err_set(e, -1, "unexpected");
}

static void
gone(void *arg, const struct err *why)
{
	(void)why;
	port_free(arg);
}

struct port *
connect_as(uint8_t role, struct port **at)
{
	static const struct port_handler handler = { no_message, gone, NULL };
	struct msg_peer peer = { .role = role };
	struct err e = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(auth_ops.peer(auth, &peer, fd[0], &e), 0);
	return port_new(loop, fd[1], "auth", &handler, at);
}

int
setup(void **state)
{
	struct conf_reader reader = { read_text, NULL };
	struct conf_messages m = { 0 };
	struct strbuf view = STRBUF_INIT;
	struct conf_tree *tree = NULL;
	struct err e = { 0 };
	struct conf *c;

	(void)state;
	loop = loop_new(&e);
	auth = auth_new(loop, -1);
	assert_true(auth->sasl);
	c = conf_load("test.conf", &reader, false, &tree, &m);
	if (c == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	assert_int_equal(conf_view_encode(tree, CONF_AUTH, &view, &e), 0);
	assert_int_equal(auth_ops.view(auth, strbuf_slice(&view), &e), 0);
	assert_int_equal(auth_ops.start(auth, &e), 0);
	strbuf_free(&view);
	conf_messages_free(&m);
	conf_free(&c);
	conf_tree_free(&tree);
	listener = connect_as(ROLE_LISTENER, &listener);
	delivery = connect_as(ROLE_DELIVERY, &delivery);
	return 0;
}

int
teardown(void **state)
{
	(void)state;
	port_free(&listener);
	port_free(&delivery);
	auth_free(&auth);
	loop_turn(loop, false);
	loop_free(&loop);
	return 0;
}

/* ---- asking ---- */

static void
on_answer(void *arg, struct port_message *m)
{
	struct answer *a = arg;

	a->there = true;
	a->lost = m == NULL;
	if (m == NULL)
		return;
	assert_int_equal(msg_auth_step_decode(m->data, &a->step), 0);
	assert_true(a->step.data.n < sizeof a->data);
	memcpy(a->data, a->step.data.p, a->step.data.n);
	a->step.data.p = NULL;		/* it moves with the struct */
}

static struct answer
ask(struct port *p, uint16_t type, struct strbuf *b)
{
	struct answer a = { 0 };
	uint64_t ref = port_request(p, 60000, on_answer, &a);

	port_send(p, type, ref, strbuf_slice(b));
	strbuf_free(b);
	while (!a.there)
		loop_turn(loop, true);
	return a;
}

struct answer
log_in(uint64_t number, const char *mechanism, const void *data, size_t n)
{
	struct msg_auth m = { .session = number,
		.mechanism = (char *)(uintptr_t)mechanism,
		.client = (char *)(uintptr_t)"192.0.2.1", .secure = true,
		.has_data = data != NULL,
		.data = slice_of(data != NULL ? data : "", n) };
	struct strbuf b = STRBUF_INIT;

	if (mechanism == NULL)
		m.client = NULL;
	msg_auth_encode(&b, &m);
	return ask(listener,
	    mechanism != NULL ? MSG_AUTH_START : MSG_AUTH_NEXT, &b);
}

void
expect_step(struct answer a, uint8_t state, const char *data)
{
	assert_false(a.lost);
	assert_int_equal(a.step.state, state);
	if (data != NULL)
		assert_memory_equal(a.data, data, strlen(data));
	if (data != NULL)
		assert_int_equal(a.step.data.n, strlen(data));
	msg_auth_step_clear(&a.step);
}

const char *channel_binding;

struct answer
credential(uint64_t number, const char *transport, const char *mechanisms,
    bool secure, const char *challenge)
{
	struct msg_cred m = { .session = number,
		.transport = (char *)(uintptr_t)transport,
		.host = (char *)(uintptr_t)"mx.x.test",
		.mechanisms = (char *)(uintptr_t)mechanisms,
		.secure = secure, .data = slice_cstr(challenge) };
	struct strbuf b = STRBUF_INIT;

	if (channel_binding != NULL && mechanisms != NULL) {
		m.binding.type = (char *)(uintptr_t)channel_binding;
		m.binding.data = SLICE_LIT("0123456789abcdef");
	}
	msg_cred_encode(&b, &m);
	return ask(delivery,
	    mechanisms != NULL ? MSG_CRED_START : MSG_CRED_NEXT, &b);
}

void
drop(uint64_t number, uint16_t type)
{
	struct msg_cred m = { .session = number };
	struct strbuf b = STRBUF_INIT;

	msg_cred_encode(&b, &m);
	port_send(delivery, type, 0, strbuf_slice(&b));
	strbuf_free(&b);
}


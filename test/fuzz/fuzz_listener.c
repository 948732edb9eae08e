/* A whole listener session: the input is what a client sends, in pieces, on a
 * socket pair; the queue and the auth role are played here.  What reaches the
 * queue must be sane: CRLF only, no NUL, the size and CRC that were told. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include "base/crc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "io/sockaddr.h"
#include "ipc/msg.h"
#include "listener/listener.h"
#include "listener/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conf_text[] =
    "hostname relay.test\nlocal-domains home.test\n"
    "max-message-size 144K\nmax-recipients 20\n"
    "listen 127.0.0.1:2525 {\n}\n"
    "listen 127.0.0.1:2526 { bare-lf fix; auth required }\n"
    "client 10.0.0.1 { auth any; recipients .y.test }\n"
    "login joe { password x }\n";

static struct loop *loop;
static struct listener *l;
static struct port *queue, *auth;
static unsigned turn_of_queue;

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static int
read_text(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	(void)arg;
	(void)path;
	(void)e;
	strbuf_puts(out, conf_text);
	return 0;
}

static void
check_body(const struct envelope *env, struct slice body)
{
	size_t i;

	require(body.n == env->size);
	require(crc32c(0, body.p, body.n) == env->crc);
	for (i = 0; i < body.n; i++) {
		require(body.p[i] != '\0');
		require(body.p[i] != '\n' || (i > 0 && body.p[i - 1] == '\r'));
		require(body.p[i] != '\r' ||
		    (i + 1 < body.n && body.p[i + 1] == '\n'));
	}
}

static void
take_mail(struct port_message *m)
{
	struct strbuf file = STRBUF_INIT;
	struct envelope env;
	struct err e = { 0 };
	off_t n;

	envelope_init(&env);
	require(envelope_decode(m->data, &env, &e) == 0);
	require(env.id != 0 && env.recipient_count > 0);
	require(env.recipient_count <= 20);
	if (m->fd != -1) {
		n = lseek(m->fd, 0, SEEK_END);
		require(n >= 0 && fs_pread_all(m->fd,
		    strbuf_room(&file, (size_t)n), (size_t)n, 0) == 0);
		file.n = (size_t)n;
		check_body(&env, strbuf_slice(&file));
		strbuf_free(&file);
		close(m->fd);
	} else {
		check_body(&env, m->body);
	}
	envelope_clear(&env);
	port_grant(queue, m->data.n + m->body.n);
}

static int
queue_message(void *arg, struct port_message *m, struct err *e)
{
	struct msg_done done = { .code = 250, .status = { 2, 0, 0 } };
	struct strbuf b = STRBUF_INIT;

	(void)arg;
	(void)e;
	if (m->type == MSG_LISTENER_STATS)
		return 0;
	if (m->type == MSG_MAIL)
		take_mail(m);
	if (m->type == MSG_SPOOL_WANT && turn_of_queue++ % 5 != 0) {
		port_reply_fd(queue, MSG_SPOOL_FILE, m->ref, slice_of("", 0),
		    memfd_create("body", 0));
		return 0;
	}
	if (turn_of_queue++ % 7 == 0)
		done = (struct msg_done){ .code = 452, .status = { 4, 3, 1 } };
	msg_done_encode(&b, &done);
	port_send_reply(queue, MSG_DONE, m->ref, strbuf_slice(&b));
	strbuf_free(&b);
	return 0;
}

static int
auth_message(void *arg, struct port_message *m, struct err *e)
{
	struct msg_auth_step step = { .state = AUTH_CONTINUE };
	struct strbuf b = STRBUF_INIT;
	struct msg_auth a;

	(void)arg;
	(void)e;
	require(msg_auth_decode(m->data, &a) == 0);
	if (a.data.n % 3 == 1)
		step.state = AUTH_REFUSED;
	if (a.data.n % 3 == 2) {
		step.state = AUTH_OK;
		step.login = (char *)(uintptr_t)"joe";
	}
	msg_auth_clear(&a);
	if (m->type == MSG_AUTH_DROP)
		return 0;
	msg_auth_step_encode(&b, &step);
	port_send_reply(auth, MSG_AUTH_STEP, m->ref, strbuf_slice(&b));
	strbuf_free(&b);
	return 0;
}

static void
closed(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
	abort();
}

static struct port *
connect_role(enum role role, const struct port_handler *h)
{
	struct msg_peer peer = { .role = (uint8_t)role };
	struct err e = { 0 };
	int fd[2];

	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
	    fd) == 0);
	require(listener_ops.peer(l, &peer, fd[0], &e) == 0);
	return port_new(loop, fd[1], "listener", h, NULL);
}

static void
start(void)
{
	static const struct port_handler qh = { queue_message, closed, NULL };
	static const struct port_handler ah = { auth_message, closed, NULL };
	struct conf_reader reader = { read_text, NULL };
	struct conf_messages m = { 0 };
	struct strbuf view = STRBUF_INIT;
	struct msg_listen sock = { .kind = LISTEN_SMTP };
	struct conf_tree *tree = NULL;
	struct err e = { 0 };
	struct conf *conf;

	log_open("fuzz", STDERR_FILENO, LOG_STREAM, LOG_TEXT, LL_ERROR);
	loop = loop_new(&e);
	l = listener_new(loop, -1);
	conf = conf_load("fuzz.conf", &reader, false, &tree, &m);
	require(conf != NULL);
	require(conf_view_encode(tree, CONF_LISTENER, &view, &e) == 0);
	require(listener_ops.view(l, strbuf_slice(&view), &e) == 0);
	require(listener_ops.listen(l, &sock, -1, &e) == 0);
	sock.index = 1;
	require(listener_ops.listen(l, &sock, -1, &e) == 0);
	sock.kind = LISTEN_SUBMIT;
	require(listener_ops.listen(l, &sock, -1, &e) == 0);
	require(listener_ops.start(l, &e) == 0);
	queue = connect_role(ROLE_QUEUE, &qh);
	auth = connect_role(ROLE_AUTH, &ah);
	strbuf_free(&view);
	conf_messages_free(&m);
	conf_free(&conf);
	conf_tree_free(&tree);
}

static void
turns(int fd, int n)
{
	static char sink[65536];

	while (n-- > 0) {
		loop_turn(loop, false);
		while (recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
			;
	}
}

/* First octet: which listener, from where, and the size of the pieces. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const from[] = { "127.0.0.1", "10.0.0.1",
		"203.0.113.1", "::1" };
	struct sockaddr_storage sa = { .ss_family = AF_UNIX };
	size_t piece, n;
	uint8_t how;
	int fd[2];

	if (loop == NULL)
		start();
	if (size == 0)
		return 0;
	how = data[0];
	data++;
	size--;
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	fs_set_nonblock(fd[0], 1);
	if (how % 3 != 2)
		sockaddr_from_ip(slice_cstr(from[how / 3 % 4]), 1, &sa);
	endpoint_accept(l->endpoints[how % 3], fd[0], &sa);
	piece = (how & 0x80) != 0 ? 7 : 16384;
	for (; size > 0; data += n, size -= n) {
		n = size < piece ? size : piece;
		if (send(fd[1], data, n, MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
			break;
		turns(fd[1], 2);
	}
	shutdown(fd[1], SHUT_WR);
	turns(fd[1], 8);
	close(fd[1]);
	for (n = 0; n < 200 && (l->session_count > 0 ||
	    loop_lingering(loop) > 0); n++)
		loop_turn(loop, false);
	require(l->session_count == 0);
	return 0;
}

/* See sink.h. */
#include "delivery/sink.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/mem.h"
#include "io/conn.h"
#include "io/listen.h"

struct sink_session {
	struct sink *sink;
	struct conn *conn;
	struct sink_session *next;
	bool in_data;
	bool no_tls;		/* what comes next is a handshake */
};

static void
session_end(struct sink_session *ss)
{
	struct sink_session **p = &ss->sink->sessions;

	while (*p != ss)
		p = &(*p)->next;
	*p = ss->next;
	ss->sink->open--;
	conn_abort(&ss->conn);
	free(ss);
}

static bool
verb(struct slice line, const char *v)
{
	return line.n >= strlen(v) && strncasecmp(line.p, v, strlen(v)) == 0;
}

/* false: the session is over. */
static bool
command(struct sink_session *ss, struct slice line)
{
	struct sink *s = ss->sink;

	if (verb(line, "EHLO ")) {
		strbuf_printf(&s->helo, "%s%.*s", s->helo.n > 0 ? " " : "",
		    (int)line.n - 5, line.p + 5);
		conn_printf(ss->conn, "250-sink\r\n%s250 PIPELINING\r\n",
		    s->starttls ? "250-STARTTLS\r\n" : "");
	} else if (verb(line, "STARTTLS")) {
		conn_puts(ss->conn, "220 go\r\n");
		ss->no_tls = true;
	} else if (verb(line, "MAIL")) {
		if (!s->hold_mail)
			conn_printf(ss->conn, "%s\r\n", s->mail_from ?
			    s->mail_from : "250 2.1.0 ok");
	} else if (verb(line, "RCPT")) {
		s->rcpts++;
		if (s->hold_mail)
			return true;
		conn_printf(ss->conn, "%s\r\n",
		    s->rcpt ? s->rcpt : "250 2.1.5 ok");
	} else if (verb(line, "DATA")) {
		if (s->hold_mail)
			return true;
		ss->in_data = true;
		strbuf_clear(&s->mail);
		conn_puts(ss->conn, "354 go\r\n");
	} else if (verb(line, "QUIT")) {
		s->quits++;
		session_end(ss);
		return false;
	} else
		conn_puts(ss->conn, "250 2.0.0 ok\r\n");
	return true;
}

static void
on_readable(void *arg)
{
	struct sink_session *ss = arg;
	struct sink *s = ss->sink;
	struct slice in, line;
	const char *end;

	for (;;) {
		in = conn_input(ss->conn);
		if (in.n == 0)
			return;
		if (ss->no_tls) {
			conn_consume(ss->conn, in.n);
			conn_puts(ss->conn, "no, I cannot\r\n");
			return;
		}
		end = memmem(in.p, in.n, "\r\n", 2);
		if (end == NULL)
			return;
		line = slice_of(in.p, (size_t)(end - in.p));
		conn_consume(ss->conn, line.n + 2);
		if (!ss->in_data) {
			if (!command(ss, line))
				return;
			continue;
		}
		strbuf_add(&s->mail, line.p, line.n + 2);
		if (!slice_eq_cstr(line, "."))
			continue;
		ss->in_data = false;
		s->messages++;
		if (!s->hold)
			conn_printf(ss->conn, "%s\r\n",
			    s->final ? s->final : "250 2.0.0 ok");
	}
}

static void
on_closed(void *arg, const struct err *why)
{
	(void)why;
	session_end(arg);
}

static void
on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	static const struct conn_events ev = { on_readable, NULL, NULL,
		on_closed };
	struct sink *s = arg;
	struct sink_session *ss = mem_zalloc(sizeof(*ss));

	(void)peer;
	ss->sink = s;
	ss->next = s->sessions;
	s->sessions = ss;
	s->accepted++;
	if (++s->open > s->open_max)
		s->open_max = s->open;
	ss->conn = conn_new(s->loop, fd, &ev, ss);
	conn_printf(ss->conn, "%s\r\n", s->greeting ? s->greeting :
	    s->allowed != 0 && s->open > s->allowed ?
	    "432 4.3.2 too many connections" : "220 sink");
}

void
sink_open(struct sink *s, struct loop *loop)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	s->port = ntohs(sin.sin_port);
	s->loop = loop;
	s->listen = listen_new(loop, fd, on_accept, s);
}

void
sink_cut(struct sink *s)
{
	while (s->sessions != NULL)
		session_end(s->sessions);
}

void
sink_close(struct sink *s)
{
	sink_cut(s);
	listen_free(&s->listen);
	strbuf_free(&s->helo);
	strbuf_free(&s->mail);
}

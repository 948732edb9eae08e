/*
 * The shim's session with the daemon on submit.sock (RFC 5321), from a batch
 * that is also the form in which a message waits in the drop directory.  All
 * commands leave at once where the daemon pipelines, the text follows its
 * 354.  A daemon that is not there, or that says 4xx, is EX_TEMPFAIL.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/sendmail.h"

struct session {
	int fd;
	FILE *trace;
	bool verbose;
	struct strbuf in;
	struct strbuf *reply;	/* text of the last one */
};

static void
stuff(struct strbuf *out, struct slice s)
{
	const char *nl;
	size_t n;

	while (s.n > 0) {
		if (s.p[0] == '.')
			strbuf_putc(out, '.');
		nl = memchr(s.p, '\n', s.n);
		n = nl != NULL ? (size_t)(nl - s.p) + 1 : s.n;
		strbuf_add(out, s.p, n);
		s = slice_skip(s, n);
	}
}

/* xtext (RFC 3461, 4). */
static void
xtext(struct strbuf *out, const char *s)
{
	for (; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= 32 || c >= 127 || c == '+' || c == '=')
			strbuf_printf(out, "+%02X", c);
		else
			strbuf_putc(out, *s);
	}
}

void
sendmail_batch(const struct sendmail_args *a, const char *sender,
    const struct sendmail_list *rcpt, const struct strbuf *message,
    struct strbuf *batch)
{
	size_t i;

	strbuf_printf(batch, "MAIL FROM:<%s> BODY=8BITMIME", sender);
	if (a->ret != NULL)
		strbuf_printf(batch, " RET=%s",
		    strcasecmp(a->ret, "full") == 0 ? "FULL" : "HDRS");
	if (a->envid != NULL) {
		strbuf_puts(batch, " ENVID=");
		xtext(batch, a->envid);
	}
	strbuf_puts(batch, "\r\n");
	for (i = 0; i < rcpt->n; i++) {
		strbuf_printf(batch, "RCPT TO:<%s>", rcpt->v[i]);
		if (a->notify != NULL)
			strbuf_printf(batch, " NOTIFY=%s", a->notify);
		strbuf_puts(batch, "\r\n");
	}
	strbuf_puts(batch, "DATA\r\n");
	stuff(batch, strbuf_slice(message));
	strbuf_puts(batch, ".\r\n");
}

static void
show(const struct session *s, const char *who, struct slice line)
{
	if (s->verbose)
		fprintf(stderr, "%s %.*s", who, (int)line.n, line.p);
	if (s->trace != NULL)
		fprintf(s->trace, "%s %.*s", who, (int)line.n, line.p);
}

static int
send_all(const struct session *s, struct slice d)
{
	while (d.n > 0) {
		ssize_t n = send(s->fd, d.p, d.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		d = slice_skip(d, (size_t)n);
	}
	return 0;
}

/* The code of the next reply, its last line in *reply; -1: gone. */
static int
get_reply(struct session *s)
{
	for (;;) {
		const char *nl = s->in.n > 0 ?
		    memchr(s->in.p, '\n', s->in.n) : NULL;
		struct slice line;
		bool last;
		ssize_t n;
		int code;

		if (nl == NULL) {
			n = read(s->fd, strbuf_room(&s->in, 4096), 4096);
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return -1;
			s->in.n += (size_t)n;
			continue;
		}
		line = slice_of(s->in.p, (size_t)(nl - s->in.p) + 1);
		show(s, "S:", line);
		code = line.n >= 4 ? atoi(line.p) : -1;
		last = line.n >= 4 && line.p[3] != '-';
		strbuf_clear(s->reply);
		while (line.n > 0 && (unsigned char)line.p[line.n - 1] <= 32)
			line.n--;
		strbuf_add_slice(s->reply, line);
		strbuf_drop(&s->in, (size_t)(nl - s->in.p) + 1);
		if (last)
			return code;
	}
}

static bool
reply_has(const struct session *s, const char *what)
{
	return s->reply->n > 0 && strstr(s->reply->p, what) != NULL;
}

/* What a refusal of a command means to the caller. */
static int
status_of(const struct session *s, int code, char verb)
{
	if (code < 0 || code / 100 == 4)
		return EX_TEMPFAIL;
	if (verb == 'R' && reply_has(s, "5.1.1"))
		return EX_NOUSER;
	if (reply_has(s, " 5.7."))
		return EX_NOPERM;
	if (code == 501 || code == 553 || code == 555 ||
	    reply_has(s, " 5.1."))
		return EX_DATAERR;
	return EX_UNAVAILABLE;
}

static int
session_open(struct session *s, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { 300, 0 };

	if (strlen(path) >= sizeof(sun.sun_path))
		return -1;
	strcpy(sun.sun_path, path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -1;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
	    sizeof(limit));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
	    sizeof(limit));
	return connect(s->fd, (struct sockaddr *)&sun, sizeof(sun));
}

/* EHLO, the commands of the batch's head, the text behind the 354.  The
 * commands go together, the daemon answers them in order (RFC 2920). */
static int
session_run(struct session *s, struct slice batch)
{
	static const struct slice hello = { "EHLO localhost\r\n", 16 };
	struct slice rest = batch, line;
	int code, status = 0;
	const char *nl;

	if ((code = get_reply(s)) != 220)
		return status_of(s, code, 'G');
	show(s, "C:", hello);
	if (send_all(s, hello) < 0 || (code = get_reply(s)) != 250)
		return status_of(s, code, 'E');
	/* the head of the batch: up to and with DATA */
	do {
		nl = memchr(rest.p, '\n', rest.n);
		if (nl == NULL)
			return EX_SOFTWARE;
		line = slice_of(rest.p, (size_t)(nl - rest.p) + 1);
		show(s, "C:", line);
		rest = slice_skip(rest, line.n);
	} while (line.p[0] != 'D');
	if (send_all(s, slice_of(batch.p, batch.n - rest.n)) < 0)
		return EX_TEMPFAIL;
	for (line.p = batch.p; line.p < rest.p; line.p = nl + 1) {
		nl = memchr(line.p, '\n', (size_t)(rest.p - line.p));
		code = get_reply(s);
		if (code / 100 == 2 || code == 354)
			continue;
		status = status_of(s, code, line.p[0]);
		/* Taken by some is taken by none: the session is dropped
		 * before the text. */
		return status;
	}
	if (send_all(s, rest) < 0)
		return EX_TEMPFAIL;
	code = get_reply(s);
	if (code / 100 != 2)
		return status_of(s, code, '.');
	(void)send_all(s, slice_cstr("QUIT\r\n"));
	return 0;
}

int
sendmail_submit(const char *socket_path, const struct strbuf *batch,
    bool verbose, const char *trace, struct strbuf *reply)
{
	struct session s = { .fd = -1, .verbose = verbose,
	    .in = STRBUF_INIT, .reply = reply };
	int status = EX_TEMPFAIL;

	if (trace != NULL)
		s.trace = fopen(trace, "ae");
	if (session_open(&s, socket_path) == 0)
		status = session_run(&s, strbuf_slice(batch));
	else
		strbuf_printf(reply, "%s: %s", socket_path, strerror(errno));
	if (s.fd >= 0)
		close(s.fd);
	if (s.trace != NULL)
		fclose(s.trace);
	strbuf_free(&s.in);
	return status;
}

/* One direction; false at its end. */
static bool
pump(int from, int to)
{
	char buf[65536];
	ssize_t n = read(from, buf, sizeof(buf)), done = 0, w;

	if (n < 0 && errno == EINTR)
		return true;
	while (n > done) {
		w = write(to, buf + done, (size_t)(n - done));
		if (w < 0 && errno != EINTR)
			return false;
		done += w > 0 ? w : 0;
	}
	return n > 0;
}

int
sendmail_smtp(const char *socket_path)
{
	struct strbuf none = STRBUF_INIT;
	struct session s = { .fd = -1, .reply = &none };
	struct pollfd p[2];

	if (session_open(&s, socket_path) < 0) {
		printf("421 4.3.0 smarthostd is not running\r\n");
		return EX_TEMPFAIL;
	}
	p[0] = (struct pollfd){ STDIN_FILENO, POLLIN, 0 };
	p[1] = (struct pollfd){ s.fd, POLLIN, 0 };
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return EX_IOERR;
		if (p[1].revents != 0 && !pump(s.fd, STDOUT_FILENO))
			break;
		if (p[0].revents != 0 && !pump(STDIN_FILENO, s.fd)) {
			shutdown(s.fd, SHUT_WR);
			p[0].fd = -1;
		}
	}
	close(s.fd);
	return 0;
}

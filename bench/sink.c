/* An SMTP server for `make bench` that takes everything, checks it against
 * its stamp and forgets it.  It listens on 127.0.0.1:PORT (0: any; the port
 * is told in the first line that it prints) until the end of standard input,
 * where each line is a command:
 *
 *	run RUN MESSAGES	counts the messages of that run; once all have
 *				come, or on `stop`, prints one line of JSON
 *	stop
 *
 *	sink PORT
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "stamp.h"

#define IN_MAX 65536
#define OUT_MAX 1024

enum state { S_COMMAND, S_HEADER, S_BODY };

struct session {
	int fd;
	enum state state;
	char in[IN_MAX];
	size_t in_n;
	char out[OUT_MAX];
	size_t out_n;
	struct stamp stamp;
	bool stamped;
	uint64_t octets;
	uint32_t crc;
};

static struct {
	int ep, listener;
	bool ended;
	unsigned sessions, sessions_max;

	bool running;
	uint64_t run, messages;
	uint8_t *seen;
	uint64_t *took;
	uint64_t unique, twice, damaged, octets, last_us;

	char line[256];			/* of standard input */
	size_t line_n;
} sink;

static void
die(const char *what)
{
	fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- runs ---- */

static void
run_report(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	qsort(sink.took, sink.unique, sizeof(*sink.took), order_u64);
	printf("{\"unique\": %llu, \"missing\": %llu, \"twice\": %llu, "
	    "\"damaged\": %llu, \"octets\": %llu, \"last_us\": %llu, "
	    "\"sessions\": %u, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
	    "\"cpu\": %.3f}\n", (unsigned long long)sink.unique,
	    (unsigned long long)(sink.messages - sink.unique),
	    (unsigned long long)sink.twice,
	    (unsigned long long)sink.damaged,
	    (unsigned long long)sink.octets,
	    (unsigned long long)sink.last_us, sink.sessions_max,
	    quantile_ms(sink.took, sink.unique, .5),
	    quantile_ms(sink.took, sink.unique, .99),
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
	sink.running = false;
}

static void
run_begin(uint64_t run, uint64_t messages)
{
	free(sink.seen);
	free(sink.took);
	sink.seen = mem_zarray(messages + 1, 1);
	sink.took = mem_zarray(messages + 1, sizeof(*sink.took));
	sink.run = run;
	sink.messages = messages;
	sink.unique = sink.twice = sink.damaged = sink.octets = 0;
	sink.last_us = 0;
	sink.sessions_max = sink.sessions;
	sink.running = true;
}

static void
command(const char *line)
{
	unsigned long long run, messages;

	if (sscanf(line, "run %llu %llu", &run, &messages) == 2)
		run_begin(run, messages);
	else if (strcmp(line, "stop") == 0 && sink.running)
		run_report();
}

static void
on_control(void)
{
	ssize_t n = read(STDIN_FILENO, sink.line + sink.line_n,
	    sizeof(sink.line) - sink.line_n - 1);
	char *end;

	if (n <= 0) {
		sink.ended = true;
		return;
	}
	sink.line_n += (size_t)n;
	while ((end = memchr(sink.line, '\n', sink.line_n)) != NULL) {
		size_t used = (size_t)(end - sink.line) + 1;

		*end = '\0';
		command(sink.line);
		memmove(sink.line, sink.line + used, sink.line_n - used);
		sink.line_n -= used;
	}
	if (sink.line_n == sizeof(sink.line) - 1)
		sink.line_n = 0;
}

/* ---- a message ---- */

static void
message_take(const struct session *s)
{
	uint64_t now;

	if (!sink.running || !s->stamped || s->stamp.run != sink.run)
		return;
	if (s->octets != s->stamp.octets || s->crc != s->stamp.crc ||
	    s->stamp.seq >= sink.messages) {
		sink.damaged++;
		return;
	}
	if (sink.seen[s->stamp.seq]) {
		sink.twice++;
		return;
	}
	now = clock_mono_us();
	sink.seen[s->stamp.seq] = 1;
	sink.took[sink.unique++] = now - s->stamp.sent_us;
	sink.octets += s->octets;
	sink.last_us = now;
	if (sink.unique == sink.messages)
		run_report();
}

static void
header_line(struct session *s, const char *p, size_t n)
{
	unsigned long long v[4];
	char text[128];
	unsigned crc;

	if (n == 2) {			/* empty */
		s->state = S_BODY;
		return;
	}
	if (n >= sizeof(text) || n < sizeof(STAMP_FIELD) ||
	    memcmp(p, STAMP_FIELD, sizeof(STAMP_FIELD) - 1) != 0)
		return;
	memcpy(text, p, n);
	text[n] = '\0';
	if (sscanf(text, STAMP_FORMAT, &v[0], &v[1], &v[2], &v[3], &crc) != 5)
		return;
	s->stamp = (struct stamp){ v[0], v[1], v[2], v[3], crc };
	s->stamped = true;
}

/* ---- a session ---- */

static void
say(struct session *s, const char *text)
{
	size_t n = strlen(text);

	if (n > OUT_MAX - s->out_n)
		n = OUT_MAX - s->out_n;
	memcpy(s->out + s->out_n, text, n);
	s->out_n += n;
}

static bool
verb(const char *p, size_t n, const char *what)
{
	return n >= 4 && strncasecmp(p, what, 4) == 0;
}

/* false: the client has said QUIT. */
static bool
command_line(struct session *s, const char *p, size_t n)
{
	if (verb(p, n, "EHLO")) {
		say(s, "250-sink.example\r\n250-PIPELINING\r\n"
		    "250-SIZE 104857600\r\n250-8BITMIME\r\n"
		    "250 ENHANCEDSTATUSCODES\r\n");
	} else if (verb(p, n, "DATA")) {
		say(s, "354 go on\r\n");
		s->state = S_HEADER;
		s->stamped = false;
		s->octets = 0;
		s->crc = 0;
	} else if (verb(p, n, "QUIT")) {
		say(s, "221 2.0.0 bye\r\n");
		return false;
	} else {
		say(s, "250 2.0.0 ok\r\n");
	}
	return true;
}

static bool
take_line(struct session *s, const char *p, size_t n)
{
	if (s->state == S_COMMAND)
		return command_line(s, p, n);
	if (p[0] == '.') {
		if (n == 3) {
			message_take(s);
			s->state = S_COMMAND;
			say(s, "250 2.0.0 taken\r\n");
			return true;
		}
		p++;
		n--;
	}
	if (s->state == S_HEADER) {
		header_line(s, p, n);
	} else {
		s->crc = crc32c(s->crc, p, n);
		s->octets += n;
	}
	return true;
}

static bool
take_input(struct session *s)
{
	size_t at = 0;
	char *end;
	bool more = true;

	while (more && (end = memchr(s->in + at, '\n', s->in_n - at)) !=
	    NULL) {
		size_t n = (size_t)(end - s->in) + 1 - at;

		more = take_line(s, s->in + at, n);
		at += n;
	}
	memmove(s->in, s->in + at, s->in_n - at);
	s->in_n -= at;
	/* Replies are short and few: a full socket is a broken client. */
	if (s->out_n > 0 && send(s->fd, s->out, s->out_n, MSG_NOSIGNAL |
	    MSG_DONTWAIT) != (ssize_t)s->out_n)
		return false;
	s->out_n = 0;
	return more && s->in_n < IN_MAX;
}

static void
on_session(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->in_n, IN_MAX - s->in_n,
	    MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		s->in_n += (size_t)n;
		if (take_input(s))
			return;
	}
	close(s->fd);
	free(s);
	sink.sessions--;
}

static void
on_connection(void)
{
	static const char hello[] = "220 sink.example ESMTP\r\n";
	const int one = 1;
	struct epoll_event e = { .events = EPOLLIN };
	struct session *s;
	int fd;

	fd = accept4(sink.listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s = mem_alloc(sizeof(*s));
	s->fd = fd;
	s->state = S_COMMAND;
	s->in_n = s->out_n = 0;
	e.data.ptr = s;
	if (epoll_ctl(sink.ep, EPOLL_CTL_ADD, fd, &e) < 0 ||
	    send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) < 0) {
		close(fd);
		free(s);
		return;
	}
	if (++sink.sessions > sink.sessions_max)
		sink.sessions_max = sink.sessions;
}

/* ---- the whole ---- */

static void
listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	const int one = 1;

	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sink.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	setsockopt(sink.listener, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one));
	if (sink.listener < 0 ||
	    bind(sink.listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(sink.listener, 1024) < 0 ||
	    getsockname(sink.listener, (struct sockaddr *)&a, &n) < 0)
		die("listen");
	printf("%u\n", ntohs(a.sin_port));
	fflush(stdout);
}

static void
watch(int fd, void *what)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = what };

	if (epoll_ctl(sink.ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

int
main(int argc, char **argv)
{
	struct epoll_event ev[256];
	int i, n;

	if (argc != 2) {
		fprintf(stderr, "usage: sink PORT\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	sink.ep = epoll_create1(EPOLL_CLOEXEC);
	listen_on((uint16_t)atoi(argv[1]));
	watch(STDIN_FILENO, &sink.ended);
	watch(sink.listener, &sink.listener);
	while (!sink.ended) {
		n = epoll_wait(sink.ep, ev, 256, -1);
		for (i = 0; i < n; i++) {
			if (ev[i].data.ptr == &sink.ended)
				on_control();
			else if (ev[i].data.ptr == &sink.listener)
				on_connection();
			else
				on_session(ev[i].data.ptr);
		}
	}
	return 0;
}

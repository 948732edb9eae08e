/* An SMTP server for `make bench` that takes everything, checks it against
 * its stamp and forgets it.  It listens on 127.0.0.1:PORT (0: any; the port
 * is told in the first line that it prints) until the end of standard input,
 * where each line is a command:
 *
 *	run RUN MESSAGES	counts the messages of that run; once all have
 *				come, or on `stop`, prints one line of JSON
 *	stop
 *	count			prints how many there are by now
 *
 *	sink [-c connections] [-w ms] [-a addresses] PORT
 *				-c: more than that are told 432
 *				-w: how long it thinks about each message
 *				-a: 127.0.0.1 and so many in all
 */
#include <sys/epoll.h>
#include <sys/queue.h>
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
	bool refused;
	uint64_t until;			/* us; 0: it is not thinking */
	TAILQ_ENTRY(session) link;
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
	int ep;
	bool ended;
	unsigned limit, think_ms;
	unsigned sessions, sessions_max;
	uint64_t connections, refused;
	TAILQ_HEAD(, session) thinking;

	bool running;
	uint64_t run, messages;
	uint8_t *seen;
	uint64_t *took;
	uint64_t unique, twice, damaged, octets;
	uint64_t first_us, most_us, last_us;	/* most: 99 of 100 */

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
	    "\"damaged\": %llu, \"octets\": %llu, \"first_us\": %llu, "
	    "\"most_us\": %llu, \"last_us\": %llu, \"sessions\": %u, "
	    "\"connections\": %llu, \"refused\": %llu, "
	    "\"p50_ms\": %.3f, \"p99_ms\": %.3f, "
	    "\"cpu\": %.3f}\n", (unsigned long long)sink.unique,
	    (unsigned long long)(sink.messages - sink.unique),
	    (unsigned long long)sink.twice,
	    (unsigned long long)sink.damaged,
	    (unsigned long long)sink.octets,
	    (unsigned long long)sink.first_us,
	    (unsigned long long)sink.most_us,
	    (unsigned long long)sink.last_us, sink.sessions_max,
	    (unsigned long long)sink.connections,
	    (unsigned long long)sink.refused,
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
	sink.first_us = sink.most_us = sink.last_us = 0;
	sink.connections = sink.refused = 0;
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
	else if (strcmp(line, "count") == 0) {
		printf("%llu\n", (unsigned long long)sink.unique);
		fflush(stdout);
	}
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
	if (sink.unique == 0)
		sink.first_us = now;
	sink.took[sink.unique++] = now - s->stamp.sent_us;
	sink.octets += s->octets;
	sink.last_us = now;
	if (sink.unique == sink.messages - sink.messages / 100)
		sink.most_us = now;
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
	if (verb(p, n, "EHLO") && !s->refused) {
		say(s, "250-sink.example\r\n250-PIPELINING\r\n"
		    "250-SIZE 104857600\r\n250-8BITMIME\r\n"
		    "250 ENHANCEDSTATUSCODES\r\n");
	} else if (verb(p, n, "DATA") && !s->refused) {
		say(s, "354 go on\r\n");
		s->state = S_HEADER;
		s->stamped = false;
		s->octets = 0;
		s->crc = 0;
	} else if (verb(p, n, "QUIT")) {
		say(s, "221 2.0.0 bye\r\n");
		return false;
	} else if (s->refused) {
		say(s, "503 5.5.1 no\r\n");
	} else {
		say(s, "250 2.0.0 ok\r\n");
	}
	return true;
}

/* All think as long, so the first to begin is the first to end. */
static void
think(struct session *s)
{
	struct epoll_event e = { .events = 0, .data.ptr = s };

	s->until = clock_mono_us() + sink.think_ms * UINT64_C(1000);
	TAILQ_INSERT_TAIL(&sink.thinking, s, link);
	if (epoll_ctl(sink.ep, EPOLL_CTL_MOD, s->fd, &e) < 0)
		die("epoll_ctl");
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
			if (sink.think_ms > 0)
				think(s);
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

	while (more && s->until == 0 &&
	    (end = memchr(s->in + at, '\n', s->in_n - at)) != NULL) {
		size_t n = (size_t)(end - s->in) + 1 - at;

		more = take_line(s, s->in + at, n);
		at += n;
	}
	memmove(s->in, s->in + at, s->in_n - at);
	s->in_n -= at;
	if (s->until != 0)
		return true;
	/* Replies are short and few: a full socket is a broken client. */
	if (s->out_n > 0 && send(s->fd, s->out, s->out_n, MSG_NOSIGNAL |
	    MSG_DONTWAIT) != (ssize_t)s->out_n)
		return false;
	s->out_n = 0;
	return more && s->in_n < IN_MAX;
}

static void
session_end(struct session *s)
{
	if (s->until != 0)
		TAILQ_REMOVE(&sink.thinking, s, link);
	close(s->fd);
	free(s);
	sink.sessions--;
}

static void
on_session(struct session *s)
{
	ssize_t n = s->until != 0 ? 0 : recv(s->fd, s->in + s->in_n,
	    IN_MAX - s->in_n, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		s->in_n += (size_t)n;
		if (take_input(s))
			return;
	}
	session_end(s);
}

static void
think_ends(void)
{
	uint64_t now = clock_mono_us();
	struct epoll_event e = { .events = EPOLLIN };
	struct session *s;

	while ((s = TAILQ_FIRST(&sink.thinking)) != NULL && s->until <= now) {
		TAILQ_REMOVE(&sink.thinking, s, link);
		s->until = 0;
		e.data.ptr = s;
		if (epoll_ctl(sink.ep, EPOLL_CTL_MOD, s->fd, &e) < 0 ||
		    !take_input(s))
			session_end(s);
	}
}

/* ms until the next; -1: nobody thinks. */
static int
think_timeout(void)
{
	const struct session *s = TAILQ_FIRST(&sink.thinking);
	uint64_t now = clock_mono_us();

	if (s == NULL)
		return -1;
	return s->until <= now ? 0 : (int)((s->until - now + 999) / 1000);
}

static void
on_connection(int listener)
{
	static const char hello[] = "220 sink.example ESMTP\r\n",
	    refusal[] = "432 4.3.2 too many concurrent connections\r\n";
	const int one = 1;
	struct epoll_event e = { .events = EPOLLIN };
	struct session *s;
	int fd;

	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s = mem_alloc(sizeof(*s));
	s->fd = fd;
	s->state = S_COMMAND;
	s->in_n = s->out_n = 0;
	s->until = 0;
	sink.connections++;
	s->refused = sink.limit > 0 && sink.sessions >= sink.limit;
	sink.refused += s->refused;
	e.data.ptr = s;
	if (epoll_ctl(sink.ep, EPOLL_CTL_ADD, fd, &e) < 0 ||
	    (s->refused ? send(fd, refusal, sizeof(refusal) - 1,
	    MSG_NOSIGNAL) : send(fd, hello, sizeof(hello) - 1,
	    MSG_NOSIGNAL)) < 0) {
		close(fd);
		free(s);
		return;
	}
	if (++sink.sessions > sink.sessions_max)
		sink.sessions_max = sink.sessions;
}

/* ---- the whole ---- */

static int
listen_on(uint32_t address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const int one = 1;
	int fd;

	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(address);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 1024) < 0)
		die("listen");
	return fd;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		die("getsockname");
	return ntohs(a.sin_port);
}

static void
watch(int fd, void *what)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = what };

	if (epoll_ctl(sink.ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

#define ADDRESSES_MAX 200
static int listeners[ADDRESSES_MAX];

static bool
is_listener(const void *p)
{
	return (uintptr_t)p >= (uintptr_t)listeners &&
	    (uintptr_t)p < (uintptr_t)(listeners + ADDRESSES_MAX);
}

static void
serve(void)
{
	struct epoll_event ev[256];
	int i, n;

	while (!sink.ended) {
		n = epoll_wait(sink.ep, ev, 256, think_timeout());
		for (i = 0; i < n; i++) {
			if (ev[i].data.ptr == &sink.ended)
				on_control();
			else if (is_listener(ev[i].data.ptr))
				on_connection(*(int *)ev[i].data.ptr);
			else
				on_session(ev[i].data.ptr);
		}
		think_ends();
	}
}

int
main(int argc, char **argv)
{
	unsigned addresses = 1, i;
	uint16_t port;
	int o;

	while ((o = getopt(argc, argv, "c:w:a:")) != -1) {
		unsigned v = optarg ? (unsigned)atoi(optarg) : 0;

		switch (o) {
		case 'c': sink.limit = v; break;
		case 'w': sink.think_ms = v; break;
		case 'a': addresses = v; break;
		default: addresses = 0; break;
		}
	}
	if (optind + 1 != argc || addresses == 0 ||
	    addresses > ADDRESSES_MAX) {
		fprintf(stderr, "usage: sink [-c connections] [-w ms] "
		    "[-a addresses] PORT\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	TAILQ_INIT(&sink.thinking);
	sink.ep = epoll_create1(EPOLL_CLOEXEC);
	port = (uint16_t)atoi(argv[optind]);
	watch(STDIN_FILENO, &sink.ended);
	for (i = 0; i < addresses; i++) {
		listeners[i] = listen_on(INADDR_LOOPBACK + i, port);
		port = port_of(listeners[i]);
		watch(listeners[i], &listeners[i]);
	}
	printf("%u\n", port);
	fflush(stdout);
	serve();
	return 0;
}

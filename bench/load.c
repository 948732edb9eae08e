/* SMTP load for `make bench`: hands a number of messages to a relay on this
 * machine over some sessions at a time, each waiting for its 250 before the
 * next, and prints what it measured as one line of JSON.
 *
 *	load [-c sessions] [-n messages] [-s octets] [-r run] [-t seconds]
 *	    [-d domain] [-D domains] [-R rate] [-P] PORT
 *				-P: MAIL, RCPT and DATA in one write
 *				-D: in turns to 0.domain, 1.domain...
 *				-R: so many messages a second
 *	load -i sessions PORT	sessions that do nothing, until the end of
 *				standard input
 *
 * A message that was refused, or whose session broke, is handed in again.
 * SIGTERM ends a run early, with its report.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "stamp.h"

#define BROKEN_MAX 200			/* then it is no use */

enum state { S_OFF, S_GREETING, S_EHLO, S_MAIL, S_RCPT, S_DATA, S_TEXT,
    S_PACED, S_IDLE };

struct session {
	int fd;
	enum state state;
	unsigned replies;		/* due, where commands went ahead */
	char in[1024];
	size_t in_n;
	uint64_t seq;
	uint64_t sent_us;
	char head[512];			/* of the message that is leaving */
	size_t head_n;
	size_t off;			/* of head and body together */
	bool blocked;
};

static struct {
	struct sockaddr_in to;
	int ep;
	bool ahead;
	unsigned sessions;
	uint64_t messages, run;
	unsigned seconds, rate, domains;
	const char *domain;
	struct session *session;

	char *body;			/* dot-stuffed, with the end */
	size_t body_n;
	char *plain;			/* the same as it should arrive */
	size_t plain_n;

	uint64_t next, *again, n_again;
	uint64_t accepted, refused, broken;
	unsigned idle;
	uint64_t *took;			/* us from the text to its 250 */
	uint64_t started, last;
} load = { .sessions = 1, .messages = 1000, .seconds = 60,
    .domain = "far.example" };

static volatile sig_atomic_t ended;

static void
on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Lines of text, each fiftieth begins with a dot. */
static void
make_body(size_t octets)
{
	static const char letters[] = "the quick brown fox jumps over the "
	    "lazy dog, and then it does so again and again";
	size_t line;

	load.body = mem_alloc(octets + octets / 32 + 256);
	load.plain = mem_alloc(octets + 256);
	for (line = 0; load.plain_n + 80 < octets; line++) {
		char *p = load.plain + load.plain_n;
		size_t n = 60 + line % 10;

		memcpy(p, letters + line % 5, n);
		if (line % 50 == 7)
			p[0] = '.';
		memcpy(p + n, "\r\n", 2);
		if (p[0] == '.')
			load.body[load.body_n++] = '.';
		memcpy(load.body + load.body_n, p, n + 2);
		load.body_n += n + 2;
		load.plain_n += n + 2;
	}
	memcpy(load.body + load.body_n, ".\r\n", 3);
	load.body_n += 3;
}

/* ---- a session ---- */

static void next_message(struct session *s);

static void
watch(struct session *s, int op, bool write)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };

	if (write)
		e.events |= EPOLLOUT;
	if (epoll_ctl(load.ep, op, s->fd, &e) < 0)
		die("epoll_ctl");
	s->blocked = write;
}

static void
open_session(struct session *s)
{
	const int one = 1;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket");
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->in_n = s->head_n = s->off = 0;
	s->replies = 1;
	s->state = S_GREETING;
	if (connect(s->fd, (struct sockaddr *)&load.to, sizeof(load.to)) < 0)
		die("connect");
	watch(s, EPOLL_CTL_ADD, false);
}

static void
close_session(struct session *s)
{
	close(s->fd);
	s->fd = -1;
	s->state = S_OFF;
}

/* Its message is handed in by another session. */
static void
lost(struct session *s)
{
	if (s->state >= S_MAIL && s->state <= S_TEXT)
		load.again[load.n_again++] = s->seq;
	close_session(s);
	if (++load.broken < BROKEN_MAX)
		open_session(s);
}

static void
say(struct session *s, const char *text, enum state state, unsigned replies)
{
	size_t n = strlen(text);

	s->state = state;
	s->replies = replies;
	if (send(s->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
		lost(s);
}

/* Head and body leave in one write as far as the socket takes them. */
static void
push_text(struct session *s)
{
	while (s->off < s->head_n + load.body_n) {
		struct iovec v[2];
		struct msghdr m = { .msg_iov = v };
		size_t off = s->off;
		ssize_t n;

		if (off < s->head_n) {
			v[m.msg_iovlen++] = (struct iovec){ s->head + off,
			    s->head_n - off };
			off = s->head_n;
		}
		off -= s->head_n;
		v[m.msg_iovlen++] = (struct iovec){ load.body + off,
		    load.body_n - off };
		n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN) {
			lost(s);
			return;
		}
		if (n < 0) {
			if (!s->blocked)
				watch(s, EPOLL_CTL_MOD, true);
			return;
		}
		s->off += (size_t)n;
	}
	if (s->blocked)
		watch(s, EPOLL_CTL_MOD, false);
}

static const char *
recipient(const struct session *s)
{
	static char text[256];

	if (load.domains > 0)
		snprintf(text, sizeof(text), "<rcpt@%llu.%s>",
		    (unsigned long long)s->seq % load.domains, load.domain);
	else
		snprintf(text, sizeof(text), "<rcpt@%s>", load.domain);
	return text;
}

static void
send_text(struct session *s)
{
	char first[64];
	uint32_t crc;
	int n;

	s->sent_us = clock_mono_us();
	n = snprintf(first, sizeof(first), "message %llu of run %llu\r\n",
	    (unsigned long long)s->seq, (unsigned long long)load.run);
	crc = crc32c(crc32c(0, first, (size_t)n), load.plain, load.plain_n);
	s->head_n = (size_t)snprintf(s->head, sizeof(s->head),
	    "From: <sender@client.example>\r\nTo: %s\r\n"
	    "Subject: load\r\nDate: Fri, 20 Nov 2026 04:05:06 +0000\r\n"
	    "Message-ID: <%llu.%llu@client.example>\r\n" STAMP_FORMAT
	    "\r\n%s", recipient(s), (unsigned long long)load.run,
	    (unsigned long long)s->seq, (unsigned long long)load.run,
	    (unsigned long long)s->seq, (unsigned long long)s->sent_us,
	    (unsigned long long)((size_t)n + load.plain_n), crc, first);
	s->off = 0;
	s->state = S_TEXT;
	s->replies = 1;
	push_text(s);
}

static void
next_message(struct session *s)
{
	static const char mail[] = "MAIL FROM:<sender@client.example>\r\n";
	char ahead[400];

	if (load.idle > 0) {
		s->state = S_IDLE;
		return;
	}
	if (load.n_again > 0)
		s->seq = load.again[--load.n_again];
	else if (load.rate > 0 && load.next < load.messages &&
	    load.next >= (clock_mono_us() - load.started) * load.rate /
	    1000000) {
		s->state = S_PACED;
		return;
	} else if (load.next < load.messages)
		s->seq = load.next++;
	else {
		s->state = S_IDLE;
		return;
	}
	if (load.ahead) {
		snprintf(ahead, sizeof(ahead), "%sRCPT TO:%s\r\nDATA\r\n",
		    mail, recipient(s));
		say(s, ahead, S_DATA, 3);
	} else
		say(s, mail, S_MAIL, 1);
}

static void
accepted(struct session *s)
{
	load.last = clock_mono_us();
	load.took[load.accepted++] = load.last - s->sent_us;
	next_message(s);
}

static void
on_reply(struct session *s, char class)
{
	char text[300];

	if (class != (s->state == S_DATA && s->replies == 1 ? '3' : '2')) {
		if (load.refused++ < 5)
			fprintf(stderr, "load: %.*s", (int)s->in_n, s->in);
		lost(s);
		return;
	}
	if (--s->replies > 0)
		return;
	switch (s->state) {
	case S_GREETING:
		say(s, "EHLO client.example\r\n", S_EHLO, 1);
		break;
	case S_EHLO:
		next_message(s);
		break;
	case S_MAIL:
		snprintf(text, sizeof(text), "RCPT TO:%s\r\n", recipient(s));
		say(s, text, S_RCPT, 1);
		break;
	case S_RCPT:
		say(s, "DATA\r\n", S_DATA, 1);
		break;
	case S_DATA:
		send_text(s);
		break;
	case S_TEXT:
		accepted(s);
		break;
	default:
		break;
	}
}

static void
on_input(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->in_n, sizeof(s->in) - s->in_n,
	    MSG_DONTWAIT);
	char *end;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		lost(s);
		return;
	}
	s->in_n += (size_t)n;
	while (s->fd >= 0 &&
	    (end = memchr(s->in, '\n', s->in_n)) != NULL) {
		size_t line = (size_t)(end - s->in) + 1;
		bool last = line < 5 || s->in[3] != '-';
		char class = s->in[0];
		int fd = s->fd;

		if (last)
			on_reply(s, class);
		if (s->fd != fd || s->in_n < line)
			return;		/* another connection by now */
		memmove(s->in, s->in + line, s->in_n - line);
		s->in_n -= line;
	}
	if (s->in_n == sizeof(s->in))
		lost(s);
}

/* ---- the whole ---- */

static unsigned
count_idle(void)
{
	unsigned i, n = 0;

	for (i = 0; i < load.sessions; i++)
		n += load.session[i].state == S_IDLE;
	return n;
}

static bool
run_done(uint64_t until)
{
	if (ended || load.broken >= BROKEN_MAX || clock_mono_us() > until)
		return true;
	return load.idle > 0 ? count_idle() == load.sessions :
	    load.accepted == load.messages;
}

static void
pace(void)
{
	unsigned i;

	for (i = 0; i < load.sessions; i++)
		if (load.session[i].state == S_PACED)
			next_message(&load.session[i]);
}

static void
run(void)
{
	uint64_t until = clock_mono_us() + load.seconds * UINT64_C(1000000);
	struct epoll_event ev[256];
	unsigned i;
	int k, n;

	load.ep = epoll_create1(EPOLL_CLOEXEC);
	load.started = load.last = clock_mono_us();
	for (i = 0; i < load.sessions; i++)
		open_session(&load.session[i]);
	while (!run_done(until)) {
		n = epoll_wait(load.ep, ev, 256, load.rate > 0 ? 2 : 100);
		if (load.rate > 0)
			pace();
		for (k = 0; k < n; k++) {
			struct session *s = ev[k].data.ptr;

			if (s->fd >= 0 && (ev[k].events & EPOLLOUT))
				push_text(s);
			if (s->fd >= 0 && (ev[k].events &
			    (EPOLLIN | EPOLLHUP | EPOLLERR)))
				on_input(s);
		}
	}
}

static void
report(void)
{
	double seconds = (double)(load.last - load.started) / 1e6;
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	qsort(load.took, load.accepted, sizeof(*load.took), order_u64);
	printf("{\"accepted\": %llu, \"refused\": %llu, \"broken\": %llu, "
	    "\"seconds\": %.6f, \"started_us\": %llu, \"p50_ms\": %.3f, "
	    "\"p99_ms\": %.3f, \"cpu\": %.3f}\n",
	    (unsigned long long)load.accepted,
	    (unsigned long long)load.refused,
	    (unsigned long long)load.broken, seconds,
	    (unsigned long long)load.started,
	    quantile_ms(load.took, load.accepted, .5),
	    quantile_ms(load.took, load.accepted, .99),
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
}

static int
usage(void)
{
	fprintf(stderr, "usage: load [-c sessions] [-n messages] "
	    "[-s octets] [-r run] [-t seconds] [-d domain] [-D domains] "
	    "[-R rate] [-P] PORT\n"
	    "       load -i sessions PORT\n");
	return 64;
}

int
main(int argc, char **argv)
{
	size_t size = 4096;
	char end;
	int o;

	while ((o = getopt(argc, argv, "c:n:s:r:t:d:D:R:i:P")) != -1) {
		unsigned long long v = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (o) {
		case 'c': load.sessions = (unsigned)v; break;
		case 'n': load.messages = v; break;
		case 's': size = (size_t)v; break;
		case 'r': load.run = v; break;
		case 't': load.seconds = (unsigned)v; break;
		case 'i': load.idle = load.sessions = (unsigned)v; break;
		case 'P': load.ahead = true; break;
		case 'd': load.domain = optarg; break;
		case 'D': load.domains = (unsigned)v; break;
		case 'R': load.rate = (unsigned)v; break;
		default: return usage();
		}
	}
	if (optind + 1 != argc || load.sessions == 0)
		return usage();
	load.to.sin_family = AF_INET;
	load.to.sin_port = htons((uint16_t)atoi(argv[optind]));
	load.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	make_body(size);
	load.again = mem_zarray(load.messages + load.sessions + BROKEN_MAX,
	    sizeof(uint64_t));
	load.took = mem_zarray(load.messages + 1, sizeof(uint64_t));
	load.session = mem_zarray(load.sessions, sizeof(struct session));
	run();
	report();
	while (load.idle > 0 && read(STDIN_FILENO, &end, 1) > 0)
		;
	return load.idle > 0 || load.accepted == load.messages ? 0 : 1;
}

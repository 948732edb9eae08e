/*
 * Answers one request of HTTP/1.1 (RFC 9112) on standard input, a connection
 * that monitor has accepted: /metrics, /healthz, /readyz.  Run as the queue's
 * user.
 *
 * The daemon is asked before anything is read from the other side, so that
 * what is parsed can do nothing any more.  Nobody is kept waiting: a queue
 * that does not answer in time is not ready, a client that asks nothing gets
 * nothing, and after 10 s it is over whatever happens.
 */
#include "tools/local.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/strbuf.h"

#define REQUEST_MAX 8192u		/* octets, header and all */
#define NUMBERS_MAX (16u << 20)
#define SPARE_MAX (1u << 20)		/* of what nobody has asked for */
#define NUMBERS_MS 4000u
#define REQUEST_MS 2000u
#define SPARE_MS 1000u
#define LIMIT_S 10

/* As read(2); -1 as well when it is `until`, in ms. */
static ssize_t
read_until(int fd, void *buf, size_t max, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now;
	ssize_t n;

	do {
		now = clock_mono_us() / 1000;
		if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
			return -1;
		n = recv(fd, buf, max, MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n;
}

static uint64_t
in_ms(uint64_t ms)
{
	return clock_mono_us() / 1000 + ms;
}

/* ---- the daemon ---- */

static int
control_open(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = NUMBERS_MS / 1000 };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -1;
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
		    sizeof(limit));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Until its end; false: too much, or too late. */
static bool
read_all(int fd, struct strbuf *in)
{
	uint64_t until = in_ms(NUMBERS_MS);
	ssize_t n;

	while (in->n < NUMBERS_MAX) {
		n = read_until(fd, strbuf_room(in, 65536), 65536, until);
		if (n <= 0)
			return n == 0;
		in->n += (size_t)n;
	}
	return false;
}

/* {"data":N}, N octets, {"end":{"status":0,...}}: the octets; false: it is
 * not ready, or does not let us ask. */
static bool
take_numbers(struct slice in, struct slice *out)
{
	static const char head[] = "{\"data\":", good[] =
	    "{\"end\":{\"status\":0,";
	long nl = slice_find(in, '\n');
	size_t n = sizeof(head) - 1;
	uint64_t size;

	if (nl < (long)n + 2 || memcmp(in.p, head, n) != 0 ||
	    !num_u64(slice_of(in.p + n, (size_t)nl - n - 1), NUMBERS_MAX,
	    &size))
		return false;
	in = slice_skip(in, (size_t)nl + 1);
	if (in.n < size + sizeof(good) - 1)
		return false;
	*out = slice_of(in.p, (size_t)size);
	in = slice_skip(in, (size_t)size);
	return memcmp(in.p, good, sizeof(good) - 1) == 0;
}

static bool
ask(const char *path, struct strbuf *in, struct slice *numbers)
{
	static const char request[] = "{\"command\":\"metrics\"}\n";
	int fd = control_open(path);
	bool good;

	if (fd < 0)
		return false;
	good = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) ==
	    (ssize_t)sizeof(request) - 1 && read_all(fd, in) &&
	    take_numbers(strbuf_slice(in), numbers);
	close(fd);
	return good;
}

/* ---- the client ---- */

static bool
is_whole(const struct strbuf *in)
{
	return memmem(in->p, in->n, "\r\n\r\n", 4) != NULL ||
	    memmem(in->p, in->n, "\n\n", 2) != NULL;
}

/* The header, with its empty line, or as much as anybody needs; false: there
 * is none. */
static bool
read_request(struct strbuf *in)
{
	uint64_t until = in_ms(REQUEST_MS);
	ssize_t n;

	do {
		n = read_until(STDIN_FILENO, strbuf_room(in, 1024), 1024,
		    until);
		if (n <= 0)
			return false;
		in->n += (size_t)n;
	} while (!is_whole(in) && in->n < REQUEST_MAX);
	return true;
}

/* What a client has sent and nobody has read would reset the answer.  Who has
 * sent no more than he should is not waited for. */
static void
read_spare(void)
{
	uint64_t until = in_ms(SPARE_MS);
	size_t total = 0;
	char buf[16384];
	ssize_t n;

	if (recv(STDIN_FILENO, buf, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return;
	while (total < SPARE_MAX && (n = read_until(STDIN_FILENO, buf,
	    sizeof(buf), until)) > 0)
		total += (size_t)n;
}

static void
write_all(struct slice s)
{
	ssize_t n;

	while (s.n > 0) {
		n = write(STDIN_FILENO, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		s = slice_skip(s, (size_t)n);
	}
}

static void
answer(const char *status, const char *more, struct slice body, bool head)
{
	struct strbuf out = STRBUF_INIT;

	strbuf_printf(&out, "HTTP/1.1 %s\r\n"
	    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
	    "Content-Length: %zu\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n%sConnection: close\r\n\r\n",
	    status, body.n, more);
	if (!head)
		strbuf_add_slice(&out, body);
	write_all(strbuf_slice(&out));
	strbuf_free(&out);
}

static bool
is_path(struct slice target, const char *path)
{
	size_t n = strlen(path);

	return target.n >= n && memcmp(target.p, path, n) == 0 &&
	    (target.n == n || target.p[n] == '?');
}

enum http_request
http_request(struct slice request, bool *head)
{
	struct slice method, target, version, line = request;
	long nl = slice_find(request, '\n');

	*head = false;
	if (nl >= 0)
		line.n = (size_t)nl;
	if (!slice_word(&line, &method) || !slice_word(&line, &target) ||
	    !slice_word(&line, &version) || version.n < 6 ||
	    memcmp(version.p, "HTTP/1", 6) != 0)
		return HTTP_BAD;
	*head = slice_eq(method, SLICE_LIT("HEAD"));
	if (!*head && !slice_eq(method, SLICE_LIT("GET")))
		return HTTP_METHOD;
	return is_path(target, "/healthz") ? HTTP_HEALTH :
	    is_path(target, "/readyz") ? HTTP_READY :
	    is_path(target, "/metrics") ? HTTP_METRICS : HTTP_UNKNOWN;
}

static void
respond(struct slice request, bool ready, struct slice numbers)
{
	bool head;
	enum http_request what = http_request(request, &head);

	switch (what) {
	case HTTP_BAD:
		answer("400 Bad Request", "", SLICE_LIT("bad request\n"),
		    false);
		break;
	case HTTP_METHOD:
		answer("405 Method Not Allowed", "Allow: GET, HEAD\r\n",
		    SLICE_LIT("only GET and HEAD\n"), false);
		break;
	case HTTP_UNKNOWN:
		answer("404 Not Found", "", SLICE_LIT("not found\n"), head);
		break;
	case HTTP_HEALTH:
		answer("200 OK", "", SLICE_LIT("ok\n"), head);
		break;
	default:
		if (!ready)
			answer("503 Service Unavailable",
			    "Retry-After: 5\r\n",
			    SLICE_LIT("the queue does not answer\n"), head);
		else
			answer("200 OK", "", what == HTTP_METRICS ? numbers :
			    SLICE_LIT("ready\n"), head);
		break;
	}
}

int
local_http(const char *socket_path)
{
	struct strbuf in = STRBUF_INIT, request = STRBUF_INIT;
	struct slice numbers = SLICE_LIT("");
	bool ready;

	/* monitor would end us too, but may have forgotten us in a reload. */
	alarm(LIMIT_S);
	ready = ask(socket_path, &in, &numbers);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (read_request(&request)) {
		if (is_whole(&request))
			respond(strbuf_slice(&request), ready, numbers);
		else
			answer("431 Request Header Fields Too Large", "",
			    SLICE_LIT("too long\n"), false);
		shutdown(STDIN_FILENO, SHUT_WR);
		read_spare();
	}
	strbuf_free(&request);
	strbuf_free(&in);
	return EX_OK;
}

/*
 * oauth login: shows where to go and what to type, and waits with a
 * countdown.  For the code flow it listens on loopback for the browser (RFC
 * 8252 7.3), and takes the address that a browser elsewhere ended at from
 * standard input.  What came is handed to auth, and never shown.
 */
#include <sys/prctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/relayctl.h"

#define REQUEST_MAX 8192
#define BROWSER_MS 3000u		/* for its request */

struct login {
	struct ctl *c;
	const struct ctl_oauth *o;
	int listener[2];		/* 127.0.0.1 and ::1; -1: none */
	bool code;			/* it takes addresses */
	bool stdin_open;
	char line[REQUEST_MAX];		/* from standard input */
	size_t n;
	uint64_t until;			/* mono us; 0: nothing is shown yet */
	bool terminal, counting;
};

/* ---- loopback ---- */

static int
listen_on(int family, uint16_t *port)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET,
	    .sin_port = htons(*port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
	    .sin6_port = htons(*port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *sa = family == AF_INET ? (void *)&in4 : (void *)&in6;
	socklen_t n = family == AF_INET ? sizeof(in4) : sizeof(in6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	if (bind(fd, sa, n) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, sa, &n) < 0) {
		close(fd);
		return -1;
	}
	if (family == AF_INET)
		*port = ntohs(in4.sin_port);
	return fd;
}

/* What stands behind GET, where it is for us; false: it is not. */
static bool
read_request(int fd, char target[REQUEST_MAX])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[REQUEST_MAX];
	uint64_t now, until = clock_mono_us() + BROWSER_MS * 1000;
	size_t n = 0, len;
	ssize_t r;

	while (n < sizeof(buf) - 1 && (now = clock_mono_us()) < until &&
	    poll(&p, 1, (int)((until - now) / 1000) + 1) == 1) {
		r = read(fd, buf + n, sizeof(buf) - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
		buf[n] = '\0';
		if (strstr(buf, "\r\n") != NULL)
			break;
	}
	buf[n] = '\0';
	if (strncmp(buf, "GET /?", 6) != 0)
		return false;
	len = strcspn(buf + 4, " \r\n");
	memcpy(target, buf + 4, len);
	target[len] = '\0';
	mem_wipe(buf, sizeof(buf));
	return true;
}

static void
reply(int fd, const char *status, const char *text)
{
	char page[600];
	int n = snprintf(page, sizeof(page), "HTTP/1.1 %s\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
	    "Content-Security-Policy: default-src 'none'\r\n"
	    "Connection: close\r\n\r\n<!doctype html><title>smarthostd"
	    "</title><p>%s</p>\n", status, text);

	(void)!write(fd, page, (size_t)n);
	(void)shutdown(fd, SHUT_WR);
}

/* 0: auth has taken it. */
static int
hand_on(struct login *l, const char *url)
{
	struct ctl_sink sink = { .arg = NULL };
	struct strbuf more = STRBUF_INIT;
	struct json_writer w = json_to(&more);
	int rc;

	json_text(&w, "url", url);
	if (l->counting)
		putchar('\n');
	l->counting = false;
	fflush(stdout);
	rc = ctl_oauth_request(l->c, l->o, "oauth answer",
	    strbuf_cstr(&more), &sink);
	strbuf_wipe(&more);
	free(sink.text);
	return rc;
}

static void
browser_came(struct login *l, int listener)
{
	char target[REQUEST_MAX];
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (!read_request(fd, target)) {
		reply(fd, "404 Not Found", "Not here.");
	} else if (hand_on(l, target) == 0) {
		reply(fd, "200 OK", "smarthostd has what it needs. You can "
		    "close this page; the terminal tells the rest.");
	} else {
		reply(fd, "400 Bad Request", "That was not for this login; "
		    "the terminal tells why.");
	}
	mem_wipe(target, sizeof(target));
	close(fd);
}

/* ---- standard input ---- */

static void
typed(struct login *l)
{
	ssize_t r = read(STDIN_FILENO, l->line + l->n,
	    sizeof(l->line) - 1 - l->n);
	char *nl;

	if (r <= 0) {
		l->stdin_open = false;
		nl = l->line + l->n;
	} else {
		l->n += (size_t)r;
		l->line[l->n] = '\0';
		nl = strchr(l->line, '\n');
		if (nl == NULL && l->n < sizeof(l->line) - 1)
			return;
	}
	if (nl != NULL)
		*nl = '\0';
	if (l->line[strspn(l->line, " \t\r")] != '\0')
		(void)hand_on(l, l->line);
	mem_wipe(l->line, sizeof(l->line));
	l->n = 0;
}

/* ---- waiting ---- */

static void
count_down(struct login *l)
{
	uint64_t now = clock_mono_us(), left;

	if (!l->terminal || l->until == 0)
		return;
	left = l->until > now ? (l->until - now) / 1000000 : 0;
	printf("\rwaiting, %2llu:%02llu left ", (unsigned long long)left / 60,
	    (unsigned long long)left % 60);
	fflush(stdout);
	l->counting = true;
}

/* Until the daemon says something. */
static void
wait_for(void *arg, int fd)
{
	struct login *l = arg;
	struct pollfd p[4];
	int i;

	for (;;) {
		p[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = l->listener[0],
		    .events = POLLIN };
		p[2] = (struct pollfd){ .fd = l->listener[1],
		    .events = POLLIN };
		p[3] = (struct pollfd){ .fd = l->code && l->stdin_open ?
		    STDIN_FILENO : -1, .events = POLLIN };
		count_down(l);
		if (poll(p, 4, l->terminal && l->until != 0 ? 1000 : -1) < 0)
			continue;
		if (p[0].revents != 0)
			return;
		for (i = 0; i < 2; i++)
			if (l->code && p[1 + i].revents != 0)
				browser_came(l, l->listener[i]);
		if (p[3].revents != 0)
			typed(l);
	}
}

/* ---- what is shown ---- */

static void
open_browser(const char *url)
{
	pid_t pid;

	/* Not root's. */
	if ((getenv("DISPLAY") == NULL && getenv("WAYLAND_DISPLAY") == NULL) ||
	    geteuid() == 0)
		return;
	pid = fork();
	if (pid != 0)
		return;
	(void)!freopen("/dev/null", "w", stdout);
	(void)!freopen("/dev/null", "w", stderr);
	execlp("xdg-open", "xdg-open", url, (char *)NULL);
	_exit(127);
}

static void
show_code(const struct login *l, const cJSON *o)
{
	const char *redirect = ctl_get(o, "redirect");
	const char *port = strrchr(redirect, ':');

	printf("Open this address in a browser, and log in as %s:\n\n    %s"
	    "\n\n", l->o->name, ctl_get(o, "url"));
	if (l->listener[0] >= 0 && port != NULL)
		printf("If the browser is on another machine, either forward "
		    "the port there first\n(ssh -L %s:127.0.0.1:%s THIS-HOST),"
		    " or paste here the address at which it ends\n(it begins "
		    "with %s and cannot be shown).\n", port + 1, port + 1,
		    redirect);
	else
		printf("Then paste here the address at which it ends.\n");
}

static void
prompt_item(void *arg, struct slice json)
{
	struct login *l = arg;
	uint64_t seconds;
	cJSON *o = cJSON_ParseWithLength(json.p, json.n);

	if (o == NULL)
		return;
	seconds = ctl_get_number(o, "seconds");
	l->code = strcmp(ctl_get(o, "kind"), "code") == 0;
	l->until = clock_mono_us() + seconds * 1000000;
	if (l->code) {
		show_code(l, o);
		if (!l->o->no_browser)
			open_browser(ctl_get(o, "url"));
	} else {
		printf("Open this address in any browser, and log in as %s:"
		    "\n\n    %s\n\nand enter the code\n\n    %s\n\n",
		    l->o->name, ctl_get(o, "url"), ctl_get(o, "code"));
	}
	if (!l->terminal)
		printf("Waiting for up to %llu minutes.\n",
		    (unsigned long long)(seconds + 59) / 60);
	fflush(stdout);
	cJSON_Delete(o);
}

int
ctl_oauth_login(struct ctl *c)
{
	struct login l = { .c = c, .listener = { -1, -1 },
	    .stdin_open = true, .terminal = isatty(STDOUT_FILENO) };
	struct ctl_sink sink = { .arg = &l, .item = prompt_item,
	    .wait = wait_for };
	struct strbuf more = STRBUF_INIT;
	struct json_writer w = json_to(&more);
	struct ctl_oauth o;
	uint16_t port = 0;
	int rc = ctl_oauth_args(c, &o);

	if (rc != 0)
		return rc;
	l.o = &o;
	signal(SIGPIPE, SIG_IGN);	/* of a browser that breaks off */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	l.listener[0] = listen_on(AF_INET, &port);
	if (l.listener[0] >= 0)
		l.listener[1] = listen_on(AF_INET6, &port);
	if (o.flow != NULL)
		json_text(&w, "flow", o.flow);
	json_number(&w, "port", port);
	rc = ctl_oauth_request(c, &o, "oauth login", strbuf_cstr(&more),
	    &sink);
	strbuf_free(&more);
	if (l.counting && rc == 0)
		printf("\r\033[K");
	if (rc == 0 && sink.text != NULL)
		puts(sink.text);
	free(sink.text);
	if (l.listener[0] >= 0)
		close(l.listener[0]);
	if (l.listener[1] >= 0)
		close(l.listener[1]);
	return rc;
}

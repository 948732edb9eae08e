/*
 * The socket of `metrics`: monitor accepts, and reads nothing; a program of
 * its own answers each connection and ends (libexec/local http).  It runs as
 * the queue's user, whom the control socket lets ask.  Run by monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/listen.h"
#include "monitor/run_command.h"

#define ANSWERS_MAX 16			/* at a time; others wait */
#define ANSWER_MS 10000u

struct answer {
	TAILQ_ENTRY(answer) link;
	struct http *h;
	struct run *run;
};

struct http {
	struct monitor *m;
	struct listen *listen[2];
	size_t n_listen;
	TAILQ_HEAD(answer_list, answer) answers;
	unsigned n;
};

static void
listens_pause(struct http *h, bool pause)
{
	size_t i;

	for (i = 0; i < h->n_listen; i++) {
		if (pause)
			listen_pause(h->listen[i]);
		else
			listen_resume(h->listen[i]);
	}
}

static void
answer_free(struct answer *a)
{
	struct http *h = a->h;

	TAILQ_REMOVE(&h->answers, a, link);
	free(a);
	if (h->n-- == ANSWERS_MAX)
		listens_pause(h, false);
}

static void
answered(void *arg, uint8_t status, const char *text)
{
	if (status != 0)
		log_msg(LL_DEBUG, "http", "%s", text);
	answer_free(arg);
}

static void
http_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct http *h = arg;
	struct monitor *m = h->m;
	char *path = mem_printf("%s/control.sock",
	    m->conf->runtime_directory);
	char *argv[] = { (char *)(uintptr_t)"local",
	    (char *)(uintptr_t)"http", path, NULL };
	struct answer *a = mem_zalloc(sizeof(*a));

	(void)peer;
	a->h = h;
	TAILQ_INSERT_TAIL(&h->answers, a, link);
	if (++h->n == ANSWERS_MAX)
		listens_pause(h, true);
	fs_set_nonblock(fd, 0);		/* the program waits */
	a->run = run_start(m, &m->who[ROLE_QUEUE], argv, fd, ANSWER_MS,
	    answered, a);
	if (a->run == NULL)
		answer_free(a);
	close(fd);
	free(path);
}

void
http_start(struct monitor *m)
{
	struct http *h;
	size_t i;
	int fd;

	http_stop(m);
	m->http = h = mem_zalloc(sizeof(*h));
	h->m = m;
	TAILQ_INIT(&h->answers);
	for (i = 0; i < m->n_sockets && h->n_listen < 2; i++) {
		if (m->sockets[i].kind != LISTEN_METRICS)
			continue;
		fd = fcntl(m->sockets[i].fd, F_DUPFD_CLOEXEC, 3);
		if (fd >= 0)
			h->listen[h->n_listen++] = listen_new(m->loop, fd,
			    http_accept, h);
	}
}

void
http_stop(struct monitor *m)
{
	struct http *h = m->http;
	struct answer *a;
	size_t i;

	if (h == NULL)
		return;
	m->http = NULL;
	for (i = 0; i < h->n_listen; i++)
		listen_free(&h->listen[i]);
	while ((a = TAILQ_FIRST(&h->answers)) != NULL) {
		run_forget(a->run);
		TAILQ_REMOVE(&h->answers, a, link);
		free(a);
	}
	free(h);
}

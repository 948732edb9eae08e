/*
 * queue verify and backup: the queue on disk, read as its owner, with or
 * without a daemon at work on it.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/backup.h"
#include "tools/relayctl.h"

/* ---- progress, on a terminal ---- */

struct progress {
	uint64_t total;
	bool shown;
};

static void
progress_line(void *arg, uint64_t done)
{
	struct progress *p = arg;

	fprintf(stderr, "\r%llu of %llu messages ", (unsigned long long)done,
	    (unsigned long long)p->total);
	p->shown = true;
}

static void
progress_begin(struct progress *p, struct store *s)
{
	*p = (struct progress){ .total = store_total(s) };
	if (isatty(STDERR_FILENO))
		store_on_progress(s, progress_line, p);
}

static void
progress_end(struct progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r%50s\r", "");
	p->shown = false;
}

/* ---- verify ---- */

struct findings {
	struct ctl *c;
	struct strbuf json;
	struct json_writer w;
	struct progress p;
};

static void
finding(void *arg, const char *text)
{
	struct findings *f = arg;
	struct strbuf out = STRBUF_INIT;

	if (f->c->json) {
		json_text(&f->w, NULL, text);
		return;
	}
	progress_end(&f->p);
	ctl_printable(&out, text);
	puts(out.p);
	strbuf_free(&out);
}

int
ctl_queue_verify(struct ctl *c)
{
	struct findings f = { .c = c, .json = STRBUF_INIT };
	unsigned long long messages;
	struct store *s;
	size_t n;
	int rc;

	clock_update();
	s = ctl_store_open(c, &rc);
	if (s == NULL)
		return rc;
	f.w = json_to(&f.json);
	json_object(&f.w, NULL);
	json_array(&f.w, "findings");
	progress_begin(&f.p, s);
	n = store_verify(s, finding, &f);
	progress_end(&f.p);
	messages = store_total(s);
	store_close(&s);
	json_close_array(&f.w);
	json_number(&f.w, "messages", messages);
	json_close_object(&f.w);
	if (c->json)
		puts(f.json.p);
	else if (n == 0)
		printf("%llu message%s, all is well\n", messages,
		    messages == 1 ? "" : "s");
	strbuf_free(&f.json);
	if (n > 0)
		return ctl_error(CTL_NONE, "%zu finding%s", n, n == 1 ? "" :
		    "s");
	return 0;
}

/* ---- backup ---- */

static void
missing(void *arg, const char *text)
{
	(void)arg;
	ctl_error(0, "%s", text);
}

static int
backup_to(struct ctl *c, int fd, const char *path)
{
	struct err e = { 0, "" };
	struct progress p;
	struct store *s;
	int rc;

	s = ctl_store_open(c, &rc);
	if (s == NULL)
		return rc;
	progress_begin(&p, s);
	if (store_backup(s, fd, missing, NULL, &e) < 0)
		rc = ctl_error(CTL_NONE, "%s: %s", path, e.text);
	progress_end(&p);
	store_close(&s);
	return rc;
}

/* Whole or not there: written beside it, synced, renamed. */
int
ctl_queue_backup(struct ctl *c)
{
	const char *path = c->rest[0];
	char *tmp = mem_printf("%s.tmp", path);
	int fd, rc;

	fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd < 0) {
		rc = ctl_error(CTL_NONE, "%s: %s", tmp, strerror(errno));
		free(tmp);
		return rc;
	}
	rc = backup_to(c, fd, path);
	ctl_become_self();
	if (rc == 0 && (fsync(fd) < 0 || rename(tmp, path) < 0))
		rc = ctl_error(CTL_NONE, "%s: %s", path, strerror(errno));
	if (rc != 0)
		(void)unlink(tmp);
	else
		printf("restore it with: tar -xf %s -C SPOOL, while the "
		    "daemon is down\n", path);
	close(fd);
	free(tmp);
	return rc;
}

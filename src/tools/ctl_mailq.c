/*
 * queue list --mailq: the table that mailq has printed for forty years.  It
 * says that the queue is empty only where that is known: the daemon has
 * answered, or its owner has looked into the queue and the drop directory.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/relayctl.h"

#define HEAD_MAX 65536

struct mailq {
	uint64_t n, octets;
};

static void
print_head(struct mailq *q)
{
	if (q->n++ == 0)
		puts("-Queue ID-      --Size-- ----Arrival Time---- "
		    "-Sender/Recipient-------");
}

static void
print_first(struct mailq *q, const char *id, char mark, uint64_t size,
    uint64_t arrived, const char *sender)
{
	struct strbuf from = STRBUF_INIT;
	time_t t = (time_t)(arrived / 1000);
	char when[32] = "";
	struct tm tm;

	print_head(q);
	q->octets += size;
	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &tm);
	ctl_printable(&from, sender);
	printf("%-14s%c %9llu %-20s %s\n", id, mark,
	    (unsigned long long)size, when, from.n > 0 ? from.p :
	    "MAILER-DAEMON");
	strbuf_free(&from);
}

static void
print_rcpt(const char *address)
{
	struct strbuf text = STRBUF_INIT;

	ctl_printable(&text, address);
	printf("%46s %s\n", "", strbuf_cstr(&text));
	strbuf_free(&text);
}

static void
mailq_item(void *arg, struct slice json)
{
	struct mailq *q = arg;
	const char *status, *reply, *last = "";
	struct strbuf text = STRBUF_INIT;
	const cJSON *r;
	cJSON *m = cJSON_ParseWithLength(json.p, json.n);

	if (m == NULL)
		return;
	status = ctl_get(m, "status");
	print_first(q, ctl_get(m, "id"), strcmp(status, "active") == 0 ?
	    '*' : strcmp(status, "held") == 0 ? '!' : ' ',
	    ctl_get_number(m, "size"), ctl_time(ctl_get(m, "arrived")),
	    ctl_get(m, "from"));
	cJSON_ArrayForEach(r, ctl_get_any(m, "recipients")) {
		status = ctl_get(r, "status");
		if (strcmp(status, "queued") != 0 &&
		    strcmp(status, "deferred") != 0)
			continue;
		reply = ctl_get(r, "last_reply");
		strbuf_clear(&text);
		ctl_printable(&text, reply);
		if (text.n > 0 && strcmp(reply, last) != 0)
			printf("      (%s)\n", text.p);
		last = reply;
		print_rcpt(ctl_get(r, "address"));
	}
	putchar('\n');
	strbuf_free(&text);
	cJSON_Delete(m);
}

/* ---- the drop directory ---- */

/* "MAIL FROM:<a@b> ..." and "RCPT TO:<c@d>" at the front of a batch. */
static char *
path_of(const char *line)
{
	const char *from = strchr(line, '<');
	const char *end = from != NULL ? strchr(from, '>') : NULL;

	return end != NULL ? mem_strndup(from + 1, (size_t)(end - from - 1)) :
	    mem_strdup("");
}

static void
drop_file(struct mailq *q, FILE *f, const struct stat *st)
{
	char *line = NULL, *path;
	size_t cap = 0;

	while (getline(&line, &cap, f) >= 0 &&
	    strncmp(line, "DATA", 4) != 0) {
		path = path_of(line);
		if (strncmp(line, "MAIL", 4) == 0)
			print_first(q, "(not taken)", ' ',
			    (uint64_t)st->st_size,
			    (uint64_t)st->st_mtim.tv_sec * 1000, path);
		else if (strncmp(line, "RCPT", 4) == 0)
			print_rcpt(path);
		free(path);
	}
	free(line);
	putchar('\n');
}

/* What the shim has kept while the daemon is down; -1: not to be seen.  uid
 * (uid_t)-1: of everybody. */
static int
drop_list(struct ctl *c, struct mailq *q, uid_t uid)
{
	char *name = mem_printf("%s/drop", c->spool_dir);
	DIR *dir = opendir(name);
	struct dirent *d;
	struct stat st;
	FILE *f;
	int fd, rc = 0;

	free(name);
	if (dir == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_NOFOLLOW |
		    O_NONBLOCK | O_CLOEXEC);
		if (fd < 0) {
			rc = errno == ENOENT ? rc : -1;
			continue;
		}
		f = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    (uid == (uid_t)-1 || st.st_uid == uid) ?
		    fdopen(fd, "r") : NULL;
		if (f != NULL) {
			drop_file(q, f, &st);
			fclose(f);
		} else {
			close(fd);
		}
	}
	closedir(dir);
	return rc;
}

/* ---- all of it ---- */

static int
mailq_offline(struct ctl *c, struct mailq *q, struct ctl_sink *sink)
{
	int rc = ctl_dirs(c);

	if (rc != 0)
		return rc;
	if (geteuid() != 0 && access(c->spool_dir, R_OK) != 0)
		return ctl_error(CTL_UNAVAILABLE, "smarthostd is not "
		    "running, and only its own user can read the queue now");
	rc = ctl_offline_list(c, sink);
	ctl_become_self();
	if (rc != 0)
		return rc;
	if (drop_list(c, q, (uid_t)-1) < 0)
		return ctl_error(CTL_UNAVAILABLE, "%s/drop cannot be read: "
		    "%s", c->spool_dir, strerror(errno));
	return 0;
}

int
ctl_mailq(struct ctl *c)
{
	struct mailq q = { 0, 0 };
	struct ctl_sink sink = { .arg = &q, .item = mailq_item };
	int rc;

	clock_update();
	rc = ctl_request(c, "queue list", NULL, &sink);
	if (rc == CTL_DOWN)
		rc = mailq_offline(c, &q, &sink);
	free(sink.text);
	if (q.n > 0)
		printf("-- %llu Kbytes in %llu Request%s.\n",
		    (unsigned long long)(q.octets + 1023) / 1024,
		    (unsigned long long)q.n, q.n == 1 ? "" : "s");
	else if (rc == 0)
		puts("Mail queue is empty");
	return rc;
}

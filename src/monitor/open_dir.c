/*
 * Opening what a configuration names below a directory of somebody who is not
 * root (monitor, with all its rights).  The way is walked step by step, so
 * that nobody can exchange what was looked at; what is not as it should be is
 * refused.
 */
#include "monitor/open_dir.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define LINKS_MAX 40u

struct walk {
	int at;				/* where we are; O_PATH */
	char *rest;			/* the way that is left */
	unsigned links;
};

static int
start_at(struct walk *w)
{
	int fd = open(w->rest[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY |
	    O_CLOEXEC);

	if (w->at >= 0)
		close(w->at);
	w->at = fd;
	return fd < 0 ? -1 : 0;
}

/* What it leads to comes before the rest. */
static int
follow(struct walk *w, int link, const struct stat *st, const char *rest)
{
	char to[PATH_MAX];
	ssize_t n = readlinkat(link, "", to, sizeof(to) - 1);
	char *way;

	if (st->st_uid != 0 && st->st_uid != geteuid())
		errno = EACCES;
	else if (n < 0 || (size_t)n == sizeof(to) - 1 || ++w->links >
	    LINKS_MAX)
		errno = ELOOP;
	else {
		to[n] = '\0';
		way = mem_printf("%s/%s", to, rest);
		free(w->rest);
		w->rest = way;
		return to[0] == '/' ? start_at(w) : 0;
	}
	return -1;
}

/* One step; 1: there is none left. */
static int
step(struct walk *w)
{
	size_t skip = strspn(w->rest, "/"), n = strcspn(w->rest + skip, "/");
	char *name = mem_strndup(w->rest + skip, n), *rest;
	struct stat st;
	int fd, rc = 0;

	if (n == 0) {
		free(name);
		return 1;
	}
	rest = mem_strdup(w->rest + skip + n);
	fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	free(name);
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = -1;
	} else if (S_ISLNK(st.st_mode)) {
		rc = follow(w, fd, &st, rest);
	} else {
		close(w->at);
		w->at = fd;
		fd = -1;
		free(w->rest);
		w->rest = mem_strdup(rest);
	}
	free(rest);
	if (fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return rc;
}

int
open_dir_of(const char *path, const char **name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	struct walk w = { .at = -1 };
	int fd = -1, rc;

	*name = slash == NULL ? path : slash + 1;
	w.rest = slash == NULL ? mem_strdup(".") : mem_strndup(path,
	    (size_t)(*name - path));
	rc = start_at(&w);
	while (rc == 0)
		rc = step(&w);
	if (rc == 1)
		fd = openat(w.at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && geteuid() == 0)
		err_set(e, EACCES, "%s: there is a symbolic link of somebody "
		    "else on its way: name the file itself", path);
	else if (fd < 0)
		err_errno(e, "%s", path);
	if (w.at >= 0)
		close(w.at);
	free(w.rest);
	return fd;
}

int
open_regular(const char *path)
{
	int at = open(path, O_PATH | O_CLOEXEC), fd = -1;
	struct stat st;
	char self[40];

	if (at < 0)
		return -1;
	if (fstat(at, &st) == 0 && S_ISREG(st.st_mode)) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
		fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	close(at);
	return fd;
}

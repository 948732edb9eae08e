/*
 * Changing one line of `login-file` (relayctl passwd).  Whoever else changes
 * it in this way waits for us; the daemon sees the old file or the new one.
 */
#include "tools/ctl_login_file.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "conf/login_file.h"

#define SIZE_MAX_FILE ((size_t)16 << 20)

bool
ctl_login_known(const char *path, const char *name)
{
	struct strbuf text = STRBUF_INIT;
	struct login_line l;
	struct err e = { 0 };
	struct slice rest;
	unsigned line = 0;
	bool known = false;

	if (fs_read_file(path, SIZE_MAX_FILE, &text, &e) == 0) {
		rest = strbuf_slice(&text);
		while (!known && login_file_next(&rest, &line, &l))
			known = slice_eq_cstr(l.name, name);
	}
	strbuf_free(&text);
	return known;
}

/* The open file, locked, and still the one of this name; -1. */
static int
open_locked(const char *path, struct stat *st, struct err *e)
{
	struct stat now;
	int fd;

	for (;;) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_errno(e, "%s", path);
		if (flock(fd, LOCK_EX) < 0 || fstat(fd, st) < 0) {
			err_errno(e, "%s", path);
			close(fd);
			return -1;
		}
		if (stat(path, &now) == 0 && now.st_ino == st->st_ino &&
		    now.st_dev == st->st_dev)
			return fd;
		close(fd);
	}
}

static void
put_line(struct strbuf *out, const char *name, const char *hash,
    struct slice account)
{
	strbuf_printf(out, "%s:%s:", name, hash);
	strbuf_add_slice(out, account);
	strbuf_putc(out, '\n');
}

/* All lines as they are, but the name's. */
static void
rewrite(struct slice text, const char *name, const char *hash,
    const char *account, struct strbuf *out)
{
	struct slice one, rest;
	struct login_line l;
	unsigned number;
	bool done = false;
	long nl;

	while (text.n > 0) {
		nl = slice_find(text, '\n');
		one = nl < 0 ? text : slice_of(text.p, (size_t)nl + 1);
		text = slice_skip(text, one.n);
		rest = one;
		number = 0;
		if (login_file_next(&rest, &number, &l) &&
		    slice_eq_cstr(l.name, name)) {
			put_line(out, name, hash, account != NULL ?
			    slice_cstr(account) : l.account);
			done = true;
			continue;
		}
		strbuf_add_slice(out, one);
		if (nl < 0)
			strbuf_putc(out, '\n');
	}
	if (!done)
		put_line(out, name, hash, slice_cstr(account));
}

static int
sync_directory(const char *path)
{
	char *copy = mem_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(copy);
	return rc;
}

static int
replace(const char *path, const struct stat *st, struct slice text,
    struct err *e)
{
	char *temporary = mem_printf("%s.%d.new", path, (int)getpid());
	int fd, rc = -1;

	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_errno(e, "%s", temporary);
		free(temporary);
		return -1;
	}
	if (fs_write_all(fd, text.p, text.n) < 0 ||
	    ((st->st_uid != geteuid() || st->st_gid != getegid()) &&
	    fchown(fd, st->st_uid, st->st_gid) < 0) ||
	    fchmod(fd, st->st_mode & 07777) < 0 || fsync(fd) < 0 ||
	    rename(temporary, path) < 0 || sync_directory(path) < 0)
		err_errno(e, "%s", path);
	else
		rc = 0;
	if (rc < 0)
		unlink(temporary);
	close(fd);
	free(temporary);
	return rc;
}

int
ctl_login_store(const char *path, const char *name, const char *hash,
    const char *account, struct err *e)
{
	struct strbuf old = STRBUF_INIT, new = STRBUF_INIT;
	char *real = realpath(path, NULL);
	struct stat st;
	int fd, rc = -1;

	if (real == NULL)
		return err_errno(e, "%s", path);
	fd = open_locked(real, &st, e);
	if (fd >= 0 && fs_read_file(real, SIZE_MAX_FILE, &old, e) == 0) {
		rewrite(strbuf_slice(&old), name, hash, account, &new);
		rc = replace(real, &st, strbuf_slice(&new), e);
	}
	if (fd >= 0)
		close(fd);
	free(real);
	strbuf_free(&old);
	strbuf_free(&new);
	return rc;
}

/*
 * local maildir PATH: one message into a maildir, made where it is missing.
 * 0 once it is on disk (file and directory synced); 73 cannot create, 74 I/O,
 * 75 temporary.  It is kept with LF line ends, as every reader of a maildir
 * expects.
 */
#include "tools/local.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static int
fail(int status, const char *what, const char *path)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
	/* A full disk or quota is over some day. */
	return errno == ENOSPC || errno == EDQUOT ? EX_TEMPFAIL : status;
}

/* A directory of a maildir, made where it is missing. */
static int
make_dir(const char *path, bool *made)
{
	if (mkdir(path, 0700) == 0)
		*made = true;
	else if (errno != EEXIST)
		return -1;
	return 0;
}

/* CRLF becomes LF; *cr: a CR ended the block before. */
static int
copy_block(FILE *out, const char *p, size_t n, int *cr)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (*cr && p[i] != '\n' && putc('\r', out) == EOF)
			return -1;
		*cr = p[i] == '\r';
		if (!*cr && putc(p[i], out) == EOF)
			return -1;
	}
	return 0;
}

static int
copy_message(int in, FILE *out)
{
	char block[65536];
	int cr = 0;
	ssize_t n;

	while ((n = read(in, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || copy_block(out, block, (size_t)n, &cr) < 0)
			return -1;
	}
	if (cr && putc('\r', out) == EOF)
		return -1;
	return fflush(out) == 0 && fsync(fileno(out)) == 0 ? 0 : -1;
}

static int
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* tmp/NAME is written and synced, then moved to new/NAME, which is synced. */
static int
deliver(const char *dir, const char *name)
{
	char tmp[4096], new_dir[4096], final[4200];
	FILE *f;
	int fd, status;

	snprintf(tmp, sizeof(tmp), "%s/tmp/%s", dir, name);
	snprintf(new_dir, sizeof(new_dir), "%s/new", dir);
	snprintf(final, sizeof(final), "%s/%s", new_dir, name);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL)
		return fail(EX_CANTCREAT, "create", tmp);
	if (copy_message(STDIN_FILENO, f) < 0) {
		status = fail(EX_IOERR, "write", tmp);
		fclose(f);
		unlink(tmp);
		return status;
	}
	fclose(f);
	if (rename(tmp, final) < 0) {
		status = fail(EX_CANTCREAT, "rename to", final);
		unlink(tmp);
		return status;
	}
	if (sync_dir(new_dir) < 0)
		return fail(EX_IOERR, "sync", new_dir);
	return 0;
}

/* A maildir that was just made is to be there after a power cut too.  What it
 * stands in may be another's and closed to us: that is as good as it gets. */
static int
sync_made(const char *dir)
{
	char parent[4096];
	const char *slash = strrchr(dir, '/');

	snprintf(parent, sizeof(parent), "%s/..", dir);
	if (slash != NULL && slash != dir && slash[1] != '\0')
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - dir),
		    dir);
	(void)sync_dir(parent);
	return sync_dir(dir);
}

int
local_maildir(const char *dir)
{
	static const char *const subs[] = { "", "/tmp", "/new", "/cur" };
	char path[4000], host[256], name[512], *p;
	struct timespec now;
	bool made = false;
	size_t i;

	if (strlen(dir) >= sizeof(path) - 8) {
		errno = ENAMETOOLONG;
		return fail(EX_CANTCREAT, "maildir", dir);
	}
	for (i = 0; i < sizeof(subs) / sizeof(subs[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", dir, subs[i]);
		if (make_dir(path, &made) < 0)
			return fail(EX_CANTCREAT, "mkdir", path);
	}
	if (made && sync_made(dir) < 0)
		return fail(EX_IOERR, "sync", dir);
	if (gethostname(host, sizeof(host)) < 0)
		strcpy(host, "localhost");
	host[sizeof(host) - 1] = 0;
	for (p = host; *p != 0; p++) {
		if (*p == '/' || *p == ':')
			*p = '_';
	}
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof(name), "%lld.M%ldP%ld.%s",
	    (long long)now.tv_sec, now.tv_nsec / 1000, (long)getpid(), host);
	return deliver(dir, name);
}

/* Files of large bodies: SPOOL/xx/ID.  Used by queue's loop (open, make), its
 * sync helpers (link, unlink) and relayctl (open).
 *
 * xx is taken from the middle of the id, which begins with the time: bodies
 * that come together share a directory, and with it one sync.  A file is
 * written without a name and linked when it is whole; where the file system
 * cannot do that it has a temporary name in SPOOL/queue.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/rand.h"
#include "store/internal.h"
#include "store/spool.h"

#define TMP_PREFIX "queue/tmp-"
#define READ_STEP (256u * 1024)

void
spool_name(uint64_t id, char dir[3], char name[NUM_ID_LEN + 1])
{
	snprintf(dir, 3, "%02x", (unsigned)(id >> 32 & 0xff));
	num_id_text(id, name);
}

static void
spool_path(uint64_t id, char path[SPOOL_PATH])
{
	char dir[3], name[NUM_ID_LEN + 1];

	spool_name(id, dir, name);
	snprintf(path, SPOOL_PATH, "%s/%s", dir, name);
}

static int
open_dir(struct store *s, uint64_t id, struct err *e)
{
	char dir[3], name[NUM_ID_LEN + 1];
	int fd;

	spool_name(id, dir, name);
	fd = openat(s->spool_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if ((mkdirat(s->spool_fd, dir, 0700) < 0 &&
		    errno != EEXIST) || fsync(s->spool_fd) < 0)
			return err_errno(e, "%s/%s", s->spool, dir);
		fd = openat(s->spool_fd, dir,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return err_errno(e, "%s/%s", s->spool, dir);
	return fd;
}

/* One helper at a time: nobody uses a directory that the other has made but
 * not yet synced. */
int
spool_dir(struct store *s, uint64_t id, struct err *e)
{
	int fd;

	pthread_mutex_lock(&s->dir_lock);
	fd = open_dir(s, id, e);
	pthread_mutex_unlock(&s->dir_lock);
	return fd;
}

/* ---- new files ---- */

static int
named_file(struct store *s, struct err *e)
{
	char path[64];
	int fd;

	do {
		snprintf(path, sizeof(path), TMP_PREFIX "%016" PRIx64,
		    rand_u64());
		fd = openat(s->spool_fd, path,
		    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0)
		return err_errno(e, "%s/%s", s->spool, path);
	return fd;
}

int
store_body_file(struct store *s, struct err *e)
{
	int fd;

	if (s->read_only)
		return err_set(e, EROFS, "the queue is open for reading");
	fd = openat(s->spool_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
		return named_file(s, e);
	return err_errno(e, "%s: new file", s->spool);
}

/* What its last holder left when it was killed. */
void
spool_clear_tmp(struct store *s)
{
	const char *base = strchr(TMP_PREFIX, '/') + 1;
	struct dirent *d;
	DIR *dir;
	int fd;

	fd = openat(s->spool_fd, "queue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL)
		if (strncmp(d->d_name, base, strlen(base)) == 0)
			(void)unlinkat(fd, d->d_name, 0);
	closedir(dir);
}

static int
check_crc(const struct body_file *f, struct err *e)
{
	char *buf = mem_alloc(READ_STEP);
	uint64_t at = 0;
	uint32_t crc = 0;
	ssize_t n;

	while ((n = pread(f->fd, buf, READ_STEP, (off_t)at)) > 0 ||
	    (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		crc = crc32c(crc, buf, (size_t)n);
		at += (uint64_t)n;
	}
	free(buf);
	if (n < 0)
		return err_errno(e, "reading a new body");
	if (at != f->size)
		return err_set(e, EILSEQ, "a new body has %llu octets of "
		    "%llu", (unsigned long long)at,
		    (unsigned long long)f->size);
	if (crc != f->crc)
		return err_set(e, EILSEQ, "a new body is damaged");
	return 0;
}

int
spool_check(const struct body_file *f, struct err *e)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return err_errno(e, "a new body");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->size)
		return err_set(e, EILSEQ, "a new body has %llu octets of "
		    "%llu", (unsigned long long)st.st_size,
		    (unsigned long long)f->size);
	return check_crc(f, e);
}

/* Gives the name to a file that has a temporary one. */
static int
link_named(struct store *s, const char *proc, const char *path)
{
	const char *tmp = strchr(TMP_PREFIX, '/') + 1, *base;
	char target[4096], from[300];
	ssize_t n;

	n = readlink(proc, target, sizeof(target) - 1);
	if (n < 0)
		return -1;
	target[n] = '\0';
	base = strrchr(target, '/');
	if (base == NULL || strncmp(base + 1, tmp, strlen(tmp)) != 0) {
		errno = EINVAL;
		return -1;
	}
	snprintf(from, sizeof(from), "queue/%.255s", base + 1);
	if (linkat(s->spool_fd, from, s->spool_fd, path, 0) < 0)
		return -1;
	return unlinkat(s->spool_fd, from, 0);
}

int
spool_link(struct store *s, struct body_file *f, struct err *e)
{
	char path[SPOOL_PATH], proc[40];
	struct stat st;
	int rc;

	spool_path(f->id, path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", f->fd);
	if (fstat(f->fd, &st) == 0 && st.st_nlink != 0)
		rc = link_named(s, proc, path);
	else
		rc = linkat(AT_FDCWD, proc, s->spool_fd, path,
		    AT_SYMLINK_FOLLOW);
	if (rc < 0)
		return err_errno(e, "%s/%s", s->spool, path);
	f->linked = true;
	return 0;
}

/* ---- files that are there ---- */

int
spool_open(struct store *s, uint64_t id, struct err *e)
{
	char path[SPOOL_PATH];
	int fd;

	spool_path(id, path);
	fd = openat(s->spool_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s/%s", s->spool, path);
	return fd;
}

void
spool_unlink(struct store *s, uint64_t id)
{
	char path[SPOOL_PATH];

	spool_path(id, path);
	(void)unlinkat(s->spool_fd, path, 0);
}

/* Preloaded into the daemon: writes down, in the order in which they happen,
 * what queue and listener change below a directory, what they sync, and each
 * "250 ... queued as ID" that listener sends.  The rest of the daemon's
 * processes go through untouched.
 *
 *	WRITELOG=FILE	where to (appended; it must be there and writable)
 *	WRITELOG_UNDER=DIRECTORY
 *
 * A change is noted when its call has returned, a sync both before it begins
 * and after it has ended: what is on the disk for sure at its end is what was
 * noted before its beginning.  A 250 is noted before it leaves.
 *
 * Record: struct head, then n1 octets of name, then n2 octets of data.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PARTS 1024

struct head {
	char op;		/* T O: new file, W t: written, truncated,
				 * Y: written and synced, S s: sync begins and
				 * ends, L U R M: link, unlink, rename, mkdir,
				 * A: 250 */
	char pad[3];
	uint32_t n1;
	uint64_t thread;
	uint64_t ino;
	uint64_t at;		/* offset, or size */
	uint64_t n2;
};

static int log_fd = -1;
static char under[PATH_MAX];
static size_t under_n;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void __attribute__((constructor))
begin(void)
{
	const char *file = getenv("WRITELOG"), *dir = getenv("WRITELOG_UNDER");
	const char *name = program_invocation_short_name;
	int fd;

	if (file == NULL || dir == NULL ||
	    (strcmp(name, "queue") != 0 && strcmp(name, "listener") != 0))
		return;
	under_n = (size_t)snprintf(under, sizeof(under), "%s", dir);
	fd = REAL(open)(file, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		abort();	/* a log that misses a process proves nothing */
	log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
	close(fd);
}

static void
note(char op, uint64_t ino, uint64_t at, const char *name,
    const struct iovec *v, int n, size_t octets)
{
	struct head h = { .op = op, .thread = (uint64_t)gettid(),
	    .ino = ino, .at = at, .n2 = octets };
	struct iovec out[PARTS + 2];
	size_t left = octets;
	int i, k = 2;

	h.n1 = name != NULL ? (uint32_t)strlen(name) : 0;
	out[0] = (struct iovec){ &h, sizeof(h) };
	out[1] = (struct iovec){ (void *)(uintptr_t)name, h.n1 };
	for (i = 0; i < n && left > 0; i++, k++) {
		if (k == PARTS + 2)
			abort();
		out[k] = v[i];
		if (out[k].iov_len > left)
			out[k].iov_len = left;
		left -= out[k].iov_len;
	}
	if (REAL(writev)(log_fd, out, k) !=
	    (ssize_t)(sizeof(h) + h.n1 + octets))
		abort();
}

/* ---- which file ---- */

static int
below(const char *path)
{
	return strncmp(path, under, under_n) == 0 &&
	    (path[under_n] == '/' || path[under_n] == 0);
}

/* The name of a descriptor; 0: not of ours. */
static int
fd_path(int fd, char path[PATH_MAX], struct stat *st)
{
	char proc[40];
	ssize_t n;

	if (log_fd < 0 || fd < 0 || fd == log_fd || fstat(fd, st) < 0 ||
	    (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)))
		return 0;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = 0;
	return below(path);
}

/* A whole name; 0: not of ours. */
static int
at_path(int dir, const char *name, char path[PATH_MAX])
{
	struct stat st;
	size_t n;

	if (log_fd < 0)
		return 0;
	if (name[0] == '/') {
		snprintf(path, PATH_MAX, "%s", name);
		return below(path);
	}
	if (dir == AT_FDCWD || !fd_path(dir, path, &st))
		return 0;
	n = strlen(path);
	snprintf(path + n, PATH_MAX - n, "/%s", name);
	return 1;
}

/* ---- contents ---- */

static void
wrote(int fd, const struct iovec *v, int n, ssize_t done, off_t at)
{
	char path[PATH_MAX];
	struct stat st;
	int saved = errno;

	if (done > 0 && fd_path(fd, path, &st)) {
		if (at < 0)
			at = lseek(fd, 0, SEEK_CUR) - done;
		note(fcntl(fd, F_GETFL) & O_DSYNC ? 'Y' : 'W', st.st_ino,
		    (uint64_t)at, path, v, n, (size_t)done);
	}
	errno = saved;
}

/* A reply to a client, maybe. */
static void
says(const void *p, size_t n)
{
	static const char text[] = "queued as ";
	const char *q = p, *end = q + n;

	if (log_fd < 0 || program_invocation_short_name[0] != 'l')
		return;
	while ((q = memmem(q, (size_t)(end - q), text, sizeof(text) - 1)) !=
	    NULL) {
		char id[14] = "";

		q += sizeof(text) - 1;
		if (end - q < 13)
			break;
		memcpy(id, q, 13);
		note('A', 0, 0, id, NULL, 0, 0);
	}
}

static int
is_socket(int fd)
{
	struct stat st;

	return log_fd >= 0 && fd > 2 && fstat(fd, &st) == 0 &&
	    S_ISSOCK(st.st_mode);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	struct iovec v = { (void *)(uintptr_t)p, n };
	ssize_t done;

	if (is_socket(fd))
		says(p, n);
	done = REAL(write)(fd, p, n);
	if (fd > 2)
		wrote(fd, &v, 1, done, -1);
	return done;
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	ssize_t done;
	int i;

	if (is_socket(fd))
		for (i = 0; i < n; i++)
			says(v[i].iov_base, v[i].iov_len);
	done = REAL(writev)(fd, v, n);
	if (fd > 2)
		wrote(fd, v, n, done, -1);
	return done;
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	says(p, n);
	return REAL(send)(fd, p, n, flags);
}

ssize_t
sendto(int fd, const void *p, size_t n, int flags,
    const struct sockaddr *to, socklen_t to_n)
{
	says(p, n);
	return REAL(sendto)(fd, p, n, flags, to, to_n);
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t i;

	for (i = 0; i < m->msg_iovlen; i++)
		says(m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
	return REAL(sendmsg)(fd, m, flags);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	struct iovec v = { (void *)(uintptr_t)p, n };
	ssize_t done = REAL(pwrite)(fd, p, n, at);

	wrote(fd, &v, 1, done, at);
	return done;
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

ssize_t
pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	ssize_t done = REAL(pwritev)(fd, v, n, at);

	wrote(fd, v, n, done, at);
	return done;
}

ssize_t
pwritev64(int fd, const struct iovec *v, int n, off_t at)
{
	return pwritev(fd, v, n, at);
}

int
ftruncate(int fd, off_t size)
{
	int rc = REAL(ftruncate)(fd, size), saved = errno;
	char path[PATH_MAX];
	struct stat st;

	if (rc == 0 && fd_path(fd, path, &st))
		note('t', st.st_ino, (uint64_t)size, path, NULL, 0, 0);
	errno = saved;
	return rc;
}

int
ftruncate64(int fd, off_t size)
{
	return ftruncate(fd, size);
}

/* ---- syncs ---- */

static int
sync_noted(int fd, int (*real)(int))
{
	char path[PATH_MAX];
	struct stat st;
	int ours = fd_path(fd, path, &st), rc, saved;

	if (ours)
		note('S', st.st_ino, 0, path, NULL, 0, 0);
	rc = real(fd);
	saved = errno;
	if (ours && rc == 0)
		note('s', st.st_ino, 0, path, NULL, 0, 0);
	errno = saved;
	return rc;
}

int
fsync(int fd)
{
	return sync_noted(fd, REAL(fsync));
}

int
fdatasync(int fd)
{
	return sync_noted(fd, REAL(fdatasync));
}

/* ---- names ---- */

static void
opened(int fd, int dir, const char *name, int flags)
{
	char path[PATH_MAX];
	struct stat st;
	int saved = errno;

	if (fd >= 0 && at_path(dir, name, path) && fstat(fd, &st) == 0) {
		if ((flags & O_TMPFILE) == O_TMPFILE)
			note('T', st.st_ino, 0, path, NULL, 0, 0);
		else if (flags & O_CREAT)
			note('O', st.st_ino, (uint64_t)st.st_size, path, NULL,
			    0, 0);
	}
	errno = saved;
}

#define MODE_OF(flags) \
	mode_t mode = 0; \
	if ((flags) & (O_CREAT | O_TMPFILE)) { \
		va_list ap; \
		va_start(ap, flags); \
		mode = va_arg(ap, mode_t); \
		va_end(ap); \
	}

int
open(const char *name, int flags, ...)
{
	MODE_OF(flags)
	int fd = REAL(open)(name, flags, mode);

	opened(fd, AT_FDCWD, name, flags);
	return fd;
}

int
open64(const char *name, int flags, ...)
{
	MODE_OF(flags)
	return open(name, flags, mode);
}

int
openat(int dir, const char *name, int flags, ...)
{
	MODE_OF(flags)
	int fd = REAL(openat)(dir, name, flags, mode);

	opened(fd, dir, name, flags);
	return fd;
}

int
openat64(int dir, const char *name, int flags, ...)
{
	MODE_OF(flags)
	return openat(dir, name, flags, mode);
}

int
linkat(int from_dir, const char *from, int dir, const char *name, int flags)
{
	int rc = REAL(linkat)(from_dir, from, dir, name, flags);
	char path[PATH_MAX];
	struct stat st;
	int saved = errno;

	if (rc == 0 && at_path(dir, name, path) && lstat(path, &st) == 0)
		note('L', st.st_ino, 0, path, NULL, 0, 0);
	errno = saved;
	return rc;
}

int
unlinkat(int dir, const char *name, int flags)
{
	int rc = REAL(unlinkat)(dir, name, flags), saved = errno;
	char path[PATH_MAX];

	if (rc == 0 && at_path(dir, name, path))
		note('U', 0, 0, path, NULL, 0, 0);
	errno = saved;
	return rc;
}

int
unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int
rmdir(const char *name)
{
	return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int
renameat(int from_dir, const char *from, int dir, const char *name)
{
	int rc = REAL(renameat)(from_dir, from, dir, name), saved = errno;
	char path[PATH_MAX], old[PATH_MAX];
	struct iovec v = { old, 0 };
	struct stat st;

	if (rc == 0 && at_path(from_dir, from, old) &&
	    at_path(dir, name, path) && lstat(path, &st) == 0) {
		v.iov_len = strlen(old);
		note('R', st.st_ino, 0, path, &v, 1, v.iov_len);
	}
	errno = saved;
	return rc;
}

int
rename(const char *from, const char *name)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, name);
}

int
mkdirat(int dir, const char *name, mode_t mode)
{
	int rc = REAL(mkdirat)(dir, name, mode), saved = errno;
	char path[PATH_MAX];

	if (rc == 0 && at_path(dir, name, path))
		note('M', 0, 0, path, NULL, 0, 0);
	errno = saved;
	return rc;
}

int
mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

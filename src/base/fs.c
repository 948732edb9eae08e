/* Small file helpers, for monitor, queue and the tools.  On failure: -1 with
 * errno or an error text; nothing half done is hidden. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int
fs_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int
fs_pread_all(int fd, void *p, size_t n, off_t offset)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = pread(fd, at, n, offset);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		if (got == 0) {
			errno = EIO;
			return -1;
		}
		at += got;
		n -= (size_t)got;
		offset += got;
	}
	return 0;
}

int
fs_read_rest(int fd, const char *path, size_t max, struct strbuf *out,
    struct err *e)
{
	size_t total = 0;
	size_t before = out->n;

	for (;;) {
		char *to = strbuf_room(out, 16384);
		ssize_t got = read(fd, to, 16384);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err_errno(e, "cannot read %s", path);
			goto fail;
		}
		if (got == 0)
			break;
		total += (size_t)got;
		if (total > max) {
			err_set(e, EFBIG, "%s is larger than %zu octets",
			    path, max);
			goto fail;
		}
		out->n += (size_t)got;
	}
	out->p[out->n] = '\0';
	return 0;
fail:
	out->n = before;
	if (out->p != NULL)
		out->p[before] = '\0';
	return -1;
}

int
fs_read_file(const char *path, size_t max, struct strbuf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc;

	if (fd < 0)
		return err_errno(e, "cannot open %s", path);
	rc = fs_read_rest(fd, path, max, out, e);
	close(fd);
	return rc;
}

int
fs_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid,
    struct err *e)
{
	struct stat st;

	if (mkdir(path, mode & 0777) < 0) {
		if (errno != EEXIST)
			return err_errno(e, "cannot make the directory %s",
			    path);
		if (stat(path, &st) < 0)
			return err_errno(e, "cannot look at %s", path);
		if (!S_ISDIR(st.st_mode))
			return err_set(e, ENOTDIR, "%s is not a directory",
			    path);
		return 0;
	}
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) &&
	    chown(path, uid, gid) < 0)
		return err_errno(e, "cannot give %s to its user", path);
	/* After chown, which may clear bits; and umask took some of mkdir's. */
	if (chmod(path, mode) < 0)
		return err_errno(e, "cannot set the mode of %s", path);
	return 0;
}

static int
set_flag(int fd, int get, int set, int bit, int on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return -1;
	return fcntl(fd, set, on ? flags | bit : flags & ~bit) < 0 ? -1 : 0;
}

int
fs_set_cloexec(int fd, int on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int
fs_set_nonblock(int fd, int on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

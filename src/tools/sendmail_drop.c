/*
 * SPOOL/drop: where messages wait while the daemon is down.  A file is
 * written under a name that nobody takes, synced, and renamed to what the
 * daemon looks for: complete by its name and by its final dot.  Nobody else
 * can read it (0600), or list the directory (1733).
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "tools/sendmail.h"

static int
drop_failed(const char *path)
{
	int status = errno == ENOSPC || errno == EDQUOT ? EX_TEMPFAIL :
	    errno == EACCES || errno == EPERM || errno == ENOENT ?
	    EX_CANTCREAT : EX_IOERR;

	return sendmail_error(status, "smarthostd is not running, and the "
	    "message cannot be kept: %s: %s", path, strerror(errno));
}

int
sendmail_drop(const char *spool, const struct strbuf *batch)
{
	char *dir = mem_printf("%s/drop", spool), *tmp, *final;
	struct timespec now;
	int fd, dirfd, status = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	tmp = mem_printf("%s/.%lld.%09ld.%ld", dir, (long long)now.tv_sec,
	    now.tv_nsec, (long)getpid());
	final = mem_printf("%s/%lld.%09ld.%ld", dir, (long long)now.tv_sec,
	    now.tv_nsec, (long)getpid());
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd < 0) {
		status = drop_failed(tmp);
		goto out;
	}
	if (fs_write_all(fd, batch->p, batch->n) < 0 || fsync(fd) < 0 ||
	    rename(tmp, final) < 0) {
		status = drop_failed(tmp);
		(void)unlink(tmp);
	}
	close(fd);
	/* The directory may be written but not read by others: its sync
	 * needs a descriptor that only its owner and root get. */
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd >= 0) {
		(void)fsync(dirfd);
		close(dirfd);
	} else if (status == 0)
		sync();
out:
	free(dir);
	free(tmp);
	free(final);
	return status;
}

/*
 * Spool and runtime directory, made where they are missing, and the lock that
 * keeps a second daemon away.  Any failure ends the start with a text that
 * says what to do.
 */
#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "monitor/token.h"

/* The directory must be one, and its owner be able to work in it. */
static int
dir_usable(const char *path, uid_t uid, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s is not a directory", path);
	if (st.st_uid != uid)
		return err_set(e, EPERM, "%s belongs to uid %u, but queue "
		    "runs as uid %u: chown it, or set `user`", path,
		    (unsigned)st.st_uid, (unsigned)uid);
	return 0;
}

/* Like mkdir -p for what is above. */
static int
make_above(const char *path, struct err *e)
{
	char *copy = mem_strdup(path), *p;
	int rc = 0;

	for (p = copy + 1; rc == 0 && (p = strchr(p, '/')) != NULL; p++) {
		*p = 0;
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			rc = err_errno(e, "mkdir %s", copy);
		*p = '/';
	}
	free(copy);
	return rc;
}

int
dirs_make(struct monitor *m, struct err *e)
{
	const struct identity *q = &m->who[ROLE_QUEUE];
	const char *spool = m->conf->spool_directory;
	const char *run = m->conf->runtime_directory;
	uid_t uid = q->change ? q->uid : (uid_t)-1;
	gid_t gid = q->change ? q->gid : (gid_t)-1;
	char *drop;
	int rc;

	if (make_above(spool, e) < 0 || make_above(run, e) < 0 ||
	    fs_make_dir(spool, 0711, uid, gid, e) < 0 ||
	    fs_make_dir(run, 0755, (uid_t)-1, (gid_t)-1, e) < 0 ||
	    dir_usable(spool, q->uid, e) < 0)
		return -1;
	drop = mem_printf("%s/drop", spool);
	rc = fs_make_dir(drop, 01733, uid, gid, e);
	free(drop);
	return rc < 0 ? rc : token_dir_make(m, e);
}

int
dirs_lock(struct monitor *m, struct err *e)
{
	char *path = mem_printf("%s/smarthostd.pid",
	    m->conf->runtime_directory);
	char pid[32] = "";
	ssize_t n;
	int rc = -1;

	m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (m->lock_fd < 0) {
		err_errno(e, "%s", path);
		goto out;
	}
	if (flock(m->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(m->lock_fd, pid, sizeof(pid) - 1, 0);
		while (n > 0 && (pid[n - 1] < '0' || pid[n - 1] > '9'))
			pid[--n] = 0;
		err_set(e, EBUSY, "a smarthostd with pid %s runs already with "
		    "this runtime-directory (%s)", n > 0 ? pid : "unknown",
		    m->conf->runtime_directory);
		goto out;
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(m->lock_fd, 0) < 0 ||
	    pwrite(m->lock_fd, pid, (size_t)n, 0) != n) {
		err_errno(e, "write %s", path);
		goto out;
	}
	rc = 0;
out:
	free(path);
	return rc;
}

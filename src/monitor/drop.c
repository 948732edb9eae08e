/*
 * SPOOL/drop: messages of the sendmail shim that were written while the
 * daemon was down.  Each complete file (a name without a leading dot) that is
 * regular, has one link and is no symbolic link is copied into a memfd, and
 * libexec/local hands the copy to submit.sock as the file's owner; then the
 * file goes.  What is refused for good is kept as NAME.refused and told in
 * the log; what fails for now is tried again, and holds up nothing but the
 * files of the same user.
 */
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "monitor/run_command.h"

#define RESCAN 60000		/* ms; also after a temporary failure */
#define SUBMIT_LIMIT 600000	/* ms */

struct drop {
	struct monitor *m;
	int dir;
	int notify;
	struct loop_fd watch;
	struct loop_timer rescan;
	struct run *run;		/* one at a time */
	char name[NAME_MAX + 1];	/* of the one that is handed over */
	struct stat st;
	uid_t *later;			/* whose files wait for the rescan */
	size_t n_later;
	ino_t *stuck;			/* done with, and still there */
	size_t n_stuck;
};

static void drop_scan(struct drop *d);

static bool
drop_waits(const struct drop *d, const struct stat *st)
{
	size_t i;

	for (i = 0; i < d->n_later; i++)
		if (d->later[i] == st->st_uid)
			return true;
	for (i = 0; i < d->n_stuck; i++)
		if (d->stuck[i] == st->st_ino)
			return true;
	return false;
}

/* Still the file that was copied. */
static bool
same_file(const struct drop *d)
{
	struct stat st;

	return fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == d->st.st_ino && st.st_dev == d->st.st_dev;
}

/* -1: it is still there, and would be taken again at once. */
static int
drop_aside(struct drop *d, const char *why)
{
	char aside[NAME_MAX + 1];

	/* The end of a long name is left out: the new one must fit too. */
	snprintf(aside, sizeof(aside), ".%.*s.refused", NAME_MAX - 9,
	    d->name);
	log_msg(LL_ERROR, "drop", "%s of uid %u is refused, and kept as %s: "
	    "%s", d->name, (unsigned)d->st.st_uid, aside, why);
	return same_file(d) ? renameat(d->dir, d->name, d->dir, aside) : 0;
}

static void
drop_done(void *arg, uint8_t status, const char *text)
{
	struct drop *d = arg;
	int rc = 0;

	d->run = NULL;
	if (status == 0)
		rc = same_file(d) ? unlinkat(d->dir, d->name, 0) : 0;
	else if (status == EX_TEMPFAIL)	/* other users may fare better */
		*(uid_t *)mem_push(&d->later, &d->n_later,
		    sizeof(*d->later)) = d->st.st_uid;
	else
		rc = drop_aside(d, text);
	if (rc < 0) {
		log_msg(LL_ERROR, "drop", "%s cannot be taken away: %s",
		    d->name, strerror(errno));
		*(ino_t *)mem_push(&d->stuck, &d->n_stuck,
		    sizeof(*d->stuck)) = d->st.st_ino;
	}
	drop_scan(d);
}

/* A copy that its owner cannot change any more; -1. */
static int
drop_copy(int from, off_t size)
{
	int to = memfd_create("drop", MFD_CLOEXEC);
	char block[65536];
	off_t done = 0;
	ssize_t n = 0;

	while (to >= 0 && done < size) {
		n = read(from, block, sizeof(block));
		if (n <= 0 || fs_write_all(to, block, (size_t)n) < 0)
			break;
		done += n;
	}
	if (to >= 0 && (done != size || lseek(to, 0, SEEK_SET) != 0)) {
		close(to);
		return -1;
	}
	return to;
}

/* 1: being handed over; 0: not to be taken. */
static int
drop_take(struct drop *d, const char *name)
{
	char *path = mem_printf("%s/submit.sock",
	    d->m->conf->runtime_directory);
	char *argv[] = { (char *)(uintptr_t)"local",
	    (char *)(uintptr_t)"submit", path, NULL };
	struct identity who = { .change = geteuid() == 0 };
	int fd, copy = -1;

	fd = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	if (fd < 0 || fstat(fd, &d->st) < 0 || !S_ISREG(d->st.st_mode) ||
	    d->st.st_nlink != 1 || d->st.st_size > (off_t)(2 *
	    d->m->conf->max_message_size + 1024 * 1024))
		goto out;
	/* Without root only our own messages can be handed over as whom they
	 * are from. */
	if ((!who.change && d->st.st_uid != geteuid()) ||
	    drop_waits(d, &d->st))
		goto out;
	who.uid = d->st.st_uid;
	who.gid = d->st.st_gid;
	copy = drop_copy(fd, d->st.st_size);
	if (copy < 0)
		goto out;
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->run = run_start(d->m, &who, argv, copy, SUBMIT_LIMIT, drop_done,
	    d);
out:
	if (fd >= 0)
		close(fd);
	if (copy >= 0)
		close(copy);
	free(path);
	return d->run != NULL;
}

static void
drop_scan(struct drop *d)
{
	struct dirent *f;
	DIR *dir;
	int fd;

	if (!loop_timer_running(&d->rescan))
		loop_timer_set(d->m->loop, &d->rescan, RESCAN);
	if (d->run != NULL || d->m->stopping)
		return;
	fd = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((f = readdir(dir)) != NULL) {
		if (f->d_name[0] != '.' && drop_take(d, f->d_name))
			break;
	}
	closedir(dir);
}

static void
drop_rescan(void *arg)
{
	struct drop *d = arg;

	free(d->later);
	d->later = NULL;
	d->n_later = 0;
	drop_scan(d);
}

static void
drop_changed(void *arg, unsigned what)
{
	struct drop *d = arg;
	char events[4096];

	(void)what;
	while (read(d->notify, events, sizeof(events)) > 0)
		;
	drop_scan(d);
}

void
drop_start(struct monitor *m)
{
	struct drop *d = mem_zalloc(sizeof(*d));
	char *path = mem_printf("%s/drop", m->conf->spool_directory);

	d->m = m;
	m->drop = d;
	loop_timer_init(&d->rescan, drop_rescan, d);
	d->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (d->notify >= 0) {
		(void)inotify_add_watch(d->notify, path, IN_MOVED_TO);
		loop_fd_init(m->loop, &d->watch, d->notify, drop_changed, d);
		loop_fd_want(&d->watch, LOOP_READ);
	}
	free(path);
	drop_scan(d);
}

void
drop_stop(struct monitor *m)
{
	struct drop *d = m->drop;

	if (d == NULL)
		return;
	m->drop = NULL;
	loop_timer_cancel(m->loop, &d->rescan);
	if (d->run != NULL)
		run_forget(d->run);
	if (d->notify >= 0) {
		loop_fd_del(&d->watch);
		close(d->notify);
	}
	if (d->dir >= 0)
		close(d->dir);
	free(d->later);
	free(d->stuck);
	free(d);
}

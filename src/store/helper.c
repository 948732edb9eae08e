/* The store's sync helpers, threads inside queue: make large bodies durable
 * before their change joins the writer's batch, and remove the files of
 * messages that are gone.  A helper takes several changes at once: every file
 * is checked and synced, then all are linked, then each directory is synced
 * once.  A change whose file fails goes back with the code; the others go on.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/spool.h"

#define UNLINK_BATCH 64u

static int
sync_file(struct body_file *f, struct err *e)
{
	if (spool_check(f, e) < 0)
		return -1;
	(void)FAULT("store.body.before_fsync");
	if (FAULT("store.body.fsync") != 0 || fsync(f->fd) < 0)
		return err_errno(e, "syncing a body");
	(void)FAULT("store.body.after_fsync");
	return 0;
}

static void
sync_files(struct store_change *c)
{
	struct err e;
	size_t i;

	for (i = 0; i < c->n_files && c->code == 0; i++)
		if (sync_file(&c->files[i], &e) < 0)
			change_fail(c, e.code > 0 ? e.code : EIO, "%.150s",
			    e.text);
}

/* The directories of one helper's batch, each open once. */
struct dirs {
	uint8_t open[SPOOL_DIRS];
	int fd[SPOOL_DIRS];
};

static void
link_files(struct store *s, struct store_change *c, struct dirs *d)
{
	struct err e;
	size_t i;

	for (i = 0; i < c->n_files && c->code == 0; i++) {
		struct body_file *f = &c->files[i];
		unsigned n = (unsigned)(f->id >> 32 & 0xff);

		if (!d->open[n]) {
			d->fd[n] = spool_dir(s, f->id, &e);
			d->open[n] = d->fd[n] >= 0;
		}
		if (d->fd[n] < 0 || spool_link(s, f, &e) < 0)
			change_fail(c, e.code > 0 ? e.code : EIO, "%.150s",
			    e.text);
	}
	(void)FAULT("store.body.after_link");
}

/* 0, or the errno of a directory that could not be synced: nothing of the
 * batch is safe then. */
static int
sync_dirs(struct dirs *d)
{
	int code = 0;
	unsigned n;

	for (n = 0; n < SPOOL_DIRS; n++) {
		if (!d->open[n])
			continue;
		if (fsync(d->fd[n]) < 0)
			code = errno;
		close(d->fd[n]);
	}
	(void)FAULT("store.body.after_dirsync");
	return code;
}

static void
sync_batch(struct store *s, struct change_list *list)
{
	struct change_list failed = STAILQ_HEAD_INITIALIZER(failed);
	struct dirs d;
	struct store_change *c;
	int code;

	memset(&d, 0, sizeof(d));
	STAILQ_FOREACH(c, list, link)
		sync_files(c);
	STAILQ_FOREACH(c, list, link)
		link_files(s, c, &d);
	code = sync_dirs(&d);
	pthread_mutex_lock(&s->lock);
	while ((c = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		if (code != 0)
			change_fail(c, code, "syncing a directory: %s",
			    strerror(code));
		if (c->code != 0)
			STAILQ_INSERT_TAIL(&failed, c, link);
		else
			writer_queue(s, c);
	}
	pthread_mutex_unlock(&s->lock);
	writer_finish(s, &failed);
}

/* Half of what waits: the other half is the other helper's. */
static void
take_some(struct store *s, struct change_list *list)
{
	struct store_change *c;
	size_t n = (s->n_syncing + 1) / SPOOL_HELPERS;

	if (n > HELPER_BATCH)
		n = HELPER_BATCH;
	for (n = n ? n : 1; n > 0; n--) {
		c = STAILQ_FIRST(&s->syncing);
		if (c == NULL)
			break;
		STAILQ_REMOVE_HEAD(&s->syncing, link);
		STAILQ_INSERT_TAIL(list, c, link);
		s->n_syncing--;
	}
}

static void
remove_some(struct store *s)
{
	uint64_t ids[UNLINK_BATCH];
	size_t i, n = s->n_gone < UNLINK_BATCH ? s->n_gone : UNLINK_BATCH;

	s->n_gone -= n;
	memcpy(ids, s->gone + s->n_gone, n * sizeof(ids[0]));
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < n; i++) {
		(void)FAULT("store.before_unlink");
		spool_unlink(s, ids[i]);
	}
	pthread_mutex_lock(&s->lock);
}

void *
helper_main(void *arg)
{
	struct store *s = arg;
	struct change_list list;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		if (!STAILQ_EMPTY(&s->syncing)) {
			STAILQ_INIT(&list);
			take_some(s, &list);
			pthread_mutex_unlock(&s->lock);
			sync_batch(s, &list);
			pthread_mutex_lock(&s->lock);
		} else if (s->n_gone != 0) {
			remove_some(s);
		} else if (s->stop_helpers) {
			break;
		} else {
			pthread_cond_wait(&s->helper_cond, &s->lock);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

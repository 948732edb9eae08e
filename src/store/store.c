/* Opening and closing the store, handing changes to its threads and taking
 * them back; on the loop of queue, or of relayctl (read-only, no threads).
 * An open that fails says what to do and leaves no thread behind.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/spool.h"

#define FREE_CACHE_MS 20	/* fast disks fill while it is old */

/* ---- threads ---- */

static int
start_threads(struct store *s, struct err *e)
{
	sigset_t all, old;
	unsigned i;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (i = 0; rc == 0 && i < SPOOL_HELPERS; i++) {
		rc = pthread_create(&s->helper[i], NULL, helper_main, s);
		s->n_threads += rc == 0;
	}
	if (rc == 0) {
		rc = pthread_create(&s->writer, NULL, writer_main, s);
		s->n_threads += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_set(e, rc, "starting a thread: %s", strerror(rc));
	return 0;
}

static void
stop_threads(struct store *s)
{
	unsigned i;

	pthread_mutex_lock(&s->lock);
	s->stop_helpers = true;
	pthread_cond_broadcast(&s->helper_cond);
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < SPOOL_HELPERS && i < s->n_threads; i++)
		pthread_join(s->helper[i], NULL);
	if (s->n_threads <= SPOOL_HELPERS)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop_writer = true;
	pthread_cond_signal(&s->writer_cond);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->writer, NULL);
}

/* ---- open and close ---- */

static void
init(struct store *s, const struct store_options *o)
{
	pthread_condattr_t attr;

	s->spool = mem_strdup(o->spool);
	s->spool_fd = -1;
	s->read_only = o->read_only;
	s->wake = o->wake;
	s->wake_arg = o->wake_arg;
	s->db.lock_fd = -1;
	s->db.page_fd = -1;
	s->db.memory_fd = o->memory_fd > 0 ? o->memory_fd : db_memory_fd();
	s->linking = htab_new();
	STAILQ_INIT(&s->pool);
	STAILQ_INIT(&s->syncing);
	STAILQ_INIT(&s->waiting);
	STAILQ_INIT(&s->done);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->dir_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->writer_cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&s->helper_cond, NULL);
	pthread_cond_init(&s->done_cond, NULL);
}

static int
open_spool(struct store *s, struct err *e)
{
	s->spool_fd = open(s->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->spool_fd >= 0)
		return 0;
	if (errno == ENOENT)
		return err_set(e, ENOENT, "the spool directory %s is "
		    "missing: make it, or set spool-directory", s->spool);
	if (errno == EACCES)
		return err_set(e, EACCES, "no permission for the spool "
		    "directory %s: run as its owner", s->spool);
	return err_errno(e, "the spool directory %s", s->spool);
}

static int
make_queue_dir(struct store *s, const char *dir, struct err *e)
{
	if (fs_make_dir(dir, 0700, (uid_t)-1, (gid_t)-1, e) < 0)
		return -1;
	if (fsync(s->spool_fd) < 0)
		return err_errno(e, "syncing %s", s->spool);
	return 0;
}

struct store *
store_open(const struct store_options *o, struct err *e)
{
	struct store *s = mem_zalloc(sizeof(*s));
	char *dir = mem_printf("%s/queue", o->spool);
	int rc;

	init(s, o);
	if (open_spool(s, e) < 0)
		goto fail;
	if (!o->read_only && make_queue_dir(s, dir, e) < 0)
		goto fail;
	if (db_open(&s->db, dir, o->read_only, o->map_size, e) < 0)
		goto fail;
	if (!o->read_only) {
		rc = due_counts_open(&s->db);
		if (rc != 0) {
			err_set(e, rc > 0 ? rc : EIO, "counting what is due "
			    "in %s: %s", dir, db_strerror(rc));
			goto fail;
		}
		spool_clear_tmp(s);
		if (start_threads(s, e) < 0)
			goto fail;
	}
	free(dir);
	return s;

fail:
	free(dir);
	store_close(&s);
	return NULL;
}

/* Runs all callbacks, those of changes that callbacks commit included. */
static void
drain(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	s->corked = false;
	pthread_cond_signal(&s->writer_cond);
	while (s->in_flight > 0) {
		while (STAILQ_EMPTY(&s->done))
			pthread_cond_wait(&s->done_cond, &s->lock);
		pthread_mutex_unlock(&s->lock);
		store_complete(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;
	struct store_change *c;

	if (s == NULL)
		return;
	*sp = NULL;
	drain(s);
	stop_threads(s);
	while (s->n_gone > 0)
		spool_unlink(s, s->gone[--s->n_gone]);
	free(s->gone);
	if (s->db.env != NULL)
		db_close(&s->db);
	else if (s->db.memory_fd >= 0)
		close(s->db.memory_fd);
	if (s->sweep.stream != NULL)
		closedir(s->sweep.stream);
	if (s->spool_fd >= 0)
		close(s->spool_fd);
	while ((c = STAILQ_FIRST(&s->pool)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->pool, link);
		strbuf_free(&c->ops);
		free(c);
	}
	htab_free(&s->linking);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->dir_lock);
	pthread_cond_destroy(&s->writer_cond);
	pthread_cond_destroy(&s->helper_cond);
	pthread_cond_destroy(&s->done_cond);
	free(s->spool);
	free(s);
}

/* ---- changes ---- */

/* Back at once, but never from inside store_commit. */
static void
refuse(struct store *s, struct store_change *c)
{
	struct change_list list = STAILQ_HEAD_INITIALIZER(list);

	STAILQ_INSERT_TAIL(&list, c, link);
	writer_finish(s, &list);
}

void
store_commit(struct store *s, struct store_change **cp, bool lazy,
    store_done *done, void *arg)
{
	struct store_change *c = *cp;

	*cp = NULL;
	c->lazy = lazy;
	c->done = done;
	c->arg = arg;
	s->in_flight++;
	if (s->read_only)
		change_fail(c, EROFS, "the queue is open for reading");
	if (c->code != 0) {
		refuse(s, c);
		return;
	}
	pthread_mutex_lock(&s->lock);
	if (c->n_files != 0) {
		STAILQ_INSERT_TAIL(&s->syncing, c, link);
		s->n_syncing++;
		pthread_cond_signal(&s->helper_cond);
	} else {
		writer_queue(s, c);
	}
	pthread_mutex_unlock(&s->lock);
}

void
store_cork(struct store *s, bool on)
{
	bool wake;

	pthread_mutex_lock(&s->lock);
	s->corked = on;
	wake = !on && s->writer_idle && (s->n_urgent > 0 ||
	    (!STAILQ_EMPTY(&s->waiting) && !s->writer_looks));
	if (wake)
		s->writer_idle = false;
	pthread_mutex_unlock(&s->lock);
	/* Not before: it would wake only to wait for the lock. */
	if (wake)
		pthread_cond_signal(&s->writer_cond);
}

void
store_complete(struct store *s)
{
	struct change_list list = STAILQ_HEAD_INITIALIZER(list);
	struct store_change *c;

	pthread_mutex_lock(&s->lock);
	STAILQ_CONCAT(&list, &s->done);
	pthread_mutex_unlock(&s->lock);
	while ((c = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, link);
		s->in_flight--;
		if (c->done != NULL)
			c->done(c->arg, c->code, c->text);
		change_release(c);
	}
}

size_t
store_in_flight(const struct store *s)
{
	return s->in_flight;
}

bool
store_dead(const struct store *s)
{
	return s->db.dead;
}

void
store_on_progress(struct store *s, void (*progress)(void *arg, uint64_t done),
    void *arg)
{
	s->progress = progress;
	s->progress_arg = arg;
}

void
store_tell_progress(struct store *s, uint64_t done)
{
	if (s->progress != NULL)
		s->progress(s->progress_arg, done);
}

int
store_memory_fd(void)
{
	return db_memory_fd();
}

uint64_t
store_free_octets(struct store *s, uint64_t *size)
{
	uint64_t now = clock_mono_ms();
	struct statvfs vfs;

	if (s->free_at == 0 || now - s->free_at >= FREE_CACHE_MS) {
		if (fstatvfs(s->spool_fd, &vfs) == 0) {
			s->free_octets = (uint64_t)vfs.f_bavail *
			    vfs.f_frsize;
			s->total_octets = (uint64_t)vfs.f_blocks *
			    vfs.f_frsize;
		}
		s->db_free_octets = db_free_octets(&s->db);
		s->free_at = now ? now : 1;
	}
	if (size != NULL)
		*size = s->total_octets;
	return s->free_octets + s->db_free_octets;
}

uint64_t
store_free_for_files(struct store *s)
{
	(void)store_free_octets(s, NULL);
	return s->free_octets;
}

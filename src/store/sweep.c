/* House keeping in bounded steps on queue's loop: body files that no record
 * names, and history that is too old or too much.  A file is removed only
 * when it is older than a minute (by the time of its last link, which nobody
 * can set) and no change is on its way that names it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/spool.h"
#include "store/value.h"

#define STEP_FILES 64u
#define STEP_DIRS 16u
#define TRIM_COUNT 1000u

bool
spool_is_orphan(struct store *s, int dir_fd, const char *file, unsigned dir,
    uint64_t min_age_ms, uint64_t *id)
{
	uint64_t now = clock_real_ms(), changed;
	struct stat st;

	if (!num_id_parse(slice_cstr(file), id) ||
	    (*id >> 32 & 0xff) != dir ||
	    htab_get_u64(s->linking, *id) != NULL)
		return false;
	if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	changed = (uint64_t)st.st_ctim.tv_sec * 1000 +
	    (uint64_t)st.st_ctim.tv_nsec / 1000000;
	if (now < changed || now - changed < min_age_ms)
		return false;
	return !store_knows(s, *id);
}

DIR *
spool_dir_stream(struct store *s, unsigned dir)
{
	char name[3], file[NUM_ID_LEN + 1];
	DIR *d;
	int fd;

	spool_name((uint64_t)dir << 32, name, file);
	fd = openat(s->spool_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	d = fdopendir(fd);
	if (d == NULL)
		close(fd);
	return d;
}

/* ---- files ---- */

static void
sweep_dir(struct store *s, unsigned *budget)
{
	struct dirent *d;
	uint64_t id;

	while (*budget > 0) {
		d = readdir(s->sweep.stream);
		if (d == NULL) {
			closedir(s->sweep.stream);
			s->sweep.stream = NULL;
			return;
		}
		(*budget)--;
		if (!spool_is_orphan(s, dirfd(s->sweep.stream), d->d_name,
		    s->sweep.dir, SPOOL_ORPHAN_MS, &id))
			continue;
		pthread_mutex_lock(&s->lock);
		*(uint64_t *)mem_push(&s->gone, &s->n_gone,
		    sizeof(uint64_t)) = id;
		pthread_cond_signal(&s->helper_cond);
		pthread_mutex_unlock(&s->lock);
	}
}

static bool
sweep_files(struct store *s)
{
	unsigned files = STEP_FILES, dirs = STEP_DIRS;

	while (files > 0 && dirs > 0) {
		if (s->sweep.stream == NULL)
			s->sweep.stream = spool_dir_stream(s, s->sweep.dir);
		if (s->sweep.stream != NULL)
			sweep_dir(s, &files);
		if (s->sweep.stream != NULL)
			continue;
		dirs--;
		if (++s->sweep.dir == SPOOL_DIRS) {
			s->sweep.dir = 0;
			return false;
		}
	}
	return true;
}

/* ---- history ---- */

static void
trimmed(void *arg, int code, const char *text)
{
	struct store *s = arg;

	(void)code;
	(void)text;
	s->sweep.trimming = false;
}

static void
add_del(struct store_change *c, struct slice key)
{
	const unsigned char *k = (const unsigned char *)key.p;

	change_del_history(c, get_be64(k), get_be64(k + 8));
}

static size_t
collect_old(struct store *s, struct store_change *ch, uint64_t before)
{
	uint64_t count = db_entries(&s->db, T_HISTORY);
	uint64_t over = count > STORE_HISTORY_MAX ?
	    count - STORE_HISTORY_MAX : 0;
	struct db_cursor c;
	struct db_txn t;
	size_t n = 0;
	bool there;

	if (count == 0 || db_read_begin(&s->db, &t) != 0)
		return 0;
	for (there = db_seek(&c, &t, T_HISTORY, slice_of(NULL, 0), false);
	    there && n < TRIM_COUNT && c.key.n == KEY_HISTORY;
	    there = db_step(&c), n++) {
		if (n >= over &&
		    get_be64((const unsigned char *)c.key.p) >= before)
			break;
		add_del(ch, c.key);
	}
	db_cursor_end(&c);
	db_read_end(&t);
	return n;
}

static bool
trim_history(struct store *s, uint64_t before)
{
	struct store_change *c;
	size_t n;

	if (s->sweep.trimming)
		return true;
	c = store_change_new(s);
	n = collect_old(s, c, before);
	if (n == 0) {
		store_change_drop(&c);
		return false;
	}
	s->sweep.trimming = true;
	store_commit(s, &c, true, trimmed, s);
	return n == TRIM_COUNT;
}

bool
store_sweep(struct store *s, uint64_t history_before)
{
	bool more;

	if (s->read_only)
		return false;
	more = sweep_files(s);
	return trim_history(s, history_before) || more;
}

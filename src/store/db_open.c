/* Opens the environment in SPOOL/queue: once for writing (queue, under a lock
 * file that keeps a second daemon out) or read-only (relayctl).  Fails with a
 * text that says what to do, and leaves everything as it was then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/db.h"
#include "store/db_create.h"
#include "store/value.h"

#define MAP_SIZE ((uint64_t)64 << 30)
#define MAP_MIN ((size_t)128 << 20)
#define MAX_READERS 126

const char *const db_table_name[DB_TABLES] = {
	"message", "body", "due", "lane", "history", "quarantine", "meta"
};

/* Address space costs nothing, but a limit on it must leave room for the
 * rest of the process. */
static size_t
good_map_size(void)
{
	struct rlimit rl;
	uint64_t size = MAP_SIZE;

	if (sizeof(size_t) < 8)
		size = 512u << 20;
	if (getrlimit(RLIMIT_AS, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY &&
	    rl.rlim_cur / 2 < size)
		size = rl.rlim_cur / 2;
	if (size < MAP_MIN)
		size = MAP_MIN;
	return (size_t)(size & ~(uint64_t)0xffff);
}

/* ---- one daemon on a spool ---- */

static int
lock_busy(int fd, const char *dir, struct err *e)
{
	char pid[24];
	ssize_t n;

	n = pread(fd, pid, sizeof(pid) - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return err_set(e, EBUSY, "another smarthostd (pid %s) works on %s: "
	    "stop it, or set another spool-directory",
	    pid[0] ? pid : "unknown", dir);
}

static int
lock_take(struct db *db, const char *dir, struct err *e)
{
	char *path = mem_printf("%s/lock", dir), text[24];
	int n;

	db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (db->lock_fd < 0) {
		err_errno(e, "%s", path);
		free(path);
		return -1;
	}
	free(path);
	if (flock(db->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return lock_busy(db->lock_fd, dir, e);
		return err_errno(e, "%s/lock", dir);
	}
	/* Only for the message above: no harm when there is no room. */
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(db->lock_fd, 0) < 0 ||
	    pwrite(db->lock_fd, text, (size_t)n, 0) < 0)
		errno = 0;
	return 0;
}

/* ---- the environment ---- */

static int
env_failed(const char *dir, bool read_only, int rc, struct err *e)
{
	if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
		return err_set(e, EILSEQ, "%s/data.mdb is damaged or not a "
		    "queue: restore it, or move it away to begin an empty "
		    "queue", dir);
	if (rc == ENOENT && read_only)
		return err_set(e, ENOENT, "there is no queue in %s: check "
		    "spool-directory", dir);
	if (rc == EACCES || rc == EPERM)
		return err_set(e, EACCES, "no permission for the files in "
		    "%s: run as their owner", dir);
	if (rc == ENOSPC)
		return err_set(e, ENOSPC, "no room on the disk of %s", dir);
	return err_set(e, rc > 0 ? rc : EIO, "cannot open the queue in %s: "
	    "%s", dir, mdb_strerror(rc));
}

int
db_env_open(struct db *db, const char *dir, bool read_only, size_t map_size,
    struct err *e)
{
	size_t size = map_size ? map_size : good_map_size();
	unsigned flags = MDB_NOTLS | (read_only ? MDB_RDONLY : 0u);
	MDB_envinfo info;
	int rc;

	for (;; size /= 2) {
		rc = mdb_env_create(&db->env);
		if (rc != 0) {
			db->env = NULL;
			return env_failed(dir, read_only, rc, e);
		}
		mdb_env_set_maxdbs(db->env, DB_TABLES + 1);
		mdb_env_set_maxreaders(db->env, MAX_READERS);
		rc = mdb_env_set_mapsize(db->env, size);
		if (rc == 0)
			rc = mdb_env_open(db->env, dir, flags, 0600);
		if (rc == 0)
			break;
		mdb_env_close(db->env);
		db->env = NULL;
		/* no such stretch of addresses; emulators say EINVAL */
		if ((rc != ENOMEM && rc != EINVAL) || size / 2 < MAP_MIN)
			return env_failed(dir, read_only, rc, e);
	}
	/* LMDB takes more where the pages in use need it. */
	db->map_size = mdb_env_info(db->env, &info) == 0 ?
	    info.me_mapsize : size;
	db->read_only = read_only;
	return 0;
}

static int
check_schema(struct db *db, MDB_txn *txn, const char *dir, struct err *e)
{
	MDB_val k = { 6, "schema" }, v;
	uint32_t schema;
	int rc;

	rc = mdb_get(txn, db->table[T_META], &k, &v);
	if (rc == MDB_NOTFOUND || (rc == 0 && v.mv_size != 4))
		return err_set(e, EILSEQ, "%s/data.mdb has no schema number: "
		    "it is not a queue", dir);
	if (rc != 0)
		return env_failed(dir, db->read_only, rc, e);
	schema = get_be32(v.mv_data);
	if (schema > DB_SCHEMA)
		return err_set(e, ENOTSUP, "the queue in %s was made by a "
		    "newer version (schema %u, this one knows %u): start that "
		    "version", dir, schema, DB_SCHEMA);
	return 0;
}

static int
open_tables(struct db *db, const char *dir, struct err *e)
{
	MDB_txn *txn;
	int i, rc;

	rc = mdb_txn_begin(db->env, NULL, db->read_only ? MDB_RDONLY : 0,
	    &txn);
	if (rc != 0)
		return env_failed(dir, db->read_only, rc, e);
	for (i = DB_TABLES - 1; i >= 0; i--) {
		rc = mdb_dbi_open(txn, db_table_name[i], 0, &db->table[i]);
		if (rc == MDB_NOTFOUND) {
			err_set(e, EILSEQ, "%s/data.mdb has no table \"%s\": "
			    "it is not a queue", dir, db_table_name[i]);
			goto fail;
		}
		if (rc != 0) {
			env_failed(dir, db->read_only, rc, e);
			goto fail;
		}
		/* meta comes first: a newer version's tables may differ. */
		if (i == T_META && check_schema(db, txn, dir, e) < 0)
			goto fail;
	}
	rc = mdb_txn_commit(txn);
	if (rc != 0)
		return env_failed(dir, db->read_only, rc, e);
	return 0;

fail:
	mdb_txn_abort(txn);
	return -1;
}

static int
open_existing(struct db *db, const char *dir, const char *data,
    size_t map_size, struct err *e)
{
	struct stat st;

	if (db_check_file(data, e) < 0)
		return -1;
	if (stat(data, &st) < 0)
		return env_failed(dir, db->read_only, errno, e);
	db->file_size = (uint64_t)st.st_size;
	if (db_env_open(db, dir, db->read_only, map_size, e) < 0)
		return -1;
	if (!db->read_only) {
		db->page_fd = open(data, O_RDONLY | O_CLOEXEC);
		if (db->page_fd >= 0)
			(void)posix_fadvise(db->page_fd, 0, 0,
			    POSIX_FADV_RANDOM);
	}
	return open_tables(db, dir, e);
}

int
db_open(struct db *db, const char *dir, bool read_only, size_t map_size,
    struct err *e)
{
	char *data = mem_printf("%s/data.mdb", dir);
	struct stat st;

	*db = (struct db){ .lock_fd = -1, .read_only = read_only,
	    .memory_fd = db->memory_fd, .page_fd = -1 };
	pthread_mutex_init(&db->map_lock, NULL);
	if (!read_only) {
		if (lock_take(db, dir, e) < 0)
			goto fail;
		if ((stat(data, &st) < 0 || st.st_size == 0) &&
		    db_create(dir, e) < 0)
			goto fail;
	}
	if (open_existing(db, dir, data, map_size, e) < 0)
		goto fail;
	free(data);
	return 0;

fail:
	free(data);
	db_close(db);
	return -1;
}

void
db_close(struct db *db)
{
	if (db->reader != NULL)
		mdb_txn_abort(db->reader);
	db->reader = NULL;
	if (db->env != NULL)
		mdb_env_close(db->env);
	db->env = NULL;
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	db->lock_fd = -1;
	if (db->memory_fd >= 0)
		close(db->memory_fd);
	if (db->page_fd >= 0)
		close(db->page_fd);
	db->memory_fd = db->page_fd = -1;
	pthread_mutex_destroy(&db->map_lock);
}

/* Makes a new environment for queue.  It is built in SPOOL/queue/new without
 * syncs, synced once, and moved to its place: a creation that was cut short
 * leaves nothing but that directory, which the next one clears.
 *
 * 64 MiB of pages are written and freed again, because commits that overwrite
 * pages are 2 to 4 times faster than those that make the file grow.  They are
 * freed a page list at a time: LMDB rewrites what it did not use of a list at
 * every commit.
 */
#include "store/db_create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/value.h"

#define PREALLOCATE (64ull << 20)
/* Pages in one value: their list fits in one page of LMDB's free list. */
#define CHUNK_PAGES 500u
#define CHUNKS_PER_TXN 8u
#define RESERVE (8ull << 20)

static int
failed(const char *dir, int rc, struct err *e)
{
	if (rc == ENOSPC)
		return err_set(e, ENOSPC, "no room on the disk of %s for a "
		    "new queue", dir);
	return err_set(e, rc > 0 ? rc : EIO, "cannot make a queue in %s: %s",
	    dir, mdb_strerror(rc));
}

/* A quarter of what is free at most: small disks keep their room. */
static uint32_t
chunk_count(const char *dir, size_t chunk)
{
	struct statvfs vfs;
	uint64_t n = PREALLOCATE;

	if (statvfs(dir, &vfs) == 0 &&
	    (uint64_t)vfs.f_bavail * vfs.f_frsize / 4 < n)
		n = (uint64_t)vfs.f_bavail * vfs.f_frsize / 4;
	return (uint32_t)(n / chunk);
}

static int
put_chunk(MDB_txn *txn, MDB_dbi dbi, uint32_t i, size_t n)
{
	MDB_val k = { sizeof(i), &i }, v = { n, NULL };
	int rc;

	rc = mdb_put(txn, dbi, &k, &v, MDB_RESERVE);
	if (rc == 0)
		memset(v.mv_data, 0, n);
	return rc;
}

/* Chunks from..to-1 of one transaction: written, or deleted. */
static int
chunks(MDB_env *env, MDB_dbi *dbi, uint32_t from, uint32_t to, size_t n)
{
	MDB_txn *txn = NULL;
	MDB_val k;
	uint32_t i;
	int rc;

	rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc == 0 && *dbi == 0)
		rc = mdb_dbi_open(txn, "prealloc", MDB_CREATE, dbi);
	for (i = from; rc == 0 && i < to; i++) {
		k = (MDB_val){ sizeof(i), &i };
		rc = n ? put_chunk(txn, *dbi, i, n) :
		    mdb_del(txn, *dbi, &k, NULL);
	}
	if (rc == 0)
		return mdb_txn_commit(txn);
	if (txn != NULL)
		mdb_txn_abort(txn);
	return rc;
}

static int
preallocate(MDB_env *env, const char *dir, MDB_dbi *dbi)
{
	MDB_stat st;
	size_t chunk;
	uint32_t i, to, n;
	int rc;

	rc = mdb_env_stat(env, &st);
	if (rc != 0)
		return rc;
	chunk = CHUNK_PAGES * (size_t)st.ms_psize;
	n = chunk_count(dir, chunk);
	for (i = 0; rc == 0 && i < n; i = to) {
		to = i + CHUNKS_PER_TXN < n ? i + CHUNKS_PER_TXN : n;
		rc = chunks(env, dbi, i, to, chunk - 16);
	}
	for (i = 0; rc == 0 && i < n; i++)
		rc = chunks(env, dbi, i, i + 1, 0);
	return rc;
}

static int
make_tables(MDB_env *env, MDB_dbi prealloc)
{
	MDB_txn *txn;
	MDB_dbi dbi = 0;
	MDB_val k = { 6, "schema" }, v;
	unsigned char schema[4];
	int i, rc;

	rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	if (prealloc != 0)
		rc = mdb_drop(txn, prealloc, 1);
	for (i = 0; rc == 0 && i < DB_TABLES; i++)
		rc = mdb_dbi_open(txn, db_table_name[i], MDB_CREATE, &dbi);
	/* meta is the last of them. */
	put_be32(schema, DB_SCHEMA);
	v = (MDB_val){ sizeof(schema), schema };
	if (rc == 0)
		rc = mdb_put(txn, dbi, &k, &v, 0);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int
fill(const char *dir, const char *tmp, struct err *e)
{
	struct db db = { .lock_fd = -1, .memory_fd = -1, .page_fd = -1 };
	MDB_dbi dbi = 0;
	int rc;

	if (db_env_open(&db, tmp, false, 0, e) < 0)
		return -1;
	rc = mdb_env_set_flags(db.env, MDB_NOSYNC, 1);
	if (rc == 0)
		rc = preallocate(db.env, tmp, &dbi);
	if (rc == 0)
		rc = make_tables(db.env, dbi);
	if (rc == 0) {
		db_reserve(&db, RESERVE);
		rc = mdb_env_sync(db.env, 1);
	}
	mdb_env_close(db.env);
	return rc == 0 ? 0 : failed(dir, rc, e);
}

static int
sync_dir(const char *dir)
{
	int fd, rc;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* The page cache holds what was written in folios of up to 2 MiB.  On those
 * the kernel walks all blocks for each page that is written, which doubles the
 * cost of every later commit: it is to begin anew with small ones. */
static void
drop_cache(const char *data)
{
	int fd = open(data, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void
clear(const char *data, const char *lock, const char *tmp)
{
	(void)unlink(data);
	(void)unlink(lock);
	(void)rmdir(tmp);
}

int
db_create(const char *dir, struct err *e)
{
	char *tmp = mem_printf("%s/new", dir);
	char *data = mem_printf("%s/data.mdb", tmp);
	char *lock = mem_printf("%s/lock.mdb", tmp);
	char *final = mem_printf("%s/data.mdb", dir);
	int rc = -1;

	clear(data, lock, tmp);
	if (fs_make_dir(tmp, 0700, (uid_t)-1, (gid_t)-1, e) < 0)
		goto fail;
	if (fill(dir, tmp, e) < 0)
		goto fail;
	drop_cache(data);
	if (rename(data, final) < 0 || sync_dir(dir) < 0) {
		err_errno(e, "%s", final);
		goto fail;
	}
	rc = 0;
fail:
	clear(data, lock, tmp);
	free(tmp);
	free(data);
	free(lock);
	free(final);
	return rc;
}

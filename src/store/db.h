/* The LMDB environment in SPOOL/queue behind transactions with a sticky
 * error: the first thing that goes wrong is kept, what follows does nothing,
 * and the commit returns it.  Codes are errno values; DB_MAP_FULL alone is
 * our own (grow, then do the whole transaction again). */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

#define DB_MAP_FULL (-1)

enum db_table {
	T_MESSAGE, T_BODY, T_DUE, T_LANE, T_HISTORY, T_QUARANTINE, T_META,
	DB_TABLES
};

struct db {
	MDB_env *env;
	MDB_dbi table[DB_TABLES];
	bool read_only;
	atomic_bool dead;		/* LMDB refuses to go on */
	int lock_fd;			/* SPOOL/queue/lock; -1 */
	uint64_t file_size;		/* of data.mdb, never below its pages */
	size_t map_size;
	/* Held by readers for the length of a read and by the writer while
	 * it moves the map. */
	pthread_mutex_t map_lock;
	MDB_txn *reader;		/* reset between reads */
	unsigned reads;
	char *_Atomic map;		/* where it is, NULL: look */
	int memory_fd;			/* db_memory_fd(), or -1 */
	int page_fd;			/* of data.mdb, without readahead */
};

struct db_txn {
	struct db *db;
	MDB_txn *txn;
	int rc;				/* sticky */
};

/* db_open.c.  dir is SPOOL/queue; map_size 0: as large as is good. */
int db_open(struct db *db, const char *dir, bool read_only, size_t map_size,
    struct err *e);
void db_close(struct db *db);

/* db_check.c: 0 when the file is absent, empty, or as long as its own meta
 * pages say. */
int db_check_file(const char *path, struct err *e);

/* ---- writing: one thread ---- */

int db_begin(struct db *db, struct db_txn *t);
int db_commit(struct db_txn *t);
void db_abort(struct db_txn *t);
/* After DB_MAP_FULL and the abort: doubles the map. */
int db_grow(struct db *db);
/* Makes the file at least so much longer than the pages in use, so that its
 * length always covers them (db_check_file relies on it). */
void db_reserve(struct db *db, uint64_t octets);
void db_reap_readers(struct db *db);

/* True and *value (valid until the next write) when the key is there. */
bool db_get(struct db_txn *t, enum db_table table, struct slice key,
    struct slice *value);
/* flags: MDB_APPEND, MDB_NOOVERWRITE */
void db_put(struct db_txn *t, enum db_table table, struct slice key,
    struct slice value, unsigned flags);
/* Puts a key without a value; returns whether it is new. */
bool db_add(struct db_txn *t, enum db_table table, struct slice key);
/* Room for n octets in the value of the key; NULL after an error. */
void *db_put_room(struct db_txn *t, enum db_table table, struct slice key,
    size_t n, unsigned flags);
/* Returns whether it was there. */
bool db_del(struct db_txn *t, enum db_table table, struct slice key);

/* ---- db_map.c ---- */

/* What db_map_trim() reads; -1: behind walls already. */
int db_memory_fd(void);
/* Within a read. */
void db_map_find(struct db *db, MDB_txn *reader);
/* The page cache is to have this part of the file, which is a hole, in single
 * pages. */
void db_small_pages(struct db *db, uint64_t from, uint64_t to);
/* Gives back what is resident of the map beyond some MiB: by the writer at
 * any time, by the loop while it holds map_lock. */
void db_map_trim(struct db *db);

/* ---- reading: the loop's thread ---- */

/* Begins a read on the kept transaction; on 0 db_read_end must follow within
 * the same turn. */
int db_read_begin(struct db *db, struct db_txn *t);
void db_read_end(struct db_txn *t);

/* A cursor on any transaction: first key >= from (or the last key <= from),
 * then on.  Key and value are NULL-length at the end. */
struct db_cursor {
	struct db_txn *t;
	MDB_cursor *cur;
	bool backward;
	struct slice key, value;
};
bool db_seek(struct db_cursor *c, struct db_txn *t, enum db_table table,
    struct slice from, bool backward);
bool db_step(struct db_cursor *c);
void db_cursor_end(struct db_cursor *c);

/* Copies up to max entries, and not many more than octets, out of a read of
 * its own: klen4 vlen4 key value each, in host order. */
size_t db_gather(struct db *db, enum db_table table, struct slice from,
    bool backward, size_t max, size_t octets, struct strbuf *out);
/* Cuts one such entry off the front. */
bool db_gathered(struct slice *in, struct slice *key, struct slice *value);

uint64_t db_entries(struct db *db, enum db_table table);
/* Octets of the file that are not in use: it never becomes smaller. */
uint64_t db_free_octets(struct db *db);
/* Text of a code of this file. */
const char *db_strerror(int rc);

#endif

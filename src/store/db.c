/* Transactions with a sticky error over LMDB; used by the store's writer
 * thread and by the loop's reads in queue and relayctl.
 *
 * What it hides: MAP_FULL (DB_MAP_FULL, see db_grow), MAP_RESIZED (another
 * size is adopted), READERS_FULL (dead readers are reaped, then once more).
 * A failure inside LMDB that leaves it in an unknown state marks the
 * environment dead: every later transaction fails with EIO, and the owner
 * ends so that its monitor starts it anew.
 */
#include "store/db.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

#define MIB (1024ull * 1024)
#define FILE_STEP (32 * MIB)
#define TRIM_READS 16u

/* ---- errors ---- */

static int
db_code(struct db *db, int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_MAP_FULL:
		return DB_MAP_FULL;
	case MDB_READERS_FULL:
		return EAGAIN;
	case MDB_PANIC:
		db->dead = true;
		return EIO;
	case MDB_KEYEXIST:
		return EEXIST;
	case MDB_VERSION_MISMATCH:
		return ENOTSUP;
	case MDB_BAD_VALSIZE:
		return EINVAL;
	case EDQUOT:
	case EFBIG:
		return ENOSPC;
	default:
		return rc > 0 ? rc : EIO;
	}
}

const char *
db_strerror(int rc)
{
	return rc == DB_MAP_FULL ? "the map is full" : strerror(rc);
}

static MDB_val
val_of(struct slice s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

static struct slice
slice_val(MDB_val v)
{
	return slice_of(v.mv_data, v.mv_size);
}

static void
stick(struct db_txn *t, int rc)
{
	if (t->rc == 0)
		t->rc = db_code(t->db, rc);
}

/* ---- writing ---- */

/* Another process may have made the map larger. */
static int
adopt_size(struct db *db)
{
	MDB_envinfo info;
	int rc;

	pthread_mutex_lock(&db->map_lock);
	rc = mdb_env_set_mapsize(db->env, 0);
	db->map = NULL;
	pthread_mutex_unlock(&db->map_lock);
	if (rc == 0 && mdb_env_info(db->env, &info) == 0)
		db->map_size = info.me_mapsize;
	return rc;
}

int
db_begin(struct db *db, struct db_txn *t)
{
	int rc;

	*t = (struct db_txn){ .db = db };
	rc = mdb_txn_begin(db->env, NULL, 0, &t->txn);
	if (rc == MDB_MAP_RESIZED && adopt_size(db) == 0)
		rc = mdb_txn_begin(db->env, NULL, 0, &t->txn);
	if (rc != 0)
		t->txn = NULL;
	stick(t, rc);
	return t->rc;
}

int
db_commit(struct db_txn *t)
{
	int rc = t->rc;

	if (rc == 0 && FAULT("store.commit") != 0)
		rc = t->rc = errno;
	if (rc != 0) {
		db_abort(t);
		return rc;
	}
	stick(t, mdb_txn_commit(t->txn));
	t->txn = NULL;
	return t->rc;
}

void
db_abort(struct db_txn *t)
{
	if (t->txn != NULL)
		mdb_txn_abort(t->txn);
	t->txn = NULL;
}

int
db_grow(struct db *db)
{
	size_t size = db->map_size * 2;
	int rc;

	if (size < db->map_size)
		return ENOSPC;
	pthread_mutex_lock(&db->map_lock);
	rc = mdb_env_set_mapsize(db->env, size);
	db->map = NULL;
	pthread_mutex_unlock(&db->map_lock);
	if (rc != 0)
		return ENOSPC;
	db->map_size = size;
	return 0;
}

void
db_reserve(struct db *db, uint64_t octets)
{
	MDB_envinfo info;
	MDB_stat st;
	mdb_filehandle_t fd;
	uint64_t need;

	if (mdb_env_info(db->env, &info) != 0 ||
	    mdb_env_stat(db->env, &st) != 0 ||
	    mdb_env_get_fd(db->env, &fd) != 0)
		return;
	need = (info.me_last_pgno + 1) * st.ms_psize + octets;
	if (need <= db->file_size)
		return;
	need = (need / FILE_STEP + 1) * FILE_STEP;
	/* A hole: it takes no room, and a commit that finds none says so. */
	if (ftruncate(fd, (off_t)need) < 0)
		return;
	db_small_pages(db, db->file_size, need);
	db->file_size = need;
}

void
db_reap_readers(struct db *db)
{
	int dead = 0;

	(void)mdb_reader_check(db->env, &dead);
}

bool
db_get(struct db_txn *t, enum db_table table, struct slice key,
    struct slice *value)
{
	MDB_val k = val_of(key), v;
	int rc;

	if (t->rc != 0)
		return false;
	rc = mdb_get(t->txn, t->db->table[table], &k, &v);
	if (rc == MDB_NOTFOUND)
		return false;
	stick(t, rc);
	if (rc == 0 && value != NULL)
		*value = slice_val(v);
	return rc == 0;
}

void
db_put(struct db_txn *t, enum db_table table, struct slice key,
    struct slice value, unsigned flags)
{
	MDB_val k = val_of(key), v = val_of(value);

	if (t->rc == 0)
		stick(t, mdb_put(t->txn, t->db->table[table], &k, &v, flags));
}

bool
db_add(struct db_txn *t, enum db_table table, struct slice key)
{
	MDB_val k = val_of(key), v = { 0, NULL };
	int rc;

	if (t->rc != 0)
		return false;
	rc = mdb_put(t->txn, t->db->table[table], &k, &v, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST)
		return false;
	stick(t, rc);
	return rc == 0;
}

void *
db_put_room(struct db_txn *t, enum db_table table, struct slice key,
    size_t n, unsigned flags)
{
	MDB_val k = val_of(key), v = { n, NULL };

	if (t->rc != 0)
		return NULL;
	stick(t, mdb_put(t->txn, t->db->table[table], &k, &v,
	    flags | MDB_RESERVE));
	return t->rc == 0 ? v.mv_data : NULL;
}

bool
db_del(struct db_txn *t, enum db_table table, struct slice key)
{
	MDB_val k = val_of(key);
	int rc;

	if (t->rc != 0)
		return false;
	rc = mdb_del(t->txn, t->db->table[table], &k, NULL);
	if (rc == MDB_NOTFOUND)
		return false;
	stick(t, rc);
	return rc == 0;
}

/* ---- reading ---- */

static int
renew(struct db *db)
{
	int rc;

	if (db->reader != NULL)
		return mdb_txn_renew(db->reader);
	rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->reader);
	if (rc == MDB_READERS_FULL) {
		db_reap_readers(db);
		rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->reader);
	}
	if (rc != 0)
		db->reader = NULL;
	return rc;
}

int
db_read_begin(struct db *db, struct db_txn *t)
{
	int rc;

	*t = (struct db_txn){ .db = db };
	pthread_mutex_lock(&db->map_lock);
	rc = renew(db);
	if (rc == MDB_MAP_RESIZED && db->read_only) {
		/* No transaction of ours is under way: we have no writer. */
		rc = mdb_env_set_mapsize(db->env, 0);
		db->map = NULL;
		if (rc == 0)
			rc = renew(db);
	}
	stick(t, rc);
	if (t->rc != 0)
		pthread_mutex_unlock(&db->map_lock);
	else
		t->txn = db->reader;
	return t->rc;
}

void
db_read_end(struct db_txn *t)
{
	struct db *db = t->db;

	/* The lock is held: the map does not move. */
	if (db->map == NULL)
		db_map_find(db, t->txn);
	if (++db->reads % TRIM_READS == 0)
		db_map_trim(db);
	mdb_txn_reset(t->txn);
	t->txn = NULL;
	pthread_mutex_unlock(&db->map_lock);
}

static bool
cursor_take(struct db_cursor *c, int rc, MDB_val k, MDB_val v)
{
	if (rc != 0) {
		if (rc != MDB_NOTFOUND)
			stick(c->t, rc);
		c->key = c->value = slice_of(NULL, 0);
		return false;
	}
	c->key = slice_val(k);
	c->value = slice_val(v);
	return true;
}

bool
db_seek(struct db_cursor *c, struct db_txn *t, enum db_table table,
    struct slice from, bool backward)
{
	MDB_val k = val_of(from), v = { 0, NULL };
	int rc;

	*c = (struct db_cursor){ .t = t, .backward = backward };
	if (t->rc != 0)
		return false;
	rc = mdb_cursor_open(t->txn, t->db->table[table], &c->cur);
	if (rc != 0) {
		c->cur = NULL;
		return cursor_take(c, rc, k, v);
	}
	if (from.n == 0)
		rc = mdb_cursor_get(c->cur, &k, &v,
		    backward ? MDB_LAST : MDB_FIRST);
	else
		rc = mdb_cursor_get(c->cur, &k, &v, MDB_SET_RANGE);
	if (backward && from.n != 0) {
		if (rc == MDB_NOTFOUND)
			rc = mdb_cursor_get(c->cur, &k, &v, MDB_LAST);
		else if (rc == 0 && (k.mv_size != from.n ||
		    memcmp(k.mv_data, from.p, from.n) != 0))
			rc = mdb_cursor_get(c->cur, &k, &v, MDB_PREV);
	}
	return cursor_take(c, rc, k, v);
}

bool
db_step(struct db_cursor *c)
{
	MDB_val k, v;
	int rc;

	if (c->cur == NULL || c->key.p == NULL)
		return false;
	rc = mdb_cursor_get(c->cur, &k, &v,
	    c->backward ? MDB_PREV : MDB_NEXT);
	return cursor_take(c, rc, k, v);
}

void
db_cursor_end(struct db_cursor *c)
{
	if (c->cur != NULL)
		mdb_cursor_close(c->cur);
	c->cur = NULL;
}

size_t
db_gather(struct db *db, enum db_table table, struct slice from,
    bool backward, size_t max, size_t octets, struct strbuf *out)
{
	struct db_cursor c;
	struct db_txn t;
	size_t n = 0, start = out->n;
	uint32_t len[2];
	bool there;

	if (db_read_begin(db, &t) != 0)
		return 0;
	for (there = db_seek(&c, &t, table, from, backward);
	    there && n < max && out->n - start < octets;
	    there = db_step(&c), n++) {
		len[0] = (uint32_t)c.key.n;
		len[1] = (uint32_t)c.value.n;
		strbuf_add(out, len, sizeof(len));
		strbuf_add_slice(out, c.key);
		strbuf_add_slice(out, c.value);
	}
	db_cursor_end(&c);
	db_read_end(&t);
	return n;
}

bool
db_gathered(struct slice *in, struct slice *key, struct slice *value)
{
	uint32_t len[2];

	if (in->n < sizeof(len))
		return false;
	memcpy(len, in->p, sizeof(len));
	*in = slice_skip(*in, sizeof(len));
	*key = slice_of(in->p, len[0]);
	*in = slice_skip(*in, len[0]);
	*value = slice_of(in->p, len[1]);
	*in = slice_skip(*in, len[1]);
	return true;
}

uint64_t
db_entries(struct db *db, enum db_table table)
{
	struct db_txn t;
	MDB_stat st = { 0 };

	if (db_read_begin(db, &t) != 0)
		return 0;
	if (mdb_stat(t.txn, db->table[table], &st) != 0)
		st.ms_entries = 0;
	db_read_end(&t);
	return st.ms_entries;
}

uint64_t
db_free_octets(struct db *db)
{
	struct db_txn t;
	MDB_envinfo info;
	MDB_stat st;
	uint64_t used = 0, pages;
	MDB_dbi i;

	if (db_read_begin(db, &t) != 0)
		return 0;
	/* LMDB's own two tables are 0 and 1: the free list and the names. */
	for (i = 0; i < 2 + DB_TABLES; i++) {
		if (mdb_stat(t.txn, i < 2 ? i : db->table[i - 2], &st) != 0)
			goto fail;
		used += st.ms_branch_pages + st.ms_leaf_pages +
		    st.ms_overflow_pages;
	}
	if (mdb_env_info(db->env, &info) != 0)
		goto fail;
	db_read_end(&t);
	pages = info.me_last_pgno > 1 ? info.me_last_pgno - 1 : 0;
	return pages > used ? (pages - used) * st.ms_psize : 0;
fail:
	db_read_end(&t);
	return 0;
}

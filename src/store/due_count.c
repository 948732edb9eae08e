/* How many due entries each lane has, kept as they come and go: `status` must
 * not count a million of them.  The store's writer thread adds up what a batch
 * does and writes it in the same transaction; the loop of queue reads.
 *
 * The numbers stand in meta under "due" and the lane (flag included).  Their
 * sum must be what LMDB says of the table: where it is not (an older queue, a
 * table that was mended by hand) they are counted anew when the store is
 * opened.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/internal.h"
#include "store/value.h"

#define NAME "due"
#define NAME_LEN 3
#define KEY_COUNT (NAME_LEN + KEY_LANE)

static void
count_key(unsigned char *k, uint32_t lane)
{
	memcpy(k, NAME, NAME_LEN);
	put_be32(k + NAME_LEN, lane);
}

static bool
is_count(struct slice key)
{
	return key.n == KEY_COUNT && memcmp(key.p, NAME, NAME_LEN) == 0;
}

static uint64_t
count_get(struct db_txn *t, uint32_t lane)
{
	unsigned char key[KEY_COUNT];
	struct slice v;

	count_key(key, lane);
	if (!db_get(t, T_META, slice_of(key, sizeof(key)), &v) || v.n != 8)
		return 0;
	return get_be64((const unsigned char *)v.p);
}

/* ---- writing ---- */

void
due_counts_add(struct due_counts *c, uint32_t lane, int delta)
{
	struct due_count *d;
	size_t i;

	/* Lanes of one batch are few, and most often the last one again. */
	for (i = c->n; i > 0; i--) {
		if (c->v[i - 1].lane == lane) {
			c->v[i - 1].delta += delta;
			return;
		}
	}
	d = mem_push(&c->v, &c->n, sizeof(*d));
	d->lane = lane;
	d->delta = delta;
}

void
due_counts_clear(struct due_counts *c)
{
	c->n = 0;
}

void
due_counts_free(struct due_counts *c)
{
	free(c->v);
	*c = (struct due_counts){ NULL, 0 };
}

static void
count_put(struct db_txn *t, uint32_t lane, uint64_t n)
{
	unsigned char key[KEY_COUNT], value[8];

	count_key(key, lane);
	put_be64(value, n);
	if (n == 0)
		db_del(t, T_META, slice_of(key, sizeof(key)));
	else
		db_put(t, T_META, slice_of(key, sizeof(key)),
		    slice_of(value, sizeof(value)), 0);
}

void
due_counts_write(struct due_counts *c, struct db_txn *t)
{
	uint64_t n;
	size_t i;

	for (i = 0; i < c->n; i++) {
		if (c->v[i].delta == 0)
			continue;
		n = count_get(t, c->v[i].lane) + (uint64_t)c->v[i].delta;
		/* Only what is wrong already gets below nothing. */
		count_put(t, c->v[i].lane, (int64_t)n > 0 ? n : 0);
	}
}

/* ---- counting anew ---- */

/* The sum of what is noted; the lanes go to `lanes`. */
static uint64_t
counts_sum(struct db_txn *t, struct due_counts *lanes)
{
	struct db_cursor c;
	uint64_t sum = 0;
	bool there;

	for (there = db_seek(&c, t, T_META, SLICE_LIT(NAME), false);
	    there && c.key.n >= NAME_LEN &&
	    memcmp(c.key.p, NAME, NAME_LEN) == 0; there = db_step(&c)) {
		if (!is_count(c.key) || c.value.n != 8)
			continue;
		sum += get_be64((const unsigned char *)c.value.p);
		if (lanes != NULL)
			due_counts_add(lanes, get_be32((const unsigned char *)
			    c.key.p + NAME_LEN), 0);
	}
	db_cursor_end(&c);
	return sum;
}

static uint64_t
count_entries(struct db_txn *t, uint32_t lane)
{
	unsigned char key[KEY_DUE];
	struct db_cursor c;
	uint64_t n = 0;
	bool there;

	key_due(key, lane, 0, 0);
	for (there = db_seek(&c, t, T_DUE, slice_of(key, sizeof(key)), false);
	    there && c.key.n == KEY_DUE &&
	    get_be32((const unsigned char *)c.key.p) == lane;
	    there = db_step(&c))
		n++;
	db_cursor_end(&c);
	return n;
}

static bool
next_lane(struct db_txn *t, uint32_t from, uint32_t *lane)
{
	unsigned char key[KEY_DUE];
	struct db_cursor c;
	bool there;

	key_due(key, from, 0, 0);
	there = db_seek(&c, t, T_DUE, slice_of(key, sizeof(key)), false) &&
	    c.key.n == KEY_DUE;
	if (there)
		*lane = get_be32((const unsigned char *)c.key.p);
	db_cursor_end(&c);
	return there;
}

static int
count_anew(struct db *db)
{
	struct due_counts old = { NULL, 0 };
	struct db_txn t;
	uint32_t lane = 0;
	size_t i;
	int rc;

	if (db_begin(db, &t) != 0)
		return t.rc;
	(void)counts_sum(&t, &old);
	for (i = 0; i < old.n; i++)
		count_put(&t, old.v[i].lane, 0);
	while (next_lane(&t, lane, &lane)) {
		count_put(&t, lane, count_entries(&t, lane));
		if (lane++ == UINT32_MAX)
			break;
	}
	rc = db_commit(&t);
	due_counts_free(&old);
	return rc;
}

int
due_counts_open(struct db *db)
{
	struct db_txn t;
	MDB_stat st = { 0 };
	uint64_t sum;

	if (db_read_begin(db, &t) != 0)
		return t.rc;
	sum = counts_sum(&t, NULL);
	if (mdb_stat(t.txn, db->table[T_DUE], &st) != 0)
		st.ms_entries = sum;
	db_read_end(&t);
	return sum == st.ms_entries ? 0 : count_anew(db);
}

void
due_counts_check(struct db_txn *t, void (*each)(void *arg, uint32_t lane,
    uint64_t there, uint64_t noted), void *arg)
{
	struct due_counts lanes = { NULL, 0 };
	uint64_t there, noted;
	uint32_t lane = 0;
	size_t i;

	(void)counts_sum(t, &lanes);
	while (next_lane(t, lane, &lane)) {
		due_counts_add(&lanes, lane, 0);
		if (lane++ == UINT32_MAX)
			break;
	}
	for (i = 0; i < lanes.n; i++) {
		there = count_entries(t, lanes.v[i].lane);
		noted = count_get(t, lanes.v[i].lane);
		if (there != noted)
			each(arg, lanes.v[i].lane, there, noted);
	}
	due_counts_free(&lanes);
}

/* ---- reading ---- */

uint64_t
store_due_count(struct store *s, uint32_t lane)
{
	struct db_txn t;
	uint64_t n;

	if (db_read_begin(&s->db, &t) != 0)
		return 0;
	n = count_get(&t, lane);
	db_read_end(&t);
	return n;
}

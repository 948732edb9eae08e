/* One transaction for many changes; run by the store's writer thread.
 *
 * Each change is applied whole or not at all, and none harms another: what
 * must fail by itself (an id that is taken, a state for a message that is
 * gone) is found before its first mutation.  What then goes wrong concerns
 * the transaction: a full map is grown and the whole done again; anything
 * else fails all changes with its code.  When the disk has no room or refuses
 * a write, the changes that bring no new mail are tried once more by
 * themselves, so that deliveries can still be settled.
 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/fault.h"
#include "store/internal.h"
#include "store/value.h"

#define ROOM (1u << 20)
#define TRIM_OPS 256u

struct batch {
	struct store *s;
	struct db_txn t;
	int64_t count[COUNT_KINDS];
	struct due_counts due;
	uint64_t last_id;		/* highest in table message */
	bool any;			/* something was applied */
	unsigned ops;
	struct strbuf body;		/* a body on its way to a new value */
};

/* ---- what fails a change by itself ---- */

/* Whether an earlier mutation of the same change makes this message. */
static bool
made_before(const struct store_change *c, size_t end, struct slice id)
{
	struct slice key, value;
	struct op op;
	size_t pos = 0;

	while (change_next(c, &pos, &op, &key, &value) && pos < end)
		if (op.kind == OP_NEW && slice_eq(key, id))
			return true;
	return false;
}

static void
check_new(struct batch *b, struct store_change *c, size_t end,
    struct slice key)
{
	uint64_t id = get_be64((const unsigned char *)key.p);

	if ((id <= b->last_id && db_get(&b->t, T_MESSAGE, key, NULL)) ||
	    (c->n_ops > 1 && made_before(c, end, key)))
		change_fail(c, EEXIST, "the id is taken");
}

static void
check_state(struct batch *b, struct store_change *c, size_t end,
    struct slice key, struct slice value)
{
	struct slice old;
	size_t used;
	uint8_t kind, now;

	if (!db_get(&b->t, T_MESSAGE, key, &old)) {
		if (b->t.rc == 0 && !made_before(c, end, key))
			change_fail(c, ENOENT, "the message is gone");
		return;
	}
	if (record_peek(old, &used, &kind) < 0)
		change_fail(c, EILSEQ, "the record is damaged");
	else if (record_peek(value, &used, &now) < 0 || now != kind)
		change_fail(c, EINVAL, "the body is kept in another way");
}

static int
check(struct batch *b, struct store_change *c)
{
	struct slice key, value;
	struct op op;
	size_t pos = 0;

	while (c->code == 0 && change_next(c, &pos, &op, &key, &value)) {
		if (op.kind == OP_NEW)
			check_new(b, c, pos, key);
		else if (op.kind == OP_STATE)
			check_state(b, c, pos, key, value);
	}
	return c->code;
}

/* ---- mutations ---- */

static void
apply_new(struct batch *b, struct slice key, struct slice value)
{
	uint64_t id = get_be64((const unsigned char *)key.p);
	bool last = id > b->last_id;

	db_put(&b->t, T_MESSAGE, key, value,
	    last ? MDB_APPEND : MDB_NOOVERWRITE);
	if (last)
		b->last_id = id;
}

/* The old body is copied aside: the page that holds it may be given back
 * before the new value is written. */
static void
apply_state(struct batch *b, struct slice key, struct slice value)
{
	struct slice old;
	size_t used;
	uint8_t kind;
	char *p;

	if (!db_get(&b->t, T_MESSAGE, key, &old))
		return;
	if (record_peek(old, &used, &kind) < 0 || kind != BODY_RECORD) {
		db_put(&b->t, T_MESSAGE, key, value, 0);
		return;
	}
	strbuf_clear(&b->body);
	strbuf_add_slice(&b->body, slice_skip(old, used));
	p = db_put_room(&b->t, T_MESSAGE, key, value.n + b->body.n, 0);
	if (p == NULL)
		return;
	memcpy(p, value.p, value.n);
	if (b->body.n != 0)
		memcpy(p + value.n, b->body.p, b->body.n);
}

static void
due_add(struct batch *b, struct slice key)
{
	if (db_add(&b->t, T_DUE, key))
		due_counts_add(&b->due,
		    get_be32((const unsigned char *)key.p), 1);
}

static void
due_del(struct batch *b, struct slice key)
{
	if (db_del(&b->t, T_DUE, key))
		due_counts_add(&b->due,
		    get_be32((const unsigned char *)key.p), -1);
}

/* Due entries are found by a walk over all of them: this is rare.  In a long
 * queue they are left to whoever meets them: new mail does not wait for it. */
static void
drop_due(struct batch *b, struct slice id)
{
	struct db_cursor cur;
	unsigned char key[KEY_DUE];
	MDB_stat st;
	bool there;

	if (b->t.rc != 0 || mdb_stat(b->t.txn, b->s->db.table[T_DUE],
	    &st) != 0 || st.ms_entries > DROP_DUE_MAX)
		return;
	there = db_seek(&cur, &b->t, T_DUE, slice_of(NULL, 0), false);
	while (there) {
		if (cur.key.n == KEY_DUE &&
		    memcmp(cur.key.p + 12, id.p, KEY_ID) == 0) {
			memcpy(key, cur.key.p, KEY_DUE);
			db_cursor_end(&cur);
			due_del(b, slice_of(key, KEY_DUE));
			there = db_seek(&cur, &b->t, T_DUE,
			    slice_of(key, KEY_DUE), false);
		} else {
			there = db_step(&cur);
		}
	}
	db_cursor_end(&cur);
}

static void
apply_quarantine(struct batch *b, struct slice key, struct slice counted)
{
	unsigned kind = (unsigned char)counted.p[0];
	struct slice value;

	if (db_get(&b->t, T_MESSAGE, key, &value)) {
		strbuf_clear(&b->body);
		strbuf_add_slice(&b->body, value);
		db_put(&b->t, T_QUARANTINE, key, strbuf_slice(&b->body), 0);
		db_del(&b->t, T_MESSAGE, key);
		if (kind < COUNT_KINDS)
			b->count[kind]--;
	}
	drop_due(b, key);
}

static void
apply(struct batch *b, struct store_change *c)
{
	struct slice key, value;
	struct op op;
	size_t pos = 0;
	int i;

	while (b->t.rc == 0 && change_next(c, &pos, &op, &key, &value)) {
		b->any = true;
		if (++b->ops % TRIM_OPS == 0)
			db_map_trim(&b->s->db);
		switch ((enum op_kind)op.kind) {
		case OP_PUT:
			if (op.table == T_DUE)
				due_add(b, key);
			else
				db_put(&b->t, op.table, key, value, 0);
			break;
		case OP_DEL:
			if (op.table == T_DUE)
				due_del(b, key);
			else
				db_del(&b->t, op.table, key);
			break;
		case OP_NEW:
			apply_new(b, key, value);
			break;
		case OP_STATE:
			apply_state(b, key, value);
			break;
		case OP_QUARANTINE:
			apply_quarantine(b, key, value);
			break;
		}
	}
	for (i = 0; i < COUNT_KINDS; i++)
		b->count[i] += c->count[i];
}

/* ---- the transaction ---- */

static void
put_counters(struct batch *b)
{
	unsigned char now[8 * COUNT_KINDS] = { 0 };
	struct slice key = SLICE_LIT("counters"), old;
	bool changed = false;
	int i;

	for (i = 0; i < COUNT_KINDS; i++)
		changed |= b->count[i] != 0;
	if (!changed)
		return;
	if (db_get(&b->t, T_META, key, &old) && old.n <= sizeof(now))
		memcpy(now, old.p, old.n);
	for (i = 0; i < COUNT_KINDS; i++)
		put_be64(now + 8 * i, get_be64(now + 8 * i) +
		    (uint64_t)b->count[i]);
	db_put(&b->t, T_META, key, slice_of(now, sizeof(now)), 0);
	b->any = true;
}

static void
find_last_id(struct batch *b)
{
	struct db_cursor cur;

	b->last_id = 0;
	if (db_seek(&cur, &b->t, T_MESSAGE, slice_of(NULL, 0), true) &&
	    cur.key.n == KEY_ID)
		b->last_id = get_be64((const unsigned char *)cur.key.p);
	db_cursor_end(&cur);
}

/* One try at the whole.  Returns 0, an errno or DB_MAP_FULL; changes that
 * failed by themselves have their code. */
static int
try_batch(struct batch *b, struct change_list *list)
{
	struct store_change *c;

	memset(b->count, 0, sizeof(b->count));
	due_counts_clear(&b->due);
	b->any = false;
	if (db_begin(&b->s->db, &b->t) != 0)
		return b->t.rc;
	find_last_id(b);
	STAILQ_FOREACH(c, list, link)
		if (b->t.rc == 0 && check(b, c) == 0)
			apply(b, c);
	put_counters(b);
	due_counts_write(&b->due, &b->t);
	if (b->t.rc == 0 && !b->any) {
		db_abort(&b->t);
		return 0;
	}
	if (b->t.rc == 0 && FAULT("store.before_commit") != 0)
		b->t.rc = errno;
	if (db_commit(&b->t) == 0)
		(void)FAULT("store.after_commit");
	return b->t.rc;
}

static int
run(struct batch *b, struct change_list *list)
{
	int rc;

	do {
		rc = try_batch(b, list);
	} while (rc == DB_MAP_FULL && (rc = db_grow(&b->s->db)) == 0);
	return rc;
}

static void
fail_all(struct change_list *list, int code)
{
	struct store_change *c;

	STAILQ_FOREACH(c, list, link)
		change_fail(c, code, "the queue's database: %s",
		    db_strerror(code));
}

/* Moves what brings new mail from list to mail. */
static void
split_mail(struct change_list *list, struct change_list *mail)
{
	struct change_list rest = STAILQ_HEAD_INITIALIZER(rest);
	struct store_change *c;

	while ((c = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		if (c->grows)
			STAILQ_INSERT_TAIL(mail, c, link);
		else
			STAILQ_INSERT_TAIL(&rest, c, link);
	}
	STAILQ_CONCAT(list, &rest);
}

static void
reserve(struct store *s, const struct change_list *list)
{
	const struct store_change *c;
	uint64_t octets = 8u << 20;

	/* Each mutation may touch a path of pages in its table. */
	STAILQ_FOREACH(c, list, link)
		octets += 2 * c->ops.n + 12288 * (uint64_t)c->n_ops;
	db_reserve(&s->db, octets);
}

/* LMDB calls a write that was cut short by a full disk EIO. */
static bool
no_room(struct store *s)
{
	struct statvfs vfs;

	return fstatvfs(s->spool_fd, &vfs) == 0 &&
	    (uint64_t)vfs.f_bavail * vfs.f_frsize < ROOM;
}

void
batch_run(struct store *s, struct change_list *list)
{
	struct change_list mail = STAILQ_HEAD_INITIALIZER(mail);
	struct batch b = { .s = s };
	int rc;

	reserve(s, list);
	rc = run(&b, list);
	if (rc == EIO && no_room(s))
		rc = ENOSPC;
	if (rc == ENOSPC || rc == EIO) {
		split_mail(list, &mail);
		fail_all(&mail, rc);
		if (!STAILQ_EMPTY(list) && !STAILQ_EMPTY(&mail))
			rc = run(&b, list);
	}
	if (rc != 0)
		fail_all(list, rc);
	STAILQ_CONCAT(list, &mail);
	strbuf_free(&b.body);
	due_counts_free(&b.due);
}

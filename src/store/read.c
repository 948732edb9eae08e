/* Reads for the loop of queue and for relayctl: each is one short read
 * transaction from which everything is copied; callbacks run outside of it
 * and may use the store.  A record that cannot be read is EILSEQ, for the
 * caller to put in quarantine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "store/internal.h"
#include "store/spool.h"
#include "store/value.h"

#define GATHER_COUNT 1000u
#define GATHER_OCTETS (256u * 1024)

static int
read_failed(int rc, struct err *e)
{
	return err_set(e, rc > 0 ? rc : EIO, "reading the queue: %s",
	    db_strerror(rc));
}

/* ---- messages ---- */

static int
take_record(struct slice value, uint64_t id, struct record **r, size_t *used,
    struct err *e)
{
	*r = record_decode(value, used, e);
	if (*r == NULL)
		return -1;
	if ((*r)->env->id == id && value.n - *used ==
	    ((*r)->body_kind == BODY_RECORD ? (*r)->body_size : 0))
		return 0;
	record_free(r);
	return err_set(e, EILSEQ, "the record's length or id is damaged");
}

static int
take_parts(struct db_txn *t, const struct record *r, struct strbuf *body,
    struct err *e)
{
	unsigned char key[KEY_PART];
	uint64_t left = r->body_size;
	uint32_t part;
	struct slice v;

	for (part = 0; left > 0; part++) {
		size_t n = left < BODY_PART ? (size_t)left : BODY_PART;

		key_part(key, r->env->id, part);
		if (!db_get(t, T_BODY, slice_of(key, sizeof(key)), &v) ||
		    v.n != n) {
			if (t->rc != 0)
				return read_failed(t->rc, e);
			return err_set(e, EILSEQ, "part %u of the body is "
			    "missing or damaged", part);
		}
		strbuf_add_slice(body, v);
		left -= n;
	}
	return 0;
}

static int
take_body(struct db_txn *t, const struct record *r, struct slice behind,
    struct strbuf *body, struct err *e)
{
	size_t start = body->n;

	if (r->body_kind == BODY_RECORD)
		strbuf_add_slice(body, behind);
	else if (take_parts(t, r, body, e) < 0)
		return -1;
	if (crc32c(0, body->p ? body->p + start : "", body->n - start) !=
	    r->body_crc)
		return err_set(e, EILSEQ, "the body is damaged");
	return 0;
}

int
read_message(struct db_txn *t, uint64_t id, struct record **r,
    struct strbuf *body, struct err *e)
{
	unsigned char key[KEY_ID];
	struct slice value;
	size_t used;

	*r = NULL;
	put_be64(key, id);
	if (!db_get(t, T_MESSAGE, slice_of(key, sizeof(key)), &value)) {
		if (t->rc != 0)
			return read_failed(t->rc, e);
		return err_set(e, ENOENT, "no such message");
	}
	if (take_record(value, id, r, &used, e) < 0)
		return -1;
	if (body != NULL && (*r)->body_kind != BODY_FILE &&
	    take_body(t, *r, slice_skip(value, used), body, e) < 0) {
		record_free(r);
		return -1;
	}
	return 0;
}

static int
get(struct store *s, uint64_t id, struct record **r, struct strbuf *body,
    struct err *e)
{
	struct db_txn t;
	int rc;

	*r = NULL;
	if (db_read_begin(&s->db, &t) != 0)
		return read_failed(t.rc, e);
	rc = read_message(&t, id, r, body, e);
	db_read_end(&t);
	return rc;
}

int
store_get(struct store *s, uint64_t id, struct record **r, struct err *e)
{
	return get(s, id, r, NULL, e);
}

int
store_get_body(struct store *s, uint64_t id, struct record **r,
    struct strbuf *body, struct err *e)
{
	size_t start = body->n;

	if (get(s, id, r, body, e) == 0) {
		if ((*r)->body_kind != BODY_FILE)
			return 0;
		record_free(r);
		return err_set(e, EINVAL, "the body is a file");
	}
	body->n = start;
	return -1;
}

int
store_open_body(struct store *s, const struct record *r, struct err *e)
{
	if (r->body_kind != BODY_FILE)
		return err_set(e, EINVAL, "the body is no file");
	return spool_open(s, r->env->id, e);
}

bool
store_knows(struct store *s, uint64_t id)
{
	unsigned char key[KEY_ID];
	struct slice k = slice_of(key, sizeof(key));
	struct db_txn t;
	bool known;

	put_be64(key, id);
	if (db_read_begin(&s->db, &t) != 0)
		return true;
	known = db_get(&t, T_MESSAGE, k, NULL) ||
	    db_get(&t, T_QUARANTINE, k, NULL) || t.rc != 0;
	db_read_end(&t);
	return known;
}

/* ---- due ---- */

static void
take_due(struct slice key, struct store_due *d)
{
	const unsigned char *k = (const unsigned char *)key.p;

	d->lane = get_be32(k);
	d->time = get_be64(k + 4);
	d->id = get_be64(k + 12);
}

size_t
store_due_scan(struct store *s, uint32_t lane, uint64_t until,
    const struct store_due *after, struct store_due *out, size_t max)
{
	unsigned char key[KEY_DUE];
	struct db_cursor c;
	struct db_txn t;
	size_t n = 0;
	bool there;

	if (db_read_begin(&s->db, &t) != 0)
		return 0;
	key_due(key, lane, after ? after->time : 0, after ? after->id : 0);
	there = db_seek(&c, &t, T_DUE, slice_of(key, sizeof(key)), false);
	if (there && after != NULL &&
	    slice_eq(c.key, slice_of(key, sizeof(key))))
		there = db_step(&c);
	for (; there && n < max && c.key.n == KEY_DUE; there = db_step(&c)) {
		take_due(c.key, &out[n]);
		if (out[n].lane != lane || out[n].time > until)
			break;
		n++;
	}
	db_cursor_end(&c);
	db_read_end(&t);
	return n;
}

bool
store_due_next_lane(struct store *s, uint32_t lane, struct store_due *first)
{
	unsigned char key[KEY_DUE];
	struct db_cursor c;
	struct db_txn t;
	bool there;

	if (lane == UINT32_MAX || db_read_begin(&s->db, &t) != 0)
		return false;
	key_due(key, lane + 1, 0, 0);
	there = db_seek(&c, &t, T_DUE, slice_of(key, sizeof(key)), false) &&
	    c.key.n == KEY_DUE;
	if (there)
		take_due(c.key, first);
	db_cursor_end(&c);
	db_read_end(&t);
	return there;
}

/* ---- lists and counts ---- */

static size_t
list_ids(struct store *s, enum db_table table, uint64_t after, uint64_t *ids,
    size_t max)
{
	unsigned char key[KEY_ID];
	struct db_cursor c;
	struct db_txn t;
	size_t n = 0;
	bool there;

	if (after == UINT64_MAX || db_read_begin(&s->db, &t) != 0)
		return 0;
	put_be64(key, after + 1);
	for (there = db_seek(&c, &t, table, slice_of(key, sizeof(key)), false);
	    there && n < max && c.key.n == KEY_ID; there = db_step(&c))
		ids[n++] = get_be64((const unsigned char *)c.key.p);
	db_cursor_end(&c);
	db_read_end(&t);
	return n;
}

size_t
store_list(struct store *s, uint64_t after, uint64_t *ids, size_t max)
{
	return list_ids(s, T_MESSAGE, after, ids, max);
}

size_t
store_list_quarantine(struct store *s, uint64_t after, uint64_t *ids,
    size_t max)
{
	return list_ids(s, T_QUARANTINE, after, ids, max);
}

bool
store_oldest(struct store *s, uint64_t *id)
{
	return list_ids(s, T_MESSAGE, 0, id, 1) == 1;
}

uint64_t
store_total(struct store *s)
{
	return db_entries(&s->db, T_MESSAGE);
}

int64_t
store_counter(struct store *s, enum store_count which)
{
	struct db_txn t;
	struct slice v;
	uint64_t n = 0;

	if (db_read_begin(&s->db, &t) != 0)
		return 0;
	if (db_get(&t, T_META, SLICE_LIT("counters"), &v) &&
	    v.n >= 8 * ((size_t)which + 1))
		n = get_be64((const unsigned char *)v.p + 8 * which);
	db_read_end(&t);
	return (int64_t)n;
}

void
store_each_lane(struct store *s, void (*each)(void *arg, uint32_t lane,
    struct slice key, struct slice state), void *arg)
{
	unsigned char from[KEY_LANE] = { 0 };
	struct slice in, key, value, text, state;
	struct strbuf b = STRBUF_INIT;
	uint32_t lane = 0;
	size_t n;

	do {
		strbuf_clear(&b);
		put_be32(from, lane);
		n = db_gather(&s->db, T_LANE, slice_of(from, sizeof(from)),
		    false, GATHER_COUNT, GATHER_OCTETS, &b);
		in = strbuf_slice(&b);
		while (db_gathered(&in, &key, &value)) {
			lane = key.n == KEY_LANE ?
			    get_be32((const unsigned char *)key.p) :
			    UINT32_MAX;
			if (lane_value(value, &text, &state) == 0)
				each(arg, lane, text, state);
		}
	} while (n > 0 && lane++ != UINT32_MAX);
	strbuf_free(&b);
}

void
store_each_meta(struct store *s, const char *prefix, void (*each)(void *arg,
    struct slice name, struct slice value), void *arg)
{
	struct strbuf b = STRBUF_INIT, from = STRBUF_INIT;
	size_t n = strlen(prefix), got;
	struct slice in, key, value;
	bool more;

	strbuf_puts(&from, prefix);
	do {
		strbuf_clear(&b);
		got = db_gather(&s->db, T_META, strbuf_slice(&from), false,
		    GATHER_COUNT, GATHER_OCTETS, &b);
		more = got == GATHER_COUNT || b.n >= GATHER_OCTETS;
		in = strbuf_slice(&b);
		while (db_gathered(&in, &key, &value)) {
			if (key.n < n || memcmp(key.p, prefix, n) != 0) {
				more = false;
				break;
			}
			strbuf_clear(&from);
			strbuf_add_slice(&from, key);
			each(arg, key, value);
		}
		strbuf_putc(&from, '\0');	/* behind the last one */
	} while (more);
	strbuf_free(&from);
	strbuf_free(&b);
}

/* ---- history ---- */

/* The key behind (before) this one in the order of the walk; false: none. */
static bool
next_history(uint64_t *time, uint64_t *id, bool backward)
{
	if (backward) {
		if ((*id)-- == 0 && (*time)-- == 0)
			return false;
	} else if (++*id == 0 && ++*time == 0) {
		return false;
	}
	return true;
}

void
store_history(struct store *s, uint64_t since, bool backward,
    store_history_each *each, void *arg)
{
	unsigned char from[KEY_HISTORY];
	struct slice in, key, value;
	struct strbuf b = STRBUF_INIT;
	uint64_t time = backward ? UINT64_MAX : since;
	uint64_t id = backward ? UINT64_MAX : 0;
	size_t n;

	do {
		strbuf_clear(&b);
		put_be64(from, time);
		put_be64(from + 8, id);
		n = db_gather(&s->db, T_HISTORY, slice_of(from, sizeof(from)),
		    backward, GATHER_COUNT, GATHER_OCTETS, &b);
		in = strbuf_slice(&b);
		while (db_gathered(&in, &key, &value)) {
			if (key.n != KEY_HISTORY)
				goto end;
			time = get_be64((const unsigned char *)key.p);
			id = get_be64((const unsigned char *)key.p + 8);
			if (time < since || !each(arg, time, id, value))
				goto end;
		}
	} while (n > 0 && next_history(&time, &id, backward));
end:
	strbuf_free(&b);
}

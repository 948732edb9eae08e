/* Checks all of the queue, for relayctl (with or without a daemon at work)
 * and for tests: one line of text per finding.  Each message, due entry, body
 * part and file is judged in a read transaction of its own, so that a daemon
 * that works meanwhile is never seen half way and no old pages are held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/spool.h"
#include "store/value.h"

#define CHUNK 500u
#define READ_STEP (256u * 1024)

struct verify {
	struct store *s;
	void (*finding)(void *arg, const char *text);
	void *arg;
	size_t found;
};

static void found(struct verify *v, uint64_t id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
found(struct verify *v, uint64_t id, const char *fmt, ...)
{
	char text[700], name[NUM_ID_LEN + 1];
	va_list ap;
	int n;

	num_id_text(id, name);
	n = snprintf(text, sizeof(text), "%s: ", name);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	v->found++;
	if (v->finding != NULL)
		v->finding(v->arg, text);
}

/* ---- messages ---- */

static bool
due_there(struct db_txn *t, uint32_t lane, uint64_t time, uint64_t id)
{
	unsigned char key[KEY_DUE];

	key_due(key, lane, time, id);
	return db_get(t, T_DUE, slice_of(key, sizeof(key)), NULL);
}

static void
check_rcpts(struct verify *v, struct db_txn *t, const struct record *r)
{
	const struct envelope *env = r->env;
	size_t i;

	if (record_pending(r) == 0)
		found(v, env->id, "no recipient is pending, but the message "
		    "is still there");
	for (i = 0; i < env->recipient_count && !r->held; i++) {
		const struct record_rcpt *rc = &r->rcpt[i];

		if (rc->state != RCPT_PENDING)
			continue;
		if ((rc->lane & ~STORE_LEASED) == 0)
			found(v, env->id, "recipient %s is in no lane",
			    env->recipients[i].address);
		else if (!due_there(t, rc->lane, rc->due, env->id))
			found(v, env->id, "recipient %s has no due entry in "
			    "lane %u", env->recipients[i].address,
			    rc->lane & ~STORE_LEASED);
	}
}

static void
check_file(struct verify *v, const struct record *r)
{
	uint64_t id = r->env->id, at = 0;
	struct err e;
	uint32_t crc = 0;
	ssize_t n = 0;
	char *buf;
	int fd;

	fd = spool_open(v->s, id, &e);
	if (fd < 0) {
		if (store_knows(v->s, id))
			found(v, id, "the body's file: %s", e.text);
		return;
	}
	buf = mem_alloc(READ_STEP);
	while ((n = pread(fd, buf, READ_STEP, (off_t)at)) > 0) {
		crc = crc32c(crc, buf, (size_t)n);
		at += (uint64_t)n;
	}
	if (n < 0)
		found(v, id, "the body's file: %s", strerror(errno));
	else if (at != r->body_size || crc != r->body_crc)
		found(v, id, "the body's file is damaged: %llu octets of "
		    "%llu", (unsigned long long)at,
		    (unsigned long long)r->body_size);
	free(buf);
	close(fd);
}

static void
check_message(struct verify *v, uint64_t id)
{
	struct strbuf body = STRBUF_INIT;
	struct record *r = NULL;
	struct db_txn t;
	struct err e;

	if (db_read_begin(&v->s->db, &t) != 0)
		return;
	if (read_message(&t, id, &r, &body, &e) == 0)
		check_rcpts(v, &t, r);
	else if (e.code != ENOENT)
		found(v, id, "%s", e.text);
	db_read_end(&t);
	if (r != NULL && r->body_kind == BODY_FILE)
		check_file(v, r);
	record_free(&r);
	strbuf_free(&body);
}

static void
check_messages(struct verify *v)
{
	uint64_t ids[CHUNK], last = 0, done = 0;
	size_t n, i;

	/* Id 0 is never given out; a record there is out of reach. */
	while ((n = store_list(v->s, last, ids, CHUNK)) > 0) {
		for (i = 0; i < n; i++)
			check_message(v, ids[i]);
		last = ids[n - 1];
		store_tell_progress(v->s, done += n);
	}
}

/* ---- due entries ---- */

static bool
waits(const struct record *r, const struct store_due *d)
{
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++) {
		const struct record_rcpt *rc = &r->rcpt[i];

		if (rc->state == RCPT_PENDING && rc->lane == d->lane &&
		    rc->due == d->time)
			return true;
	}
	return false;
}

static void
check_due(struct verify *v, const struct store_due *d)
{
	uint32_t lane = d->lane & ~STORE_LEASED;
	struct record *r = NULL;
	struct db_txn t;
	struct err e;

	if (db_read_begin(&v->s->db, &t) != 0)
		return;
	if (!due_there(&t, d->lane, d->time, d->id)) {
		db_read_end(&t);
		return;
	}
	if (read_message(&t, d->id, &r, NULL, &e) < 0) {
		if (e.code == ENOENT)
			found(v, d->id, "a due entry in lane %u, but no such "
			    "message", lane);
	} else if (!waits(r, d)) {
		found(v, d->id, "a due entry in lane %u for which no "
		    "recipient waits", lane);
	}
	db_read_end(&t);
	record_free(&r);
}

static void
check_dues(struct verify *v)
{
	struct store_due first, *d = mem_zarray(CHUNK, sizeof(*d)), last;
	uint32_t lane = 0;
	bool there;
	size_t n, i;

	if (store_due_scan(v->s, 0, UINT64_MAX, NULL, d, 1) == 1)
		found(v, d[0].id, "a due entry in no lane");
	while (store_due_next_lane(v->s, lane, &first)) {
		lane = first.lane;
		there = false;
		while ((n = store_due_scan(v->s, lane, UINT64_MAX,
		    there ? &last : NULL, d, CHUNK)) > 0) {
			for (i = 0; i < n; i++)
				check_due(v, &d[i]);
			last = d[n - 1];
			there = true;
		}
	}
	free(d);
}

static void
wrong_count(void *arg, uint32_t lane, uint64_t there, uint64_t noted)
{
	struct verify *v = arg;
	char text[120];

	snprintf(text, sizeof(text), "lane %u%s has %llu due entr%s, and %llu "
	    "are noted", lane & ~STORE_LEASED, (lane & STORE_LEASED) != 0 ?
	    " (in flight)" : "", (unsigned long long)there,
	    there == 1 ? "y" : "ies", (unsigned long long)noted);
	v->found++;
	if (v->finding != NULL)
		v->finding(v->arg, text);
}

static void
check_counts(struct verify *v)
{
	struct db_txn t;

	if (db_read_begin(&v->s->db, &t) != 0)
		return;
	due_counts_check(&t, wrong_count, v);
	db_read_end(&t);
}

/* ---- parts, files, the rest ---- */

static void
check_part(struct verify *v, uint64_t id, uint32_t part)
{
	unsigned char key[KEY_PART];
	struct record *r = NULL;
	struct db_txn t;
	struct err e;
	int rc;

	key_part(key, id, part);
	if (db_read_begin(&v->s->db, &t) != 0)
		return;
	if (db_get(&t, T_BODY, slice_of(key, sizeof(key)), NULL) &&
	    !db_get(&t, T_QUARANTINE, slice_of(key, KEY_ID), NULL)) {
		rc = read_message(&t, id, &r, NULL, &e);
		if (rc < 0 ? e.code == ENOENT : r->body_kind != BODY_PARTS ||
		    part >= body_parts(r->body_size))
			found(v, id, "part %u of a body that no message has",
			    part);
	}
	db_read_end(&t);
	record_free(&r);
}

static size_t
list_parts(struct store *s, unsigned char key[KEY_PART],
    unsigned char (*out)[KEY_PART])
{
	struct db_cursor c;
	struct db_txn t;
	size_t n = 0;
	bool there;

	if (db_read_begin(&s->db, &t) != 0)
		return 0;
	for (there = db_seek(&c, &t, T_BODY, slice_of(key, KEY_PART), false);
	    there && n < CHUNK; there = db_step(&c))
		if (c.key.n == KEY_PART &&
		    memcmp(c.key.p, key, KEY_PART) > 0)
			memcpy(out[n++], c.key.p, KEY_PART);
	db_cursor_end(&c);
	db_read_end(&t);
	return n;
}

static void
check_parts(struct verify *v)
{
	unsigned char (*keys)[KEY_PART] = mem_zarray(CHUNK, KEY_PART);
	unsigned char last[KEY_PART] = { 0 };
	size_t n, i;

	while ((n = list_parts(v->s, last, keys)) > 0) {
		for (i = 0; i < n; i++)
			check_part(v, get_be64(keys[i]),
			    get_be32(keys[i] + 8));
		memcpy(last, keys[n - 1], KEY_PART);
	}
	free(keys);
}

static void
check_files(struct verify *v)
{
	struct dirent *e;
	unsigned dir;
	uint64_t id;
	DIR *d;

	for (dir = 0; dir < SPOOL_DIRS; dir++) {
		d = spool_dir_stream(v->s, dir);
		if (d == NULL)
			continue;
		while ((e = readdir(d)) != NULL)
			if (spool_is_orphan(v->s, dirfd(d), e->d_name, dir,
			    SPOOL_STALE_MS, &id))
				found(v, id, "a body file that no message "
				    "has");
		closedir(d);
	}
}

static void
check_rest(struct verify *v)
{
	struct slice in, key, value, text, state;
	struct strbuf b = STRBUF_INIT;
	uint64_t ids[CHUNK], last = 0;
	size_t n, i;

	db_gather(&v->s->db, T_LANE, slice_of(NULL, 0), false, SIZE_MAX,
	    SIZE_MAX, &b);
	in = strbuf_slice(&b);
	while (db_gathered(&in, &key, &value))
		if (key.n != KEY_LANE || lane_value(value, &text, &state) < 0)
			found(v, key.n == KEY_LANE ? get_be32(
			    (const unsigned char *)key.p) : 0,
			    "the record of this lane is damaged");
	strbuf_free(&b);
	while ((n = store_list_quarantine(v->s, last, ids, CHUNK)) > 0) {
		for (i = 0; i < n; i++)
			found(v, ids[i], "in quarantine");
		last = ids[n - 1];
	}
}

size_t
store_verify(struct store *s, void (*finding)(void *arg, const char *text),
    void *arg)
{
	struct verify v = { .s = s, .finding = finding, .arg = arg };

	check_messages(&v);
	check_dues(&v);
	check_counts(&v);
	check_parts(&v);
	check_files(&v);
	check_rest(&v);
	return v.found;
}

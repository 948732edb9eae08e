/* Help for all tests of the store; see fixture.h. */
#include "fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "support/tree.h"

#define PATIENCE_MS 20000

static void
wake(void *arg)
{
	struct fixture *f = arg;
	uint64_t one = 1;

	if (write(f->event, &one, sizeof(one)) < 0)
		abort();
}

int
fixture_setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	snprintf(f->dir, sizeof(f->dir), "%.40s/store.XXXXXX",
	    tmp ? tmp : "/tmp");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	f->event = eventfd(0, EFD_CLOEXEC);
	clock_update();
	fixture_open(f, false);
	*state = f;
	return 0;
}

int
fixture_teardown(void **state)
{
	struct fixture *f = *state;

	store_close(&f->s);
	close(f->event);
	tree_remove(f->dir);
	free(f);
	return 0;
}

struct store *
fixture_try_open(struct fixture *f, bool read_only, size_t map_size,
    struct err *e)
{
	struct store_options o = { .spool = f->dir, .read_only = read_only,
	    .wake = wake, .wake_arg = f, .map_size = map_size };

	return store_open(&o, e);
}

void
fixture_open(struct fixture *f, bool read_only)
{
	struct err e = { 0 };

	f->s = fixture_try_open(f, read_only, 0, &e);
	if (f->s == NULL)
		fail_msg("store_open: %s", e.text);
}

void
fixture_reopen(struct fixture *f)
{
	store_close(&f->s);
	fixture_open(f, false);
}

/* ---- changes ---- */

void
note_result(void *arg, int code, const char *text)
{
	struct result *r = arg;

	r->code = code;
	snprintf(r->text, sizeof(r->text), "%s", text);
	r->done = true;
}

void
wait_for(struct fixture *f, const struct result *r)
{
	struct pollfd p = { .fd = f->event, .events = POLLIN };
	uint64_t n;

	while (!r->done) {
		if (poll(&p, 1, PATIENCE_MS) != 1)
			fail_msg("no completion");
		if (read(f->event, &n, sizeof(n)) < 0)
			fail_msg("eventfd");
		store_complete(f->s);
	}
}

int
commit(struct fixture *f, struct store_change **c)
{
	struct result r = { .done = false };

	store_commit(f->s, c, false, note_result, &r);
	assert_null(*c);
	wait_for(f, &r);
	return r.code;
}

/* ---- messages ---- */

struct record *
make_record(uint64_t id, struct slice body)
{
	struct envelope *env = envelope_new();
	struct record *r;

	env->id = id;
	env->received_ms = 1795000000000;
	env->size = body.n;
	env->crc = crc32c(0, body.p, body.n);
	envelope_set(&env->from, slice_cstr("sender@device.example"));
	envelope_add_recipient(env, slice_cstr("somebody@example.org"), 0,
	    slice_of(NULL, 0));
	r = record_new(env);
	r->rcpt[0].lane = LANE;
	r->rcpt[0].due = DUE;
	return r;
}

struct slice
make_body(size_t n, unsigned seed)
{
	static char *buf;
	size_t i;

	free(buf);
	buf = mem_alloc(n + 1);
	for (i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		buf[i] = (char)(seed >> 24);
	}
	return slice_of(buf, n);
}

void
add_message(struct store_change *c, uint64_t id, struct slice body)
{
	struct record *r = make_record(id, body);

	store_new_message(c, r, body);
	store_due_add(c, LANE, DUE, id);
	record_free(&r);
}

void
add_file_message(struct fixture *f, struct store_change *c, uint64_t id,
    struct slice body)
{
	struct record *r = make_record(id, body);
	struct err e = { 0 };
	int fd;

	fd = store_body_file(f->s, &e);
	if (fd < 0)
		fail_msg("store_body_file: %s", e.text);
	assert_int_equal(fs_write_all(fd, body.p, body.n), 0);
	store_new_message_file(c, r, fd);
	store_due_add(c, LANE, DUE, id);
	record_free(&r);
}

void
put_message(struct fixture *f, uint64_t id, struct slice body)
{
	struct store_change *c = store_change_new(f->s);

	add_message(c, id, body);
	assert_int_equal(commit(f, &c), 0);
}

void
remove_message(struct fixture *f, struct store_change *c, uint64_t id)
{
	struct record *r;
	struct err e = { 0 };

	if (store_get(f->s, id, &r, &e) < 0)
		fail_msg("store_get: %s", e.text);
	store_delete(c, r);
	store_due_del(c, LANE, DUE, id);
	record_free(&r);
}

void
expect_message(struct fixture *f, uint64_t id, struct slice body)
{
	struct strbuf got = STRBUF_INIT;
	struct record *r = NULL;
	struct err e = { 0 };
	int fd;

	if (store_get(f->s, id, &r, &e) < 0)
		fail_msg("store_get: %s", e.text);
	assert_int_equal(r->env->id, id);
	assert_int_equal(r->body_size, body.n);
	if (r->body_kind == BODY_FILE) {
		fd = store_open_body(f->s, r, &e);
		if (fd < 0)
			fail_msg("store_open_body: %s", e.text);
		assert_int_equal(fs_pread_all(fd, strbuf_room(&got, body.n),
		    body.n, 0), 0);
		got.n = body.n;
		close(fd);
	} else {
		record_free(&r);
		if (store_get_body(f->s, id, &r, &got, &e) < 0)
			fail_msg("store_get_body: %s", e.text);
	}
	assert_true(slice_eq(strbuf_slice(&got), body));
	strbuf_free(&got);
	record_free(&r);
}

int
get_code(struct fixture *f, uint64_t id)
{
	struct record *r = NULL;
	struct err e = { 0 };

	if (store_get(f->s, id, &r, &e) == 0) {
		record_free(&r);
		return 0;
	}
	return e.code;
}

/* ---- verify ---- */

static void
join(void *arg, const char *text)
{
	struct strbuf *b = arg;

	strbuf_printf(b, "%s\n", text);
}

size_t
verify(struct fixture *f, char *text, size_t n)
{
	struct strbuf b = STRBUF_INIT;
	size_t found = store_verify(f->s, join, &b);

	snprintf(text, n, "%s", strbuf_cstr(&b));
	strbuf_free(&b);
	return found;
}

void
expect_clean(struct fixture *f)
{
	char text[2000];

	if (verify(f, text, sizeof(text)) != 0)
		fail_msg("verify: %s", text);
}

/* ---- behind the store's back ---- */

static MDB_env *
raw_begin(struct fixture *f, const char *table, MDB_txn **txn, MDB_dbi *dbi)
{
	char path[100];
	MDB_env *env;

	snprintf(path, sizeof(path), "%s/queue", f->dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 16);
	mdb_env_set_mapsize(env, (size_t)1 << 30);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, txn), 0);
	assert_int_equal(mdb_dbi_open(*txn, table, 0, dbi), 0);
	return env;
}

static MDB_val
raw_val(struct slice s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

void
raw_put(struct fixture *f, const char *table, struct slice key,
    struct slice value)
{
	MDB_val k = raw_val(key), v = raw_val(value);
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_env *env;

	store_close(&f->s);
	env = raw_begin(f, table, &txn, &dbi);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

void
raw_del(struct fixture *f, const char *table, struct slice key)
{
	MDB_val k = raw_val(key);
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_env *env;

	store_close(&f->s);
	env = raw_begin(f, table, &txn, &dbi);
	assert_int_equal(mdb_del(txn, dbi, &k, NULL), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

size_t
raw_get(struct fixture *f, const char *table, struct slice key, char *out,
    size_t n)
{
	MDB_val k = raw_val(key), v;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_env *env;

	store_close(&f->s);
	env = raw_begin(f, table, &txn, &dbi);
	assert_int_equal(mdb_get(txn, dbi, &k, &v), 0);
	assert_true(v.mv_size <= n);
	memcpy(out, v.mv_data, v.mv_size);
	n = v.mv_size;
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return n;
}

/* Damage: each kind is found, none stops the rest; and house keeping. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"
#include "store/value.h"
#include "support/clock_ahead.h"

/* Exactly one finding, about this id, with this text. */
static void
expect_finding(struct fixture *f, uint64_t id, const char *what)
{
	char text[2000], name[NUM_ID_LEN + 1];
	size_t n = verify(f, text, sizeof(text));

	num_id_text(id, name);
	if (n != 1 || strncmp(text, name, NUM_ID_LEN) != 0 ||
	    strstr(text, what) == NULL)
		fail_msg("wanted \"%s\", got %zu: %s", what, n, text);
}

static struct slice
id_key(uint64_t id)
{
	static unsigned char key[KEY_ID];

	put_be64(key, id);
	return slice_of(key, sizeof(key));
}

static struct slice
due_key(uint32_t lane, uint64_t time, uint64_t id)
{
	static unsigned char key[KEY_DUE];

	key_due(key, lane, time, id);
	return slice_of(key, sizeof(key));
}

/* Turns one bit of a message's value over; at < 0: from its end. */
static void
damage(struct fixture *f, uint64_t id, int at)
{
	char value[20000];
	size_t n = raw_get(f, "message", id_key(id), value, sizeof(value));

	if (at < 0)
		value[n - (size_t)-at] ^= 1;
	else
		value[at] ^= 1;
	raw_put(f, "message", id_key(id), slice_of(value, n));
	fixture_open(f, false);
}

/* ---- what cannot be read ---- */

static void
test_a_damaged_record_goes_to_quarantine(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;
	struct store_due d[4];
	uint64_t ids[4];

	put_message(f, ID(1), SLICE_LIT("one"));
	put_message(f, ID(2), SLICE_LIT("two"));
	put_message(f, ID(3), SLICE_LIT("three"));
	damage(f, ID(2), 30);
	assert_int_equal(get_code(f, ID(2)), EILSEQ);
	expect_finding(f, ID(2), "damaged");
	expect_message(f, ID(1), SLICE_LIT("one"));

	c = store_change_new(f->s);
	store_due_add(c, LANE | STORE_LEASED, DUE + 5, ID(2));
	store_quarantine(c, ID(2), COUNT_KINDS);
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(get_code(f, ID(2)), ENOENT);
	assert_int_equal(store_due_scan(f->s, LANE, UINT64_MAX, NULL, d, 4),
	    2);
	assert_int_equal(store_due_scan(f->s, LANE | STORE_LEASED,
	    UINT64_MAX, NULL, d, 4), 0);
	assert_int_equal(store_list_quarantine(f->s, 0, ids, 4), 1);
	assert_int_equal(ids[0], ID(2));
	expect_finding(f, ID(2), "in quarantine");
	expect_message(f, ID(3), SLICE_LIT("three"));
}

static void
test_the_parts_of_a_quarantined_message_stay(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;

	put_message(f, ID(1), make_body(100000, 1));
	damage(f, ID(1), 30);
	c = store_change_new(f->s);
	store_quarantine(c, ID(1), COUNT_KINDS);
	assert_int_equal(commit(f, &c), 0);
	expect_finding(f, ID(1), "in quarantine");
}

static void
test_the_state_of_a_damaged_record_is_not_replaced(void **state)
{
	struct fixture *f = *state;
	struct record *r = make_record(ID(1), SLICE_LIT("one"));
	struct store_change *c;

	put_message(f, ID(1), SLICE_LIT("one"));
	damage(f, ID(1), 0);
	c = store_change_new(f->s);
	store_put_state(c, r);
	assert_int_equal(commit(f, &c), EILSEQ);
	record_free(&r);
}

static void
test_a_damaged_body_is_noticed_when_it_is_read(void **state)
{
	struct fixture *f = *state;
	struct strbuf b = STRBUF_INIT;
	struct record *r;
	struct err e;

	put_message(f, ID(1), SLICE_LIT("body"));
	damage(f, ID(1), -1);
	assert_int_equal(get_code(f, ID(1)), 0);
	strbuf_puts(&b, "kept");
	assert_int_equal(store_get_body(f->s, ID(1), &r, &b, &e), -1);
	assert_int_equal(e.code, EILSEQ);
	assert_null(r);
	assert_int_equal(b.n, 4);
	strbuf_free(&b);
	expect_finding(f, ID(1), "body is damaged");
}

static void
test_a_body_that_was_cut_off_is_noticed(void **state)
{
	struct fixture *f = *state;
	char value[2000];
	size_t n;

	put_message(f, ID(1), SLICE_LIT("body"));
	n = raw_get(f, "message", id_key(ID(1)), value, sizeof(value));
	raw_put(f, "message", id_key(ID(1)), slice_of(value, n - 1));
	fixture_open(f, false);
	assert_int_equal(get_code(f, ID(1)), EILSEQ);
	/* A record under another's id. */
	raw_put(f, "message", id_key(ID(1)), slice_of(value, n));
	raw_put(f, "message", id_key(ID(2)), slice_of(value, n));
	fixture_open(f, false);
	assert_int_equal(get_code(f, ID(1)), 0);
	assert_int_equal(get_code(f, ID(2)), EILSEQ);
}

/* ---- what verify finds ---- */

static void
test_a_missing_due_entry_is_found(void **state)
{
	struct fixture *f = *state;

	put_message(f, ID(1), SLICE_LIT("one"));
	put_message(f, ID(2), SLICE_LIT("two"));
	raw_del(f, "due", due_key(LANE, DUE, ID(2)));
	fixture_open(f, false);
	expect_finding(f, ID(2), "has no due entry in lane 7");
	/* One at another time, or leased, is not the one that is meant. */
	raw_put(f, "due", due_key(LANE, DUE + 9, ID(2)), slice_of("", 0));
	raw_put(f, "due", due_key(LANE | STORE_LEASED, DUE, ID(2)),
	    slice_of("", 0));
	fixture_open(f, false);
	assert_int_equal(store_verify(f->s, NULL, NULL), 3);
}

static void
test_due_entries_for_nothing_are_found(void **state)
{
	struct fixture *f = *state;

	put_message(f, ID(1), SLICE_LIT("one"));
	raw_put(f, "due", due_key(LANE, DUE, ID(9)), slice_of("", 0));
	fixture_open(f, false);
	expect_finding(f, ID(9), "no such message");
	raw_del(f, "due", due_key(LANE, DUE, ID(9)));
	fixture_open(f, false);		/* counts what is left */
	raw_put(f, "due", due_key(LANE + 1, DUE, ID(1)), slice_of("", 0));
	fixture_open(f, false);
	expect_finding(f, ID(1), "lane 8 for which no recipient");
	raw_del(f, "due", due_key(LANE + 1, DUE, ID(1)));
	fixture_open(f, false);
	raw_put(f, "due", due_key(LANE, DUE + 1, ID(1)), slice_of("", 0));
	fixture_open(f, false);
	expect_finding(f, ID(1), "lane 7 for which no recipient");
	raw_del(f, "due", due_key(LANE, DUE + 1, ID(1)));
	fixture_open(f, false);
	raw_put(f, "due", due_key(0, DUE, ID(1)), slice_of("", 0));
	fixture_open(f, false);
	expect_finding(f, ID(1), "in no lane");
}

static void
set_state(struct fixture *f, uint8_t rcpt_state, uint32_t lane, bool held)
{
	struct store_change *c = store_change_new(f->s);
	struct record *r;
	struct err e;

	assert_int_equal(store_get(f->s, ID(1), &r, &e), 0);
	r->rcpt[0].state = rcpt_state;
	r->rcpt[0].lane = lane;
	r->held = held;
	store_put_state(c, r);
	assert_int_equal(commit(f, &c), 0);
	record_free(&r);
}

static void
test_messages_that_nobody_would_try_are_found(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;

	put_message(f, ID(1), SLICE_LIT("one"));
	c = store_change_new(f->s);
	store_due_del(c, LANE, DUE, ID(1));
	assert_int_equal(commit(f, &c), 0);
	set_state(f, RCPT_PENDING, 0, false);
	expect_finding(f, ID(1), "is in no lane");
	set_state(f, RCPT_PENDING, 0, true);
	expect_clean(f);
	set_state(f, RCPT_DELIVERED, 0, false);
	expect_finding(f, ID(1), "no recipient is pending");
}

static void
test_missing_and_superfluous_parts_are_found(void **state)
{
	struct fixture *f = *state;
	unsigned char key[KEY_PART];
	struct slice k = slice_of(key, sizeof(key));

	put_message(f, ID(1), make_body(100000, 1));
	key_part(key, ID(1), 2);
	raw_put(f, "body", k, SLICE_LIT("third"));
	fixture_open(f, false);
	expect_finding(f, ID(1), "part 2 of a body that no message has");
	raw_del(f, "body", k);
	key_part(key, ID(5), 0);
	raw_put(f, "body", k, SLICE_LIT("alone"));
	fixture_open(f, false);
	expect_finding(f, ID(5), "part 0 of a body that no message has");
	raw_del(f, "body", k);
	key_part(key, ID(1), 1);
	raw_del(f, "body", k);
	fixture_open(f, false);
	expect_finding(f, ID(1), "part 1 of the body is missing");
}

static void
test_a_damaged_lane_is_found_and_left_out(void **state)
{
	struct fixture *f = *state;

	raw_put(f, "lane", SLICE_LIT("\0\0\0\3"), SLICE_LIT("\1junkjunkjunk"));
	fixture_open(f, false);
	expect_finding(f, 3, "lane is damaged");
	store_each_lane(f->s, NULL, NULL);
}

static char *
file_path(const struct fixture *f, uint64_t id)
{
	char name[NUM_ID_LEN + 1];

	num_id_text(id, name);
	return mem_printf("%s/%02x/%s", f->dir,
	    (unsigned)(id >> 32 & 0xff), name);
}

static void
put_file(struct fixture *f, uint64_t id, struct slice body)
{
	struct store_change *c = store_change_new(f->s);

	add_file_message(f, c, id, body);
	assert_int_equal(commit(f, &c), 0);
}

static void
test_missing_and_damaged_files_are_found(void **state)
{
	struct fixture *f = *state;
	char *path = file_path(f, ID(1));
	int fd;

	put_file(f, ID(1), make_body(300000, 1));
	expect_clean(f);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "damage", 6, 150000), 6);
	close(fd);
	expect_finding(f, ID(1), "file is damaged: 300000 octets of 300000");
	assert_int_equal(truncate(path, 1000), 0);
	expect_finding(f, ID(1), "file is damaged: 1000 octets of 300000");
	assert_int_equal(unlink(path), 0);
	expect_finding(f, ID(1), "No such file");
	free(path);
}

/* ---- sweeping ---- */

static void
sweep_all(struct fixture *f, uint64_t history_before)
{
	unsigned n;

	for (n = 0; n < 100000; n++) {
		store_complete(f->s);
		if (!store_sweep(f->s, history_before) &&
		    store_in_flight(f->s) == 0)
			return;
	}
	fail_msg("the sweep does not end");
}

static void
make_orphan(struct fixture *f, uint64_t id)
{
	char *path = file_path(f, id);
	char *slash = strrchr(path, '/');
	int fd;

	*slash = '\0';
	(void)mkdir(path, 0700);
	*slash = '/';
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	free(path);
}

static bool
is_there(struct fixture *f, uint64_t id)
{
	char *path = file_path(f, id);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static void
test_orphans_are_swept_when_they_are_old(void **state)
{
	struct fixture *f = *state;
	uint64_t far = ID(9) + ((uint64_t)200 << 32);
	unsigned i;

	put_file(f, ID(1), SLICE_LIT("kept"));
	for (i = 2; i < 300; i++)
		make_orphan(f, ID(i));
	make_orphan(f, far);
	sweep_all(f, 0);
	expect_clean(f);
	fixture_reopen(f);
	assert_true(is_there(f, ID(2)));

	clock_ahead(1200000);
	assert_int_equal(store_verify(f->s, NULL, NULL), 299);
	sweep_all(f, 0);
	fixture_reopen(f);
	expect_clean(f);
	assert_true(is_there(f, ID(1)));
	assert_false(is_there(f, ID(2)));
	assert_false(is_there(f, far));
	expect_message(f, ID(1), SLICE_LIT("kept"));
	clock_ahead(0);
}

static void
test_a_file_on_its_way_is_not_swept(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	struct result r = { 0 };
	struct pollfd p = { .fd = -1 };
	unsigned i;

	clock_ahead(120000);
	add_file_message(f, c, ID(1), SLICE_LIT("kept"));
	store_cork(f->s, true);
	store_commit(f->s, &c, false, note_result, &r);
	/* The helper links it, the corked writer does not commit it. */
	for (i = 0; i < 20000 && !is_there(f, ID(1)); i++)
		poll(&p, 0, 1);
	assert_true(is_there(f, ID(1)));
	while (store_sweep(f->s, 0))
		;
	store_cork(f->s, false);
	wait_for(f, &r);
	while (store_sweep(f->s, 0))
		;
	fixture_reopen(f);
	expect_message(f, ID(1), SLICE_LIT("kept"));
	expect_clean(f);
	clock_ahead(0);
}

static void
test_the_file_of_a_quarantined_message_is_not_swept(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;

	clock_ahead(120000);
	put_file(f, ID(1), SLICE_LIT("kept"));
	c = store_change_new(f->s);
	store_quarantine(c, ID(1), COUNT_KINDS);
	assert_int_equal(commit(f, &c), 0);
	sweep_all(f, 0);
	fixture_reopen(f);
	assert_true(is_there(f, ID(1)));
	clock_ahead(0);
}

static void
test_what_is_no_body_file_is_left_alone(void **state)
{
	struct fixture *f = *state;
	char *path = mem_printf("%s/00", f->dir);
	char *file = mem_printf("%s/notes.txt", path);
	int fd;

	clock_ahead(120000);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	sweep_all(f, 0);
	fixture_reopen(f);
	assert_int_equal(access(file, F_OK), 0);
	free(file);
	free(path);
	clock_ahead(0);
}

static void
test_temporary_names_of_an_earlier_run_are_removed(void **state)
{
	struct fixture *f = *state;
	char *path = mem_printf("%s/queue/tmp-0123456789abcdef", f->dir);
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	fixture_reopen(f);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
}

/* As on a file system without unnamed files. */
static void
test_a_body_may_have_a_temporary_name(void **state)
{
	struct fixture *f = *state;
	struct record *r = make_record(ID(1), SLICE_LIT("named"));
	char *path = mem_printf("%s/queue/tmp-0123456789abcdef", f->dir);
	struct store_change *c = store_change_new(f->s);
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fs_write_all(fd, "named", 5), 0);
	store_new_message_file(c, r, fd);
	store_due_add(c, LANE, DUE, ID(1));
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(access(path, F_OK), -1);
	expect_message(f, ID(1), SLICE_LIT("named"));
	record_free(&r);

	/* Any other named file is none of ours. */
	r = make_record(ID(2), SLICE_LIT("named"));
	c = store_change_new(f->s);
	free(path);
	path = mem_printf("%s/other", f->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fs_write_all(fd, "named", 5), 0);
	store_new_message_file(c, r, fd);
	assert_int_equal(commit(f, &c), EINVAL);
	assert_int_equal(access(path, F_OK), 0);
	record_free(&r);
	free(path);
}

static bool
count_history(void *arg, uint64_t time, uint64_t id, struct slice value)
{
	size_t *n = arg;

	(void)time;
	(void)id;
	(void)value;
	(*n)++;
	return true;
}

static void
test_history_is_trimmed_by_age(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	uint64_t i;
	size_t n = 0;

	for (i = 1; i <= 3000; i++)
		store_put_history(c, i, i, SLICE_LIT("value"));
	assert_int_equal(commit(f, &c), 0);
	sweep_all(f, 2501);
	store_history(f->s, 0, false, count_history, &n);
	assert_int_equal(n, 500);
}

static void
test_history_is_trimmed_by_size(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;
	uint64_t i, k;
	size_t n = 0;

	for (i = 0; i < STORE_HISTORY_MAX + 1500; i += k) {
		c = store_change_new(f->s);
		for (k = 0; k < 10000 && i + k < STORE_HISTORY_MAX + 1500; k++)
			store_put_history(c, i + k + 1, 1, slice_of("", 0));
		assert_int_equal(commit(f, &c), 0);
	}
	sweep_all(f, 0);
	store_history(f->s, 0, false, count_history, &n);
	assert_int_equal(n, STORE_HISTORY_MAX);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_damaged_record_goes_to_quarantine),
		TEST(test_the_parts_of_a_quarantined_message_stay),
		TEST(test_the_state_of_a_damaged_record_is_not_replaced),
		TEST(test_a_damaged_body_is_noticed_when_it_is_read),
		TEST(test_a_body_that_was_cut_off_is_noticed),
		TEST(test_a_missing_due_entry_is_found),
		TEST(test_due_entries_for_nothing_are_found),
		TEST(test_messages_that_nobody_would_try_are_found),
		TEST(test_missing_and_superfluous_parts_are_found),
		TEST(test_a_damaged_lane_is_found_and_left_out),
		TEST(test_missing_and_damaged_files_are_found),
		TEST(test_orphans_are_swept_when_they_are_old),
		TEST(test_a_file_on_its_way_is_not_swept),
		TEST(test_the_file_of_a_quarantined_message_is_not_swept),
		TEST(test_what_is_no_body_file_is_left_alone),
		TEST(test_temporary_names_of_an_earlier_run_are_removed),
		TEST(test_a_body_may_have_a_temporary_name),
		TEST(test_history_is_trimmed_by_age),
		TEST(test_history_is_trimmed_by_size),
	};

	return cmocka_run_group_tests(tests, clock_ahead_setup,
	    clock_ahead_teardown);
}

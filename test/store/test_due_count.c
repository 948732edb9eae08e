/* How many entries a lane has, and how much of the map stays in memory. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "store/internal.h"

#define OTHER 9u

static void
put(struct fixture *f, uint64_t id)
{
	put_message(f, id, make_body(100, 1));
}

static void
move(struct fixture *f, uint32_t from, uint32_t to, uint64_t id)
{
	struct store_change *c = store_change_new(f->s);

	store_due_del(c, from, DUE, id);
	store_due_add(c, to, DUE, id);
	assert_int_equal(commit(f, &c), 0);
}

static void
test_entries_are_counted_as_they_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;
	unsigned i;

	assert_int_equal(store_due_count(f->s, LANE), 0);
	for (i = 0; i < 5; i++)
		put(f, ID(i));
	assert_int_equal(store_due_count(f->s, LANE), 5);
	move(f, LANE, OTHER, ID(1));
	move(f, LANE, LANE | STORE_LEASED, ID(2));
	assert_int_equal(store_due_count(f->s, LANE), 3);
	assert_int_equal(store_due_count(f->s, OTHER), 1);
	assert_int_equal(store_due_count(f->s, LANE | STORE_LEASED), 1);
	fixture_reopen(f);
	assert_int_equal(store_due_count(f->s, LANE), 3);
	c = store_change_new(f->s);
	remove_message(f, c, ID(0));
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(store_due_count(f->s, LANE), 2);
}

static void
test_what_is_there_or_absent_already_is_not_counted_twice(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	put(f, ID(1));
	store_due_add(c, LANE, DUE, ID(1));
	store_due_del(c, LANE, DUE, ID(2));
	store_due_del(c, OTHER, DUE, ID(1));
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(store_due_count(f->s, LANE), 1);
	assert_int_equal(store_due_count(f->s, OTHER), 0);
}

static void
test_a_change_that_fails_counts_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	put(f, ID(1));
	add_message(c, ID(1), make_body(100, 1));
	store_due_add(c, OTHER, DUE, ID(1));
	assert_int_equal(commit(f, &c), EEXIST);
	assert_int_equal(store_due_count(f->s, LANE), 1);
	assert_int_equal(store_due_count(f->s, OTHER), 0);
}

static void
test_quarantine_takes_its_entries_off(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;

	put(f, ID(1));
	put(f, ID(2));
	c = store_change_new(f->s);
	store_due_add(c, OTHER, DUE, ID(1));
	assert_int_equal(commit(f, &c), 0);
	c = store_change_new(f->s);
	store_quarantine(c, ID(1), COUNT_KINDS);
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(store_due_count(f->s, LANE), 1);
	assert_int_equal(store_due_count(f->s, OTHER), 0);
}

static void
test_in_a_long_queue_quarantine_searches_for_no_entries(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	uint64_t ids[2];
	unsigned i;

	put(f, ID(1));
	for (i = 0; i < DROP_DUE_MAX; i++)
		store_due_add(c, OTHER, DUE, ID(1000 + i));
	assert_int_equal(commit(f, &c), 0);
	c = store_change_new(f->s);
	store_quarantine(c, ID(1), COUNT_KINDS);
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(get_code(f, ID(1)), ENOENT);
	assert_int_equal(store_list_quarantine(f->s, 0, ids, 2), 1);
	assert_int_equal(store_due_count(f->s, LANE), 1);
	assert_int_equal(store_due_count(f->s, OTHER), DROP_DUE_MAX);
}

/* The key under which a count stands. */
static struct slice
count_name(uint32_t lane)
{
	static char key[7];

	memcpy(key, "due", 3);
	key[3] = (char)(lane >> 24);
	key[4] = (char)(lane >> 16);
	key[5] = (char)(lane >> 8);
	key[6] = (char)lane;
	return slice_of(key, sizeof(key));
}

static void
test_counts_that_cannot_be_are_made_anew_by_the_next_start(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	for (i = 0; i < 7; i++)
		put(f, ID(i));
	move(f, LANE, OTHER, ID(3));
	/* As an older version left it. */
	raw_del(f, "meta", count_name(LANE));
	raw_del(f, "meta", count_name(OTHER));
	fixture_reopen(f);
	assert_int_equal(store_due_count(f->s, LANE), 6);
	assert_int_equal(store_due_count(f->s, OTHER), 1);
	/* A lane that has none, and a number that is none. */
	raw_put(f, "meta", count_name(77), slice_of("\0\0\0\0\0\0\1\0", 8));
	raw_put(f, "meta", count_name(OTHER), SLICE_LIT("abc"));
	fixture_reopen(f);
	assert_int_equal(store_due_count(f->s, 77), 0);
	assert_int_equal(store_due_count(f->s, LANE), 6);
	assert_int_equal(store_due_count(f->s, OTHER), 1);
	move(f, OTHER, LANE, ID(3));
	expect_clean(f);
}

static void
test_verify_tells_of_a_count_that_is_wrong(void **state)
{
	struct fixture *f = *state;
	char text[800];

	put(f, ID(1));
	put(f, ID(2));
	move(f, LANE, OTHER, ID(2));
	/* The sum is right, so that the start does not mend it. */
	raw_put(f, "meta", count_name(LANE), slice_of("\0\0\0\0\0\0\0\2", 8));
	raw_del(f, "meta", count_name(OTHER));
	fixture_open(f, true);
	/* And the entries of a message that was moved by hand. */
	assert_int_equal(verify(f, text, sizeof(text)), 4);
	assert_non_null(strstr(text, "lane 7 has 1 due entry, and 2 are "
	    "noted"));
	assert_non_null(strstr(text, "lane 9 has 1 due entry, and 0 are "
	    "noted"));
}

/* ---- memory ---- */

static uint64_t
resident_of_files(void)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *fp = fopen("/proc/self/status", "r");

	if (fp == NULL)
		return 0;
	while (fgets(line, sizeof(line), fp) != NULL)
		if (sscanf(line, "RssFile: %llu", &kib) == 1)
			break;
	fclose(fp);
	return kib << 10;
}

static void
test_the_map_does_not_stay_in_memory(void **state)
{
	struct fixture *f = *state;
	uint64_t before = resident_of_files(), now, most = 0;
	struct strbuf body = STRBUF_INIT;
	struct store_change *c;
	struct record *r;
	struct err e;
	unsigned i, n = 1200;			/* of 120 KiB */

	if (before == 0)
		skip();
	for (i = 0; i < n; i += 40) {
		unsigned k;

		c = store_change_new(f->s);
		for (k = i; k < i + 40; k++)
			add_message(c, ID(k), make_body(120 << 10, k));
		assert_int_equal(commit(f, &c), 0);
	}
	for (i = 0; i < n; i++) {
		strbuf_clear(&body);
		assert_int_equal(store_get_body(f->s, ID(i), &r, &body, &e),
		    0);
		record_free(&r);
		now = resident_of_files();
		if (now > most)
			most = now;
	}
	strbuf_free(&body);
	assert_true(most < before + (60u << 20));
	/* It is all still there. */
	expect_message(f, ID(0), make_body(120 << 10, 0));
	expect_message(f, ID(n - 1), make_body(120 << 10, n - 1));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, \
    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(test_entries_are_counted_as_they_come_and_go),
		T(test_what_is_there_or_absent_already_is_not_counted_twice),
		T(test_a_change_that_fails_counts_nothing),
		T(test_quarantine_takes_its_entries_off),
		T(test_in_a_long_queue_quarantine_searches_for_no_entries),
		T(test_counts_that_cannot_be_are_made_anew_by_the_next_start),
		T(test_verify_tells_of_a_count_that_is_wrong),
		T(test_the_map_does_not_stay_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

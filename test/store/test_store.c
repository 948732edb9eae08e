/* What the store keeps, and how changes share a commit. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* ---- messages ---- */

static void
test_bodies_of_every_kind_come_back(void **state)
{
	static const size_t sizes[] = { 0, 1, STORE_SMALL_BODY,
	    STORE_SMALL_BODY + 1, 65519, 65520, 65521, STORE_INLINE_MAX,
	    300000 };
	struct fixture *f = *state;
	unsigned i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		put_message(f, ID(i), make_body(sizes[i], i));
	fixture_reopen(f);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect_message(f, ID(i), make_body(sizes[i], i));
	expect_clean(f);
}

static void
test_a_large_body_is_a_file_that_goes_with_its_message(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	struct strbuf b = STRBUF_INIT;
	struct record *r;
	struct err e;

	add_file_message(f, c, ID(1), make_body(1 << 20, 1));
	assert_int_equal(commit(f, &c), 0);
	expect_message(f, ID(1), make_body(1 << 20, 1));
	assert_int_equal(store_get_body(f->s, ID(1), &r, &b, &e), -1);
	assert_int_equal(e.code, EINVAL);
	expect_clean(f);

	assert_int_equal(store_get(f->s, ID(1), &r, &e), 0);
	c = store_change_new(f->s);
	remove_message(f, c, ID(1));
	assert_int_equal(commit(f, &c), 0);
	fixture_reopen(f);
	assert_int_equal(store_open_body(f->s, r, &e), -1);
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(get_code(f, ID(1)), ENOENT);
	record_free(&r);
	expect_clean(f);
}

static void
test_a_file_that_is_not_what_was_announced_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;
	struct record *r;
	struct err e;
	unsigned i;
	int fd;

	for (i = 0; i < 2; i++) {
		r = make_record(ID(1), SLICE_LIT("abcd"));
		fd = store_body_file(f->s, &e);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, i ? "abcx" : "abc", 3 + i), 3 + i);
		c = store_change_new(f->s);
		store_new_message_file(c, r, fd);
		assert_int_equal(commit(f, &c), EILSEQ);
		record_free(&r);
	}
	assert_int_equal(get_code(f, ID(1)), ENOENT);
	c = store_change_new(f->s);
	r = make_record(ID(1), SLICE_LIT("abcd"));
	store_new_message(c, r, SLICE_LIT("abce"));
	assert_int_equal(commit(f, &c), EILSEQ);
	record_free(&r);
}

static void
test_a_body_without_announcement_is_measured(void **state)
{
	struct fixture *f = *state;
	struct record *r = make_record(ID(1), slice_of("", 0));
	struct store_change *c = store_change_new(f->s);

	store_new_message(c, r, SLICE_LIT("a report"));
	store_due_add(c, LANE, DUE, ID(1));
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(r->body_size, 8);
	record_free(&r);
	expect_message(f, ID(1), SLICE_LIT("a report"));
}

static void
change_state(struct fixture *f, uint64_t id, int expected)
{
	struct store_change *c = store_change_new(f->s);
	struct record *r;
	struct err e;

	assert_int_equal(store_get(f->s, id, &r, &e), 0);
	r->rcpt[0].attempts++;
	free(r->rcpt[0].last_reply);
	r->rcpt[0].last_reply = mem_strdup("451 4.3.0 a longer reply");
	store_put_state(c, r);
	assert_int_equal(commit(f, &c), expected);
	record_free(&r);
}

static void
test_a_new_state_leaves_the_body(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;
	struct record *r;
	struct err e;
	unsigned i;

	put_message(f, ID(1), make_body(4096, 1));
	put_message(f, ID(2), make_body(100000, 2));
	c = store_change_new(f->s);
	add_file_message(f, c, ID(3), make_body(200000, 3));
	assert_int_equal(commit(f, &c), 0);
	for (i = 1; i <= 3; i++)
		change_state(f, ID(i), 0);
	change_state(f, ID(1), 0);
	expect_message(f, ID(1), make_body(4096, 1));
	expect_message(f, ID(2), make_body(100000, 2));
	expect_message(f, ID(3), make_body(200000, 3));
	assert_int_equal(store_get(f->s, ID(1), &r, &e), 0);
	assert_int_equal(r->rcpt[0].attempts, 2);
	assert_string_equal(r->rcpt[0].last_reply,
	    "451 4.3.0 a longer reply");
	record_free(&r);
}

static void
test_the_state_of_a_message_that_is_gone_is_refused(void **state)
{
	struct fixture *f = *state;
	struct record *r = make_record(ID(1), SLICE_LIT("x"));
	struct store_change *c = store_change_new(f->s);

	store_put_state(c, r);
	store_count(c, COUNT_HELD, 1);
	assert_int_equal(commit(f, &c), ENOENT);
	assert_int_equal(store_counter(f->s, COUNT_HELD), 0);

	/* Made and changed at once is no contradiction. */
	c = store_change_new(f->s);
	add_message(c, ID(1), SLICE_LIT("x"));
	r->held = true;
	store_put_state(c, r);
	assert_int_equal(commit(f, &c), 0);
	record_free(&r);
	expect_message(f, ID(1), SLICE_LIT("x"));
}

static void
test_the_way_a_body_is_kept_does_not_change(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;
	struct record *r;
	struct err e;

	put_message(f, ID(1), SLICE_LIT("body"));
	assert_int_equal(store_get(f->s, ID(1), &r, &e), 0);
	r->body_kind = BODY_FILE;
	c = store_change_new(f->s);
	store_put_state(c, r);
	assert_int_equal(commit(f, &c), EINVAL);
	record_free(&r);
	expect_message(f, ID(1), SLICE_LIT("body"));
}

/* ---- sharing a commit ---- */

static void
test_a_taken_id_harms_no_other_change(void **state)
{
	struct fixture *f = *state;
	struct store_change *c[4];
	struct result r[4] = { 0 };
	unsigned i;

	store_cork(f->s, true);
	for (i = 0; i < 4; i++) {
		c[i] = store_change_new(f->s);
		store_put_history(c[i], 5, i, SLICE_LIT("h"));
	}
	add_message(c[0], ID(1), SLICE_LIT("first"));
	add_message(c[1], ID(2), SLICE_LIT("new"));
	add_message(c[1], ID(1), SLICE_LIT("second"));
	add_message(c[2], ID(3), SLICE_LIT("third"));
	add_message(c[3], ID(4), SLICE_LIT("twice"));
	add_message(c[3], ID(4), SLICE_LIT("twice"));
	for (i = 0; i < 4; i++)
		store_commit(f->s, &c[i], false, note_result, &r[i]);
	assert_int_equal(store_in_flight(f->s), 4);
	store_cork(f->s, false);
	for (i = 0; i < 4; i++)
		wait_for(f, &r[i]);
	assert_int_equal(store_in_flight(f->s), 0);
	assert_int_equal(r[0].code, 0);
	assert_int_equal(r[1].code, EEXIST);
	assert_int_equal(r[2].code, 0);
	assert_int_equal(r[3].code, EEXIST);
	assert_int_not_equal(r[1].text[0], 0);
	expect_message(f, ID(1), SLICE_LIT("first"));
	expect_message(f, ID(3), SLICE_LIT("third"));
	assert_int_equal(get_code(f, ID(2)), ENOENT);
	assert_int_equal(get_code(f, ID(4)), ENOENT);
	expect_clean(f);
}

struct order {
	unsigned next;
	bool broken;
};

struct place {
	struct order *o;
	unsigned n;
};

static void
note_order(void *arg, int code, const char *text)
{
	struct place *p = arg;

	(void)text;
	if (code != 0 || p->o->next++ != p->n)
		p->o->broken = true;
}

static void
test_callbacks_come_in_order_of_commit(void **state)
{
	enum { COUNT = 5000 };
	struct fixture *f = *state;
	struct place *p = mem_zarray(COUNT, sizeof(*p));
	struct order o = { 0 };
	struct store_change *c;
	unsigned i;

	for (i = 0; i < COUNT; i++) {
		p[i] = (struct place){ &o, i };
		c = store_change_new(f->s);
		add_message(c, ID(i + 1), make_body(2000, i));
		store_count(c, COUNT_QUEUED, 1);
		store_commit(f->s, &c, i % 3 == 0, note_order, &p[i]);
	}
	/* Closing waits for all of them. */
	fixture_reopen(f);
	assert_int_equal(o.next, COUNT);
	assert_false(o.broken);
	assert_int_equal(store_total(f->s), COUNT);
	assert_int_equal(store_counter(f->s, COUNT_QUEUED), COUNT);
	expect_clean(f);
	free(p);
}

static void
test_a_lazy_change_is_written_without_company(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	struct result r = { 0 };

	add_message(c, ID(1), SLICE_LIT("lazy"));
	store_commit(f->s, &c, true, note_result, &r);
	wait_for(f, &r);
	assert_int_equal(r.code, 0);
	expect_message(f, ID(1), SLICE_LIT("lazy"));
}

static void
test_a_change_may_be_empty_or_dropped(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	assert_int_equal(commit(f, &c), 0);
	c = store_change_new(f->s);
	add_message(c, ID(1), SLICE_LIT("x"));
	add_file_message(f, c, ID(2), SLICE_LIT("xyz"));
	store_change_drop(&c);
	assert_null(c);
	store_change_drop(&c);
	assert_int_equal(store_total(f->s), 0);

	/* A dropped file leaves its id free. */
	c = store_change_new(f->s);
	add_file_message(f, c, ID(2), SLICE_LIT("xyz"));
	assert_int_equal(commit(f, &c), 0);
	expect_clean(f);
}

static void
test_one_id_cannot_be_linked_twice(void **state)
{
	struct fixture *f = *state;
	struct store_change *a = store_change_new(f->s);
	struct store_change *b = store_change_new(f->s);
	struct result ra = { 0 }, rb = { 0 };

	add_file_message(f, a, ID(1), SLICE_LIT("first"));
	add_file_message(f, b, ID(1), SLICE_LIT("other"));
	store_commit(f->s, &a, false, note_result, &ra);
	store_commit(f->s, &b, false, note_result, &rb);
	wait_for(f, &ra);
	wait_for(f, &rb);
	assert_int_equal(ra.code, 0);
	assert_int_equal(rb.code, EEXIST);

	b = store_change_new(f->s);
	add_file_message(f, b, ID(1), SLICE_LIT("again"));
	assert_int_equal(commit(f, &b), EEXIST);
	expect_message(f, ID(1), SLICE_LIT("first"));
	expect_clean(f);
}

static void
test_the_map_grows_when_it_is_full(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	unsigned i;

	store_close(&f->s);
	f->s = fixture_try_open(f, false, 1, &e);
	assert_non_null(f->s);
	for (i = 1; i <= 700; i++)
		put_message(f, ID(i), make_body(STORE_INLINE_MAX, i));
	for (i = 1; i <= 700; i += 99)
		expect_message(f, ID(i), make_body(STORE_INLINE_MAX, i));
	assert_int_equal(store_total(f->s), 700);
}

/* ---- due, lanes, history, lists ---- */

static void
test_due_entries_are_scanned_in_order(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	struct store_due d[10];

	store_due_add(c, 3, 200, ID(1));
	store_due_add(c, 3, 100, ID(3));
	store_due_add(c, 3, 100, ID(2));
	store_due_add(c, 3, 300, ID(4));
	store_due_add(c, 4, 50, ID(5));
	store_due_add(c, 3 | STORE_LEASED, 10, ID(6));
	assert_int_equal(commit(f, &c), 0);

	assert_int_equal(store_due_scan(f->s, 3, 250, NULL, d, 10), 3);
	assert_int_equal(d[0].id, ID(2));
	assert_int_equal(d[1].id, ID(3));
	assert_int_equal(d[2].id, ID(1));
	assert_int_equal(d[2].time, 200);
	assert_int_equal(store_due_scan(f->s, 3, UINT64_MAX, &d[1], d, 10),
	    2);
	assert_int_equal(d[0].id, ID(1));
	assert_int_equal(d[1].id, ID(4));
	assert_int_equal(store_due_scan(f->s, 3, 250, NULL, d, 1), 1);
	assert_int_equal(store_due_scan(f->s, 5, 250, NULL, d, 10), 0);
	/* What comes after an entry that is gone. */
	d[0] = (struct store_due){ 3, 150, 0 };
	assert_int_equal(store_due_scan(f->s, 3, 250, &d[0], d, 10), 1);

	assert_true(store_due_next_lane(f->s, 0, d));
	assert_int_equal(d[0].lane, 3);
	assert_int_equal(d[0].time, 100);
	assert_true(store_due_next_lane(f->s, 3, d));
	assert_int_equal(d[0].lane, 4);
	assert_true(store_due_next_lane(f->s, 4, d));
	assert_int_equal(d[0].lane, 3 | STORE_LEASED);
	assert_false(store_due_next_lane(f->s, 3 | STORE_LEASED, d));
	assert_false(store_due_next_lane(f->s, UINT32_MAX, d));

	c = store_change_new(f->s);
	store_due_del(c, 4, 50, ID(5));
	store_due_del(c, 4, 51, ID(5));
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(store_due_scan(f->s, 4, 250, NULL, d, 10), 0);
}

struct lanes {
	unsigned n;
	uint32_t last;
	char text[64];
	char state[64];
};

static void
note_lane(void *arg, uint32_t lane, struct slice key, struct slice st)
{
	struct lanes *l = arg;

	l->n++;
	l->last = lane;
	memcpy(l->text, key.p, key.n);
	l->text[key.n] = '\0';
	memcpy(l->state, st.p, st.n);
	l->state[st.n] = '\0';
}

static void
test_lanes_are_kept_until_deleted(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	struct lanes l = { 0 };
	uint32_t i;

	for (i = 1; i <= 2500; i++)
		store_put_lane(c, i, SLICE_LIT("key"), SLICE_LIT(""));
	store_put_lane(c, STORE_LANE_MAX, SLICE_LIT("last key"),
	    SLICE_LIT("old"));
	store_put_lane(c, STORE_LANE_MAX, SLICE_LIT("last key"),
	    SLICE_LIT("state"));
	assert_int_equal(commit(f, &c), 0);
	fixture_reopen(f);
	store_each_lane(f->s, note_lane, &l);
	assert_int_equal(l.n, 2501);
	assert_int_equal(l.last, STORE_LANE_MAX);
	assert_string_equal(l.text, "last key");
	assert_string_equal(l.state, "state");

	c = store_change_new(f->s);
	store_del_lane(c, STORE_LANE_MAX);
	assert_int_equal(commit(f, &c), 0);
	l.n = 0;
	store_each_lane(f->s, note_lane, &l);
	assert_int_equal(l.n, 2500);
}

struct history {
	size_t n, stop;
	uint64_t first, last;
};

static bool
note_history(void *arg, uint64_t time, uint64_t id, struct slice value)
{
	struct history *h = arg;

	assert_int_equal(id, time + 1);
	assert_true(slice_eq_cstr(value, "value"));
	if (h->n++ == 0)
		h->first = time;
	h->last = time;
	return h->n != h->stop;
}

static void
test_history_is_read_both_ways(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	struct history h = { 0 };
	uint64_t i;

	store_history(f->s, 0, true, note_history, &h);
	assert_int_equal(h.n, 0);
	for (i = 1; i <= 3000; i++)
		store_put_history(c, i, i + 1, SLICE_LIT("value"));
	assert_int_equal(commit(f, &c), 0);

	store_history(f->s, 501, false, note_history, &h);
	assert_int_equal(h.n, 2500);
	assert_int_equal(h.first, 501);
	assert_int_equal(h.last, 3000);
	h = (struct history){ 0 };
	store_history(f->s, 501, true, note_history, &h);
	assert_int_equal(h.n, 2500);
	assert_int_equal(h.first, 3000);
	assert_int_equal(h.last, 501);
	h = (struct history){ .stop = 10 };
	store_history(f->s, 0, true, note_history, &h);
	assert_int_equal(h.n, 10);
}

static void
test_messages_are_listed_by_arrival(void **state)
{
	struct fixture *f = *state;
	uint64_t ids[5], id;

	assert_false(store_oldest(f->s, &id));
	put_message(f, ID(2), SLICE_LIT("b"));
	put_message(f, ID(1), SLICE_LIT("a"));
	put_message(f, ID(3), SLICE_LIT("c"));
	assert_int_equal(store_list(f->s, 0, ids, 2), 2);
	assert_int_equal(ids[0], ID(1));
	assert_int_equal(ids[1], ID(2));
	assert_int_equal(store_list(f->s, ids[1], ids, 5), 1);
	assert_int_equal(ids[0], ID(3));
	assert_int_equal(store_list(f->s, UINT64_MAX, ids, 5), 0);
	assert_true(store_oldest(f->s, &id));
	assert_int_equal(id, ID(1));
	assert_int_equal(store_total(f->s), 3);
}

static void
test_counters_go_up_and_down(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	assert_int_equal(store_counter(f->s, COUNT_DEFERRED), 0);
	store_count(c, COUNT_DEFERRED, 5);
	store_count(c, COUNT_HELD, 1);
	assert_int_equal(commit(f, &c), 0);
	c = store_change_new(f->s);
	store_count(c, COUNT_DEFERRED, -7);
	assert_int_equal(commit(f, &c), 0);
	fixture_reopen(f);
	assert_int_equal(store_counter(f->s, COUNT_DEFERRED), -2);
	assert_int_equal(store_counter(f->s, COUNT_HELD), 1);
	assert_int_equal(store_counter(f->s, COUNT_QUEUED), 0);
}

static void
test_free_room_is_told(void **state)
{
	struct fixture *f = *state;
	uint64_t size = 0, octets;

	octets = store_free_octets(f->s, &size);
	assert_true(octets > 0);
	assert_true(size >= octets);
	assert_true(store_free_octets(f->s, NULL) == octets);
	assert_true(store_free_for_files(f->s) <= octets);
	assert_false(store_dead(f->s));
}

#define MANY 1000u			/* of 100,000 octets */

/* Octets free inside the database's file: the disk itself is others' too.
 * What is known is kept for 20 ms. */
static uint64_t
free_inside(struct fixture *f)
{
	uint64_t start = clock_mono_ms();

	while (clock_mono_ms() < start + 21)
		clock_update();
	return store_free_octets(f->s, NULL) - store_free_for_files(f->s);
}

/* The database's file does not become smaller, but what is in it does. */
static void
test_room_that_was_used_is_free_again(void **state)
{
	struct fixture *f = *state;
	uint64_t before, full, after;
	struct store_change *c;
	unsigned i;

	before = free_inside(f);
	for (i = 0; i < MANY; i++) {
		c = store_change_new(f->s);
		add_message(c, ID(i + 1), make_body(100000, i));
		assert_int_equal(commit(f, &c), 0);
	}
	full = free_inside(f);
	assert_true(full < (20u << 20));
	for (i = 0; i < MANY; i++) {
		c = store_change_new(f->s);
		remove_message(f, c, ID(i + 1));
		assert_int_equal(commit(f, &c), 0);
	}
	after = free_inside(f);
	assert_true(after > full + (90u << 20));
	assert_true(after > before);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bodies_of_every_kind_come_back),
		TEST(test_a_large_body_is_a_file_that_goes_with_its_message),
		TEST(test_a_file_that_is_not_what_was_announced_is_refused),
		TEST(test_a_body_without_announcement_is_measured),
		TEST(test_a_new_state_leaves_the_body),
		TEST(test_the_state_of_a_message_that_is_gone_is_refused),
		TEST(test_the_way_a_body_is_kept_does_not_change),
		TEST(test_a_taken_id_harms_no_other_change),
		TEST(test_callbacks_come_in_order_of_commit),
		TEST(test_a_lazy_change_is_written_without_company),
		TEST(test_a_change_may_be_empty_or_dropped),
		TEST(test_one_id_cannot_be_linked_twice),
		TEST(test_the_map_grows_when_it_is_full),
		TEST(test_due_entries_are_scanned_in_order),
		TEST(test_lanes_are_kept_until_deleted),
		TEST(test_history_is_read_both_ways),
		TEST(test_messages_are_listed_by_arrival),
		TEST(test_counters_go_up_and_down),
		TEST(test_free_room_is_told),
		TEST(test_room_that_was_used_is_free_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

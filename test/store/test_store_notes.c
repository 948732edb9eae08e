/* Notes by name, and what is counted of transactions. */
#include "store/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

static void
collect(void *arg, struct slice name, struct slice value)
{
	struct strbuf *out = arg;

	strbuf_add_slice(out, name);
	strbuf_putc(out, '=');
	strbuf_add_slice(out, value);
	strbuf_putc(out, ' ');
}

static void
expect_notes(struct fixture *f, const char *prefix, const char *wanted)
{
	struct strbuf out = STRBUF_INIT;

	store_each_meta(f->s, prefix, collect, &out);
	assert_string_equal(wanted, strbuf_cstr(&out));
	strbuf_free(&out);
}

static void
notes_are_kept_by_name(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	store_put_meta(c, "alert/a", SLICE_LIT("one"));
	store_put_meta(c, "alert/b", SLICE_LIT("two"));
	store_put_meta(c, "alert", SLICE_LIT("short"));
	store_put_meta(c, "other", SLICE_LIT("x"));
	assert_int_equal(0, commit(f, &c));
	expect_notes(f, "alert/", "alert/a=one alert/b=two ");
	expect_notes(f, "nothing", "");
	fixture_reopen(f);
	expect_notes(f, "alert/", "alert/a=one alert/b=two ");
	c = store_change_new(f->s);
	store_put_meta(c, "alert/a", SLICE_LIT("three"));
	store_del_meta(c, "alert/b");
	store_del_meta(c, "alert/absent");
	assert_int_equal(0, commit(f, &c));
	expect_notes(f, "alert/", "alert/a=three ");
}

static void
a_name_that_is_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	char name[502];

	memset(name, 'n', sizeof(name));
	name[501] = 0;
	store_put_meta(c, "good", SLICE_LIT("1"));
	store_put_meta(c, name, SLICE_LIT("1"));
	assert_int_equal(EINVAL, commit(f, &c));
	expect_notes(f, "good", "");
	c = store_change_new(f->s);
	store_put_meta(c, "", SLICE_LIT("1"));
	assert_int_equal(EINVAL, commit(f, &c));
	name[500] = 0;
	c = store_change_new(f->s);
	store_put_meta(c, name, SLICE_LIT("1"));
	assert_int_equal(0, commit(f, &c));
	c = store_change_new(f->s);
	store_del_meta(c, name);
	assert_int_equal(0, commit(f, &c));
	expect_notes(f, "n", "");
}

static void
count(void *arg, struct slice name, struct slice value)
{
	unsigned *n = arg;
	char want[16];

	snprintf(want, sizeof(want), "many/%05u", (*n)++);
	assert_true(slice_eq_cstr(name, want) && value.n == 300);
}

static void
many_notes_are_all_read(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	char name[16], value[300] = { 0 };
	unsigned i, n = 0;

	for (i = 0; i < 2500; i++) {
		snprintf(name, sizeof(name), "many/%05u", i);
		store_put_meta(c, name, slice_of(value, sizeof(value)));
	}
	store_put_meta(c, "nobody", SLICE_LIT("x"));
	assert_int_equal(0, commit(f, &c));
	store_each_meta(f->s, "many/", count, &n);
	assert_int_equal(n, 2500);
}

static void
transactions_are_counted(void **state)
{
	struct fixture *f = *state;
	struct store_commits k;
	struct store_change *c;
	struct result r[3];
	size_t i;

	store_cork(f->s, true);
	for (i = 0; i < 3; i++) {
		memset(&r[i], 0, sizeof(r[i]));
		c = store_change_new(f->s);
		store_put_meta(c, "x", SLICE_LIT("y"));
		store_commit(f->s, &c, false, note_result, &r[i]);
	}
	store_cork(f->s, false);
	for (i = 0; i < 3; i++)
		wait_for(f, &r[i]);
	/* It is counted behind its callbacks. */
	c = store_change_new(f->s);
	store_put_meta(c, "x", SLICE_LIT("z"));
	assert_int_equal(0, commit(f, &c));
	store_commits(f->s, &k);
	assert_true(k.n >= 1 && k.changes >= 3 && k.by_changes[2] == 1);
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(notes_are_kept_by_name),
		T(a_name_that_is_too_long_is_refused),
		T(many_notes_are_all_read),
		T(transactions_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

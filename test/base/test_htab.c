/* The hash table, against what a plain array says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/htab.h"
#include "base/rand.h"

static int marks[4096];

static void
keeps_what_was_put(void **state)
{
	struct htab *h = htab_new();
	char key[64];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		int n = snprintf(key, sizeof(key), i % 2 ?
		    "%d" : "a key that is longer than sixteen octets %d", i);

		assert_null(htab_put(h, slice_of(key, (size_t)n), &marks[i]));
	}
	assert_int_equal(htab_count(h), 2000);
	for (int i = 0; i < 2000; i++) {
		int n = snprintf(key, sizeof(key), i % 2 ?
		    "%d" : "a key that is longer than sixteen octets %d", i);

		assert_ptr_equal(htab_get(h, slice_of(key, (size_t)n)),
		    &marks[i]);
	}
	assert_null(htab_get(h, SLICE_LIT("other")));
	assert_null(htab_del(h, SLICE_LIT("other")));
	assert_null(htab_put(h, SLICE_LIT(""), &marks[1]));
	assert_ptr_equal(htab_put(h, slice_of(NULL, 0), &marks[2]),
	    &marks[1]);
	assert_ptr_equal(htab_del(h, SLICE_LIT("")), &marks[2]);
	htab_free(&h);
	assert_null(h);
	htab_free(&h);
}

static void
agrees_with_an_array_over_random_changes(void **state)
{
	struct htab *h = htab_new();
	void *model[512] = { NULL };
	size_t count = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t k = rand_below(512);
		void *old;

		if (rand_below(2)) {
			old = htab_put_u64(h, k, &marks[i % 4096]);
			count += model[k] == NULL;
			assert_ptr_equal(old, model[k]);
			model[k] = &marks[i % 4096];
		} else {
			old = htab_del_u64(h, k);
			count -= model[k] != NULL;
			assert_ptr_equal(old, model[k]);
			model[k] = NULL;
		}
		k = rand_below(512);
		assert_ptr_equal(htab_get_u64(h, k), model[k]);
		assert_int_equal(htab_count(h), count);
	}
	htab_free(&h);
}

static void
a_walk_sees_each_once_and_may_delete(void **state)
{
	struct htab *h = htab_new();
	unsigned char seen[300] = { 0 };
	size_t pos = 0, n = 0;
	struct slice key;
	int *v;

	(void)state;
	assert_null(htab_next(h, &pos, NULL));
	for (uint64_t i = 0; i < 300; i++)
		htab_put_u64(h, i, &marks[i]);
	pos = 0;
	while ((v = htab_next(h, &pos, &key)) != NULL) {
		uint64_t k;

		assert_int_equal(key.n, 8);
		memcpy(&k, key.p, 8);
		assert_ptr_equal(v, &marks[k]);
		assert_int_equal(seen[k]++, 0);
		n++;
		if (k % 3)
			htab_del_u64(h, k);
	}
	assert_int_equal(n, 300);
	assert_int_equal(htab_count(h), 100);
	pos = 0;
	while ((v = htab_next(h, &pos, NULL)) != NULL)
		htab_del_u64(h, (uint64_t)(v - marks));
	assert_int_equal(htab_count(h), 0);
	htab_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_was_put),
		cmocka_unit_test(agrees_with_an_array_over_random_changes),
		cmocka_unit_test(a_walk_sees_each_once_and_may_delete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

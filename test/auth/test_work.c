/* What takes long is done beside the loop, and comes back into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <pthread.h>

#include <cmocka.h>

#include "auth/login_check.h"
#include "auth/work.h"

static struct loop *loop;
static struct work_pool *pool;
static pthread_t loops_thread;

static int
setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	loop = loop_new(&e);
	pool = work_pool_new(loop);
	loops_thread = pthread_self();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	work_pool_free(&pool);
	loop_turn(loop, false);
	loop_free(&loop);
	return 0;
}

struct item {
	struct work work;
	_Atomic bool elsewhere;
	int done;
	bool ran;
	struct item *again;		/* submitted by done() */
};

static void
run(struct work *w)
{
	struct item *i = (struct item *)w;

	i->elsewhere = !pthread_equal(pthread_self(), loops_thread);
}

static void
done(struct work *w)
{
	struct item *i = (struct item *)w;

	assert_true(pthread_equal(pthread_self(), loops_thread));
	i->done++;
	i->ran = w->ran;
	if (i->again != NULL)
		assert_int_equal(work_submit(pool, &i->again->work), 0);
}

static void
it_runs_in_a_thread_and_ends_in_the_loop(void **state)
{
	struct item items[50] = { 0 }, more = { 0 };
	int i, all = 0;

	(void)state;
	more.work = (struct work){ .run = run, .done = done };
	items[49].again = &more;
	for (i = 0; i < 50; i++) {
		items[i].work = (struct work){ .run = run, .done = done };
		assert_int_equal(work_submit(pool, &items[i].work), 0);
	}
	while (more.done == 0 || all < 50) {
		loop_turn(loop, true);
		for (all = i = 0; i < 50; i++)
			all += items[i].done;
	}
	for (i = 0; i < 50; i++) {
		assert_true(items[i].elsewhere);
		assert_int_equal(items[i].done, 1);
	}
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void
run_gate(struct work *w)
{
	(void)w;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void
too_much_is_not_taken_and_nothing_is_lost_at_the_end(void **state)
{
	static struct item items[WORK_WAITING_MAX + 10];
	int i, taken = 0;

	(void)state;
	pthread_mutex_lock(&gate);
	for (i = 0; i < WORK_WAITING_MAX + 10; i++) {
		items[i].work = (struct work){ .run = run_gate, .done = done };
		taken += work_submit(pool, &items[i].work) == 0;
	}
	assert_in_range(taken, WORK_WAITING_MAX,
	    WORK_WAITING_MAX + WORK_THREADS);
	pthread_mutex_unlock(&gate);
	work_pool_free(&pool);
	for (i = 0; i < WORK_WAITING_MAX + 10; i++)
		assert_int_equal(items[i].done, i < taken);
}

/* One thread waits at a gate of its own all the time, so that the other does
 * the rest in the order in which it is taken. */
static pthread_mutex_t own_gate = PTHREAD_MUTEX_INITIALIZER;
static char order[64];
static _Atomic size_t n_order;

static void
run_own_gate(struct work *w)
{
	(void)w;
	pthread_mutex_lock(&own_gate);
	pthread_mutex_unlock(&own_gate);
}

static void
run_noted(struct work *w)
{
	pthread_mutex_lock(&gate);
	order[n_order] = w->who[0];
	n_order++;
	pthread_mutex_unlock(&gate);
}

static void
those_who_wait_take_turns(void **state)
{
	static const char whose[] = "aaaaaaabaac";
	struct item items[sizeof(whose) - 1] = { 0 }, stuck = { 0 };
	size_t i, n = sizeof(whose) - 1, b = n, c = n;

	(void)state;
	n_order = 0;
	pthread_mutex_lock(&gate);
	pthread_mutex_lock(&own_gate);
	stuck.work = (struct work){ .run = run_own_gate, .done = done };
	assert_int_equal(work_submit(pool, &stuck.work), 0);
	for (i = 0; i < n; i++) {
		items[i].work = (struct work){ .run = run_noted, .done = done,
		    .who = whose[i] == 'a' ? "a" : whose[i] == 'b' ? "b" :
		    "c" };
		assert_int_equal(work_submit(pool, &items[i].work), 0);
	}
	pthread_mutex_unlock(&gate);
	for (i = 0; i < n; i++)
		while (items[i].done == 0)
			loop_turn(loop, true);
	pthread_mutex_unlock(&own_gate);
	while (stuck.done == 0)
		loop_turn(loop, true);
	for (i = 0; i < n; i++) {
		b = order[i] == 'b' ? i : b;
		c = order[i] == 'c' ? i : c;
	}
	/* the one at the gate, and one of him who is in front */
	assert_true(b <= 2 && c <= 3);
}

static void
nobody_takes_all_places(void **state)
{
	static struct item items[WORK_WAITING_MAX];
	struct item other = { 0 };
	int i, taken = 0;

	(void)state;
	pthread_mutex_lock(&gate);
	for (i = 0; i < WORK_WAITING_MAX; i++) {
		items[i].work = (struct work){ .run = run_gate, .done = done,
		    .who = "192.0.2.1" };
		taken += work_submit(pool, &items[i].work) == 0;
	}
	assert_in_range(taken, WORK_WAITING_ONE,
	    WORK_WAITING_ONE + WORK_THREADS);
	other.work = (struct work){ .run = run_gate, .done = done,
	    .who = "192.0.2.2" };
	assert_int_equal(work_submit(pool, &other.work), 0);
	pthread_mutex_unlock(&gate);
	work_pool_free(&pool);
	assert_int_equal(other.done, 1);
}

static void
a_newcomer_has_a_place_where_others_have_all(void **state)
{
	static struct item items[WORK_WAITING_MAX + 100];
	struct item other = { 0 };
	char who[] = "a";
	int i;

	(void)state;
	pthread_mutex_lock(&gate);
	for (i = 0; i < WORK_WAITING_MAX + 100; i++) {
		who[0] = (char)('a' + i % 20);
		items[i].work = (struct work){ .run = run_gate, .done = done,
		    .who = who };
		(void)work_submit(pool, &items[i].work);
	}
	assert_int_equal(work_submit(pool, &items[i - 1].work), -1);
	other.work = (struct work){ .run = run_gate, .done = done,
	    .who = "192.0.2.2" };
	assert_int_equal(work_submit(pool, &other.work), 0);
	pthread_mutex_unlock(&gate);
	work_pool_free(&pool);
	assert_int_equal(other.done, 1);
}

/* ---- passwords ---- */

static int answers;
static bool answer;

static void
on_checked(void *arg, bool good)
{
	(void)arg;
	answers++;
	answer = good;
}

static bool
check(const char *hash, bool known, const char *password)
{
	struct conf_secret secret = { .kind = SECRET_HASH,
	    .text = (char *)(uintptr_t)hash };

	answers = 0;
	assert_non_null(login_check_new(pool, "192.0.2.1", &secret, known,
	    slice_cstr(password), on_checked, NULL));
	assert_int_equal(answers, 0);
	while (answers == 0)
		loop_turn(loop, true);
	return answer;
}

static void
a_password_is_checked_beside_the_loop(void **state)
{
	static const char hash[] = "$1$saltsalt$wCrc3hcrR95SV83Xh8Z.41";
	struct conf_secret secret = { .kind = SECRET_HASH,
	    .text = (char *)(uintptr_t)hash };
	struct login_check *c;

	(void)state;
	assert_true(check(hash, true, "pencil"));
	assert_false(check(hash, true, "pencils"));
	assert_false(check(hash, false, "pencil"));
	/* nobody waits any more */
	answers = 0;
	c = login_check_new(pool, "192.0.2.1", &secret, true,
	    SLICE_LIT("pencil"), on_checked, NULL);
	login_check_drop(&c);
	assert_null(c);
	assert_true(check(hash, true, "pencil"));
	work_pool_free(&pool);
	assert_int_equal(answers, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_runs_in_a_thread_and_ends_in_the_loop),
		T(too_much_is_not_taken_and_nothing_is_lost_at_the_end),
		T(those_who_wait_take_turns),
		T(nobody_takes_all_places),
		T(a_newcomer_has_a_place_where_others_have_all),
		T(a_password_is_checked_beside_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

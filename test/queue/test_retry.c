/* When a recipient is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "queue/internal.h"
#include "support/clock_ahead.h"

static uint64_t
step_at(const struct queue *q, uint32_t attempts, uint64_t *second)
{
	uint64_t step;

	clock_update();
	*second = clock_real_ms() / 1000;
	step = retry_step(q, attempts);
	return step;
}

static void
test_each_step_is_that_of_the_schedule_and_a_tenth(void **state)
{
	static uint64_t steps[] = { 60000, 180000, 3600000 };
	struct conf conf = { .retry = { .v = steps, .n = 3 } };
	struct queue q = { .conf = &conf };
	unsigned i, other = 0;
	uint64_t step, second, last = 0;

	(void)state;
	for (i = 0; i < 200; i++) {
		clock_ahead(i * 1000);
		step = step_at(&q, 1, &second);
		assert_in_range(step, 54000, 66000);
		other += step != last;
		last = step;
		assert_in_range(step_at(&q, 2, &second), 162000, 198000);
		assert_in_range(step_at(&q, 3, &second), 3240000, 3960000);
		assert_in_range(step_at(&q, 9, &second), 3240000, 3960000);
	}
	assert_true(other > 190);
	conf.retry.n = 0;
	assert_in_range(step_at(&q, 1, &second), 3240000, 3960000);
}

static void
test_what_comes_in_one_second_stays_together(void **state)
{
	static uint64_t steps[] = { 60000 };
	struct conf conf = { .retry = { .v = steps, .n = 1 } };
	struct queue q = { .conf = &conf };
	uint64_t a, b, at, then;
	unsigned same = 0, i;

	(void)state;
	for (i = 0; i < 100; i++) {
		a = step_at(&q, 1, &at);
		b = step_at(&q, 5, &then);
		if (at != then)
			continue;
		assert_int_equal(a, b);
		same++;
	}
	assert_true(same > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_each_step_is_that_of_the_schedule_and_a_tenth),
		cmocka_unit_test(test_what_comes_in_one_second_stays_together),
	};

	return cmocka_run_group_tests(tests, clock_ahead_setup,
	    clock_ahead_teardown);
}

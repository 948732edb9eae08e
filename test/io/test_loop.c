/* The loop: the order in which a turn ends, timers, signals, wake-ups. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fixture.h"

static char trace[64];

struct step {
	struct loop_task task;
	struct loop *loop;
	char name;
	struct step *next;	/* defer this one when run */
};

static void
run_step(void *arg)
{
	struct step *s = arg;
	size_t n = strlen(trace);

	trace[n] = s->name;
	trace[n + 1] = '\0';
	if (s->next != NULL)
		loop_defer(s->loop, &s->next->task);
}

static void
step(struct loop *l, struct step *s, char name)
{
	memset(s, 0, sizeof(*s));
	s->loop = l;
	s->name = name;
	loop_task_init(&s->task, run_step, s);
	trace[0] = '\0';
}

static void
a_turn_ends_with_deferred_then_flushes_then_freeing(void **state)
{
	struct loop *l = fx_loop();
	struct step a, b, c, d;

	(void)state;
	step(l, &a, 'a');
	step(l, &b, 'b');
	step(l, &c, 'c');
	step(l, &d, 'd');
	loop_reap(l, &a.task);
	loop_at_end(l, &b.task);
	loop_defer(l, &c.task);
	loop_defer(l, &d.task);
	loop_defer(l, &d.task);		/* once is enough */
	loop_turn(l, true);
	assert_string_equal(trace, "cdba");
	loop_free(&l);
	assert_null(l);
}

static void
what_a_deferred_task_defers_runs_in_the_next_turn(void **state)
{
	struct loop *l = fx_loop();
	struct step a, b;

	(void)state;
	step(l, &a, 'a');
	step(l, &b, 'b');
	a.next = &b;
	loop_defer(l, &a.task);
	loop_turn(l, true);
	assert_string_equal(trace, "a");
	loop_turn(l, true);		/* does not wait */
	assert_string_equal(trace, "ab");
	loop_free(&l);
}

static void
a_cancelled_task_does_not_run(void **state)
{
	struct loop *l = fx_loop();
	struct step a, b;

	(void)state;
	step(l, &a, 'a');
	step(l, &b, 'b');
	loop_defer(l, &a.task);
	loop_at_end(l, &b.task);
	loop_task_cancel(l, &a.task);
	loop_task_cancel(l, &a.task);
	loop_turn(l, false);
	assert_string_equal(trace, "b");
	loop_free(&l);
}

static void
objects_that_linger_are_freed_with_the_loop(void **state)
{
	struct loop *l = fx_loop();
	struct step a, b;

	(void)state;
	step(l, &a, 'a');
	step(l, &b, 'b');
	loop_at_free(l, &a.task);
	loop_at_free(l, &b.task);
	assert_int_equal(loop_lingering(l), 2);
	loop_reap(l, &b.task);		/* moved: it ended by itself */
	assert_int_equal(loop_lingering(l), 1);
	loop_turn(l, false);
	assert_string_equal(trace, "b");
	loop_free(&l);
	assert_string_equal(trace, "ba");
}

/* ---- timers ---- */

struct shot {
	struct loop *loop;
	struct loop_timer timer;
	struct loop_timer *victim;
	uint64_t started;
	uint64_t fired;		/* ms after started */
	uint64_t again;		/* set itself anew */
	int count;
};

static void
on_shot(void *arg)
{
	struct shot *s = arg;

	s->count++;
	s->fired = clock_mono_us() / 1000 - s->started;
	if (s->victim != NULL)
		loop_timer_cancel(s->loop, s->victim);
	if (s->again > 0) {
		loop_timer_set(s->loop, &s->timer, s->again);
		s->again = 0;
	}
}

static void
shot(struct loop *l, struct shot *s)
{
	memset(s, 0, sizeof(*s));
	s->loop = l;
	s->started = clock_mono_us() / 1000;
	loop_timer_init(&s->timer, on_shot, s);
}

static void
a_timer_is_never_early_and_hardly_late(void **state)
{
	struct loop *l = fx_loop();
	struct shot s[8];
	uint64_t ms[8] = { 0, 1, 50, 99, 100, 101, 230, 350 };
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++) {
		shot(l, &s[i]);
		loop_timer_set(l, &s[i].timer, ms[i]);
	}
	WAIT_FOR(l, s[7].count > 0);
	for (i = 0; i < 8; i++) {
		assert_int_equal(s[i].count, 1);
		assert_in_range(s[i].fired, ms[i], ms[i] + 300);
		assert_false(loop_timer_running(&s[i].timer));
	}
	loop_free(&l);
}

static void
a_timer_that_is_moved_fires_at_the_new_time_only(void **state)
{
	struct loop *l = fx_loop();
	struct shot later, earlier;

	(void)state;
	shot(l, &later);
	shot(l, &earlier);
	loop_timer_set(l, &later.timer, 50);
	loop_timer_set(l, &later.timer, 400);
	loop_timer_set(l, &earlier.timer, 3600 * 1000);
	loop_timer_set(l, &earlier.timer, 100);
	WAIT_FOR(l, later.count > 0);
	assert_int_equal(later.count, 1);
	assert_in_range(later.fired, 400, 700);
	assert_int_equal(earlier.count, 1);
	assert_in_range(earlier.fired, 100, 400);
	loop_free(&l);
}

static void
timers_may_cancel_and_set_one_another_when_they_fire(void **state)
{
	struct loop *l = fx_loop();
	struct shot a, b, c;

	(void)state;
	shot(l, &a);
	shot(l, &b);
	shot(l, &c);
	/* All three are due at once; whichever of a and b is first stops the
	 * other one. */
	a.victim = &b.timer;
	b.victim = &a.timer;
	c.again = 1;
	loop_timer_set(l, &a.timer, 20);
	loop_timer_set(l, &b.timer, 20);
	loop_timer_set(l, &c.timer, 20);
	WAIT_FOR(l, c.count == 2);
	assert_int_equal(a.count + b.count, 1);
	loop_free(&l);
}

static void
very_long_times_are_kept(void **state)
{
	struct loop *l = fx_loop();
	struct shot s;

	(void)state;
	shot(l, &s);
	loop_timer_set(l, &s.timer, UINT64_MAX);
	assert_true(loop_timer_running(&s.timer));
	loop_turn(l, false);
	assert_int_equal(s.count, 0);
	loop_timer_cancel(l, &s.timer);
	loop_timer_cancel(l, &s.timer);
	loop_free(&l);
}

static void
nothing_wakes_an_idle_process(void **state)
{
	struct loop *l = fx_loop();
	struct shot s;
	int before = event_base_get_num_events(loop_base(l),
	    EVENT_BASE_COUNT_ADDED);

	(void)state;
	shot(l, &s);
	loop_timer_set(l, &s.timer, 1000);
	assert_int_equal(event_base_get_num_events(loop_base(l),
	    EVENT_BASE_COUNT_ADDED), before + 1);
	loop_timer_cancel(l, &s.timer);
	assert_int_equal(event_base_get_num_events(loop_base(l),
	    EVENT_BASE_COUNT_ADDED), before);
	loop_free(&l);
}

static void
many_timers_fire_once_each(void **state)
{
	enum { N = 5000 };
	struct loop *l = fx_loop();
	struct shot *s = calloc(N, sizeof(*s));
	int fired = 0;
	size_t i;

	(void)state;
	for (i = 0; i < N; i++) {
		shot(l, &s[i]);
		loop_timer_set(l, &s[i].timer, i % 300);
		if (i % 7 == 0)
			loop_timer_cancel(l, &s[i].timer);
		if (i % 5 == 0)
			loop_timer_set(l, &s[i].timer, i % 200);
	}
	while (clock_mono_us() / 1000 - s[N - 1].started < 600)
		fx_turn(l, UINT64_MAX);
	for (i = 0; i < N; i++) {
		assert_int_equal(s[i].count, i % 7 == 0 && i % 5 != 0 ? 0 : 1);
		fired += s[i].count;
	}
	assert_int_not_equal(fired, 0);
	free(s);
	loop_free(&l);
}

static void
count_up(void *arg)
{
	(*(int *)arg)++;
}

static void
an_alarm_is_precise(void **state)
{
	struct loop *l = fx_loop();
	struct loop_alarm a, b;
	int n = 0, m = 0;
	uint64_t t;

	(void)state;
	loop_alarm_init(l, &a, count_up, &n);
	loop_alarm_init(l, &b, count_up, &m);
	loop_alarm_set(&b, 1);
	loop_alarm_cancel(&b);
	t = clock_mono_us();
	loop_alarm_set(&a, 20);
	while (n == 0)
		loop_turn(l, true);
	t = clock_mono_us() - t;
	assert_in_range(t, 20000, 200000);
	assert_int_equal(m, 0);
	loop_free(&l);
}

/* ---- descriptors, signals, threads ---- */

struct watched {
	struct loop_fd fd;
	unsigned seen;
	int count;
};

static void
on_fd(void *arg, unsigned what)
{
	struct watched *w = arg;

	w->seen |= what;
	w->count++;
}

static void
interest_can_be_switched(void **state)
{
	struct loop *l = fx_loop();
	struct watched w = { 0 };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	loop_fd_init(l, &w.fd, fds[0], on_fd, &w);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_turn(l, false);
	assert_int_equal(w.count, 0);
	loop_fd_want(&w.fd, LOOP_READ);
	loop_turn(l, false);
	loop_turn(l, false);
	assert_int_equal(w.count, 2);
	assert_int_equal(w.seen, LOOP_READ);
	loop_fd_want(&w.fd, 0);
	loop_turn(l, false);
	assert_int_equal(w.count, 2);
	loop_fd_del(&w.fd);
	loop_fd_del(&w.fd);
	close(fds[0]);
	loop_fd_init(l, &w.fd, fds[1], on_fd, &w);
	loop_fd_want(&w.fd, LOOP_WRITE);
	loop_turn(l, false);
	assert_true(w.seen & LOOP_WRITE);	/* broken pipe: an event */
	loop_fd_del(&w.fd);
	close(fds[1]);
	loop_free(&l);
}

static void
on_signal(void *arg, int signo)
{
	*(int *)arg = signo;
}

static void
signals_come_as_callbacks(void **state)
{
	struct loop *l = fx_loop();
	struct loop_signal s = { 0 };
	int got = 0;

	(void)state;
	loop_signal_set(l, &s, SIGUSR1, on_signal, &got);
	raise(SIGUSR1);
	WAIT_FOR(l, got == SIGUSR1);
	loop_signal_del(&s);
	loop_signal_del(&s);
	loop_free(&l);
}

struct woken {
	struct loop *loop;
	struct loop_waker *waker;
	int wakes;
	int work;		/* atomic */
};

static void *
worker(void *arg)
{
	struct woken *w = arg;
	int i;

	for (i = 0; i < 1000; i++) {
		__atomic_add_fetch(&w->work, 1, __ATOMIC_RELEASE);
		loop_waker_signal(w->waker);
	}
	return NULL;
}

static void
on_wake(void *arg)
{
	struct woken *w = arg;

	w->wakes++;
	if (__atomic_load_n(&w->work, __ATOMIC_ACQUIRE) == 1000)
		loop_stop(w->loop);
}

static void
another_thread_can_wake_the_loop(void **state)
{
	struct woken w = { 0 };
	pthread_t t;
	struct err e;

	(void)state;
	w.loop = fx_loop();
	w.waker = loop_waker_new(w.loop, on_wake, &w, &e);
	assert_non_null(w.waker);
	assert_int_equal(pthread_create(&t, NULL, worker, &w), 0);
	loop_run(w.loop);
	pthread_join(t, NULL);
	assert_in_range(w.wakes, 1, 1000);
	loop_waker_free(&w.waker);
	assert_null(w.waker);
	loop_free(&w.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_turn_ends_with_deferred_then_flushes_then_freeing),
		cmocka_unit_test(
		    what_a_deferred_task_defers_runs_in_the_next_turn),
		cmocka_unit_test(a_cancelled_task_does_not_run),
		cmocka_unit_test(objects_that_linger_are_freed_with_the_loop),
		cmocka_unit_test(a_timer_is_never_early_and_hardly_late),
		cmocka_unit_test(
		    a_timer_that_is_moved_fires_at_the_new_time_only),
		cmocka_unit_test(
		    timers_may_cancel_and_set_one_another_when_they_fire),
		cmocka_unit_test(very_long_times_are_kept),
		cmocka_unit_test(nothing_wakes_an_idle_process),
		cmocka_unit_test(many_timers_fire_once_each),
		cmocka_unit_test(an_alarm_is_precise),
		cmocka_unit_test(interest_can_be_switched),
		cmocka_unit_test(signals_come_as_callbacks),
		cmocka_unit_test(another_thread_can_wake_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How many connections a lane may have, and which process has them. */
#include "queue/steps.h"

#include "queue/internal.h"

#define REST "route via up\nbounce-to sender\nretry 1h\n"
#define UP(what) "transport up { smarthost mx.test:25; " what " }\n" REST
#define TWO "processes listener 1 delivery 2\n"

static struct lane *
up(struct rig *r)
{
	return lane_named(r->queue, "up");
}

/* A message whose job is answered: all connections that it may have are open
 * and have served.  Returns what the job said. */
static unsigned
served(struct rig *r)
{
	size_t others = rig_messages(r);
	struct rig_job *j;

	send_one(r);
	j = rig_job(r);
	j->sessions = j->job.connections;
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == others);
	return j->job.connections;
}

/* The server takes no more than so many. */
static void
full(struct rig *r, unsigned held)
{
	struct rig_job *j;

	send_one(r);
	j = rig_job(r);
	j->sessions = j->held = held;
	j->full = true;
	j->setbacks = j->job.setbacks + 1;
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
}

static void
it_begins_small_and_grows_to_what_is_allowed(void **state)
{
	struct rig *r = rig_new(UP("connections 20; "
	    "connections-per-host 20"));
	unsigned n, before = 0, i = 0;

	(void)state;
	assert_int_equal(2, n = served(r));
	while (n < 20) {
		before = n;
		n = served(r);
		assert_true(n >= before);
		/* Never by much more than there are. */
		assert_true(n - before <= (before + 3) / 4);
		assert_true(++i < 40);
	}
	for (i = 0; i < 5; i++)
		assert_int_equal(20, served(r));
	assert_true(up(r)->window >= 40);
	rig_free(&r);
}

static void
it_does_not_grow_while_some_are_not_used(void **state)
{
	struct rig *r = rig_new(UP("connections 20"));
	struct rig_job *j;
	unsigned i;

	(void)state;
	for (i = 0; i < 10; i++) {
		send_one(r);
		j = rig_job(r);
		j->sessions = 1;
		assert_int_equal(2, j->job.connections);
		rig_answer(j, 250, "ok");
	}
	rig_free(&r);
}

/* With one host there is no use for more. */
static void
the_limit_for_a_host_counts_too(void **state)
{
	struct rig *r = rig_new(UP("connections 20; "
	    "connections-per-host 3"));
	unsigned i;

	(void)state;
	for (i = 0; i < 10; i++)
		assert_in_range(served(r), 2, 3);
	assert_int_equal(3, r->jobs[9].job.per_host);
	rig_free(&r);
}

static void
a_server_that_takes_no_more_is_believed_for_minutes(void **state)
{
	struct rig *r = rig_new(UP("connections 20"));
	struct window *w;
	unsigned i;

	(void)state;
	while (served(r) < 4)
		;
	full(r, 3);
	for (i = 0; i < 20; i++)
		assert_int_equal(3, served(r));
	w = &up(r)->win;
	assert_int_equal(3, w->ceiling);
	assert_int_equal(120000, w->rest);
	/* Two minutes later one more is tried, and is refused again. */
	w->try_at = 0;
	assert_int_equal(3, served(r));
	assert_true(w->trying);
	assert_int_equal(4, w->now);
	full(r, 3);
	assert_int_equal(3, served(r));
	assert_int_equal(240000, w->rest);
	rig_free(&r);
}

static void
a_server_that_takes_more_again_gets_more(void **state)
{
	struct rig *r = rig_new(UP("connections 8"));
	unsigned i;

	(void)state;
	while (served(r) < 4)
		;
	full(r, 2);
	up(r)->win.try_at = 0;
	for (i = 0; i < 12 && served(r) < 8; i++)
		;
	assert_int_equal(8, served(r));
	assert_int_equal(0, up(r)->win.ceiling);
	rig_free(&r);
}

static void
what_cannot_be_had_halves_it(void **state)
{
	struct rig *r = rig_new(UP("connections 20"));
	struct rig_job *j;

	(void)state;
	while (served(r) < 10)
		;
	send_one(r);
	j = rig_job(r);
	j->sessions = 9;
	j->setbacks = 1;
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	assert_int_equal(5, served(r));
	/* The same one, told once more, is not another. */
	send_one(r);
	j = rig_job(r);
	j->setbacks = 1;
	assert_int_equal(1, j->job.setbacks);
	rig_answer(j, 250, "ok");
	assert_in_range(served(r), 5, 7);
	rig_free(&r);
}

/* Behind a name some servers may be down, or it has no words for it. */
static void
what_cannot_be_had_beside_others_is_tried_again_later(void **state)
{
	struct rig *r = rig_new(UP("connections 20"));
	struct rig_job *j;
	size_t i;

	(void)state;
	while (served(r) < 8)
		;
	send_one(r);
	j = rig_job(r);
	j->sessions = j->held = 6;
	j->setbacks = 1;
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	assert_in_range(served(r), 3, 5);
	for (i = 0; i < 10; i++)
		assert_in_range(served(r), 3, 6);
	assert_int_equal(6, up(r)->win.now);
	assert_int_equal(30000, up(r)->win.rest);
	up(r)->win.try_at = 0;
	assert_int_equal(6, served(r));
	assert_int_equal(7, served(r));
	rig_free(&r);
}

static void
what_the_server_says_of_messages_is_no_reason(void **state)
{
	struct rig *r = rig_new(UP("connections 20"));
	struct rig_job *j;
	unsigned n;

	(void)state;
	while ((n = served(r)) < 8)
		;
	send_one(r);
	j = rig_job(r);
	j->sessions = n;
	rig_answer(j, 451, "4.7.1 slow down");
	assert_true(served(r) >= 8);
	rig_free(&r);
}

/* ---- several processes ---- */

static void
processes_share_what_there_is(void **state)
{
	struct rig *r = rig_new(TWO UP("connections 5"));
	unsigned most[2] = { 0, 0 }, i;

	(void)state;
	rig_add_delivery(r);
	rig_settle(r);
	for (i = 0; i < 60; i++) {
		struct rig_job *a, *b;

		send_one(r);
		send_one(r);
		a = rig_job(r);
		b = rig_job(r);
		a->sessions = a->job.connections;
		b->sessions = b->job.connections;
		if (a->port != b->port) {
			most[a->port == r->delivery] = a->job.connections;
			most[b->port == r->delivery] = b->job.connections;
			assert_true(a->job.connections +
			    b->job.connections <= 5);
		}
		rig_answer(a, 250, "ok");
		rig_answer(b, 250, "ok");
	}
	assert_int_equal(5, most[0] + most[1]);
	assert_in_range(most[0], 2, 3);
	rig_free(&r);
}

/* One that a new one replaces keeps its place until its jobs have ended. */
static void
what_an_older_process_still_has_is_not_given_twice(void **state)
{
	struct rig *r = rig_new(UP("connections 2"));
	struct rig_job *old[2], *j;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		send_one(r);
		old[i] = rig_job(r);
	}
	rig_add_delivery(r);
	rig_settle(r);
	send_one(r);
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
	rig_answer(old[0], 250, "ok");
	j = rig_job(r);
	assert_ptr_equal(r->delivery, j->port);
	assert_int_equal(1, j->job.connections);
	rig_answer(old[1], 250, "ok");
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_free(&r);
}

/* The one process is told that there are too many; the other has them. */
static void
a_refusal_while_another_process_has_some_is_no_attempt(void **state)
{
	struct rig *r = rig_new(TWO UP("connections 4"));
	struct rig_job *first, *second, *again;
	struct record *rec;
	uint64_t id;

	(void)state;
	rig_add_delivery(r);
	rig_settle(r);
	send_one(r);
	first = rig_job(r);
	first->sessions = 2;
	rig_answer(first, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	id = send_one(r);
	second = rig_job(r);
	assert_ptr_not_equal(first->port, second->port);
	second->full = true;
	second->setbacks = 1;
	rig_answer_class(second, JOB_UNREACHABLE, "432 4.3.2 too many");
	again = rig_job(r);
	assert_true(again->job.id == id);
	assert_ptr_equal(first->port, again->port);
	rec = rig_record(r, id);
	assert_int_equal(1, rec->rcpt[0].attempts);
	record_free(&rec);
	assert_int_equal(2, up(r)->win.now);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    it_begins_small_and_grows_to_what_is_allowed),
		cmocka_unit_test(it_does_not_grow_while_some_are_not_used),
		cmocka_unit_test(the_limit_for_a_host_counts_too),
		cmocka_unit_test(
		    a_server_that_takes_no_more_is_believed_for_minutes),
		cmocka_unit_test(a_server_that_takes_more_again_gets_more),
		cmocka_unit_test(what_cannot_be_had_halves_it),
		cmocka_unit_test(
		    what_cannot_be_had_beside_others_is_tried_again_later),
		cmocka_unit_test(
		    what_the_server_says_of_messages_is_no_reason),
		cmocka_unit_test(processes_share_what_there_is),
		cmocka_unit_test(
		    what_an_older_process_still_has_is_not_given_twice),
		cmocka_unit_test(
		    a_refusal_while_another_process_has_some_is_no_attempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* New mail that is leased before its slot is free: it waits in RAM, so far as
 * there is room, and nobody can tell but by the clock. */
#include "queue/steps.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LARGE 131072			/* octets, just kept in the store */
#define MANY 136			/* of them are more than RAM takes */
/* Two slots. */
#define NARROW "transport up { smarthost mx.test:25; connections 1 }\n"	\
	       "route via up\nbounce-to sender\nretry 100ms\n"

static bool
is_leased(struct rig *r, uint64_t id)
{
	struct record_rcpt rc = rcpt_of(r, id);
	bool leased = (rc.lane & STORE_LEASED) != 0;

	assert_int_equal(leased, rc.attempts);
	return leased;
}

static void
it_goes_in_the_order_of_arrival(void **state)
{
	struct rig *r = rig_new(NARROW);
	uint64_t id[6];
	size_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		id[i] = send_one(r);
	for (i = 0; i < 6; i++)
		assert_true(is_leased(r, id[i]));
	for (i = 0; i < 6; i++) {
		struct rig_job *j = rig_job(r);

		assert_true(id[i] == j->job.id);
		assert_int_equal(sizeof(BODY) - 1, j->body.n);
		rig_answer(j, 250, "ok");
	}
	gone(r);
	rig_free(&r);
}

static void
it_counts_as_queued_until_it_goes(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct queue_counts n;
	uint64_t id = 0;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		id = send_one(r);
	queue_counts(r->queue, &n);
	assert_int_equal(2, n.active);
	assert_int_equal(3, n.queued);
	assert_false(queue_message_active(r->queue, id));
	for (i = 0; i < 5; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
it_can_be_held_and_removed(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct record *rec;
	uint64_t held, removed;

	(void)state;
	send_one(r);
	send_one(r);
	held = send_one(r);
	removed = send_one(r);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_hold, held));
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_remove, removed));
	rig_verify(r);
	rec = rig_record(r, held);
	assert_true(rec->held);
	assert_int_equal(0, rec->rcpt[0].attempts);
	record_free(&rec);
	rig_answer(rig_job(r), 250, "ok");
	rig_answer(rig_job(r), 250, "ok");
	rig_until(r, rig_messages(r) == 1);
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_release, held));
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
it_comes_back_after_a_restart(void **state)
{
	struct rig *r = rig_new(NARROW);
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		send_one(r);
	rig_stop(r);
	rig_start(r);
	rig_verify(r);
	r->next = r->n_jobs;
	for (i = 0; i < 5; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
beyond_the_room_in_memory_it_waits_in_the_store(void **state)
{
	struct rig *r = rig_new(NARROW);
	char *body = mem_alloc(LARGE + 1);
	uint64_t id[MANY];
	size_t i;

	(void)state;
	memset(body, 'x', LARGE);
	body[LARGE] = '\0';
	for (i = 0; i < MANY; i++) {
		id[i] = rig_mail(r, "a@from.test", "x@to.test", body, NULL);
		assert_true(id[i] != 0);
	}
	assert_true(is_leased(r, id[100]));
	assert_false(is_leased(r, id[MANY - 1]));
	rig_verify(r);
	for (i = 0; i < MANY; i++) {
		struct rig_job *j = rig_job(r);

		assert_int_equal(LARGE, j->body.n);
		rig_answer(j, 250, "ok");
	}
	gone(r);
	free(body);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_in_the_order_of_arrival),
		cmocka_unit_test(it_counts_as_queued_until_it_goes),
		cmocka_unit_test(it_can_be_held_and_removed),
		cmocka_unit_test(it_comes_back_after_a_restart),
		cmocka_unit_test(
		    beyond_the_room_in_memory_it_waits_in_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

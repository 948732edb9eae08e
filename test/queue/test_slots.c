/* Slots when routes name several transports, when new mail waits in RAM, and
 * when what takes them changes its kind. */
#include "queue/steps.h"

#include <string.h>

#include "queue/control_private.h"
#include "queue/internal.h"

/* Two slots each; what cannot be reached hands on to the other. */
#define CROSSED "transport a { smarthost a.test:25; connections 1 }\n"	\
		"transport b { smarthost b.test:25; connections 1 }\n"	\
		"route from x@from.test via a b\n"			\
		"route from y@from.test via b a\n"			\
		"retry 1h\nbounce-to sender\n"
#define TO_BOX "transport up { smarthost mx.test:25 }\n"		\
	       "transport box { maildir /nowhere/%u; connections 1 }\n"	\
	       "route via up box\nretry 1h\nbounce-to sender\n"
#define NARROW "transport up { smarthost mx.test:25; connections 1 }\n"	\
	       "route via up\nbounce-to sender\nretry 100ms\n"
#define NARROW_AND_OTHER						\
	"transport up { smarthost mx.test:25; connections 1 }\n"	\
	"transport other { smarthost other.test:25 }\n"			\
	"bounce-to sender\nretry 1h\n"

/* All slots of each are held by mail that waits for one of the other's. */
static void
transports_that_hand_on_to_each_other_do_not_stop(void **state)
{
	struct rig *r = rig_new(CROSSED);
	struct rig_job *j[4];
	size_t i;

	(void)state;
	/* Both can be reached in general. */
	for (i = 0; i < 2; i++) {
		send_from(r, i < 1 ? "x@from.test" : "y@from.test");
		rig_answer(rig_job(r), 250, "ok");
	}
	rig_until(r, rig_messages(r) == 0);
	for (i = 0; i < 4; i++)
		send_from(r, i < 2 ? "x@from.test" : "y@from.test");
	for (i = 0; i < 4; i++)
		j[i] = rig_job(r);
	for (i = 0; i < 4; i++)
		rig_answer_class(j[i], JOB_UNREACHABLE, "no route to host");
	for (i = 0; i < 4; i++) {
		struct rig_job *next = rig_job(r);

		assert_string_equal(next->job.from[0] == 'x' ? "b" : "a",
		    next->job.transport);
		rig_answer(next, 250, "ok");
	}
	gone(r);
	rig_free(&r);
}

static void
each_recipient_is_handed_on_to_its_own_mailbox(void **state)
{
	struct rig *r = rig_new(TO_BOX);
	unsigned seen = 0;
	struct rig_job *j;
	size_t i;

	(void)state;
	assert_true(rig_mail(r, "a@from.test", "a@to.test b@to.test "
	    "c@to.test", BODY, NULL) != 0);
	j = rig_job(r);
	assert_int_equal(3, j->job.n_rcpt);
	rig_answer_class(j, JOB_UNREACHABLE, "no route to host");
	for (i = 0; i < 3; i++) {
		j = rig_job(r);
		assert_string_equal("box", j->local.transport);
		seen |= 1u << (j->local.recipient[0] - 'a');
		rig_verify(r);
		rig_answer_local(j, 0);
	}
	assert_int_equal(7, seen);
	gone(r);
	rig_free(&r);
}

/* The reload comes when the attempt waits already. */
static void
a_transport_may_become_a_mailbox(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct rig_job *first[2], *j;
	unsigned seen = 0;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		send_from(r, "a@from.test");
		first[i] = rig_job(r);
	}
	assert_true(rig_mail(r, "a@from.test", "a@to.test b@to.test "
	    "c@to.test", BODY, NULL) != 0);
	rig_reload(r, "transport up { maildir /nowhere/%u; connections 1 }\n"
	    "route via up\nbounce-to sender\nretry 100ms\n");
	for (i = 0; i < 2; i++)
		rig_answer(first[i], 250, "ok");
	for (i = 0; i < 3; i++) {
		j = rig_job(r);
		assert_non_null(j->local.transport);
		seen |= 1u << (j->local.recipient[0] - 'a');
		rig_answer_local(j, 0);
	}
	assert_int_equal(7, seen);
	gone(r);
	rig_free(&r);
}

static bool
is_leased(struct rig *r, uint64_t id)
{
	struct record *rec = rig_record(r, id);
	bool leased = rec != NULL &&
	    (rec->rcpt[0].lane & STORE_LEASED) != 0;

	record_free(&rec);
	return leased;
}

/* Only new mail is leased before its slot is free. */
static void
retries_wait_in_the_store_while_new_mail_waits_in_memory(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct rig_job *fresh[2];
	uint64_t old[8];
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < 8; i++) {
		old[i] = send_from(r, "old@from.test");
		rig_answer(rig_job(r), 451, "later");
		rig_settle(r);
	}
	/* Those that came back meanwhile are put off once more. */
	while (r->next < r->n_jobs)
		rig_answer(rig_job(r), 451, "later");
	for (i = 0; i < 2; i++) {
		struct rig_job *j;

		send_from(r, "new@from.test");
		while ((j = rig_job(r), strcmp(j->job.from, "new@from.test")))
			rig_answer(j, 451, "later");
		fresh[i] = j;
	}
	for (i = 0; i < 6; i++)
		send_from(r, "new@from.test");
	for (i = 0; i < 3; i++)
		rig_settle(r);		/* all old ones are due again */
	rig_answer(fresh[0], 250, "ok");
	for (i = 0; i < 3; i++)
		rig_settle(r);
	for (i = 0; i < 8; i++)
		n += is_leased(r, old[i]);
	/* One slot, and as many again as there are slots at hand. */
	assert_in_range(n, 0, 1 + 2);
	rig_answer(fresh[1], 250, "ok");
	deliver_all(r);
	gone(r);
	rig_free(&r);
}

/* Two are with the server, two wait in memory. */
static void
fill(struct rig *r, struct rig_job *running[2], uint64_t waiting[2])
{
	size_t i;

	for (i = 0; i < 4; i++) {
		uint64_t id = send_from(r, "a@from.test");

		if (i < 2)
			running[i] = rig_job(r);
		else
			waiting[i - 2] = id;
	}
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
}

static void
empty(struct rig *r, struct rig_job *running[2])
{
	rig_answer(running[0], 250, "ok");
	rig_answer(running[1], 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
a_new_route_is_heeded_by_what_waits_in_memory(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct rig_job *running[2], *j;
	uint64_t waiting[2];
	size_t i;

	(void)state;
	fill(r, running, waiting);
	rig_reload(r, NARROW_AND_OTHER "route via other\n");
	/* The delivery that is there does not know that one. */
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
	rig_add_delivery(r);
	for (i = 0; i < 2; i++) {
		j = job_of(r, waiting[i]);
		assert_string_equal("other", j->job.transport);
		rig_answer(j, 250, "ok");
	}
	empty(r, running);
}

/* The old delivery gives it back, the new one would not know it. */
static void
a_job_of_a_transport_that_went_takes_another(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = send_from(r, "a@from.test");
	j = rig_job(r);
	rig_reload(r, "transport other { smarthost other.test:25 }\n"
	    "route via other\nretry 1h\n");
	rig_add_delivery(r);
	rig_answer_class(j, JOB_RETURNED, "delivery is being ended");
	j = job_of(r, id);
	assert_string_equal("other", j->job.transport);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
move_to_other(struct queue *q, uint64_t id, queue_op_done *done, void *arg)
{
	queue_op_move(q, id, "other", done, arg);
}

static void
what_waits_in_memory_can_be_removed(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct rig_job *running[2];
	uint64_t waiting[2];
	size_t i;

	(void)state;
	fill(r, running, waiting);
	for (i = 0; i < 2; i++) {
		assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_remove,
		    waiting[i]));
		assert_true(history_has(r, "\"status\":\"removed\""));
	}
	empty(r, running);
}

static void
forget(void *arg, uint64_t id, enum queue_op_result result, const char *text)
{
	(void)arg;
	(void)id;
	(void)result;
	(void)text;
}

static void
what_waits_in_memory_can_be_moved(void **state)
{
	struct rig *r = rig_new(NARROW_AND_OTHER "route via up\n");
	struct rig_job *running[2], *j;
	uint64_t waiting[2];
	size_t i;

	(void)state;
	fill(r, running, waiting);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_retry,
	    waiting[0]));
	for (i = 0; i < 2; i++) {
		assert_int_equal(QUEUE_OP_DONE, rig_op(r, move_to_other,
		    waiting[i]));
		j = job_of(r, waiting[i]);
		assert_string_equal("other", j->job.transport);
		rig_answer(j, 250, "ok");
	}
	empty(r, running);
}

/* The move comes while the lease is on its way to the disk. */
static void
what_is_being_recorded_can_be_moved(void **state)
{
	struct rig *r = rig_new(NARROW_AND_OTHER "route via up\n");
	const struct attempt *a = NULL;
	struct message *m;
	uint64_t id;

	(void)state;
	id = send_from(r, "a@from.test");
	rig_answer(rig_job(r), 451, "later");
	rig_settle(r);
	queue_op_retry(r->queue, id, forget, NULL);
	while (a == NULL || a->state != ATTEMPT_RECORDING) {
		assert_int_equal(1, r->n_jobs);
		loop_turn(r->loop, true);
		m = message_find(r->queue, id);
		a = m != NULL ? TAILQ_FIRST(&m->attempts) : NULL;
	}
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, move_to_other, id));
	rig_answer(job_by(r, "other"), 250, "ok");
	gone(r);
	assert_int_equal(2, r->n_jobs);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    transports_that_hand_on_to_each_other_do_not_stop),
		cmocka_unit_test(
		    each_recipient_is_handed_on_to_its_own_mailbox),
		cmocka_unit_test(a_transport_may_become_a_mailbox),
		cmocka_unit_test(
		    retries_wait_in_the_store_while_new_mail_waits_in_memory),
		cmocka_unit_test(
		    a_new_route_is_heeded_by_what_waits_in_memory),
		cmocka_unit_test(
		    a_job_of_a_transport_that_went_takes_another),
		cmocka_unit_test(what_waits_in_memory_can_be_moved),
		cmocka_unit_test(what_is_being_recorded_can_be_moved),
		cmocka_unit_test(what_waits_in_memory_can_be_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Transports that cannot be reached: closed, probed, drained. */
#include "queue/steps.h"

#include <string.h>

#include "queue/internal.h"

#define UP "transport up { smarthost mx.test:25 }\nbounce-to sender\n"
#define ONE UP "route via up\n"
#define NARROW "transport up { smarthost mx.test:25; connections 1 }\n"	\
	       "route via up\nbounce-to sender\n"
#define SPARE "transport spare { smarthost spare.test:25 }\n"

static enum queue_state
state_of(struct rig *r, const char *transport)
{
	return look(r, transport).state;
}

static void
refuse(struct rig_job *j)
{
	rig_answer_class(j, JOB_UNREACHABLE, "connection refused");
}

/* A message that has failed, and a lane that is closed by it. */
static uint64_t
close_lane(struct rig *r)
{
	uint64_t id = send_one(r);

	refuse(rig_job(r));
	rig_until(r, state_of(r, "up") == QUEUE_UNREACHABLE);
	rig_settle(r);
	return id;
}

/* ---- closing ---- */

static void
nothing_is_leased_to_a_transport_that_cannot_be_reached(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1h\n");
	struct record *rec;
	struct seen s;
	uint64_t id;

	(void)state;
	id = close_lane(r);
	s = look(r, "up");
	assert_string_equal("connection refused", s.why);
	assert_true(s.next_probe >= s.since + 3600000);
	assert_int_equal(1, rcpt_of(r, id).attempts);
	/* New mail neither: it has made its first attempt by waiting. */
	id = send_one(r);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	rec = rig_record(r, id);
	assert_int_equal(1, rec->rcpt[0].attempts);
	assert_int_equal(451, rec->rcpt[0].last_code);
	assert_non_null(strstr(rec->rcpt[0].last_reply, "unreachable: "
	    "connection refused"));
	assert_string_equal("up", rec->transport);
	assert_non_null(strstr(rec->route, "/test.conf:"));
	assert_true(rec->rcpt[0].due > rig_now() + 3000000);
	record_free(&rec);
	rig_verify(r);
	rig_free(&r);
}

static void
one_failure_among_successes_closes_nothing(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\n");
	struct rig_job *first;
	size_t i;

	(void)state;
	send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	for (i = 0; i < 2; i++) {
		send_one(r);
		refuse(rig_job(r));
		rig_settle(r);
		assert_int_equal(QUEUE_OK, state_of(r, "up"));
	}
	send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	rig_settle(r);
	/* While the first failures are being judged nothing new begins. */
	send_one(r);
	first = rig_job(r);
	for (i = 0; i < 3; i++) {
		send_one(r);
		refuse(rig_job(r));
		rig_settle(r);
	}
	assert_int_equal(QUEUE_OK, state_of(r, "up"));
	send_one(r);
	rig_settle(r);
	assert_true(r->next == r->n_jobs);
	rig_answer(first, 250, "ok");
	rig_answer(rig_job(r), 250, "ok");
	rig_settle(r);
	assert_int_equal(QUEUE_OK, state_of(r, "up"));
	rig_free(&r);
}

static void
a_dead_host_sees_no_more_than_what_was_under_way(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1h\n");
	size_t i;

	(void)state;
	for (i = 0; i < 50; i++)
		send_one(r);
	rig_settle(r);
	assert_true(r->n_jobs < 20);
	while (r->next < r->n_jobs) {
		refuse(rig_job(r));
		rig_settle(r);
	}
	assert_int_equal(QUEUE_UNREACHABLE, state_of(r, "up"));
	assert_true(r->n_jobs < 20);
	assert_int_equal(50, look(r, "up").waiting);
	rig_verify(r);
	rig_free(&r);
}

/* ---- probes ---- */

static void
a_probe_that_fails_leaves_its_message_as_it_was(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 60ms 60ms 1h\n");
	struct record_rcpt before, now;
	struct rig_job *j;
	uint64_t first;

	(void)state;
	first = close_lane(r);
	before = rcpt_of(r, first);
	j = job_of(r, first);
	now = rcpt_of(r, first);
	assert_true((now.lane & STORE_LEASED) != 0);
	assert_int_equal(1, now.attempts);
	refuse(j);
	refuse(job_of(r, first));
	rig_settle(r);
	now = rcpt_of(r, first);
	assert_int_equal(1, now.attempts);
	assert_true(now.due == before.due);
	assert_int_equal(before.lane & ~STORE_LEASED, now.lane);
	/* The steps: 60 ms, 60 ms, an hour. */
	rig_settle(r);
	rig_settle(r);
	assert_int_equal(3, r->n_jobs);
	assert_true(look(r, "up").next_probe > rig_now() + 3000000);
	rig_verify(r);
	rig_free(&r);
}

static void
what_waits_goes_out_at_once_when_a_probe_succeeds(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 60ms\n");
	uint64_t refused = 0;
	struct rig_job *j;
	size_t i;

	(void)state;
	close_lane(r);
	for (i = 0; i < 9; i++)
		send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	for (i = 0; i < 9; i++) {
		j = rig_job(r);
		if (i == 4) {
			refused = j->job.id;
			rig_answer(j, 451, "not this one");
		} else {
			rig_answer(j, 250, "ok");
		}
	}
	rig_until(r, rig_messages(r) == 1);
	rig_settle(r);
	rig_settle(r);
	/* Each once. */
	assert_true(r->next == r->n_jobs);
	assert_int_equal(QUEUE_OK, state_of(r, "up"));
	assert_int_equal(2, rcpt_of(r, refused).attempts);
	rig_verify(r);
	rig_free(&r);
}

static void
a_probe_whose_own_message_is_refused_opens_the_lane(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 60ms\n");
	uint64_t first, second;

	(void)state;
	first = close_lane(r);
	second = send_one(r);
	rig_answer(rig_job(r), 451, "later");
	rig_answer(job_of(r, second), 250, "ok");
	rig_until(r, rig_messages(r) == 1);
	rig_settle(r);
	assert_true(r->next == r->n_jobs);
	assert_int_equal(2, rcpt_of(r, first).attempts);
	assert_true(rcpt_of(r, first).due > rig_now() + 3000000);
	rig_free(&r);
}

static void
a_delivery_that_dies_with_a_probe_costs_nothing(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 60ms\n");
	struct record_rcpt before, now;
	uint64_t id;

	(void)state;
	id = close_lane(r);
	before = rcpt_of(r, id);
	(void)rig_job(r);
	rig_kill_delivery(r);
	rig_settle(r);
	now = rcpt_of(r, id);
	assert_int_equal(1, now.attempts);
	assert_true((now.lane & STORE_LEASED) != 0 || now.due == before.due);
	rig_add_delivery(r);
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
new_mail_probes_a_lane_where_nothing_waits(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1s\n");
	uint64_t id;

	(void)state;
	id = close_lane(r);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_remove, id));
	rig_until(r, look(r, "up").next_probe < rig_now());
	assert_int_equal(0, rig_messages(r));
	id = send_one(r);
	rig_answer(job_of(r, id), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OK, state_of(r, "up"));
	rig_free(&r);
}

/* ---- restarts ---- */

static void
a_restart_forgets_no_closed_lane(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1h\n");
	struct seen before, now;

	(void)state;
	close_lane(r);
	before = look(r, "up");
	rig_stop(r);
	rig_start(r);
	now = look(r, "up");
	assert_int_equal(QUEUE_UNREACHABLE, now.state);
	assert_string_equal(before.why, now.why);
	assert_true(before.since == now.since &&
	    before.next_probe == now.next_probe);
	send_one(r);
	rig_settle(r);
	assert_int_equal(0, r->n_jobs);
	rig_free(&r);
}

static void
a_probe_that_a_restart_cuts_off_costs_nothing(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 60ms 1h\n");
	struct record_rcpt before, now;
	uint64_t id;

	(void)state;
	id = close_lane(r);
	before = rcpt_of(r, id);
	(void)rig_job(r);
	rig_settle(r);
	rig_stop(r);
	rig_start(r);
	rig_settle(r);
	now = rcpt_of(r, id);
	assert_int_equal(1, now.attempts);
	assert_true(now.due == before.due);
	assert_int_equal(before.lane & ~STORE_LEASED, now.lane);
	assert_true(look(r, "up").next_probe > rig_now() + 3000000);
	rig_verify(r);
	rig_free(&r);
}

static void
a_restart_does_not_end_a_drain(void **state)
{
	struct rig *r = rig_new(NARROW "retry 1h\nprobe 60ms\n");
	uint64_t done[8];
	size_t i, k, n = 0;
	struct rig_job *j;

	(void)state;
	close_lane(r);
	for (i = 0; i < 7; i++)
		send_one(r);
	rig_answer(rig_job(r), 451, "later");
	for (i = 0; i < 3; i++) {
		j = rig_job(r);
		done[n++] = j->job.id;
		rig_answer(j, 451, "later");
	}
	rig_settle(r);
	rig_stop(r);
	rig_start(r);
	/* What was in flight comes back, too. */
	for (i = n; i < 7; i++) {
		j = rig_job(r);
		for (k = 0; k < n; k++)
			assert_true(done[k] != j->job.id);
		rig_answer(j, 250, "ok");
	}
	rig_settle(r);
	assert_true(r->next == r->n_jobs);
	rig_verify(r);
	rig_free(&r);
}

/* ---- routes ---- */

#define THEN_SPARE UP SPARE "route attempts 3 via spare\nroute via up\n"

/* The fourth time it falls due, whatever `up` is until then. */
static void
moves_at_the_fourth(struct rig *r, uint64_t id, unsigned attempts)
{
	struct rig_job *j;

	for (; attempts < 3; attempts++)
		rig_until(r, rcpt_of(r, id).attempts > attempts);
	j = job_of(r, id);
	assert_string_equal("spare", j->job.transport);
	assert_int_equal(4, rcpt_of(r, id).attempts);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
the_route_of_an_unreachable_transport_is_judged_anew(void **state)
{
	struct rig *r = rig_new(THEN_SPARE "retry 300ms\nprobe 1h\n");
	uint64_t id;

	(void)state;
	/* `probe` is never longer than `retry`: probes fail beside. */
	id = close_lane(r);
	for (;;) {
		struct rig_job *j = rig_job(r);

		if (strcmp(j->job.transport, "spare") == 0)
			break;
		refuse(j);
	}
	r->next--;
	moves_at_the_fourth(r, id, 3);
}

static void
the_route_is_kept_exactly_over_restarts_and_reloads(void **state)
{
	struct rig *r = rig_new(THEN_SPARE "retry 200ms\n");
	uint64_t id;

	(void)state;
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_pause, "up"));
	id = send_one(r);
	assert_int_equal(1, rcpt_of(r, id).attempts);
	rig_stop(r);
	rig_start(r);
	rig_until(r, rcpt_of(r, id).attempts == 2);
	rig_reload(r, THEN_SPARE "retry 200ms\n# anew\n");
	rig_until(r, rcpt_of(r, id).attempts == 3);
	rig_stop(r);
	rig_start(r);
	moves_at_the_fourth(r, id, 3);
}

static void
the_next_transport_takes_over_at_the_same_time(void **state)
{
	struct rig *r = rig_new(UP SPARE "route via up spare\nretry 1h\n"
	    "probe 1h\n");
	struct rig_job *j;
	uint64_t id;

	(void)state;
	send_one(r);
	refuse(rig_job(r));
	rig_answer(job_by(r, "spare"), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_UNREACHABLE, state_of(r, "up"));
	/* New mail does not ask the first one any more. */
	id = send_one(r);
	j = job_by(r, "spare");
	assert_int_equal(1, rcpt_of(r, id).attempts);
	rig_answer(j, 451, "later");
	rig_settle(r);
	/* But by hand it is. */
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_retry, id));
	refuse(rig_job(r));
	j = job_by(r, "spare");
	assert_int_equal(2, rcpt_of(r, id).attempts);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
what_is_pinned_waits_for_its_transport(void **state)
{
	struct rig *r = rig_new(UP SPARE "route via spare\nretry 1h\n"
	    "probe 60ms 1h\n");
	uint64_t id;

	(void)state;
	id = send_deferred(r);
	assert_int_equal(QUEUE_OP_DONE, rig_move(r, id, "up"));
	refuse(job_by(r, "up"));
	rig_answer(job_by(r, "up"), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
what_is_pinned_to_one_that_is_gone_waits_until_it_comes(void **state)
{
	struct rig *r = rig_new(UP SPARE "route via spare\nretry 1h\n");
	uint64_t id;

	(void)state;
	id = send_deferred(r);
	rig_reload(r, SPARE "route via spare\nretry 1h\n");
	assert_int_equal(QUEUE_OP_DONE, rig_move(r, id, "up"));
	rig_until(r, rcpt_of(r, id).attempts == 2);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	rig_reload(r, UP SPARE "route via spare\nretry 1h\n");
	rig_add_delivery(r);
	rig_answer(job_by(r, "up"), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
closed_lanes_move_their_mail_in_turn(void **state)
{
	struct rig *r = rig_new(UP SPARE "route from many.test via up\n"
	    "route via spare\nretry 300ms\n");
	uint64_t one;
	size_t i;

	(void)state;
	rig_steer(r, queue_op_transport_pause, "up");
	rig_steer(r, queue_op_transport_pause, "spare");
	for (i = 0; i < 600; i++)
		assert_true(rig_mail(r, "a@many.test", "x@to.test", BODY,
		    NULL) != 0);
	one = send_one(r);
	rig_until(r, rcpt_of(r, one).attempts >= 4);
	rig_settle(r);
	assert_int_equal(601, rig_messages(r));
	rig_verify(r);
	rig_free(&r);
}

/* ---- by hand ---- */

static void
a_retry_probes_at_once(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1h\n");
	struct rig_job *j;
	uint64_t id, other;

	(void)state;
	id = close_lane(r);
	other = send_one(r);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_retry, other));
	j = job_of(r, other);
	/* Meanwhile others are due, and move on. */
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_retry, id));
	rig_until(r, rcpt_of(r, id).attempts == 2);
	assert_int_equal(QUEUE_OP_NOTHING, rig_op(r, queue_op_retry, other));
	rig_answer(j, 250, "ok");
	rig_answer(job_of(r, id), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
a_resume_probes_at_once(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1h\n");

	(void)state;
	close_lane(r);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_resume, "up"));
	refuse(rig_job(r));
	rig_settle(r);
	assert_int_equal(QUEUE_UNREACHABLE, state_of(r, "up"));
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_resume, "up"));
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OP_NOTHING, rig_steer(r,
	    queue_op_transport_resume, "up"));
	assert_int_equal(QUEUE_OP_UNKNOWN, rig_steer(r,
	    queue_op_transport_resume, "nothing"));
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    nothing_is_leased_to_a_transport_that_cannot_be_reached),
		cmocka_unit_test(one_failure_among_successes_closes_nothing),
		cmocka_unit_test(
		    a_dead_host_sees_no_more_than_what_was_under_way),
		cmocka_unit_test(
		    a_probe_that_fails_leaves_its_message_as_it_was),
		cmocka_unit_test(
		    what_waits_goes_out_at_once_when_a_probe_succeeds),
		cmocka_unit_test(
		    a_probe_whose_own_message_is_refused_opens_the_lane),
		cmocka_unit_test(
		    a_delivery_that_dies_with_a_probe_costs_nothing),
		cmocka_unit_test(new_mail_probes_a_lane_where_nothing_waits),
		cmocka_unit_test(a_restart_forgets_no_closed_lane),
		cmocka_unit_test(
		    a_probe_that_a_restart_cuts_off_costs_nothing),
		cmocka_unit_test(a_restart_does_not_end_a_drain),
		cmocka_unit_test(
		    the_route_of_an_unreachable_transport_is_judged_anew),
		cmocka_unit_test(
		    the_route_is_kept_exactly_over_restarts_and_reloads),
		cmocka_unit_test(
		    the_next_transport_takes_over_at_the_same_time),
		cmocka_unit_test(what_is_pinned_waits_for_its_transport),
		cmocka_unit_test(
		    what_is_pinned_to_one_that_is_gone_waits_until_it_comes),
		cmocka_unit_test(closed_lanes_move_their_mail_in_turn),
		cmocka_unit_test(a_retry_probes_at_once),
		cmocka_unit_test(a_resume_probes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

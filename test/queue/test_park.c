/* Parked credentials and quotas, paused accounts, no network at all, and how
 * long mail lives meanwhile. */
#include "queue/steps.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "queue/internal.h"
#include "support/clock_ahead.h"

#define UP "transport up { submission mx.test:587; username u; "	\
	   "password p }\nbounce-to sender\n"
#define ONE UP "route via up\n"
#define SPARE "transport spare { smarthost spare.test:25 }\n"
#define HOURS (3600ull * 1000)

static void
refuse(struct rig *r, const char *text)
{
	rig_answer_class(rig_job(r), JOB_CREDENTIAL, text);
}

static uint64_t
park(struct rig *r, const char *text)
{
	uint64_t id = send_one(r);

	refuse(r, text);
	rig_until(r, look(r, "up").state == QUEUE_PARKED);
	rig_settle(r);
	return id;
}

/* ---- credentials ---- */

static void
a_wrong_password_is_shown_once(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe-auth 1h\n");
	struct seen s;
	size_t i;

	(void)state;
	for (i = 0; i < 10; i++)
		send_one(r);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	refuse(r, "535 5.7.8 wrong password");
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	s = look(r, "up");
	assert_int_equal(QUEUE_PARKED, s.state);
	assert_string_equal("535 5.7.8 wrong password", s.why);
	assert_true(s.next_probe > clock_real_ms() + HOURS - 10000);
	assert_int_equal(10, rig_messages(r));
	rig_verify(r);
	rig_free(&r);
}

static void
a_credential_is_tried_by_its_own_steps(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1ms\n"
	    "probe-auth 300ms 400ms 1h\n");
	uint64_t id, at[3];
	size_t i;

	(void)state;
	id = park(r, "535 no");
	at[0] = r->jobs[0].at;
	for (i = 1; i < 3; i++) {
		at[i] = rig_job(r)->at;
		r->next--;
		refuse(r, "535 no");
	}
	assert_in_range(at[1] - at[0], 300, 390);
	assert_in_range(at[2] - at[1], 400, 490);
	rig_settle(r);
	assert_true(look(r, "up").next_probe > clock_real_ms() + HOURS / 2);
	assert_int_equal(1, rcpt_of(r, id).attempts);
	rig_verify(r);
	rig_free(&r);
}

static void
a_grant_that_is_gone_is_not_tried_again(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe-auth 50ms\n");
	size_t i;

	(void)state;
	park(r, "invalid_grant: the token was revoked");
	assert_int_equal(0, look(r, "up").next_probe);
	for (i = 0; i < 3; i++)
		rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_account_resume, "up"));
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OK, look(r, "up").state);
	rig_free(&r);
}

/* What is refused was about the grant before. */
static void
a_login_during_an_attempt_counts(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe-auth 1h\n");
	struct rig_job *j;

	(void)state;
	send_one(r);
	j = rig_job(r);
	park_credential(r->queue, "up");
	rig_answer_class(j, JOB_CREDENTIAL, "invalid_grant: it is old");
	j = rig_job(r);
	assert_int_equal(QUEUE_PARKED, look(r, "up").state);
	park_credential(r->queue, "up");
	rig_answer_class(j, JOB_CREDENTIAL, "invalid_grant: this one too");
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OK, look(r, "up").state);
	rig_free(&r);
}

static void
a_login_tries_what_could_not_be_reached(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1h\n");

	(void)state;
	send_one(r);
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "token endpoint: 503");
	rig_until(r, look(r, "up").state == QUEUE_UNREACHABLE);
	park_credential(r->queue, "another");
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	park_credential(r->queue, "up");
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
a_new_auth_tries_a_grant_that_is_gone_once(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe-auth 50ms\n");

	(void)state;
	park(r, "invalid_grant: the token was revoked");
	park_auth(r->queue);
	refuse(r, "invalid_grant: the token was revoked");
	rig_settle(r);
	assert_int_equal(0, look(r, "up").next_probe);
	assert_int_equal(2, r->n_jobs);
	rig_free(&r);
	r = rig_new(ONE "retry 1h\nprobe-auth 1h\n");
	park(r, "535 no");
	park_auth(r->queue);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	rig_free(&r);
}

static void
a_reload_tries_what_is_parked(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe-auth 1h\n");

	(void)state;
	park(r, "535 no");
	send_one(r);
	rig_reload(r, ONE "retry 1h\nprobe-auth 1h\n# mended\n");
	rig_add_delivery(r);
	rig_answer(rig_job(r), 250, "ok");
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
a_retry_does_not_try_a_refused_credential(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe-auth 1h\n");
	uint64_t id;

	(void)state;
	id = park(r, "535 no");
	assert_int_equal(QUEUE_OP_NOTHING, rig_op(r, queue_op_retry, id));
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	assert_int_equal(1, rcpt_of(r, id).attempts);
	rig_free(&r);
}

static void
a_probe_that_gets_no_connection_tells_nothing_of_the_credential(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 1ms\n"
	    "probe-auth 60ms 1h\n");

	(void)state;
	park(r, "535 no");
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "no route");
	rig_settle(r);
	assert_int_equal(QUEUE_PARKED, look(r, "up").state);
	assert_string_equal("535 no", look(r, "up").why);
	assert_true(look(r, "up").next_probe > clock_real_ms() + HOURS / 2);
	rig_free(&r);
}

static void
an_unreachable_transport_may_turn_out_to_be_parked(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe 60ms\n"
	    "probe-auth 60ms 1h\n");

	(void)state;
	send_one(r);
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "no route");
	refuse(r, "535 no");
	rig_until(r, look(r, "up").state == QUEUE_PARKED);
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OK, look(r, "up").state);
	rig_free(&r);
}

static void
parked_mail_takes_the_route_of_its_fourth_attempt(void **state)
{
	struct rig *r = rig_new(UP SPARE "route attempts 3 via spare\n"
	    "route via up\nretry 100ms\nprobe-auth 1h\n");
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = park(r, "535 no");
	j = job_by(r, "spare");
	assert_int_equal(4, rcpt_of(r, id).attempts);
	assert_int_equal(2, r->n_jobs);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

/* ---- quotas ---- */

static void
a_quota_is_waited_for_as_long_as_the_server_says(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\nprobe-auth 1m\n");
	struct seen s;

	(void)state;
	send_one(r);
	rig_answer_class(rig_job(r), JOB_QUOTA, "550 5.4.5 Daily user sending "
	    "limit exceeded, try again in 3 hours");
	rig_until(r, look(r, "up").state == QUEUE_PARKED);
	s = look(r, "up");
	assert_in_range(s.next_probe, clock_real_ms() + 3 * HOURS - 60000,
	    clock_real_ms() + 3 * HOURS);
	assert_int_equal(1, rig_messages(r));
	rig_free(&r);
}

static void
the_end_of_a_quota_is_read_from_replies(void **state)
{
	(void)state;
	assert_int_equal(1000 + 7200000, park_reset_time(
	    "452 4.7.1 retry after 2 hours", 1000));
	assert_int_equal(1000 + 3600000, park_reset_time(
	    "454 try again in 3600 seconds", 1000));
	assert_int_equal(1000 + 60000, park_reset_time(
	    "454 blocked for 3 sec", 1000));
	assert_int_equal(0, park_reset_time("550 5.4.5 Daily user sending "
	    "limit exceeded", 1000));
	assert_int_equal(0, park_reset_time("550 in 99999 days", 1000));
	assert_int_equal(0, park_reset_time("550 in 5 boxes", 1000));
	assert_int_equal(0, park_reset_time("550 in ", 1000));
}

/* ---- pause ---- */

static void
a_paused_transport_keeps_its_mail(void **state)
{
	struct rig *r = rig_new(ONE "retry 1h\n");
	uint64_t id;
	size_t i;

	(void)state;
	assert_int_equal(QUEUE_OP_UNKNOWN, rig_steer(r,
	    queue_op_transport_pause, "nothing"));
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_pause, "up"));
	assert_int_equal(QUEUE_OP_NOTHING, rig_steer(r,
	    queue_op_transport_pause, "up"));
	id = send_one(r);
	send_one(r);
	rig_settle(r);
	assert_int_equal(0, r->n_jobs);
	assert_int_equal(1, rcpt_of(r, id).attempts);
	assert_int_equal(QUEUE_OP_NOTHING, rig_op(r, queue_op_retry, id));
	rig_stop(r);
	rig_start(r);
	assert_int_equal(QUEUE_PAUSED, look(r, "up").state);
	assert_int_equal(2, look(r, "up").waiting);
	rig_settle(r);
	assert_int_equal(0, r->n_jobs);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_resume, "up"));
	for (i = 0; i < 2; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

#define ACCOUNTS UP "account one { senders one.test; route via up }\n"	\
		 "account two { senders two.test; route via up }\n"

static void
a_paused_account_keeps_its_mail_alone(void **state)
{
	struct rig *r = rig_new(ACCOUNTS "retry 1h\n");
	struct rig_job *j;
	uint64_t id;

	(void)state;
	/* The credential is known to work. */
	send_from(r, "a@two.test");
	rig_answer(rig_job(r), 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	assert_int_equal(QUEUE_OP_UNKNOWN, rig_steer(r,
	    queue_op_account_pause, "three"));
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r, queue_op_account_pause,
	    "one"));
	assert_int_equal(QUEUE_OP_NOTHING, rig_steer(r,
	    queue_op_account_pause, "one"));
	id = send_from(r, "a@one.test");
	send_from(r, "a@two.test");
	j = rig_job(r);
	assert_string_equal("a@two.test", j->job.from);
	rig_answer(j, 250, "ok");
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
	assert_int_equal(QUEUE_PAUSED, look_account(r, "one").state);
	assert_int_equal(1, look_account(r, "one").waiting);
	assert_int_equal(QUEUE_OK, look_account(r, "two").state);
	rig_verify(r);
	rig_stop(r);
	rig_start(r);
	assert_int_equal(QUEUE_PAUSED, look_account(r, "one").state);
	rig_settle(r);
	assert_int_equal(0, r->n_jobs);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_account_resume, "one"));
	j = job_of(r, id);
	assert_string_equal("up", j->job.transport);
	rig_answer(j, 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OK, look_account(r, "one").state);
	assert_int_equal(QUEUE_OP_NOTHING, rig_steer(r,
	    queue_op_account_resume, "one"));
	rig_free(&r);
}

static void
what_was_deferred_before_waits_for_its_account_too(void **state)
{
	struct rig *r = rig_new(ACCOUNTS "retry 200ms\n");
	uint64_t id;

	(void)state;
	id = send_from(r, "a@one.test");
	rig_answer(rig_job(r), 451, "later");
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r, queue_op_account_pause,
	    "one"));
	rig_until(r, rcpt_of(r, id).attempts == 2);
	assert_int_equal(1, r->n_jobs);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_account_resume, "one"));
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

#define OWN "account own { senders own.test; submission mx.test:587; "	\
	    "username u; password p }\nbounce-to sender\n"

static void
either_name_resumes_a_parked_credential(void **state)
{
	struct rig *r = rig_new(OWN "retry 1h\nprobe-auth 1h\n");

	(void)state;
	send_from(r, "a@own.test");
	refuse(r, "535 no");
	rig_until(r, look_account(r, "own").state == QUEUE_PARKED);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_account_resume, "own"));
	refuse(r, "535 no");
	rig_until(r, look_account(r, "own").state == QUEUE_PARKED);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_resume, "own"));
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

/* ---- no network ---- */

#define NET "transport up { smarthost mx.test:25 }\n"			\
	    "transport other { smarthost other.test:25 }\n"		\
	    "transport near { smarthost 127.0.0.1:25 }\n"		\
	    "route from near.test via near\nroute from other.test via other\n"\
	    "route via up\nbounce-to sender\nretry 1h\n"

static void
without_a_network_all_wait_and_nothing_is_counted(void **state)
{
	struct rig *r = rig_new(NET "probe 60ms 1h\n");
	struct rig_job *j;
	uint64_t id, other;

	(void)state;
	id = send_one(r);
	rig_answer_class(rig_job(r), JOB_OFFLINE, "no network");
	rig_until(r, look(r, "other").state == QUEUE_UNREACHABLE);
	other = send_from(r, "a@other.test");
	assert_int_equal(0, rcpt_of(r, other).attempts);
	/* What is on this machine needs none. */
	send_from(r, "a@near.test");
	j = rig_job(r);
	if (strcmp(j->job.transport, "near") != 0) {
		rig_answer_class(j, JOB_OFFLINE, "no network");
		j = rig_job(r);
	}
	assert_string_equal("near", j->job.transport);
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 2);
	while (look(r, "up").next_probe < clock_real_ms() + HOURS / 2) {
		while (r->next < r->n_jobs)
			rig_answer_class(rig_job(r), JOB_OFFLINE,
			    "no network");
		loop_turn(r->loop, true);
	}
	rig_settle(r);
	assert_int_equal(0, rcpt_of(r, id).attempts);
	assert_int_equal(0, rcpt_of(r, other).attempts);
	rig_verify(r);
	/* It is tried by hand, too. */
	rig_stop(r);
	rig_start(r);
	rig_settle(r);
	assert_int_equal(0, r->n_jobs);
	rig_free(&r);
}

static void
all_goes_out_when_the_network_is_back(void **state)
{
	struct rig *r = rig_new(NET "probe 60ms\n");
	size_t i;

	(void)state;
	send_one(r);
	rig_answer_class(rig_job(r), JOB_OFFLINE, "no network");
	rig_until(r, look(r, "up").state == QUEUE_UNREACHABLE);
	send_one(r);
	send_from(r, "a@other.test");
	for (i = 0; i < 3; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OK, look(r, "up").state);
	rig_free(&r);
}

static void
it_is_looked_for_again_and_again(void **state)
{
	struct rig *r = rig_new(NET "probe 60ms\n");
	int i;

	(void)state;
	send_one(r);
	for (i = 0; i < 4; i++)
		rig_answer_class(rig_job(r), JOB_OFFLINE, "no network");
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OK, look(r, "up").state);
	rig_free(&r);
}

/* ---- expire ---- */

static void
parked_mail_does_not_expire(void **state)
{
	struct rig *r = rig_new(ONE "retry 50ms\nexpire 300ms\n"
	    "probe-auth 1h\n");
	uint64_t id;

	(void)state;
	id = park(r, "535 no");
	rig_until(r, rcpt_of(r, id).attempts > 15);
	assert_int_equal(1, rig_messages(r));
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_account_resume, "up"));
	/* Its own time has not passed. */
	rig_answer(rig_job(r), 451, "later");
	rig_settle(r);
	assert_int_equal(1, rig_messages(r));
	rig_free(&r);
}

static void
expire_max_ends_it_all_the_same(void **state)
{
	struct rig *r = rig_new(ONE "retry 50ms\nexpire 300ms\n"
	    "expire-max 1s\nprobe-auth 1h\n");

	(void)state;
	park(r, "535 no");
	rig_until(r, rig_messages(r) == 1);
	rig_until(r, history_has(r, "\"status\":\"expired\""));
	rig_free(&r);
}

static void
a_clock_that_is_set_forward_expires_nothing(void **state)
{
	struct rig *r = rig_new(ONE "retry 1m\nexpire 4h\nexpire-max 9d\n"
	    "warn-after off\n");
	uint64_t id;

	(void)state;
	id = send_deferred(r);
	clock_ahead(24 * HOURS);
	rig_answer(rig_job(r), 451, "later");
	rig_settle(r);
	assert_int_equal(1, rig_messages(r));
	assert_int_equal(2, rcpt_of(r, id).attempts);
	/* Kept over a restart. */
	rig_stop(r);
	rig_start(r);
	clock_ahead(24 * HOURS + 120000);
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	clock_ahead(0);
	rig_free(&r);
}

static void
a_clock_that_is_set_back_keeps_no_lane_closed(void **state)
{
	struct rig *r;

	(void)state;
	clock_ahead(48 * HOURS);
	r = rig_new(ONE "retry 1h\nprobe-auth 300ms\n");
	send_one(r);
	refuse(r, "535 no");
	clock_ahead(0);
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_password_is_shown_once),
		cmocka_unit_test(a_credential_is_tried_by_its_own_steps),
		cmocka_unit_test(a_grant_that_is_gone_is_not_tried_again),
		cmocka_unit_test(a_login_during_an_attempt_counts),
		cmocka_unit_test(a_login_tries_what_could_not_be_reached),
		cmocka_unit_test(a_new_auth_tries_a_grant_that_is_gone_once),
		cmocka_unit_test(a_reload_tries_what_is_parked),
		cmocka_unit_test(a_retry_does_not_try_a_refused_credential),
		cmocka_unit_test(
	    a_probe_that_gets_no_connection_tells_nothing_of_the_credential),
		cmocka_unit_test(
		    an_unreachable_transport_may_turn_out_to_be_parked),
		cmocka_unit_test(
		    parked_mail_takes_the_route_of_its_fourth_attempt),
		cmocka_unit_test(
		    a_quota_is_waited_for_as_long_as_the_server_says),
		cmocka_unit_test(the_end_of_a_quota_is_read_from_replies),
		cmocka_unit_test(a_paused_transport_keeps_its_mail),
		cmocka_unit_test(a_paused_account_keeps_its_mail_alone),
		cmocka_unit_test(
		    what_was_deferred_before_waits_for_its_account_too),
		cmocka_unit_test(either_name_resumes_a_parked_credential),
		cmocka_unit_test(
		    without_a_network_all_wait_and_nothing_is_counted),
		cmocka_unit_test(all_goes_out_when_the_network_is_back),
		cmocka_unit_test(it_is_looked_for_again_and_again),
		cmocka_unit_test(parked_mail_does_not_expire),
		cmocka_unit_test(expire_max_ends_it_all_the_same),
		cmocka_unit_test(a_clock_that_is_set_forward_expires_nothing),
		cmocka_unit_test(
		    a_clock_that_is_set_back_keeps_no_lane_closed),
	};

	return cmocka_run_group_tests(tests, clock_ahead_setup,
	    clock_ahead_teardown);
}

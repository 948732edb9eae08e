/* What an administrator can do, and sees. */
#include "queue/steps.h"

#include <stdio.h>
#include <string.h>

#define ONE "transport up { smarthost mx.test:25 }\n"			\
	    "route via up\nbounce-to sender\nretry 100ms\n"
#define SLOW "transport up { smarthost mx.test:25 }\n"			\
	     "route via up\nbounce-to sender\nretry 1h\n"

static void
hold_and_release(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct queue_counts n;
	uint64_t id;

	(void)state;
	id = send_deferred(r);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_hold, id));
	assert_int_equal(QUEUE_OP_NOTHING, rig_op(r, queue_op_hold, id));
	assert_int_equal(QUEUE_OP_NOTHING, rig_op(r, queue_op_retry, id));
	queue_counts(r->queue, &n);
	assert_int_equal(1, n.held);
	assert_int_equal(0, n.deferred);
	rig_verify(r);
	rig_stop(r);
	rig_start(r);
	rig_settle(r);
	assert_int_equal(0, r->n_jobs);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_release, id));
	assert_int_equal(QUEUE_OP_NOTHING, rig_op(r, queue_op_release, id));
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(QUEUE_OP_UNKNOWN, rig_op(r, queue_op_release, id));
	rig_free(&r);
}

static void
hold_lets_an_attempt_end(void **state)
{
	struct rig *r = rig_new(ONE);
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = send_one(r);
	j = rig_job(r);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_hold, id));
	rig_verify(r);
	rig_answer(j, 451, "later");
	rig_settle(r);
	rig_verify(r);
	assert_int_equal(1, r->n_jobs);
	assert_int_equal(1, store_counter(queue_store(r->queue),
	    COUNT_HELD));
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_release, id));
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
remove_and_bounce(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = send_one(r);
	j = rig_job(r);
	assert_int_equal(QUEUE_OP_NOTHING, rig_op(r, queue_op_retry, id));
	assert_int_equal(QUEUE_OP_LATER, rig_op(r, queue_op_remove, id));
	rig_answer(j, 451, "later");
	gone(r);
	assert_int_equal(1, r->n_jobs);
	assert_true(history_has(r, "\"status\":\"removed\""));

	id = send_deferred(r);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_bounce, id));
	j = rig_job(r);
	assert_string_equal("a@from.test", j->job.rcpt[0].address);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

/* What is with one server is awaited; nothing else is begun. */
static void
remove_begins_nothing_new(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "transport other { smarthost o.test:25 }\n"
	    "route to x@to.test via up\nroute via other\nretry 50ms\n");
	struct rig_job *j[2], *up, *other;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test y@to.test", BODY, NULL);
	j[0] = rig_job(r);
	j[1] = rig_job(r);
	up = strcmp(j[0]->job.transport, "up") == 0 ? j[0] : j[1];
	other = up == j[0] ? j[1] : j[0];
	assert_int_equal(QUEUE_OP_LATER, rig_op(r, queue_op_remove, id));
	rig_answer(other, 451, "later");
	rig_settle(r);
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
	rig_answer(up, 451, "later");
	gone(r);
	assert_int_equal(2, r->n_jobs);
	rig_free(&r);
}

static void
what_was_delivered_after_all_is_not_called_removed(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = send_one(r);
	j = rig_job(r);
	assert_int_equal(QUEUE_OP_LATER, rig_op(r, queue_op_remove, id));
	rig_answer(j, 250, "ok");
	gone(r);
	assert_false(history_has(r, "removed"));
	rig_free(&r);
}

static void
a_reload_moves_what_waits(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = send_deferred(r);
	rig_reload(r, "transport other { smarthost o.test:25 }\n"
	    "route via other\nretry 1h\n");
	rig_add_delivery(r);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_retry, id));
	j = job_by(r, "other");
	rig_verify(r);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

struct lanes {
	unsigned count;
	char error[64];
	uint64_t waiting;
};

static void
take_lane(void *arg, const struct queue_lane_info *info)
{
	struct lanes *l = arg;

	l->count++;
	if (strcmp(info->transport, "up") != 0)
		return;
	l->waiting = info->waiting;
	snprintf(l->error, sizeof(l->error), "%s", info->last_error != NULL ?
	    info->last_error : "");
	assert_int_equal(QUEUE_UNREACHABLE, info->state);
	assert_string_equal("connection refused", info->why);
	assert_true(info->since > 0 && info->next_probe > info->since);
}

static void
status_tells_of_lanes(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct strbuf text = STRBUF_INIT;
	struct lanes lanes = { 0, "", 0 };
	struct record *rec;
	uint64_t id;

	(void)state;
	id = send_one(r);
	rec = rig_record(r, id);
	assert_string_equal("active", queue_message_status(r->queue, rec));
	record_free(&rec);
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "connection refused");
	rig_settle(r);
	queue_each_lane(r->queue, take_lane, &lanes);
	assert_int_equal(2, lanes.count);	/* and direct */
	assert_int_equal(1, lanes.waiting);
	assert_string_equal("connection refused", lanes.error);
	rec = rig_record(r, id);
	queue_message_json(r->queue, rec, &text);
	assert_non_null(strstr(strbuf_cstr(&text),
	    "\"status\":\"deferred\""));
	assert_non_null(strstr(strbuf_cstr(&text), "\"attempts\":1"));
	strbuf_free(&text);
	record_free(&rec);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hold_and_release),
		cmocka_unit_test(hold_lets_an_attempt_end),
		cmocka_unit_test(remove_and_bounce),
		cmocka_unit_test(remove_begins_nothing_new),
		cmocka_unit_test(
		    what_was_delivered_after_all_is_not_called_removed),
		cmocka_unit_test(a_reload_moves_what_waits),
		cmocka_unit_test(status_tells_of_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

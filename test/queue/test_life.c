/* What survives what: dead peers, restarts, a failing disk, damage. */
#include "queue/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/num.h"

#define ONE "transport up { smarthost mx.test:25 }\n"			\
	    "route via up\nbounce-to sender\nretry 100ms\n"
#define NARROW "transport up { smarthost mx.test:25; connections 1 }\n"	\
	       "route via up\nbounce-to sender\nretry 100ms\n"
#define SLOW "transport up { smarthost mx.test:25 }\n"			\
	     "route via up\nbounce-to sender\nretry 1h\n"

static void
a_dead_delivery_gives_its_jobs_back(void **state)
{
	struct rig *r = rig_new(ONE);
	struct record *rec;
	uint64_t id;

	(void)state;
	id = send_one(r);
	rig_job(r);
	rig_kill_delivery(r);
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1);
	rec = rig_record(r, id);
	assert_int_equal(1, rec->rcpt[0].attempts);
	record_free(&rec);
	rig_verify(r);
	rig_settle(r);			/* due meanwhile, nobody to do it */
	rig_add_delivery(r);
	rig_answer(job_of(r, id), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
a_crash_is_no_shorter_way_to_the_next_attempt(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "route via up\nretry 500ms 1h\n");
	uint64_t id, started;
	struct record *rec;
	struct rig_job *j;

	(void)state;
	id = send_one(r);
	rig_job(r);
	rig_verify(r);
	rig_stop(r);			/* without a result */
	started = rig_now();
	rig_start(r);
	rig_settle(r);
	rig_verify(r);
	assert_int_equal(0, r->n_jobs);
	j = rig_job(r);
	assert_in_range(j->at - started, 490, 1500);
	assert_true(j->job.id == id);
	rec = rig_record(r, id);
	assert_int_equal(2, rec->rcpt[0].attempts);
	record_free(&rec);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
what_waits_survives_a_restart(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct queue_counts n;
	uint64_t ids[3];
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		ids[i] = send_one(r);
		rig_answer(rig_job(r), 451, "later");
	}
	rig_settle(r);
	rig_stop(r);
	rig_start(r);
	rig_verify(r);
	queue_counts(r->queue, &n);
	assert_int_equal(3, n.deferred);
	assert_int_equal(0, n.active);
	assert_true(n.oldest != 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_retry,
		    ids[i]));
	for (i = 0; i < 3; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
a_job_that_was_not_begun_is_no_attempt(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct record *rec;
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = send_one(r);
	rig_answer_class(rig_job(r), JOB_RETURNED, "ending");
	rig_settle(r);
	rig_add_delivery(r);		/* the new process */
	j = rig_job(r);
	rec = rig_record(r, id);
	assert_int_equal(1, rec->rcpt[0].attempts);
	record_free(&rec);
	rig_answer(j, 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
no_more_jobs_than_the_window_are_out(void **state)
{
	struct rig *r = rig_new(NARROW);
	uint64_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		send_one(r);
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
	rig_verify(r);
	rig_answer(rig_job(r), 250, "ok");
	rig_until(r, r->n_jobs == 3);
	for (i = 1; i < 6; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
taken(void *arg, struct port_message *m)
{
	size_t *n = arg;

	assert_non_null(m);
	(*n)++;
}

/* Due entries show in the store before their commit is told of. */
static void
a_burst_goes_through_few_slots(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25;"
	    " connections 2 }\nroute via up\n");
	struct strbuf meta = STRBUF_INIT;
	size_t i, n = 0, answered = 0, count = RIG_JOBS;

	(void)state;
	for (i = 0; i < count; i++) {
		struct envelope *env = rig_envelope(r, "a@from.test",
		    "x@to.test");

		strbuf_clear(&meta);
		assert_int_equal(0, envelope_encode(env, true, &meta, NULL));
		port_transfer(r->listener, MSG_MAIL, port_request(r->listener,
		    0, taken, &n), strbuf_slice(&meta), slice_of("", 0));
		envelope_free(&env);
		for (loop_turn(r->loop, false); answered < r->n_jobs;
		    answered++)
			rig_answer(&r->jobs[answered], 250, "ok");
	}
	for (r->next = answered; answered < count; answered++)
		rig_answer(rig_job(r), 250, "ok");
	strbuf_free(&meta);
	gone(r);
	assert_int_equal(count, n);
	rig_free(&r);
}

/* With a backlog of retries, new mail gets its share of the slots. */
static void
retries_leave_room_for_fresh_mail(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25;"
	    " connections 2 }\nroute via up\nretry 200ms\n");
	uint64_t fresh = 0;
	size_t i;

	(void)state;
	for (i = 0; i < 12; i++) {
		send_one(r);
		rig_answer(rig_job(r), 451, "later");
	}
	rig_until(r, r->n_jobs == 16);	/* four slots, all for retries */
	fresh = send_one(r);
	rig_settle(r);
	assert_int_equal(16, r->n_jobs);
	for (i = 0; i < 3; i++)
		rig_answer(rig_job(r), 451, "later");
	rig_until(r, r->n_jobs >= 17);
	for (i = 12; i < r->n_jobs && r->jobs[i].job.id != fresh; i++)
		;
	assert_true(i < r->n_jobs);
	rig_free(&r);
}

static void
a_hand_over_waits_for_a_slot_of_the_next(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "transport next { smarthost b.test:25; connections 1 }\n"
	    "route via up next\nretry 1h\n");
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		send_one(r);
	for (i = 0; i < 4; i++)
		rig_answer_class(rig_job(r), JOB_UNREACHABLE, "down");
	rig_until(r, r->n_jobs == 6);
	rig_settle(r);
	assert_int_equal(6, r->n_jobs);
	for (i = 0; i < 4; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

/* ---- bad things ---- */

static void
a_taken_id_is_refused(void **state)
{
	struct rig *r = rig_new(SLOW);
	struct msg_done done;
	uint64_t id;

	(void)state;
	id = send_one(r);
	r->next_id = id - 1;
	rig_mail(r, "b@from.test", "y@to.test", BODY, &done);
	assert_int_equal(451, done.code);
	rig_answer(rig_job(r), 451, "later");
	rig_settle(r);
	r->next_id = id - 1;		/* now only the store knows it */
	rig_mail(r, "b@from.test", "y@to.test", BODY, &done);
	assert_int_equal(451, done.code);
	rig_verify(r);
	rig_free(&r);
}

static void
a_short_disk_refuses_new_mail(void **state)
{
	struct rig *r = rig_new(ONE "disk-reserve 1000000G\n");
	struct rig_reply reply;
	struct msg_done done;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, &done);
	assert_int_equal(452, done.code);
	assert_int_equal(3, done.status[1]);
	assert_int_equal(1, done.status[2]);
	rig_request(r, MSG_SPOOL_WANT, "", &reply);
	assert_int_equal(452, reply.done.code);
	rig_reload(r, ONE);
	send_one(r);
	rig_free(&r);
}

static void
a_listener_that_lies_is_dropped(void **state)
{
	struct rig *r = rig_new(ONE);
	struct envelope *env = rig_envelope(r, "a@from.test", "x@to.test");
	struct msg_done done;
	int fd = open("/dev/null", O_RDWR);

	(void)state;
	env->size = 5;
	rig_mail_env(r, &env, NULL, fd, &done);
	assert_int_equal(0, done.code);
	rig_until(r, r->listener_closed && r->accused == 1);
	assert_int_equal(ROLE_LISTENER, r->bad.role);
	rig_add_listener(r);
	port_send(r->listener, MSG_JOB, 0, SLICE_LIT("x"));
	rig_until(r, r->listener_closed && r->accused == 2);
	rig_add_listener(r);
	send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

static void
nobody_is_accused_of_its_own_end(void **state)
{
	struct rig *r = rig_new(ONE);

	(void)state;
	send_one(r);
	rig_job(r);
	port_free(&r->listener);
	rig_kill_delivery(r);
	rig_settle(r);
	rig_add_listener(r);
	rig_add_delivery(r);
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	assert_int_equal(0, r->accused);
	rig_free(&r);
}

static void
fault(const char *what)
{
	if (what != NULL)
		setenv("SMARTHOSTD_FAULT", what, 1);
	else
		unsetenv("SMARTHOSTD_FAULT");
	fault_init();
}

static void
a_commit_that_fails_is_answered_and_made_again(void **state)
{
	struct rig *r = rig_new(ONE);
	struct msg_done done;
	struct rig_job *j;

	(void)state;
	fault("queue.before_commit=ENOSPC");
	rig_mail(r, "a@from.test", "x@to.test", BODY, &done);
	assert_int_equal(452, done.code);
	fault("queue.before_commit=EIO");
	rig_mail(r, "a@from.test", "x@to.test", BODY, &done);
	assert_int_equal(451, done.code);
	assert_int_equal(0, rig_messages(r));
	send_one(r);
	fault("queue.settle.before_commit=EIO");
	rig_answer(rig_job(r), 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	fault("queue.bounce.before_commit=EIO");
	send_one(r);
	rig_answer(rig_job(r), 550, "no");
	j = rig_job(r);			/* one report, a second later */
	assert_string_equal("", j->job.from);
	rig_answer(j, 250, "ok");
	gone(r);
	assert_int_equal(3, r->n_jobs);
	fault(NULL);
	rig_free(&r);
}

/* Writes over the record's value, as a bad disk might. */
static void
damage(struct rig *r, uint64_t id)
{
	unsigned char k[8];
	MDB_val key = { sizeof(k), k }, val;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	char path[128], *copy;
	int i;

	for (i = 0; i < 8; i++)
		k[i] = (unsigned char)(id >> (56 - 8 * i));
	snprintf(path, sizeof(path), "%s/queue", r->spool);
	assert_int_equal(0, mdb_env_create(&env));
	mdb_env_set_maxdbs(env, 16);
	mdb_env_set_mapsize(env, 1u << 30);
	assert_int_equal(0, mdb_env_open(env, path, MDB_WRITEMAP, 0600));
	assert_int_equal(0, mdb_txn_begin(env, NULL, 0, &txn));
	assert_int_equal(0, mdb_dbi_open(txn, "message", 0, &dbi));
	assert_int_equal(0, mdb_get(txn, dbi, &key, &val));
	copy = mem_dup(val.mv_data, val.mv_size);
	copy[val.mv_size / 2] ^= 0x55;
	val.mv_data = copy;
	assert_int_equal(0, mdb_put(txn, dbi, &key, &val, 0));
	assert_int_equal(0, mdb_txn_commit(txn));
	mdb_env_close(env);
	free(copy);
}

static void
finding(void *arg, const char *text)
{
	assert_non_null(strstr(text, arg));
}

/* That, and nothing else, is what a check of the queue finds. */
static void
in_quarantine(struct rig *r, uint64_t id)
{
	char expected[64], name[NUM_ID_LEN + 1];

	rig_until(r, rig_messages(r) == 0);
	rig_settle(r);
	num_id_text(id, name);
	snprintf(expected, sizeof(expected), "%s: in quarantine", name);
	assert_int_equal(1, store_verify(queue_store(r->queue), finding,
	    expected));
}

static void
a_damaged_record_stops_nothing(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "route via up\nretry 300ms\n");
	uint64_t bad, good;

	(void)state;
	bad = send_one(r);
	rig_answer(rig_job(r), 451, "later");
	good = send_one(r);
	rig_answer(rig_job(r), 451, "later");
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 2);
	rig_stop(r);
	damage(r, bad);
	rig_start(r);
	rig_answer(job_of(r, good), 250, "ok");
	in_quarantine(r, bad);
	assert_int_equal(0, store_counter(queue_store(r->queue),
	    COUNT_DEFERRED));
	rig_free(&r);
}

static void
a_damaged_lease_stops_nothing(void **state)
{
	struct rig *r = rig_new(ONE);
	uint64_t bad;

	(void)state;
	bad = send_one(r);
	rig_job(r);
	rig_stop(r);
	damage(r, bad);
	rig_start(r);
	in_quarantine(r, bad);
	assert_int_equal(0, store_counter(queue_store(r->queue),
	    COUNT_QUEUED));
	assert_int_equal(0, store_counter(queue_store(r->queue),
	    COUNT_DEFERRED));
	rig_free(&r);
}

/* It stands in two lanes, and is met in each of them. */
static void
a_damaged_record_is_counted_once(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "transport other { smarthost o.test:25 }\n"
	    "route to x@to.test via up\nroute via other\nretry 300ms\n");
	uint64_t bad;

	(void)state;
	bad = rig_mail(r, "a@from.test", "x@to.test y@to.test", BODY, NULL);
	rig_answer(rig_job(r), 451, "later");
	rig_answer(rig_job(r), 451, "later");
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1);
	rig_settle(r);
	rig_stop(r);
	damage(r, bad);
	rig_start(r);
	in_quarantine(r, bad);
	assert_int_equal(0, store_counter(queue_store(r->queue),
	    COUNT_DEFERRED));
	rig_free(&r);
}

static void
a_body_that_delivery_refuses_is_tried_again(void **state)
{
	struct rig *r = rig_new(ONE);

	(void)state;
	send_one(r);
	rig_answer_class(rig_job(r), JOB_BROKEN, "another CRC");
	rig_answer(rig_job(r), 250, "ok");	/* ours was whole */
	gone(r);
	rig_free(&r);
}

static void
drain_finishes_what_is_in_flight(void **state)
{
	struct rig *r = rig_new(NARROW);
	struct rig_job *j;

	(void)state;
	send_one(r);
	send_one(r);
	send_one(r);			/* waits for a slot */
	j = rig_job(r);
	port_send(r->monitor, MSG_ROLE_DRAIN, 0, slice_of("", 0));
	rig_settle(r);
	send_one(r);			/* taken, not tried */
	rig_answer(j, 250, "ok");
	rig_answer_class(rig_job(r), JOB_RETURNED, "ending");
	rig_settle(r);
	assert_int_equal(2, r->n_jobs);
	assert_int_equal(3, rig_messages(r));
	rig_verify(r);
	port_free(&r->listener);
	port_free(&r->delivery);
	/* role_exit() ends this loop. */
	loop_run(r->loop);
	assert_int_equal(0, store_in_flight(queue_store(r->queue)));
	assert_int_equal(3, store_counter(queue_store(r->queue),
	    COUNT_QUEUED));
	rig_stop(r);
	rig_start(r);
	rig_verify(r);
	rig_answer(rig_job(r), 250, "ok");
	rig_answer(rig_job(r), 250, "ok");
	rig_answer(rig_job(r), 250, "ok");
	gone(r);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_delivery_gives_its_jobs_back),
		cmocka_unit_test(
		    a_crash_is_no_shorter_way_to_the_next_attempt),
		cmocka_unit_test(what_waits_survives_a_restart),
		cmocka_unit_test(a_job_that_was_not_begun_is_no_attempt),
		cmocka_unit_test(no_more_jobs_than_the_window_are_out),
		cmocka_unit_test(a_burst_goes_through_few_slots),
		cmocka_unit_test(retries_leave_room_for_fresh_mail),
		cmocka_unit_test(a_hand_over_waits_for_a_slot_of_the_next),
		cmocka_unit_test(a_taken_id_is_refused),
		cmocka_unit_test(a_short_disk_refuses_new_mail),
		cmocka_unit_test(a_listener_that_lies_is_dropped),
		cmocka_unit_test(nobody_is_accused_of_its_own_end),
		cmocka_unit_test(
		    a_commit_that_fails_is_answered_and_made_again),
		cmocka_unit_test(a_damaged_record_stops_nothing),
		cmocka_unit_test(a_damaged_lease_stops_nothing),
		cmocka_unit_test(a_damaged_record_is_counted_once),
		cmocka_unit_test(a_body_that_delivery_refuses_is_tried_again),
		cmocka_unit_test(drain_finishes_what_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

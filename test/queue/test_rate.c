/* Rolling sums, and what waits for them. */
#include "queue/steps.h"

#include "queue/internal.h"
#include "queue/ration.h"

#define REST "route via up\nbounce-to sender\nretry 1h\n"
#define UP(what) "transport up { smarthost mx.test:25; " what " }\n" REST
#define HOUR 3600000ull
#define T0 1000000000000ull

/* ---- sums ---- */

static void
no_more_than_allowed_in_any_stretch(void **state)
{
	struct ration r = { 0 };
	uint64_t now, taken[4000];
	size_t n = 0, i = 0;

	(void)state;
	ration_set(&r, 30, 60000);
	for (now = T0; now < T0 + 6 * 60000; now += 37) {
		if (ration_left(&r, now) == 0)
			continue;
		ration_take(&r, now);
		taken[n++] = now;
	}
	for (i = 30; i < n; i++)
		assert_true(taken[i] - taken[i - 30] >= 60000);
	/* And nearly as many. */
	assert_in_range(n, 5 * 30, 6 * 30);
	ration_free(&r);
}

static void
it_opens_when_it_says(void **state)
{
	struct ration r = { 0 };
	uint64_t opens;

	(void)state;
	ration_set(&r, 2, 1000);
	assert_true(ration_opens(&r, T0) == T0);
	ration_take(&r, T0);
	ration_take(&r, T0 + 300);
	assert_true(ration_left(&r, T0 + 999) == 0);
	opens = ration_opens(&r, T0 + 300);
	assert_true(opens == T0 + 1000);
	assert_true(ration_left(&r, opens) == 1);
	ration_free(&r);
}

static void
what_is_given_back_was_never_taken(void **state)
{
	struct ration r = { 0 };

	(void)state;
	ration_set(&r, 1, 1000);
	ration_take(&r, T0);
	assert_true(ration_left(&r, T0) == 0);
	ration_give(&r);
	assert_true(ration_left(&r, T0) == 1);
	ration_give(&r);
	assert_true(ration_left(&r, T0) == 1);
	ration_free(&r);
}

static void
without_a_limit_there_is_room(void **state)
{
	struct ration r = { 0 };

	(void)state;
	ration_set(&r, 0, 0);
	ration_take(&r, T0);
	assert_true(ration_left(&r, T0) == UINT64_MAX);
	assert_true(ration_opens(&r, T0) == T0);
	ration_free(&r);
}

static void
a_clock_that_is_set_back_does_not_close_it_for_long(void **state)
{
	struct ration r = { 0 };

	(void)state;
	ration_set(&r, 1, 1000);
	ration_take(&r, T0 + 30 * 24 * HOUR);
	assert_true(ration_left(&r, T0) == 0);
	assert_true(ration_opens(&r, T0) == T0 + 1000);
	ration_free(&r);
}

static void
a_lower_limit_counts_what_was_taken(void **state)
{
	struct ration r = { 0 };
	size_t i;

	(void)state;
	ration_set(&r, 10, 1000);
	for (i = 0; i < 10; i++)
		ration_take(&r, T0 + i * 20);
	ration_set(&r, 3, 1000);
	assert_true(ration_left(&r, T0 + 200) == 0);
	assert_true(ration_opens(&r, T0 + 200) == T0 + 1140);
	ration_free(&r);
}

static void
many_are_kept_in_few_pieces(void **state)
{
	struct ration r = { 0 };
	uint64_t i;

	(void)state;
	ration_set(&r, 1000000, 24 * HOUR);
	for (i = 0; i < 100000; i++)
		ration_take(&r, T0 + i * 2000);
	assert_true(r.n <= RATION_PIECES);
	/* Of the last day, and one piece more at most. */
	assert_in_range(r.used, 43200, 43200 + 43200 / 90);
	ration_free(&r);
}

static void
they_survive_the_disk(void **state)
{
	struct ration r = { 0 }, s = { 0 };
	struct strbuf b = STRBUF_INIT;
	struct slice in;
	size_t i;

	(void)state;
	ration_set(&r, 100, 24 * HOUR);
	ration_set(&s, 100, 24 * HOUR);
	for (i = 0; i < 50; i++)
		ration_take(&r, T0 + i * HOUR / 4);
	ration_encode(&r, &b);
	strbuf_puts(&b, "more");
	in = strbuf_slice(&b);
	assert_int_equal(0, ration_decode(&s, &in));
	assert_int_equal(4, in.n);
	assert_true(s.used == 50 && s.n == r.n);
	assert_true(ration_left(&s, T0 + 25 * HOUR) ==
	    ration_left(&r, T0 + 25 * HOUR));
	ration_free(&s);
	ration_set(&s, 100, 24 * HOUR);
	for (i = 0; i < b.n - 4; i++) {
		in = slice_of(b.p, i);
		assert_int_equal(-1, ration_decode(&s, &in));
	}
	b.p[0] ^= 0x40;
	in = strbuf_slice(&b);
	assert_int_equal(-1, ration_decode(&s, &in));
	assert_true(s.used == 0);
	ration_free(&r);
	ration_free(&s);
	strbuf_free(&b);
}

/* ---- transports ---- */

static void
a_rate_makes_mail_wait_and_counts_no_attempt(void **state)
{
	struct rig *r = rig_new(UP("rate 2/400ms; connections 9"));
	uint64_t begun = rig_now(), id[5];
	struct rig_job *j;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		id[i] = send_one(r);
	for (i = 0; i < 5; i++) {
		j = rig_job(r);
		if (i == 1) {
			rig_settle(r);
			assert_int_equal(2, r->n_jobs);
			assert_int_equal(0, rcpt_of(r, id[4]).attempts);
		}
		assert_int_equal(1, rcpt_of(r, j->job.id).attempts);
		rig_answer(j, 250, "ok");
	}
	assert_true(r->jobs[2].at - begun >= 390);
	assert_true(r->jobs[4].at - begun >= 790);
	assert_true(r->jobs[4].at - begun < 3000);
	rig_until(r, rig_messages(r) == 0);
	rig_free(&r);
}

static void
what_never_got_to_the_server_is_not_counted(void **state)
{
	struct rig *r = rig_new("transport up { smarthost a.test:25; daily 1 }"
	    "\ntransport next { smarthost b.test:25 }\n"
	    "route via up next\nbounce-to sender\nretry 1h\n");
	struct rig_job *j;

	(void)state;
	send_one(r);
	j = rig_job(r);
	rig_answer_class(j, JOB_UNREACHABLE, "no route to host");
	rig_answer(job_by(r, "next"), 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	assert_int_equal(1, rate_room(lane_named(r->queue, "up")));
	rig_free(&r);
}

static void
when_the_daily_number_is_used_up_the_next_transport_is_taken(void **state)
{
	struct rig *r = rig_new("transport up { smarthost a.test:25; daily 2 }"
	    "\ntransport next { smarthost b.test:25 }\n"
	    "route via up next\nbounce-to sender\nretry 1h\n");
	struct rig_job *j;
	struct lane *l;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		send_one(r);
		j = rig_job(r);
		assert_string_equal(i < 2 ? "up" : "next", j->job.transport);
		rig_answer(j, i == 1 ? 550 : 250, "as it is");
		rig_settle(r);
	}
	l = lane_named(r->queue, "up");
	assert_int_equal(CLOSED_DAILY, l->closed);
	assert_in_range(l->next_probe - rig_now(), 23 * HOUR, 24 * HOUR);
	rig_free(&r);
}

static void
the_daily_number_is_kept_across_a_restart(void **state)
{
	struct rig *r = rig_new(UP("daily 3"));
	struct lane *l;
	uint64_t id;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		send_one(r);
		rig_answer(rig_job(r), 250, "ok");
	}
	rig_settle(r);
	rig_stop(r);
	rig_start(r);
	assert_int_equal(1, rate_room(lane_named(r->queue, "up")));
	send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	rig_settle(r);
	id = send_one(r);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	rig_stop(r);
	rig_start(r);
	rig_settle(r);
	l = lane_named(r->queue, "up");
	assert_int_equal(CLOSED_DAILY, l->closed);
	assert_int_equal(0, r->n_jobs);
	/* More are allowed: what waits is due. */
	rig_reload(r, UP("daily 10"));
	assert_true(rig_job(r)->job.id == id);
	assert_int_equal(CLOSED_NOT, l->closed);
	rig_free(&r);
}

static void
noted(void *arg, uint64_t id, enum queue_op_result result, const char *text)
{
	(void)id;
	(void)text;
	*(int *)arg = (int)result;
}

/* The administrator may open it, the number stays used up. */
static void
resumed_it_is_closed_again(void **state)
{
	struct rig *r = rig_new(UP("daily 1"));
	int result = -1;

	(void)state;
	send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	rig_settle(r);
	send_one(r);
	rig_settle(r);
	queue_op_transport_resume(r->queue, "up", noted, &result);
	rig_until(r, result >= 0);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	assert_int_equal(CLOSED_DAILY, lane_named(r->queue, "up")->closed);
	rig_free(&r);
}

static void
a_limit_that_is_taken_away_is_gone(void **state)
{
	struct rig *r = rig_new(UP("rate 1/1h"));

	(void)state;
	send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	send_one(r);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	rig_reload(r, UP(""));
	rig_answer(rig_job(r), 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_free(&r);
}

/* ---- accounts ---- */

#define ACCOUNTS(what)							\
	"account bulk { senders bulk@from.test; " what " }\n"		\
	"account rest { default }\n" UP("connections 9")

static void
an_accounts_rate_keeps_nobody_else(void **state)
{
	struct rig *r = rig_new(ACCOUNTS("rate 2/400ms"));
	uint64_t begun = rig_now(), held[3], id;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		id = send_from(r, "bulk@from.test");
		if (i >= 2)
			held[i - 2] = id;
	}
	for (i = 0; i < 2; i++)
		rig_answer(rig_job(r), 250, "ok");
	id = send_from(r, "other@from.test");
	rig_answer(job_of(r, id), 250, "ok");
	assert_int_equal(0, rcpt_of(r, held[2]).attempts);
	for (i = 0; i < 3; i++) {
		rig_answer(job_of(r, held[i]), 250, "ok");
	}
	assert_true(r->jobs[3].at - begun >= 390);
	assert_true(r->jobs[5].at - begun >= 790);
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

static void
an_accounts_daily_number_parks_its_mail(void **state)
{
	struct rig *r = rig_new(ACCOUNTS("daily 1"));
	struct record *rec;
	struct rig_job *j;
	uint64_t id, due;
	size_t i;

	(void)state;
	send_from(r, "bulk@from.test");
	rig_answer(rig_job(r), 250, "ok");
	rig_settle(r);
	id = send_from(r, "bulk@from.test");
	for (i = 0; i < 3; i++) {
		send_from(r, "other@from.test");
		j = rig_job(r);
		assert_string_equal("other@from.test", j->job.from);
		rig_answer(j, 250, "ok");
	}
	rig_settle(r);
	rec = rig_record(r, id);
	due = rec->rcpt[0].due;
	assert_int_equal(0, rec->rcpt[0].attempts);
	record_free(&rec);
	assert_in_range(due - rig_now(), 23 * HOUR, 24 * HOUR);
	assert_true(rate_account_parked(r->queue, "bulk") == due);
	assert_true(rate_account_parked(r->queue, "rest") == 0);
	rig_stop(r);
	rig_start(r);
	assert_true(rate_account_parked(r->queue, "bulk") == due);
	rig_free(&r);
}

/* Not even where the schedule reaches less far. */
static void
what_waits_for_its_account_is_left_there(void **state)
{
	struct rig *r = rig_new("account bulk { default; rate 1/10m }\n"
	    "transport up { smarthost mx.test:25 }\nroute via up\n"
	    "bounce-to sender\nretry 1s\n");
	struct record *rec;
	uint64_t id, due[2];
	size_t i;

	(void)state;
	send_one(r);
	rig_answer(rig_job(r), 250, "ok");
	id = send_one(r);
	for (i = 0; i < 2; i++) {
		rig_settle(r);
		rec = rig_record(r, id);
		due[i] = rec->rcpt[0].due;
		record_free(&rec);
		r->queue->far_looked = 0;
		far_look(r->queue);
	}
	rig_settle(r);
	assert_true(due[0] == due[1]);
	assert_in_range(due[0] - rig_now(), 9 * 60000, 10 * 60000);
	assert_int_equal(1, r->n_jobs);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_than_allowed_in_any_stretch),
		cmocka_unit_test(it_opens_when_it_says),
		cmocka_unit_test(what_is_given_back_was_never_taken),
		cmocka_unit_test(without_a_limit_there_is_room),
		cmocka_unit_test(
		    a_clock_that_is_set_back_does_not_close_it_for_long),
		cmocka_unit_test(a_lower_limit_counts_what_was_taken),
		cmocka_unit_test(many_are_kept_in_few_pieces),
		cmocka_unit_test(they_survive_the_disk),
		cmocka_unit_test(
		    a_rate_makes_mail_wait_and_counts_no_attempt),
		cmocka_unit_test(what_never_got_to_the_server_is_not_counted),
		cmocka_unit_test(
		    when_the_daily_number_is_used_up_the_next_transport_is_taken),
		cmocka_unit_test(the_daily_number_is_kept_across_a_restart),
		cmocka_unit_test(resumed_it_is_closed_again),
		cmocka_unit_test(a_limit_that_is_taken_away_is_gone),
		cmocka_unit_test(an_accounts_rate_keeps_nobody_else),
		cmocka_unit_test(what_waits_for_its_account_is_left_there),
		cmocka_unit_test(an_accounts_daily_number_parks_its_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

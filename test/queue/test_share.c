/* Nobody waits for somebody else: lanes share jobs, octets and turns, and in
 * a lane one who sends little need not wait for a heap. */
#include "queue/steps.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/internal.h"

#define TWO_LANES							\
	"transport slow { smarthost slow.test:25; connections 100; "	\
	"connections-per-host 100 }\n"					\
	"transport quick { smarthost quick.test:25 }\n"			\
	"route from quick@from.test via quick\n"			\
	"route via slow\nbounce-to sender\nretry 1h\n"
#define ACCOUNTS							\
	"account bulk { senders bulk@from.test }\n"			\
	"account rest { default }\n"					\
	"transport up { smarthost mx.test:25; connections 1 }\n"	\
	"route via up\nbounce-to sender\nretry 1h\n"

static uint64_t
send_body(struct rig *r, const char *from, const char *body)
{
	uint64_t id = rig_mail(r, from, "to@to.test", body, NULL);

	assert_true(id != 0);
	return id;
}

/* A lane that is known to take so many connections. */
static void
open_wide(struct rig *r, const char *name, unsigned n)
{
	struct lane *l = lane_named(r->queue, name);

	l->win.now = n;
	l->window = 2 * n;
}

static size_t
jobs_of(struct rig *r, const char *transport)
{
	size_t i, n = 0;

	for (i = 0; i < r->n_jobs; i++)
		n += r->jobs[i].open &&
		    strcmp(r->jobs[i].job.transport, transport) == 0;
	return n;
}

static void
a_slow_lane_leaves_jobs_for_others(void **state)
{
	struct rig *r = rig_new(TWO_LANES);
	size_t i;

	(void)state;
	r->queue->share.jobs_max = 12;
	open_wide(r, "slow", 10);
	open_wide(r, "quick", 10);
	for (i = 0; i < 20; i++)
		send_from(r, "slow@from.test");
	rig_settle(r);
	/* As many as it leaves free. */
	assert_in_range(jobs_of(r, "slow"), 5, 7);
	for (i = 0; i < 10; i++)
		send_from(r, "quick@from.test");
	rig_settle(r);
	assert_in_range(jobs_of(r, "quick"), 2, 4);
	/* And goes on when these end. */
	deliver_all(r);
	assert_int_equal(30, r->n_jobs);
	assert_int_equal(0, r->queue->share.jobs);
	rig_free(&r);
}

static void
large_messages_of_a_slow_lane_leave_octets_for_others(void **state)
{
	struct rig *r = rig_new(TWO_LANES);
	size_t i, n = 120 * 1024;
	char *body = mem_alloc(n + 1);

	(void)state;
	memset(body, 'x', n);
	memcpy(body, "S: x\r\n\r\n", 8);
	for (i = 80; i + 2 < n; i += 80)
		memcpy(body + i, "\r\n", 2);
	memcpy(body + n - 2, "\r\n", 3);
	open_wide(r, "slow", 100);
	for (i = 0; i < 80; i++)
		send_body(r, "slow@from.test", body);
	rig_settle(r);
	/* Half of the channel's 8 MiB. */
	assert_in_range(jobs_of(r, "slow"), 30, 40);
	send_from(r, "quick@from.test");
	rig_until(r, jobs_of(r, "quick") == 1);
	deliver_all(r);
	assert_int_equal(81, r->n_jobs);
	free(body);
	rig_free(&r);
}

/* How many jobs there are until that message's, which is counted too. */
static unsigned
jobs_until(struct rig *r, uint64_t id)
{
	struct rig_job *j;
	unsigned n = 0;

	do {
		j = rig_job(r);
		rig_answer(j, 250, "ok");
		n++;
	} while (j->job.id != id);
	return n;
}

/* The first after the heap's ten that still count as little. */
static void
one_among_a_heap_goes_first(void **state)
{
	struct rig *r = rig_new(ACCOUNTS);
	uint64_t one;
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		send_from(r, "bulk@from.test");
	one = send_from(r, "one@from.test");
	assert_in_range(jobs_until(r, one), 3, 20);
	deliver_all(r);
	assert_int_equal(101, r->n_jobs);
	rig_verify(r);
	rig_free(&r);
}

/* The heap is too large for memory, or the queue was started anew. */
static void
one_among_a_heap_in_the_store_goes_first(void **state)
{
	struct rig *r = rig_new(ACCOUNTS);
	uint64_t one;
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		send_from(r, "bulk@from.test");
	rig_stop(r);
	rig_start(r);
	one = send_from(r, "one@from.test");
	assert_in_range(jobs_until(r, one), 1, 10);
	deliver_all(r);
	rig_verify(r);
	rig_free(&r);
}

/* However many send little, the heap moves on. */
static void
a_heap_is_not_forgotten(void **state)
{
	struct rig *r = rig_new(ACCOUNTS);
	unsigned bulk = 0;
	char from[64];
	size_t i;

	(void)state;
	for (i = 0; i < 40; i++)
		send_from(r, "bulk@from.test");
	for (i = 0; i < 60; i++) {
		snprintf(from, sizeof(from), "%zu@from.test", i);
		send_from(r, from);
	}
	for (i = 0; i < 40; i++) {
		struct rig_job *j = rig_job(r);

		bulk += i >= 14 && strcmp(j->job.from, "bulk@from.test") == 0;
		rig_answer(j, 250, "ok");
	}
	assert_true(bulk >= 3);
	rig_free(&r);
}

static void
who_has_sent_much_is_light_again_after_a_while(void **state)
{
	struct rig *r = rig_new(ACCOUNTS);
	struct envelope *env = rig_envelope(r, "a@from.test", "b@to.test");
	struct record *rec = record_new(env);
	struct message *m;
	struct queue *q = r->queue;
	size_t i, light = 0;

	(void)state;
	m = message_new(q, &rec);
	for (i = 0; i < 30; i++)
		light += share_is_light(q, m);
	assert_in_range(light, 10, 11);
	for (i = 0; i < 1024; i++)
		q->share.flow[i].at -= q->share.flow[i].at > 5000 ? 5000 : 0;
	assert_true(share_is_light(q, m));
	message_free(m);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_lane_leaves_jobs_for_others),
		cmocka_unit_test(
		    large_messages_of_a_slow_lane_leave_octets_for_others),
		cmocka_unit_test(one_among_a_heap_goes_first),
		cmocka_unit_test(one_among_a_heap_in_the_store_goes_first),
		cmocka_unit_test(a_heap_is_not_forgotten),
		cmocka_unit_test(
		    who_has_sent_much_is_light_again_after_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is remembered of MTA-STS policies, and what follows from a mark in the
 * name of a site. */
#include "queue/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/mta_sts.h"
#include "queue/internal.h"

#define BODY "Subject: x\r\n\r\ntext\r\n"

/* One that was fetched so long ago; age in seconds. */
static char *
note(uint64_t ago_ms, unsigned age)
{
	return mem_printf("policy 1 %llu\nfailed - 0\nversion: STSv1\n"
	    "mode: enforce\nmax_age: %u\nmx: a.mx\n",
	    (unsigned long long)(clock_real_ms() - ago_ms), age);
}

static void
answer(struct rig_question *q, const char *site, const char *text)
{
	rig_answer_hop(q, &(struct msg_site){ .result = SITE_FOUND,
	    .ttl = 300, .site = (char *)(uintptr_t)site,
	    .policy = (char *)(uintptr_t)text });
}

static void
sent(struct rig *r)
{
	rig_answer(rig_job(r), 250, "250 2.0.0 ok");
	rig_until(r, rig_messages(r) == 0);
}

/* The question that mail to this address makes. */
static struct rig_question *
asked(struct rig *r, const char *to)
{
	assert_true(rig_mail(r, "a@from.test", to, BODY, NULL) > 0);
	return rig_hop(r);
}

static void
a_note_comes_with_the_next_question(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	char *text = note(1000, 86400);
	struct rig_question *q;

	(void)state;
	q = asked(r, "x@to.test");
	assert_null(q->q.policy);
	answer(q, "a.mx=mta-sts", text);
	sent(r);
	rig_reload(r, "retry 10s\n");
	q = asked(r, "x@to.test");
	assert_string_equal(q->q.policy, text);
	/* That nothing is new leaves it. */
	answer(q, "a.mx=mta-sts", NULL);
	sent(r);
	q = asked(r, "x@other.test");
	assert_null(q->q.policy);
	answer(q, "a.mx", NULL);
	sent(r);
	rig_stop(r);
	rig_start(r);
	q = asked(r, "x@To.Test");
	assert_string_equal(q->q.policy, text);
	answer(q, "a.mx=mta-sts", NULL);
	sent(r);
	free(text);
	rig_free(&r);
}

static void
what_does_not_hold_any_more_is_forgotten(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	char *old = note(2000, 1), *good = note(0, 86400);

	(void)state;
	policy_take(r->queue, "old.test", old);
	policy_take(r->queue, "good.test", good);
	policy_take(r->queue, "failed.test", "policy - 0\nfailed 1 1\n");
	policy_take(r->queue, "good.test", "garbage");
	policy_take(r->queue, "new.test", "garbage");
	assert_null(policy_note(r->queue, "new.test"));
	assert_string_equal(policy_note(r->queue, "old.test"), old);
	policies_prune(r->queue);
	assert_null(policy_note(r->queue, "old.test"));
	assert_null(policy_note(r->queue, "failed.test"));
	assert_string_equal(policy_note(r->queue, "good.test"), good);
	/* A failure of a moment ago is no reason to forget. */
	free(old);
	old = mem_printf("policy - 0\nfailed 1 %llu\n",
	    (unsigned long long)clock_real_ms());
	policy_take(r->queue, "failed.test", old);
	policies_prune(r->queue);
	assert_string_equal(policy_note(r->queue, "failed.test"), old);
	/* It is not for the disk, the other one is. */
	rig_stop(r);
	rig_start(r);
	assert_null(policy_note(r->queue, "failed.test"));
	assert_string_equal(policy_note(r->queue, "good.test"), good);
	free(old);
	free(good);
	rig_free(&r);
}

/* Two may ask at the same time, for two transports: what one of them could not
 * fetch does not undo what the other one has. */
static void
what_was_fetched_later_counts(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	char *good = note(1000, 86400), *before = note(5000, 86400), *failed;

	(void)state;
	failed = mem_printf("policy - 0\nfailed 1 %llu\n",
	    (unsigned long long)clock_real_ms());
	policy_take(r->queue, "x.test", good);
	policy_take(r->queue, "x.test", failed);
	assert_string_equal(policy_note(r->queue, "x.test"), good);
	policy_take(r->queue, "x.test", before);
	assert_string_equal(policy_note(r->queue, "x.test"), good);
	rig_stop(r);
	rig_start(r);
	assert_string_equal(policy_note(r->queue, "x.test"), good);
	free(failed);
	free(before);
	free(good);
	rig_free(&r);
}

/* A time that is yet to come was that of a clock which has been corrected. */
static void
a_note_from_the_future_is_replaced(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	char *future = note((uint64_t)-3600000, 86400), *good = note(0, 60);

	(void)state;
	policy_take(r->queue, "x.test", future);
	policy_take(r->queue, "x.test", good);
	assert_string_equal(policy_note(r->queue, "x.test"), good);
	free(future);
	free(good);
	rig_free(&r);
}

static void
a_note_that_was_replaced_leaves_the_disk(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	char *good = note(1000, 86400), *over = note(0, 0);

	(void)state;
	policy_take(r->queue, "x.test", good);
	policy_take(r->queue, "x.test", over);
	rig_stop(r);
	rig_start(r);
	assert_null(policy_note(r->queue, "x.test"));
	free(over);
	free(good);
	rig_free(&r);
}

static void
done(void *arg, int code, const char *text)
{
	(void)arg;
	(void)text;
	assert_int_equal(code, 0);
}

static void
a_damaged_note_on_the_disk(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct store_change *c = store_change_new(r->queue->store);

	(void)state;
	store_put_meta(c, "mta-sts x.test", SLICE_LIT("garbage"));
	queue_commit(r->queue, &c, false, NULL, done, NULL);
	rig_stop(r);
	rig_start(r);
	policies_prune(r->queue);
	assert_null(policy_note(r->queue, "x.test"));
	rig_free(&r);
}

static void
there_are_only_so_many(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	char *text = note(0, 86400), domain[32];
	unsigned i;

	(void)state;
	for (i = 0; i < 10001; i++) {
		snprintf(domain, sizeof(domain), "d%u.test", i);
		policy_take(r->queue, domain, text);
		if (i == 5000)		/* in use */
			assert_non_null(policy_note(r->queue, "d0.test"));
	}
	assert_non_null(policy_note(r->queue, "d0.test"));
	assert_null(policy_note(r->queue, "d1.test"));
	assert_non_null(policy_note(r->queue, "d2.test"));
	rig_stop(r);
	rig_start(r);
	assert_non_null(policy_note(r->queue, "d0.test"));
	assert_null(policy_note(r->queue, "d1.test"));
	assert_non_null(policy_note(r->queue, "d10000.test"));
	free(text);
	rig_free(&r);
}

/* What says only that there is no policy makes no room for itself by those
 * that hold, whoever has written to however many domains. */
static void
policies_that_hold_stay_longest(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	char *good = note(1000, 86400), *failed, domain[32];
	unsigned i;

	(void)state;
	failed = mem_printf("policy - 0\nfailed 1 %llu\n",
	    (unsigned long long)clock_real_ms());
	policy_take(r->queue, "good.test", good);
	for (i = 0; i < 10001; i++) {
		snprintf(domain, sizeof(domain), "d%u.test", i);
		policy_take(r->queue, domain, failed);
	}
	assert_non_null(policy_note(r->queue, "good.test"));
	assert_null(policy_note(r->queue, "d0.test"));
	assert_non_null(policy_note(r->queue, "d10000.test"));
	free(failed);
	free(good);
	rig_free(&r);
}

/* Before mail waits the policy is looked up anew. */
static void
a_server_that_is_not_good_enough_is_asked_about_anew(void **state)
{
	struct rig *r = rig_new("retry 1h\nprobe 50ms\n");
	struct rig_job *j;

	(void)state;
	answer(asked(r, "x@to.test"), "a.mx=mta-sts", NULL);
	j = rig_job(r);
	assert_string_equal(j->job.site, "a.mx=mta-sts");
	rig_answer_class(j, JOB_UNREACHABLE, "MTA-STS: no TLS");
	answer(rig_hop(r), "a.mx=mta-sts", NULL);
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "MTA-STS: no TLS");
	/* Another policy, another lane: it goes at once. */
	answer(rig_hop(r), "a.mx", NULL);
	j = rig_job(r);
	assert_string_equal(j->job.site, "a.mx");
	rig_answer(j, 250, "250 2.0.0 ok");
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

/* So the answer to a question from before that is none. */
static void
who_asked_before_a_policy_was_known_asks_again(void **state)
{
	struct rig *r = rig_new("transport t { direct }\ntransport u { direct }\n"
	    "route to u@to.test via u\nroute via t\nretry 1h\n");
	char *text = note(0, 86400);
	struct rig_question *first, *second;
	struct rig_job *j;

	(void)state;
	first = asked(r, "t@to.test");
	second = asked(r, "u@to.test");
	assert_null(second->q.policy);
	answer(first, "a.mx=mta-sts", text);
	rig_answer(rig_job(r), 250, "250 2.0.0 ok");
	answer(second, "a.mx", NULL);
	second = rig_hop(r);
	assert_string_equal(second->q.transport, "u");
	assert_string_equal(second->q.policy, text);
	answer(second, "a.mx=mta-sts", NULL);
	j = rig_job(r);
	assert_string_equal(j->job.site, "a.mx=mta-sts");
	rig_answer(j, 250, "250 2.0.0 ok");
	rig_until(r, rig_messages(r) == 0);
	free(text);
	rig_free(&r);
}

static void
without_a_policy_it_is_not(void **state)
{
	struct rig *r = rig_new("retry 1h\nprobe 50ms\n");

	(void)state;
	answer(asked(r, "x@to.test"), "a.mx", NULL);
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "nobody there");
	sent(r);
	assert_int_equal(r->n_hops, 1);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_note_comes_with_the_next_question),
		cmocka_unit_test(what_does_not_hold_any_more_is_forgotten),
		cmocka_unit_test(what_was_fetched_later_counts),
		cmocka_unit_test(a_note_from_the_future_is_replaced),
		cmocka_unit_test(a_note_that_was_replaced_leaves_the_disk),
		cmocka_unit_test(a_damaged_note_on_the_disk),
		cmocka_unit_test(there_are_only_so_many),
		cmocka_unit_test(policies_that_hold_stay_longest),
		cmocka_unit_test(
		    a_server_that_is_not_good_enough_is_asked_about_anew),
		cmocka_unit_test(
		    who_asked_before_a_policy_was_known_asks_again),
		cmocka_unit_test(without_a_policy_it_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Direct delivery: mail waits for the site of its domain, and for nothing
 * else. */
#include "queue/rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BODY "Subject: x\r\n\r\ntext\r\n"

static void
ends(struct rig *r)
{
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

static void
hop_is(struct rig_question *q, const char *transport, const char *domain,
    bool fresh)
{
	assert_string_equal(q->q.transport, transport);
	assert_string_equal(q->q.domain, domain);
	assert_int_equal(q->q.fresh, fresh);
}

static struct rig_job *
job_is(struct rig *r, const char *site, const char *to)
{
	struct rig_job *j = rig_job(r);

	assert_string_equal(j->job.transport, "direct");
	assert_string_equal(j->job.site, site);
	assert_string_equal(j->job.rcpt[0].address, to);
	return j;
}

static void
a_domain_is_asked_for_once(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct rig_question *q;
	struct rig_job *j[3];
	int i;

	(void)state;
	assert_true(rig_mail(r, "a@from.test", "x@To.Test", BODY, NULL) > 0);
	assert_true(rig_mail(r, "a@from.test", "y@to.test", BODY, NULL) > 0);
	q = rig_hop(r);
	hop_is(q, "direct", "to.test", false);
	rig_settle(r);
	assert_int_equal(r->n_hops, 1);
	assert_int_equal(r->n_jobs, 0);
	rig_answer_site(q, "a.mx;b.mx", 300);
	j[0] = job_is(r, "a.mx;b.mx", "x@To.Test");
	j[1] = job_is(r, "a.mx;b.mx", "y@to.test");
	assert_true(j[0]->job.first);
	/* And is remembered. */
	assert_true(rig_mail(r, "a@from.test", "z@to.test", BODY, NULL) > 0);
	j[2] = job_is(r, "a.mx;b.mx", "z@to.test");
	assert_int_equal(r->n_hops, 1);
	for (i = 0; i < 3; i++)
		rig_answer(j[i], 250, "250 2.0.0 ok");
	ends(r);
}

static void
domains_of_a_message_are_asked_for_apart(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct rig_question *one, *two;
	struct rig_job *j;

	(void)state;
	assert_true(rig_mail(r, "a@from.test", "a@one.test b@two.test "
	    "c@one.test d@two.test", BODY, NULL) > 0);
	one = rig_hop(r);
	two = rig_hop(r);
	hop_is(one, "direct", "one.test", false);
	hop_is(two, "direct", "two.test", false);
	rig_answer_site(two, "mx", 300);
	j = job_is(r, "mx", "b@two.test");
	assert_int_equal(j->job.n_rcpt, 2);
	rig_answer(j, 250, "250 ok");
	rig_answer_site(one, "mx", 300);
	j = job_is(r, "mx", "a@one.test");
	assert_int_equal(j->job.n_rcpt, 2);
	rig_answer(j, 250, "250 ok");
	rig_until(r, rig_messages(r) == 0);
	/* Now it is known that they share a site, and they share a job. */
	assert_true(rig_mail(r, "a@from.test", "a@one.test b@two.test", BODY,
	    NULL) > 0);
	j = job_is(r, "mx", "a@one.test");
	assert_int_equal(j->job.n_rcpt, 2);
	rig_answer(j, 250, "250 ok");
	ends(r);
}

static void
a_literal_goes_the_same_way(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct rig_question *q;

	(void)state;
	rig_mail(r, "a@from.test", "x@[IPv6:2001:DB8::1]", BODY, NULL);
	q = rig_hop(r);
	hop_is(q, "direct", "[ipv6:2001:db8::1]", false);
	rig_answer_site(q, "2001:db8::1", 300);
	rig_answer(job_is(r, "2001:db8::1", "x@[IPv6:2001:DB8::1]"), 250,
	    "250 ok");
	ends(r);
}

static void
what_is_not_known_defers(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct record *rec;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer_no_site(rig_hop(r), SITE_LATER, 450, 4, 3,
	    "MX lookup failed: to.test: server failure");
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1);
	rec = rig_record(r, id);
	assert_int_equal(rec->rcpt[0].last_code, 450);
	assert_string_equal(rec->rcpt[0].last_reply, "450 4.4.3 MX lookup "
	    "failed: to.test: server failure");
	assert_int_equal(rec->rcpt[0].attempts, 1);
	record_free(&rec);
	/* Mail that comes now is not asked for again at once. */
	rig_mail(r, "a@from.test", "y@to.test", BODY, NULL);
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 2);
	assert_int_equal(r->n_hops, 1);
	rig_verify(r);
	rig_free(&r);
}

static void
a_null_mx_fails_at_once(void **state)
{
	struct rig *r = rig_new("retry 10s\ntransport hole { discard }\n"
	    "route from <> via hole\nbounce-to sender\n");
	char *text;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer_no_site(rig_hop(r), SITE_REFUSED, 556, 1, 10,
	    "to.test accepts no mail (null MX)");
	rig_until(r, rig_messages(r) == 0);
	text = rig_history(r);
	assert_non_null(text);
	free(text);
	ends(r);
}

static void
gone(struct rig_question *q)
{
	rig_answer_no_site(q, SITE_NO_DOMAIN, 550, 1, 2, "to.test does not "
	    "exist");
}

static void
a_domain_is_gone_after_the_second_answer(void **state)
{
	struct rig *r = rig_new("retry 200ms 300ms\ntransport hole "
	    "{ discard }\nroute from <> via hole\nbounce-to sender\n");
	struct rig_question *q;
	struct record *rec;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	gone(rig_hop(r));
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1);
	rec = rig_record(r, id);
	assert_int_equal(rec->rcpt[0].last_code, 450);
	assert_memory_equal(rec->rcpt[0].last_status, "\4\1\2", 3);
	assert_true(rec->rcpt[0].no_domain_since > 0);
	record_free(&rec);
	/* Too early: an answer of the caches, which proves nothing. */
	q = rig_hop(r);
	hop_is(q, "direct", "to.test", false);
	gone(q);
	/* It survives a restart. */
	rig_until(r, r->next_hop == r->n_hops);
	rig_stop(r);
	rig_start(r);
	q = rig_hop(r);
	hop_is(q, "direct", "to.test", true);
	gone(q);
	ends(r);
}

static void
and_not_when_that_is_another(void **state)
{
	struct rig *r = rig_new("retry 300ms 200ms\n");
	struct rig_question *q;
	struct record *rec;
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	gone(rig_hop(r));
	q = rig_hop(r);
	hop_is(q, "direct", "to.test", true);
	rig_answer_site(q, "mx", 300);
	j = job_is(r, "mx", "x@to.test");
	assert_false(j->job.first);
	rig_answer(j, 450, "450 4.2.0 busy");
	j = rig_job(r);
	rec = rig_record(r, id);
	assert_true(rec->rcpt[0].no_domain_since == 0);
	record_free(&rec);
	/* What was found past the caches holds for other mail, too. */
	rig_mail(r, "a@from.test", "y@to.test", BODY, NULL);
	rig_answer(job_is(r, "mx", "y@to.test"), 250, "250 ok");
	assert_int_equal(r->n_hops, 2);
	rig_answer(j, 250, "250 ok");
	ends(r);
}

static void
a_slow_domain_takes_no_slots_from_others(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct rig_question *slow, *quick;
	char to[32];
	int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(to, sizeof(to), "u%d@slow.test", i);
		assert_true(rig_mail(r, "a@from.test", to, BODY, NULL) > 0);
	}
	slow = rig_hop(r);
	hop_is(slow, "direct", "slow.test", false);
	assert_true(rig_mail(r, "a@from.test", "x@quick.test", BODY, NULL)
	    > 0);
	quick = rig_hop(r);
	hop_is(quick, "direct", "quick.test", false);
	rig_answer_site(quick, "q.mx", 300);
	rig_answer(job_is(r, "q.mx", "x@quick.test"), 250, "250 ok");
	rig_answer_site(slow, "s.mx", 300);
	for (i = 0; i < 300; i++) {
		struct rig_job *j = rig_job(r);

		assert_string_equal(j->job.site, "s.mx");
		rig_answer(j, 250, "250 ok");
	}
	ends(r);
}

static void
a_delivery_that_dies_is_asked_anew_elsewhere(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct rig_question *q;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	hop_is(rig_hop(r), "direct", "to.test", false);
	rig_kill_delivery(r);
	rig_settle(r);
	rig_add_delivery(r);
	q = rig_hop(r);
	hop_is(q, "direct", "to.test", false);
	rig_answer_site(q, "mx", 300);
	rig_answer(job_is(r, "mx", "x@to.test"), 250, "250 ok");
	ends(r);
}

static void
and_a_question_that_kills_everybody_is_given_up(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	int i;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	for (i = 0; i < 2; i++) {
		(void)rig_hop(r);
		rig_kill_delivery(r);
		rig_settle(r);
		rig_add_delivery(r);
	}
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1);
	rig_verify(r);
	rig_free(&r);
}

static void
unresolved_mail_goes_by_the_next_transport(void **state)
{
	struct rig *r = rig_new("retry 10s\ntransport b { smarthost b.test }\n"
	    "route via direct b\n");
	struct rig_job *j;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer_no_site(rig_hop(r), SITE_LATER, 450, 4, 3, "no answer");
	j = rig_job(r);
	assert_string_equal(j->job.transport, "b");
	assert_null(j->job.site);
	rig_answer(j, 250, "250 ok");
	ends(r);
}

static void
direct_comes_second(void **state)
{
	struct rig *r = rig_new("retry 10s\ntransport b { smarthost b.test }\n"
	    "route via b direct b\n");
	struct rig_job *j;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "nobody there");
	rig_answer_site(rig_hop(r), "mx", 300);
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_UNREACHABLE,
	    "dead");
	j = rig_job(r);
	assert_string_equal(j->job.transport, "b");
	rig_answer(j, 250, "250 ok");
	ends(r);
}

static void
a_smarthost_by_mx_asks_for_its_own_domain(void **state)
{
	struct rig *r = rig_new("retry 200ms 200ms\n"
	    "transport h { smarthost mx isp.test }\nroute via h\n");
	struct rig_question *q;
	struct rig_job *j;
	int i;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	/* A mistake of ours is nobody's bounce, however often. */
	for (i = 0; i < 4; i++) {
		q = rig_hop(r);
		hop_is(q, "h", "isp.test", false);
		gone(q);
	}
	q = rig_hop(r);
	rig_answer_site(q, "out.isp.test", 300);
	j = rig_job(r);
	assert_string_equal(j->job.transport, "h");
	assert_string_equal(j->job.site, "out.isp.test");
	rig_answer(j, 250, "250 ok");
	ends(r);
}

static void
a_new_configuration_asks_anew(void **state)
{
	struct rig *r = rig_new("retry 10s\n");
	struct rig_question *q;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	(void)rig_hop(r);		/* which the old one asked */
	rig_reload(r, "retry 20s\n");
	q = rig_hop(r);
	rig_answer_site(q, "mx", 300);
	/* The delivery of before still serves sites that are new. */
	rig_answer(job_is(r, "mx", "x@to.test"), 250, "250 ok");
	ends(r);
}

static void
a_full_site_keeps_its_mail_in_its_own_line(void **state)
{
	struct rig *r = rig_new("retry 10s\n"
	    "transport d { direct; connections 1 }\nroute via d\n");
	char to[32];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		snprintf(to, sizeof(to), "u%d@to.test", i);
		assert_true(rig_mail(r, "a@from.test", to, BODY, NULL) > 0);
	}
	rig_answer_site(rig_hop(r), "mx", 300);
	for (i = 0; i < 20; i++) {
		struct rig_job *j = rig_job(r);

		rig_settle(r);
		assert_true(r->n_jobs - (size_t)i <= 2);
		assert_true(j->job.first);
		rig_answer(j, 250, "250 ok");
	}
	ends(r);
}

static void
the_other_family_after_a_refusal_of_policy(void **state)
{
	struct rig *r = rig_new("retry 100ms\n");
	struct rig_job *j;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer_site(rig_hop(r), "mx", 300);
	j = job_is(r, "mx", "x@to.test");
	assert_int_equal(j->job.avoid, 0);
	rig_answer_from(j, 450, "450 4.7.1 not from there", 7,
	    "mx[2001:db8::1]:25");
	j = job_is(r, "mx", "x@to.test");
	assert_int_equal(j->job.avoid, 6);
	rig_answer_from(j, 450, "450 4.7.1 nor from there", 7,
	    "mx[192.0.2.1]:25");
	j = job_is(r, "mx", "x@to.test");
	assert_int_equal(j->job.avoid, 4);
	rig_answer_from(j, 450, "450 4.2.0 busy", 2, "mx[192.0.2.1]:25");
	j = job_is(r, "mx", "x@to.test");
	assert_int_equal(j->job.avoid, 0);
	rig_answer(j, 250, "250 ok");
	ends(r);
}

struct count {
	unsigned all, sites;
};

static void
count_lane(void *arg, uint32_t id, struct slice key, struct slice state)
{
	struct count *c = arg;

	(void)id;
	(void)state;
	c->all++;
	c->sites += memchr(key.p, 0, key.n - 1) != NULL;
}

static void
a_site_without_mail_is_forgotten_at_the_next_start(void **state)
{
	struct rig *r = rig_new("retry 1h\n");
	struct count c = { 0, 0 };
	uint64_t id;

	(void)state;
	rig_mail(r, "a@from.test", "x@one.test", BODY, NULL);
	rig_answer_site(rig_hop(r), "one.mx", 300);
	rig_answer(job_is(r, "one.mx", "x@one.test"), 250, "250 ok");
	id = rig_mail(r, "a@from.test", "x@two.test", BODY, NULL);
	rig_answer_site(rig_hop(r), "two.mx", 300);
	rig_answer(job_is(r, "two.mx", "x@two.test"), 450, "450 later");
	rig_mail(r, "a@from.test", "y@one.test", BODY, NULL);
	rig_answer(job_is(r, "one.mx", "y@one.test"), 250, "250 ok");
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1 && rig_messages(r) == 1);
	store_each_lane(queue_store(r->queue), count_lane, &c);
	assert_int_equal(c.sites, 2);
	rig_stop(r);
	rig_start(r);
	rig_settle(r);
	/* What waits is still there, and finds its way. */
	rig_op(r, queue_op_retry, id);
	rig_answer_site(rig_hop(r), "two.mx", 300);
	rig_answer(job_is(r, "two.mx", "x@two.test"), 250, "250 ok");
	rig_until(r, rig_messages(r) == 0);
	c = (struct count){ 0, 0 };
	store_each_lane(queue_store(r->queue), count_lane, &c);
	assert_int_equal(c.sites, 1);
	ends(r);
}

/* ---- a site that is closed ---- */

#define DEAD "retry 1h\nprobe 100ms 100ms\n"

static uint64_t
dead_site(struct rig *r)
{
	uint64_t id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);

	rig_answer_site(rig_hop(r), "mx", 300);
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_UNREACHABLE,
	    "connect to mx: refused");
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1);
	return id;
}

static uint32_t
attempts_of(struct rig *r, uint64_t id)
{
	struct record *rec = rig_record(r, id);
	uint32_t n = rec->rcpt[0].attempts;

	record_free(&rec);
	return n;
}

static void
a_dead_site_closes_its_own_lane_only(void **state)
{
	struct rig *r = rig_new(DEAD);
	struct rig_job *j;

	(void)state;
	dead_site(r);
	/* Its probes go on; other sites take mail. */
	j = job_is(r, "mx", "x@to.test");
	assert_true(rig_mail(r, "a@from.test", "x@live.test", BODY, NULL) > 0);
	rig_answer_site(rig_hop(r), "live.mx", 300);
	rig_answer(job_is(r, "live.mx", "x@live.test"), 250, "250 ok");
	rig_answer_class(j, JOB_UNREACHABLE, "connect to mx: refused");
	rig_answer(job_is(r, "mx", "x@to.test"), 250, "250 ok");
	ends(r);
}

static void
a_probe_asks_for_its_site_where_that_is_not_known(void **state)
{
	struct rig *r = rig_new(DEAD);
	struct rig_question *q;
	uint64_t id;

	(void)state;
	id = dead_site(r);
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_UNREACHABLE, "dead");
	rig_until(r, r->next == r->n_jobs);
	rig_stop(r);
	rig_start(r);
	q = rig_hop(r);
	hop_is(q, "direct", "to.test", false);
	rig_answer_site(q, "mx", 300);
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_UNREACHABLE, "dead");
	assert_int_equal(attempts_of(r, id), 1);
	rig_answer(job_is(r, "mx", "x@to.test"), 250, "250 ok");
	ends(r);
}

static void
and_goes_on_while_nobody_can_tell(void **state)
{
	struct rig *r = rig_new("retry 200ms 1h\nprobe 1h 150ms\n");
	uint64_t id;

	(void)state;
	id = dead_site(r);
	rig_until(r, attempts_of(r, id) == 2);
	rig_stop(r);
	rig_start(r);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_resume, "direct"));
	rig_answer_no_site(rig_hop(r), SITE_LATER, 450, 4, 3, "no answer");
	rig_answer_no_site(rig_hop(r), SITE_LATER, 450, 4, 3, "no answer");
	assert_int_equal(attempts_of(r, id), 2);
	rig_answer_site(rig_hop(r), "mx", 300);
	rig_answer(job_is(r, "mx", "x@to.test"), 250, "250 ok");
	ends(r);
}

static void
and_where_mail_goes_elsewhere_now_it_goes_there(void **state)
{
	struct rig *r = rig_new(DEAD);

	(void)state;
	dead_site(r);
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_UNREACHABLE, "dead");
	rig_until(r, r->next == r->n_jobs);
	rig_stop(r);
	rig_start(r);
	rig_answer_site(rig_hop(r), "new.mx", 300);
	rig_answer(job_is(r, "new.mx", "x@to.test"), 250, "250 ok");
	ends(r);
}

static void
what_waits_goes_out_when_it_is_back(void **state)
{
	struct rig *r = rig_new(DEAD);
	int i;

	(void)state;
	dead_site(r);
	rig_mail(r, "a@from.test", "y@to.test", BODY, NULL);
	rig_mail(r, "a@from.test", "z@other.test", BODY, NULL);
	rig_answer_site(rig_hop(r), "mx", 300);
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 3);
	rig_answer_class(rig_job(r), JOB_UNREACHABLE, "dead");
	rig_until(r, r->next == r->n_jobs);
	rig_stop(r);
	rig_start(r);
	rig_answer_site(rig_hop(r), "mx", 300);
	for (i = 0; i < 2; i++)
		rig_answer(rig_job(r), 250, "250 ok");
	rig_answer_site(rig_hop(r), "mx", 300);
	rig_answer(rig_job(r), 250, "250 ok");
	ends(r);
}

static void
the_second_transport_takes_over_at_the_same_time(void **state)
{
	struct rig *r = rig_new("retry 1h\nprobe 1h\n"
	    "transport b { smarthost b.test }\nroute via direct b\n");
	struct rig_job *j;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
		if (i == 0) {
			rig_answer_site(rig_hop(r), "mx", 300);
			rig_answer_class(job_is(r, "mx", "x@to.test"),
			    JOB_UNREACHABLE, "dead");
		}
		j = rig_job(r);
		assert_string_equal(j->job.transport, "b");
		assert_true(j->job.first);
		rig_answer(j, 250, "250 ok");
	}
	/* Found while the site is closed, by another domain. */
	rig_mail(r, "a@from.test", "x@other.test", BODY, NULL);
	rig_answer_site(rig_hop(r), "mx", 300);
	j = rig_job(r);
	assert_string_equal(j->job.transport, "b");
	assert_true(j->job.first);
	rig_answer(j, 250, "250 ok");
	ends(r);
}

static void
attempts_are_counted_exactly(void **state)
{
	struct rig *r = rig_new("retry 300ms 300ms 300ms 1h\nprobe 1h\n"
	    "transport b { smarthost b.test }\nroute attempts 3 via b\n");
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = dead_site(r);
	assert_int_equal(attempts_of(r, id), 1);
	j = rig_job(r);
	assert_int_equal(attempts_of(r, id), 4);
	assert_string_equal(j->job.transport, "b");
	assert_int_equal(r->n_jobs, 2);
	rig_answer(j, 250, "250 ok");
	rig_mail(r, "a@from.test", "x@later.test", BODY, NULL);
	for (id = 0; id < 3; id++)
		rig_answer_no_site(rig_hop(r), SITE_LATER, 450, 4, 3, "no");
	j = rig_job(r);
	assert_string_equal(j->job.transport, "b");
	rig_answer(j, 250, "250 ok");
	assert_int_equal(r->n_hops, 4);
	ends(r);
}

static void
a_pause_holds_all_sites_and_those_to_come(void **state)
{
	struct rig *r = rig_new("retry 1h\nexpire 1h\n");
	int i;

	(void)state;
	rig_mail(r, "a@from.test", "x@one.test", BODY, NULL);
	rig_answer_site(rig_hop(r), "one.mx", 300);
	rig_answer(job_is(r, "one.mx", "x@one.test"), 250, "250 ok");
	rig_mail(r, "a@from.test", "x@two.test", BODY, NULL);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_pause, "direct"));
	rig_answer_site(rig_hop(r), "two.mx", 300);
	rig_mail(r, "a@from.test", "y@one.test", BODY, NULL);
	rig_mail(r, "a@from.test", "y@three.test", BODY, NULL);
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 3);
	assert_int_equal(r->n_jobs, 1);
	rig_stop(r);
	rig_start(r);
	rig_settle(r);
	assert_int_equal(r->n_jobs, 0);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_resume, "direct"));
	for (i = 0; i < 3; i++) {
		struct rig_question *q = rig_hop(r);

		rig_answer_site(q, q->q.domain, 300);
	}
	for (i = 0; i < 3; i++)
		rig_answer(rig_job(r), 250, "250 ok");
	ends(r);
}

static void
without_a_network_nobody_is_asked_in_vain(void **state)
{
	struct rig *r = rig_new("retry 1h\nprobe 60ms\n");
	uint64_t id;
	int i;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	for (i = 0; i < 3; i++)
		rig_answer_no_site(rig_hop(r), SITE_OFFLINE, 450, 4, 3,
		    "no network");
	assert_int_equal(attempts_of(r, id), 0);
	rig_answer_site(rig_hop(r), "mx", 300);
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_OFFLINE, "none");
	rig_answer(job_is(r, "mx", "x@to.test"), 250, "250 ok");
	ends(r);
}

/* Its server answers: only this sender's mail may not go there. */
static void
a_probe_that_may_not_go_there_has_been_there(void **state)
{
	struct rig *r = rig_new("retry 1h\nprobe 300ms 1h\n");
	uint64_t id;

	(void)state;
	id = dead_site(r);
	rig_mail(r, "b@from.test", "y@to.test", BODY, NULL);
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 2);
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_UNUSABLE,
	    "SPF of from.test: fail");
	rig_answer(job_is(r, "mx", "y@to.test"), 250, "250 ok");
	rig_until(r, rig_messages(r) == 1);
	assert_int_equal(attempts_of(r, id), 2);
	rig_verify(r);
	rig_free(&r);
}

static void
a_dead_site_that_nobody_writes_to_is_forgotten(void **state)
{
	struct rig *r = rig_new("retry 1h\nprobe 1h 1ms\n");
	struct count c = { 0, 0 };
	uint64_t id;
	int i;

	(void)state;
	id = dead_site(r);
	assert_int_equal(QUEUE_OP_DONE, rig_steer(r,
	    queue_op_transport_resume, "direct"));
	rig_answer_class(job_is(r, "mx", "x@to.test"), JOB_UNREACHABLE, "dead");
	(void)rig_op(r, queue_op_remove, id);
	rig_until(r, rig_messages(r) == 0);
	store_each_lane(queue_store(r->queue), count_lane, &c);
	assert_int_equal(c.sites, 1);
	/* It is opened first, once it could be probed. */
	for (i = 0; i < 10 && c.sites > 0; i++) {
		rig_stop(r);
		rig_start(r);
		rig_settle(r);
		c = (struct count){ 0, 0 };
		store_each_lane(queue_store(r->queue), count_lane, &c);
	}
	assert_int_equal(c.sites, 0);
	ends(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_is_asked_for_once),
		cmocka_unit_test(domains_of_a_message_are_asked_for_apart),
		cmocka_unit_test(a_literal_goes_the_same_way),
		cmocka_unit_test(what_is_not_known_defers),
		cmocka_unit_test(a_null_mx_fails_at_once),
		cmocka_unit_test(a_domain_is_gone_after_the_second_answer),
		cmocka_unit_test(and_not_when_that_is_another),
		cmocka_unit_test(a_slow_domain_takes_no_slots_from_others),
		cmocka_unit_test(
		    a_delivery_that_dies_is_asked_anew_elsewhere),
		cmocka_unit_test(
		    and_a_question_that_kills_everybody_is_given_up),
		cmocka_unit_test(unresolved_mail_goes_by_the_next_transport),
		cmocka_unit_test(direct_comes_second),
		cmocka_unit_test(a_smarthost_by_mx_asks_for_its_own_domain),
		cmocka_unit_test(a_new_configuration_asks_anew),
		cmocka_unit_test(a_full_site_keeps_its_mail_in_its_own_line),
		cmocka_unit_test(
		    a_site_without_mail_is_forgotten_at_the_next_start),
		cmocka_unit_test(the_other_family_after_a_refusal_of_policy),
		cmocka_unit_test(a_dead_site_closes_its_own_lane_only),
		cmocka_unit_test(
		    a_probe_asks_for_its_site_where_that_is_not_known),
		cmocka_unit_test(and_goes_on_while_nobody_can_tell),
		cmocka_unit_test(
		    and_where_mail_goes_elsewhere_now_it_goes_there),
		cmocka_unit_test(what_waits_goes_out_when_it_is_back),
		cmocka_unit_test(
		    the_second_transport_takes_over_at_the_same_time),
		cmocka_unit_test(attempts_are_counted_exactly),
		cmocka_unit_test(a_pause_holds_all_sites_and_those_to_come),
		cmocka_unit_test(without_a_network_nobody_is_asked_in_vain),
		cmocka_unit_test(
		    a_probe_that_may_not_go_there_has_been_there),
		cmocka_unit_test(
		    a_dead_site_that_nobody_writes_to_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Mail that comes in, goes out, is tried again, moves, ends. */
#include "queue/steps.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/fs.h"
#include "base/mem.h"

#define ONE "transport up { smarthost mx.test:25 }\n"			\
	    "route via up\nretry 100ms 150ms\nbounce-to sender\n"

static void
a_message_is_delivered_and_gone(void **state)
{
	struct rig *r = rig_new(ONE);
	struct msg_done done;
	struct rig_job *j;
	uint64_t id;
	char *text;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, &done);
	assert_true(id != 0);
	assert_int_equal(250, done.code);
	assert_non_null(strstr(done.text, "queued as "));
	j = job_of(r, id);
	assert_string_equal("up", j->job.transport);
	assert_string_equal("a@from.test", j->job.from);
	assert_int_equal(1, j->job.n_rcpt);
	assert_string_equal("x@to.test", j->job.rcpt[0].address);
	assert_string_equal(BODY, strbuf_cstr(&j->body));
	assert_int_equal(0, strncmp("Received: from printer", j->job.trace,
	    22));
	assert_int_equal(1, rig_messages(r));
	rig_verify(r);
	rig_answer(j, 250, "2.0.0 taken");
	rig_until(r, rig_messages(r) == 0);
	rig_settle(r);
	rig_verify(r);
	assert_int_equal(0, store_counter(queue_store(r->queue),
	    COUNT_QUEUED));
	text = rig_history(r);
	assert_non_null(strstr(text, "\"status\":\"delivered\""));
	assert_non_null(strstr(text, "\"tls\":\"TLSv1.3"));
	assert_non_null(strstr(text, "\"last_reply\":\"250 2.0.0 taken\""));
	free(text);
	rig_free(&r);
}

static void
large_and_file_bodies_arrive_whole(void **state)
{
	struct rig *r = rig_new(ONE);
	struct envelope *env;
	struct rig_reply reply;
	struct rig_job *j;
	char *body = mem_alloc(300001);

	(void)state;
	memset(body, 'x', 300000);
	body[300000] = 0;
	body[100000] = 0;		/* first in parts of the database */
	assert_true(rig_mail(r, "a@from.test", "x@to.test", body, NULL) != 0);
	j = rig_job(r);
	assert_int_equal(100000, j->body.n);
	rig_answer(j, 451, "later");
	rig_settle(r);
	j = rig_job(r);			/* read back from the store */
	assert_int_equal(100000, j->body.n);
	assert_int_equal(0, memcmp(body, j->body.p, j->body.n));
	rig_answer(j, 250, "ok");

	body[100000] = 'x';		/* then as a file */
	rig_request(r, MSG_SPOOL_WANT, "", &reply);
	assert_true(reply.fd >= 0);
	assert_int_equal(0, fs_write_all(reply.fd, body, 300000));
	env = rig_envelope(r, "a@from.test", "y@to.test");
	env->size = 300000;
	env->crc = crc32c(0, body, 300000);
	assert_true(rig_mail_env(r, &env, NULL, reply.fd, NULL) != 0);
	j = rig_job(r);
	assert_int_equal(300000, j->body.n);
	assert_int_equal(0, memcmp(body, j->body.p, j->body.n));
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	free(body);
	rig_free(&r);
}

static void
a_deferred_message_comes_back_by_the_schedule(void **state)
{
	struct rig *r = rig_new(ONE);
	struct record *rec;
	struct rig_job *j;
	uint64_t id, answered;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	j = rig_job(r);
	answered = rig_now();
	rig_answer(j, 451, "4.3.0 later");
	j = rig_job(r);
	assert_in_range(j->at - answered, 85, 400);
	rec = rig_record(r, id);
	assert_int_equal(2, rec->rcpt[0].attempts);
	assert_int_equal(451, rec->rcpt[0].last_code);
	assert_string_equal("451 4.3.0 later", rec->rcpt[0].last_reply);
	assert_string_equal("up", rec->transport);
	assert_string_equal("/test.conf:4", rec->route);
	record_free(&rec);
	assert_int_equal(1, store_counter(queue_store(r->queue),
	    COUNT_DEFERRED));
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_settle(r);
	assert_int_equal(0, store_counter(queue_store(r->queue),
	    COUNT_DEFERRED));
	rig_verify(r);
	rig_free(&r);
}

static void
after_n_attempts_it_takes_the_other_route(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "transport backup { smarthost b.test:25 }\n"
	    "route attempts 2 via backup\nroute via up\nretry 50ms\n");
	int i;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	for (i = 0; i < 2; i++) {
		rig_answer(job_by(r, "up"), 451, "later");
	}
	rig_answer(job_by(r, "backup"), 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

static void
each_recipient_has_its_own_result(void **state)
{
	static const uint16_t codes[] = { 250, 550, 451 };
	struct rig *r = rig_new(ONE);
	struct rig_job *j, *report, *again;
	struct record *rec;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test y@to.test z@to.test", BODY,
	    NULL);
	j = rig_job(r);
	assert_int_equal(3, j->job.n_rcpt);
	rig_answer_each(j, codes);
	report = rig_job(r);
	assert_string_equal("", report->job.from);
	assert_string_equal("a@from.test", report->job.rcpt[0].address);
	assert_non_null(strstr(strbuf_cstr(&report->body), "y@to.test"));
	assert_non_null(strstr(strbuf_cstr(&report->body),
	    "550 as the test says"));
	assert_null(strstr(strbuf_cstr(&report->body), "z@to.test"));
	rec = rig_record(r, id);
	assert_int_equal(RCPT_DELIVERED, rec->rcpt[0].state);
	assert_int_equal(RCPT_FAILED, rec->rcpt[1].state);
	assert_int_equal(RCPT_PENDING, rec->rcpt[2].state);
	record_free(&rec);
	rig_answer(report, 250, "ok");
	again = rig_job(r);
	assert_int_equal(1, again->job.n_rcpt);
	assert_string_equal("z@to.test", again->job.rcpt[0].address);
	rig_answer(again, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

static void
a_message_that_is_too_old_is_reported(void **state)
{
	struct rig *r = rig_new(ONE "expire 300ms\n");
	struct rig_job *j;
	uint64_t start = rig_now();
	char *text;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	for (;;) {
		j = rig_job(r);
		if (j->job.from[0] == 0)
			break;
		rig_answer(j, 451, "not today");
	}
	assert_in_range(j->at - start, 290, 900);
	assert_non_null(strstr(strbuf_cstr(&j->body), "5.4.7"));
	assert_non_null(strstr(strbuf_cstr(&j->body), "not today"));
	text = rig_history(r);
	assert_non_null(strstr(text, "\"status\":\"expired\""));
	free(text);
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

static void
time_without_a_transport_does_not_count(void **state)
{
	struct rig *r = rig_new(ONE "expire 300ms\n"
	    "probe-auth 50ms\n");
	struct rig_job *j;
	uint64_t start = rig_now();

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	while (rig_now() < start + 900) {
		j = rig_job(r);
		assert_string_equal("a@from.test", j->job.from);
		rig_answer_class(j, j->at & 1 ? JOB_CREDENTIAL : JOB_QUOTA,
		    "not with this password");
	}
	j = rig_job(r);
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_free(&r);
}

static void
a_delay_is_told_once(void **state)
{
	struct rig *r = rig_new(ONE "warn-after 50ms\n");
	struct rig_job *j;
	int notices = 0, tries = 0;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	while (tries < 5) {
		j = rig_job(r);
		if (j->job.from[0] != 0) {
			tries++;
			rig_answer(j, 451, "later");
			continue;
		}
		notices++;
		assert_non_null(strstr(strbuf_cstr(&j->body), "delayed"));
		rig_answer(j, 250, "ok");
	}
	assert_int_equal(1, notices);
	rig_free(&r);
}

static void
the_null_sender_is_never_told(void **state)
{
	struct rig *r = rig_new(ONE "postmaster pm@else.test\n");
	struct rig_job *j;

	(void)state;
	rig_mail(r, "", "x@to.test", BODY, NULL);
	j = rig_job(r);
	rig_answer(j, 550, "no");
	rig_until(r, rig_messages(r) == 0);
	rig_settle(r);
	assert_int_equal(1, r->n_jobs);
	rig_free(&r);
}

static void
a_report_that_fails_goes_to_the_postmaster_once(void **state)
{
	struct rig *r = rig_new(ONE "postmaster pm@else.test\n");
	struct rig_job *j;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	j = rig_job(r);
	rig_answer(j, 550, "no");
	j = rig_job(r);
	assert_string_equal("a@from.test", j->job.rcpt[0].address);
	rig_answer(j, 550, "no");
	j = rig_job(r);
	assert_string_equal("pm@else.test", j->job.rcpt[0].address);
	rig_answer(j, 550, "no");
	rig_until(r, rig_messages(r) == 0);
	rig_settle(r);
	assert_int_equal(3, r->n_jobs);
	rig_free(&r);
}

/* No backscatter: who is not known to own the address is not told. */
static void
a_sender_that_may_be_forged_is_not_told(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "route via up\npostmaster pm@else.test\n"
	    "account scans { senders .own.test }\n");
	struct rig_job *j;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer(rig_job(r), 550, "no");
	j = rig_job(r);
	assert_string_equal("pm@else.test", j->job.rcpt[0].address);
	rig_answer(j, 250, "ok");
	rig_mail(r, "b@own.test", "x@to.test", BODY, NULL);
	rig_answer(rig_job(r), 550, "no");
	j = rig_job(r);
	assert_string_equal("b@own.test", j->job.rcpt[0].address);
	rig_free(&r);
}

/* The postmaster has no mailbox here: the report waits to be seen. */
static void
a_report_with_nowhere_to_go_waits(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "route via up\nretry 100ms\n");
	struct record *rec;
	uint64_t id;

	(void)state;
	rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer(rig_job(r), 550, "no");
	rig_until(r, store_oldest(queue_store(r->queue), &id) &&
	    (rec = rig_record(r, id)) != NULL && (rec->env->protocol ==
	    MAIL_PROTO_REPORT || (record_free(&rec), false)));
	record_free(&rec);
	assert_int_equal(1, rig_messages(r));
	assert_true(store_oldest(queue_store(r->queue), &id));
	rec = rig_record(r, id);
	assert_string_equal("postmaster@relay.test",
	    rec->env->recipients[0].address);
	assert_int_equal(RCPT_PENDING, rec->rcpt[0].state);
	record_free(&rec);
	rig_free(&r);
}

static void
a_failure_by_the_configuration_has_one_status(void **state)
{
	struct rig *r = rig_new("transport later { fail 451 \"4.7.1 not "
	    "now\" }\nroute via later\nretry 1h\n");
	struct record *rec;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_until(r, (rec = rig_record(r, id))->rcpt[0].last_reply != NULL ||
	    (record_free(&rec), false));
	assert_string_equal("451 4.7.1 not now", rec->rcpt[0].last_reply);
	record_free(&rec);
	rig_free(&r);
}

static void
an_unreachable_transport_hands_on_to_the_next(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25 }\n"
	    "transport next { smarthost b.test:25 }\nroute via up next\n"
	    "retry 100ms\n");
	struct record *rec;
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer_class(job_by(r, "up"), JOB_UNREACHABLE, "no route to host");
	j = job_by(r, "next");
	assert_string_equal(BODY, strbuf_cstr(&j->body));
	rig_answer_class(j, JOB_CREDENTIAL, "535 no");
	rig_settle(r);
	rec = rig_record(r, id);
	assert_int_equal(1, rec->rcpt[0].attempts);	/* both are one */
	record_free(&rec);
	rig_answer(job_by(r, "up"), 451, "4xx of a server does not hand on");
	rig_answer(job_by(r, "up"), 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

static void
discard_and_fail_are_settled_here(void **state)
{
	struct rig *r = rig_new("transport hole { discard }\n"
	    "transport no { fail 550 \"not from here\" }\n"
	    "transport later { fail 450 \"not now\" }\n"
	    "route to hole.test via hole\nroute to no.test via no\n"
	    "route to later.test via later\nroute via hole\n"
	    "bounce-to sender\nretry 10s\n");
	char *text;

	(void)state;
	rig_mail(r, "a@from.test", "x@hole.test", BODY, NULL);
	rig_until(r, rig_messages(r) == 0);
	rig_mail(r, "a@from.test", "x@no.test", BODY, NULL);
	rig_until(r, rig_messages(r) == 0);	/* its report, too */
	text = rig_history(r);
	assert_non_null(strstr(text, "a@from.test"));
	free(text);
	rig_mail(r, "a@from.test", "x@later.test", BODY, NULL);
	rig_until(r, store_counter(queue_store(r->queue), COUNT_DEFERRED)
	    == 1);
	assert_int_equal(0, r->n_jobs);
	rig_verify(r);
	rig_free(&r);
}

static void
local_mail_goes_through_monitor(void **state)
{
	struct rig *r = rig_new("transport local { maildir /tmp/%u }\n"
	    "route via local\nbounce-to sender\nretry 100ms\n");
	struct rig_reply reply;
	struct rig_job *j;

	(void)state;
	rig_mail(r, "a@relay.test", "carl@localhost bob@relay.test", BODY,
	    NULL);
	j = rig_job(r);
	assert_string_equal("local", j->local.transport);
	assert_string_equal("carl@localhost", j->local.recipient);
	assert_int_equal(0, strncmp(strbuf_cstr(&j->body),
	    "Return-Path: <a@relay.test>\r\nReceived: ", 39));
	assert_non_null(strstr(strbuf_cstr(&j->body), "\r\n" BODY));
	rig_answer_local(j, 0);
	j = rig_job(r);
	assert_string_equal("bob@relay.test", j->local.recipient);
	rig_answer_local(j, 67);		/* EX_NOUSER */
	j = rig_job(r);				/* the report */
	assert_string_equal("a@relay.test", j->local.recipient);
	rig_answer_local(j, 75);		/* EX_TEMPFAIL */
	j = rig_job(r);
	rig_answer_local(j, 0);
	rig_until(r, rig_messages(r) == 0);
	rig_request(r, MSG_VERIFY, "carl@localhost", &reply);
	assert_int_equal(250, reply.done.code);
	rig_verify(r);
	rig_free(&r);
}

static void
local_mail_without_a_place_is_refused(void **state)
{
	struct rig *r = rig_new(ONE);
	struct rig_reply reply;
	struct msg_done done;
	struct rig_job *j;

	(void)state;
	rig_request(r, MSG_VERIFY, "root@relay.test", &reply);
	assert_int_equal(550, reply.done.code);
	assert_int_equal(1, reply.done.status[1]);
	rig_request(r, MSG_VERIFY, "root@else.test", &reply);
	assert_int_equal(250, reply.done.code);
	rig_mail(r, "a@from.test", "root@localhost", BODY, &done);
	assert_int_equal(550, done.code);
	/* With others: those go, this one is reported. */
	rig_mail(r, "a@from.test", "root@localhost x@to.test", BODY, &done);
	assert_int_equal(250, done.code);
	j = rig_job(r);
	assert_int_equal(1, j->job.n_rcpt);
	rig_answer(j, 250, "ok");
	j = rig_job(r);
	assert_non_null(strstr(strbuf_cstr(&j->body), "root@localhost"));
	rig_reload(r, ONE "postmaster pm@else.test\n");
	rig_request(r, MSG_VERIFY, "root@relay.test", &reply);
	assert_int_equal(250, reply.done.code);
	rig_answer(j, 250, "ok");
	rig_mail(r, "a@from.test", "root@localhost", BODY, &done);
	j = rig_job(r);
	assert_string_equal("pm@else.test", j->job.rcpt[0].address);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_delivered_and_gone),
		cmocka_unit_test(large_and_file_bodies_arrive_whole),
		cmocka_unit_test(
		    a_deferred_message_comes_back_by_the_schedule),
		cmocka_unit_test(after_n_attempts_it_takes_the_other_route),
		cmocka_unit_test(each_recipient_has_its_own_result),
		cmocka_unit_test(a_message_that_is_too_old_is_reported),
		cmocka_unit_test(time_without_a_transport_does_not_count),
		cmocka_unit_test(a_delay_is_told_once),
		cmocka_unit_test(the_null_sender_is_never_told),
		cmocka_unit_test(
		    a_report_that_fails_goes_to_the_postmaster_once),
		cmocka_unit_test(a_sender_that_may_be_forged_is_not_told),
		cmocka_unit_test(
		    an_unreachable_transport_hands_on_to_the_next),
		cmocka_unit_test(discard_and_fail_are_settled_here),
		cmocka_unit_test(local_mail_goes_through_monitor),
		cmocka_unit_test(local_mail_without_a_place_is_refused),
		cmocka_unit_test(a_report_with_nowhere_to_go_waits),
		cmocka_unit_test(
		    a_failure_by_the_configuration_has_one_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

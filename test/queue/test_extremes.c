/* Messages of a kind that nobody sends, until somebody does. */
#include "queue/steps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/mem.h"
#include "queue/internal.h"

#define ONE "transport up { smarthost mx.test:25; "			\
	    "recipients-per-message 1000 }\n"				\
	    "route via up\nretry 1h\nbounce-to sender\n"

static uint64_t
send_file(struct rig *r, struct envelope *env, size_t size)
{
	char *body = mem_alloc(size + 1);
	struct rig_reply reply;
	uint64_t id;

	memset(body, 'x', size);
	memcpy(body, "Subject: x\r\n\r\n", 14);
	rig_request(r, MSG_SPOOL_WANT, "", &reply);
	assert_true(reply.fd >= 0);
	env->size = size;
	env->crc = crc32c(0, body, size);
	assert_int_equal(0, fs_write_all(reply.fd, body, size));
	free(body);
	id = rig_mail_env(r, &env, NULL, reply.fd, NULL);
	assert_true(id != 0);
	return id;
}

/* More than fits a channel's inline body. */
static void
a_huge_report_is_delivered(void **state)
{
	struct rig *r = rig_new(ONE);
	struct envelope *env = rig_envelope(r, "a@from.test", "x@to.test");
	struct rig_job *j;
	char address[300];
	size_t i;

	(void)state;
	env->ret = MAIL_RET_FULL;
	for (i = 0; i < 999; i++) {
		snprintf(address, sizeof(address), "%0240zu@to.test", i);
		envelope_add_recipient(env, slice_cstr(address), 0,
		    slice_of(NULL, 0));
	}
	send_file(r, env, 500000);
	j = rig_job(r);
	assert_int_equal(1000, j->job.n_rcpt);
	rig_answer(j, 550, "no");
	j = rig_job(r);
	assert_string_equal("", j->job.from);
	assert_true(j->body.n > 1024 * 1024);
	assert_true(j->body.n == j->job.body_size);
	assert_int_equal(j->job.body_crc, crc32c(0, j->body.p, j->body.n));
	rig_verify(r);
	rig_answer(j, 250, "ok");
	gone(r);
	assert_false(r->delivery_closed);
	rig_free(&r);
}

/* The disk takes leases and no reports: what comes of the results can only be
 * kept in RAM until it does. */
static void
results_that_cannot_be_stored_stop_new_attempts(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25; "
	    "connections 1 }\nroute via up\nretry 1h\nbounce-to sender\n");
	struct strbuf what = STRBUF_INIT;
	size_t i, jobs;

	(void)state;
	for (i = 0; i < 2000; i++)
		strbuf_puts(&what, "queue.bounce.before_commit=ENOSPC,");
	setenv("SMARTHOSTD_FAULT", strbuf_cstr(&what), 1);
	fault_init();
	for (i = 0; i < 200; i++)
		assert_true(rig_mail(r, "a@from.test", "x@to.test",
		    "Subject: x\r\n\r\nx\r\n", NULL) != 0);
	for (jobs = 0; jobs < r->n_jobs; rig_settle(r))
		for (; jobs < r->n_jobs; jobs++)
			rig_answer(&r->jobs[jobs], 550, "no");
	assert_in_range(r->n_jobs, 50, 150);
	/* Their bodies are not kept. */
	i = 0;
	while (i < r->n_jobs) {
		struct message *m = message_find(r->queue, r->jobs[i++].job.id);

		assert_non_null(m);
		assert_true(m->retrying || m->dirty || m->writing);
		assert_false(m->has_body);
	}
	unsetenv("SMARTHOSTD_FAULT");
	fault_armed = false;
	for (r->next = jobs; rig_messages(r) > 0; loop_turn(r->loop, true))
		while (r->next < r->n_jobs)
			rig_answer(&r->jobs[r->next++], 250, "ok");
	rig_settle(r);
	rig_verify(r);
	strbuf_free(&what);
	rig_free(&r);
}

/* Recipients take room, too. */
static void
crowds_do_not_wait_in_memory(void **state)
{
	struct rig *r = rig_new("transport up { smarthost mx.test:25; "
	    "connections 1; recipients-per-message 1000 }\n"
	    "route via up\nretry 1h\nbounce-to sender\n");
	struct strbuf to = STRBUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < 1000; i++)
		strbuf_printf(&to, "recipient%zu@to.test ", i);
	for (i = 0; i < 100; i++)
		assert_true(rig_mail(r, "a@from.test", strbuf_cstr(&to),
		    "Subject: x\r\n\r\nx\r\n", NULL) != 0);
	rig_settle(r);
	assert_in_range(htab_count(r->queue->messages), 10, 80);
	for (i = 0; i < 100; i++)
		rig_answer(rig_job(r), 250, "ok");
	gone(r);
	strbuf_free(&to);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_huge_report_is_delivered),
		cmocka_unit_test(
		    results_that_cannot_be_stored_stop_new_attempts),
		cmocka_unit_test(crowds_do_not_wait_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

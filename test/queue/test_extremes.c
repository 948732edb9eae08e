/* Messages of a kind that nobody sends, until somebody does. */
#include "queue/rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/fs.h"
#include "base/mem.h"

#define ONE "transport up { smarthost mx.test:25; "			\
	    "recipients-per-message 1000 }\n"				\
	    "route via up\nretry 1h\nbounce-to sender\n"

static void
gone(struct rig *r)
{
	rig_until(r, rig_messages(r) == 0);
	rig_settle(r);
	rig_verify(r);
}

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_huge_report_is_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

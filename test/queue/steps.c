/* See steps.h. */
#include "queue/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* ---- messages ---- */

uint64_t
send_from(struct rig *r, const char *from)
{
	struct envelope *env = rig_envelope(r, from, "x@to.test");
	uint64_t id;

	env->received_ms = clock_real_ms();	/* as the test has set it */
	id = rig_mail_env(r, &env, BODY, -1, NULL);
	assert_true(id != 0);
	return id;
}

uint64_t
send_one(struct rig *r)
{
	return send_from(r, "a@from.test");
}

uint64_t
send_deferred(struct rig *r)
{
	uint64_t id = send_one(r);

	rig_answer(job_of(r, id), 451, "later");
	rig_settle(r);
	return id;
}

struct record_rcpt
rcpt_of(struct rig *r, uint64_t id)
{
	struct record *rec = rig_record(r, id);
	struct record_rcpt rc;

	assert_non_null(rec);
	rc = rec->rcpt[0];
	rc.last_reply = rc.remote = NULL;
	record_free(&rec);
	return rc;
}

bool
history_has(struct rig *r, const char *text)
{
	char *entry = rig_history(r);
	bool has = strstr(entry, text) != NULL;

	free(entry);
	return has;
}

/* ---- jobs ---- */

struct rig_job *
job_by_at(struct rig *r, const char *transport, const char *file, int line)
{
	struct rig_job *j = rig_job(r);

	_assert_string_equal(transport, j->job.transport, file, line);
	return j;
}

struct rig_job *
job_of_at(struct rig *r, uint64_t id, const char *file, int line)
{
	struct rig_job *j = rig_job(r);

	_assert_int_equal(id, j->job.id, file, line);
	return j;
}

void
deliver_all(struct rig *r)
{
	do {
		rig_until(r, rig_messages(r) == 0 || r->next < r->n_jobs);
		while (r->next < r->n_jobs)
			rig_answer(rig_job(r), 250, "ok");
	} while (rig_messages(r) > 0);
}

void
gone(struct rig *r)
{
	rig_until(r, rig_messages(r) == 0);
	rig_settle(r);
	rig_verify(r);
}

/* ---- lanes and accounts ---- */

static void
see(void *arg, const struct queue_lane_info *info)
{
	struct seen *s = arg;

	if (strcmp(info->transport, s->name) != 0)
		return;
	s->there = true;
	s->state = info->state;
	snprintf(s->why, sizeof(s->why), "%s", info->why != NULL ?
	    info->why : "");
	s->since = info->since;
	s->next_probe = info->next_probe;
	s->waiting = info->waiting;
}

static void
see_account(void *arg, const struct queue_account_info *info)
{
	struct seen *s = arg;

	if (strcmp(info->name, s->name) != 0)
		return;
	s->there = true;
	s->state = info->state;
	s->next_probe = info->next_probe;
	s->waiting = info->waiting;
}

struct seen
look(struct rig *r, const char *transport)
{
	struct seen s = { .name = transport };

	queue_each_lane(r->queue, see, &s);
	return s;
}

struct seen
look_account(struct rig *r, const char *account)
{
	struct seen s = { .name = account };

	queue_each_account(r->queue, see_account, &s);
	assert_true(s.there);
	return s;
}

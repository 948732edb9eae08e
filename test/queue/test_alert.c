/* What an administrator is told of: once when it begins, once when it ends. */
#include "queue/steps.h"

#include <string.h>

#include "queue/alert.h"

#define WAYS "transport up { smarthost mx.test:25 }\n"			\
	    "transport pager { smarthost pager.test:25 }\n"		\
	    "transport other { smarthost other.test:25 }\n"		\
	    "postmaster pm@relay.test\n"
#define TO "alert { to boss@corp.test; via pager; after 15m }\n"

static void
say(struct rig *r, enum alert_kind kind, const char *object, bool begin)
{
	alert_state(r->queue, kind, object, begin, "535 no\r\n such login");
}

/* The next job is an alert by that transport; its text. */
static const char *
alert_by(struct rig *r, const char *transport)
{
	struct rig_job *j = rig_job(r);

	assert_string_equal(transport, j->job.transport);
	assert_string_equal("pm@relay.test", j->job.from);
	assert_string_equal("boss@corp.test", j->job.rcpt[0].address);
	assert_int_equal(MAIL_NOTIFY_NEVER, j->job.rcpt[0].notify);
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 0);
	strbuf_putc(&j->body, 0);
	return j->body.p;
}

static void
has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("no `%s` in:\n%s", what, text);
}

/* Time passes in the eyes of nobody: what would be told at once is told. */
static void
nothing_more(struct rig *r)
{
	size_t n = r->n_jobs;

	rig_settle(r);
	rig_settle(r);
	assert_int_equal(n, r->n_jobs);
}

static void
it_is_told_once_and_once_more_when_it_is_over(void **state)
{
	struct rig *r = rig_new(WAYS TO "account shop { default }\n");
	const char *text;
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		say(r, ALERT_PARKED, "shop", true);
	text = alert_by(r, "pager");
	has(text, "\r\nSubject: [smarthostd relay.test] account shop is "
	    "parked\r\n");
	has(text, "From: smarthostd <pm@relay.test>\r\n");
	has(text, "Auto-Submitted: auto-generated\r\n");
	has(text, "X-Smarthostd-Alert: parked begin\r\n");
	has(text, "Why:   535 no such login\r\n");
	has(text, "relayctl account resume shop\r\n");
	say(r, ALERT_PARKED, "shop", true);
	nothing_more(r);
	say(r, ALERT_PARKED, "shop", false);
	text = alert_by(r, "pager");
	has(text, "account shop is not parked any more\r\n");
	say(r, ALERT_PARKED, "shop", false);
	nothing_more(r);
	rig_verify(r);
	rig_free(&r);
}

static void
a_start_repeats_nothing(void **state)
{
	struct rig *r = rig_new(WAYS TO);

	(void)state;
	say(r, ALERT_PARKED, "up", true);
	has(alert_by(r, "pager"), "transport up is parked");
	rig_stop(r);
	rig_start(r);
	say(r, ALERT_PARKED, "up", true);
	nothing_more(r);
	say(r, ALERT_PARKED, "up", false);
	has(alert_by(r, "pager"), "transport up is not parked any more");
	rig_stop(r);
	rig_start(r);
	say(r, ALERT_PARKED, "up", false);
	nothing_more(r);
	rig_free(&r);
}

/* Lanes know from the store how they are: what was told before and is not so
 * any more is over. */
static void
what_has_ended_while_we_were_down_is_told(void **state)
{
	struct rig *r = rig_new(WAYS TO);

	(void)state;
	say(r, ALERT_UNREACHABLE, "up", true);
	nothing_more(r);		/* it has not lasted */
	rig_reload(r, WAYS "alert { to boss@corp.test; via pager; "
	    "after 10ms }\n");
	has(alert_by(r, "pager"), "transport up is unreachable");
	rig_stop(r);
	rig_start(r);
	has(alert_by(r, "pager"), "transport up is reachable again");
	rig_free(&r);
}

static void
what_does_not_last_is_not_told(void **state)
{
	struct rig *r = rig_new(WAYS TO);

	(void)state;
	say(r, ALERT_UNREACHABLE, "up", true);
	nothing_more(r);
	say(r, ALERT_UNREACHABLE, "up", false);
	nothing_more(r);
	rig_free(&r);
}

static void
what_comes_and_goes_is_told_twice_and_then_rests(void **state)
{
	struct rig *r = rig_new(WAYS TO);
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		say(r, ALERT_PARKED, "up", true);
		has(alert_by(r, "pager"), "begin");
		say(r, ALERT_PARKED, "up", false);
		has(alert_by(r, "pager"), "end");
	}
	say(r, ALERT_PARKED, "up", true);
	nothing_more(r);
	say(r, ALERT_PARKED, "up", false);
	nothing_more(r);
	rig_free(&r);
}

static void
it_goes_not_by_what_it_is_about(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test; via up }\n"
	    "route to corp.test via up other\n");

	(void)state;
	say(r, ALERT_PARKED, "up", true);
	has(alert_by(r, "other"), "transport up is parked");
	say(r, ALERT_PARKED, "pager", true);
	has(alert_by(r, "up"), "transport pager is parked");
	rig_free(&r);
}

static void
a_route_of_later_attempts_is_another_way(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test }\n"
	    "route attempts 3 via other\nroute via up\n");

	(void)state;
	say(r, ALERT_PARKED, "pager", true);
	has(alert_by(r, "up"), "transport pager is parked");
	say(r, ALERT_PARKED, "up", true);
	has(alert_by(r, "other"), "transport up is parked");
	rig_free(&r);
}

static void
an_account_that_is_parked_has_no_part_in_it(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test }\n"
	    "account shop { default; route via shop\n"
	    "submission s.test tls off }\nroute via other\n");

	(void)state;
	say(r, ALERT_PARKED, "shop", true);
	has(alert_by(r, "other"), "account shop is parked");
	rig_free(&r);
}

static void
one_that_fails_is_told_to_nobody(void **state)
{
	struct rig *r = rig_new(WAYS TO "bounce-to sender\n");

	(void)state;
	say(r, ALERT_PARKED, "up", true);
	rig_answer(rig_job(r), 550, "no such boss");
	rig_until(r, rig_messages(r) == 0);
	nothing_more(r);
	rig_verify(r);
	rig_free(&r);
}

static void
the_command_gets_the_same(void **state)
{
	struct rig *r = rig_new(WAYS "alert { command \"/bin/true\" }\n");

	(void)state;
	say(r, ALERT_PARKED, "up", true);
	rig_until(r, r->n_alerts == 1);
	assert_string_equal("parked", r->alerts[0].kind);
	assert_string_equal("up", r->alerts[0].object);
	assert_true(r->alerts[0].begin);
	assert_string_equal("transport up is parked: 535 no such login",
	    r->alerts[0].text);
	assert_int_equal(0, r->n_jobs);
	say(r, ALERT_PARKED, "up", false);
	rig_until(r, r->n_alerts == 2);
	assert_false(r->alerts[1].begin);
	rig_settle(r);
	rig_stop(r);
	rig_start(r);
	rig_settle(r);
	assert_int_equal(2, r->n_alerts);
	rig_free(&r);
}

/* It is on disk that it was told, and not that the command was begun. */
static void
a_command_that_was_not_begun_is_asked_for_again(void **state)
{
	struct rig *r = rig_new(WAYS "alert { command \"/bin/true\" }\n");

	(void)state;
	r->no_command = true;
	say(r, ALERT_PARKED, "up", true);
	rig_until(r, r->n_alerts == 1);
	rig_stop(r);
	r->no_command = false;
	rig_start(r);
	rig_until(r, r->n_alerts >= 2);
	assert_true(r->alerts[1].begin);
	assert_string_equal("up", r->alerts[1].object);
	rig_free(&r);
}

static void
mail_that_waits_is_told(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test; via pager; "
	    "after 200ms }\nroute via up\nretry 1h\n");
	struct rig_job *j;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	rig_answer(rig_job(r), 451, "later");
	j = job_by(r, "pager");
	strbuf_putc(&j->body, 0);
	has(j->body.p, "[smarthostd relay.test] queue has mail that waits "
	    "for too long\r\n");
	rig_answer(j, 250, "ok");
	rig_until(r, rig_messages(r) == 1);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_remove, id));
	has(alert_by(r, "pager"), "queue has no mail any more");
	rig_free(&r);
}

/* Or an alert that waits would be the cause of the next. */
static void
an_alert_that_waits_and_held_mail_are_no_cause(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test; via pager; "
	    "after 10ms }\nroute via up\nretry 1h\n");
	uint64_t id, end;

	(void)state;
	id = rig_mail(r, "a@from.test", "x@to.test", BODY, NULL);
	assert_int_equal(QUEUE_OP_DONE, rig_op(r, queue_op_hold, id));
	rig_answer(rig_job(r), 451, "later");
	say(r, ALERT_PARKED, "up", true);
	rig_answer(rig_job(r), 451, "later");
	for (end = rig_now() + 600; rig_now() < end;)
		loop_turn(r->loop, true);
	assert_int_equal(2, r->n_jobs);
	rig_free(&r);
}

static void
a_client_that_sends_too_much_is_told(void **state)
{
	struct rig *r = rig_new(WAYS TO "transport sink { discard }\n"
	    "route via sink\n");
	struct envelope *env = rig_envelope(r, "a@from.test", "x@to.test");
	const char *text;
	int i;

	(void)state;
	for (i = 0; i < 600; i++)
		alert_count(r->queue, env);
	nothing_more(r);
	alert_count(r->queue, env);
	alert_count(r->queue, env);
	text = alert_by(r, "pager");
	has(text, "client 192.0.2.7 sends too much\r\n");
	has(text, "more than 600 messages in 10 minutes");
	nothing_more(r);
	envelope_free(&env);
	rig_free(&r);
}

static void
it_is_over_when_it_has_slowed_down(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test; via pager; "
	    "after 400ms }\n");
	struct envelope env = { .client = (char *)(uintptr_t)"192.0.2.7" };
	int i;

	(void)state;
	r->queue->alerts->piece_ms = 50;
	for (i = 0; i < 601; i++)
		alert_count(r->queue, &env);
	has(alert_by(r, "pager"), "client 192.0.2.7 sends too much\r\n");
	has(alert_by(r, "pager"), "client 192.0.2.7 has slowed down\r\n");
	nothing_more(r);
	assert_int_equal(0, htab_count(r->queue->alerts->senders));
	rig_free(&r);
}

static void
a_command_is_asked_for_again_while_monitor_is_busy(void **state)
{
	struct rig *r = rig_new(WAYS "alert { command \"/bin/true\" }\n");

	(void)state;
	r->busy_commands = 1;
	say(r, ALERT_PARKED, "up", true);
	rig_until(r, r->n_alerts == 2);
	assert_string_equal("up", r->alerts[1].object);
	assert_true(r->alerts[1].begin);
	say(r, ALERT_PARKED, "up", false);
	rig_until(r, r->n_alerts == 3);
	assert_false(r->alerts[2].begin);
	rig_free(&r);
}

static void
any_name_that_can_be_configured_is_known(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test; via pager; "
	    "after 10ms }\ntransport \"b\303\274ro's\" { discard }\n");
	struct lane *l = lane_named(r->queue, "b\303\274ro's");
	const char *text;
	char why[] = "refused";

	(void)state;
	l->closed = CLOSED_UNREACHABLE;
	l->why = why;
	say(r, ALERT_UNREACHABLE, "b\303\274ro's", true);
	text = alert_by(r, "pager");
	has(text, "\r\nSubject: [smarthostd relay.test] transport b??ro's is "
	    "unreachable\r\n");
	has(text, "    relayctl transport resume 'b??ro'\\''s'\r\n");
	nothing_more(r);
	l->why = NULL;
	l->closed = CLOSED_NOT;
	say(r, ALERT_UNREACHABLE, "b\303\274ro's", false);
	has(alert_by(r, "pager"), "is reachable again");
	rig_free(&r);
}

/* Blanks and length of a directory's name are no reason to break lines where
 * there are none. */
static void
a_long_object_stays_one_line_for_the_command(void **state)
{
	static const char name[] = "/srv/a name of many words/a name of many "
	    "words/a name of many words/a name of many words/spool";
	struct rig *r = rig_new(WAYS "alert { command \"/bin/true\" }\n");

	(void)state;
	say(r, ALERT_DISK, name, true);
	rig_until(r, r->n_alerts >= 1);
	assert_string_equal(name, r->alerts[0].object);
	has(r->alerts[0].text, "words/spool runs short of room: 535 no");
	assert_null(strpbrk(r->alerts[0].text, "\r\n?"));
	rig_free(&r);
}

static void
what_is_gone_from_the_configuration_is_over(void **state)
{
	struct rig *r = rig_new(WAYS TO "transport extra { discard }\n");

	(void)state;
	say(r, ALERT_PARKED, "extra", true);
	has(alert_by(r, "pager"), "transport extra is parked");
	rig_reload(r, WAYS TO);
	has(alert_by(r, "pager"), "not in the configuration any more");
	rig_free(&r);
}

/* One dead server among those that `direct` sends to is everyday. */
static void
many_next_hops_are_unreachable_when_all_of_them_are(void **state)
{
	struct rig *r = rig_new(WAYS "alert { to boss@corp.test; via pager; "
	    "after 10ms }\n");
	struct lane *one = lane_at(r->queue, "up", "one.test");
	struct lane *two = lane_at(r->queue, "up", "two.test");
	char why[] = "refused";
	const char *text;
	uint64_t end;

	(void)state;
	two->reached_at = 1;
	one->closed = CLOSED_UNREACHABLE;
	say(r, ALERT_UNREACHABLE, "up", true);
	for (end = rig_now() + 600; rig_now() < end;)
		loop_turn(r->loop, true);
	assert_int_equal(0, r->n_jobs);
	two->closed = CLOSED_UNREACHABLE;
	two->why = why;
	has(alert_by(r, "pager"), "two.test: refused\r\n");
	/* The first is back, and says so: the other is not. */
	one->closed = CLOSED_NOT;
	say(r, ALERT_UNREACHABLE, "up", false);
	for (end = rig_now() + 600; rig_now() < end;)
		loop_turn(r->loop, true);
	assert_int_equal(1, r->n_jobs);
	one->reached_at = 1;
	text = alert_by(r, "pager");
	has(text, "is reachable again");
	has(text, "Now:   another next hop of it works\r\n");
	two->why = NULL;
	two->closed = CLOSED_NOT;
	rig_free(&r);
}

static void
without_the_block_nobody_is_told(void **state)
{
	struct rig *r = rig_new(WAYS);

	(void)state;
	say(r, ALERT_PARKED, "up", true);
	nothing_more(r);
	rig_reload(r, WAYS TO);
	has(alert_by(r, "pager"), "transport up is parked");
	rig_reload(r, WAYS);
	say(r, ALERT_PARKED, "up", false);
	nothing_more(r);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    it_is_told_once_and_once_more_when_it_is_over),
		cmocka_unit_test(a_start_repeats_nothing),
		cmocka_unit_test(what_has_ended_while_we_were_down_is_told),
		cmocka_unit_test(what_does_not_last_is_not_told),
		cmocka_unit_test(
		    what_comes_and_goes_is_told_twice_and_then_rests),
		cmocka_unit_test(it_goes_not_by_what_it_is_about),
		cmocka_unit_test(a_route_of_later_attempts_is_another_way),
		cmocka_unit_test(an_account_that_is_parked_has_no_part_in_it),
		cmocka_unit_test(one_that_fails_is_told_to_nobody),
		cmocka_unit_test(the_command_gets_the_same),
		cmocka_unit_test(
		    a_command_that_was_not_begun_is_asked_for_again),
		cmocka_unit_test(mail_that_waits_is_told),
		cmocka_unit_test(
		    an_alert_that_waits_and_held_mail_are_no_cause),
		cmocka_unit_test(a_client_that_sends_too_much_is_told),
		cmocka_unit_test(it_is_over_when_it_has_slowed_down),
		cmocka_unit_test(
		    a_command_is_asked_for_again_while_monitor_is_busy),
		cmocka_unit_test(any_name_that_can_be_configured_is_known),
		cmocka_unit_test(a_long_object_stays_one_line_for_the_command),
		cmocka_unit_test(what_is_gone_from_the_configuration_is_over),
		cmocka_unit_test(
		    many_next_hops_are_unreachable_when_all_of_them_are),
		cmocka_unit_test(without_the_block_nobody_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

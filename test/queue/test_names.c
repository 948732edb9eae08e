/* Recipients of local-domains at RCPT and when their message comes. */
#include "queue/rig.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "mail/envelope.h"
#include "store/record.h"

#define BODY "Subject: t\r\n\r\nbody\r\n"
#define UP "transport up { smarthost up.test }\nroute via up\n"
#define HOME "transport local { maildir ~/Maildir }\n"

static struct rig *
rig_with(const char *conf, const char *aliases)
{
	struct rig *r = rig_new(UP);
	char text[1024];

	r->aliases = aliases;
	snprintf(text, sizeof(text), "%s%saliases /aliases\n", UP, conf);
	rig_reload(r, text);
	return r;
}

static void
verify(struct rig *r, const char *address, unsigned code)
{
	struct rig_reply reply;

	rig_request(r, MSG_VERIFY, address, &reply);
	if (reply.done.code != code)
		fail_msg("%s: %u %s", address, reply.done.code,
		    reply.done.text);
}

/* "to to; orcpt" of all recipients, in order. */
static void
recipients(struct rig *r, uint64_t id, const char *want)
{
	struct record *rec = rig_record(r, id);
	struct strbuf out = STRBUF_INIT;
	size_t i;

	assert_non_null(rec);
	for (i = 0; i < rec->env->recipient_count; i++)
		strbuf_printf(&out, "%s%s(%s)", i > 0 ? " " : "",
		    rec->env->recipients[i].address,
		    rec->env->recipients[i].orcpt != NULL ?
		    rec->env->recipients[i].orcpt : "");
	assert_string_equal(want, strbuf_cstr(&out));
	strbuf_free(&out);
	record_free(&rec);
}

static void
a_user_is_looked_up_by_monitor(void **state)
{
	struct rig *r = rig_with(HOME, "known: k@x.test\n");

	(void)state;
	verify(r, "known@relay.test", 250);
	verify(r, "postmaster@relay.test", 250);
	verify(r, "bob@elsewhere.test", 250);
	assert_int_equal(0, r->questions);
	verify(r, "bob@relay.test", 250);
	assert_string_equal("bob@relay.test", r->user);
	r->user_status = EX_NOUSER;
	verify(r, "carl@localhost", 550);
	assert_string_equal("carl@localhost", r->user);
	r->user_status = EX_TEMPFAIL;
	verify(r, "bob@relay.test", 451);
	assert_int_equal(3, r->questions);
	rig_free(&r);
}

static void
aliases_alone_decide_where_there_is_no_transport(void **state)
{
	struct rig *r = rig_with("", "known: k@x.test\nring: ring2\n"
	    "ring2: ring\nlist: :include:/gone\npipe: |/bin/cat\n");

	(void)state;
	verify(r, "known@relay.test", 250);
	verify(r, "bob@relay.test", 550);
	verify(r, "ring@relay.test", 550);
	verify(r, "pipe@relay.test", 550);
	verify(r, "list@relay.test", 451);
	assert_int_equal(0, r->questions);
	rig_free(&r);
}

static void
recipients_become_those_of_the_alias(void **state)
{
	struct rig *r = rig_with(HOME, "known: k@x.test\n"
	    "team: known, bob, b+c@x.test, a@x.test\n");
	uint64_t id;

	(void)state;
	id = rig_mail(r, "s@x.test", "known@relay.test", BODY, NULL);
	recipients(r, id, "k@x.test(rfc822;known@relay.test)");
	id = rig_mail(r, "s@x.test", "a@x.test team@relay.test "
	    "Known@localhost carl@relay.test", BODY, NULL);
	recipients(r, id, "a@x.test() k@x.test(rfc822;team@relay.test) "
	    "bob@relay.test(rfc822;team@relay.test) "
	    "b+c@x.test(rfc822;team@relay.test) carl@relay.test()");
	rig_verify(r);
	rig_free(&r);
}

static void
original_recipients_are_kept(void **state)
{
	struct rig *r = rig_with("", "a+b: k@x.test\n");
	struct envelope *env;
	uint64_t id;

	(void)state;
	id = rig_mail(r, "s@x.test", "a+b@relay.test", BODY, NULL);
	recipients(r, id, "k@x.test(rfc822;a+2Bb@relay.test)");
	env = rig_envelope(r, "s@x.test", "");
	envelope_add_recipient(env, SLICE_LIT("a+b@relay.test"), 0,
	    SLICE_LIT("rfc822;first@y.test"));
	id = rig_mail_env(r, &env, BODY, -1, NULL);
	recipients(r, id, "k@x.test(rfc822;first@y.test)");
	rig_free(&r);
}

static void
an_alias_that_cannot_be_applied_refuses_the_message(void **state)
{
	struct strbuf text = STRBUF_INIT;
	struct msg_done done;
	struct rig *r;
	unsigned i;

	(void)state;
	strbuf_puts(&text, "list: :include:/gone\nhalf: a@x.test, list\nbig:");
	for (i = 0; i < 1001; i++)
		strbuf_printf(&text, " u%u@x.test,", i);
	r = rig_with("", strbuf_cstr(&text));
	verify(r, "half@relay.test", 451);
	verify(r, "big@relay.test", 550);
	rig_mail(r, "s@x.test", "half@relay.test", BODY, &done);
	assert_int_equal(451, done.code);
	rig_mail(r, "s@x.test", "b@x.test big@relay.test", BODY, &done);
	assert_int_equal(550, done.code);
	assert_int_equal(0, rig_messages(r));
	rig_free(&r);
	strbuf_free(&text);
}

static void
a_report_goes_by_the_aliases_too(void **state)
{
	struct rig *r = rig_with("", "root: a@x.test, b@x.test\n"
	    "postmaster: a@x.test\n");
	struct rig_job *j;

	(void)state;
	rig_mail(r, "root@relay.test", "who@y.test", BODY, NULL);
	rig_answer(rig_job(r), 550, "5.1.1 unknown");
	j = rig_job(r);
	assert_string_equal("", j->job.from);
	assert_int_equal(2, j->job.n_rcpt);
	assert_string_equal("a@x.test", j->job.rcpt[0].address);
	assert_string_equal("b@x.test", j->job.rcpt[1].address);
	/* The postmaster is one of those who cannot be reached: the end. */
	rig_answer(j, 550, "5.1.1 unknown");
	rig_until(r, rig_messages(r) == 0);
	rig_verify(r);
	rig_free(&r);
}

static void
a_new_file_counts_from_then_on(void **state)
{
	struct rig *r = rig_with("", "a: k@x.test\n");

	(void)state;
	verify(r, "b@relay.test", 550);
	r->aliases = "b: k@x.test\n";
	rig_reload(r, UP "aliases /aliases\n");
	verify(r, "b@relay.test", 250);
	verify(r, "a@relay.test", 550);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_is_looked_up_by_monitor),
		cmocka_unit_test(
		    aliases_alone_decide_where_there_is_no_transport),
		cmocka_unit_test(recipients_become_those_of_the_alias),
		cmocka_unit_test(original_recipients_are_kept),
		cmocka_unit_test(
		    an_alias_that_cannot_be_applied_refuses_the_message),
		cmocka_unit_test(a_report_goes_by_the_aliases_too),
		cmocka_unit_test(a_new_file_counts_from_then_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

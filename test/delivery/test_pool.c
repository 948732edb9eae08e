/* Which session a job gets, and what happens when hosts or sessions fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/crc.h"
#include "delivery/job.h"
#include "delivery/pool_private.h"
#include "delivery/sink.h"

struct world {
	struct loop *loop;
	struct pool_env env;
	struct conf_transport t;
	struct conf_host hosts[3];
	struct pool *pool;
	struct sink sink[2];
	unsigned done;
	struct job_list jobs;		/* not done yet */
	struct strbuf results;		/* "CLASS:CODE " of each */
	struct strbuf text;		/* of the last */
	struct strbuf remote;
	unsigned connections, setbacks;	/* what queue says */
	struct job_news news;		/* what the last result said */
};

static unsigned closed_port;

/* A port where nobody listens. */
static void
find_closed_port(struct loop *loop)
{
	struct sink s = { .greeting = NULL };

	sink_open(&s, loop);
	closed_port = s.port;
	sink_close(&s);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct resolver_options o = { .server_count = 0 };
	struct err e = { 0, "" };

	w->loop = loop_new(&e);
	pool_env_init(&w->env, w->loop);
	w->env.resolver = resolver_new(w->loop, &o, &e);
	assert_non_null(w->env.resolver);
	w->env.hostname = "us.example";
	TAILQ_INIT(&w->jobs);
	w->t = (struct conf_transport){
		.name = (char *)"t", .kind = TRANSPORT_SMARTHOST,
		.hosts = w->hosts, .n_hosts = 1, .tls = TLS_OFF,
		.tls_verify = VERIFY_OFF, .connections = 20,
		.connections_per_host = 10, .messages_per_connection = 100,
		.recipients_per_message = 100, .idle_timeout = 30000,
		.connect_timeout = 30000
	};
	sink_open(&w->sink[0], w->loop);
	sink_open(&w->sink[1], w->loop);
	find_closed_port(w->loop);
	w->hosts[0] = (struct conf_host){ (char *)"127.0.0.1",
		w->sink[0].port, false };
	w->hosts[1] = (struct conf_host){ (char *)"127.0.0.1",
		w->sink[1].port, false };
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	struct job *j;

	pool_free(&w->pool);
	while ((j = TAILQ_FIRST(&w->jobs)) != NULL) {
		TAILQ_REMOVE(&w->jobs, j, all);
		job_free(&j);
	}
	sink_close(&w->sink[0]);
	sink_close(&w->sink[1]);
	resolver_free(&w->env.resolver);
	loop_turn(w->loop, false);
	pool_env_clear(&w->env);
	loop_free(&w->loop);
	strbuf_free(&w->results);
	strbuf_free(&w->text);
	strbuf_free(&w->remote);
	free(w);
	return 0;
}

static void
on_done(void *arg, struct job *j)
{
	struct world *w = arg;
	uint32_t i;

	w->done++;
	if (j->news != NULL)
		w->news = *j->news;
	TAILQ_REMOVE(&w->jobs, j, all);
	for (i = 0; i < j->m.n_rcpt && j->open == 0; i++)
		strbuf_printf(&w->results, "%d:%u ", j->class,
		    j->rcpt[i].code);
	strbuf_clear(&w->text);
	strbuf_puts(&w->text, j->text ? j->text : "");
	strbuf_clear(&w->remote);
	strbuf_puts(&w->remote, j->remote ? j->remote : "");
	job_free(&j);
}

static struct job *
job(struct world *w, const char *helo, uint32_t n_rcpt)
{
	static const char body[] = "Subject: x\r\n\r\nhello\r\n";
	struct msg_job_rcpt rcpt[20];
	struct msg_job m = {
		.id = 1, .transport = (char *)"t", .from = (char *)"s@example",
		.helo = (char *)(uintptr_t)helo,
		.trace = (char *)"Received: x\r\n",
		.connections = w->connections, .setbacks = w->setbacks,
		.body_size = sizeof(body) - 1,
		.body_crc = crc32c(0, body, sizeof(body) - 1),
		.rcpt = rcpt, .n_rcpt = n_rcpt
	};
	struct port_message pm = { .type = MSG_JOB, .ref = 1, .fd = -1,
		.body = slice_of(body, sizeof(body) - 1) };
	struct strbuf b = STRBUF_INIT;
	struct err e = { 0, "" };
	struct job *j;
	uint32_t i;

	memset(rcpt, 0, sizeof(rcpt));
	for (i = 0; i < n_rcpt; i++) {
		rcpt[i].index = i;
		rcpt[i].address = (char *)"a@example";
	}
	msg_job_encode(&b, &m);
	pm.data = strbuf_slice(&b);
	j = job_new(&pm, &e);
	assert_non_null(j);
	strbuf_free(&b);
	j->done = on_done;
	j->arg = w;
	TAILQ_INSERT_TAIL(&w->jobs, j, all);
	return j;
}

static void
submit_as(struct world *w, const char *helo, uint32_t n_rcpt)
{
	if (w->pool == NULL)
		w->pool = pool_new(&w->env, &w->t);
	pool_submit(w->pool, job(w, helo, n_rcpt));
}

static void
submit(struct world *w)
{
	submit_as(w, NULL, 1);
}

/* Turns that wait, so that a condition comes true by events and timers. */
#define UNTIL(w, condition) do { \
	uint64_t until_ = clock_mono_us() + 10000000; \
	while (!(condition) && clock_mono_us() < until_) \
		loop_turn((w)->loop, false); \
	assert_true(condition); \
} while (0)

static void
run(struct world *w, unsigned done)
{
	UNTIL(w, w->done >= done);
}

static void
results_are(struct world *w, const char *want)
{
	if (strcmp(strbuf_cstr(&w->results), want) != 0)
		fail_msg("got %s, wanted %s: %s", strbuf_cstr(&w->results),
		    want, strbuf_cstr(&w->text));
}

static void
one_connection_serves_many(void **state)
{
	struct world *w = *state;
	int i;

	for (i = 1; i <= 5; i++) {
		submit(w);
		run(w, (unsigned)i);
	}
	results_are(w, "0:250 0:250 0:250 0:250 0:250 ");
	assert_int_equal(w->sink[0].accepted, 1);
	assert_int_equal(w->sink[0].messages, 5);
	assert_string_equal(strbuf_cstr(&w->sink[0].helo), "us.example");
}

static void
no_more_connections_than_allowed(void **state)
{
	struct world *w = *state;
	int i;

	w->t.connections = 3;
	for (i = 0; i < 20; i++)
		submit(w);
	run(w, 20);
	assert_int_equal(w->sink[0].open_max, 3);
	assert_int_equal(w->sink[0].messages, 20);
}

static void
nor_to_one_host(void **state)
{
	struct world *w = *state;
	int i;

	w->t.connections_per_host = 2;
	for (i = 0; i < 20; i++)
		submit(w);
	run(w, 20);
	assert_int_equal(w->sink[0].open_max, 2);
}

static void
a_worn_session_is_replaced(void **state)
{
	struct world *w = *state;
	int i;

	w->t.connections = 1;
	w->t.messages_per_connection = 2;
	for (i = 0; i < 5; i++)
		submit(w);
	run(w, 5);
	results_are(w, "0:250 0:250 0:250 0:250 0:250 ");
	UNTIL(w, w->sink[0].quits == 2);
	assert_int_equal(w->sink[0].accepted, 3);
}

static void
a_job_goes_on_in_another_session(void **state)
{
	struct world *w = *state;

	w->t.messages_per_connection = 1;
	w->t.recipients_per_message = 2;
	submit_as(w, NULL, 5);
	run(w, 1);
	results_are(w, "0:250 0:250 0:250 0:250 0:250 ");
	assert_int_equal(w->sink[0].accepted, 3);
	assert_int_equal(w->sink[0].rcpts, 5);
}

static void
an_idle_session_says_quit(void **state)
{
	struct world *w = *state;

	w->t.idle_timeout = 1;
	submit(w);
	UNTIL(w, w->sink[0].quits == 1);
	results_are(w, "0:250 ");
	UNTIL(w, pool_is_empty(w->pool));
}

static void
another_name_is_another_session(void **state)
{
	struct world *w = *state;

	w->t.connections = 1;
	submit_as(w, "one.example", 1);
	run(w, 1);
	submit_as(w, "two.example", 1);
	run(w, 2);
	assert_string_equal(strbuf_cstr(&w->sink[0].helo),
	    "one.example two.example");
	assert_int_equal(w->sink[0].open_max, 1);
}

static void
a_stale_session_costs_nothing(void **state)
{
	struct world *w = *state;

	submit(w);
	run(w, 1);
	w->sink[0].hold_mail = true;
	submit(w);
	/* The commands are read, no answer comes, and the server goes. */
	UNTIL(w, w->sink[0].rcpts == 2);
	sink_cut(&w->sink[0]);
	w->sink[0].hold_mail = false;
	run(w, 2);
	results_are(w, "0:250 0:250 ");
	assert_int_equal(w->sink[0].accepted, 2);
}

static void
closed_while_idle(void **state)
{
	struct world *w = *state;

	submit(w);
	run(w, 1);
	sink_cut(&w->sink[0]);
	submit(w);
	run(w, 2);
	results_are(w, "0:250 0:250 ");
}

static void
the_next_host_is_tried(void **state)
{
	struct world *w = *state;

	w->t.n_hosts = 2;
	w->hosts[0].port = closed_port;
	submit(w);
	run(w, 1);
	results_are(w, "0:250 ");
	assert_int_equal(w->sink[1].messages, 1);
	assert_non_null(strstr(strbuf_cstr(&w->remote),
	    "127.0.0.1[127.0.0.1]:"));
}

static void
a_host_that_refuses_its_greeting_too(void **state)
{
	struct world *w = *state;

	w->t.n_hosts = 2;
	w->sink[0].greeting = "554 no";
	submit(w);
	run(w, 1);
	results_are(w, "0:250 ");
	assert_int_equal(w->sink[1].messages, 1);
}

static void
but_not_after_an_answer_to_the_message(void **state)
{
	struct world *w = *state;

	w->t.n_hosts = 2;
	w->sink[0].final = "451 4.3.0 later";
	submit(w);
	run(w, 1);
	results_are(w, "0:451 ");
	assert_int_equal(w->sink[1].accepted, 0);
}

static void
every_host_once_then_unreachable(void **state)
{
	struct world *w = *state;
	char want[128];

	w->t.n_hosts = 2;
	w->hosts[0].port = closed_port;
	w->sink[1].greeting = "421 4.3.2 full";
	submit(w);
	run(w, 1);
	results_are(w, "1:450 ");
	snprintf(want, sizeof(want), "connect to 127.0.0.1[127.0.0.1]:%u: "
	    "Connection refused; connect to 127.0.0.1[127.0.0.1]:%u: ",
	    closed_port, w->sink[1].port);
	assert_int_equal(strncmp(strbuf_cstr(&w->text), want, strlen(want)),
	    0);
	assert_non_null(strstr(strbuf_cstr(&w->text), "421 4.3.2 full"));
	assert_int_equal(w->sink[1].accepted, 1);
}

static void
a_dead_host_is_tried_last_for_a_while(void **state)
{
	struct world *w = *state;

	w->t.n_hosts = 2;
	w->t.messages_per_connection = 1;
	w->sink[0].greeting = "554 no";
	submit(w);
	run(w, 1);
	submit(w);
	run(w, 2);
	results_are(w, "0:250 0:250 ");
	assert_int_equal(w->sink[0].accepted, 1);
	assert_int_equal(w->sink[1].accepted, 2);
}

/* ---- sites ---- */

static void
make_site(struct world *w, struct pool **base, const char *site)
{
	w->t.kind = TRANSPORT_DIRECT;
	w->t.direct_port = w->sink[0].port;
	w->t.n_hosts = 0;
	*base = pool_new(&w->env, &w->t);
	w->pool = pool_new_site(*base, site);
}

static void
the_best_preference_first(void **state)
{
	struct world *w = *state;
	struct pool *base;

	make_site(w, &base, "127.0.0.2,127.0.0.3;127.0.0.1;127.0.0.4");
	submit(w);
	run(w, 1);
	results_are(w, "0:250 ");
	assert_string_not_equal(strbuf_cstr(&w->remote), "");
	assert_int_equal(w->sink[0].messages, 1);
	pool_free(&w->pool);
	pool_free(&base);
}

static void
what_was_put_off_is_tried_at_the_next_exchanger(void **state)
{
	struct world *w = *state;
	struct pool *base;

	make_site(w, &base, "127.0.0.1;localhost;127.0.0.2");
	w->sink[0].final = "451 4.3.0 later";
	submit_as(w, NULL, 2);
	run(w, 1);
	results_are(w, "0:451 0:451 ");
	/* Two servers, not three. */
	assert_int_equal(w->sink[0].accepted, 2);
	pool_free(&w->pool);
	pool_free(&base);
}

static void
and_the_answer_stands_where_there_is_none(void **state)
{
	struct world *w = *state;
	struct pool *base;

	make_site(w, &base, "127.0.0.1;127.0.0.2");
	w->sink[0].final = "451 4.3.0 later";
	submit(w);
	run(w, 1);
	results_are(w, "0:451 ");
	assert_int_equal(w->sink[0].accepted, 1);
	/* The first one could be had: nothing is learnt of how many may. */
	assert_int_equal(w->news.setbacks, 0);
	pool_free(&w->pool);
	pool_free(&base);
}

static void
a_host_of_two_sites_has_one_limit(void **state)
{
	struct world *w = *state;
	struct pool *base, *one, *two;
	int i;

	w->t.connections_per_host = 2;
	w->t.messages_per_connection = 1;
	make_site(w, &base, "127.0.0.1;one.invalid");
	one = w->pool;
	two = pool_new_site(base, "127.0.0.1;two.invalid");
	for (i = 0; i < 20; i++) {
		w->pool = i % 2 == 0 ? one : two;
		submit(w);
	}
	run(w, 20);
	assert_int_equal(w->sink[0].open_max, 2);
	assert_int_equal(w->sink[0].messages, 20);
	pool_free(&two);
	w->pool = NULL;
	pool_free(&one);
	pool_free(&base);
}

/* Marks of different kinds, as a queue of another version may bring them. */
static void
the_strictest_mark_is_what_the_pool_verifies(void **state)
{
	static const char *const sites[] = {
		"a.test=mta-sts-testing;b.test=mta-sts",
		"b.test=mta-sts;a.test=mta-sts-testing",
		"a.test=mta-sts-testing-unlisted,b.test=mta-sts-of-2040",
	};
	struct world *w = *state;
	struct pool *base;
	size_t i;

	w->t.tls = TLS_OPPORTUNISTIC;
	for (i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
		make_site(w, &base, sites[i]);
		assert_non_null(base->enforced);
		assert_ptr_equal(w->pool->policy, base->enforced);
		pool_free(&w->pool);
		pool_free(&base);
	}
}

/* ---- TLS ---- */

static void
no_tls_by_chance_is_plain(void **state)
{
	struct world *w = *state;

	w->t.tls = TLS_OPPORTUNISTIC;
	w->sink[0].starttls = true;
	submit(w);
	run(w, 1);
	results_are(w, "0:250 ");
	assert_int_equal(w->sink[0].accepted, 2);
}

static void
no_tls_where_it_must_be(void **state)
{
	struct world *w = *state;

	w->t.tls = TLS_REQUIRED;
	w->sink[0].starttls = true;
	submit(w);
	run(w, 1);
	results_are(w, "1:450 ");
	assert_int_equal(w->sink[0].messages, 0);
}

static void
a_certificate_of_no_use(void **state)
{
	struct world *w = *state;
	char *pin = (char *)"not a fingerprint";

	w->t.tls = TLS_REQUIRED;
	w->t.tls_fingerprint.v = &pin;
	w->t.tls_fingerprint.n = 1;
	submit(w);
	run(w, 1);
	results_are(w, "1:450 ");
	assert_int_equal(w->sink[0].accepted, 0);
}

static void
a_name_that_does_not_exist(void **state)
{
	struct world *w = *state;

	w->t.ipv4 = SWITCH_OFF;
	w->t.ipv6 = SWITCH_OFF;
	submit(w);
	run(w, 1);
	results_are(w, "1:450 ");
	assert_non_null(strstr(strbuf_cstr(&w->text), "resolve 127.0.0.1"));
}

static void
draining_finishes_what_has_begun(void **state)
{
	struct world *w = *state;
	int i;

	w->t.connections = 1;
	w->sink[0].hold = true;
	for (i = 0; i < 3; i++)
		submit(w);
	UNTIL(w, w->sink[0].messages == 1);
	pool_drain(w->pool);
	assert_int_equal(w->done, 2);
	results_are(w, "4:451 4:451 ");
	assert_false(pool_is_empty(w->pool));
	sink_cut(&w->sink[0]);
	run(w, 3);
	results_are(w, "4:451 4:451 0:451 ");
	UNTIL(w, pool_is_empty(w->pool));
}

static void
draining_ends_idle_sessions(void **state)
{
	struct world *w = *state;

	submit(w);
	run(w, 1);
	pool_drain(w->pool);
	UNTIL(w, w->sink[0].quits == 1 && pool_is_empty(w->pool));
}

static void
draining_returns_what_only_connects(void **state)
{
	struct world *w = *state;

	w->sink[0].greeting = "220-wait";
	submit(w);
	UNTIL(w, w->sink[0].accepted == 1);
	pool_drain(w->pool);
	results_are(w, "4:451 ");
	UNTIL(w, pool_is_empty(w->pool));
}

static void
abandoned_before_the_dot_it_is_dropped(void **state)
{
	struct world *w = *state;

	w->sink[0].hold_mail = true;
	w->t.connections = 1;
	submit(w);
	submit(w);
	UNTIL(w, w->sink[0].rcpts == 1);
	pool_abandon(w->pool);
	assert_int_equal(w->done, 2);
	UNTIL(w, w->sink[0].open == 0 && pool_is_empty(w->pool));
}

static void
abandoned_after_the_dot_it_goes_on(void **state)
{
	struct world *w = *state;

	w->sink[0].hold = true;
	submit(w);
	UNTIL(w, w->sink[0].messages == 1);
	pool_abandon(w->pool);
	assert_int_equal(w->done, 0);
	assert_int_equal(w->sink[0].open, 1);
	sink_cut(&w->sink[0]);
	run(w, 1);
}

/* What queue has said counts until something else is learnt. */
static void
queue_says_how_many(void **state)
{
	struct world *w = *state;
	int i;

	w->connections = 2;
	for (i = 0; i < 10; i++)
		submit(w);
	run(w, 10);
	assert_int_equal(w->sink[0].open_max, 2);
	assert_int_equal(w->news.sessions, 2);
	assert_int_equal(w->news.setbacks, 0);
	w->connections = 4;
	for (i = 0; i < 10; i++)
		submit(w);
	run(w, 20);
	assert_int_equal(w->sink[0].open_max, 4);
	/* Fewer: those that are idle say goodbye. */
	w->connections = 1;
	submit(w);
	run(w, 21);
	UNTIL(w, w->sink[0].quits == 3);
	assert_int_equal(w->sink[0].open, 1);
}

static void
one_too_many_is_nobodys_failure(void **state)
{
	struct world *w = *state;
	int i;

	w->sink[0].allowed = 3;
	w->connections = 3;
	for (i = 0; i < 10; i++)
		submit(w);
	run(w, 10);
	w->connections = 10;
	for (i = 0; i < 20; i++)
		submit(w);
	run(w, 30);
	assert_int_equal(w->sink[0].messages, 30);
	assert_null(strstr(strbuf_cstr(&w->results), "4"));
	assert_true(w->news.setbacks > 0 && w->news.full);
	assert_int_equal(w->news.held, 3);
	/* Until queue has heard of it, its old number is of no use. */
	i = (int)w->sink[0].accepted;
	submit(w);
	run(w, 31);
	assert_int_equal(w->sink[0].accepted, i);
	assert_int_equal(w->news.sessions, 3);
}

static void
one_too_many_where_there_is_no_other(void **state)
{
	struct world *w = *state;

	w->sink[0].greeting = "432 4.3.2 too many connections";
	submit(w);
	run(w, 1);
	results_are(w, "1:450 ");
	assert_true(w->news.full);
	assert_int_equal(w->news.held, 0);
}

/* One that fails in another way, while others serve. */
static void
who_fails_beside_others_waits_for_them(void **state)
{
	struct world *w = *state;
	int i;

	w->connections = 2;
	for (i = 0; i < 4; i++)
		submit(w);
	run(w, 4);
	w->connections = 5;
	w->sink[0].greeting = "554 5.3.0 go away";
	for (i = 0; i < 20; i++)
		submit(w);
	run(w, 24);
	assert_int_equal(w->sink[0].messages, 24);
	assert_null(strstr(strbuf_cstr(&w->results), "4"));
	assert_true(w->news.setbacks > 0 && !w->news.full);
	assert_in_range(w->sink[0].accepted, 3, 8);
}

/* It fails before the other is known to serve. */
static void
who_fails_while_others_are_on_their_way_waits_for_them(void **state)
{
	struct world *w = *state;

	w->connections = 2;
	w->sink[0].greeting = "220-wait";
	submit(w);
	UNTIL(w, w->sink[0].accepted == 1);
	w->sink[0].greeting = "554 5.3.0 go away";
	submit(w);
	UNTIL(w, w->sink[0].accepted == 2 && w->sink[0].open == 1);
	assert_int_equal(w->done, 0);
	/* That one is of no use, either; nobody tries a third time. */
	sink_cut(&w->sink[0]);
	run(w, 2);
	results_are(w, "1:450 1:450 ");
	assert_int_equal(w->sink[0].accepted, 2);
}

/* The place of one that leaves is not taken before the server knows. */
static void
one_that_leaves_counts_until_it_is_gone(void **state)
{
	struct world *w = *state;
	int i;

	w->t.connections = 2;
	w->t.messages_per_connection = 1;
	for (i = 0; i < 20; i++)
		submit(w);
	run(w, 20);
	assert_int_equal(w->sink[0].accepted, 20);
	assert_int_equal(w->sink[0].open_max, 2);
	UNTIL(w, w->sink[0].quits == 20 && pool_is_empty(w->pool));
}

static void
closed_at_its_first_mail_is_an_answer_to_the_message(void **state)
{
	struct world *w = *state;

	w->sink[0].mail_from = "421 4.7.0 not from you";
	submit(w);
	run(w, 1);
	results_are(w, "0:421 ");
	assert_int_equal(w->sink[0].accepted, 1);
}

static void
too_many_at_mail_and_no_other_is_the_hosts(void **state)
{
	struct world *w = *state;

	w->t.n_hosts = 2;
	w->sink[0].mail_from = "432 4.3.2 concurrent connections exceeded";
	submit(w);
	run(w, 1);
	results_are(w, "0:250 ");
	assert_int_equal(w->sink[1].messages, 1);
}

/* A message that a server closes upon, whoever else lives, is not tried for
 * ever. */
static void
too_many_at_mail_is_believed_a_few_times(void **state)
{
	struct world *w = *state;

	w->connections = 2;
	w->sink[0].hold = true;
	submit(w);
	UNTIL(w, w->sink[0].messages == 1);
	w->sink[0].mail_from = "421 4.7.0 not this one";
	submit(w);
	UNTIL(w, w->sink[0].accepted == 2 && w->sink[0].open == 1);
	/* It waits for the one that lives. */
	assert_int_equal(w->done, 0);
	assert_int_equal(w->news.setbacks, 0);
	sink_cut(&w->sink[0]);
	run(w, 2);
	results_are(w, "0:451 0:421 ");
	assert_int_equal(w->news.setbacks, 2);
}

/* Two pools, and a descriptor for one session. */
static void
a_descriptor_goes_to_who_needs_it(void **state)
{
	struct world *w = *state;
	struct conf_transport t = w->t;
	struct pool *first;

	w->env.sessions_max = 1;
	t.hosts = &w->hosts[1];
	submit(w);
	run(w, 1);
	first = w->pool;
	/* The other's idle session gives way. */
	w->pool = pool_new(&w->env, &t);
	submit(w);
	run(w, 2);
	assert_int_equal(w->sink[1].messages, 1);
	UNTIL(w, w->sink[0].quits == 1);
	/* The other's busy one is waited for. */
	w->sink[1].hold = true;
	submit(w);
	UNTIL(w, w->sink[1].messages == 2);
	pool_submit(first, job(w, NULL, 1));
	loop_turn(w->loop, false);
	assert_int_equal(w->sink[0].accepted, 1);
	sink_cut(&w->sink[1]);
	run(w, 4);
	assert_int_equal(w->sink[0].messages, 2);
	pool_free(&first);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(one_connection_serves_many),
		T(queue_says_how_many),
		T(one_too_many_is_nobodys_failure),
		T(one_too_many_where_there_is_no_other),
		T(who_fails_beside_others_waits_for_them),
		T(a_descriptor_goes_to_who_needs_it),
		T(closed_at_its_first_mail_is_an_answer_to_the_message),
		T(too_many_at_mail_and_no_other_is_the_hosts),
		T(too_many_at_mail_is_believed_a_few_times),
		T(who_fails_while_others_are_on_their_way_waits_for_them),
		T(one_that_leaves_counts_until_it_is_gone),
		T(no_more_connections_than_allowed),
		T(nor_to_one_host),
		T(a_worn_session_is_replaced),
		T(a_job_goes_on_in_another_session),
		T(an_idle_session_says_quit),
		T(another_name_is_another_session),
		T(a_stale_session_costs_nothing),
		T(closed_while_idle),
		T(the_next_host_is_tried),
		T(a_host_that_refuses_its_greeting_too),
		T(but_not_after_an_answer_to_the_message),
		T(every_host_once_then_unreachable),
		T(a_dead_host_is_tried_last_for_a_while),
		T(the_best_preference_first),
		T(what_was_put_off_is_tried_at_the_next_exchanger),
		T(and_the_answer_stands_where_there_is_none),
		T(a_host_of_two_sites_has_one_limit),
		T(the_strictest_mark_is_what_the_pool_verifies),
		T(no_tls_by_chance_is_plain),
		T(no_tls_where_it_must_be),
		T(a_certificate_of_no_use),
		T(a_name_that_does_not_exist),
		T(draining_finishes_what_has_begun),
		T(draining_ends_idle_sessions),
		T(draining_returns_what_only_connects),
		T(abandoned_before_the_dot_it_is_dropped),
		T(abandoned_after_the_dot_it_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

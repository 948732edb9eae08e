/* The control socket: what each command answers, to whom, and what garbage
 * costs. */
#include "control_world.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* ---- what it answers ---- */

static void
status_tells_counts_listeners_and_transports(void **state)
{
	const char *a = ask(*state, "{\"command\":\"status\"}");

	HAS(a, "{\"item\":{\"version\":\"");
	HAS(a, "\"queue\":{\"queued\":0,\"active\":0,\"deferred\":4,"
	    "\"held\":0,\"oldest\":\"20");
	HAS(a, "{\"address\":\"127.0.0.1:25\",\"connections\":0}");
	HAS(a, "{\"name\":\"later\",\"state\":\"ok\"");
	HAS(a, "\"waiting\":4");
	ENDS(a, 0);
}

static void
list_gives_an_object_a_line_in_order_of_arrival(void **state)
{
	const char *a = ask(*state, "{\"command\":\"queue list\"}");
	const char *at = a;
	unsigned i;

	for (i = 1; i <= 4; i++) {
		at = strstr(at, id_name(i));
		assert_non_null(at);
	}
	assert_int_equal(count_text(a, "{\"item\":{\"id\":"), 4);
	HAS(a, "\"status\":\"deferred\",\"from\":\"a@example.net\","
	    "\"account\":null,\"login\":null,\"client\":\"192.0.2.7\"");
	HAS(a, "\"last_reply\":\"451 not now\"");
	ENDS(a, 0);
}

static void
selectors_narrow_a_list(void **state)
{
	static const struct {
		const char *sel;
		unsigned n;
	} t[] = {
		{ "\"from\":\"b@example.net\"", 2 },
		{ "\"from\":\"example.net\",\"larger\":\"10K\"", 1 },
		{ "\"to\":\"to@example.org\"", 4 },
		{ "\"to\":\"nobody@example.org\"", 0 },
		{ "\"transport\":\"later\"", 4 },
		{ "\"transport\":\"black\"", 0 },
		{ "\"account\":\"scans\"", 0 },
		{ "\"status\":\"deferred\"", 4 },
		{ "\"status\":\"held\"", 0 },
		{ "\"older\":\"30m\"", 4 },
		{ "\"older\":\"2h\"", 0 },
		{ "\"limit\":\"3\"", 3 },
	};
	const char *a;
	char *line;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		line = mem_printf("{\"command\":\"queue list\","
		    "\"selectors\":{%s}}", t[i].sel);
		a = ask(*state, line);
		if (count_text(a, "\"item\"") != t[i].n)
			fail_msg("%s: %s", line, a);
		ENDS(a, 0);
		free(line);
	}
	assert_int_equal(count_text(ask_id(*state, "queue list", 2),
	    "\"item\""), 1);
	assert_int_equal(count_text(ask_id(*state, "queue list", 99),
	    "\"item\""), 0);
}

static void
a_long_list_waits_for_a_slow_reader(void **state)
{
	struct world *w = world_new(2000);
	uint64_t end;
	int fd = world_connect(w);
	int i;

	(void)state;
	world_say(fd, "{\"command\":\"queue list\"}\n");
	end = world_limit();
	for (i = 0; i < 200; i++)
		world_turn(w, end);		/* it does not read at all */
	strbuf_clear(&w->answer);
	while (world_take(w, fd, 3000))
		loop_turn(w->loop, false);
	close(fd);
	strbuf_putc(&w->answer, '\0');
	assert_int_equal(count_text(w->answer.p, "{\"item\""), 2004);
	ENDS(w->answer.p, 0);
	world_teardown((void **)&w);
}

static void
show_gives_the_message_with_its_trace_in_front(void **state)
{
	struct world *w = *state;
	char *line;

	HAS(ask_id(w, "queue show", 1), "{\"item\":{\"id\":");
	line = mem_printf("{\"command\":\"queue show\",\"ids\":[\"%s\"],"
	    "\"content\":true}", id_name(1));
	HAS(ask(w, line), "Received: ");
	HAS(w->answer.p, "\r\nSubject: one\r\n\r\nbody one\r\n{\"end\"");
	free(line);
	line = mem_printf("{\"command\":\"queue show\",\"ids\":[\"%s\"],"
	    "\"headers\":true}", id_name(3));
	HAS(ask(w, line), "Subject: big\r\n{\"end\"");
	free(line);
	line = mem_printf("{\"command\":\"queue show\",\"ids\":[\"%s\"],"
	    "\"content\":true}", id_name(3));
	ENDS(ask(w, line), 0);
	assert_true(w->answer.n > 200000);
	free(line);
	ENDS(ask_id(w, "queue show", 99), 1);
	ENDS(ask(w, "{\"command\":\"queue show\"}"), 64);
	ENDS(ask(w, "{\"command\":\"queue show\",\"ids\":[\"??\"]}"), 1);
}

/* ---- actions ---- */

static void
hold_and_release(void **state)
{
	struct world *w = *state;

	ENDS(ask_id(w, "queue hold", 1), 0);
	HAS(ask_id(w, "queue list", 1), "\"status\":\"held\"");
	HAS(ask_id(w, "queue hold", 1), "\"result\":\"nothing\"");
	ENDS(ask_id(w, "queue retry", 1), 1);
	HAS(w->answer.p, "\"result\":\"declined\"");
	ENDS(ask_id(w, "queue release", 1), 0);
	HAS(ask(w, "{\"command\":\"queue list\",\"selectors\":"
	    "{\"status\":\"held\"}}"), "{\"end\":{\"status\":0");
	assert_int_equal(count_text(w->answer.p, "\"item\""), 0);
}

static void
retry_makes_an_attempt_at_once(void **state)
{
	struct world *w = *state;
	uint64_t end = world_limit();

	ENDS(ask_id(w, "queue retry", 1), 0);
	while (strstr(ask_id(w, "queue list", 1), "\"attempts\":2") == NULL)
		world_turn(w, end);
}

static void
remove_leaves_a_trace_in_the_history_alone(void **state)
{
	struct world *w = *state;

	ENDS(ask_id(w, "queue remove", 1), 0);
	HAS(w->answer.p, "\"text\":\"1 done\"");
	ENDS(ask_id(w, "queue show", 1), 1);
	HAS(ask(w, "{\"command\":\"history\"}"), "\"status\":\"removed\"");
	HAS(w->answer.p, id_name(1));
	HAS(ask(w, "{\"command\":\"history\",\"since\":\"1h\"}"), id_name(1));
	ENDS(ask_id(w, "queue remove", 1), 1);
	HAS(w->answer.p, "\"result\":\"unknown\"");
}

static void
bouncing_all_does_not_bounce_the_reports(void **state)
{
	struct world *w = *state;

	ENDS(ask(w, "{\"command\":\"queue bounce\",\"all\":true}"), 0);
	HAS(w->answer.p, "\"text\":\"4 done\"");
	ask(w, "{\"command\":\"queue list\",\"selectors\":"
	    "{\"from\":\"<>\"}}");
	assert_int_equal(count_text(w->answer.p, "{\"item\""), 4);
}

static void
move_pins_and_unpins(void **state)
{
	struct world *w = *state;
	char *line = mem_printf("{\"command\":\"queue move\",\"ids\":"
	    "[\"%s\"],\"transport\":\"auto\"}", id_name(1));
	uint64_t end = world_limit();

	ENDS(ask(w, "{\"command\":\"queue move\",\"all\":true}"), 64);
	ENDS(ask(w, "{\"command\":\"queue move\",\"all\":true,"
	    "\"transport\":\"nosuch\"}"), 1);
	ENDS(ask(w, "{\"command\":\"queue move\",\"transport\":\"later\","
	    "\"selectors\":{\"from\":\"a@example.net\"}}"), 0);
	HAS(ask_id(w, "queue list", 1), "\"transport\":\"later\","
	    "\"pinned\":true");
	ENDS(ask(w, line), 0);
	HAS(ask_id(w, "queue list", 1), "\"pinned\":false");
	free(line);
	ENDS(ask(w, "{\"command\":\"queue move\",\"transport\":\"black\","
	    "\"selectors\":{\"from\":\"a@example.net\"}}"), 0);
	while (strstr(ask(w, "{\"command\":\"history\"}"), id_name(1)) == NULL)
		world_turn(w, end);
	HAS(w->answer.p, "\"status\":\"delivered\"");
}

static void
an_action_says_when_nothing_matched(void **state)
{
	struct world *w = *state;

	ENDS(ask(w, "{\"command\":\"queue retry\",\"selectors\":"
	    "{\"to\":\"nobody@example.org\"}}"), 1);
	ENDS(ask(w, "{\"command\":\"queue retry\"}"), 64);
	ENDS(ask(w, "{\"command\":\"queue hold\",\"ids\":[\"nosuch\"]}"),
	    1);
	HAS(w->answer.p, "\"id\":\"nosuch\",\"result\":\"unknown\"");
	ENDS(ask(w, "{\"command\":\"transport pause\",\"name\":\"no\"}"),
	    1);
	ENDS(ask(w, "{\"command\":\"account resume\",\"name\":\"no\"}"), 1);
}

static void
pause_and_resume_say_what_they_did(void **state)
{
	static const char pause[] = "{\"command\":\"transport pause\","
	    "\"name\":\"later\"}";
	static const char resume[] = "{\"command\":\"transport resume\","
	    "\"name\":\"later\"}";
	struct world *w = *state;

	ENDS(ask(w, "{\"command\":\"transport pause\"}"), 64);
	HAS(w->answer.p, "which transport?");
	ENDS(ask(w, "{\"command\":\"account resume\",\"name\":\"\"}"),
	    64);
	ENDS(ask_as_other(w, pause), 77);
	ENDS(ask(w, pause), 0);
	HAS(w->answer.p, "transport later is paused: its mail waits until");
	ENDS(ask(w, pause), 0);
	HAS(w->answer.p, "transport later was paused already");
	HAS(ask(w, "{\"command\":\"status\"}"), "\"name\":\"later\","
	    "\"state\":\"paused\",\"why\":\"");
	ENDS(ask(w, resume), 0);
	HAS(w->answer.p, "transport later takes mail again");
	ENDS(ask(w, resume), 0);
	HAS(w->answer.p, "was neither paused nor parked nor unreachable");
	HAS(ask(w, "{\"command\":\"transport list\"}"),
	    "\"name\":\"later\",\"state\":\"ok\",\"why\":null");
}

static void
numbers_are_for_those_who_may_do_all(void **state)
{
	struct world *w = *state;

	ENDS(ask_as_other(w, "{\"command\":\"metrics\"}"), 77);
	ENDS(ask(w, "{\"command\":\"metrics\"}"), 0);
	HAS(w->answer.p, "smarthostd_queue_messages{status=\"queued\"} ");
	HAS(w->answer.p, "smarthostd_transport_up{transport=\"later\"} 1");
	HAS(w->answer.p, "smarthostd_commit_seconds_count ");
}

static void
an_action_on_many_goes_on_when_its_client_leaves(void **state)
{
	struct world *w = world_new(1000);
	uint64_t end = world_limit();
	int fd = world_connect(w);

	(void)state;
	world_say(fd, "{\"command\":\"queue hold\",\"all\":true}\n");
	world_turn(w, end);
	world_turn(w, end);
	close(fd);
	ENDS(ask(w, "{\"command\":\"queue hold\",\"all\":true}"), 0);
	HAS(ask(w, "{\"command\":\"status\"}"), "\"held\":1004");
	world_teardown((void **)&w);
}

/* ---- why ---- */

static void
why_finds_by_id_by_address_and_the_last(void **state)
{
	struct world *w = *state;
	char *line = mem_printf("{\"command\":\"why\",\"what\":\"%s\"}",
	    id_name(2));

	HAS(ask(w, line), "\"where\":\"queue\"");
	HAS(w->answer.p, "\"transport\":{\"name\":\"later\"");
	HAS(w->answer.p, id_name(2));
	HAS(ask(w, "{\"command\":\"why\",\"what\":\"last\"}"), id_name(4));
	HAS(ask(w, "{\"command\":\"why\",\"what\":\"B@example.net\"}"),
	    id_name(3));
	ENDS(ask(w, "{\"command\":\"why\",\"what\":\"z@example.net\"}"), 1);
	ENDS(ask(w, "{\"command\":\"why\",\"what\":\"nosuch\"}"), 1);
	ENDS(ask(w, "{\"command\":\"why\"}"), 64);
	ENDS(ask_id(w, "queue remove", 2), 0);
	HAS(ask(w, line), "\"where\":\"history\"");
	HAS(ask(w, "{\"command\":\"why\",\"what\":\"last\"}"), id_name(4));
	free(line);
}

/* ---- who may ---- */

static void
others_see_and_touch_their_own_messages(void **state)
{
	struct world *w = *state;
	char *line = mem_printf("{\"command\":\"queue hold\",\"ids\":"
	    "[\"%s\"]}", id_name(1));

	HAS(ask_as_other(w, "{\"command\":\"queue list\"}"), id_name(4));
	assert_int_equal(count_text(w->answer.p, "{\"item\""), 1);
	ENDS(ask_as_other(w, line), 77);
	ENDS(ask_as_other(w, "{\"command\":\"status\"}"), 77);
	ENDS(ask_as_other(w, "{\"command\":\"log\"}"), 77);
	ENDS(ask_as_other(w, "{\"command\":\"queue move\",\"all\":true,"
	    "\"transport\":\"black\"}"), 77);
	ENDS(ask_as_other(w, "{\"command\":\"queue hold\",\"all\":true}"),
	    0);
	HAS(ask(w, "{\"command\":\"status\"}"), "\"held\":1,");
	ENDS(ask_id(w, "queue remove", 1), 0);
	ENDS(ask_as_other(w, "{\"command\":\"queue remove\",\"all\":true}"),
	    0);
	HAS(ask_as_other(w, "{\"command\":\"history\"}"), id_name(4));
	assert_int_equal(count_text(w->answer.p, "{\"item\""), 1);
	HAS(ask_as_other(w, "{\"command\":\"why\",\"what\":\"last\"}"),
	    id_name(4));
	free(line);
}

/* ---- the log ---- */

static void
log_tells_events_as_they_happen(void **state)
{
	struct world *w = *state;
	uint64_t end = world_limit();
	int fd = world_connect(w);

	world_say(fd, "{\"command\":\"log\"}\n");
	world_turn(w, end);
	world_turn(w, end);
	(void)ask_id(w, "queue hold", 2);
	strbuf_clear(&w->answer);
	while (w->answer.n == 0 ||
	    memmem(w->answer.p, w->answer.n, "\"event\":\"hold\"", 14) ==
	    NULL) {
		assert_true(world_take(w, fd, 4096));
		world_turn(w, end);
	}
	assert_memory_equal(w->answer.p, "{\"item\":{", 9);
	close(fd);
	world_turn(w, end);
	world_turn(w, end);
	ENDS(ask_id(w, "queue release", 2), 0);
}

/* ---- garbage ---- */

static void
garbage_is_refused(void **state)
{
	static const char *const t[] = {
		"", "hello", "[]", "{}", "{\"command\":7}",
		"{\"command\":\"nosuch\"}", "{\"command\":\"status\"} x",
		"{\"command\":\"queue list\",\"colour\":\"red\"}",
		"{\"command\":\"queue list\",\"selectors\":{\"a\":\"b\"}}",
		"{\"command\":\"queue list\",\"selectors\":{\"older\":1}}",
		"{\"command\":\"queue list\",\"selectors\":\"older\"}",
		"{\"command\":\"queue list\",\"ids\":[1]}",
		"{\"command\":\"queue list\",\"ids\":{}}",
		"{\"command\":\"queue list\",\"all\":\"yes\"}",
		"{\"command\":\"history\",\"since\":\"soon\"}",
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ENDS(ask(*state, t[i]), 64);
	ENDS(ask(*state, "{\"command\":\"queue list\"}"), 0);
}

static void
a_line_without_end_is_cut_off(void **state)
{
	struct world *w = *state;
	char *flood = mem_alloc(65536);
	uint64_t end = world_limit();
	int fd = world_connect(w);
	ssize_t n;

	memset(flood, ' ', 65536);
	do {
		n = send(fd, flood, 65536, MSG_NOSIGNAL);
		world_turn(w, end);
	} while (n > 0 || (n < 0 && errno == EAGAIN &&
	    recv(fd, flood, 1, MSG_PEEK) < 0));
	free(flood);
	ENDS(world_hear(w, fd), 64);
	ENDS(ask(w, "{\"command\":\"queue list\"}"), 0);
}

static void
clients_that_leave_harm_nothing(void **state)
{
	struct world *w = *state;
	uint64_t end = world_limit();
	int fd;

	close(world_connect(w));
	fd = world_connect(w);
	world_say(fd, "{\"command\":\"queue li");
	world_turn(w, end);
	close(fd);
	world_turn(w, end);
	ENDS(ask(w, "{\"command\":\"queue list\"}"), 0);
}

int
main(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, \
    world_teardown)
	const struct CMUnitTest tests[] = {
		T(status_tells_counts_listeners_and_transports),
		T(list_gives_an_object_a_line_in_order_of_arrival),
		T(selectors_narrow_a_list),
		cmocka_unit_test(a_long_list_waits_for_a_slow_reader),
		T(show_gives_the_message_with_its_trace_in_front),
		T(hold_and_release),
		T(retry_makes_an_attempt_at_once),
		T(remove_leaves_a_trace_in_the_history_alone),
		T(bouncing_all_does_not_bounce_the_reports),
		T(move_pins_and_unpins),
		T(an_action_says_when_nothing_matched),
		T(pause_and_resume_say_what_they_did),
		T(numbers_are_for_those_who_may_do_all),
		cmocka_unit_test(
		    an_action_on_many_goes_on_when_its_client_leaves),
		T(why_finds_by_id_by_address_and_the_last),
		T(others_see_and_touch_their_own_messages),
		T(log_tells_events_as_they_happen),
		T(garbage_is_refused),
		T(a_line_without_end_is_cut_off),
		T(clients_that_leave_harm_nothing),
	};

	log_open("queue", null, LOG_STREAM, LOG_TEXT, LL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

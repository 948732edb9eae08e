/* The log: lines, quoting, sinks that take nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/log_value.h"

static char got[1 << 20];

/* What is there to be read, as a string. */
static const char *
read_all(int fd)
{
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	got[n] = '\0';
	return got;
}

static void
open_pipe(int fd[2], enum log_format format, enum log_level level)
{
	assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
	log_open("queue", fd[1], LOG_STREAM, format, level);
}

static void
close_pipe(int fd[2])
{
	log_open("test", STDERR_FILENO, LOG_STREAM, LOG_TEXT, LL_ERROR);
	close(fd[0]);
	close(fd[1]);
}

static void
text_value(const char *want, struct slice v)
{
	struct strbuf b = STRBUF_INIT;

	log_value_text(&b, v);
	assert_string_equal(strbuf_cstr(&b), want);
	strbuf_free(&b);
}

static void
json_value(const char *want, struct slice v)
{
	struct strbuf b = STRBUF_INIT;

	log_value_json(&b, v);
	assert_string_equal(strbuf_cstr(&b), want);
	strbuf_free(&b);
}

static void
values_are_quoted_where_they_must_be(void **state)
{
	(void)state;
	text_value("<a@b>", SLICE_LIT("<a@b>"));
	text_value("\"\"", SLICE_LIT(""));
	text_value("\"a b\"", SLICE_LIT("a b"));
	text_value("\"a\\\"b\\\\\"", SLICE_LIT("a\"b\\"));
	text_value("\"a\\x0ab\"", SLICE_LIT("a\nb"));
	text_value("\"\\x00\\x7f\\xff\"", SLICE_LIT("\0\x7f\xff"));
	text_value("gr\xc3\xbc\xc3\x9f", SLICE_LIT("gr\xc3\xbc\xc3\x9f"));
	text_value("\"\xc3\xbc x\"", SLICE_LIT("\xc3\xbc x"));
	/* Cut short, overlong, surrogate, C1 control, line separator. */
	text_value("\"\\xc3\"", SLICE_LIT("\xc3"));
	text_value("\"\\xc0\\x80\"", SLICE_LIT("\xc0\x80"));
	text_value("\"\\xed\\xa0\\x80\"", SLICE_LIT("\xed\xa0\x80"));
	text_value("\"\\xc2\\x9b\"", SLICE_LIT("\xc2\x9b"));
	text_value("\"\\xe2\\x80\\xa8\"", SLICE_LIT("\xe2\x80\xa8"));
	json_value("\"a\\\"\\\\\\u000a b\"", SLICE_LIT("a\"\\\n b"));
	json_value("\"\xf0\x9f\x93\xa8\"", SLICE_LIT("\xf0\x9f\x93\xa8"));
	json_value("\"\\ufffdx\"", SLICE_LIT("\xffx"));
}

static void
a_line_of_text_has_stable_keys(void **state)
{
	int fd[2];
	const char *s;

	(void)state;
	open_pipe(fd, LOG_TEXT, LL_INFO);
	log_begin(LL_INFO, "delivery");
	log_str("id", "0ABC");
	log_str("none", NULL);
	log_slice("to", SLICE_LIT("a b"));
	log_num("delay", -12);
	log_num("zero", 0);
	log_num("least", INT64_MIN);
	log_fmt("dsn", "%d.%d.%d", 2, 0, 0);
	log_end();
	assert_string_equal(read_all(fd[0]), "");
	log_flush();
	s = strchr(read_all(fd[0]), ' ');
	assert_non_null(s);
	assert_int_equal(s - got, 24);
	assert_int_equal(strncmp(s, " queue[", 7), 0);
	assert_string_equal(strchr(s, ']'), "] info delivery: id=0ABC "
	    "to=\"a b\" delay=-12 zero=0 least=-9223372036854775808 "
	    "dsn=2.0.0\n");
	close_pipe(fd);
}

static void
levels_above_the_set_one_are_left_out(void **state)
{
	int fd[2];

	(void)state;
	open_pipe(fd, LOG_TEXT, LL_WARN);
	assert_true(log_enabled(LL_ERROR));
	assert_false(log_enabled(LL_INFO));
	log_msg(LL_INFO, "quiet", "nothing");
	log_begin(LL_DEBUG, "quiet");
	log_str("a", "b");
	log_num("n", 1);
	log_fmt("f", "x");
	log_end();
	log_flush();
	assert_string_equal(read_all(fd[0]), "");
	/* Errors do not wait for the end of the turn. */
	log_msg(LL_ERROR, "loud", "%s now", "here");
	assert_non_null(strstr(read_all(fd[0]),
	    " error loud: text=\"here now\"\n"));
	close_pipe(fd);
}

static char tapped[4096];

static void
take(void *arg, struct slice json)
{
	(void)arg;
	memcpy(tapped, json.p, json.n);
	tapped[json.n] = '\0';
}

static void
json_lines_and_the_tap_are_the_same(void **state)
{
	int fd[2];
	char *nl;

	(void)state;
	open_pipe(fd, LOG_JSON, LL_INFO);
	log_tap(take, NULL);
	log_begin(LL_WARN, "closed");
	log_str("why", "a\"b");
	log_num("n", 7);
	log_end();
	log_flush();
	read_all(fd[0]);
	assert_non_null(strstr(got, "\"role\":\"queue\""));
	assert_non_null(strstr(got, "\"level\":\"warn\",\"event\":\"closed\","
	    "\"why\":\"a\\\"b\",\"n\":7}\n"));
	nl = strchr(got, '\n');
	*nl = '\0';
	assert_string_equal(tapped, got);
	close_pipe(fd);
	/* With text as the format the tap still gets JSON. */
	open_pipe(fd, LOG_TEXT, LL_INFO);
	log_msg(LL_INFO, "x", "y");
	assert_non_null(strstr(tapped, "\"event\":\"x\",\"text\":\"y\"}"));
	log_tap(NULL, NULL);
	close_pipe(fd);
}

static void
many_lines_leave_by_themselves(void **state)
{
	int fd[2];

	(void)state;
	open_pipe(fd, LOG_TEXT, LL_INFO);
	for (int i = 0; i < 600; i++)
		log_msg(LL_INFO, "event", "some text");
	assert_true(strlen(read_all(fd[0])) >= 30000);
	close_pipe(fd);
}

static void
a_sink_that_takes_nothing_blocks_nobody(void **state)
{
	int fd[2];
	char *big = malloc(4000);

	(void)state;
	memset(big, 'x', 3999);
	big[3999] = '\0';
	open_pipe(fd, LOG_TEXT, LL_INFO);
	for (int i = 0; i < 400; i++)
		log_msg(LL_INFO, "big", "%s", big);
	do {
		log_flush();
		read_all(fd[0]);
	} while (got[0] != '\0' && strstr(got, "log-lost") == NULL);
	assert_non_null(strstr(got, "log-lost: lines="));
	/* A reader that is gone costs the lines, not the process. */
	signal(SIGPIPE, SIG_IGN);
	close(fd[0]);
	log_msg(LL_ERROR, "gone", "x");
	fd[0] = dup(fd[1]);
	close_pipe(fd);
	free(big);
}

static void
long_values_are_cut(void **state)
{
	int fd[2];
	static char big[9000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	open_pipe(fd, LOG_TEXT, LL_INFO);
	log_begin(LL_INFO, "e");
	log_str("v", big);
	log_fmt("w", "%s", big);
	log_end();
	log_flush();
	assert_in_range(strlen(read_all(fd[0])), 8000, 8400);
	close_pipe(fd);
}

static void
syslog_gets_one_datagram_per_line(void **state)
{
	int fd[2];
	char line[512];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	log_open("listener", fd[1], LOG_SYSLOG, LOG_TEXT, LL_INFO);
	log_msg(LL_INFO, "one", "1");
	log_msg(LL_WARN, "two", "2");
	log_flush();
	n = recv(fd[0], line, sizeof(line) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	line[n] = '\0';
	assert_int_equal(strncmp(line, "<22>listener[", 13), 0);
	assert_non_null(strstr(line, "]: one: text=1"));
	n = recv(fd[0], line, sizeof(line) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	line[n] = '\0';
	assert_int_equal(strncmp(line, "<20>listener[", 13), 0);
	log_open("listener", fd[1], LOG_SYSLOG, LOG_JSON, LL_INFO);
	log_msg(LL_INFO, "three", "3");
	log_flush();
	n = recv(fd[0], line, sizeof(line) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	line[n] = '\0';
	assert_non_null(strstr(line, "]: {\"time\":"));
	close(fd[0]);
	log_msg(LL_INFO, "four", "4");
	log_open("test", STDERR_FILENO, LOG_STREAM, LOG_TEXT, LL_ERROR);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_quoted_where_they_must_be),
		cmocka_unit_test(a_line_of_text_has_stable_keys),
		cmocka_unit_test(levels_above_the_set_one_are_left_out),
		cmocka_unit_test(json_lines_and_the_tap_are_the_same),
		cmocka_unit_test(many_lines_leave_by_themselves),
		cmocka_unit_test(a_sink_that_takes_nothing_blocks_nobody),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(syslog_gets_one_datagram_per_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Fault points: what the environment asks for happens once, at its place. */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"

static char hit[] = "/tmp/test-fault.XXXXXX";

/* A process with this environment passes "a" so often; its wait status, its
 * exit status being the passages that failed with EIO. */
static int
passes(const char *spec, int times)
{
	int status, failed = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("SMARTHOSTD_FAULT", spec, 1);
		setenv("SMARTHOSTD_FAULT_HIT", hit, 1);
		fault_init();
		while (times-- > 0)
			if (FAULT("a") != 0 && errno == EIO)
				failed++;
		_exit(failed);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
assert_hit(const char *want)
{
	char text[64] = "";
	int fd = open(hit, O_RDONLY);

	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_string_equal(text, want);
}

static int
begin(void **state)
{
	(void)state;
	unsetenv("SMARTHOSTD_FAULT_ONCE");
	unsetenv("SMARTHOSTD_FAULT_LIST");
	return truncate(hit, 0);
}

static void
test_the_named_passage_fails(void **state)
{
	(void)state;
	assert_int_equal(passes("a:3=EIO", 2), 0);
	assert_hit("");
	assert_int_equal(WEXITSTATUS(passes("a:3=EIO", 9)), 1);
	assert_hit("a\n");
	assert_int_equal(WEXITSTATUS(passes("b=EIO,a=EIO", 9)), 1);
	assert_hit("a\na\n");
}

static void
test_a_death_is_noted_before_it_comes(void **state)
{
	int status = passes("a", 1);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_hit("a\n");
}

static void
test_once_is_once_for_all_processes(void **state)
{
	(void)state;
	setenv("SMARTHOSTD_FAULT_ONCE", "1", 1);
	assert_true(WIFSIGNALED(passes("a=kill", 1)));
	assert_int_equal(passes("a=kill", 9), 0);
	assert_hit("a\n");
}

static void
test_once_knows_whole_names(void **state)
{
	int fd = open(hit, O_WRONLY);

	(void)state;
	assert_true(fd >= 0 && write(fd, "b.a\na.b\n", 8) == 8);
	close(fd);
	setenv("SMARTHOSTD_FAULT_ONCE", "1", 1);
	assert_int_equal(WEXITSTATUS(passes("a=EIO", 9)), 1);
	assert_hit("b.a\na.b\na\n");
}

static void
test_a_list_harms_nobody(void **state)
{
	(void)state;
	setenv("SMARTHOSTD_FAULT_LIST", "1", 1);
	assert_int_equal(passes("", 5), 0);
	assert_hit("a\n");
}

static void
test_what_cannot_be_read_ends_the_process(void **state)
{
	(void)state;
	assert_int_equal(WEXITSTATUS(passes("a=EWHAT", 1)), 78);
	assert_int_equal(WEXITSTATUS(passes("a:0", 1)), 78);
	assert_int_equal(WEXITSTATUS(passes("=kill", 1)), 78);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_named_passage_fails, begin),
		cmocka_unit_test_setup(test_a_death_is_noted_before_it_comes,
		    begin),
		cmocka_unit_test_setup(test_once_is_once_for_all_processes,
		    begin),
		cmocka_unit_test_setup(test_once_knows_whole_names, begin),
		cmocka_unit_test_setup(test_a_list_harms_nobody, begin),
		cmocka_unit_test_setup(
		    test_what_cannot_be_read_ends_the_process, begin),
	};
	int failed, fd = mkstemp(hit);

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(hit);
	return failed;
}

/* Files, and the fault points of the crash tests. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fs.h"

static char dir[] = "/tmp/test_fs.XXXXXX";
static char path[128];

static const char *
in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL;
}

static int
remove_dir(void **state)
{
	char *argv[] = { "rm", "-rf", dir, NULL };
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

static void
files_are_read_whole_or_not(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct err e;
	char text[8];
	int fd = open(in_dir("f"), O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_int_equal(fs_write_all(fd, "hello", 5), 0);
	strbuf_puts(&b, ">");
	assert_int_equal(fs_read_file(path, 5, &b, &e), 0);
	assert_string_equal(strbuf_cstr(&b), ">hello");
	assert_int_equal(fs_read_file(path, 4, &b, &e), -1);
	assert_int_equal(e.code, EFBIG);
	assert_string_equal(strbuf_cstr(&b), ">hello");
	assert_int_equal(fs_read_file(in_dir("none"), 4, &b, &e), -1);
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(fs_read_file(dir, 4, &b, &e), -1);
	assert_int_equal(e.code, EISDIR);
	assert_int_equal(fs_pread_all(fd, text, 3, 1), 0);
	assert_memory_equal(text, "ell", 3);
	assert_int_equal(fs_pread_all(fd, text, 6, 0), -1);
	assert_int_equal(errno, EIO);
	close(fd);
	assert_int_equal(fs_pread_all(fd, text, 1, 0), -1);
	assert_int_equal(fs_write_all(fd, "x", 1), -1);
	assert_int_equal(errno, EBADF);
	strbuf_free(&b);
}

static void
directories_get_their_mode_when_made_here(void **state)
{
	struct err e;
	struct stat st;
	mode_t old = umask(077);

	(void)state;
	assert_int_equal(fs_make_dir(in_dir("d"), 01733, (uid_t)-1,
	    (gid_t)-1, &e), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01733);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(fs_make_dir(path, 0755, getuid(), (gid_t)-1, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fs_make_dir(in_dir("f"), 0755, (uid_t)-1, (gid_t)-1,
	    &e), -1);
	assert_int_equal(e.code, ENOTDIR);
	assert_int_equal(fs_make_dir(in_dir("no/no"), 0755, (uid_t)-1,
	    (gid_t)-1, &e), -1);
	assert_int_equal(e.code, ENOENT);
}

static void
descriptor_flags(void **state)
{
	int fd = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(fs_set_cloexec(fd, 1), 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fs_set_cloexec(fd, 0), 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(fs_set_nonblock(fd, 1), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	close(fd);
	assert_int_equal(fs_set_nonblock(fd, 1), -1);
}

static void
unarmed_points_cost_nothing(void **state)
{
	(void)state;
	unsetenv("SMARTHOSTD_FAULT");
	unsetenv("SMARTHOSTD_FAULT_LIST");
	fault_init();
	assert_false(fault_armed);
	assert_int_equal(FAULT("any"), 0);
}

/* Exit status of a child that passes points a, b, a, b, or 1000 + signal. */
static int
run_child(const char *fault, bool listing, const char *hits)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int first, second;

		if (fault != NULL)
			setenv("SMARTHOSTD_FAULT", fault, 1);
		if (listing)
			setenv("SMARTHOSTD_FAULT_LIST", "1", 1);
		setenv("SMARTHOSTD_FAULT_HIT", hits, 1);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(99);
		fault_init();
		first = FAULT("a");
		FAULT("b");
		second = FAULT("a");
		FAULT("b");
		_exit(first == EIO ? 1 : second == ENOSPC ? 2 : 0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) :
	    WEXITSTATUS(status);
}

static void
faults_hit_the_passage_that_is_named(void **state)
{
	struct strbuf b = STRBUF_INIT;
	char hits[128];

	(void)state;
	snprintf(hits, sizeof(hits), "%s", in_dir("hits"));
	assert_int_equal(run_child("a=EIO", false, hits), 1);
	assert_int_equal(run_child("x=EIO, a:2=ENOSPC", false, hits), 2);
	assert_int_equal(run_child("a:3=EIO", false, hits), 0);
	assert_int_equal(run_child("b:2", false, hits), 1000 + SIGKILL);
	assert_int_equal(run_child("b:2=kill", false, hits), 1000 + SIGKILL);
	assert_int_equal(fs_read_file(hits, 1000, &b, NULL), 0);
	assert_string_equal(strbuf_cstr(&b), "a\na\nb\nb\n");
	strbuf_clear(&b);
	unlink(hits);
	/* Listing notes each name once and lets nothing fail. */
	assert_int_equal(run_child("a=EIO", true, hits), 0);
	assert_int_equal(fs_read_file(hits, 1000, &b, NULL), 0);
	assert_string_equal(strbuf_cstr(&b), "a\nb\n");
	strbuf_free(&b);
}

static void
a_fault_that_cannot_be_read_is_not_ignored(void **state)
{
	(void)state;
	assert_int_equal(run_child("a=EFOO", false, "/dev/null"), 78);
	assert_int_equal(run_child("a:0", false, "/dev/null"), 78);
	assert_int_equal(run_child("a:x=EIO", false, "/dev/null"), 78);
	assert_int_equal(run_child("=EIO", false, "/dev/null"), 78);
	assert_int_equal(run_child("a=EIO", false, "/none/none"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read_whole_or_not),
		cmocka_unit_test(directories_get_their_mode_when_made_here),
		cmocka_unit_test(descriptor_flags),
		cmocka_unit_test(unarmed_points_cost_nothing),
		cmocka_unit_test(faults_hit_the_passage_that_is_named),
		cmocka_unit_test(a_fault_that_cannot_be_read_is_not_ignored),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

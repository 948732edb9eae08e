/* Opening: what is refused, with which text, and what is mended. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/db.h"

static char *
data_path(const struct fixture *f)
{
	return mem_printf("%s/queue/data.mdb", f->dir);
}

static void
expect_refused(struct fixture *f, bool read_only, int code, const char *text)
{
	struct err e = { 0 };

	store_close(&f->s);
	f->s = fixture_try_open(f, read_only, 0, &e);
	assert_null(f->s);
	if (strstr(e.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, text);
	assert_int_equal(e.code, code);
}

static void
keep_one(struct fixture *f)
{
	put_message(f, ID(1), SLICE_LIT("kept"));
}

static void
test_a_newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;

	keep_one(f);
	raw_put(f, "meta", SLICE_LIT("schema"), SLICE_LIT("\0\0\0\2"));
	expect_refused(f, false, ENOTSUP, "newer version (schema 2");
	expect_refused(f, true, ENOTSUP, "newer version (schema 2");
	raw_put(f, "meta", SLICE_LIT("schema"), SLICE_LIT("\0\0\0\1"));
	fixture_open(f, false);
	expect_message(f, ID(1), SLICE_LIT("kept"));
}

static void
test_a_truncated_file_is_refused_before_it_is_mapped(void **state)
{
	struct fixture *f = *state;
	char *path = data_path(f);
	struct stat st;

	keep_one(f);
	store_close(&f->s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, 1 << 20), 0);
	expect_refused(f, false, EILSEQ, "is truncated: 1048576 octets");
	expect_refused(f, true, EILSEQ, "truncated");
	assert_int_equal(truncate(path, 4100), 0);
	expect_refused(f, false, EILSEQ, "damaged or not a queue");
	free(path);
}

static void
test_something_else_is_not_taken_for_a_queue(void **state)
{
	struct fixture *f = *state;
	char *path = data_path(f);
	char junk[20000];
	int fd;

	store_close(&f->s);
	memset(junk, 'j', sizeof(junk));
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(fs_write_all(fd, junk, sizeof(junk)), 0);
	close(fd);
	expect_refused(f, false, EILSEQ, "damaged or not a queue");
	free(path);
}

static void
test_a_database_without_schema_is_not_taken_for_a_queue(void **state)
{
	struct fixture *f = *state;

	raw_del(f, "meta", SLICE_LIT("schema"));
	expect_refused(f, false, EILSEQ, "no schema number");
}

static void
test_an_empty_or_missing_file_is_made_anew(void **state)
{
	struct fixture *f = *state;
	char *path = data_path(f);
	struct stat st;

	store_close(&f->s);
	assert_int_equal(truncate(path, 0), 0);
	fixture_open(f, false);
	keep_one(f);
	store_close(&f->s);
	assert_int_equal(unlink(path), 0);
	fixture_open(f, false);
	assert_int_equal(store_total(f->s), 0);
	/* The room of 64 MiB is there, and really written. */
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks * 512 > 60 << 20);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(path);
}

static void
test_a_creation_that_was_cut_short_is_begun_again(void **state)
{
	struct fixture *f = *state;
	char *path = data_path(f), *new = mem_printf("%s/queue/new", f->dir);
	char *half = mem_printf("%s/data.mdb", new);
	int fd;

	store_close(&f->s);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(new, 0700), 0);
	fd = open(half, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fs_write_all(fd, "half", 4), 0);
	close(fd);
	fixture_open(f, false);
	keep_one(f);
	assert_int_equal(access(new, F_OK), -1);
	free(half);
	free(new);
	free(path);
}

static void
test_a_missing_spool_is_told(void **state)
{
	struct fixture *f = *state;
	struct fixture other = *f;
	struct err e = { 0 };

	snprintf(other.dir, sizeof(other.dir), "/nonexistent/spool");
	assert_null(fixture_try_open(&other, false, 0, &e));
	assert_int_equal(e.code, ENOENT);
	assert_non_null(strstr(e.text, "spool directory /nonexistent/spool"));
}

/* Runs fn in a process of its own; its result is the exit status. */
static int
in_child(int (*fn)(struct fixture *f), struct fixture *f)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(fn(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
open_second(struct fixture *f)
{
	char pid[32];
	struct err e = { 0 };

	if (fixture_try_open(f, false, 0, &e) != NULL)
		return 1;
	snprintf(pid, sizeof(pid), "(pid %ld)", (long)getppid());
	return e.code == EBUSY && strstr(e.text, pid) != NULL ? 0 : 2;
}

static void
test_a_second_daemon_is_kept_out(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in_child(open_second, f), 0);
	keep_one(f);
}

static int
open_as_nobody(struct fixture *f)
{
	struct err e = { 0 };

	if (setuid(65534) < 0)
		return 3;
	if (fixture_try_open(f, false, 0, &e) != NULL || e.code != EACCES)
		return 1;
	if (fixture_try_open(f, true, 0, &e) != NULL || e.code != EACCES)
		return 2;
	return strstr(e.text, "run as") != NULL ? 0 : 4;
}

/* Needs root to become somebody else; the owner may do anything here. */
static void
test_a_stranger_gets_a_clear_answer(void **state)
{
	struct fixture *f = *state;

	store_close(&f->s);
	if (getuid() == 0)
		assert_int_equal(in_child(open_as_nobody, f), 0);
	fixture_open(f, true);
}

static int
read_beside(struct fixture *f)
{
	struct record *r = NULL;
	struct err e = { 0 };
	struct store *s;

	s = fixture_try_open(f, true, 0, &e);
	if (s == NULL)
		return 1;
	if (store_total(s) != 1 || store_get(s, ID(1), &r, &e) < 0)
		return 2;
	record_free(&r);
	if (store_verify(s, NULL, NULL) != 0)
		return 3;
	store_close(&s);
	return 0;
}

static void
test_a_reader_may_look_on_while_the_daemon_works(void **state)
{
	struct fixture *f = *state;

	keep_one(f);
	assert_int_equal(in_child(read_beside, f), 0);
	expect_message(f, ID(1), SLICE_LIT("kept"));
}

static void
test_a_reader_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_change *c;
	struct err e;

	keep_one(f);
	store_close(&f->s);
	fixture_open(f, true);
	expect_message(f, ID(1), SLICE_LIT("kept"));
	c = store_change_new(f->s);
	add_message(c, ID(2), SLICE_LIT("no"));
	assert_int_equal(commit(f, &c), EROFS);
	assert_int_equal(store_body_file(f->s, &e), -1);
	assert_int_equal(e.code, EROFS);
	assert_false(store_sweep(f->s, UINT64_MAX));
	expect_clean(f);
	store_close(&f->s);
	fixture_open(f, false);
	assert_int_equal(store_total(f->s), 1);
}

static void
test_a_reader_does_not_make_a_queue(void **state)
{
	struct fixture *f = *state;
	char *path = data_path(f);

	store_close(&f->s);
	assert_int_equal(unlink(path), 0);
	expect_refused(f, true, ENOENT, "no queue");
	assert_int_equal(access(path, F_OK), -1);
	free(path);
}

/* The sanitizers' own maps are over any limit. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

static int
open_in_little_memory(struct fixture *f)
{
	struct rlimit rl = { 1u << 30, 1u << 30 };
	struct store_change *c;
	struct result r = { 0 };
	struct err e;

	if (setrlimit(RLIMIT_AS, &rl) < 0)
		return 3;
	f->s = fixture_try_open(f, false, 0, &e);
	if (f->s == NULL)
		return 1;
	c = store_change_new(f->s);
	add_message(c, ID(1), SLICE_LIT("kept"));
	store_commit(f->s, &c, false, note_result, &r);
	store_close(&f->s);
	return r.done && r.code == 0 ? 0 : 2;
}

static void
test_a_limit_on_address_space_is_respected(void **state)
{
	struct fixture *f = *state;

	store_close(&f->s);
#ifdef SANITIZED
	(void)open_in_little_memory;
#else
	assert_int_equal(in_child(open_in_little_memory, f), 0);
	fixture_open(f, false);
	expect_message(f, ID(1), SLICE_LIT("kept"));
#endif
}

/* A commit may use fewer pages than it took at the end of the file; the
 * check must not take that for a truncated file. */
static void
test_the_file_always_covers_its_pages(void **state)
{
	struct fixture *f = *state;
	char *path = data_path(f);
	struct err e = { 0 };
	unsigned i, n;

	for (i = 0; i < 8; i++) {
		struct store_change *c = store_change_new(f->s);

		for (n = 0; n < 100; n++)
			add_message(c, ID(1000 * i + n),
			    make_body(STORE_INLINE_MAX, i));
		assert_int_equal(commit(f, &c), 0);
		if (db_check_file(path, &e) < 0)
			fail_msg("%s", e.text);
	}
	fixture_reopen(f);
	assert_int_equal(store_total(f->s), 800);
	free(path);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_newer_schema_is_refused),
		TEST(test_a_truncated_file_is_refused_before_it_is_mapped),
		TEST(test_something_else_is_not_taken_for_a_queue),
		TEST(test_a_database_without_schema_is_not_taken_for_a_queue),
		TEST(test_an_empty_or_missing_file_is_made_anew),
		TEST(test_a_creation_that_was_cut_short_is_begun_again),
		TEST(test_a_missing_spool_is_told),
		TEST(test_a_second_daemon_is_kept_out),
		TEST(test_a_stranger_gets_a_clear_answer),
		TEST(test_a_reader_may_look_on_while_the_daemon_works),
		TEST(test_a_reader_changes_nothing),
		TEST(test_a_reader_does_not_make_a_queue),
		TEST(test_a_limit_on_address_space_is_respected),
		TEST(test_the_file_always_covers_its_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

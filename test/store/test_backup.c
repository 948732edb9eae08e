/* A backup is the whole queue, and says what is missing in it. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/backup.h"

static void
count_missing(void *arg, const char *text)
{
	assert_non_null(strstr(text, "its body is gone"));
	++*(unsigned *)arg;
}

static int
backup(struct fixture *f, unsigned *missing)
{
	char *path = mem_printf("%s/backup.tar", f->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err e = { 0, "" };
	int rc;

	assert_true(fd >= 0);
	*missing = 0;
	rc = store_backup(f->s, fd, count_missing, missing, &e);
	close(fd);
	free(path);
	return rc;
}

static void
an_unpacked_backup_is_that_queue(void **state)
{
	struct fixture *f = *state, copy = { .s = NULL };
	struct store_change *c = store_change_new(f->s);
	struct slice body = make_body(300000, 3);
	char *big = mem_dup(body.p, body.n), *line;
	unsigned missing;

	add_message(c, ID(1), make_body(100, 1));
	add_message(c, ID(2), make_body(100000, 2));
	add_file_message(f, c, ID(3), slice_of(big, 300000));
	add_file_message(f, c, ID(4), slice_of(big, 200000));
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(backup(f, &missing), 0);
	assert_int_equal(missing, 0);
	snprintf(copy.dir, sizeof(copy.dir), "%.50s/copy", f->dir);
	line = mem_printf("mkdir %s && tar -xf %s/backup.tar -C %s",
	    copy.dir, f->dir, copy.dir);
	assert_int_equal(system(line), 0);
	free(line);
	fixture_open(&copy, true);
	expect_message(&copy, ID(1), make_body(100, 1));
	expect_message(&copy, ID(2), make_body(100000, 2));
	expect_message(&copy, ID(3), slice_of(big, 300000));
	expect_message(&copy, ID(4), slice_of(big, 200000));
	assert_int_equal(store_total(copy.s), 4);
	expect_clean(&copy);
	store_close(&copy.s);
	free(big);
}

static void
a_body_that_went_away_is_told(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);
	char *line = mem_printf("find %s/[0-9a-f][0-9a-f] -type f "
	    "-delete", f->dir);
	unsigned missing;

	add_file_message(f, c, ID(3), make_body(200000, 3));
	assert_int_equal(commit(f, &c), 0);
	assert_int_equal(system(line), 0);
	assert_int_equal(backup(f, &missing), 0);
	assert_int_equal(missing, 1);
	free(line);
}

static void
a_full_disk_is_an_error(void **state)
{
	struct fixture *f = *state;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct err e = { 0, "" };
	unsigned missing = 0;

	assert_int_equal(store_backup(f->s, fd, count_missing, &missing, &e),
	    -1);
	assert_int_not_equal(e.text[0], '\0');
	close(fd);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, \
    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(an_unpacked_backup_is_that_queue),
		T(a_body_that_went_away_is_told),
		T(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

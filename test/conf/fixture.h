/* Configurations out of memory, for the tests of this room. */
#ifndef TEST_CONF_FIXTURE_H
#define TEST_CONF_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/load.h"
#include "conf/tree.h"

struct memory_file {
	const char *path;
	const char *text;
};

/* A reader of the files up to one without a path. */
struct conf_reader memory_reader(const struct memory_file *files);

/* Loads "t.conf" with the text; NULL where there is an error. */
struct conf *load_text(const char *text, struct conf_tree **tree,
    struct conf_messages *m);
/* The same, where an error fails the test. */
struct conf *load_good(const char *text);
/* What one role sees of it. */
struct conf *load_view(const char *text, enum conf_role role);
/* The errors that the text gives, exactly; one a line. */
void expect_errors(const char *text, const char *errors);
/* One error, in line 1, that holds the words. */
void expect_error(const char *text, const char *words);
/* No error, and a warning that holds the words. */
void expect_warning(const char *text, const char *words);

/* Real files under a directory of the test's own, removed at the end. */
const char *temp_dir(void);
char *temp_file(const char *name, const char *text, unsigned mode);
void temp_remove(void);

#endif

/* The command line of an mda: what is wrong with it, what it becomes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/strbuf.h"
#include "conf/command_line.h"
#include "conf/mda_line.h"

static struct err e;

static bool
all(const char *line)
{
	bool yes;

	assert_int_equal(mda_line_check(line, &yes, &e), 0);
	return yes;
}

static const char *
mistake(const char *line)
{
	bool yes;

	assert_int_equal(mda_line_check(line, &yes, &e), -1);
	return e.text;
}

/* The arguments, each in <>; "" with e. */
static const char *
filled(const char *line, const char *user, const char *sender)
{
	static struct strbuf text;
	static const char *const users[] = { "anna", "bert" };
	struct mda_values v = { .user = user, .domain = "here.test",
	    .recipient = "anna@here.test", .sender = sender, .users = users,
	    .n_users = 2 };
	char **argv;
	size_t i;

	e.code = 0;
	argv = mda_line_fill(line, &v, &e);
	strbuf_clear(&text);
	for (i = 0; argv != NULL && argv[i] != NULL; i++)
		strbuf_printf(&text, "<%s>", argv[i]);
	conf_command_free(&argv);
	return strbuf_cstr(&text);
}

static void
lines_are_checked(void **state)
{
	(void)state;
	assert_false(all("prog"));
	assert_false(all("prog -f %f -d '%u' %d %r 100%%"));
	assert_true(all("prog %T"));
	assert_true(all("prog -f %f %T x"));
	assert_non_null(strstr(mistake("prog %"), "after %"));
	assert_non_null(strstr(mistake("prog a%"), "after %"));
	assert_non_null(strstr(mistake("prog %U"), "after %"));
	assert_non_null(strstr(mistake("prog -d%T"), "a word of its own"));
	assert_non_null(strstr(mistake("prog %T %d"), "do not go together"));
	assert_non_null(strstr(mistake("%u x"), "has a % in its name"));
	assert_non_null(strstr(mistake("prog 'x"), "quote"));
	mistake("");
}

static void
values_stay_in_their_words(void **state)
{
	(void)state;
	assert_string_equal(filled("p -f %f -d%u \"a %d\" %r %%u", "anna",
	    "a 'b@x"), "<p><-f><a 'b@x><-danna><a here.test>"
	    "<anna@here.test><%u>");
	assert_string_equal(filled("p %f %u", "$(id);x", ""),
	    "<p><><$(id);x>");
	assert_string_equal(filled("p %u", "%d%r", "x"), "<p><%d%r>");
	assert_string_equal(filled("p -- %T", "", "x"),
	    "<p><--><anna><bert>");
}

static void
no_address_becomes_an_option(void **state)
{
	(void)state;
	assert_string_equal(filled("p %f", "anna", "-x@y"), "");
	assert_int_equal(e.code, EPERM);
	assert_string_equal(filled("p %u", "-froot", "x"), "");
	assert_string_equal(filled("p -f%f", "anna", "-x@y"), "<p><-f-x@y>");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_checked),
		cmocka_unit_test(values_stay_in_their_words),
		cmocka_unit_test(no_address_becomes_an_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

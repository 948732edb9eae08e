/* Command lines are split into arguments, and nothing in them is more. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "conf/command_line.h"

/* The arguments with "|" between them, or the error in "()". */
static const char *
words(const char *line)
{
	static struct strbuf out;
	struct err e = { 0 };
	char **argv = conf_command_split(line, &e);
	size_t i;

	strbuf_clear(&out);
	if (argv == NULL)
		strbuf_printf(&out, "(%s)", e.text);
	for (i = 0; argv != NULL && argv[i] != NULL; i++)
		strbuf_printf(&out, "%s%s", i > 0 ? "|" : "", argv[i]);
	conf_command_free(&argv);
	return strbuf_cstr(&out);
}

static void
a_line_is_split_at_blanks(void **state)
{
	(void)state;
	assert_string_equal(words("/bin/x"), "/bin/x");
	assert_string_equal(words("  /bin/x  a\tb  "), "/bin/x|a|b");
}

static void
quotes_and_backslashes_hold_together(void **state)
{
	(void)state;
	assert_string_equal(words("x 'a b' \"c d\" e\\ f"), "x|a b|c d|e f");
	assert_string_equal(words("x a'b'\"c\"d"), "x|abcd");
	assert_string_equal(words("x '' \"\""), "x||");
	assert_string_equal(words("x 'a\\b' \"a\\\"b\" a\\'b"),
	    "x|a\\b|a\"b|a'b");
}

static void
nothing_is_expanded(void **state)
{
	(void)state;
	assert_string_equal(words("x $HOME * ~ `y` | z; >f &"),
	    "x|$HOME|*|~|`y`|||z;|>f|&");
}

static void
what_cannot_be_split_is_told(void **state)
{
	struct strbuf many = STRBUF_INIT;
	int i;

	(void)state;
	assert_string_equal(words(""), "(the command is empty)");
	assert_string_equal(words("  "), "(the command is empty)");
	assert_string_equal(words("x 'a"), "(the command has an open quote)");
	assert_string_equal(words("x \"a"),
	    "(the command has an open quote)");
	for (i = 0; i <= CONF_COMMAND_WORDS; i++)
		strbuf_puts(&many, "x ");
	assert_string_equal(words(strbuf_cstr(&many)),
	    "(the command has too many words)");
	strbuf_free(&many);
}

static void
a_program_is_found_or_it_is_told(void **state)
{
	struct err e = { 0 };
	char *path;

	(void)state;
	path = conf_command_find("sh", &e);
	assert_non_null(strstr(path, "/bin/sh"));
	free(path);
	path = conf_command_find("/bin/sh", &e);
	assert_string_equal(path, "/bin/sh");
	free(path);
	assert_null(conf_command_find("no-such-program", &e));
	assert_non_null(strstr(e.text, "there is no program no-such-program"));
	assert_null(conf_command_find("/etc/passwd", &e));
	assert_non_null(strstr(e.text, "/etc/passwd is no program"));
	assert_null(conf_command_find("./sh", &e));
	assert_null(conf_command_find("/bin", &e));
}

static void
commands_of_secrets_are_checked(void **state)
{
	struct conf *c;

	(void)state;
	expect_error("login l { password command \"x 'y\" }\n",
	    "password command: the command has an open quote");
	expect_error("login l { password command x as root }\n",
	    "too many arguments");
	expect_error("transport t { submission h; username u; "
	    "password command x as no-such-user }\n",
	    "password command: there is no user `no-such-user`");
	expect_error("transport t { submission h; username u; "
	    "password command x of root }\n", "password is written");
	c = load_good("transport t { submission h; username u; "
	    "password command \"pass 'a b'\" as root }\n");
	assert_int_equal(c->transports[0].password.kind, SECRET_COMMAND);
	assert_string_equal(c->transports[0].password.text, "pass 'a b'");
	assert_string_equal(c->transports[0].password.as_user, "root");
	conf_free(&c);
	c = load_view("login l { password command \"x y\" }\n", CONF_AUTH);
	assert_int_equal(c->logins[0].password.kind, SECRET_COMMAND);
	conf_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_split_at_blanks),
		cmocka_unit_test(quotes_and_backslashes_hold_together),
		cmocka_unit_test(nothing_is_expanded),
		cmocka_unit_test(what_cannot_be_split_is_told),
		cmocka_unit_test(a_program_is_found_or_it_is_told),
		cmocka_unit_test(commands_of_secrets_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

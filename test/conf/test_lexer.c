/* How a configuration is written: words, quotes, comments, joined lines,
 * blocks, the environment, includes. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Statements as one line: words in <>, quoted ones in "", blocks in {}. */
static void
show(const struct conf_stmt *s, struct strbuf *out)
{
	size_t i, j;

	for (i = 0; i < s->n_kids; i++) {
		for (j = 0; j < s->kids[i].n; j++)
			strbuf_printf(out, s->kids[i].w[j].quoted ?
			    "\"%s\"" : "<%s>", s->kids[i].w[j].s);
		if (s->kids[i].block) {
			strbuf_putc(out, '{');
			show(&s->kids[i], out);
			strbuf_putc(out, '}');
		}
		strbuf_printf(out, "%u;", s->kids[i].line);
	}
}

static char *
statements(const char *text, size_t n, char **errors)
{
	struct conf_tree *tree = conf_tree_new();
	struct conf_notes notes = { 0 };
	struct conf_messages m = { .n_errors = 0 };
	struct strbuf out = STRBUF_INIT;

	conf_parse_text(tree, "t", text, n, &notes);
	show(&tree->root, &out);
	conf_notes_render(&notes, tree->files, tree->n_files, &m);
	*errors = strbuf_take(&m.errors);
	conf_messages_free(&m);
	conf_notes_free(&notes);
	conf_tree_free(&tree);
	return strbuf_take(&out);
}

static void
reads_as(const char *text, const char *want)
{
	char *errors, *got = statements(text, strlen(text), &errors);

	if (strcmp(got, want) != 0 || errors[0] != '\0')
		fail_msg("%s\nreads as %s, not %s\n%s", text, got, want,
		    errors);
	free(got);
	free(errors);
}

static void
is_wrong(const char *text, const char *want)
{
	char *errors, *got = statements(text, strlen(text), &errors);

	if (strcmp(errors, want) != 0)
		fail_msg("%s\ngives\n%s\nnot\n%s", text, errors, want);
	free(got);
	free(errors);
}

static void
statements_end_with_lines(void **state)
{
	(void)state;
	reads_as("", "");
	reads_as("\n \t\n", "");
	reads_as("a b\nc\n", "<a><b>1;<c>2;");
	reads_as("a b", "<a><b>1;");
	reads_as("a b\r\nc\r\n", "<a><b>1;<c>2;");
	reads_as("\xef\xbb\xbf" "a\n", "<a>1;");
	reads_as("a; b;; c\n", "<a>1;<b>1;<c>1;");
	reads_as("route from <> to b\xc3\xbc.de\n",
	    "<route><from><<>><to><b\xc3\xbc.de>1;");
}

static void
comments_begin_with_a_word(void **state)
{
	(void)state;
	reads_as("# all of it { \" \\\na # b\n", "<a>2;");
	reads_as("a b#c #d\n", "<a><b#c>1;");
	reads_as("a {# x }\nb\n}\n", "<a>{<b>2;}1;");
	reads_as("a \"# b\"\n", "<a>\"# b\"1;");
}

static void
backslashes_join_lines(void **state)
{
	(void)state;
	reads_as("a \\\n  b\nc\n", "<a><b>1;<c>3;");
	reads_as("a \\\r\nb\n", "<a><b>1;");
	reads_as("a \\  \nb\n", "<a><b>1;");
	reads_as("a b\\\nc\n", "<a><bc>1;");
	reads_as("a \"b \\\nc\"\n", "<a>\"b c\"1;");
	reads_as("a DOMAIN\\user\n", "<a><DOMAIN\\user>1;");
	reads_as("a \\b\n", "<a><\\b>1;");
}

static void
quotes_hold_anything(void **state)
{
	(void)state;
	reads_as("a \"b c\" \"\"\n", "<a>\"b c\"\"\"1;");
	reads_as("a \"{};#\"\n", "<a>\"{};#\"1;");
	reads_as("a \"b\\\"c\\\\d\\e\"\n", "<a>\"b\"c\\d\\e\"1;");
	reads_as("a \"b\"{ }\n", "<a>\"b\"{}1;");
	is_wrong("a \"b\nc\n",
	    "t:1: a quote is not closed in this line\n");
	is_wrong("a \"b\n\"\n",
	    "t:1: a quote is not closed in this line\n"
	    "t:2: a quote is not closed in this line\n");
	is_wrong("a b\"c\n", "t:1: a quote inside of a word: put the whole "
	    "word into quotes, with \\\" for this one\n");
	is_wrong("a \"b\"c\n",
	    "t:1: a blank is missing behind a closing quote\n");
}

static void
blocks_nest_on_one_line_or_many(void **state)
{
	(void)state;
	reads_as("a {\n b\n c\n}\nd\n", "<a>{<b>2;<c>3;}1;<d>5;");
	reads_as("a x { b; c }\nd\n", "<a><x>{<b>1;<c>1;}1;<d>2;");
	reads_as("a { b { c }; d }\n", "<a>{<b>{<c>1;}1;<d>1;}1;");
	reads_as("a { b { c } }\n", "<a>{<b>{<c>1;}1;}1;");
	reads_as("a x{b}\n", "<a><x>{<b>1;}1;");
	reads_as("a { }\nb {}\nc {\n}\n", "<a>{}1;<b>{}2;<c>{}3;");
	reads_as("a { b\n c }\n", "<a>{<b>1;<c>2;}1;");
}

static void
blocks_that_do_not_fit_are_told(void **state)
{
	(void)state;
	is_wrong("a {\nb\n",
	    "t:1: this block is not closed: its `}` is missing\n");
	is_wrong("a {\nb {\n}\n",
	    "t:1: this block is not closed: its `}` is missing\n");
	is_wrong("a\n}\nb\n",
	    "t:2: `}` without a block that it could close\n");
	is_wrong("a\n{\nb\n}\n",
	    "t:2: `{` belongs at the end of its statement's line\n");
	is_wrong("a { b } c\n",
	    "t:1: `;` or a new line is missing behind `}`\n");
}

static void
deep_blocks_end_somewhere(void **state)
{
	struct strbuf text = STRBUF_INIT;
	char *errors, *got;
	unsigned i;

	(void)state;
	for (i = 0; i < 100000; i++)
		strbuf_puts(&text, "a{");
	got = statements(strbuf_cstr(&text), text.n, &errors);
	assert_non_null(strstr(errors, "blocks in each other"));
	free(got);
	free(errors);
	strbuf_free(&text);
}

static void
the_environment_is_expanded(void **state)
{
	(void)state;
	setenv("T_HOST", "relay.test", 1);
	setenv("T_EMPTY", "", 1);
	setenv("T_ODD", "a {b} \"c\" ${T_HOST}", 1);
	setenv("T_LINES", "a\nb", 1);
	unsetenv("T_NONE");
	reads_as("a ${T_HOST}\n", "<a><relay.test>1;");
	reads_as("a x${T_HOST}:${T_NONE:-26}y\n", "<a><xrelay.test:26y>1;");
	reads_as("a \"${T_HOST} x\"\n", "<a>\"relay.test x\"1;");
	reads_as("a ${T_NONE:-}b ${T_EMPTY:-c}\n", "<a><b><c>1;");
	reads_as("a ${T_EMPTY}b ${T_HOST:-c}\n", "<a><b><relay.test>1;");
	reads_as("a ${T_NONE:-b c}\n", "<a><b c>1;");
	/* What a variable holds is a word, never more. */
	reads_as("a ${T_ODD}\n", "<a><a {b} \"c\" ${T_HOST}>1;");
	reads_as("a $T_HOST $ {\n}\n", "<a><$T_HOST><$>{}1;");
	reads_as("a \"\\${T_HOST}\"\n", "<a>\"${T_HOST}\"1;");
	is_wrong("a ${T_NONE}\n", "t:1: the environment variable T_NONE is "
	    "not set; ${T_NONE:-default} gives a default\n");
	is_wrong("a ${T_LINES}\n", "t:1: the environment variable T_LINES is "
	    "not UTF-8 text of one line\n");
	is_wrong("a ${T_HOST\nb\n", "t:1: `${` without `}`\n");
	is_wrong("a ${} ${1} ${T-x}\n",
	    "t:1: an environment variable is written ${NAME} or "
	    "${NAME:-default}\n"
	    "t:1: an environment variable is written ${NAME} or "
	    "${NAME:-default}\n"
	    "t:1: an environment variable is written ${NAME} or "
	    "${NAME:-default}\n");
}

static void
what_is_not_text_is_told(void **state)
{
	char *errors, *got;

	(void)state;
	is_wrong("a\nb \xff\nc\n", "t:2: this line is not UTF-8\n");
	is_wrong("a \x01\n", "t:1: a control character in this line\n");
	is_wrong("a\rb\n", "t:1: a control character in this line\n");
	got = statements("a\0b\n", 4, &errors);
	assert_string_equal(errors,
	    "t:1: a control character in this line\n");
	free(got);
	free(errors);
}

/* ---- includes ---- */

static char *
load_errors(const struct memory_file *files)
{
	struct conf_messages m = { .n_errors = 0 };
	struct conf_reader reader = memory_reader(files);
	struct conf *conf = conf_load("etc/t.conf", &reader, false, NULL, &m);
	char *errors = strbuf_take(&m.errors);

	conf_free(&conf);
	conf_messages_free(&m);
	return errors;
}

static void
includes_are_relative_and_named(void **state)
{
	const struct memory_file files[] = {
		{ "etc/t.conf", "include sub/a.conf\nroute via x\n" },
		{ "etc/sub/a.conf", "include b.conf\n\nexpyre 4d\n" },
		{ "etc/sub/b.conf", "transport x { discard }\n}\n" },
		{ NULL, NULL }
	};
	char *errors = load_errors(files);

	(void)state;
	assert_string_equal(errors,
	    "etc/sub/a.conf:3: unknown statement `expyre`, did you mean "
	    "`expire`?\n"
	    "etc/sub/b.conf:2: `}` without a block that it could close\n");
	free(errors);
}

static void
includes_stand_in_blocks_too(void **state)
{
	const struct memory_file files[] = {
		{ "etc/t.conf", "transport x {\ninclude x.part\n}\n"
		    "route via x\n" },
		{ "etc/x.part", "discard\n" },
		{ NULL, NULL }
	};
	char *errors = load_errors(files);

	(void)state;
	assert_string_equal(errors, "");
	free(errors);
}

static void
includes_that_cannot_be_are_told(void **state)
{
	const struct memory_file files[] = {
		{ "etc/t.conf", "include t.conf\ninclude none.conf\n"
		    "include\ninclude a { }\n" },
		{ NULL, NULL }
	};
	char *errors = load_errors(files);

	(void)state;
	assert_string_equal(errors,
	    "etc/t.conf:1: etc/t.conf includes itself\n"
	    "etc/t.conf:2: cannot be read: etc/none.conf: there is none\n"
	    "etc/t.conf:3: include takes file names or patterns\n"
	    "etc/t.conf:4: include takes file names or patterns\n");
	free(errors);
}

static void
includes_match_files_in_order(void **state)
{
	struct conf_messages m = { .n_errors = 0 };
	char *main = temp_file("t.conf", "include c.*.part\n"
	    "include none.*.part\n", 0600);
	char *b = temp_file("c.20.part", "oops2\n", 0600);
	char *a = temp_file("c.10.part", "oops1\n", 0600);
	char *c = temp_file("c.30.other", "oops3\n", 0600), *want;
	struct conf *conf = conf_load(main, NULL, true, NULL, &m);

	(void)state;
	assert_null(conf);
	want = mem_printf("%s:1: unknown statement `oops1` among the global "
	    "statements\n%s:1: unknown statement `oops2` among the global "
	    "statements\n", a, b);
	assert_string_equal(strbuf_cstr(&m.errors), want);
	conf_messages_free(&m);
	free(want);
	free(main);
	free(a);
	free(b);
	free(c);
	temp_remove();
}

static void
a_main_file_that_is_missing_is_told(void **state)
{
	const struct memory_file none[] = { { NULL, NULL } };
	char *errors = load_errors(none);

	(void)state;
	assert_string_equal(errors, "etc/t.conf:1: cannot be read: "
	    "etc/t.conf: there is none\n");
	free(errors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_end_with_lines),
		cmocka_unit_test(comments_begin_with_a_word),
		cmocka_unit_test(backslashes_join_lines),
		cmocka_unit_test(quotes_hold_anything),
		cmocka_unit_test(blocks_nest_on_one_line_or_many),
		cmocka_unit_test(blocks_that_do_not_fit_are_told),
		cmocka_unit_test(deep_blocks_end_somewhere),
		cmocka_unit_test(the_environment_is_expanded),
		cmocka_unit_test(what_is_not_text_is_told),
		cmocka_unit_test(includes_are_relative_and_named),
		cmocka_unit_test(includes_stand_in_blocks_too),
		cmocka_unit_test(includes_that_cannot_be_are_told),
		cmocka_unit_test(includes_match_files_in_order),
		cmocka_unit_test(a_main_file_that_is_missing_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

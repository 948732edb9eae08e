/* The text of aliases: what it says, and what a name comes to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "mail/alias_table.h"
#include "mail/aliases.h"

/* ---- reading ---- */

static struct strbuf got;

static void
on_name(void *arg, unsigned line, struct slice name)
{
	(void)arg;
	strbuf_printf(&got, "%u[%.*s]", line, (int)name.n, name.p);
}

static void
on_target(void *arg, unsigned line, enum alias_kind kind, struct slice text)
{
	static const char *const kinds[] = { "", "user ", "include ",
	    "command ", "file " };

	(void)arg;
	(void)line;
	strbuf_printf(&got, " %s%.*s;", kinds[kind], (int)text.n, text.p);
}

static void
on_mistake(void *arg, unsigned line, const char *text)
{
	(void)arg;
	strbuf_printf(&got, " !%u", line);
	assert_true(strlen(text) > 5);
}

static const struct alias_reader reader = {
	on_name, on_target, on_mistake, NULL
};

static void
reads(const char *text, const char *want)
{
	strbuf_clear(&got);
	aliases_read(slice_cstr(text), &reader);
	assert_string_equal(strbuf_cstr(&got), want);
}

static void
names_and_targets(void **state)
{
	(void)state;
	reads("root: a@b.test\n", "1[root] a@b.test;");
	reads("root:a@b.test,bob , c@d.test", "1[root] a@b.test; bob; "
	    "c@d.test;");
	reads("Root : Bob\r\nwww:root\r\n", "1[root] Bob;2[www] root;");
	reads("a: Bob B. <b@x.test>, \"B, C\" <c@x.test>",
	    "1[a] b@x.test; c@x.test;");
	reads("nobody:\n", "1[nobody]");
	reads("default: d@x.test", "1[default] d@x.test;");
}

static void
quotes_keep_what_stands_in_them(void **state)
{
	(void)state;
	reads("\"john doe\": j@x.test", "1[john doe] j@x.test;");
	reads("\"a:b\": j@x.test", "1[a:b] j@x.test;");
	reads("a: \"john doe\"@x.test, \"x,y\"",
	    "1[a] \"john doe\"@x.test; \"x,y\";");
	reads("a: \"|/bin/prog a, b\", |/bin/other arg , b@x.test",
	    "1[a] command /bin/prog a, b; command /bin/other arg; b@x.test;");
}

static void
lines_go_on_and_comments_end(void **state)
{
	(void)state;
	reads("# all\n\nteam: a@x.test,\n\tb@x.test,\n\n  # not now\n c\nz: y",
	    "3[team] a@x.test; b@x.test; c;8[z] y;");
	reads("a: b # that is all, c\nd: e", "1[a] b;2[d] e;");
	reads("a: b#c@x.test", "1[a] b#c@x.test;");
}

static void
special_targets_are_told_apart(void **state)
{
	(void)state;
	reads("a: /dev/null, :include:/etc/list, \":include:/a b\", \\a",
	    "1[a] file /dev/null; include /etc/list; include /a b; user a;");
	reads("a: :Include: /etc/list", "1[a] include /etc/list;");
}

static void
mistakes_are_told_with_their_lines(void **state)
{
	(void)state;
	reads("a b: c\nd: e", " !12[d] e;");
	reads("nothing\nd: e", " !12[d] e;");
	reads(" x: y\nd: e", " !12[d] e;");
	reads("a@b.test: c", " !1");
	reads("\"\": c\n\"open: c\n:c", " !1 !2 !3");
	reads("a: two words, b, c@@d, \"open, e\nf: g",
	    "1[a] !1 b; !1 !12[f] g;");
	reads("a: :fail: no, :include:relative, \\", "1[a] !1 !1 !1");
	reads("a: x\x01y, b", "1[a] !1 b;");
	reads("a b:\n c\nd:e", " !1 !23[d] e;");
}

static void
a_list_has_targets_alone(void **state)
{
	(void)state;
	strbuf_clear(&got);
	aliases_read_list(SLICE_LIT("# us\na@x.test\n b , \"|c\"\n"), &reader);
	assert_string_equal(strbuf_cstr(&got),
	    " a@x.test; b; command c;");
}

static void
what_is_written_is_read_again(void **state)
{
	static const char *const addresses[] = {
		"a@x.test", "#a@x.test", "\"x, y\"@x.test", "/a@x.test", "bob",
		"\"a>b\"@x.test", "\"a\\\"<b\"", "|x@y.test"
	};
	struct strbuf text = STRBUF_INIT, want = STRBUF_INIT;
	size_t i;

	(void)state;
	alias_write_name(&text, SLICE_LIT("john \"j\\\" doe"));
	strbuf_puts(&want, "1[john \"j\\\" doe]");
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		alias_write_target(&text, ALIAS_ADDRESS,
		    slice_cstr(addresses[i]));
		strbuf_printf(&want, " %s;", addresses[i]);
	}
	alias_write_name(&text, SLICE_LIT("b"));
	alias_write_target(&text, ALIAS_USER, SLICE_LIT("b"));
	alias_write_target(&text, ALIAS_INCLUDE, SLICE_LIT("/x \"y\""));
	alias_write_target(&text, ALIAS_FILE, SLICE_LIT("/f"));
	alias_write_target(&text, ALIAS_COMMAND, SLICE_LIT("a b, c"));
	strbuf_puts(&want, "2[b] user b; include /x \"y\"; file /f; "
	    "command a b, c;");
	reads(strbuf_cstr(&text), strbuf_cstr(&want));
	strbuf_free(&text);
	strbuf_free(&want);
}

/* ---- expansion ---- */

static bool
here(void *arg, struct slice domain)
{
	(void)arg;
	return slice_eq_case_cstr(domain, "here.test");
}

static void
gives_at_most(const char *aliases, const char *name, size_t max,
    const char *want)
{
	struct alias_table *t = alias_table_new(slice_cstr(aliases));
	struct alias_expansion x;
	struct strbuf out = STRBUF_INIT;
	int round;
	size_t i;

	for (round = 0; round < 2; round++) {	/* a table serves many */
		strbuf_clear(&out);
		if (!alias_expand(t, slice_cstr(name), here, NULL, max, &x))
			strbuf_puts(&out, "none");
		for (i = 0; i < x.n; i++)
			strbuf_printf(&out, "%s%s%s", i > 0 ? " " : "",
			    x.v[i].user ? "\\" : "", x.v[i].address);
		strbuf_puts(&out, x.loop ? " loop" : "");
		strbuf_puts(&out, x.later ? " later" : "");
		strbuf_puts(&out, x.too_many ? " too many" : "");
		if (strcmp(strbuf_cstr(&out), want) != 0)
			fail_msg("%s of\n%s\nis `%s`, not `%s`", name,
			    aliases, strbuf_cstr(&out), want);
		alias_expansion_clear(&x);
	}
	strbuf_free(&out);
	alias_table_free(&t);
}

static void
gives(const char *aliases, const char *name, const char *want)
{
	gives_at_most(aliases, name, 100, want);
}

static void
a_name_goes_through_all_aliases(void **state)
{
	static const char text[] = "a: b, x@y.test\nb: c, X@y.test, z@y.test\n"
	    "c: D@here.test\nd: \\e\n\"f g\": h@i.test\n";

	(void)state;
	gives(text, "a", "\\e X@y.test z@y.test");
	gives(text, "A", "\\e X@y.test z@y.test");
	gives(text, "\"a\"", "\\e X@y.test z@y.test");
	gives(text, "\"F g\"", "h@i.test");
	gives(text, "e", "none");
	gives("a: b@here.test, bob", "a", "\\b@here.test \\bob");
	gives("a:\nb: a, |x, /y\n", "b", "");
	gives("a: x@y.test\na: z@y.test\n", "a", "x@y.test");
}

static void
default_is_for_names_without_an_alias(void **state)
{
	static const char text[] = "default: all@x.test\nroot: r@x.test\n"
	    "web: root, bob\n";

	(void)state;
	gives(text, "anybody", "all@x.test");
	gives(text, "root", "r@x.test");
	gives(text, "web", "r@x.test all@x.test");
	gives("default: bob\n", "carl", "\\bob");
	gives("default: bob\n", "bob", "\\bob");
	gives("default: web\nweb: bob", "carl", "\\bob");
}

static void
rings_end(void **state)
{
	(void)state;
	/* itself: the user */
	gives("bob: bob, b@x.test", "bob", "\\bob b@x.test");
	gives("bob: Bob@here.test", "bob", "\\Bob@here.test");
	gives("a: b\nb: b, c@x.test", "a", "\\b c@x.test");
	/* a ring is a mistake */
	gives("a: b\nb: a", "a", " loop");
	gives("a: b\nb: a, c@x.test", "a", "c@x.test loop");
	/* two ways to the same are none */
	gives("a: b, c\nb: d\nc: d\nd: e@x.test", "a", "e@x.test");
}

static void
depth_and_number_are_bounded(void **state)
{
	struct strbuf text = STRBUF_INIT;
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++)
		strbuf_printf(&text, "a%u: a%u, a%u\n", i, i + 1, i + 1);
	gives(strbuf_cstr(&text), "a0", " loop");
	gives(strbuf_cstr(&text), "a190", "\\a200");
	strbuf_free(&text);
	gives_at_most("a: b, c, d", "a", 2, "\\b \\c too many");
	gives_at_most("a: b, B, c", "a", 2, "\\b \\c");
}

static void
a_file_not_included_delays(void **state)
{
	(void)state;
	gives("a: b@x.test, :include:/gone", "a", "b@x.test later");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_targets),
		cmocka_unit_test(quotes_keep_what_stands_in_them),
		cmocka_unit_test(lines_go_on_and_comments_end),
		cmocka_unit_test(special_targets_are_told_apart),
		cmocka_unit_test(mistakes_are_told_with_their_lines),
		cmocka_unit_test(a_list_has_targets_alone),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(a_name_goes_through_all_aliases),
		cmocka_unit_test(default_is_for_names_without_an_alias),
		cmocka_unit_test(rings_end),
		cmocka_unit_test(depth_and_number_are_bounded),
		cmocka_unit_test(a_file_not_included_delays),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	strbuf_free(&got);
	return rc;
}

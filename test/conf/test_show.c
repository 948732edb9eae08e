/* `config show` prints what was understood, without secrets; FILE.expect says
 * what is expected of the routes. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "conf/expect.h"

static char *
shown(const char *config)
{
	struct conf_messages m;
	struct conf_tree *tree = NULL;
	struct strbuf out = STRBUF_INIT;
	struct conf *conf = load_text(config, &tree, &m);

	if (conf == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	conf_dump(tree, conf, &out);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
	return strbuf_take(&out);
}

static void
has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s\nhas no\n%s", text, part);
}

static void
secrets_are_hidden(void **state)
{
	char *out;

	(void)state;
	setenv("T_SECRET", "geheim", 1);
	out = shown("login a { password geheim }\n"
	    "login b { password hash \"$6$geheim\" }\n"
	    "login c { password \"file geheim\" }\n"
	    "login d { password ${T_SECRET} }\n"
	    "account x { submission h; username u; password geheim }\n"
	    "transport t { submission h; username u; "
	    "password file /etc/pw }\n");
	assert_null(strstr(out, "geheim"));
	has(out, "login a {\n\tpassword (hidden)\n}\n");
	has(out, "password hash (hidden)\n");
	has(out, "password file /etc/pw\n");
	free(out);
}

static void
what_is_shown_means_the_same(void **state)
{
	char *out, *again;

	(void)state;
	out = shown("retry 30s; hostname relay.test\n"
	    "log \"a b\" ; local-domains \"x.test\" y.test\n"
	    "transport \"to\" { fail 451 \"4.7.1 \\\"no\\\" \\\\ {}\" }\n"
	    "transport \"a b\" { smarthost h 192.0.2.1:26 }\n"
	    "route from <> to a.test via \"to\" \"a b\"\n");
	has(out, "log \"a b\"\n");
	has(out, "fail 451 \"4.7.1 \\\"no\\\" \\\\ {}\"\n");
	has(out, "route from <> to a.test via \"to\" \"a b\"\n");
	has(out, "# h port 25, tls opportunistic, its certificate is not "
	    "verified\n");
	has(out, "expire 4d\n");
	has(out, "postmaster postmaster@relay.test\n");
	has(out, "listen 127.0.0.1:25 { }\n");
	again = shown(out);
	/* The second time nothing is left to default. */
	has(again, "expire 4d\n");
	has(again, "route from <> to a.test via \"to\" \"a b\"\n");
	free(again);
	free(out);
}

static const char routes[] =
    "transport up { smarthost h }\ntransport backup { discard }\n"
    "route to x.test attempts 3 via backup\nroute to x.test via up backup\n"
    "account own@a.test { submission h; username u; password p }\n";

static char *
expectations(const char *text, int failures, size_t good)
{
	const struct memory_file files[] = {
		{ "t.conf.expect", text }, { NULL, NULL }
	};
	struct conf_reader reader = memory_reader(files);
	struct conf_messages m = { .n_errors = 0 };
	struct conf *conf = load_good(routes);
	struct err e = { 0 };
	size_t passed = 99;
	char *path = conf_expect_path("t.conf"), *errors;

	if (conf_expect_run(conf, path, &reader, &m, &passed, &e) != failures)
		fail_msg("%s\ngives %s", text, strbuf_cstr(&m.errors));
	assert_int_equal(passed, good);
	errors = strbuf_take(&m.errors);
	conf_messages_free(&m);
	conf_free(&conf);
	free(path);
	return errors;
}

static void
expectations_that_hold(void **state)
{
	(void)state;
	free(expectations("# what we want\n"
	    "expect from=a@b.test to=u@x.test -> up\n\n"
	    "expect from=a@b.test to=u@x.test -> up backup\n"
	    "expect from=a@b.test to=u@x.test attempts=3 -> backup\n"
	    "expect from=<> to=u@y.test size=5M age=1h client=10.0.0.1 "
	    "login=x -> direct\n"
	    "expect from=own@a.test to=u@y.test -> own@a.test\n", 0, 5));
	free(expectations("", 0, 0));
}

static void
expectations_that_do_not_hold_are_named(void **state)
{
	char *errors = expectations(
	    "expect from=a@b.test to=u@x.test -> up\n"
	    "expect from=a@b.test to=u@x.test attempts=2 -> backup\n"
	    "expect from=a@b.test to=u@x.test -> up up\n"
	    "expect from=<> to=u@y.test -> up\n"
	    "expect from=own@a.test to=u@y.test -> up\n", 4, 1);

	(void)state;
	assert_string_equal(errors,
	    "t.conf.expect:2: expected backup, but it goes to up backup, by "
	    "the route in t.conf:4\n"
	    "t.conf.expect:3: expected up up, but it goes to up backup, by "
	    "the route in t.conf:4\n"
	    "t.conf.expect:4: expected up, but it goes to direct, because "
	    "no route matches\n"
	    "t.conf.expect:5: expected up, but it goes to own@a.test, the "
	    "account's own transport\n");
	free(errors);
}

static void
expectations_that_are_wrong_are_named(void **state)
{
	char *errors = expectations(
	    "expekt from=a@b.test\n"
	    "expect from=a@b.test to=u@x.test\n"
	    "expect from=a@b.test -> up\n"
	    "expect to=a@b.test -> up\n"
	    "expect from=a@b.test to=u@x.test attempts=x -> up\n"
	    "expect from=\"a b\n", 6, 0);

	(void)state;
	assert_string_equal(errors,
	    "t.conf.expect:1: a line is written `expect from=A to=B -> "
	    "TRANSPORT`\n"
	    "t.conf.expect:2: -> TRANSPORT is missing\n"
	    "t.conf.expect:3: to= is missing\n"
	    "t.conf.expect:4: from= is missing\n"
	    "t.conf.expect:5: `x` is not a number\n"
	    "t.conf.expect:6: a quote inside of a word: put the whole word "
	    "into quotes, with \\\" for this one\n");
	free(errors);
}

static void
a_missing_file_of_expectations_is_an_error(void **state)
{
	const struct memory_file none[] = { { NULL, NULL } };
	struct conf_reader reader = memory_reader(none);
	struct conf_messages m = { .n_errors = 0 };
	struct conf *conf = load_good(routes);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(conf_expect_run(conf, "t.conf.expect", &reader, &m,
	    NULL, &e), -1);
	assert_non_null(strstr(e.text, "t.conf.expect"));
	conf_messages_free(&m);
	conf_free(&conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_hidden),
		cmocka_unit_test(what_is_shown_means_the_same),
		cmocka_unit_test(expectations_that_hold),
		cmocka_unit_test(expectations_that_do_not_hold_are_named),
		cmocka_unit_test(expectations_that_are_wrong_are_named),
		cmocka_unit_test(a_missing_file_of_expectations_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

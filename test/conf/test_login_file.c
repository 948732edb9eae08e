/* `login-file`: what its lines mean, what each role sees of them, what is no
 * line; and what the listener learns of a secret. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/build.h"
#include "conf/login_file.h"

static const char main_file[] =
    "login-file /people\n"
    "login here { password geheim1; account a }\n"
    "account a { }\n"
    "account b:c { }\n"
    "transport up { smarthost up.test }\n"
    "route login joe via up\n"
    "route via up\n";

static const char people[] =
    "# who may\n"
    "\n"
    "joe:SCRAM-SHA-256$4096:geheim2$geheim3:geheim4:a\n"
    "  ann:$6$geheim5$geheim6:\r\n"
    "old@x.test:SCRAM-SHA-1$4096:AAAA$AAAA:AAAA:a";

static struct conf *
load(const char *lines, enum conf_role role, struct conf_messages *m,
    struct err *e)
{
	const struct memory_file files[] = {
		{ "t.conf", main_file }, { "/people", lines }, { NULL, NULL }
	};
	struct conf_reader reader = memory_reader(files);
	struct strbuf view = STRBUF_INIT;
	struct conf_tree *tree = NULL;
	struct conf *conf, *part = NULL;

	memset(m, 0, sizeof(*m));
	conf = conf_load("t.conf", &reader, false, &tree, m);
	if (conf != NULL && role == CONF_MONITOR)
		part = conf;
	else if (conf != NULL && conf_view_encode(tree, role, &view, e) == 0)
		part = conf_view_decode(strbuf_slice(&view), role, e);
	if (part != conf)
		conf_free(&conf);
	if (role != CONF_AUTH && view.n > 0)
		assert_null(memmem(view.p, view.n, "geheim", 6));
	strbuf_free(&view);
	conf_tree_free(&tree);
	return part;
}

static struct conf *
good(enum conf_role role)
{
	struct conf_messages m;
	struct err e = { 0 };
	struct conf *c = load(people, role, &m, &e);

	if (c == NULL)
		fail_msg("%s%s", strbuf_cstr(&m.errors), e.text);
	conf_messages_free(&m);
	return c;
}

/* Roles get them behind what the file says itself. */
static const struct conf_login *
named(const struct conf *c, const char *name)
{
	size_t i;

	assert_int_equal(c->n_logins, 4);
	for (i = 0; i < c->n_logins; i++)
		if (strcmp(c->logins[i].name, name) == 0)
			return &c->logins[i];
	fail_msg("no login %s", name);
	return NULL;
}

static void
lines_are_split_at_the_first_and_the_last_colon(void **state)
{
	struct conf *c = good(CONF_MONITOR);
	const struct conf_login *l = named(c, "joe");

	(void)state;
	assert_int_equal(l->password.kind, SECRET_HASH);
	assert_string_equal(l->password.text,
	    "SCRAM-SHA-256$4096:geheim2$geheim3:geheim4");
	assert_string_equal(l->account, "a");
	assert_string_equal(l->where.file, "/people");
	assert_int_equal(l->where.line, 3);
	l = named(c, "ann");
	assert_string_equal(l->password.text, "$6$geheim5$geheim6");
	assert_null(l->account);
	conf_free(&c);
}

static void
auth_gets_the_hashes(void **state)
{
	struct conf *c = good(CONF_AUTH);

	(void)state;
	assert_string_equal(named(c, "joe")->password.text,
	    "SCRAM-SHA-256$4096:geheim2$geheim3:geheim4");
	assert_int_equal(named(c, "joe")->uses, LOGIN_USE_PASSWORD |
	    LOGIN_USE_SCRAM_SHA_256);
	assert_int_equal(named(c, "here")->password.kind, SECRET_VALUE);
	assert_true((named(c, "here")->uses & LOGIN_USE_CLEAR) != 0);
	conf_free(&c);
}

static void
the_listener_gets_what_they_are_good_for(void **state)
{
	struct conf *c = good(CONF_LISTENER);

	(void)state;
	assert_int_equal(named(c, "joe")->uses, LOGIN_USE_PASSWORD |
	    LOGIN_USE_SCRAM_SHA_256);
	assert_int_equal(named(c, "ann")->uses, LOGIN_USE_PASSWORD);
	assert_int_equal(named(c, "old@x.test")->uses, LOGIN_USE_PASSWORD |
	    LOGIN_USE_SCRAM_SHA_1);
	assert_true((named(c, "here")->uses & LOGIN_USE_CLEAR) != 0);
	assert_string_equal(named(c, "joe")->account, "a");
	assert_int_equal(named(c, "joe")->password.kind, SECRET_NONE);
	conf_free(&c);
	c = good(CONF_QUEUE);
	assert_string_equal(named(c, "joe")->account, "a");
	assert_int_equal(c->routes[0].login.n, 1);
	conf_free(&c);
}

static void
what_is_no_line_is_told(void **state)
{
	static const struct {
		const char *lines, *want;
	} bad[] = {
		{ "joe:$1$x$y:a\nann\n", "/people:2: it is not NAME:HASH" },
		{ "joe:$1$x$y\n", "/people:1: it is not NAME:HASH" },
		{ ":$1$x$y:a\n", "/people:1: the name is empty" },
		{ "joe:$1$x$y:a\nann:topsecret:a\n", "/people:2: what stands "
		    "between" },
		{ "joe:$1$x$y:a\nann:$6$rounds=999999999$topsecret$x:a\n",
		    "/people:2: the hash takes too long to check" },
		{ "joe:$1$x$y:a\njoe:$1$x$y:a\n", "login `joe` is defined "
		    "already, in /people:1" },
		{ "joe:$1$x$y:nosuch\n", "there is no account `nosuch`" },
		{ "joe:$1$x$y:a\nhere:$1$x$y:a\n", "login `here` is defined "
		    "already" },
	};
	struct conf_messages m;
	struct err e = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(load(bad[i].lines, CONF_MONITOR, &m, &e));
		if (strstr(strbuf_cstr(&m.errors), bad[i].want) == NULL ||
		    strstr(strbuf_cstr(&m.errors), "topsecret") != NULL)
			fail_msg("%s gives %s", bad[i].lines,
			    strbuf_cstr(&m.errors));
		conf_messages_free(&m);
	}
}

static void
a_role_is_not_given_what_has_become_wrong(void **state)
{
	struct memory_file files[] = {
		{ "t.conf", main_file }, { "/people", people }, { NULL, NULL }
	};
	struct conf_reader reader = memory_reader(files);
	struct strbuf view = STRBUF_INIT;
	struct conf_tree *tree = NULL;
	struct conf_messages m = { 0 };
	struct err e = { 0 };
	struct conf *conf = conf_load("t.conf", &reader, false, &tree, &m);

	(void)state;
	assert_non_null(conf);
	files[1].text = "joe:plain:a\n";
	assert_int_equal(conf_view_encode(tree, CONF_AUTH, &view, &e), -1);
	assert_non_null(strstr(e.text, "/people:1"));
	assert_null(strstr(e.text, "plain"));
	strbuf_clear(&view);
	files[1].text = "joe:$1$x$y:a\njoe:$1$x$y:a\n";
	assert_int_equal(conf_view_encode(tree, CONF_AUTH, &view, &e), 0);
	assert_null(conf_view_decode(strbuf_slice(&view), CONF_AUTH, &e));
	strbuf_free(&view);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
}

static void
seen(void *arg, const char *path, unsigned roles)
{
	unsigned *mask = arg;

	if (strcmp(path, "/people") == 0)
		*mask |= roles;
}

static void
it_is_watched_for_all_who_have_it(void **state)
{
	const struct memory_file files[] = {
		{ "t.conf", main_file }, { "/people", people }, { NULL, NULL }
	};
	struct conf_reader reader = memory_reader(files);
	struct conf_tree *tree = NULL;
	struct conf_messages m = { 0 };
	struct conf *conf = conf_load("t.conf", &reader, false, &tree, &m);
	unsigned roles = 0;

	(void)state;
	conf_view_files(tree, seen, &roles);
	assert_int_equal(roles, CONF_LISTENER | CONF_QUEUE | CONF_AUTH);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
}

static void
a_login_without_a_password_needs_a_client_ca(void **state)
{
	struct conf *c;

	(void)state;
	expect_error("login printer { }\n", "has no password");
	c = load_good("listen *:25 { certificate auto; client-ca ca.pem }\n"
	    "login printer { }\n");
	assert_string_equal(c->listens[0].auth_mechanisms.v[6], "EXTERNAL");
	assert_int_equal(c->logins[0].uses, 0);
	conf_free(&c);
}

static void
what_could_never_work_is_told(void **state)
{
	(void)state;
	expect_warning("listen 127.0.0.1:25 { auth-mechanisms SCRAM-SHA-1 }\n"
	    "login a { password hash $6$x$y }\n",
	    "no `login` can use any of its `auth-mechanisms`");
	expect_warning("login a { password hash topsecret }\n",
	    "is no hash");
	expect_error("transport t { submission h; auth-mechanisms EXTERNAL }"
	    "\n", "EXTERNAL needs a `certificate`");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    lines_are_split_at_the_first_and_the_last_colon),
		cmocka_unit_test(auth_gets_the_hashes),
		cmocka_unit_test(the_listener_gets_what_they_are_good_for),
		cmocka_unit_test(what_is_no_line_is_told),
		cmocka_unit_test(a_role_is_not_given_what_has_become_wrong),
		cmocka_unit_test(it_is_watched_for_all_who_have_it),
		cmocka_unit_test(a_login_without_a_password_needs_a_client_ca),
		cmocka_unit_test(what_could_never_work_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

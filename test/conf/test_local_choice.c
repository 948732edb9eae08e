/* Recipients of local-domains: aliases, the transport `local`, the
 * postmaster; and the file of `aliases` on its way to queue. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/aliases.h"
#include "conf/local_choice.h"

/* ---- where it goes ---- */

static void
goes(const char *config, const char *aliases, const char *to,
    const char *want)
{
	static const char *const results[] = {
		[LOCAL_FOUND] = "", [LOCAL_UNKNOWN] = "unknown",
		[LOCAL_LOOP] = "loop", [LOCAL_LATER] = "later",
		[LOCAL_TOO_MANY] = "too many"
	};
	struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;
	struct local_answer a;
	struct conf_local *l;
	struct conf *conf;
	size_t i;

	strbuf_printf(&text, "hostname relay.test\n%s", config);
	conf = load_good(strbuf_cstr(&text));
	l = conf_local_new(conf, slice_cstr(aliases));
	assert_true(conf_local_has(l, to));
	conf_local_resolve(l, to, 5, &a);
	strbuf_puts(&out, results[a.result]);
	for (i = 0; i < a.n && a.result == LOCAL_FOUND; i++)
		strbuf_printf(&out, "%s%s%s", i > 0 ? " " : "",
		    a.v[i].here ? "" : "-> ", a.v[i].address);
	if (a.must_exist)
		strbuf_puts(&out, " ?");
	if (strcmp(strbuf_cstr(&out), want) != 0)
		fail_msg("%s with\n%s%s\ngoes to `%s`, not `%s`", to, config,
		    aliases, strbuf_cstr(&out), want);
	local_answer_clear(&a);
	conf_local_free(&l);
	conf_free(&conf);
	strbuf_free(&text);
	strbuf_free(&out);
}

#define HOME "transport local { maildir ~/Maildir }\n"
#define ANY "transport local { maildir /var/mail/all }\n"
#define NAMED "transport local { maildir /var/mail/%u }\n"
#define ELSEWHERE "postmaster admin@x.test\n"

static void
without_aliases(void **state)
{
	(void)state;
	goes("", "", "bob@relay.test", "unknown");
	goes("", "", "postmaster@relay.test", "unknown");
	goes(ELSEWHERE, "", "bob@localhost", "-> admin@x.test");
	goes(ELSEWHERE, "", "root@localhost", "-> admin@x.test");
	goes(HOME, "", "bob@relay.test", "bob@relay.test ?");
	goes(HOME ELSEWHERE, "", "bob@relay.test", "bob@relay.test ?");
	goes(NAMED, "", "bob@relay.test", "bob@relay.test ?");
	goes(ANY, "", "bob@relay.test", "bob@relay.test");
	goes(ANY, "", "root@relay.test", "root@relay.test");
}

static void
aliases_come_first(void **state)
{
	static const char text[] = "known: k@y.test\nteam: bob, k@y.test, "
	    "carl@localhost\nnone:\nring: ring2\nring2: ring\n"
	    "big: a@x.test, b@x.test, c@x.test, d@x.test, e@x.test, f@x.test"
	    "\nlist: :include:/gone, a@x.test\n";

	(void)state;
	goes("", text, "Known@relay.test", "-> k@y.test");
	goes("", text, "bob@relay.test", "unknown");
	goes("", text, "team@relay.test", "-> k@y.test");
	goes(ELSEWHERE, text, "team@relay.test",
	    "-> admin@x.test -> k@y.test");
	goes(HOME, text, "team@relay.test",
	    "bob@relay.test -> k@y.test carl@localhost");
	goes(HOME, text, "none@relay.test", "unknown");
	goes(HOME, text, "ring@relay.test", "loop");
	goes(HOME, text, "big@relay.test", "too many");
	goes(HOME, text, "list@relay.test", "later");
	goes(HOME, "default: a@x.test", "bob@localhost", "-> a@x.test");
}

static void
root_gets_nothing_by_its_own_name(void **state)
{
	static const char debian[] = "postmaster: root\n";

	(void)state;
	goes(HOME, "root: bob", "root@relay.test", "bob@relay.test");
	goes(HOME, "root: root, a@x.test", "root@relay.test", "-> a@x.test");
	goes(HOME, "team: root, bob", "team@relay.test",
	    "bob@relay.test postmaster@relay.test");
	goes(HOME ELSEWHERE, "", "root@relay.test", "-> admin@x.test");
	goes(HOME, "postmaster: bob", "root@relay.test", "bob@relay.test");
	goes(HOME, "", "root@relay.test", "postmaster@relay.test ?");
	goes(HOME, debian, "root@relay.test", "unknown");
	goes(NAMED, debian, "Root@relay.test", "postmaster@relay.test");
	goes("", debian, "root@relay.test", "unknown");
	goes(ELSEWHERE, debian, "root@relay.test", "-> admin@x.test");
}

static void
postmaster_is_always_taken(void **state)
{
	(void)state;
	goes(HOME, "", "Postmaster@relay.test", "Postmaster@relay.test");
	goes(HOME, "postmaster: root", "postmaster@relay.test",
	    "postmaster@relay.test");
	goes(HOME ELSEWHERE, "", "postmaster@relay.test", "-> admin@x.test");
	goes(HOME ELSEWHERE, "postmaster: bob", "postmaster@relay.test",
	    "bob@relay.test");
	goes(ANY ELSEWHERE, "", "postmaster@relay.test",
	    "postmaster@relay.test");
	goes(NAMED, "postmaster: root", "postmaster@relay.test",
	    "postmaster@relay.test");
}

/* ---- the file ---- */

static const struct memory_file files[] = {
	{ "t.conf", "hostname relay.test\naliases /etc/al\n" HOME },
	{ "/etc/al", "a: b@x.test, |prog\nb: /file\na: again\n"
	    "list: c@x.test, :include:/etc/list\nlost: :include:/none\n"
	    "ring: :include:/etc/ring\nx: y@@\n" },
	{ "/etc/list", "d@x.test\n# two\n\"|prog\", :include:/etc/more\n" },
	{ "/etc/more", "e@x.test" },
	{ "/etc/ring", "r@x.test, :include:/etc/ring\n" },
	{ NULL, NULL }
};

static void
queues_view_has_the_text(void **state)
{
	struct conf_reader reader = memory_reader(files);
	struct conf_messages m;
	struct conf_tree *tree = NULL;
	struct strbuf view = STRBUF_INIT;
	struct err e = { 0 };
	struct conf *conf, *q;

	(void)state;
	memset(&m, 0, sizeof(m));
	conf = conf_load("t.conf", &reader, false, &tree, &m);
	assert_non_null(conf);
	assert_string_equal(conf->aliases, "/etc/al");
	assert_int_equal(conf_view_encode(tree, CONF_QUEUE, &view, &e), 0);
	q = conf_view_decode(strbuf_slice(&view), CONF_QUEUE, &e);
	assert_non_null(q);
	assert_string_equal(q->aliases, "\"a\": <b@x.test>\n\"b\":\n"
	    "\"list\": <c@x.test>, <d@x.test>, <e@x.test>\n"
	    "\"lost\": \":include:/none\"\n"
	    "\"ring\": <r@x.test>, <r@x.test>, <r@x.test>, <r@x.test>, "
	    "<r@x.test>, <r@x.test>, <r@x.test>, <r@x.test>, "
	    "\":include:/etc/ring\"\n\"x\":");
	conf_free(&q);
	strbuf_clear(&view);
	assert_int_equal(conf_view_encode(tree, CONF_LISTENER, &view, &e), 0);
	assert_null(memmem(view.p, view.n, "b@x.test", 8));
	strbuf_free(&view);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
}

static void
what_is_left_out_is_warned_about(void **state)
{
	static const char *const want[] = {
		"/etc/al:1: warning: a command as target",
		"/etc/al:2: warning: a file as target",
		"/etc/al:3: warning: this name stands above",
		"/etc/al:5: warning: /none",
		"/etc/al:7: warning: this is not an address",
		"/etc/list:3: warning: a command as target",
		"/etc/ring:1: warning: files include each other"
	};
	struct conf_reader reader = memory_reader(files);
	struct conf_messages m;
	struct conf *conf;
	size_t i;

	(void)state;
	memset(&m, 0, sizeof(m));
	conf = conf_load("t.conf", &reader, false, NULL, &m);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (strstr(strbuf_cstr(&m.warnings), want[i]) == NULL)
			fail_msg("%s\nis not in\n%s", want[i],
			    strbuf_cstr(&m.warnings));
	assert_int_equal(m.n_errors, 0);
	conf_free(&conf);
	conf_messages_free(&m);
}

static void
add_name(void *arg, const char *path, unsigned roles)
{
	assert_int_equal(roles, CONF_QUEUE);
	strbuf_printf(arg, "%s ", path);
}

static void
all_files_are_watched(void **state)
{
	struct conf_reader reader = memory_reader(files);
	struct conf_messages m;
	struct conf_tree *tree = NULL;
	struct strbuf names = STRBUF_INIT;
	struct conf *conf;

	(void)state;
	memset(&m, 0, sizeof(m));
	conf = conf_load("t.conf", &reader, false, &tree, &m);
	conf_view_files(tree, add_name, &names);
	assert_non_null(strstr(names.p,
	    "/etc/al /etc/list /etc/more /none /etc/ring "));
	strbuf_free(&names);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
}

/* Included by root's monitor, written by others. */
static void
an_included_file_of_others_includes_nothing(void **state)
{
	char *more = temp_file("more", "secret\n", 0600);
	char *text = mem_printf(":include:%s\n", more);
	char *list = temp_file("list", text, 0666);
	char *aliases = mem_printf("a: :include:%s\n", list);
	char *file = temp_file("aliases", aliases, 0644);
	char *config = mem_printf("aliases %s\n", file);
	char *conf_file = temp_file("al.conf", config, 0600);
	struct conf_messages m;
	struct conf_tree *tree = NULL;
	struct strbuf out = STRBUF_INIT;
	struct conf *conf;

	(void)state;
	memset(&m, 0, sizeof(m));
	conf = conf_load(conf_file, NULL, true, &tree, &m);
	assert_non_null(conf);
	assert_non_null(strstr(strbuf_cstr(&m.warnings),
	    "includes no further one"));
	conf_aliases_text(tree, conf, &out);
	assert_null(strstr(strbuf_cstr(&out), "secret"));
	assert_non_null(strstr(strbuf_cstr(&out), ":include:"));
	strbuf_free(&out);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
	temp_remove();
	free(more);
	free(text);
	free(list);
	free(aliases);
	free(file);
	free(config);
	free(conf_file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_aliases),
		cmocka_unit_test(aliases_come_first),
		cmocka_unit_test(root_gets_nothing_by_its_own_name),
		cmocka_unit_test(postmaster_is_always_taken),
		cmocka_unit_test(queues_view_has_the_text),
		cmocka_unit_test(what_is_left_out_is_warned_about),
		cmocka_unit_test(all_files_are_watched),
		cmocka_unit_test(an_included_file_of_others_includes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

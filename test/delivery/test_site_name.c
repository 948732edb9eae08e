/* Names of sites: hosts, preferences, and what policies demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "delivery/site_name.h"
#include "ipc/msg.h"

static void
reads_back(const char *site, const char *want)
{
	struct strbuf b = STRBUF_INIT;
	enum site_mark mark;
	unsigned group;
	char *name;
	size_t i;

	for (i = 0; (name = site_name_host(site, i, &group, &mark)) != NULL;
	    i++) {
		strbuf_printf(&b, "%u%s%u ", group, name, mark);
		free(name);
	}
	assert_string_equal(strbuf_cstr(&b), want);
	strbuf_free(&b);
}

static void
a_name_is_read_back(void **state)
{
	(void)state;
	reads_back("a.mx,c.mx;b.mx;d.mx", "0a.mx0 0c.mx0 1b.mx0 2d.mx0 ");
	reads_back("a.mx=mta-sts;b.mx=mta-sts-dane", "0a.mx1 1b.mx2 ");
	reads_back("a=mta-sts-testing,b=mta-sts-testing-unlisted",
	    "0a3 0b4 ");
	reads_back("", "");
	reads_back(";", "");
	reads_back("=mta-sts", "");
	/* What it does not know is taken for the strictest. */
	reads_back("a=x,b", "0a1 0b0 ");
	assert_null(site_name_host("a", 1, &(unsigned){ 0 }, NULL));
}

static void
what_is_no_host(void **state)
{
	(void)state;
	assert_true(site_name_takes("mx_1.example"));
	assert_false(site_name_takes(""));
	assert_false(site_name_takes("a,b"));
	assert_false(site_name_takes("a;b"));
	assert_false(site_name_takes("a=b"));
	assert_false(site_name_takes("[a]"));
}

#define POLICY(mode) "version: STSv1\nmode: " mode "\nmax_age: 1\n" \
    "mx: a.mx\nmx: *.b.mx\n"

static char marked_text[8192];

/* "": nothing is left. */
static const char *
marked(const char *site, const char *policy, bool by_dane)
{
	struct strbuf b = STRBUF_INIT;
	struct mta_sts_policy p;
	struct err e;
	bool any;

	assert_int_equal(mta_sts_policy_parse(slice_cstr(policy), &p, &e),
	    0);
	any = site_name_mark(site, &p, by_dane, &b);
	assert_int_equal(any, b.n > 0);
	snprintf(marked_text, sizeof(marked_text), "%s", strbuf_cstr(&b));
	strbuf_free(&b);
	mta_sts_policy_clear(&p);
	return marked_text;
}

static void
enforced(void **state)
{
	static const char *const p = POLICY("enforce");

	(void)state;
	assert_string_equal(marked("a.mx", p, false), "a.mx=mta-sts");
	assert_string_equal(marked("a.mx,x.b.mx;c.mx", p, false),
	    "a.mx=mta-sts,x.b.mx=mta-sts");
	/* Preferences stay apart when hosts between them go. */
	assert_string_equal(marked("c.mx,a.mx;d.mx;x.b.mx,y.b.mx", p, false),
	    "a.mx=mta-sts;x.b.mx=mta-sts,y.b.mx=mta-sts");
	assert_string_equal(marked("b.mx;c.mx", p, false), "");
	assert_string_equal(marked("b.mx;a.mx", p, true),
	    "b.mx=mta-sts-dane;a.mx=mta-sts");
}

static void
tested(void **state)
{
	(void)state;
	assert_string_equal(marked("a.mx;b.mx", POLICY("testing"), false),
	    "a.mx=mta-sts-testing;b.mx=mta-sts-testing-unlisted");
}

static void
a_name_that_would_be_too_long(void **state)
{
	struct strbuf b = STRBUF_INIT;
	unsigned i;

	(void)state;
	for (i = 0; b.n < MSG_SITE_MAX - 100; i++)
		strbuf_printf(&b, "%shost-%u.of.a.long.name.b.mx",
		    i > 0 ? ";" : "", i);
	(void)marked(strbuf_cstr(&b), POLICY("testing"), false);
	assert_in_range(strlen(marked_text), MSG_SITE_MAX - 100,
	    MSG_SITE_MAX);
	assert_memory_equal(marked_text, "host-0.of", 9);
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_read_back),
		cmocka_unit_test(what_is_no_host),
		cmocka_unit_test(enforced),
		cmocka_unit_test(tested),
		cmocka_unit_test(a_name_that_would_be_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

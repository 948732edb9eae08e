/* SASLprep: RFC 4013's examples, RFC 3454's directions, and every character
 * of Unicode 3.2 against GNU libidn, whose tables are the RFC's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "mail/saslprep.h"

/* NULL: it has no form. */
static const char *
form(const char *in)
{
	static struct strbuf out;

	strbuf_clear(&out);
	if (mail_saslprep(slice_cstr(in), &out) < 0) {
		assert_int_equal(out.n, 0);
		return NULL;
	}
	return strbuf_cstr(&out);
}

/* RFC 4013 3, and its neighbourhood. */
static void
examples(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "I\xc2\xadX", "IX" },		/* soft hyphen */
		{ "user", "user" },
		{ "USER", "USER" },
		{ "\xc2\xaa", "a" },
		{ "\xe2\x85\xa8", "IX" },	/* roman numeral nine */
		{ "\x07", NULL },
		{ "\xd8\xa7\x31", NULL },	/* alef, 1 */
		{ "a b~!", "a b~!" },
		{ "p\xc2\xa0q", "p q" },	/* no-break space */
		{ "u\xcc\x88", "\xc3\xbc" },	/* u and its two dots */
		{ "\xc3\xbc", "\xc3\xbc" },
		{ "\xef\xac\x81", "fi" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "a\nb", NULL },
		{ "a\x7f", NULL },
		{ "a\xe2\x80\xa8", NULL },	/* line separator */
		{ "a\xee\x80\x80", NULL },	/* private use */
		{ "a\xef\xbf\xbd", NULL },	/* replacement */
		{ "a\xef\xbf\xbe", NULL },	/* U+FFFE is no character */
		{ "a\xed\xa0\x80", NULL },	/* a surrogate, no UTF-8 */
		{ "\xff", NULL },
		{ "caf\xe9", NULL },		/* Latin 1 */
		{ "\xc2\xad", NULL },		/* nothing is left */
		{ "", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].want == NULL && form(rows[i].in) != NULL)
			fail_msg("row %zu: %s", i, form(rows[i].in));
		if (rows[i].want != NULL)
			assert_string_equal(form(rows[i].in), rows[i].want);
	}
}

/* RFC 3454 6 */
static void
directions(void **state)
{
	(void)state;
	assert_non_null(form("\xd8\xa7\x31\xd8\xa8"));	/* alef 1 beh */
	assert_null(form("\x31\xd8\xa7"));		/* 1 first */
	assert_null(form("\xd8\xa7""a\xd8\xa8"));	/* a between */
	assert_null(form("a\xd7\x90"));			/* a, Hebrew alef */
	assert_non_null(form("\xd7\x90 \xd7\x91"));
	assert_non_null(form("a1!\xc3\xbc"));
}

static void
what_has_no_form_is_taken_as_it_is(void **state)
{
	struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_false(mail_saslprep_lenient(SLICE_LIT("pencil"), &out));
	assert_true(mail_saslprep_lenient(SLICE_LIT("\xe2\x85\xa8"), &out));
	assert_false(mail_saslprep_lenient(SLICE_LIT("caf\xe9"), &out));
	assert_string_equal(strbuf_cstr(&out), "pencilIXcaf\xe9");
	strbuf_free(&out);
}

typedef int profile_fn(const char *in, char **out, const char *profile,
    int flags);
#define NO_UNASSIGNED 4		/* a flag of libidn's */

static void
compare(profile_fn *profile, const char *in)
{
	const char *ours = form(in);
	char *theirs = NULL;
	int rc = profile(in, &theirs, "SASLprep", 0);

	if (rc == 0 && theirs[0] == '\0')
		rc = -1;		/* here, nothing is no form */
	if ((rc == 0) != (ours != NULL) ||
	    (rc == 0 && strcmp(theirs, ours) != 0))
		fail_msg("`%s`: %s, libidn says %s", in,
		    ours != NULL ? ours : "no form",
		    rc == 0 ? theirs : "no form");
	free(theirs);
}

/* Unicode has corrected what these five are equivalent to (its corrigendum
 * 4). */
static bool
is_corrected(ucs4_t c)
{
	return c == 0x2f868 || c == 0x2f874 || c == 0x2f91f ||
	    c == 0x2f95f || c == 0x2f9bf;
}

/* Each character of Unicode 3.2, alone and between others. */
static void
as_gnu_libidn_has_it(void **state)
{
	void *library = dlopen("libidn.so.12", RTLD_NOW);
	profile_fn *profile = NULL;
	char text[16], *theirs = NULL;
	unsigned n = 0;
	ucs4_t c;
	int len;

	(void)state;
	if (library == NULL)
		skip();
	*(void **)&profile = dlsym(library, "stringprep_profile");
	assert_non_null(profile);
	for (c = 1; c < 0x110000; c++) {
		len = u8_uctomb((uint8_t *)text + 1, c, 6);
		if (len < 0 || is_corrected(c))
			continue;	/* or a surrogate */
		text[0] = 'a';
		text[len + 1] = '\0';
		/* once without what was not assigned */
		if (profile(text, &theirs, "SASLprep", NO_UNASSIGNED) == 1)
			continue;
		free(theirs);
		theirs = NULL;
		compare(profile, text + 1);
		compare(profile, text);
		memcpy(text + len + 1, "b", 2);
		compare(profile, text);
		n++;
	}
	assert_in_range(n, 95000, 300000);
	dlclose(library);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(directions),
		cmocka_unit_test(what_has_no_form_is_taken_as_it_is),
		cmocka_unit_test(as_gnu_libidn_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

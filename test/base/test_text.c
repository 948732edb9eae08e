/* Slices and growing buffers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/strbuf.h"

#define S(text) SLICE_LIT(text)

static void
compares_with_and_without_case(void **state)
{
	(void)state;
	assert_true(slice_eq(S("abc"), S("abc")));
	assert_false(slice_eq(S("abc"), S("ABC")));
	assert_false(slice_eq(S("abc"), S("ab")));
	assert_true(slice_eq(slice_of(NULL, 0), S("")));
	assert_true(slice_eq_case(S("aBc\xc4"), S("AbC\xc4")));
	/* Only ASCII is folded, and '[' is not '{'. */
	assert_false(slice_eq_case(S("\xc4"), S("\xe4")));
	assert_false(slice_eq_case(S("[@`"), S("{`@")));
	assert_true(slice_eq_case_cstr(S("EHLO"), "ehlo"));
	assert_true(slice_eq_cstr(slice_of(NULL, 0), NULL));
}

static void
looks_at_both_ends(void **state)
{
	(void)state;
	assert_true(slice_starts_case(S("FROM:<>"), S("from:")));
	assert_false(slice_starts_case(S("FR"), S("from:")));
	assert_true(slice_ends_case(S("a.EXAMPLE"), S(".example")));
	assert_true(slice_ends_case(S("a"), S("")));
	assert_false(slice_ends_case(S("le"), S("example")));
}

static void
finds_trims_and_skips(void **state)
{
	struct slice t = slice_trim(S(" \t x y \t"));

	(void)state;
	assert_true(slice_eq_cstr(t, "x y"));
	assert_int_equal(slice_trim(S("  ")).n, 0);
	assert_int_equal(slice_find(S("a@b@c"), '@'), 1);
	assert_int_equal(slice_rfind(S("a@b@c"), '@'), 3);
	assert_int_equal(slice_find(S("abc"), '@'), -1);
	assert_int_equal(slice_rfind(slice_of(NULL, 0), '@'), -1);
	assert_true(slice_eq_cstr(slice_skip(S("abc"), 1), "bc"));
	assert_int_equal(slice_skip(S("abc"), 9).n, 0);
}

static void
cuts_words(void **state)
{
	struct slice s = S("  one\ttwo  "), w;

	(void)state;
	assert_true(slice_word(&s, &w));
	assert_true(slice_eq_cstr(w, "one"));
	assert_true(slice_word(&s, &w));
	assert_true(slice_eq_cstr(w, "two"));
	assert_false(slice_word(&s, &w));
}

static void
duplicates_with_a_nul(void **state)
{
	char *a = slice_dup(S("x\0y")), *b = slice_dup(slice_of(NULL, 0));

	(void)state;
	assert_memory_equal(a, "x\0y", 4);
	assert_string_equal(b, "");
	free(a);
	free(b);
}

static void
buffer_grows_and_keeps_nuls(void **state)
{
	struct strbuf b = STRBUF_INIT;
	char *taken;

	(void)state;
	assert_string_equal(strbuf_cstr(&b), "");
	for (int i = 0; i < 1000; i++)
		strbuf_putc(&b, 'x');
	strbuf_add(&b, "\0z", 2);
	strbuf_add_slice(&b, S("!"));
	strbuf_puts(&b, "?");
	assert_int_equal(b.n, 1004);
	assert_memory_equal(b.p + 1000, "\0z!?", 5);
	strbuf_drop(&b, 1001);
	assert_string_equal(strbuf_cstr(&b), "z!?");
	strbuf_drop(&b, 0);
	strbuf_drop(&b, 99);
	assert_int_equal(strbuf_slice(&b).n, 0);
	taken = strbuf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
	taken = strbuf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
	strbuf_clear(&b);
	strbuf_free(&b);
}

static void
buffer_prints_texts_longer_than_its_room(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	strbuf_printf(&b, "%s-%d", "a", 1);
	strbuf_printf(&b, "%0300d", 7);
	assert_int_equal(b.n, 303);
	assert_memory_equal(b.p, "a-10000", 3);
	assert_int_equal(b.p[302], '7');
	assert_int_equal(b.p[303], '\0');
	strbuf_free(&b);
}

static void
room_is_written_by_the_caller(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	memcpy(strbuf_room(&b, 3), "abc", 3);
	b.n += 3;
	strbuf_puts(&b, "d");
	assert_string_equal(strbuf_cstr(&b), "abcd");
	strbuf_free(&b);
}

static void
memory_helpers(void **state)
{
	int *items = NULL;
	size_t n = 0;
	char *a = mem_strndup("abc", 2), *b = mem_printf("%d.", 5);
	char *z = mem_zarray(3, 4), *e = mem_alloc(0);

	(void)state;
	for (int i = 0; i < 100; i++) {
		int *p = mem_push(&items, &n, sizeof(*items));

		assert_int_equal(*p, 0);
		*p = i;
	}
	assert_int_equal(n, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(items[i], i);
	assert_string_equal(a, "ab");
	assert_string_equal(b, "5.");
	assert_memory_equal(z, "\0\0\0\0\0\0\0\0\0\0\0", 12);
	assert_non_null(e);
	mem_wipe(a, 2);
	assert_memory_equal(a, "\0\0", 3);
	free(items);
	free(a);
	free(b);
	free(z);
	free(e);
}

static void
errors_are_one_printable_line(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, 5, "a\nb %s", "c\x7f"), -1);
	assert_int_equal(e.code, 5);
	assert_string_equal(e.text, "a?b c?");
	err_prefix(&e, "%s", "file");
	assert_string_equal(e.text, "file: a?b c?");
	errno = ENOENT;
	err_errno(&e, "cannot open %s", "x");
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.text,
	    "cannot open x: No such file or directory");
	assert_int_equal(err_set(NULL, 1, "x"), -1);
	assert_int_equal(err_errno(NULL, "x"), -1);
	assert_int_equal(err_prefix(NULL, "x"), -1);
}

static void
long_errors_are_cut(void **state)
{
	struct err e;
	char *text = mem_zarray(1, 2000);

	(void)state;
	memset(text, 'x', 1999);
	err_set(&e, -1, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_prefix(&e, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	errno = EIO;
	err_errno(&e, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares_with_and_without_case),
		cmocka_unit_test(looks_at_both_ends),
		cmocka_unit_test(finds_trims_and_skips),
		cmocka_unit_test(cuts_words),
		cmocka_unit_test(duplicates_with_a_nul),
		cmocka_unit_test(buffer_grows_and_keeps_nuls),
		cmocka_unit_test(buffer_prints_texts_longer_than_its_room),
		cmocka_unit_test(room_is_written_by_the_caller),
		cmocka_unit_test(memory_helpers),
		cmocka_unit_test(errors_are_one_printable_line),
		cmocka_unit_test(long_errors_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

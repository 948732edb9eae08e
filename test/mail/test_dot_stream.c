/* Dots and line ends, in every way to cut the input. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "mail/dot_stream.h"

/* Decodes in pieces of the size; returns the last result.  *taken: octets up
 * to where it ended. */
static enum dot_result
decode(struct dot_decoder *d, struct slice in, size_t piece,
    struct strbuf *out, size_t *taken)
{
	enum dot_result res = DOT_MORE;

	*taken = 0;
	while (*taken < in.n && res == DOT_MORE) {
		struct slice left = slice_skip(in, *taken);
		size_t used;

		if (left.n > piece)
			left.n = piece;
		res = dot_decode(d, left, &used, out);
		if (res == DOT_MORE)
			assert_int_equal(used, left.n);
		*taken += used;
	}
	return res;
}

/* All piece sizes must agree. */
static void
check(enum dot_mode mode, bool raw, struct slice in, enum dot_result want,
    struct slice text, size_t taken)
{
	for (size_t piece = 1; piece <= in.n; piece++) {
		struct strbuf out = STRBUF_INIT;
		struct dot_decoder d;
		enum dot_result res;
		size_t at;

		dot_decoder_init(&d, mode, raw);
		res = decode(&d, in, piece, &out, &at);
		if (raw && res == DOT_MORE)
			res = dot_decode_finish(&d, &out);
		assert_int_equal(res, want);
		if (want != DOT_BARE) {
			assert_int_equal(at, taken);
			if (!slice_eq(strbuf_slice(&out), text))
				fail_msg("piece %zu: %s", piece,
				    strbuf_cstr(&out));
			assert_int_equal(d.octets, text.n);
		}
		strbuf_free(&out);
	}
}

#define DATA(mode, in, res, text, taken) \
	check(mode, false, SLICE_LIT(in), res, SLICE_LIT(text), taken)
#define RAW(mode, in, res, text) \
	check(mode, true, SLICE_LIT(in), res, SLICE_LIT(text), \
	    sizeof(in) - 1)

static void
dots_are_taken_away_and_the_end_is_found(void **state)
{
	(void)state;
	DATA(DOT_REJECT, "a\r\nb\r\n.\r\nQUIT\r\n", DOT_END, "a\r\nb\r\n", 9);
	DATA(DOT_REJECT, ".\r\n", DOT_END, "", 3);
	DATA(DOT_REJECT, "\r\n.\r\n", DOT_END, "\r\n", 5);
	DATA(DOT_REJECT, "..\r\n.\r\n", DOT_END, ".\r\n", 7);
	DATA(DOT_REJECT, ".a\r\n...\r\n.\r\n", DOT_END, "a\r\n..\r\n", 12);
	DATA(DOT_REJECT, "a.\r\n.\r\n", DOT_END, "a.\r\n", 7);
	DATA(DOT_REJECT, "a\r\n.", DOT_MORE, "a\r\n", 4);
	DATA(DOT_REJECT, "a\r\n.\r", DOT_MORE, "a\r\n", 5);
	DATA(DOT_REJECT, "a\r", DOT_MORE, "a", 2);
}

static void
bare_line_ends_are_refused(void **state)
{
	(void)state;
	DATA(DOT_REJECT, "a\nb\r\n.\r\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "a\rb\r\n.\r\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "a\n.\r\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "a\n.\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "a\r\n.\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "a\r\n.\rx", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "a\r\r\n.\r\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "a\r.\r\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, "\n", DOT_BARE, "", 0);
	DATA(DOT_REJECT, ".\n", DOT_BARE, "", 0);
}

static void
mended_ones_never_end_a_message(void **state)
{
	(void)state;
	DATA(DOT_FIX, "a\nb\r\n.\r\n", DOT_END, "a\r\nb\r\n", 8);
	DATA(DOT_FIX, "a\n.\r\nb\r\n.\r\n", DOT_END,
	    "a\r\n.\r\nb\r\n", 11);
	DATA(DOT_FIX, "a\n.\nb\r\n.\r\n", DOT_END, "a\r\n.\r\nb\r\n", 10);
	DATA(DOT_FIX, "a\r\n.\nb\r\n.\r\n", DOT_END,
	    "a\r\n\r\nb\r\n", 11);
	DATA(DOT_FIX, "a\r\n.\rb\r\n.\r\n", DOT_END,
	    "a\r\n\r\nb\r\n", 11);
	DATA(DOT_FIX, "a\r\n.\r\r\n.\r\n", DOT_END,
	    "a\r\n\r\n\r\n", 10);
	DATA(DOT_FIX, "a\r.\r\nb\r\n.\r\n", DOT_END,
	    "a\r\n.\r\nb\r\n", 11);
	DATA(DOT_FIX, "a\r\r\n.\r\n", DOT_END, "a\r\n\r\n", 7);
	DATA(DOT_FIX, "\n\n.\r\n", DOT_MORE, "\r\n\r\n.\r\n", 5);
}

static void
chunks_know_no_dots(void **state)
{
	(void)state;
	RAW(DOT_REJECT, "a\r\n.\r\n..b", DOT_END, "a\r\n.\r\n..b");
	RAW(DOT_REJECT, "a\nb", DOT_BARE, "");
	RAW(DOT_REJECT, "a\r", DOT_BARE, "");
	RAW(DOT_FIX, "a\nb\r", DOT_END, "a\r\nb\r\n");
	RAW(DOT_FIX, "a\r\n\rb", DOT_END, "a\r\n\r\nb");
}

static void
nuls_and_mended_ends_are_counted(void **state)
{
	struct strbuf out = STRBUF_INIT;
	struct dot_decoder d;
	size_t used;

	(void)state;
	dot_decoder_init(&d, DOT_FIX, false);
	assert_int_equal(dot_decode(&d, SLICE_LIT("a\0\0\nb\r\0\r\n.\r\n"),
	    &used, &out), DOT_END);
	assert_int_equal(d.nuls, 3);
	assert_int_equal(d.bare, 2);
	assert_int_equal(d.octets, out.n);
	strbuf_free(&out);
}

static void
encode(struct slice in, const char *want)
{
	for (size_t piece = 1; piece <= in.n + 1; piece++) {
		struct strbuf out = STRBUF_INIT;
		struct dot_encoder e;

		dot_encoder_init(&e);
		for (size_t at = 0; at < in.n; at += piece) {
			struct slice s = slice_skip(in, at);

			if (s.n > piece)
				s.n = piece;
			dot_encode(&e, s, &out);
		}
		dot_encode(&e, slice_of(in.p, 0), &out);
		dot_encode_end(&e, &out);
		assert_string_equal(strbuf_cstr(&out), want);
		strbuf_free(&out);
	}
}

static void
dots_are_put_back(void **state)
{
	(void)state;
	encode(SLICE_LIT("a\r\n"), "a\r\n.\r\n");
	encode(SLICE_LIT(""), ".\r\n");
	encode(SLICE_LIT("a"), "a\r\n.\r\n");
	encode(SLICE_LIT("a\r"), "a\r\n.\r\n");
	encode(SLICE_LIT("."), "..\r\n.\r\n");
	encode(SLICE_LIT("a.b\r\n.c\r\n..\r\n\r\n.\r\n"),
	    "a.b\r\n..c\r\n...\r\n\r\n..\r\n.\r\n");
	/* Never there, but it must not merge with the end mark. */
	encode(SLICE_LIT("\n"), "\n\r\n.\r\n");
	encode(SLICE_LIT("a\n"), "a\n\r\n.\r\n");
}

static void
what_was_encoded_is_decoded(void **state)
{
	static const char *const bits[] = { ".", "..", "\r\n", "a", "bc\r\n",
		"\r\n.", "long text without end ", "." };

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct strbuf in = STRBUF_INIT, wire = STRBUF_INIT;
		struct strbuf out = STRBUF_INIT;
		struct dot_encoder e;
		struct dot_decoder d;
		size_t at = 0, taken;

		for (uint64_t n = rand_below(30); n > 0; n--)
			strbuf_puts(&in, bits[rand_below(8)]);
		strbuf_puts(&in, "\r\n");
		dot_encoder_init(&e);
		while (at < in.n) {
			struct slice s = slice_skip(strbuf_slice(&in), at);
			size_t piece = 1 + (size_t)rand_below(10);

			if (s.n > piece)
				s.n = piece;
			dot_encode(&e, s, &wire);
			at += s.n;
		}
		dot_encode_end(&e, &wire);
		dot_decoder_init(&d, DOT_REJECT, false);
		assert_int_equal(decode(&d, strbuf_slice(&wire),
		    1 + (size_t)rand_below(10), &out, &taken), DOT_END);
		assert_int_equal(taken, wire.n);
		assert_true(slice_eq(strbuf_slice(&in), strbuf_slice(&out)));
		strbuf_free(&in);
		strbuf_free(&wire);
		strbuf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dots_are_taken_away_and_the_end_is_found),
		cmocka_unit_test(bare_line_ends_are_refused),
		cmocka_unit_test(mended_ones_never_end_a_message),
		cmocka_unit_test(chunks_know_no_dots),
		cmocka_unit_test(nuls_and_mended_ends_are_counted),
		cmocka_unit_test(dots_are_put_back),
		cmocka_unit_test(what_was_encoded_is_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* DATA and BDAT: any octets in pieces of any size (the first octet tells).
 * The pieces change nothing, nothing bare leaves the decoder, and what the
 * encoder makes of it is decoded to the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/dot_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum dot_result
decode(struct slice in, size_t piece, enum dot_mode mode, bool raw,
    struct strbuf *out, size_t *at)
{
	enum dot_result res = DOT_MORE;
	struct dot_decoder d;

	dot_decoder_init(&d, mode, raw);
	*at = 0;
	while (*at < in.n && res == DOT_MORE) {
		struct slice s = slice_skip(in, *at);
		size_t used;

		if (s.n > piece)
			s.n = piece;
		res = dot_decode(&d, s, &used, out);
		if (used > s.n || (res == DOT_MORE && used != s.n))
			abort();
		*at += used;
	}
	if (raw && res == DOT_MORE)
		res = dot_decode_finish(&d, out);
	if (d.octets != out->n)
		abort();
	return res;
}

static void
nothing_bare(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			abort();
		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] != '\n')
			abort();
	}
}

static void
round_trip(struct slice text, size_t piece)
{
	struct strbuf wire = STRBUF_INIT, back = STRBUF_INIT;
	struct dot_encoder e;
	size_t at;

	dot_encoder_init(&e);
	for (at = 0; at < text.n; at += piece) {
		struct slice s = slice_skip(text, at);

		if (s.n > piece)
			s.n = piece;
		dot_encode(&e, s, &wire);
	}
	dot_encode_end(&e, &wire);
	if (decode(strbuf_slice(&wire), piece + 3, DOT_REJECT, false, &back,
	    &at) != DOT_END || at != wire.n)
		abort();
	/* A line end that was missing is there now. */
	if (back.n < text.n || back.n > text.n + 2 ||
	    (text.n > 0 && memcmp(back.p, text.p, text.n) != 0))
		abort();
	strbuf_free(&wire);
	strbuf_free(&back);
}

static void
both(struct slice in, size_t piece, enum dot_mode mode, bool raw)
{
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	enum dot_result ra, rb;
	size_t at, bt;

	ra = decode(in, in.n + 1, mode, raw, &a, &at);
	rb = decode(in, piece, mode, raw, &b, &bt);
	if (ra != rb || at != bt ||
	    !slice_eq(strbuf_slice(&a), strbuf_slice(&b)))
		abort();
	if (mode == DOT_FIX && ra == DOT_BARE)
		abort();
	nothing_bare(strbuf_slice(&a));
	round_trip(strbuf_slice(&a), piece);
	strbuf_free(&a);
	strbuf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in;
	size_t piece;

	if (size == 0)
		return 0;
	piece = 1 + data[0] % 64;
	in = slice_of(data + 1, size - 1);
	both(in, piece, DOT_REJECT, false);
	both(in, piece, DOT_FIX, false);
	both(in, piece, DOT_REJECT, true);
	both(in, piece, DOT_FIX, true);
	return 0;
}

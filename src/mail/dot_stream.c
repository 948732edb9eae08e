/* Dots and line ends of a message on the wire: decoded by the listener,
 * encoded by delivery.  Pure; never fails but by saying DOT_BARE.  Runs at
 * memchr's speed: clean text is copied in runs as long as the input.  RFC
 * 5321 2.3.8 and 4.5.2. */
#include "mail/dot_stream.h"

#include <string.h>

/* Where the decoder stands between two pieces of input.  Only a true CRLF
 * leads to AT_START: a mended line end does not, so that no end mark and no
 * stuffed dot is seen behind one. */
enum {
	IN_LINE,		/* anywhere else */
	AT_START,		/* behind CRLF, or at the very beginning */
	AFTER_CR,		/* a CR is kept back */
	AFTER_DOT,		/* CRLF "." was read, the dot is kept back */
	AFTER_DOT_CR		/* CRLF "." CR */
};

void
dot_decoder_init(struct dot_decoder *d, enum dot_mode mode, bool raw)
{
	*d = (struct dot_decoder){ .mode = mode, .raw = raw };
	d->state = raw ? IN_LINE : AT_START;
}

static void
put(struct dot_decoder *d, struct strbuf *out, const char *p, size_t n)
{
	strbuf_add(out, p, n);
	d->octets += n;
}

static void
put_line_end(struct dot_decoder *d, struct strbuf *out)
{
	put(d, out, "\r\n", 2);
}

/* Behind a true CRLF. */
static void
line_ended(struct dot_decoder *d)
{
	d->state = d->raw ? IN_LINE : AT_START;
}

/* A bare LF or CR: false where that is refused. */
static bool
mend(struct dot_decoder *d, struct strbuf *out)
{
	if (d->mode == DOT_REJECT)
		return false;
	put_line_end(d, out);
	d->bare++;
	d->state = IN_LINE;
	return true;
}

/* From p, within a line, the end of what can be copied as it is: in front of
 * the next bare LF or CR, of a dot behind CRLF, of a CR at the very end.  The
 * state is set for what follows. */
static const char *
clean_run(struct dot_decoder *d, const char *p, const char *end)
{
	const char *cr = p;

	d->state = IN_LINE;
	while (p < end) {
		const char *lf;

		if (cr != NULL && cr <= p) {
			cr = memchr(p, '\r', (size_t)(end - p));
			if (cr == NULL)
				cr = end;
		}
		lf = memchr(p, '\n', (size_t)(cr - p));
		if (lf != NULL)
			return lf;
		if (cr == end)
			return end;
		if (cr + 1 == end || cr[1] != '\n')
			return cr;
		p = cr + 2;
		if (!d->raw && (p == end || *p == '.')) {
			d->state = AT_START;
			return p;
		}
	}
	return p;
}

/* One octet in a state that needs care.  0: go on, with *p moved. */
static enum dot_result
step(struct dot_decoder *d, const char **p, struct strbuf *out)
{
	char c = **p;

	switch (d->state) {
	case AT_START:
		d->state = IN_LINE;
		if (c == '.') {
			d->state = AFTER_DOT;
			(*p)++;
		}
		return DOT_MORE;
	case AFTER_CR:
		if (c == '\n') {
			put_line_end(d, out);
			line_ended(d);
			(*p)++;
			return DOT_MORE;
		}
		return mend(d, out) ? DOT_MORE : DOT_BARE;
	case AFTER_DOT:
		/* The dot was a stuffed one unless CRLF follows. */
		d->state = IN_LINE;
		if (c == '\r') {
			d->state = AFTER_DOT_CR;
			(*p)++;
		}
		return DOT_MORE;
	default:		/* AFTER_DOT_CR */
		if (c == '\n') {
			(*p)++;
			return DOT_END;
		}
		return mend(d, out) ? DOT_MORE : DOT_BARE;
	}
}

static void
count_nuls(struct dot_decoder *d, struct slice s)
{
	for (;;) {
		long at = slice_find(s, '\0');

		if (at < 0)
			return;
		d->nuls++;
		s = slice_skip(s, (size_t)at + 1);
	}
}

enum dot_result
dot_decode(struct dot_decoder *d, struct slice in, size_t *used,
    struct strbuf *out)
{
	enum dot_result result = DOT_MORE;
	const char *p = in.p, *end = in.p + in.n;
	size_t before = out->n;

	while (p < end && result == DOT_MORE) {
		const char *stop;

		if (d->state != IN_LINE) {
			result = step(d, &p, out);
			continue;
		}
		stop = clean_run(d, p, end);
		put(d, out, p, (size_t)(stop - p));
		p = stop;
		if (p == end || d->state != IN_LINE)
			continue;
		if (*p == '\r') {
			d->state = AFTER_CR;
			p++;
		} else if (mend(d, out)) {
			p++;		/* a bare LF */
		} else {
			result = DOT_BARE;
		}
	}
	*used = (size_t)(p - in.p);
	if (out->n > before)
		count_nuls(d, slice_of(out->p + before, out->n - before));
	return result;
}

enum dot_result
dot_decode_finish(struct dot_decoder *d, struct strbuf *out)
{
	if (d->state == AFTER_CR && !mend(d, out))
		return DOT_BARE;
	return DOT_END;
}

/* The encoder's states: what was sent last. */
enum { ENC_START, ENC_LINE, ENC_CR };

void
dot_encoder_init(struct dot_encoder *e)
{
	e->state = ENC_START;
}

static unsigned char
state_behind(unsigned char before, struct slice in)
{
	char last = in.p[in.n - 1];
	bool cr_before;

	if (last == '\r')
		return ENC_CR;
	if (last != '\n')
		return ENC_LINE;
	cr_before = in.n > 1 ? in.p[in.n - 2] == '\r' : before == ENC_CR;
	return cr_before ? ENC_START : ENC_LINE;
}

void
dot_encode(struct dot_encoder *e, struct slice in, struct strbuf *out)
{
	const char *p = in.p, *end = in.p + in.n;
	const char *run = p;		/* not yet copied from here */
	bool starts = e->state == ENC_START;

	if (in.n == 0)
		return;
	/* What stands in front of the first octet is in the state. */
	if (e->state == ENC_CR && *p == '\n') {
		starts = true;
		p++;
	}
	if (p < end && starts && *p == '.') {
		strbuf_add(out, run, (size_t)(p - run));
		strbuf_putc(out, '.');
		run = p;
	}
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		if (lf == NULL || lf + 1 == end)
			break;
		p = lf + 1;
		if (*p == '.' && lf > in.p && lf[-1] == '\r') {
			strbuf_add(out, run, (size_t)(p - run));
			strbuf_putc(out, '.');
			run = p;
		}
	}
	strbuf_add(out, run, (size_t)(end - run));
	e->state = state_behind(e->state, in);
}

void
dot_encode_end(struct dot_encoder *e, struct strbuf *out)
{
	if (e->state == ENC_CR)
		strbuf_putc(out, '\n');
	else if (e->state == ENC_LINE)
		strbuf_puts(out, "\r\n");
	strbuf_puts(out, ".\r\n");
	e->state = ENC_START;
}

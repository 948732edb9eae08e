/*
 * Rolling sums.  The time is cut into about a hundred pieces; a piece goes out
 * of account when its last one does, so that there are never more than allowed
 * in any stretch of that time, and at most one piece's time is lost.
 *
 * A clock that is set back: what seems to lie ahead was taken now.
 */
#include "queue/ration.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VERSION 1
#define PIECE_OCTETS 20

void
ration_set(struct ration *r, uint64_t max, uint64_t per)
{
	r->max = max;
	r->per = per;
	if (max == 0)
		ration_free(r);
	else if (r->piece == NULL)
		r->piece = mem_zarray(RATION_PIECES, sizeof(*r->piece));
}

void
ration_free(struct ration *r)
{
	free(r->piece);
	r->piece = NULL;
	r->n = 0;
	r->used = 0;
	r->max = 0;
}

static void
drop_first(struct ration *r, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		r->used -= r->piece[i].n;
	r->n -= n;
	memmove(r->piece, r->piece + n, r->n * sizeof(*r->piece));
}

static void
ration_look(struct ration *r, uint64_t now)
{
	size_t i;

	for (i = r->n; i > 0 && r->piece[i - 1].last > now; i--) {
		r->piece[i - 1].last = now;
		if (r->piece[i - 1].begun > now)
			r->piece[i - 1].begun = now;
	}
	for (i = 0; i < r->n && r->piece[i].last + r->per <= now; i++)
		;
	if (i > 0)
		drop_first(r, i);
}

uint64_t
ration_left(struct ration *r, uint64_t now)
{
	if (r->max == 0)
		return UINT64_MAX;
	ration_look(r, now);
	return r->used < r->max ? r->max - r->used : 0;
}

uint64_t
ration_opens(struct ration *r, uint64_t now)
{
	uint64_t used;
	size_t i;

	if (ration_left(r, now) > 0)
		return now;
	/* The limit may have been lowered meanwhile. */
	for (i = 0, used = r->used; i < r->n; i++) {
		used -= r->piece[i].n;
		if (used < r->max)
			return r->piece[i].last + r->per;
	}
	return now;
}

void
ration_take(struct ration *r, uint64_t now)
{
	struct ration_piece *p;

	if (r->max == 0)
		return;
	ration_look(r, now);
	p = r->n > 0 ? &r->piece[r->n - 1] : NULL;
	if (p == NULL || (r->n < RATION_PIECES &&
	    now - p->begun >= r->per / (RATION_PIECES - 2))) {
		p = &r->piece[r->n++];
		p->begun = now;
		p->n = 0;
	}
	p->last = now;
	p->n++;
	r->used++;
}

void
ration_give(struct ration *r)
{
	if (r->n == 0)
		return;
	r->used--;
	if (--r->piece[r->n - 1].n == 0)
		r->n--;
}

/* ---- on disk ---- */

static void
put(struct strbuf *out, uint64_t v, unsigned octets)
{
	while (octets-- > 0)
		strbuf_putc(out, (char)(v >> (octets * 8)));
}

static uint64_t
get(struct slice *in, unsigned octets)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 0; i < octets; i++)
		v = v << 8 | (unsigned char)in->p[i];
	*in = slice_skip(*in, octets);
	return v;
}

void
ration_encode(const struct ration *r, struct strbuf *out)
{
	size_t i;

	put(out, VERSION, 1);
	put(out, r->n, 1);
	for (i = 0; i < r->n; i++) {
		put(out, r->piece[i].begun, 8);
		put(out, r->piece[i].last, 8);
		put(out, r->piece[i].n, 4);
	}
}

static bool
sound(const struct ration *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (r->piece[i].begun > r->piece[i].last ||
		    r->piece[i].n == 0 || r->piece[i].n > INT32_MAX ||
		    (i > 0 && r->piece[i].begun < r->piece[i - 1].last))
			return false;
	}
	return true;
}

int
ration_decode(struct ration *r, struct slice *in)
{
	struct ration got;
	size_t i;

	if (in->n < 2 || in->p[0] != VERSION)
		return -1;
	memset(&got, 0, sizeof(got));
	*in = slice_skip(*in, 1);
	got.n = (size_t)get(in, 1);
	if (got.n > RATION_PIECES || in->n < got.n * PIECE_OCTETS)
		return -1;
	got.piece = mem_zarray(RATION_PIECES, sizeof(*got.piece));
	for (i = 0; i < got.n; i++) {
		got.piece[i].begun = get(in, 8);
		got.piece[i].last = get(in, 8);
		got.piece[i].n = (uint32_t)get(in, 4);
		got.used += got.piece[i].n;
	}
	if (!sound(&got) || r->max == 0) {
		free(got.piece);
		return r->max == 0 ? 0 : -1;
	}
	got.max = r->max;
	got.per = r->per;
	free(r->piece);
	*r = got;
	return 0;
}

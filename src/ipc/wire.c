/*
 * Fields of internal messages.  Run by every role.  Nothing fails while
 * writing; while reading, the first thing that does not fit makes the reader
 * bad and everything after it zero or empty.
 */
#include "ipc/wire.h"

#include <string.h>

#include "base/mem.h"

static void
put_le(struct strbuf *b, uint64_t v, size_t n)
{
	char tmp[8];
	size_t i;

	for (i = 0; i < n; i++)
		tmp[i] = (char)(v >> (8 * i));
	strbuf_add(b, tmp, n);
}

void
wire_put_u8(struct strbuf *b, uint8_t v)
{
	strbuf_putc(b, (char)v);
}

void
wire_put_u16(struct strbuf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
wire_put_u32(struct strbuf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
wire_put_u64(struct strbuf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void
wire_put_slice(struct strbuf *b, struct slice v)
{
	put_le(b, v.n, 4);
	strbuf_add_slice(b, v);
}

void
wire_put_str(struct strbuf *b, const char *v)
{
	wire_put_u8(b, v != NULL);
	if (v != NULL)
		wire_put_slice(b, slice_cstr(v));
}

static uint64_t
get_le(struct wire_reader *r, size_t n)
{
	uint64_t v = 0;
	size_t i;

	if (r->bad || r->rest.n < n) {
		r->bad = true;
		return 0;
	}
	for (i = 0; i < n; i++)
		v |= (uint64_t)(unsigned char)r->rest.p[i] << (8 * i);
	r->rest = slice_skip(r->rest, n);
	return v;
}

uint8_t
wire_u8(struct wire_reader *r)
{
	return (uint8_t)get_le(r, 1);
}

uint16_t
wire_u16(struct wire_reader *r)
{
	return (uint16_t)get_le(r, 2);
}

uint32_t
wire_u32(struct wire_reader *r)
{
	return (uint32_t)get_le(r, 4);
}

uint64_t
wire_u64(struct wire_reader *r)
{
	return get_le(r, 8);
}

struct slice
wire_slice(struct wire_reader *r, size_t max)
{
	size_t n = wire_u32(r);
	struct slice s;

	if (r->bad || n > max || n > r->rest.n) {
		r->bad = true;
		return slice_of("", 0);
	}
	s = slice_of(r->rest.p, n);
	r->rest = slice_skip(r->rest, n);
	return s;
}

char *
wire_str(struct wire_reader *r, size_t max)
{
	struct slice s;

	switch (wire_u8(r)) {
	case 0:
		return NULL;
	case 1:
		break;
	default:
		r->bad = true;
		return NULL;
	}
	s = wire_slice(r, max);
	if (r->bad)
		return NULL;
	if (s.n > 0 && memchr(s.p, 0, s.n) != NULL) {
		r->bad = true;
		return NULL;
	}
	return slice_dup(s);
}

uint32_t
wire_count(struct wire_reader *r, uint32_t max, size_t least)
{
	uint32_t n = wire_u32(r);

	if (r->bad || n > max || (least > 0 && n > r->rest.n / least)) {
		r->bad = true;
		return 0;
	}
	return n;
}

bool
wire_end(const struct wire_reader *r)
{
	return !r->bad && r->rest.n == 0;
}

/* The growing byte buffer.  On failure: as mem.c. */
#include "base/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define STRBUF_MIN 64

/* One octet more than n for the NUL. */
char *
strbuf_room(struct strbuf *b, size_t n)
{
	size_t need;

	if (__builtin_add_overflow(b->n, n, &need) || need >= SIZE_MAX / 2)
		need = SIZE_MAX / 2;	/* malloc refuses it for us */
	if (need + 1 > b->cap) {
		size_t cap = b->cap < STRBUF_MIN ? STRBUF_MIN : b->cap * 2;

		if (cap < need + 1)
			cap = need + 1;
		b->p = mem_resize(b->p, cap);
		b->cap = cap;
	}
	return b->p + b->n;
}

void
strbuf_add(struct strbuf *b, const void *p, size_t n)
{
	char *to = strbuf_room(b, n);

	if (n > 0)
		memcpy(to, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
strbuf_add_slice(struct strbuf *b, struct slice s)
{
	strbuf_add(b, s.p, s.n);
}

void
strbuf_puts(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void
strbuf_putc(struct strbuf *b, char c)
{
	if (b->n + 1 >= b->cap)
		strbuf_room(b, 1);
	b->p[b->n++] = c;
	b->p[b->n] = '\0';
}

void
strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int n;

	strbuf_room(b, STRBUF_MIN - 1);
	room = b->cap - b->n;
	va_copy(again, ap);
	n = vsnprintf(b->p + b->n, room, fmt, ap);
	if (n > 0 && (size_t)n >= room) {
		strbuf_room(b, (size_t)n);
		n = vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	if (n > 0)
		b->n += (size_t)n;
	b->p[b->n] = '\0';
}

void
strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
strbuf_drop(struct strbuf *b, size_t n)
{
	if (n >= b->n) {
		strbuf_clear(b);
		return;
	}
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
	b->p[b->n] = '\0';
}

void
strbuf_clear(struct strbuf *b)
{
	b->n = 0;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
strbuf_free(struct strbuf *b)
{
	free(b->p);
	*b = (struct strbuf)STRBUF_INIT;
}

void
strbuf_wipe(struct strbuf *b)
{
	if (b->p != NULL)
		mem_wipe(b->p, b->cap);
	strbuf_free(b);
}

char *
strbuf_take(struct strbuf *b)
{
	char *p = b->p;

	if (p == NULL)
		return mem_strdup("");
	p[b->n] = '\0';
	*b = (struct strbuf)STRBUF_INIT;
	return p;
}

const char *
strbuf_cstr(const struct strbuf *b)
{
	return b->p != NULL ? b->p : "";
}

struct slice
strbuf_slice(const struct strbuf *b)
{
	return slice_of(strbuf_cstr(b), b->n);
}

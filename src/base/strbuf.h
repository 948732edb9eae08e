/* A growing byte buffer.  Always NUL-terminated behind its n octets once
 * anything was added; may hold NULs. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

#include "base/slice.h"

struct strbuf {
	char *p;
	size_t n;
	size_t cap;
};

#define STRBUF_INIT { NULL, 0, 0 }

void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_add_slice(struct strbuf *b, struct slice s);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* Makes room for n more octets and returns where they go; the caller then
 * adds what it wrote to b->n. */
char *strbuf_room(struct strbuf *b, size_t n);
/* Removes n octets from the front. */
void strbuf_drop(struct strbuf *b, size_t n);
void strbuf_clear(struct strbuf *b);			/* keeps the memory */
void strbuf_free(struct strbuf *b);			/* and is empty again */
void strbuf_wipe(struct strbuf *b);	/* strbuf_free, of a secret */
/* Hands the memory over; the caller frees.  "" when empty, never NULL. */
char *strbuf_take(struct strbuf *b);
const char *strbuf_cstr(const struct strbuf *b);
struct slice strbuf_slice(const struct strbuf *b);

#endif

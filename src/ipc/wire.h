/* Fields of internal messages: little-endian integers, octets behind a
 * 32-bit length.  The reader is bounded and its error sticks, so that a
 * message is read to its end first and judged once. */
#ifndef IPC_WIRE_H
#define IPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

void wire_put_u8(struct strbuf *b, uint8_t v);
void wire_put_u16(struct strbuf *b, uint16_t v);
void wire_put_u32(struct strbuf *b, uint32_t v);
void wire_put_u64(struct strbuf *b, uint64_t v);
void wire_put_slice(struct strbuf *b, struct slice v);
/* NULL and "" are told apart. */
void wire_put_str(struct strbuf *b, const char *v);

struct wire_reader {
	struct slice rest;
	bool bad;
};

static inline struct wire_reader
wire_reader(struct slice s)
{
	return (struct wire_reader){ s, false };
}

/* Zero or empty once the reader is bad. */
uint8_t wire_u8(struct wire_reader *r);
uint16_t wire_u16(struct wire_reader *r);
uint32_t wire_u32(struct wire_reader *r);
uint64_t wire_u64(struct wire_reader *r);
/* Borrowed from the message; longer than max makes the reader bad. */
struct slice wire_slice(struct wire_reader *r, size_t max);
/* A copy that the caller frees, NULL where NULL was put; NULs inside make the
 * reader bad. */
char *wire_str(struct wire_reader *r, size_t max);
/* A count of elements of at least `least` octets each that can still be in
 * the message; more makes the reader bad. */
uint32_t wire_count(struct wire_reader *r, uint32_t max, size_t least);
/* All was read, nothing is left, nothing was bad. */
bool wire_end(const struct wire_reader *r);

#endif

/* Keys and the fixed parts of values, for the files of this room. */
#ifndef STORE_VALUE_H
#define STORE_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

#define RECORD_HEADER 12

/* Octets in one value of table body: 16 whole pages less the header that
 * LMDB puts in front of them. */
#define BODY_PART (16u * 4096 - 16)

/* Length of the state part and kind of the body from the header alone, with
 * no look at the CRC; -1: not a record. */
int record_peek(struct slice value, size_t *used, uint8_t *kind);

struct record;
/* record_encode() that tells when the envelope is over its limits (-1; what
 * was appended is then of no use). */
int record_write(const struct record *r, struct strbuf *out, struct err *e);

static inline void
put_le32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
	p[2] = (unsigned char)(v >> 16);
	p[3] = (unsigned char)(v >> 24);
}

static inline uint32_t
get_le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static inline void
put_be32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

static inline uint32_t
get_be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline void
put_be64(unsigned char *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}

static inline uint64_t
get_be64(const unsigned char *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

/* lane: version1 crc4 key_len4 key state */
#define LANE_HEADER 9
/* -1: damaged. */
int lane_value(struct slice value, struct slice *text, struct slice *state);

#define KEY_ID 8
#define KEY_PART 12
#define KEY_DUE 20
#define KEY_LANE 4
#define KEY_HISTORY 16

static inline void
key_due(unsigned char *k, uint32_t lane, uint64_t time, uint64_t id)
{
	put_be32(k, lane);
	put_be64(k + 4, time);
	put_be64(k + 12, id);
}

static inline void
key_part(unsigned char *k, uint64_t id, uint32_t part)
{
	put_be64(k, id);
	put_be32(k + 8, part);
}

static inline uint32_t
body_parts(uint64_t size)
{
	return (uint32_t)((size + BODY_PART - 1) / BODY_PART);
}

#endif

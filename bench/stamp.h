/* What load writes into each message and sink reads from it. */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <stdint.h>
#include <stdlib.h>

struct stamp {
	uint64_t run;		/* which of many measurements */
	uint64_t seq;		/* 0 .. messages - 1 */
	uint64_t sent_us;	/* monotonic, when its text began to leave */
	uint64_t octets;	/* behind the header */
	uint32_t crc;		/* CRC-32C of these */
};

#define STAMP_FIELD "X-Stamp: "
#define STAMP_FORMAT STAMP_FIELD "%llu %llu %llu %llu %x\r\n"

static inline int
order_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Of sorted microseconds, in milliseconds. */
static inline double
quantile_ms(const uint64_t *us, size_t n, double q)
{
	return n == 0 ? 0 : (double)us[(size_t)((double)(n - 1) * q)] / 1000;
}

#endif

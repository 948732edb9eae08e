/* CRC-32C for records, bodies and hand-overs, in every role.  The
 * instruction of SSE 4.2 where the machine has it, else a table of four
 * slices. */
#include "base/crc.h"

#include <stdbool.h>
#include <string.h>

#define POLY 0x82f63b78u	/* Castagnoli, bit-reversed */
/* The instruction takes three cycles, but a new one can begin in each: three
 * runs of so many octets are hashed side by side and then put together. */
#define RUN 256

static uint32_t table[4][256];
/* What a run of zeros makes of a CRC, by its octets. */
static uint32_t run_table[4][256];

static void
make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = (c & 1) ? (c >> 1) ^ POLY : c >> 1;
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++) {
		for (int t = 1; t < 4; t++) {
			uint32_t c = table[t - 1][i];

			table[t][i] = (c >> 8) ^ table[0][c & 0xff];
		}
	}
}

static uint32_t
crc_table(uint32_t c, const unsigned char *p, size_t n)
{
	for (; n >= 4; n -= 4, p += 4) {
		c ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
		    (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		c = table[3][c & 0xff] ^ table[2][(c >> 8) & 0xff] ^
		    table[1][(c >> 16) & 0xff] ^ table[0][c >> 24];
	}
	for (; n > 0; n--, p++)
		c = (c >> 8) ^ table[0][(c ^ *p) & 0xff];
	return c;
}

/* A CRC is linear: what a run of zeros does to all bits is the sum of what it
 * does to each. */
static void
make_run_table(void)
{
	static const unsigned char zeros[RUN];
	uint32_t bit[32];

	for (int k = 0; k < 32; k++)
		bit[k] = crc_table(UINT32_C(1) << k, zeros, RUN);
	for (uint32_t i = 0; i < 256; i++) {
		for (int t = 0; t < 4; t++) {
			uint32_t c = 0;

			for (int k = 0; k < 8; k++)
				if (i & UINT32_C(1) << k)
					c ^= bit[8 * t + k];
			run_table[t][i] = c;
		}
	}
}

__attribute__((constructor)) static void
make_tables(void)
{
	make_table();
	make_run_table();
}

#if defined(__x86_64__)
#include <nmmintrin.h>

static uint64_t
after_run(uint64_t c)
{
	return run_table[0][c & 0xff] ^ run_table[1][(c >> 8) & 0xff] ^
	    run_table[2][(c >> 16) & 0xff] ^ run_table[3][(c >> 24) & 0xff];
}

static uint64_t
octets8(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

__attribute__((target("sse4.2"))) static uint32_t
crc_sse42(uint32_t crc, const unsigned char *p, size_t n)
{
	uint64_t c = crc;

	for (; n >= 3 * RUN; n -= 3 * RUN, p += 3 * RUN) {
		uint64_t c1 = 0, c2 = 0;

		for (size_t i = 0; i < RUN; i += 8) {
			c = _mm_crc32_u64(c, octets8(p + i));
			c1 = _mm_crc32_u64(c1, octets8(p + RUN + i));
			c2 = _mm_crc32_u64(c2, octets8(p + 2 * RUN + i));
		}
		c = after_run(after_run(c) ^ c1) ^ c2;
	}
	for (; n >= 8; n -= 8, p += 8)
		c = _mm_crc32_u64(c, octets8(p));
	crc = (uint32_t)c;
	for (; n > 0; n--, p++)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}

static bool
have_sse42(void)
{
	return __builtin_cpu_supports("sse4.2") != 0;
}
#else
static uint32_t
crc_sse42(uint32_t crc, const unsigned char *p, size_t n)
{
	return crc_table(crc, p, n);
}

static bool
have_sse42(void)
{
	return false;
}
#endif

/* For the test, which compares both. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);

uint32_t
crc32c_portable(uint32_t crc, const void *p, size_t n)
{
	return ~crc_table(~crc, p, n);
}

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	if (have_sse42())
		return ~crc_sse42(~crc, p, n);
	return crc32c_portable(crc, p, n);
}

/* Time.  Monotonic for time-outs, wall clock for what is stored or shown.
 * Both are cached for a turn of the loop: clock_update() reads them anew. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

void clock_update(void);
uint64_t clock_mono_ms(void);			/* cached */
uint64_t clock_mono_us(void);			/* read now */
/* Milliseconds since 1970, cached; with the offset in milliseconds of
 * SMARTHOSTD_CLOCK_OFFSET_FILE added (tests: a file that holds a number,
 * read at each update). */
uint64_t clock_real_ms(void);

#define CLOCK_RFC3339_LEN 24
/* 2026-11-20T04:05:06.789Z */
char *clock_rfc3339(uint64_t ms, char buf[CLOCK_RFC3339_LEN + 1]);
/* Fri, 20 Nov 2026 04:05:06 +0000 in local time (RFC 5322, 3.3). */
char *clock_rfc5322(uint64_t ms, char *buf, size_t n);

#endif

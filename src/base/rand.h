/* Random numbers of the kernel, buffered. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);
/* Uniform in 0..n-1; n > 0. */
uint64_t rand_below(uint64_t n);
/* v changed by at most percent in either direction. */
uint64_t rand_jitter(uint64_t v, unsigned percent);

#endif

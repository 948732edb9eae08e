/* CRC-32C (Castagnoli), with the SSE 4.2 instruction where there is one. */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 at the start). */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif

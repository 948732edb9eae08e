/* Numbers, sizes, durations as text, both ways. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Whole slice, decimal digits only, at most max; false otherwise. */
bool num_u64(struct slice s, uint64_t max, uint64_t *out);
/* 64K 50M 1G or plain octets (powers of 1024). */
bool num_size(struct slice s, uint64_t *octets);
/* 500ms 30s 5m 4h 5d, or combinations like 1h30m; milliseconds. */
bool num_duration(struct slice s, uint64_t *ms);
/* 30/1m: count and the duration in milliseconds. */
bool num_rate(struct slice s, uint64_t *count, uint64_t *ms);
/* Writes like "4d", "1h30m", "250ms"; returns buf. */
char *num_duration_text(uint64_t ms, char *buf, size_t n);
/* Writes like "4.2M"; returns buf. */
char *num_size_text(uint64_t octets, char *buf, size_t n);
/* Sort-preserving text of a 64-bit id: 13 characters of 0-9 A-Z without
 * I L O U (Crockford's base 32), and back (case does not matter). */
#define NUM_ID_LEN 13
void num_id_text(uint64_t id, char out[NUM_ID_LEN + 1]);
bool num_id_parse(struct slice s, uint64_t *id);

#endif

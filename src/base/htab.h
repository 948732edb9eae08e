/* A hash table from octets, or from 64-bit ids, to pointers.  SipHash with a
 * key of this process, so that no peer can choose collisions. */
#ifndef BASE_HTAB_H
#define BASE_HTAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct htab;

struct htab *htab_new(void);
/* The values are the caller's to free, before. */
void htab_free(struct htab **h);
size_t htab_count(const struct htab *h);

void *htab_get(const struct htab *h, struct slice key);
/* Copies the key; returns the value that was there before, or NULL. */
void *htab_put(struct htab *h, struct slice key, void *value);
/* Returns the value that was removed, or NULL. */
void *htab_del(struct htab *h, struct slice key);

void *htab_get_u64(const struct htab *h, uint64_t key);
void *htab_put_u64(struct htab *h, uint64_t key, void *value);
void *htab_del_u64(struct htab *h, uint64_t key);

/* Walks all: start with *pos = 0; NULL at the end.  The table may not change
 * during a walk, but for the deletion of the element just returned. */
void *htab_next(const struct htab *h, size_t *pos, struct slice *key);

#endif

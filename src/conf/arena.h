/* Memory of a configuration: given piece by piece, taken back as a whole and
 * wiped then, because secrets lie in it. */
#ifndef CONF_ARENA_H
#define CONF_ARENA_H

#include <stddef.h>

struct conf_arena;

struct conf_arena *conf_arena_new(void);
void conf_arena_free(struct conf_arena **a);

/* Zeroed, aligned for anything, never NULL, owned by the arena. */
void *conf_arena_alloc(struct conf_arena *a, size_t n);
char *conf_arena_strndup(struct conf_arena *a, const char *p, size_t n);
char *conf_arena_strdup(struct conf_arena *a, const char *s);
/* Appends room for one zeroed element to a growing array in the arena, as
 * mem_push does on the heap; earlier elements may move. */
void *conf_arena_push(struct conf_arena *a, void *items_ptr, size_t *count,
    size_t size);

#endif

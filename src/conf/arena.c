/* Arena of a configuration.  Every role and tool that holds one; out of
 * memory ends the process (base/mem.h). */
#include "conf/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <stdlib.h>

#include "base/mem.h"

#define CHUNK_SIZE (64 * 1024)

struct chunk {
	struct chunk *next;
	size_t size;			/* octets of data */
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

struct conf_arena {
	struct chunk *chunks;
};

struct conf_arena *
conf_arena_new(void)
{
	return mem_zalloc(sizeof(struct conf_arena));
}

void
conf_arena_free(struct conf_arena **a)
{
	struct chunk *c, *next;

	if (*a == NULL)
		return;
	for (c = (*a)->chunks; c != NULL; c = next) {
		next = c->next;
		mem_wipe(c->data, c->used);
		free(c);
	}
	free(*a);
	*a = NULL;
}

/* Large pieces get a chunk of their own behind the current one, so that the
 * room left in that is not lost. */
static struct chunk *
chunk_add(struct conf_arena *a, size_t n)
{
	size_t size = n > CHUNK_SIZE / 4 ? n : CHUNK_SIZE;
	struct chunk *c = mem_alloc(sizeof(*c) + size);

	c->size = size;
	c->used = 0;
	if (size != CHUNK_SIZE && a->chunks != NULL) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

void *
conf_arena_alloc(struct conf_arena *a, size_t n)
{
	struct chunk *c = a->chunks;
	void *p;

	if (n > SIZE_MAX / 2)
		n = SIZE_MAX / 2;	/* mem_alloc ends the process */
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (c == NULL || c->size - c->used < n)
		c = chunk_add(a, n);
	p = c->data + c->used;
	c->used += n;
	memset(p, 0, n);
	return p;
}

char *
conf_arena_strndup(struct conf_arena *a, const char *p, size_t n)
{
	char *s = conf_arena_alloc(a, n + 1);

	if (n > 0)
		memcpy(s, p, n);
	return s;
}

char *
conf_arena_strdup(struct conf_arena *a, const char *s)
{
	return s == NULL ? NULL : conf_arena_strndup(a, s, strlen(s));
}

void *
conf_arena_push(struct conf_arena *a, void *items_ptr, size_t *count,
    size_t size)
{
	unsigned char *items, *grown;
	size_t n = *count;

	memcpy(&items, items_ptr, sizeof(items));
	/* Full at 0 and at each power of two from 4 on. */
	if (n == 0 || (n >= 4 && (n & (n - 1)) == 0)) {
		grown = conf_arena_alloc(a, (n == 0 ? 4 : 2 * n) * size);
		if (n > 0)
			memcpy(grown, items, n * size);
		items = grown;
		memcpy(items_ptr, &items, sizeof(items));
	}
	*count = n + 1;
	return items + n * size;
}

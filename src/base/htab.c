/* The hash table: a dense array of entries and an index of open addressing
 * over it.  On failure: as mem.c.  SipHash-1-3 with a random key. */
#include "base/htab.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

#define KEY_INLINE 16
#define SLOT_EMPTY 0

struct entry {
	uint64_t hash;
	void *value;
	size_t key_n;
	union {
		char bytes[KEY_INLINE];
		char *heap;		/* where key_n > KEY_INLINE */
	} key;
};

struct htab {
	struct entry *entries;
	size_t count;
	size_t room;			/* of entries */
	uint32_t *slots;		/* index of the entry + 1 */
	size_t mask;			/* slots - 1 */
};

static uint64_t sip_key[2];
static bool sip_ready;

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

static uint64_t
sip_hash(const char *p, size_t n)
{
	uint64_t v[4] = {
		sip_key[0] ^ 0x736f6d6570736575u,
		sip_key[1] ^ 0x646f72616e646f6du,
		sip_key[0] ^ 0x6c7967656e657261u,
		sip_key[1] ^ 0x7465646279746573u,
	};
	uint64_t last = (uint64_t)n << 56;
	uint64_t word;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)(unsigned char)p[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const char *
key_of(const struct entry *e)
{
	return e->key_n > KEY_INLINE ? e->key.heap : e->key.bytes;
}

struct htab *
htab_new(void)
{
	struct htab *h = mem_zalloc(sizeof(*h));

	if (!sip_ready) {
		rand_bytes(sip_key, sizeof(sip_key));
		sip_ready = true;
	}
	h->mask = 7;
	h->slots = mem_zarray(h->mask + 1, sizeof(h->slots[0]));
	return h;
}

void
htab_free(struct htab **hp)
{
	struct htab *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->count; i++) {
		if (h->entries[i].key_n > KEY_INLINE)
			free(h->entries[i].key.heap);
	}
	free(h->entries);
	free(h->slots);
	free(h);
}

size_t
htab_count(const struct htab *h)
{
	return h->count;
}

/* The slot that holds the key, or the empty one where the search ended. */
static size_t
find_slot(const struct htab *h, struct slice key, uint64_t hash)
{
	size_t i = (size_t)hash & h->mask;

	for (; h->slots[i] != SLOT_EMPTY; i = (i + 1) & h->mask) {
		const struct entry *e = &h->entries[h->slots[i] - 1];

		if (e->hash == hash && e->key_n == key.n &&
		    (key.n == 0 || memcmp(key_of(e), key.p, key.n) == 0))
			return i;
	}
	return i;
}

static void
grow(struct htab *h)
{
	if (h->count == h->room) {
		h->room = h->room ? h->room * 2 : 4;
		h->entries = mem_resize(h->entries,
		    h->room * sizeof(h->entries[0]));
	}
	if ((h->count + 1) * 4 <= (h->mask + 1) * 3)
		return;
	free(h->slots);
	h->mask = h->mask * 2 + 1;
	h->slots = mem_zarray(h->mask + 1, sizeof(h->slots[0]));
	for (size_t k = 0; k < h->count; k++) {
		size_t i = (size_t)h->entries[k].hash & h->mask;

		while (h->slots[i] != SLOT_EMPTY)
			i = (i + 1) & h->mask;
		h->slots[i] = (uint32_t)(k + 1);
	}
}

void *
htab_get(const struct htab *h, struct slice key)
{
	size_t i = find_slot(h, key, sip_hash(key.p, key.n));

	return h->slots[i] ? h->entries[h->slots[i] - 1].value : NULL;
}

void *
htab_put(struct htab *h, struct slice key, void *value)
{
	uint64_t hash = sip_hash(key.p, key.n);
	size_t i = find_slot(h, key, hash);
	struct entry *e;

	if (h->slots[i] != SLOT_EMPTY) {
		void *old;

		e = &h->entries[h->slots[i] - 1];
		old = e->value;
		e->value = value;
		return old;
	}
	grow(h);
	i = find_slot(h, key, hash);
	e = &h->entries[h->count++];
	e->hash = hash;
	e->value = value;
	e->key_n = key.n;
	if (key.n > KEY_INLINE)
		e->key.heap = mem_dup(key.p, key.n);
	else if (key.n > 0)
		memcpy(e->key.bytes, key.p, key.n);
	h->slots[i] = (uint32_t)h->count;
	return NULL;
}

/* Empties slot i and moves back those behind it that were displaced. */
static void
empty_slot(struct htab *h, size_t i)
{
	size_t j = i;

	for (;;) {
		size_t home;

		j = (j + 1) & h->mask;
		if (h->slots[j] == SLOT_EMPTY)
			break;
		home = (size_t)h->entries[h->slots[j] - 1].hash & h->mask;
		if (((j - home) & h->mask) >= ((j - i) & h->mask)) {
			h->slots[i] = h->slots[j];
			i = j;
		}
	}
	h->slots[i] = SLOT_EMPTY;
}

void *
htab_del(struct htab *h, struct slice key)
{
	size_t i = find_slot(h, key, sip_hash(key.p, key.n));
	size_t at, last;
	struct entry *e;
	void *value;

	if (h->slots[i] == SLOT_EMPTY)
		return NULL;
	at = h->slots[i] - 1;
	e = &h->entries[at];
	value = e->value;
	empty_slot(h, i);
	if (e->key_n > KEY_INLINE)
		free(e->key.heap);
	last = --h->count;
	if (at != last) {
		/* The last entry fills the gap.  A walk goes from the end to
		 * the front, so it has seen that one already. */
		const struct entry *moved = &h->entries[last];

		i = find_slot(h, slice_of(key_of(moved), moved->key_n),
		    moved->hash);
		h->slots[i] = (uint32_t)(at + 1);
		*e = *moved;
	}
	return value;
}

void *
htab_get_u64(const struct htab *h, uint64_t key)
{
	return htab_get(h, slice_of(&key, sizeof(key)));
}

void *
htab_put_u64(struct htab *h, uint64_t key, void *value)
{
	return htab_put(h, slice_of(&key, sizeof(key)), value);
}

void *
htab_del_u64(struct htab *h, uint64_t key)
{
	return htab_del(h, slice_of(&key, sizeof(key)));
}

/* *pos is the index of the entry returned last, plus one. */
void *
htab_next(const struct htab *h, size_t *pos, struct slice *key)
{
	size_t i;

	if (h->count == 0 || *pos == 1)
		return NULL;
	i = *pos == 0 ? h->count - 1 : *pos - 2;
	*pos = i + 1;
	if (key != NULL)
		*key = slice_of(key_of(&h->entries[i]), h->entries[i].key_n);
	return h->entries[i].value;
}

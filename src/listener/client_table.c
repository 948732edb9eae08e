/* Connections and message rates of clients (listener).  Memory: one small
 * entry for each address that is connected or whose rate is still running,
 * swept once a minute.  Cannot fail. */
#include "listener/client_table.h"

#include <stdlib.h>

#include "base/htab.h"
#include "base/mem.h"

struct client_table {
	struct htab *entries;		/* key -> struct client_entry */
};

struct client_entry {
	unsigned connections;
	uint64_t full_us;		/* when the whole rate is free again */
	size_t key_n;
	char key[];
};

struct client_table *
client_table_new(void)
{
	struct client_table *t = mem_zalloc(sizeof *t);

	t->entries = htab_new();
	return t;
}

void
client_table_free(struct client_table **tp)
{
	struct client_table *t = *tp;
	void *e;
	size_t pos = 0;

	if (t == NULL)
		return;
	while ((e = htab_next(t->entries, &pos, NULL)) != NULL)
		free(e);
	htab_free(&t->entries);
	free(t);
	*tp = NULL;
}

struct client_entry *
client_table_enter(struct client_table *t, struct slice key)
{
	struct client_entry *e = htab_get(t->entries, key);

	if (e == NULL) {
		e = mem_zalloc(sizeof *e + key.n);
		e->key_n = key.n;
		memcpy(e->key, key.p, key.n);
		htab_put(t->entries, key, e);
	}
	e->connections++;
	return e;
}

void
client_table_leave(struct client_table *t, struct client_entry **ep)
{
	struct client_entry *e = *ep;

	*ep = NULL;
	if (--e->connections > 0 || e->full_us != 0)
		return;
	htab_del(t->entries, slice_of(e->key, e->key_n));
	free(e);
}

unsigned
client_table_connections(const struct client_entry *e)
{
	return e->connections;
}

bool
client_table_rate(struct client_entry *e, const struct conf_rate *rate,
    uint64_t now_ms)
{
	uint64_t now = now_ms * 1000, step, full;

	if (rate->count == 0)
		return true;
	step = rate->per * 1000 / rate->count;
	full = e->full_us > now ? e->full_us : now;
	if (full - now + step > rate->per * 1000)
		return false;
	e->full_us = full + step;
	return true;
}

void
client_table_sweep(struct client_table *t, uint64_t now_ms)
{
	struct client_entry *e;
	size_t pos = 0;

	while ((e = htab_next(t->entries, &pos, NULL)) != NULL) {
		if (e->full_us > now_ms * 1000)
			continue;
		e->full_us = 0;
		if (e->connections > 0)
			continue;
		htab_del(t->entries, slice_of(e->key, e->key_n));
		free(e);
	}
}

size_t
client_table_count(const struct client_table *t)
{
	return htab_count(t->entries);
}

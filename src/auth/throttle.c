/* Failures to log in, by client (auth).  Bounded: beyond THROTTLE_MAX clients
 * a new one waits as long as the worst, nothing is forgotten for it. */
#include "auth/throttle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/htab.h"
#include "base/mem.h"

#define FREE_FAILURES 3
#define DELAY_MS 1000
#define DELAY_MAX_MS 16000
#define FORGET_MS (15 * 60 * 1000)
#define THROTTLE_MAX 100000

struct throttle {
	struct htab *entries;		/* client -> struct entry */
};

struct entry {
	unsigned failures;
	uint64_t last;
	size_t key_n;
	char key[];
};

void
auth_throttle_client(const char *client, char out[THROTTLE_CLIENT])
{
	struct in6_addr a;

	snprintf(out, THROTTLE_CLIENT, "%s", client);
	if (strchr(client, ':') == NULL ||
	    inet_pton(AF_INET6, client, &a) != 1)
		return;
	memset(a.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &a, out, THROTTLE_CLIENT);
}

static struct slice
key_of(const char *client, char room[THROTTLE_CLIENT])
{
	auth_throttle_client(client, room);
	return slice_cstr(room);
}

static uint64_t
delay_of(unsigned failures)
{
	uint64_t ms = DELAY_MS;
	unsigned i;

	if (failures <= FREE_FAILURES)
		return 0;
	for (i = FREE_FAILURES + 1; i < failures && ms < DELAY_MAX_MS; i++)
		ms *= 2;
	return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

struct throttle *
auth_throttle_new(void)
{
	struct throttle *t = mem_zalloc(sizeof *t);

	t->entries = htab_new();
	return t;
}

static void
entry_free(struct throttle *t, struct entry *e)
{
	htab_del(t->entries, slice_of(e->key, e->key_n));
	free(e);
}

void
auth_throttle_free(struct throttle **tp)
{
	struct throttle *t = *tp;
	struct entry *e;
	size_t pos = 0;

	if (t == NULL)
		return;
	while ((e = htab_next(t->entries, &pos, NULL)) != NULL)
		entry_free(t, e);
	htab_free(&t->entries);
	free(t);
	*tp = NULL;
}

uint64_t
auth_throttle_failure(struct throttle *t, const char *client, uint64_t now)
{
	char room[THROTTLE_CLIENT];
	struct slice key = key_of(client, room);
	struct entry *e = htab_get(t->entries, key);

	if (e == NULL && htab_count(t->entries) >= THROTTLE_MAX)
		return DELAY_MAX_MS;
	if (e == NULL) {
		e = mem_zalloc(sizeof *e + key.n);
		e->key_n = key.n;
		memcpy(e->key, key.p, key.n);
		htab_put(t->entries, key, e);
	} else if (now - e->last > FORGET_MS) {
		e->failures = 0;
	}
	e->last = now;
	e->failures++;
	return delay_of(e->failures);
}

uint64_t
auth_throttle_wait(const struct throttle *t, const char *client, uint64_t now)
{
	char room[THROTTLE_CLIENT];
	const struct entry *e = htab_get(t->entries, key_of(client, room));

	return e == NULL || now - e->last > FORGET_MS ? 0 :
	    delay_of(e->failures + 1);
}

void
auth_throttle_success(struct throttle *t, const char *client)
{
	char room[THROTTLE_CLIENT];
	struct entry *e = htab_get(t->entries, key_of(client, room));

	if (e != NULL)
		entry_free(t, e);
}

void
auth_throttle_sweep(struct throttle *t, uint64_t now)
{
	struct entry *e;
	size_t pos = 0;

	while ((e = htab_next(t->entries, &pos, NULL)) != NULL)
		if (now - e->last > FORGET_MS)
			entry_free(t, e);
}

size_t
auth_throttle_count(const struct throttle *t)
{
	return htab_count(t->entries);
}

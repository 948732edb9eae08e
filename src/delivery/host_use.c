/*
 * The count of a host's connections, over all pools of a transport.  Run by
 * delivery.
 */
#include "delivery/host_use.h"

#include <stdlib.h>

#include "base/mem.h"

struct host_use *
host_use_get(struct htab *all, const char *transport, const char *host,
    unsigned port)
{
	char *key = mem_printf("%s %s:%u", transport, host, port);
	struct host_use *u = htab_get(all, slice_cstr(key));

	if (u == NULL) {
		u = mem_zalloc(sizeof(*u));
		u->all = all;
		u->key = key;
		TAILQ_INIT(&u->wanted);
		htab_put(all, slice_cstr(key), u);
	} else {
		free(key);
	}
	u->hosts++;
	return u;
}

void
host_use_put(struct host_use **up)
{
	struct host_use *u = *up;

	*up = NULL;
	if (--u->hosts > 0)
		return;
	htab_del(u->all, slice_cstr(u->key));
	free(u->key);
	free(u);
}

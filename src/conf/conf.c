/* Questions about a finished model, asked by every role. */
#include "conf/conf.h"

#include <string.h>

#include "conf/arena.h"

void
conf_free(struct conf **conf)
{
	struct conf_arena *arena;

	if (*conf == NULL)
		return;
	arena = (*conf)->memory;	/* the model itself lies in it */
	*conf = NULL;
	conf_arena_free(&arena);
}

size_t
conf_transport_find(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->n_transports; i++)
		if (strcmp(conf->transports[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

const struct conf_transport *
conf_transport_get(const struct conf *conf, const char *name)
{
	size_t i = conf_transport_find(conf, name);

	if (i != SIZE_MAX)
		return &conf->transports[i];
	return strcmp(name, "direct") == 0 ? conf->direct : NULL;
}

bool
conf_transport_by_mx(const struct conf_transport *t, const char **domain)
{
	*domain = NULL;
	if (t->kind == TRANSPORT_DIRECT)
		return true;
	if (t->n_hosts != 1 || !t->hosts[0].mx)
		return false;
	*domain = t->hosts[0].name;
	return true;
}

size_t
conf_account_find(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->n_accounts; i++)
		if (strcmp(conf->accounts[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

bool
conf_net_match(const struct conf_net *net, bool v6, const unsigned char *addr)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	unsigned char mask = (unsigned char)(0xff00u >> rest);

	if (net->v6 != v6 || memcmp(net->addr, addr, whole) != 0)
		return false;
	return rest == 0 || ((net->addr[whole] ^ addr[whole]) & mask) == 0;
}

bool
conf_nets_match(const struct conf_nets *nets, bool v6,
    const unsigned char *addr)
{
	size_t i;

	for (i = 0; i < nets->n; i++)
		if (conf_net_match(&nets->v[i], v6, addr))
			return true;
	return false;
}

const struct conf_client *
conf_client_of(const struct conf *conf, bool v6, const unsigned char *addr)
{
	const struct conf_client *c, *best = NULL;
	size_t i;

	for (i = 0; i < conf->n_clients; i++) {
		c = &conf->clients[i];
		if (conf_net_match(&c->net, v6, addr) &&
		    (best == NULL || c->net.bits > best->net.bits))
			best = c;
	}
	return best;
}

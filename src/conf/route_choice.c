/* The choice of account and transports: smarthostd.conf(5), "account" and
 * "route".  Run by queue at each attempt and by tools; pure, cannot fail. */
#include "conf/route_choice.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "conf/build.h"
#include "mail/pattern.h"

struct client {
	bool known, v6;
	unsigned char addr[16];
};

static struct client
client_of(const char *text)
{
	struct client c = { 0 };
	struct conf_net net;
	bool host_bits;

	/* conf_net_parse turns mapped addresses into IPv4. */
	if (text != NULL && strchr(text, '/') == NULL &&
	    conf_net_parse(text, &net, &host_bits)) {
		c.known = true;
		c.v6 = net.v6;
		memcpy(c.addr, net.addr, sizeof(c.addr));
	}
	return c;
}

static bool
patterns_match(const struct conf_patterns *p, const struct mail_subject *s)
{
	return mail_pattern_best(p->v, p->n, s) != NULL;
}

/* ---- account ---- */

static bool
uid_listed(const struct conf_list *list, int64_t uid)
{
	uint64_t n;
	size_t i;

	for (i = 0; i < list->n; i++)
		if (uid >= 0 && num_u64(slice_cstr(list->v[i]), UINT32_MAX,
		    &n) && n == (uint64_t)uid)
			return true;
	return false;
}

static bool
may_use(const struct conf_account *a, const struct route_query *q,
    const struct client *c)
{
	if (!a->use_by_set)
		return true;
	return (a->use_by_login && q->login != NULL) ||
	    (c->known && conf_nets_match(&a->use_by_net, c->v6, c->addr)) ||
	    uid_listed(&a->use_by_uid, q->uid);
}

static const struct conf_account *
named_account(const struct conf *conf, const char *name)
{
	size_t i = name != NULL ? conf_account_find(conf, name) : SIZE_MAX;

	return i != SIZE_MAX ? &conf->accounts[i] : NULL;
}

static const struct conf_account *
login_account(const struct conf *conf, const char *login)
{
	size_t i;

	for (i = 0; login != NULL && i < conf->n_logins; i++)
		if (strcmp(conf->logins[i].name, login) == 0)
			return named_account(conf, conf->logins[i].account);
	return NULL;
}

static const struct conf_account *
client_account(const struct conf *conf, const struct client *c)
{
	const struct conf_client *block;

	if (!c->known || (block = conf_client_of(conf, c->v6, c->addr)) ==
	    NULL)
		return NULL;
	return named_account(conf, block->account);
}

/* By the most specific sender pattern; of equals the first. */
static const struct conf_account *
sender_account(const struct conf *conf, const struct route_query *q,
    const struct client *c)
{
	const struct conf_account *a, *best = NULL;
	const struct mail_pattern *p, *best_p = NULL;
	struct mail_subject from;
	size_t i;

	mail_subject_set(&from, slice_cstr(q->from));
	for (i = 0; i < conf->n_accounts; i++) {
		a = &conf->accounts[i];
		p = mail_pattern_best(a->senders.v, a->senders.n, &from);
		if (p == NULL || !may_use(a, q, c))
			continue;
		if (best_p == NULL || mail_pattern_compare(p, best_p) < 0) {
			best = a;
			best_p = p;
		}
	}
	return best;
}

const struct conf_account *
route_account(const struct conf *conf, const struct route_query *q)
{
	struct client c = client_of(q->client);
	const struct conf_account *a;
	size_t i;

	if ((a = login_account(conf, q->login)) != NULL ||
	    (a = client_account(conf, &c)) != NULL ||
	    (a = sender_account(conf, q, &c)) != NULL)
		return a;
	for (i = 0; i < conf->n_accounts; i++)
		if (conf->accounts[i].is_default)
			return &conf->accounts[i];
	return NULL;
}

/* ---- route ---- */

struct choice {
	const struct conf *conf;
	const struct route_query *q;
	struct mail_subject from, to;
	struct client client;
	struct route_answer *a;
	route_trace *trace;
	void *arg;
};

static bool
login_listed(const struct conf_list *list, const char *login)
{
	size_t i;

	for (i = 0; login != NULL && i < list->n; i++)
		if (strcmp(list->v[i], login) == 0)
			return true;
	return false;
}

/* NULL: it matches; else the first criterion that fails. */
static const char *
mismatch(const struct choice *ch, const struct conf_route *r)
{
	const struct route_query *q = ch->q;

	if (r->from.n > 0 && !patterns_match(&r->from, &ch->from))
		return "from";
	if (r->to.n > 0 && (q->to == NULL ||
	    !patterns_match(&r->to, &ch->to)))
		return "to";
	if (q->attempts < r->attempts)
		return "attempts";
	if (r->login.n > 0 && !login_listed(&r->login, q->login))
		return "login";
	if (r->client.n > 0 && (!ch->client.known ||
	    !conf_nets_match(&r->client, ch->client.v6, ch->client.addr)))
		return "client";
	if (r->larger_set && q->size <= r->larger)
		return "larger";
	if (q->age < r->age)
		return "age";
	return NULL;
}

static bool
choose_from(struct choice *ch, const struct conf_route *routes, size_t n)
{
	struct route_answer *a = ch->a;
	const char *reason;
	size_t i, j;

	for (i = 0; i < n; i++) {
		reason = mismatch(ch, &routes[i]);
		if (ch->trace != NULL)
			ch->trace(ch->arg, &routes[i], reason);
		if (reason != NULL)
			continue;
		a->route = &routes[i];
		for (j = 0; j < routes[i].via.n &&
		    j < sizeof(a->via) / sizeof(a->via[0]); j++)
			a->via[a->n_via++] = routes[i].via_index[j];
		return true;
	}
	return false;
}

static bool
choose_by_domain(struct choice *ch)
{
	const struct conf *conf = ch->conf;
	size_t i;

	/* The list is sorted, the most specific first. */
	for (i = 0; i < conf->n_domains; i++)
		if (mail_pattern_match(conf->domains[i].pattern, &ch->from) &&
		    choose_from(ch, conf->domains[i].routes,
		    conf->domains[i].n_routes))
			return true;
	return false;
}

void
route_choose(const struct conf *conf, const struct route_query *q,
    struct route_answer *a, route_trace *trace, void *arg)
{
	struct choice ch = { .conf = conf, .q = q, .a = a, .trace = trace,
	    .arg = arg, .client = client_of(q->client) };

	memset(a, 0, sizeof(*a));
	a->account = named_account(conf, q->account);
	if (a->account == NULL)
		a->account = route_account(conf, q);
	mail_subject_set(&ch.from, slice_cstr(q->from));
	mail_subject_set(&ch.to, slice_cstr(q->to));
	if ((a->account != NULL && choose_from(&ch, a->account->routes,
	    a->account->n_routes)) || choose_by_domain(&ch) ||
	    choose_from(&ch, conf->routes, conf->n_routes))
		return;
	a->n_via = 1;
	a->via[0] = a->account != NULL ? a->account->transport : SIZE_MAX;
}

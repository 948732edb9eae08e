/*
 * Which transports mail of a domain can take.
 *
 * Tools.  Pure.  Every account that such mail may belong to is followed as
 * route_choice.c does it, with conditions about what is not known (recipient,
 * size, attempts, client) taken as "perhaps"; a route without any of them ends
 * the search.
 */
#include <string.h>

#include "conf/route_reach.h"
#include "mail/address.h"
#include "mail/domain.h"
#include "mail/pattern.h"

/* How many of a domain's addresses a pattern matches. */
enum share { NOTHING, SOME, ALL };

struct search {
	const struct conf *conf;
	struct slice domain;		/* empty: senders of any domain */
	bool *reached;
};

static enum share
share_of(const struct mail_pattern *p, struct slice domain)
{
	struct slice own = slice_cstr(p->domain);

	if (domain.n == 0)
		return SOME;
	if (p->kind == MAIL_PATTERN_ANY && p->domain == NULL)
		return ALL;
	if (p->kind == MAIL_PATTERN_BELOW)
		return mail_domain_within(domain, own) ? ALL : NOTHING;
	if (own.n == 0 || !slice_eq_case(own, domain))
		return NOTHING;
	return p->local == NULL ? ALL : SOME;
}

/* An empty list is anything. */
static enum share
share_of_list(const struct conf_patterns *list, struct slice domain)
{
	enum share most = list->n == 0 ? ALL : NOTHING, one;
	size_t i;

	for (i = 0; i < list->n; i++) {
		one = share_of(&list->v[i], domain);
		if (one > most)
			most = one;
	}
	return most;
}

static void
reach(struct search *s, size_t via)
{
	s->reached[via < s->conf->n_transports ? via :
	    s->conf->n_transports] = true;
}

/* True: no mail gets past it. */
static bool
take_route(struct search *s, const struct conf_route *r, enum share share)
{
	enum share from = share_of_list(&r->from, s->domain);
	size_t i;

	if (from == NOTHING)
		return false;
	for (i = 0; i < r->via.n; i++)
		reach(s, r->via_index[i]);
	return share == ALL && from == ALL && r->to.n == 0 &&
	    r->attempts == 0 && r->login.n == 0 && r->client.n == 0 &&
	    !r->larger_set && r->age == 0;
}

static bool
take_routes(struct search *s, const struct conf_route *routes, size_t n,
    enum share share)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (take_route(s, &routes[i], share))
			return true;
	return false;
}

static bool
take_domains(struct search *s)
{
	const struct conf *conf = s->conf;
	enum share share;
	size_t i;

	for (i = 0; i < conf->n_domains; i++) {
		share = share_of(conf->domains[i].pattern, s->domain);
		if (share != NOTHING && take_routes(s,
		    conf->domains[i].routes, conf->domains[i].n_routes,
		    share))
			return true;
	}
	return false;
}

/* NULL: mail that belongs to none. */
static void
follow(struct search *s, const struct conf_account *a)
{
	const struct conf *conf = s->conf;

	if (a != NULL && take_routes(s, a->routes, a->n_routes, ALL))
		return;
	if (take_domains(s) ||
	    take_routes(s, conf->routes, conf->n_routes, ALL))
		return;
	reach(s, a != NULL ? a->transport : SIZE_MAX);
}

static bool
named(const char *account, const char *name)
{
	return account != NULL && strcmp(account, name) == 0;
}

/* Somebody is given this account, whatever he sends as. */
static bool
assigned(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->n_logins; i++)
		if (named(conf->logins[i].account, name))
			return true;
	for (i = 0; i < conf->n_clients; i++)
		if (named(conf->clients[i].account, name))
			return true;
	return false;
}

/* It makes senders of the domain of others. */
static bool
rewrites_to(const struct conf_account *a, struct slice domain)
{
	struct slice local, own;

	if (a->rewrite_envelope == NULL)
		return false;
	mail_address_split(slice_cstr(a->rewrite_envelope), &local, &own);
	return slice_eq_case(own, domain);
}

static enum share
senders(const struct conf_account *a, struct slice domain)
{
	return a->senders.n == 0 ? NOTHING :
	    share_of_list(&a->senders, domain);
}

void
route_reach(const struct conf *conf, const char *domain, bool *reached)
{
	struct search s = { conf, slice_cstr(domain), reached };
	struct search any = { conf, slice_of("", 0), reached };
	const struct conf_account *a;
	bool all_owned = false, fallback = false;
	size_t i;

	memset(reached, 0, (conf->n_transports + 1) * sizeof(*reached));
	for (i = 0; i < conf->n_accounts; i++)
		if (senders(&conf->accounts[i], s.domain) == ALL &&
		    !conf->accounts[i].use_by_set)
			all_owned = true;
	for (i = 0; i < conf->n_accounts; i++) {
		a = &conf->accounts[i];
		fallback |= a->is_default;
		if (senders(a, s.domain) != NOTHING ||
		    (a->is_default && !all_owned) ||
		    (a->senders.n == 0 && assigned(conf, a->name)))
			follow(&s, a);
		if (rewrites_to(a, s.domain))
			follow(&any, a);
	}
	if (!fallback && !all_owned)
		follow(&s, NULL);
}

/* Names of this machine: aliases, then the transport `local`, else the
 * postmaster where that is an address elsewhere.  root's mail is never
 * delivered with root's rights: where its mailbox would be found by its name
 * it goes to the postmaster.  Queue and tools; always an answer. */
#include "conf/local_choice.h"

#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "mail/address.h"
#include "mail/alias_table.h"
#include "mail/domain.h"

struct conf_local {
	const struct conf *conf;
	struct htab *domains;		/* normal form */
	struct alias_table *aliases;	/* NULL: none */
	const struct conf_transport *transport;	/* `local`, or NULL */
	bool by_home;			/* its users are those of passwd */
	bool by_name;			/* the user's name is in its path */
	bool elsewhere;			/* the postmaster is */
};

/* What one recipient comes to. */
struct search {
	const struct conf_local *l;
	struct slice domain;		/* for bare names */
	struct local_answer *out;
	bool via_root;
};

static bool
is_ours(void *arg, struct slice domain)
{
	const struct conf_local *l = arg;
	char name[MAIL_DOMAIN_MAX + 1];

	return mail_domain_normal(domain, name) == 0 &&
	    htab_get(l->domains, slice_cstr(name)) != NULL;
}

bool
conf_local_has(const struct conf_local *l, const char *address)
{
	struct slice local, domain;

	mail_address_split(slice_cstr(address), &local, &domain);
	return domain.n == 0 || is_ours((void *)(uintptr_t)l, domain);
}

struct conf_local *
conf_local_new(const struct conf *conf, struct slice aliases)
{
	struct conf_local *l = mem_zalloc(sizeof(*l));
	char name[MAIL_DOMAIN_MAX + 1];
	const char *path;
	size_t i;

	l->conf = conf;
	l->domains = htab_new();
	for (i = 0; i < conf->local_domains.n; i++)
		if (mail_domain_normal(slice_cstr(conf->local_domains.v[i]),
		    name) == 0)
			htab_put(l->domains, slice_cstr(name), l);
	if (aliases.n > 0)
		l->aliases = alias_table_new(aliases);
	i = conf_transport_find(conf, "local");
	if (i != SIZE_MAX)
		l->transport = &conf->transports[i];
	path = l->transport != NULL ? l->transport->maildir : NULL;
	if (path != NULL) {
		l->by_home = path[0] == '~';
		l->by_name = l->by_home || strstr(path, "%u") != NULL;
	}
	if (l->transport != NULL && l->transport->kind == TRANSPORT_MDA)
		l->by_home = l->by_name = true;
	l->elsewhere = conf->postmaster != NULL &&
	    !conf_local_has(l, conf->postmaster);
	return l;
}

void
conf_local_free(struct conf_local **lp)
{
	struct conf_local *l = *lp;

	if (l == NULL)
		return;
	*lp = NULL;
	htab_free(&l->domains);
	alias_table_free(&l->aliases);
	free(l);
}

static void
add(struct search *s, struct slice address, bool here)
{
	struct slice local, domain;
	struct local_place *p;
	size_t i;

	mail_address_split(address, &local, &domain);
	if (domain.n == 0)
		domain = s->domain;
	/* The table has seen to the rest; only the postmaster may come by
	 * more than one way. */
	for (i = 0; i < s->out->n && address.p == s->l->conf->postmaster; i++)
		if (mail_address_same(slice_cstr(s->out->v[i].address),
		    address))
			return;
	p = mem_push(&s->out->v, &s->out->n, sizeof(*p));
	p->address = mem_printf("%.*s@%.*s", (int)local.n, local.p,
	    (int)domain.n, domain.p);
	p->here = here;
}

static void find_name(struct search *s, struct slice local, size_t max);

static bool
is_root(const struct conf_local *l, struct slice address)
{
	struct slice local, domain;

	mail_address_split(address, &local, &domain);
	return l->by_name && slice_eq_case_cstr(local, "root");
}

/* root, where nothing may be delivered for it. */
static void
add_root(struct search *s, size_t max)
{
	static const struct slice postmaster = { "postmaster", 10 };

	if (s->l->elsewhere) {
		add(s, slice_cstr(s->l->conf->postmaster), false);
	} else if (!s->via_root) {
		s->via_root = true;
		find_name(s, postmaster, max);
	} else if (!s->l->by_home) {
		add(s, postmaster, true);
	}
}

/* A user, no aliases any more. */
static void
add_user(struct search *s, struct slice address, size_t max)
{
	const struct conf_local *l = s->l;
	struct slice local, domain;

	mail_address_split(address, &local, &domain);
	if (l->transport == NULL) {
		if (l->elsewhere)
			add(s, slice_cstr(l->conf->postmaster), false);
	} else if (is_root(l, address)) {
		add_root(s, max);
	} else if (l->by_home && l->elsewhere &&
	    slice_eq_case_cstr(local, "postmaster")) {
		add(s, slice_cstr(l->conf->postmaster), false);
	} else {
		add(s, address, true);
	}
}

/* A name, by aliases where there is one. */
static void
find_name(struct search *s, struct slice local, size_t max)
{
	struct slice root = { NULL, 0 };
	struct alias_expansion x;
	size_t i;

	if (s->l->aliases == NULL || !alias_expand(s->l->aliases, local,
	    is_ours, (void *)(uintptr_t)s->l, max, &x)) {
		s->out->must_exist = s->via_root ? s->l->by_home :
		    s->l->by_name && !slice_eq_case_cstr(local, "postmaster");
		add_user(s, local, max);
		return;
	}
	s->out->must_exist = false;
	for (i = 0; i < x.n; i++) {
		if (x.v[i].user && is_root(s->l, slice_cstr(x.v[i].address)))
			root = slice_cstr(x.v[i].address);
		else if (x.v[i].user)
			add_user(s, slice_cstr(x.v[i].address), max);
		else
			add(s, slice_cstr(x.v[i].address), false);
	}
	/* root's alias that names root beside others has named them. */
	if (root.n > 0 && (s->out->n == 0 ||
	    !alias_table_has(s->l->aliases, SLICE_LIT("root"))))
		add_user(s, root, max);
	if (x.too_many)
		s->out->result = LOCAL_TOO_MANY;
	else if (x.later)
		s->out->result = LOCAL_LATER;
	else if (s->out->n == 0 && x.loop)
		s->out->result = LOCAL_LOOP;
	alias_expansion_clear(&x);
}

void
conf_local_resolve(struct conf_local *l, const char *address, size_t max,
    struct local_answer *a)
{
	struct search s = { .l = l, .out = a };
	struct slice local;

	memset(a, 0, sizeof(*a));
	a->result = LOCAL_UNKNOWN;
	mail_address_split(slice_cstr(address), &local, &s.domain);
	if (s.domain.n == 0)
		s.domain = slice_cstr(l->conf->hostname);
	find_name(&s, local, max);
	/* RFC 5321, 4.5.1: this one is always taken. */
	if (a->result == LOCAL_UNKNOWN && a->n == 0 && l->transport != NULL &&
	    slice_eq_case_cstr(local, "postmaster"))
		add(&s, local, true);
	if (a->n > max)
		a->result = LOCAL_TOO_MANY;
	if (a->n > 0 && a->result != LOCAL_TOO_MANY &&
	    a->result != LOCAL_LATER)
		a->result = LOCAL_FOUND;
	a->must_exist = a->must_exist && a->n == 1 && a->v[0].here;
}

void
local_answer_clear(struct local_answer *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		free(a->v[i].address);
	free(a->v);
	memset(a, 0, sizeof(*a));
}

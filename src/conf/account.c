/* Who sends: `account` and `domain` blocks.  monitor, listener, queue and
 * auth build their parts. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/num.h"
#include "conf/directives.h"
#include "mail/address.h"
#include "mail/pattern.h"

static conf_setter set_use_by, set_account_route, set_rewrite,
    set_domain_route;

/* ---- account ---- */

#define AT(field) .offset = offsetof(struct conf_account, field)

static const struct conf_directive account_rows[] = {
{ "use-by", "NETWORK... | uid NAME... | login", ARG_UIDS, NOW, L | Q, LIST,
    0, .set = set_use_by, .min = 1, .max = CONF_MANY },
{ "senders", "PATTERN...", ARG_PATTERNS, NOW, L | Q | A, LIST,
    AT(senders) },
{ "default", "", ARG_FLAG, NOW, L | Q, 0, AT(is_default) },
{ "route", "[from PATTERN...] [to PATTERN...] [attempts N] [login NAME...] "
    "[client NETWORK...] [larger SIZE] [age DURATION] via TRANSPORT...",
    ARG_CUSTOM, NOW, Q, LIST, 0, .set = set_account_route, .min = 1,
    .max = CONF_MANY },
{ "rewrite", "envelope|from ADDRESS [always]", ARG_CUSTOM, NOW, L | Q, LIST,
    0, .set = set_rewrite, .min = 2, .max = 3 },
{ "rewrite-signed", "on|off", ARG_BOOL, NOW, L | Q, 0, AT(rewrite_signed) },
{ "rate", "N/DURATION", ARG_RATE, NOW, Q, 0, AT(rate) },
{ "daily", "N", ARG_NUMBER, NOW, Q, 0, AT(daily) },
{ "bounce-from", "<>|ADDRESS", ARG_SENDER, NOW, Q, 0, AT(bounce_from) },
};

const struct conf_table conf_table_account = {
	"in an `account` block", account_rows,
	sizeof(account_rows) / sizeof(account_rows[0])
};

static void
use_by_uid(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct conf_account *a)
{
	const struct passwd *pw;
	char number[24];
	uint64_t uid;

	if (num_u64(slice_cstr(w->s), UINT32_MAX - 1, &uid)) {
		value_add_word(b, &a->use_by_uid, w->s);
		return;
	}
	/* Views hold numbers; roles cannot look names up. */
	pw = build_is_main(b) ? getpwnam(w->s) : NULL;
	if (pw == NULL) {
		build_error(b, s, w, "use-by uid: there is no user `%s`",
		    w->s);
		return;
	}
	snprintf(number, sizeof(number), "%lu", (unsigned long)pw->pw_uid);
	value_add_word(b, &a->use_by_uid, number);
}

static void
set_use_by(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_account *a = obj;
	struct conf_net net;
	size_t i;

	(void)d;
	a->use_by_set = true;
	if (word_is(&s->w[1], "uid")) {
		if (s->n < 3)
			build_error(b, s, NULL, "use-by uid: names are "
			    "missing");
		for (i = 2; i < s->n; i++)
			use_by_uid(b, s, &s->w[i], a);
		return;
	}
	if (s->n == 2 && word_is(&s->w[1], "login")) {
		a->use_by_login = true;
		return;
	}
	for (i = 1; i < s->n; i++)
		if (value_net(b, s, &s->w[i], &net))
			value_add_net(b, &a->use_by_net, &net);
}

static void
set_account_route(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_account *a = obj;

	(void)d;
	build_route(b, s, &a->routes, &a->n_routes);
}

static void
set_rewrite(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_account *a = obj;
	bool envelope = word_is(&s->w[1], "envelope");
	char **address = envelope ? &a->rewrite_envelope : &a->rewrite_from;
	bool always = s->n == 4 && word_is(&s->w[3], "always");

	(void)d;
	if (!envelope && !word_is(&s->w[1], "from"))
		build_error(b, s, &s->w[1], "rewrite `envelope` or `from`?");
	else if (*address != NULL)
		build_error(b, s, NULL, "rewrite %s stands twice",
		    s->w[1].s);
	else if (!mail_address_valid(slice_cstr(s->w[2].s), true))
		build_error(b, s, &s->w[2], "rewrite: `%s` is not an address",
		    s->w[2].s);
	else if (s->n == 4 && !always)
		build_error(b, s, &s->w[3], "rewrite: `%s` is not `always`",
		    s->w[3].s);
	else
		*address = conf_arena_strdup(b->arena, s->w[2].s);
	if (envelope)
		a->rewrite_envelope_always = always;
	else
		a->rewrite_from_always = always;
}

/* An account named by an address has that address as a sender. */
static void
own_address(struct build *b, const struct conf_stmt *s,
    struct conf_account *a)
{
	struct mail_pattern p;

	if (strpbrk(a->name, "*") == NULL &&
	    mail_address_valid(slice_cstr(a->name), true) &&
	    value_pattern(b, s, &s->w[1], &p))
		value_add_pattern(b, &a->senders, &p);
}

/* The submission transport that stands in the account, if one does; errors:
 * how many there were before the account. */
static void
own_transport(struct build *b, const struct conf_stmt *s,
    struct conf_account *a, struct conf_transport *t, size_t errors)
{
	struct conf *conf = b->conf;

	if (!t->kind_set) {
		if (t->touched && b->notes->n_errors == errors &&
		    build_is_main(b))
			build_error(b, s, NULL, "account `%s` has statements "
			    "of a transport, but no `submission HOST:PORT`",
			    a->name);
		return;
	}
	transport_finish(b, s, t);
	a->transport = conf->n_transports;
	*(struct conf_transport *)conf_arena_push(b->arena,
	    &conf->transports, &conf->n_transports, sizeof(*t)) = *t;
}

void
set_account(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_account a;
	struct conf_transport t;
	size_t i, errors = b->notes->n_errors;

	memset(&a, 0, sizeof(a));
	a.where = build_where(b, s);
	a.name = build_name(b, s);
	a.transport = SIZE_MAX;
	own_address(b, s, &a);
	transport_init(b, s, &t);
	t.account = a.name;
	build_block(b, s, d->block, &a, CTX_TRANSPORT, &t);
	for (i = 0; i < s->n_kids; i++)
		if (!s->kids[i].bad && conf_directive_find(d->block,
		    s->kids[i].w[0].s) == NULL)
			t.touched = true;
	own_transport(b, s, &a, &t, errors);
	for (i = 0; i < conf->n_accounts; i++) {
		if (strcmp(conf->accounts[i].name, a.name) == 0)
			build_error(b, s, &s->w[1], "account `%s` is defined "
			    "already, in %s:%u", a.name,
			    conf->accounts[i].where.file,
			    conf->accounts[i].where.line);
		if (conf->accounts[i].is_default && a.is_default)
			build_error(b, s, NULL, "account `%s` is a second "
			    "default account; the first is `%s` in %s:%u",
			    a.name, conf->accounts[i].name,
			    conf->accounts[i].where.file,
			    conf->accounts[i].where.line);
	}
	*(struct conf_account *)conf_arena_push(b->arena, &conf->accounts,
	    &conf->n_accounts, sizeof(a)) = a;
}

/* ---- domain ---- */

static const struct conf_directive domain_rows[] = {
{ "route", "[from PATTERN...] [to PATTERN...] [attempts N] [login NAME...] "
    "[client NETWORK...] [larger SIZE] [age DURATION] via TRANSPORT...",
    ARG_CUSTOM, NOW, Q, LIST, 0, .set = set_domain_route, .min = 1,
    .max = CONF_MANY },
};

const struct conf_table conf_table_domain = {
	"in a `domain` block", domain_rows,
	sizeof(domain_rows) / sizeof(domain_rows[0])
};

static void
set_domain_route(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_domain *dom = obj;

	(void)d;
	build_route(b, s, &dom->routes, &dom->n_routes);
}

void
set_domain(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_domain dom;
	bool good;

	memset(&dom, 0, sizeof(dom));
	dom.where = build_where(b, s);
	dom.order = conf->n_domains;
	dom.pattern = conf_arena_alloc(b->arena, sizeof(*dom.pattern));
	good = value_pattern(b, s, &s->w[1], dom.pattern);
	build_block(b, s, d->block, &dom, CTX_NONE, NULL);
	if (good)
		*(struct conf_domain *)conf_arena_push(b->arena,
		    &conf->domains, &conf->n_domains, sizeof(dom)) = dom;
}

static int
domain_cmp(const void *x, const void *y)
{
	const struct conf_domain *a = x, *b = y;
	int c = mail_pattern_compare(a->pattern, b->pattern);

	if (c != 0)
		return c;
	return a->order < b->order ? -1 : a->order > b->order;
}

void
domains_sort(struct build *b)
{
	if (b->conf->n_domains > 1)
		qsort(b->conf->domains, b->conf->n_domains,
		    sizeof(*b->conf->domains), domain_cmp);
}

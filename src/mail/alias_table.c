/* The table of aliases, for queue and the tools.  Pure; an expansion takes
 * each alias once, so its time is bounded by the table whatever it holds. */
#include "mail/alias_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "mail/address.h"
#include "mail/aliases.h"

#define DEPTH_MAX 50			/* aliases of aliases */

struct alias_target {
	enum alias_kind kind;
	char *text;
};

struct alias {
	struct alias_target *v;
	size_t n;
	bool busy;			/* on the way that is being gone */
	uint64_t run;			/* the last expansion that took it */
};

struct alias_table {
	struct htab *names;		/* lower case, no quotes */
	struct alias *deflt;
	struct alias *last;		/* while it is read; NULL: left out */
	uint64_t run;
};

struct expansion {
	struct alias_table *t;
	bool (*is_local)(void *arg, struct slice domain);
	void *arg;
	size_t max;
	struct htab *seen;
	struct alias_expansion *out;
};

/* ---- the table ---- */

static void
take_name(void *arg, unsigned line, struct slice name)
{
	struct alias_table *t = arg;

	(void)line;
	t->last = NULL;
	if (htab_get(t->names, name) != NULL)
		return;
	t->last = mem_zalloc(sizeof(*t->last));
	htab_put(t->names, name, t->last);
	if (slice_eq_cstr(name, "default"))
		t->deflt = t->last;
}

static void
take_target(void *arg, unsigned line, enum alias_kind kind, struct slice text)
{
	struct alias_table *t = arg;
	struct alias_target *k;

	(void)line;
	if (t->last == NULL)
		return;
	k = mem_push(&t->last->v, &t->last->n, sizeof(*k));
	k->kind = kind;
	k->text = slice_dup(text);
}

struct alias_table *
alias_table_new(struct slice text)
{
	struct alias_table *t = mem_zalloc(sizeof(*t));
	struct alias_reader r = { take_name, take_target, NULL, t };

	t->names = htab_new();
	aliases_read(text, &r);
	return t;
}

void
alias_table_free(struct alias_table **tp)
{
	struct alias_table *t = *tp;
	struct alias *a;
	size_t i, pos = 0;

	if (t == NULL)
		return;
	*tp = NULL;
	while ((a = htab_next(t->names, &pos, NULL)) != NULL) {
		for (i = 0; i < a->n; i++)
			free(a->v[i].text);
		free(a->v);
		free(a);
	}
	htab_free(&t->names);
	free(t);
}

static struct alias *
find(const struct alias_table *t, struct slice local)
{
	struct strbuf name = STRBUF_INIT;
	struct alias *a;
	size_t i;

	mail_local_unquote(local, &name);
	for (i = 0; i < name.n; i++)
		if (name.p[i] >= 'A' && name.p[i] <= 'Z')
			name.p[i] = (char)(name.p[i] + 32);
	a = htab_get(t->names, strbuf_slice(&name));
	strbuf_free(&name);
	return a;
}

bool
alias_table_has(const struct alias_table *t, struct slice local)
{
	return find(t, local) != NULL;
}

/* ---- expansion ---- */

static void
add_place(struct expansion *x, struct slice address, bool user)
{
	struct strbuf normal = STRBUF_INIT;
	struct alias_place *p;

	mail_address_normal(address, &normal);
	if (htab_get(x->seen, strbuf_slice(&normal)) != NULL) {
		/* once is enough */
	} else if (x->out->n >= x->max) {
		x->out->too_many = true;
	} else {
		htab_put(x->seen, strbuf_slice(&normal), x);
		p = mem_push(&x->out->v, &x->out->n, sizeof(*p));
		p->address = slice_dup(address);
		p->user = user;
	}
	strbuf_free(&normal);
}

static void go_alias(struct expansion *x, struct alias *a, unsigned depth);

/* A name of this machine, met in the alias `from`. */
static void
go_name(struct expansion *x, struct slice address, struct slice local,
    const struct alias *from, unsigned depth)
{
	struct alias *a = find(x->t, local);
	bool by_default = a == NULL;

	if (by_default)
		a = x->t->deflt;
	if (a == NULL || (a->busy && (a == from || by_default)))
		add_place(x, address, true);
	else if (a->busy || depth >= DEPTH_MAX)
		x->out->loop = true;
	else
		go_alias(x, a, depth + 1);
}

static void
go_target(struct expansion *x, const struct alias_target *k,
    const struct alias *from, unsigned depth)
{
	struct slice address = slice_cstr(k->text), local, domain;

	switch (k->kind) {
	case ALIAS_USER:
		add_place(x, address, true);
		break;
	case ALIAS_ADDRESS:
		mail_address_split(address, &local, &domain);
		if (domain.n > 0 && !x->is_local(x->arg, domain))
			add_place(x, address, false);
		else
			go_name(x, address, local, from, depth);
		break;
	case ALIAS_INCLUDE:
		x->out->later = true;
		break;
	case ALIAS_COMMAND:
	case ALIAS_FILE:
		break;
	}
}

static void
go_alias(struct expansion *x, struct alias *a, unsigned depth)
{
	size_t i;

	if (a->run == x->t->run)	/* what it holds is there already */
		return;
	a->run = x->t->run;
	a->busy = true;
	for (i = 0; i < a->n && !x->out->too_many; i++)
		go_target(x, &a->v[i], a, depth);
	a->busy = false;
}

bool
alias_expand(struct alias_table *t, struct slice local,
    bool (*is_local)(void *arg, struct slice domain), void *arg, size_t max,
    struct alias_expansion *out)
{
	struct expansion x = { .t = t, .is_local = is_local, .arg = arg,
	    .max = max, .out = out };
	struct alias *a = find(t, local);

	memset(out, 0, sizeof(*out));
	if (a == NULL)
		a = t->deflt;
	if (a == NULL)
		return false;
	t->run++;
	x.seen = htab_new();
	go_alias(&x, a, 0);
	htab_free(&x.seen);
	return true;
}

void
alias_expansion_clear(struct alias_expansion *x)
{
	size_t i;

	for (i = 0; i < x->n; i++)
		free(x->v[i].address);
	free(x->v);
	memset(x, 0, sizeof(*x));
}

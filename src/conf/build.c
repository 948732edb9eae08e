/* Statements into the model, by the tables of directives.  Every role builds
 * its view by this code, monitor and tools the whole.  Mistakes are noted
 * with their places and the walk goes on. */
#include "conf/build.h"

#include <stdio.h>
#include <string.h>

#include "conf/directives.h"

/* More rows than any table has. */
#define ROWS_MAX 64

void
build_error(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_error(b->notes, s->file, w != NULL ? w->line : s->line, "%s",
	    text);
}

void
build_flaw(struct build *b, const struct conf_stmt *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_flaw(b->notes, s->file, s->line, "%s", text);
}

void
build_warning(struct build *b, const struct conf_stmt *s, const char *fmt,
    ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_warning(b->notes, s->file, s->line, "%s", text);
}

bool
build_is_main(const struct build *b)
{
	return (b->role & (CONF_MONITOR | CONF_TOOL)) != 0;
}

struct conf_where
build_where(struct build *b, const struct conf_stmt *s)
{
	return (struct conf_where){ b->paths[s->file], s->line };
}

void
build_ref(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, enum conf_ref_kind kind, size_t *index)
{
	struct conf_ref *r = conf_arena_push(b->arena, &b->refs, &b->n_refs,
	    sizeof(*r));

	r->kind = kind;
	r->name = conf_arena_strdup(b->arena, w->s);
	r->file = s->file;
	r->line = w->line;
	r->index = index;
}

bool
word_is(const struct conf_word *w, const char *keyword)
{
	return !w->quoted && strcmp(w->s, keyword) == 0;
}

static void
arity(const struct conf_directive *d, unsigned *min, unsigned *max)
{
	*min = *max = 1;
	switch (d->arg) {
	case ARG_FLAG:
		*min = *max = 0;
		break;
	case ARG_HOSTS:
	case ARG_DURATIONS:
	case ARG_NETS:
	case ARG_PATTERNS:
	case ARG_WORDS:
	case ARG_MECHANISMS:
	case ARG_IPS:
		*max = CONF_MANY;
		break;
	case ARG_CUSTOM:
	case ARG_CERTIFICATE:
	case ARG_SECRET:
	case ARG_KERBEROS:
	case ARG_UIDS:
		*min = d->min;
		*max = d->max;
		break;
	default:
		break;
	}
}

/* What was written fits the row's shape? */
static bool
fits(struct build *b, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	unsigned min, max;

	if (s->hidden)
		return true;
	arity(d, &min, &max);
	if (s->block && (d->flags & (BLOCK | BLOCK_MAY)) == 0) {
		build_error(b, s, NULL, "%s takes no block", d->name);
		return false;
	}
	if (!s->block && (d->flags & BLOCK) != 0) {
		build_error(b, s, NULL, "%s needs a block: %s %s", d->name,
		    d->name, d->args);
		return false;
	}
	if (s->n - 1 < min) {
		build_error(b, s, NULL, "%s: arguments are missing: %s %s",
		    d->name, d->name, d->args);
		return false;
	}
	if (s->n - 1 > max) {
		build_error(b, s, NULL, "%s: too many arguments: %s%s%s",
		    d->name, d->name, max > 0 ? " " : "", d->args);
		return false;
	}
	return true;
}

struct scope {
	enum conf_context ctx;
	const struct conf_table *table;
	void *obj;
	unsigned seen[ROWS_MAX];	/* line of the first, per row */
};

/* Does what stands in front on the same line end with a secret? */
static bool
behind_secret(const struct conf_stmt *prev, const struct conf_stmt *s)
{
	static const char *const secrets[] = { "password", "client-secret" };
	size_t i;

	while (prev != NULL && prev->n_kids > 0)
		prev = &prev->kids[prev->n_kids - 1];
	for (i = 0; prev != NULL && i < 2; i++)
		if (word_is(&prev->w[0], secrets[i]))
			return prev->w[prev->n - 1].line == s->line;
	return false;
}

static void
unknown(struct build *b, const struct conf_stmt *s, const struct scope *sc,
    size_t n_sc, bool after_secret)
{
	const char *names[2 * ROWS_MAX], *near;
	enum conf_context ctx;
	size_t i, j, n = 0;

	if (s->w[0].quoted) {
		build_error(b, s, NULL, "a quoted word is a value and begins "
		    "no statement");
		return;
	}
	for (i = 0; i < n_sc; i++)
		for (j = 0; j < sc[i].table->n; j++)
			if (i == 0 || (sc[i].table->rows[j].flags &
			    NOT_IN_ACCOUNT) == 0)
				names[n++] = sc[i].table->rows[j].name;
	for (ctx = CTX_GLOBAL; ctx < CTX_COUNT; ctx++)
		if (conf_directive_find(ctx, s->w[0].s) != NULL)
			break;
	near = conf_suggest(s->w[0].s, names, n);
	/* Half of a password with a `;` in it must not be shown. */
	if (after_secret && near != NULL)
		build_error(b, s, NULL, "unknown statement, did you mean "
		    "`%s`?", near);
	else if (after_secret)
		build_error(b, s, NULL, "an unknown statement behind a "
		    "secret: a secret with `{`, `}` or `;` needs quotes");
	else if (ctx < CTX_COUNT)
		build_error(b, s, NULL, "`%s` has no place %s; it belongs %s",
		    s->w[0].s, sc[0].table->where,
		    conf_table_of(ctx)->where);
	else if (near != NULL)
		build_error(b, s, NULL, "unknown statement `%s`, did you "
		    "mean `%s`?", s->w[0].s, near);
	else
		build_error(b, s, NULL, "unknown statement `%s` %s",
		    s->w[0].s, sc[0].table->where);
}

static void
apply(struct build *b, const struct conf_stmt *s,
    const struct conf_directive *d, struct scope *sc)
{
	/* Room for any field of a row that is checked and kept nowhere. */
	union {
		max_align_t align;
		unsigned char room[64];
	} nowhere;
	size_t row = (size_t)(d - sc->table->rows);
	void *obj = sc->obj;

	if (sc->seen[row] != 0 && (d->flags & LIST) == 0) {
		build_error(b, s, NULL, "%s stands twice; the first is in "
		    "line %u", d->name, sc->seen[row]);
		return;
	}
	sc->seen[row] = s->line;
	if (s->hidden && (d->flags & (SHADOW | TELLS_KIND)) == 0) {
		build_error(b, s, NULL, "%s: no arguments", d->name);
		return;
	}
	if (d->when == LATER) {
		build_error(b, s, NULL, "%s: not supported yet", d->name);
		return;
	}
	if (!fits(b, s, d))
		return;
	memset(&nowhere, 0, sizeof(nowhere));
	if (d->offset == NO_FIELD || obj == NULL)
		obj = NULL;
	if (d->set != NULL)
		d->set(b, obj != NULL ? obj : (void *)&nowhere, s, d);
	else if (d->block != CTX_NONE)
		build_block(b, s, d->block, NULL, CTX_NONE, NULL);
	else if (!s->hidden)
		build_value(b, s, d, obj != NULL ?
		    (void *)((unsigned char *)obj + d->offset) :
		    (void *)&nowhere);
}

void
build_block(struct build *b, const struct conf_stmt *s,
    enum conf_context ctx, void *obj, enum conf_context own, void *own_obj)
{
	struct scope sc[2];
	const struct conf_directive *d;
	const struct conf_stmt *kid;
	size_t i, n_sc = own != CTX_NONE ? 2 : 1, which;

	memset(sc, 0, sizeof(sc));
	sc[0] = (struct scope){ .ctx = ctx, .table = conf_table_of(ctx),
	    .obj = obj };
	if (n_sc == 2)
		sc[1] = (struct scope){ .ctx = own,
		    .table = conf_table_of(own), .obj = own_obj };
	for (i = 0; i < s->n_kids; i++) {
		kid = &s->kids[i];
		d = NULL;
		for (which = 0; !kid->w[0].quoted && which < n_sc; which++)
			if ((d = conf_directive_find(sc[which].ctx,
			    kid->w[0].s)) != NULL)
				break;
		if (d != NULL && which == 1 &&
		    (d->flags & NOT_IN_ACCOUNT) != 0)
			d = NULL;
		if (!kid->bad && d == NULL)
			unknown(b, kid, sc, n_sc, behind_secret(i > 0 ?
			    kid - 1 : NULL, kid));
		else if (!kid->bad)
			apply(b, kid, d, &sc[which]);
	}
}

static void
defaults_before(struct conf *conf)
{
	conf->user = conf->group = NULL;
	conf->disk_reserve = UINT64_MAX;
	conf->dnssec = true;
	conf->listeners = conf->deliveries = 1;
	conf->log_to = CONF_LOG_STDERR;
	conf->log_format = LOG_TEXT;
	conf->log_level = LL_INFO;
	conf->warn_after = (uint64_t)4 * 3600 * 1000;
}

void
build_defaults(struct build *b, enum conf_context ctx, void *obj)
{
	const struct conf_table *t = conf_table_of(ctx);
	const struct conf_directive *d;
	struct conf_word w[2];
	struct conf_stmt s;
	size_t i;

	for (i = 0; i < t->n; i++) {
		d = &t->rows[i];
		if (d->deflt == NULL || d->set != NULL ||
		    d->offset == NO_FIELD || d->arg == ARG_DURATIONS)
			continue;
		memset(w, 0, sizeof(w));
		memset(&s, 0, sizeof(s));
		w[0].s = d->name;
		w[1].s = d->deflt;
		s.w = w;
		s.n = 2;
		build_value(b, &s, d, (unsigned char *)obj + d->offset);
	}
}

struct conf *
conf_build(const struct conf_tree *tree, enum conf_role role,
    bool check_files, struct conf_notes *notes)
{
	struct conf_arena *arena = conf_arena_new();
	struct build b = { .tree = tree, .arena = arena, .notes = notes,
	    .role = role, .check_files = check_files };
	size_t i, errors = notes->n_errors;

	b.conf = conf_arena_alloc(arena, sizeof(*b.conf));
	b.conf->memory = arena;
	b.paths = conf_arena_alloc(arena,
	    (tree->n_files + 1) * sizeof(*b.paths));
	b.secret_line = conf_arena_alloc(arena,
	    (tree->n_files + 1) * sizeof(*b.secret_line));
	for (i = 0; i < tree->n_files; i++)
		b.paths[i] = conf_arena_strdup(arena, tree->files[i].path);
	if (tree->n_files > 0)
		b.conf->path = b.paths[0];
	defaults_before(b.conf);
	build_defaults(&b, CTX_GLOBAL, b.conf);
	build_block(&b, &tree->root, CTX_GLOBAL, b.conf, CTX_NONE, NULL);
	global_defaults(&b);
	listen_defaults(&b);
	transport_built_in(&b);
	domains_sort(&b);
	conf_resolve(&b);
	if (build_is_main(&b))
		conf_check_errors(&b);
	if (build_is_main(&b) && notes->n_errors == errors)
		conf_check(&b);
	return b.conf;
}

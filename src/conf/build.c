/* Statements into the model, by the tables of directives.  Every role builds
 * its view by this code, monitor and tools the whole.  Mistakes are noted
 * with their places and the walk goes on. */
#include "conf/build.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "conf/directives.h"
#include "mail/address.h"
#include "mail/domain.h"
#include "mail/pattern.h"

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

/* ---- values by type ---- */

static void
build_bool(struct build *b, const struct conf_stmt *s, bool *out)
{
	static const struct conf_choice on_off[] = {
		{ "on", 1, NOW }, { "off", 0, NOW }, { NULL, 0, NOW }
	};
	int v;

	if (value_choice(b, s, &s->w[1], on_off, &v))
		*out = v != 0;
}

static void
build_address(struct build *b, const struct conf_stmt *s, bool null_ok,
    char **out)
{
	const struct conf_word *w = &s->w[1];

	if (null_ok && strcmp(w->s, "<>") == 0)
		*out = conf_arena_strdup(b->arena, "");
	else if (mail_address_valid(slice_cstr(w->s), true))
		*out = conf_arena_strdup(b->arena, w->s);
	else
		build_error(b, s, w, "`%s` is not an address%s", w->s,
		    null_ok ? " or <>" : "");
}

static void
build_file(struct build *b, const struct conf_stmt *s, char **out)
{
	if (!build_is_main(b)) {
		*out = conf_arena_strdup(b->arena, s->w[1].s);
		return;
	}
	*out = build_path(b, s, &s->w[1]);
	check_file(b, s, *out, false, false);
}

static void
build_nets(struct build *b, const struct conf_stmt *s, struct conf_nets *nets)
{
	struct conf_net net;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (value_net(b, s, &s->w[i], &net))
			value_add_net(b, nets, &net);
}

static void
build_patterns(struct build *b, const struct conf_stmt *s,
    struct conf_patterns *patterns)
{
	struct mail_pattern p;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (value_pattern(b, s, &s->w[i], &p))
			value_add_pattern(b, patterns, &p);
}

static const char *const mechanisms[] = {
	"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1",
	"SCRAM-SHA-1-PLUS", "SCRAM-SHA-224", "SCRAM-SHA-224-PLUS",
	"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-384",
	"SCRAM-SHA-384-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS",
	"EXTERNAL", "XOAUTH2", "OAUTHBEARER", "NTLM", "GSSAPI"
};
#define N_MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

static void
build_mechanisms(struct build *b, const struct conf_stmt *s,
    struct conf_list *list)
{
	char buf[64];
	size_t i, j;

	for (i = 1; i < s->n; i++) {
		for (j = 0; j < N_MECHANISMS; j++)
			if (slice_eq_case_cstr(slice_cstr(s->w[i].s),
			    mechanisms[j]))
				break;
		if (j < N_MECHANISMS)
			value_add_word(b, list, mechanisms[j]);
		else
			build_error(b, s, &s->w[i],
			    "`%s` is not a mechanism of AUTH%s", s->w[i].s,
			    conf_suggestion(s->w[i].s, mechanisms,
			    N_MECHANISMS, buf, sizeof(buf)));
	}
}

static void
build_list(struct build *b, const struct conf_stmt *s,
    const struct conf_directive *d, struct conf_list *list)
{
	unsigned char addr[16];
	size_t i;
	char *host;
	bool v6;

	for (i = 1; i < s->n; i++) {
		if (d->arg == ARG_WORDS) {
			value_add_word(b, list, s->w[i].s);
		} else if (d->arg == ARG_HOSTS) {
			if ((host = value_host(b, s, &s->w[i])) != NULL)
				value_add_word(b, list, host);
		} else if (conf_parse_ip(s->w[i].s, &v6, addr)) {
			value_add_word(b, list, s->w[i].s);
		} else {
			build_error(b, s, &s->w[i],
			    "`%s` is not an IP address", s->w[i].s);
		}
	}
}

static void
build_durations(struct build *b, const struct conf_stmt *s,
    struct conf_durations *list)
{
	uint64_t ms;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (value_duration(b, s, &s->w[i], &ms))
			*(uint64_t *)conf_arena_push(b->arena, &list->v,
			    &list->n, sizeof(ms)) = ms;
}

static void
build_rate(struct build *b, const struct conf_stmt *s, struct conf_rate *rate)
{
	uint64_t count, per;

	if (num_rate(slice_cstr(s->w[1].s), &count, &per) && count > 0 &&
	    per > 0) {
		rate->count = count;
		rate->per = per;
		return;
	}
	build_error(b, s, &s->w[1], "`%s` is not a rate (30/1m)", s->w[1].s);
}

void
build_value(struct build *b, const struct conf_stmt *s,
    const struct conf_directive *d, void *field)
{
	const struct conf_word *w = &s->w[1];
	uint64_t n;
	bool on = false;
	int choice;

	switch (d->arg) {
	case ARG_FLAG:
		*(bool *)field = true;
		break;
	case ARG_BOOL:
		build_bool(b, s, field);
		break;
	case ARG_SWITCH:
		build_bool(b, s, &on);
		*(enum conf_switch *)field = on ? SWITCH_ON : SWITCH_OFF;
		break;
	case ARG_CHOICE:
		if (value_choice(b, s, w, d->choices, &choice))
			*(int *)field = choice;
		break;
	case ARG_STRING:
		if (w->s[0] == '\0')
			build_error(b, s, w, "%s: the value is empty",
			    d->name);
		*(char **)field = conf_arena_strdup(b->arena, w->s);
		break;
	case ARG_HOST:
		*(char **)field = value_host(b, s, w);
		break;
	case ARG_ADDRESS:
	case ARG_SENDER:
		build_address(b, s, d->arg == ARG_SENDER, field);
		break;
	case ARG_PATH:
		*(char **)field = build_path(b, s, w);
		break;
	case ARG_FILE:
		build_file(b, s, field);
		break;
	case ARG_DURATION:
		value_duration(b, s, w, field);
		break;
	case ARG_DURATIONS:
		build_durations(b, s, field);
		break;
	case ARG_SIZE:
		value_size(b, s, w, field);
		break;
	case ARG_COUNT:
		if (value_number(b, s, w, 1000000, &n))
			*(unsigned *)field = (unsigned)n;
		break;
	case ARG_NUMBER:
		value_number(b, s, w, UINT32_MAX, field);
		break;
	case ARG_RATE:
		build_rate(b, s, field);
		break;
	case ARG_NETS:
		build_nets(b, s, field);
		break;
	case ARG_PATTERNS:
		build_patterns(b, s, field);
		break;
	case ARG_MECHANISMS:
		build_mechanisms(b, s, field);
		break;
	case ARG_HOSTS:
	case ARG_WORDS:
	case ARG_IPS:
		build_list(b, s, d, field);
		break;
	case ARG_CUSTOM:
	case ARG_CERTIFICATE:
	case ARG_SECRET:
	case ARG_UIDS:
		break;			/* have setters of their own */
	}
}

/* ---- the walk ---- */

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

static void
unknown(struct build *b, const struct conf_stmt *s, const struct scope *sc,
    size_t n_sc, bool after_secret)
{
	const char *names[2 * ROWS_MAX], *near;
	enum conf_context ctx;
	size_t i, j, n = 0;

	/* Half of a password with a `;` in it must not be shown. */
	if (after_secret) {
		build_error(b, s, NULL, "an unknown statement behind a "
		    "secret: a secret with blanks, `;` or `#` needs quotes");
		return;
	}
	if (s->w[0].quoted) {
		build_error(b, s, NULL, "a quoted word is a value and begins "
		    "no statement");
		return;
	}
	for (i = 0; i < n_sc; i++)
		for (j = 0; j < sc[i].table->n; j++)
			names[n++] = sc[i].table->rows[j].name;
	for (ctx = CTX_GLOBAL; ctx < CTX_COUNT; ctx++)
		if (conf_directive_find(ctx, s->w[0].s) != NULL)
			break;
	near = conf_suggest(s->w[0].s, names, n);
	if (near != NULL)
		build_error(b, s, NULL, "unknown statement `%s`, did you "
		    "mean `%s`?", s->w[0].s, near);
	else if (ctx < CTX_COUNT)
		build_error(b, s, NULL, "`%s` has no place %s; it belongs %s",
		    s->w[0].s, sc[0].table->where,
		    conf_table_of(ctx)->where);
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
	if (s->hidden && (d->flags & SHADOW) == 0) {
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
	bool secret = false;

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
			unknown(b, kid, sc, n_sc, secret);
		else if (!kid->bad)
			apply(b, kid, d, &sc[which]);
		secret = d != NULL && d->arg == ARG_SECRET;
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
	domains_sort(&b);
	conf_resolve(&b);
	if (build_is_main(&b))
		conf_check_errors(&b);
	if (build_is_main(&b) && notes->n_errors == errors)
		conf_check(&b);
	return b.conf;
}

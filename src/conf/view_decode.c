/* A role's view back into statements, and into its model by the same code
 * that monitor used.  Every role, once at its start.  A bounded reader: what
 * is cut off, too long or out of range is an error, never more. */
#include <string.h>

#include "conf/build.h"
#include "conf/view.h"

struct decoder {
	const unsigned char *p, *end;
	struct conf_tree *tree;
	bool bad;
};

static unsigned
get_u32(struct decoder *de)
{
	unsigned v;

	if (de->bad || de->end - de->p < 4) {
		de->bad = true;
		return 0;
	}
	v = (unsigned)de->p[0] | (unsigned)de->p[1] << 8 |
	    (unsigned)de->p[2] << 16 | (unsigned)de->p[3] << 24;
	de->p += 4;
	return v;
}

/* A count of things that take at least min octets each: never more than can
 * follow. */
static size_t
get_count(struct decoder *de, size_t min)
{
	size_t n = get_u32(de);

	if (de->bad || n > (size_t)(de->end - de->p) / min) {
		de->bad = true;
		return 0;
	}
	return n;
}

static char *
get_text(struct decoder *de)
{
	size_t n = get_count(de, 1);
	char *s;

	if (de->bad || (n > 0 && memchr(de->p, '\0', n) != NULL)) {
		de->bad = true;
		return conf_arena_strdup(de->tree->arena, "");
	}
	s = conf_arena_strndup(de->tree->arena, (const char *)de->p, n);
	de->p += n;
	return s;
}

static char *
get_optional(struct decoder *de)
{
	unsigned there = get_u32(de);

	if (there > 1)
		de->bad = true;
	return there == 1 && !de->bad ? get_text(de) : NULL;
}

static void get_block(struct decoder *de, struct conf_stmt *parent,
    unsigned depth);

static void
get_statement(struct decoder *de, struct conf_stmt *s, unsigned depth)
{
	struct conf_word *w;
	unsigned flags;
	size_t n;

	s->file = get_u32(de);
	s->line = get_u32(de);
	flags = get_u32(de);
	s->block = (flags & VIEW_BLOCK) != 0;
	s->hidden = (flags & VIEW_HIDDEN) != 0;
	n = get_count(de, 8);
	if (s->file >= de->tree->n_files || n == 0 ||
	    flags > (VIEW_BLOCK | VIEW_HIDDEN))
		de->bad = true;
	while (!de->bad && s->n < n) {
		w = conf_arena_push(de->tree->arena, &s->w, &s->n,
		    sizeof(*w));
		w->quoted = get_u32(de) == VIEW_WORD_QUOTED;
		w->s = get_text(de);
		w->line = s->line;
		w->env = true;
	}
	get_block(de, s, depth + 1);
}

static void
get_block(struct decoder *de, struct conf_stmt *parent, unsigned depth)
{
	struct conf_stmt s;
	size_t i, n = get_count(de, 20);

	if (n > 0 && depth >= CONF_DEPTH_MAX)
		de->bad = true;
	for (i = 0; i < n && !de->bad; i++) {
		memset(&s, 0, sizeof(s));
		get_statement(de, &s, depth);
		if (!de->bad)
			*(struct conf_stmt *)conf_arena_push(de->tree->arena,
			    &parent->kids, &parent->n_kids, sizeof(s)) = s;
	}
}

static void
get_files(struct decoder *de)
{
	struct conf_file *f;
	size_t n = get_count(de, 4);

	if (n > CONF_FILES_MAX)
		de->bad = true;
	while (!de->bad && de->tree->n_files < n) {
		f = conf_arena_push(de->tree->arena, &de->tree->files,
		    &de->tree->n_files, sizeof(*f));
		f->path = get_text(de);
	}
}

static void
get_facts(struct decoder *de)
{
	struct conf_facts *facts = &de->tree->facts;
	size_t i, n;

	facts->hostname = get_text(de);
	facts->container = get_u32(de) != 0;
	n = get_count(de, 4);
	for (i = 0; i < n && !de->bad; i++)
		*(char **)conf_arena_push(de->tree->arena,
		    &facts->resolvers.v, &facts->resolvers.n,
		    sizeof(char *)) = get_text(de);
	facts->etc_hosts = get_optional(de);
	facts->tls_ca = get_optional(de);
	facts->trust_anchor = get_optional(de);
}

static int
get_all(struct decoder *de, enum conf_role role, struct err *e)
{
	if (get_u32(de) != VIEW_MAGIC)
		return err_set(e, -1, "this is no view of a configuration");
	if (get_u32(de) != VIEW_VERSION)
		return err_set(e, -1, "the view is of another version of "
		    "smarthostd");
	if (get_u32(de) != (unsigned)role)
		return err_set(e, -1, "the view is another role's");
	get_files(de);
	get_facts(de);
	if (!de->bad)
		get_block(de, &de->tree->root, 0);
	if (de->bad || de->p != de->end)
		return err_set(e, -1, "the view is damaged, %zu octets "
		    "before its end", (size_t)(de->end - de->p));
	return 0;
}

struct conf *
conf_view_decode(struct slice view, enum conf_role role, struct err *e)
{
	struct decoder de = { .p = (const unsigned char *)view.p,
	    .end = (const unsigned char *)view.p + view.n };
	struct conf_messages m = { .n_errors = 0 };
	struct conf_notes notes = { 0 };
	struct conf *conf = NULL;

	de.tree = conf_tree_new();
	if (get_all(&de, role, e) == -1)
		goto out;
	conf = conf_build(de.tree, role, false, &notes);
	if (notes.n_errors > 0) {
		conf_notes_render(&notes, de.tree->files, de.tree->n_files,
		    &m);
		err_set(e, -1, "the view is wrong: %.*s",
		    (int)strcspn(strbuf_cstr(&m.errors), "\n"),
		    strbuf_cstr(&m.errors));
		conf_free(&conf);
	}
out:
	conf_notes_free(&notes);
	conf_messages_free(&m);
	conf_tree_free(&de.tree);
	return conf;
}

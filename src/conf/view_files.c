/* Which files of a configuration are read for the roles' views: monitor
 * watches them.  (What is read is in view_encode.c.) */
#include "conf/aliases.h"
#include "conf/directives.h"

struct file_walk {
	const struct conf_tree *tree;
	struct conf_arena *arena;	/* for this run */
	conf_file_cb *cb;
	void *arg;
};

static void
tell_file(const struct file_walk *k, const struct conf_stmt *s, size_t i,
    const struct conf_directive *d)
{
	if (i < s->n)
		k->cb(k->arg, conf_resolve_path(k->tree, k->arena, s->file,
		    s->w[i].s), d->roles);
}

struct included {
	const struct file_walk *walk;
	unsigned roles;
};

static void
tell_one_included(void *arg, const char *path)
{
	const struct included *in = arg;

	in->walk->cb(in->walk->arg, path, in->roles);
}

static void
tell_included(const struct file_walk *k, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct included in = { k, d->roles };
	struct conf_alias_watch w = { tell_one_included, NULL, &in };
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0 };

	if (s->n == 2)
		(void)conf_aliases_flatten(k->tree, conf_resolve_path(k->tree,
		    k->arena, s->file, s->w[1].s), &w, &text, &e);
	strbuf_free(&text);
}

static void
walk_statement(const struct file_walk *k, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	const char *path;
	size_t i;

	switch (d->arg) {
	case ARG_FILE:
	case ARG_LOGINS:
		tell_file(k, s, 1, d);
		break;
	case ARG_ALIASES:
		tell_file(k, s, 1, d);
		tell_included(k, s, d);
		break;
	case ARG_CERTIFICATE:
		if (s->n == 2 && word_is(&s->w[1], "auto"))
			break;
		tell_file(k, s, 1, d);
		for (i = 2; i + 1 < s->n; i++)
			if (word_is(&s->w[i], "key") ||
			    word_is(&s->w[i], "file"))
				tell_file(k, s, ++i, d);
		break;
	case ARG_SECRET:
		if (s->n == 3 && word_is(&s->w[1], "file"))
			tell_file(k, s, 2, d);
		if (s->n == 3 && word_is(&s->w[1], "credential") &&
		    (path = conf_credential_path(k->arena,
		    s->w[2].s)) != NULL)
			k->cb(k->arg, path, d->roles);
		break;
	case ARG_KERBEROS:
		/* In no view; but what auth has got by it is old then. */
		if (s->n == 3 && word_is(&s->w[1], "keytab"))
			k->cb(k->arg, conf_resolve_path(k->tree, k->arena,
			    s->file, s->w[2].s), CONF_AUTH);
		break;
	default:
		break;
	}
}

static void
walk_block(const struct file_walk *k, const struct conf_stmt *s,
    enum conf_context ctx)
{
	const struct conf_directive *d;
	size_t i;

	for (i = 0; i < s->n_kids; i++) {
		d = conf_directive_known(ctx, s->kids[i].w[0].s);
		if (d == NULL)
			continue;
		walk_statement(k, &s->kids[i], d);
		if (d->block != CTX_NONE)
			walk_block(k, &s->kids[i], d->block);
	}
}

void
conf_view_files(const struct conf_tree *tree, conf_file_cb *cb, void *arg)
{
	struct file_walk k = { tree, conf_arena_new(), cb, arg };

	walk_block(&k, &tree->root, CTX_GLOBAL);
	conf_arena_free(&k.arena);
}

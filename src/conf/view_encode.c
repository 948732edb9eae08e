/* The part of the configuration that a role may see, as octets for its
 * memfd: statements by the masks of the tables, with the contents of files
 * in place of their names.  monitor only; fails when a file cannot be read
 * (any more).
 *
 * Layout, numbers little-endian of 32 bits, strings as length and octets:
 * magic, version, role; files: count, path...; facts: hostname, container,
 * resolvers: count, text..., three of: 0 or 1 and a string; statements:
 * count, then each: file, line, flags, words: count, {flags, text}...,
 * statements of its block.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/aliases.h"
#include "conf/directives.h"
#include "conf/facts.h"
#include "conf/login_file.h"
#include "conf/view.h"

struct encoder {
	const struct conf_tree *tree;
	enum conf_role role;
	struct strbuf *out;
	struct err *e;
	struct conf_arena *arena;	/* for this run */
	struct conf_stmt *logins;	/* what `login-file` holds, as blocks */
	size_t n_logins;
};

static void
put_u32(struct encoder *en, size_t v)
{
	unsigned char p[4] = { (unsigned char)v, (unsigned char)(v >> 8),
	    (unsigned char)(v >> 16), (unsigned char)(v >> 24) };

	strbuf_add(en->out, p, sizeof(p));
}

static void
put_text(struct encoder *en, const char *s)
{
	size_t n = strlen(s);

	put_u32(en, n);
	strbuf_add(en->out, s, n);
}

static void
put_optional(struct encoder *en, const char *s)
{
	put_u32(en, s != NULL);
	if (s != NULL)
		put_text(en, s);
}

static void
put_word(struct encoder *en, const char *s, bool quoted)
{
	put_u32(en, quoted ? VIEW_WORD_QUOTED : 0);
	put_text(en, s);
}

static int
put_file(struct encoder *en, const struct conf_stmt *s,
    const struct conf_word *w)
{
	char *path = conf_resolve_path(en->tree, en->arena, s->file, w->s);
	struct strbuf text = STRBUF_INIT;
	int rc = 0;

	if (conf_read_file(en->tree, path, &text, en->e) == -1)
		rc = -1;
	else if (memchr(strbuf_cstr(&text), '\0', text.n) != NULL)
		rc = err_set(en->e, -1, "%s: holds a NUL", path);
	else
		put_word(en, strbuf_cstr(&text), true);
	strbuf_wipe(&text);
	return rc;
}

static int
put_secret_file(struct encoder *en, const char *path)
{
	struct strbuf text = STRBUF_INIT;
	int rc = conf_secret_file(en->tree, path, &text, en->e);

	if (rc == 0)
		put_word(en, strbuf_cstr(&text), true);
	strbuf_wipe(&text);
	return rc;
}

static void
put_words(struct encoder *en, const struct conf_stmt *s, size_t from,
    size_t to)
{
	for (; from < to; from++)
		put_word(en, s->w[from].s, s->w[from].quoted);
}

static int
put_aliases(struct encoder *en, const struct conf_stmt *s)
{
	struct strbuf text = STRBUF_INIT;
	int rc = conf_aliases_flatten(en->tree, conf_resolve_path(en->tree,
	    en->arena, s->file, s->w[1].s), NULL, &text, en->e);

	put_u32(en, s->n);
	put_words(en, s, 0, 1);
	if (rc == 0)
		put_word(en, strbuf_cstr(&text), true);
	strbuf_free(&text);
	return rc;
}

/* `password file F` becomes `password VALUE`; the rest stays as it is. */
static int
put_secret(struct encoder *en, const struct conf_stmt *s)
{
	char *path = NULL;

	if (s->n == 3 && word_is(&s->w[1], "file"))
		path = conf_resolve_path(en->tree, en->arena, s->file,
		    s->w[2].s);
	else if (s->n == 3 && word_is(&s->w[1], "credential"))
		path = conf_credential_path(en->arena, s->w[2].s);
	else {
		put_u32(en, s->n);
		put_words(en, s, 0, s->n);
		return 0;
	}
	if (path == NULL)
		return err_set(en->e, -1, "%s: no such credential",
		    s->w[0].s);
	put_u32(en, 2);
	put_words(en, s, 0, 1);
	return put_secret_file(en, path);
}

static int
put_certificate(struct encoder *en, const struct conf_stmt *s)
{
	size_t i;
	int rc = 0;

	put_u32(en, s->n);
	put_words(en, s, 0, 1);
	if (s->n == 2 && word_is(&s->w[1], "auto")) {
		if (en->tree->facts.auto_certificate != NULL)
			put_word(en, en->tree->facts.auto_certificate, true);
		else
			put_words(en, s, 1, 2);
		return 0;
	}
	rc = put_file(en, s, &s->w[1]);
	for (i = 2; rc == 0 && i < s->n; i++) {
		put_words(en, s, i, i + 1);
		if (word_is(&s->w[i], "key") && i + 1 < s->n)
			rc = put_file(en, s, &s->w[++i]);
		else if (word_is(&s->w[i], "file") && i + 1 < s->n)
			rc = put_secret_file(en, conf_resolve_path(en->tree,
			    en->arena, s->file, s->w[++i].s));
	}
	return rc;
}

/* Names of users become numbers. */
static int
put_uids(struct encoder *en, const struct conf_stmt *s)
{
	const struct passwd *pw;
	char number[24];
	size_t i = 1;

	put_u32(en, s->n);
	if (word_is(&s->w[0], "use-by")) {
		if (s->n < 2 || !word_is(&s->w[1], "uid")) {
			put_words(en, s, 0, s->n);
			return 0;
		}
		i = 2;
	}
	put_words(en, s, 0, i);
	for (; i < s->n; i++) {
		if (s->w[i].s[strspn(s->w[i].s, "0123456789")] == '\0') {
			put_words(en, s, i, i + 1);
			continue;
		}
		if ((pw = getpwnam(s->w[i].s)) == NULL)
			return err_set(en->e, -1, "there is no user %s",
			    s->w[i].s);
		snprintf(number, sizeof(number), "%lu",
		    (unsigned long)pw->pw_uid);
		put_word(en, number, false);
	}
	return 0;
}

static int
put_arguments(struct encoder *en, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	switch (d->arg) {
	case ARG_FILE:
		put_u32(en, s->n);
		put_words(en, s, 0, 1);
		return put_file(en, s, &s->w[1]);
	case ARG_ALIASES:
		return put_aliases(en, s);
	case ARG_PATH:
		put_u32(en, s->n);
		put_words(en, s, 0, 1);
		put_word(en, conf_resolve_path(en->tree, en->arena, s->file,
		    s->w[1].s), true);
		return 0;
	case ARG_CERTIFICATE:
		return put_certificate(en, s);
	case ARG_SECRET:
		return put_secret(en, s);
	case ARG_UIDS:
		return put_uids(en, s);
	default:
		put_u32(en, s->n);
		put_words(en, s, 0, s->n);
		return 0;
	}
}

/* ---- login-file ---- */

static void
add_word(struct encoder *en, struct conf_stmt *s, const char *text, size_t n)
{
	struct conf_word *w = conf_arena_push(en->arena, &s->w, &s->n,
	    sizeof(*w));

	w->s = conf_arena_strndup(en->arena, text, n);
	w->line = s->line;
}

static struct conf_stmt *
add_statement(struct encoder *en, const struct conf_stmt *from,
    struct conf_stmt **list, size_t *n, const char *keyword)
{
	struct conf_stmt *s = conf_arena_push(en->arena, list, n, sizeof(*s));

	s->file = from->file;
	s->line = from->line;
	add_word(en, s, keyword, strlen(keyword));
	return s;
}

/* login NAME { password hash HASH; account ACCOUNT } */
static void
add_login(struct encoder *en, const struct conf_stmt *from,
    const struct login_line *l)
{
	struct conf_stmt *s, *kid;

	s = add_statement(en, from, &en->logins, &en->n_logins, "login");
	s->block = true;
	add_word(en, s, l->name.p, l->name.n);
	s->w[1].quoted = true;
	kid = add_statement(en, from, &s->kids, &s->n_kids, "password");
	add_word(en, kid, "hash", 4);
	add_word(en, kid, l->hash.p, l->hash.n);
	kid->w[2].quoted = true;
	if (l->account.n == 0)
		return;
	kid = add_statement(en, from, &s->kids, &s->n_kids, "account");
	add_word(en, kid, l->account.p, l->account.n);
	kid->w[1].quoted = true;
}

static int
read_logins(struct encoder *en, const struct conf_stmt *s)
{
	char *path = conf_resolve_path(en->tree, en->arena, s->file, s->w[1].s);
	struct strbuf text = STRBUF_INIT;
	struct login_line line;
	struct slice rest;
	unsigned number = 0;
	int rc = conf_read_file(en->tree, path, &text, en->e);

	rest = strbuf_slice(&text);
	while (rc == 0 && login_file_next(&rest, &number, &line)) {
		if (line.mistake != NULL)
			rc = err_set(en->e, -1, "%s:%u: %s", path, line.line,
			    line.mistake);
		else
			add_login(en, s, &line);
	}
	strbuf_wipe(&text);
	return rc;
}

static int
find_logins(struct encoder *en)
{
	const struct conf_directive *d;
	size_t i;

	for (i = 0; i < en->tree->root.n_kids; i++) {
		d = conf_directive_find(CTX_GLOBAL,
		    en->tree->root.kids[i].w[0].s);
		if (d != NULL && d->arg == ARG_LOGINS &&
		    (d->roles & en->role) != 0 &&
		    read_logins(en, &en->tree->root.kids[i]) == -1)
			return -1;
	}
	return 0;
}

/* ---- blocks ---- */

enum sight { UNSEEN, SEEN, SEEN_THERE };

static enum sight
sight_of(const struct encoder *en, const struct conf_directive *d)
{
	if (d == NULL)
		return UNSEEN;
	if (d->arg == ARG_LOGINS && (en->role & (CONF_MONITOR |
	    CONF_TOOL)) == 0)
		return UNSEEN;		/* as blocks */
	if ((d->roles & en->role) != 0 || (en->role & (CONF_MONITOR |
	    CONF_TOOL)) != 0)
		return SEEN;
	if ((d->flags & SHADOW) != 0 && (en->role & (CONF_QUEUE |
	    CONF_DELIVERY | CONF_AUTH)) != 0)
		return SEEN_THERE;
	return (d->flags & TELLS_KIND) != 0 && en->role == CONF_LISTENER ?
	    SEEN_THERE : UNSEEN;
}

static int put_block(struct encoder *en, const struct conf_stmt *s,
    enum conf_context ctx);

/* The keyword, and perhaps what kind of secret stands behind it. */
static void
put_hidden(struct encoder *en, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	bool tells = (d->flags & TELLS_KIND) != 0 && s->n > 1;
	bool hash = s->n == 3 && word_is(&s->w[1], "hash");

	put_u32(en, tells ? 2 : 1);
	put_words(en, s, 0, 1);
	if (tells)
		put_word(en, conf_uses_word(conf_secret_uses(hash ?
		    SECRET_HASH : SECRET_VALUE, s->w[s->n - 1].s)), true);
}

static int
put_statement(struct encoder *en, const struct conf_stmt *s,
    const struct conf_directive *d, bool hidden)
{
	put_u32(en, s->file);
	put_u32(en, s->line);
	put_u32(en, (s->block && !hidden ? VIEW_BLOCK : 0) |
	    (hidden ? VIEW_HIDDEN : 0));
	if (hidden) {
		put_hidden(en, s, d);
		put_u32(en, 0);
		return 0;
	}
	if (put_arguments(en, s, d) == -1) {
		err_prefix(en->e, "%s:%u", en->tree->files[s->file].path,
		    s->line);
		return -1;
	}
	if (d->block == CTX_NONE) {
		put_u32(en, 0);
		return 0;
	}
	return put_block(en, s, d->block);
}

static int
put_block(struct encoder *en, const struct conf_stmt *s,
    enum conf_context ctx)
{
	const struct conf_directive *d;
	enum sight sight;
	size_t i, n = 0;

	for (i = 0; i < s->n_kids; i++)
		if (sight_of(en, conf_directive_known(ctx, s->kids[i].w[0].s)) != UNSEEN)
			n++;
	if (ctx == CTX_GLOBAL)
		n += en->n_logins;
	put_u32(en, n);
	for (i = 0; i < s->n_kids; i++) {
		d = conf_directive_known(ctx, s->kids[i].w[0].s);
		if ((sight = sight_of(en, d)) == UNSEEN)
			continue;
		if (put_statement(en, &s->kids[i], d,
		    sight == SEEN_THERE) == -1)
			return -1;
	}
	d = conf_directive_find(CTX_GLOBAL, "login");
	for (i = 0; ctx == CTX_GLOBAL && i < en->n_logins; i++)
		if (put_statement(en, &en->logins[i], d, false) == -1)
			return -1;
	return 0;
}

static void
put_facts(struct encoder *en)
{
	struct conf_facts facts = en->tree->facts;
	size_t i;

	if (en->role == CONF_DELIVERY || en->role == CONF_AUTH)
		conf_facts_network(en->tree, en->arena, &facts);
	put_text(en, facts.hostname != NULL ? facts.hostname : "localhost");
	put_u32(en, facts.container);
	put_u32(en, facts.resolvers.n);
	for (i = 0; i < facts.resolvers.n; i++)
		put_text(en, facts.resolvers.v[i]);
	put_optional(en, facts.etc_hosts);
	put_optional(en, facts.tls_ca);
	put_optional(en, facts.trust_anchor);
}

int
conf_view_encode(const struct conf_tree *tree, enum conf_role role,
    struct strbuf *out, struct err *e)
{
	struct encoder en = { .tree = tree, .role = role, .out = out, .e = e,
	    .arena = conf_arena_new() };
	size_t i;
	int rc;

	put_u32(&en, VIEW_MAGIC);
	put_u32(&en, VIEW_VERSION);
	put_u32(&en, (size_t)role);
	put_u32(&en, tree->n_files);
	for (i = 0; i < tree->n_files; i++)
		put_text(&en, tree->files[i].path);
	put_facts(&en);
	rc = find_logins(&en);
	if (rc == 0)
		rc = put_block(&en, &tree->root, CTX_GLOBAL);
	conf_arena_free(&en.arena);
	return rc;
}

void
conf_tree_certificate(struct conf_tree *tree, const char *pem)
{
	tree->facts.auto_certificate = conf_arena_strdup(tree->arena, pem);
}

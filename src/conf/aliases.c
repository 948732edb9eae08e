/* Reading the file of `aliases`.  monitor and tools; queue gets the text.
 * Commands and files as targets are left out and told of: nothing is run or
 * written on the word of an alias.
 *
 * An included file may belong to a user, and monitor may read what users may
 * not: so it is no symbolic link of somebody else's, and includes further
 * files only where it belongs to root or to us. */
#include "conf/aliases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/htab.h"
#include "base/mem.h"
#include "conf/build.h"
#include "mail/aliases.h"

#define ALIASES_FILE "/etc/aliases"
#define INCLUDE_DEPTH 8

struct flat {
	const struct conf_tree *tree;
	const struct conf_alias_watch *w;
	struct strbuf *out;
	struct htab *names;
	const char *path;		/* what is read just now */
	unsigned depth;
	bool trusted;			/* may name further files */
	bool skip;			/* targets of a name that counts not */
	bool too_long;
};

static void
told(void *arg, unsigned line, const char *text)
{
	const struct flat *f = arg;

	if (f->w != NULL && f->w->mistake != NULL)
		f->w->mistake(f->w->arg, f->path, line, text);
}

static void
take_name(void *arg, unsigned line, struct slice name)
{
	struct flat *f = arg;

	f->skip = htab_put(f->names, name, f) != NULL;
	if (f->skip)
		told(f, line, "this name stands above already; the first "
		    "counts");
	else
		alias_write_name(f->out, name);
}

static bool
is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* A file that may belong to a user: not through a link of another's making,
 * also not through one that took its place meanwhile, and nothing that could
 * keep us waiting.  *trusted: it is ours to say what stands in it. */
static int
read_list(const struct flat *f, const char *path, bool *trusted,
    struct strbuf *text, struct err *e)
{
	struct stat named, st;
	int fd, rc = -1;

	*trusted = true;
	if (f->tree->reader.read_file != NULL)
		return conf_read_file(f->tree, path, text, e);
	if (lstat(path, &named) == -1)
		return err_errno(e, "%s", path);
	if (S_ISLNK(named.st_mode) && !is_ours(&named))
		return err_set(e, EPERM, "somebody else's symbolic link is "
		    "not included");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1)
		return err_errno(e, "%s", path);
	if (fstat(fd, &st) == -1)
		err_errno(e, "%s", path);
	else if (!S_ISREG(st.st_mode))
		err_set(e, EINVAL, "%s is not a file", path);
	else if (!S_ISLNK(named.st_mode) && (st.st_dev != named.st_dev ||
	    st.st_ino != named.st_ino))
		err_set(e, EAGAIN, "%s changes", path);
	else
		rc = fs_read_rest(fd, path, CONF_FILE_SIZE_MAX, text, e);
	close(fd);
	*trusted = !S_ISLNK(named.st_mode) && is_ours(&named) &&
	    (named.st_mode & (S_IWGRP | S_IWOTH)) == 0;
	return rc;
}

static void take_target(void *arg, unsigned line, enum alias_kind kind,
    struct slice text);

static bool
include(struct flat *f, unsigned line, const char *path)
{
	struct alias_reader r = { NULL, take_target, told, f };
	struct flat outer = *f;
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0 };
	bool trusted, good = false;

	if (f->w != NULL && f->w->file != NULL)
		f->w->file(f->w->arg, path);
	if (f->depth >= INCLUDE_DEPTH)
		told(f, line, "files include each other too deeply");
	else if (!f->trusted)
		told(f, line, "a file that others can change includes no "
		    "further one");
	else if (read_list(f, path, &trusted, &text, &e) == -1)
		told(f, line, e.text);
	else
		good = true;
	if (good) {
		f->path = path;
		f->depth++;
		f->trusted = trusted;
		aliases_read_list(strbuf_slice(&text), &r);
		outer.too_long = f->too_long;
		*f = outer;
	}
	strbuf_free(&text);
	return good;
}

static void
take_target(void *arg, unsigned line, enum alias_kind kind, struct slice text)
{
	struct flat *f = arg;
	char *path;

	if (f->out->n > CONF_FILE_SIZE_MAX)
		f->too_long = true;
	if (f->skip || f->too_long)
		return;
	switch (kind) {
	case ALIAS_ADDRESS:
	case ALIAS_USER:
		alias_write_target(f->out, kind, text);
		break;
	case ALIAS_INCLUDE:
		path = slice_dup(text);
		if (!include(f, line, path))
			alias_write_target(f->out, kind, text);
		free(path);
		break;
	case ALIAS_COMMAND:
		told(f, line, "a command as target is not supported and "
		    "left out");
		break;
	case ALIAS_FILE:
		told(f, line, "a file as target is not supported and left "
		    "out");
		break;
	}
}

int
conf_aliases_flatten(const struct conf_tree *tree, const char *path,
    const struct conf_alias_watch *w, struct strbuf *out, struct err *e)
{
	struct strbuf text = STRBUF_INIT;
	struct flat f = { .tree = tree, .w = w, .out = out, .path = path,
	    .names = htab_new(), .trusted = true };
	struct alias_reader r = { take_name, take_target, told, &f };
	int rc = conf_read_file(tree, path, &text, e);

	if (rc == 0)
		aliases_read(strbuf_slice(&text), &r);
	if (f.too_long)
		rc = err_set(e, -1, "%s: more than %zu octets of aliases",
		    path, CONF_FILE_SIZE_MAX);
	htab_free(&f.names);
	strbuf_free(&text);
	return rc;
}

void
conf_aliases_text(const struct conf_tree *tree, const struct conf *conf,
    struct strbuf *out)
{
	struct err e = { 0 };

	if (conf->aliases != NULL && conf_aliases_flatten(tree, conf->aliases,
	    NULL, out, &e) == -1)
		strbuf_clear(out);
}

struct check {
	struct conf_tree *tree;
	struct conf_notes *notes;
};

/* Its number among the files of messages. */
static unsigned
file_number(struct conf_tree *tree, const char *path)
{
	struct conf_file *f;
	size_t i;

	for (i = 0; i < tree->n_files; i++)
		if (strcmp(tree->files[i].path, path) == 0)
			return (unsigned)i;
	if (tree->n_files >= CONF_FILES_MAX)
		return 0;
	f = conf_arena_push(tree->arena, &tree->files, &tree->n_files,
	    sizeof(*f));
	f->path = conf_arena_strdup(tree->arena, path);
	return (unsigned)(tree->n_files - 1);
}

static void
warn(void *arg, const char *path, unsigned line, const char *text)
{
	struct check *c = arg;

	conf_warning(c->notes, file_number(c->tree, path), line, "%s", text);
}

void
conf_aliases_check(struct conf_tree *tree, const struct conf *conf,
    struct conf_notes *notes)
{
	struct check c = { tree, notes };
	struct conf_alias_watch w = { NULL, warn, &c };
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0 };

	if (conf->aliases != NULL)
		(void)conf_aliases_flatten(tree, conf->aliases, &w, &text,
		    &e);
	strbuf_free(&text);
}

void
conf_aliases_default(struct conf_tree *tree)
{
	struct conf_word *w;
	struct conf_stmt *s;
	struct stat st;
	size_t i;

	if (tree->reader.read_file != NULL ||
	    stat(ALIASES_FILE, &st) == -1 || !S_ISREG(st.st_mode) ||
	    access(ALIASES_FILE, R_OK) == -1)
		return;
	for (i = 0; i < tree->root.n_kids; i++)
		if (word_is(&tree->root.kids[i].w[0], "aliases"))
			return;
	s = conf_arena_push(tree->arena, &tree->root.kids,
	    &tree->root.n_kids, sizeof(*s));
	s->implied = true;
	w = conf_arena_push(tree->arena, &s->w, &s->n, sizeof(*w));
	w->s = "aliases";
	w = conf_arena_push(tree->arena, &s->w, &s->n, sizeof(*w));
	w->s = ALIASES_FILE;
	w->quoted = true;
}

/* Words into statements and blocks, and what `include` brings in.  monitor
 * and tools.  A mistake is noted and reading goes on. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "conf/lexer.h"
#include "conf/tree.h"

struct parser {
	struct conf_tree *tree;
	struct conf_notes *notes;
	const char *open[CONF_DEPTH_MAX];	/* files being read */
	size_t n_open;
	size_t total;				/* octets read */
	bool includes;
};

static void parse_block(struct parser *ps, struct conf_lexer *lx,
    struct conf_stmt *parent, unsigned depth);
static int parse_file(struct parser *ps, const char *path,
    const struct conf_stmt *from, struct conf_stmt *parent, unsigned depth);

struct conf_tree *
conf_tree_new(void)
{
	struct conf_tree *tree = mem_zalloc(sizeof(*tree));

	tree->arena = conf_arena_new();
	return tree;
}

void
conf_tree_free(struct conf_tree **tree)
{
	if (*tree == NULL)
		return;
	conf_arena_free(&(*tree)->arena);
	free(*tree);
	*tree = NULL;
}

int
conf_read_file(const struct conf_tree *tree, const char *path,
    struct strbuf *out, struct err *e)
{
	struct stat st;
	int fd, rc;

	if (tree->reader.read_file != NULL)
		return tree->reader.read_file(tree->reader.arg, path, out, e);
	/* A FIFO or a device would keep the daemon waiting, and may come
	 * between two looks where the directory is somebody else's. */
	if (stat(path, &st) == -1)
		return err_errno(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: not a regular file", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1)
		return err_errno(e, "cannot open %s", path);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		rc = err_set(e, EINVAL, "%s: not a regular file", path);
	else
		rc = fs_read_rest(fd, path, CONF_FILE_SIZE_MAX, out, e);
	close(fd);
	return rc;
}

/* Directory part of a path, made absolute. */
static const char *
dir_of(struct conf_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');
	char cwd[PATH_MAX];
	struct strbuf dir = STRBUF_INIT;
	char *out;

	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) != NULL) {
		strbuf_puts(&dir, cwd);
		if (slash != NULL)
			strbuf_putc(&dir, '/');
	}
	if (slash != NULL)
		strbuf_add(&dir, path,
		    slash == path ? 1 : (size_t)(slash - path));
	out = conf_arena_strndup(arena, strbuf_cstr(&dir), dir.n);
	strbuf_free(&dir);
	return out;
}

static void
include_one(struct parser *ps, const struct conf_stmt *from, const char *path,
    struct conf_stmt *parent, unsigned depth)
{
	size_t i;

	for (i = 0; i < ps->n_open; i++)
		if (strcmp(ps->open[i], path) == 0) {
			conf_error(ps->notes, from->file, from->line,
			    "%s includes itself", path);
			return;
		}
	if (ps->n_open >= CONF_DEPTH_MAX) {
		conf_error(ps->notes, from->file, from->line,
		    "more than %d files include each other", CONF_DEPTH_MAX);
		return;
	}
	parse_file(ps, path, from, parent, depth);
}

/* Relative to the including file; messages name it the same way. */
static char *
include_path(struct parser *ps, const struct conf_stmt *from, const char *name)
{
	const char *path = ps->tree->files[from->file].path;
	const char *slash = strrchr(path, '/');
	struct strbuf b = STRBUF_INIT;
	char *out;

	if (name[0] != '/' && slash != NULL)
		strbuf_add(&b, path, (size_t)(slash - path) + 1);
	strbuf_puts(&b, name);
	out = conf_arena_strndup(ps->tree->arena, strbuf_cstr(&b), b.n);
	strbuf_free(&b);
	return out;
}

static void
include(struct parser *ps, const struct conf_stmt *from,
    struct conf_stmt *parent, unsigned depth)
{
	char *path;
	glob_t g;
	size_t i, j;
	int rc;

	if (!ps->includes || from->n < 2 || from->block) {
		conf_error(ps->notes, from->file, from->line, ps->includes ?
		    "include takes file names or patterns" :
		    "include has no place here");
		return;
	}
	for (i = 1; i < from->n; i++) {
		path = include_path(ps, from, from->w[i].s);
		if (ps->tree->reader.read_file != NULL ||
		    strpbrk(path, "*?[") == NULL) {
			include_one(ps, from, path, parent, depth);
			continue;
		}
		memset(&g, 0, sizeof(g));
		rc = glob(path, 0, NULL, &g);
		if (rc != 0 && rc != GLOB_NOMATCH)
			conf_error(ps->notes, from->file, from->line,
			    "%s cannot be searched: %s", path,
			    strerror(errno));
		for (j = 0; rc == 0 && j < g.gl_pathc; j++)
			include_one(ps, from, conf_arena_strdup(
			    ps->tree->arena, g.gl_pathv[j]), parent, depth);
		globfree(&g);
	}
}

static void
finish(struct parser *ps, struct conf_stmt *s, struct conf_stmt *parent,
    unsigned depth)
{
	if (s->n > 0 && !s->bad && !s->w[0].quoted &&
	    strcmp(s->w[0].s, "include") == 0)
		include(ps, s, parent, depth);
	else if (s->n > 0)
		*(struct conf_stmt *)conf_arena_push(ps->tree->arena,
		    &parent->kids, &parent->n_kids, sizeof(*s)) = *s;
	memset(s, 0, sizeof(*s));
}

/* Behind `{`. */
static void
open_block(struct parser *ps, struct conf_lexer *lx, struct conf_stmt *s,
    unsigned depth)
{
	if (s->n == 0) {
		s->file = lx->file;
		s->line = lx->token_line;
		s->bad = true;
		conf_error(ps->notes, lx->file, lx->token_line,
		    "`{` belongs at the end of its statement's line");
	}
	s->block = true;
	if (depth + 1 >= CONF_DEPTH_MAX) {
		conf_error(ps->notes, lx->file, lx->token_line,
		    "more than %d blocks in each other", CONF_DEPTH_MAX);
		lx->p = lx->end;
		return;
	}
	parse_block(ps, lx, s, depth + 1);
}

static void
add_word(struct parser *ps, struct conf_lexer *lx, struct conf_stmt *s)
{
	struct conf_word *w;

	if (s->n == 0) {
		s->file = lx->file;
		s->line = lx->word.line;
	}
	if (lx->bad)
		s->bad = true;
	w = conf_arena_push(ps->tree->arena, &s->w, &s->n, sizeof(*w));
	*w = lx->word;
}

/* Statements up to the closing `}` of parent, or to the end of the file where
 * parent is the root (depth 0) or takes an included file. */
static void
parse_block(struct parser *ps, struct conf_lexer *lx,
    struct conf_stmt *parent, unsigned depth)
{
	bool in_file = parent->block && parent->file == lx->file;
	struct conf_stmt s;
	bool closed = false;	/* a block ended on this line */
	enum conf_token t;

	memset(&s, 0, sizeof(s));
	for (;;) {
		t = conf_lexer_next(lx);
		if (closed && (t == TOKEN_WORD || t == TOKEN_OPEN))
			conf_error(ps->notes, lx->file, lx->token_line,
			    "`;` or a new line is missing behind `}`");
		closed = false;
		switch (t) {
		case TOKEN_WORD:
			add_word(ps, lx, &s);
			continue;
		case TOKEN_OPEN:
			open_block(ps, lx, &s, depth);
			finish(ps, &s, parent, depth);
			closed = true;
			continue;
		case TOKEN_SEMICOLON:
		case TOKEN_NEWLINE:
			finish(ps, &s, parent, depth);
			continue;
		case TOKEN_CLOSE:
			finish(ps, &s, parent, depth);
			if (in_file)
				return;
			conf_error(ps->notes, lx->file, lx->token_line,
			    "`}` without a block that it could close");
			continue;
		case TOKEN_END:
			break;
		}
		break;
	}
	finish(ps, &s, parent, depth);
	if (in_file && lx->p >= lx->end && !parent->bad)
		conf_error(ps->notes, parent->file, parent->line,
		    "this block is not closed: its `}` is missing");
}

static unsigned
add_file(struct conf_tree *tree, const char *path)
{
	struct conf_file *f = conf_arena_push(tree->arena, &tree->files,
	    &tree->n_files, sizeof(*f));

	f->path = conf_arena_strdup(tree->arena, path);
	f->dir = dir_of(tree->arena, path);
	return (unsigned)(tree->n_files - 1);
}

static int
parse_file(struct parser *ps, const char *path, const struct conf_stmt *from,
    struct conf_stmt *parent, unsigned depth)
{
	struct conf_tree *tree = ps->tree;
	struct strbuf text = STRBUF_INIT;
	struct conf_lexer lx;
	struct err e = { 0 };
	int rc = 0;

	if (from == NULL)
		add_file(tree, path);
	if (tree->n_files >= CONF_FILES_MAX ||
	    ps->total > 4 * CONF_FILE_SIZE_MAX) {
		conf_error(ps->notes, from != NULL ? from->file : 0,
		    from != NULL ? from->line : 1,
		    "more files are included than can be meant");
		return -1;
	}
	if (conf_read_file(tree, path, &text, &e) == -1) {
		conf_error(ps->notes, from != NULL ? from->file : 0,
		    from != NULL ? from->line : 1, "cannot be read: %s",
		    e.text);
		rc = -1;
	} else {
		ps->total += text.n;
		ps->open[ps->n_open++] = path;
		conf_lexer_init(&lx, strbuf_cstr(&text), text.n,
		    from != NULL ? add_file(tree, path) : 0, tree->arena,
		    ps->notes);
		parse_block(ps, &lx, parent, depth);
		ps->n_open--;
	}
	strbuf_wipe(&text);
	return rc;
}

int
conf_parse(struct conf_tree *tree, const char *path, struct conf_notes *notes)
{
	struct parser ps = { .tree = tree, .notes = notes, .includes = true };

	return parse_file(&ps, path, NULL, &tree->root, 0);
}

void
conf_parse_text(struct conf_tree *tree, const char *path, const char *text,
    size_t n, struct conf_notes *notes)
{
	struct parser ps = { .tree = tree, .notes = notes };
	struct conf_lexer lx;

	conf_lexer_init(&lx, text, n, add_file(tree, path), tree->arena,
	    notes);
	parse_block(&ps, &lx, &tree->root, 0);
}

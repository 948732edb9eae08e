/* The statements of a configuration as they were written, before anybody
 * asks what they mean: words with their quotes remembered, blocks, the place
 * of each.  Inside of the room; conf/load.h is its public side. */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/arena.h"
#include "conf/load.h"

/* Blocks in blocks, includes in includes. */
#define CONF_DEPTH_MAX 16
#define CONF_FILES_MAX 1000
#define CONF_FILE_SIZE_MAX ((size_t)16 << 20)

struct conf_word {
	const char *s;
	unsigned line;
	bool quoted;		/* a value, never a keyword */
	bool env;		/* nothing of it stands in the file */
};

struct conf_stmt {
	unsigned file;		/* index into the tree's files */
	unsigned line;
	struct conf_word *w;	/* [0]: the keyword */
	size_t n;
	struct conf_stmt *kids;
	size_t n_kids;
	bool block;		/* `{ }` was written, may be empty */
	bool bad;		/* an error was told: not looked into */
	bool hidden;		/* in a view: arguments left out */
	bool implied;		/* not written: found on the machine */
};

struct conf_file {
	const char *path;	/* as shown in messages */
	const char *dir;	/* absolute: what relative names begin at */
};

/* What is not written in the configuration but found on the machine by
 * monitor, for roles that may not look. */
struct conf_facts {
	const char *hostname;
	bool container;
	struct conf_list resolvers;
	const char *etc_hosts;		/* contents; NULL: not this role's */
	const char *tls_ca;
	const char *trust_anchor;
	const char *auto_certificate;	/* PEM with its key: the listener's */
};

struct conf_tree {
	struct conf_arena *arena;
	struct conf_file *files;
	size_t n_files;
	struct conf_stmt root;
	struct conf_facts facts;
	struct conf_reader reader;
};

/* ---- messages, with their places (notes.c) ---- */

enum conf_note_kind {
	NOTE_ERROR,
	NOTE_FLAW,		/* struct conf_messages */
	NOTE_WARNING
};

struct conf_note {
	unsigned file, line;
	unsigned order;
	enum conf_note_kind kind;
	char *text;		/* heap */
};

struct conf_notes {
	struct conf_note *v;
	size_t n;
	size_t n_errors;
};

#define CONF_NOTES_MAX 1000

/* Collects one; what is not printable in it becomes '?'.  Further ones than
 * CONF_NOTES_MAX are counted, not kept. */
void conf_error(struct conf_notes *notes, unsigned file, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_flaw(struct conf_notes *notes, unsigned file, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_warning(struct conf_notes *notes, unsigned file, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Sorted by place into *m. */
void conf_notes_render(struct conf_notes *notes, const struct conf_file *files,
    size_t n_files, struct conf_messages *m);
void conf_notes_free(struct conf_notes *notes);

/* The nearest of n names, or NULL when none is near.  NULLs are skipped. */
const char *conf_suggest(const char *word, const char *const *names, size_t n);
/* ", did you mean `X`?" or "", for the end of a message. */
const char *conf_suggestion(const char *word, const char *const *names,
    size_t n, char *buf, size_t size);

/* ---- reading ---- */

/* Reads the file and what it includes into the tree.  Mistakes go to the
 * notes; -1 when the main file could not be read at all (noted, too). */
int conf_parse(struct conf_tree *tree, const char *path,
    struct conf_notes *notes);
/* One text of statements without includes, for FILE.expect. */
void conf_parse_text(struct conf_tree *tree, const char *path,
    const char *text, size_t n, struct conf_notes *notes);

struct conf_tree *conf_tree_new(void);
/* By the tree's reader, or from the file system: at most max octets. */
int conf_read_file(const struct conf_tree *tree, const char *path,
    struct strbuf *out, struct err *e);

#endif

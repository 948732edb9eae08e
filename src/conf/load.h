/* From files to a model, and from a model's statements to a role's view. */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "base/err.h"
#include "base/strbuf.h"
#include "conf/conf.h"

struct conf_tree;			/* the statements, with FILE:LINE */

/* How a role or a tool reads: what files it may open. */
struct conf_reader {
	/* Default: the file system.  Tests and fuzzers hand in text. */
	int (*read_file)(void *arg, const char *path, struct strbuf *out,
	    struct err *e);
	void *arg;
};

/* Collected messages, each "FILE:LINE: text\n" (errors), in order of files
 * and lines; warnings apart, as "FILE:LINE: warning: text\n", without ":LINE"
 * where they belong to no statement.  Warnings across statements are looked
 * for only where there is no error.
 *
 * Flaws look like errors, and are some to whoever checks; but what is wrong is
 * outside of the configuration, may change any time, and costs one account its
 * credential: a daemon starts with them. */
struct conf_messages {
	struct strbuf errors;
	struct strbuf flaws;
	struct strbuf warnings;
	size_t n_errors, n_flaws, n_warnings;
};

void conf_messages_free(struct conf_messages *m);

/* Reads and checks everything: lexical, grammar, references, files of
 * secrets and certificates (mode, existence) where check_files.  NULL when
 * there was an error; all errors of one run are in *m.  The reader may be
 * NULL.  The model returned is monitor's and tools' (all is visible). */
struct conf *conf_load(const char *path, const struct conf_reader *reader,
    bool check_files, struct conf_tree **tree, struct conf_messages *m);

/* The view of one role: statements that it may see, with the contents of
 * certificate and CA files in place of their names, as octets for a memfd. */
int conf_view_encode(const struct conf_tree *tree, enum conf_role role,
    struct strbuf *out, struct err *e);
/* What stands for `certificate auto` in the listener's view: certificate and
 * key in PEM form, copied. */
void conf_tree_certificate(struct conf_tree *tree, const char *pem);
/* Every file whose contents go into views, with the roles (a mask of enum
 * conf_role) that get them; a file may be told of more than once. */
typedef void conf_file_cb(void *arg, const char *path, unsigned roles);
void conf_view_files(const struct conf_tree *tree, conf_file_cb *cb,
    void *arg);
/* The other end.  Bounded reader: garbage is an error. */
struct conf *conf_view_decode(struct slice view, enum conf_role role,
    struct err *e);

void conf_tree_free(struct conf_tree **tree);

/* The configuration as it is understood, normalised, secrets replaced by
 * "(hidden)"; for `relayctl config show`. */
void conf_dump(const struct conf_tree *tree, const struct conf *conf,
    struct strbuf *out);

#endif

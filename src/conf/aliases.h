/* The file of `aliases` with what it includes (inside of the room, and for
 * tools). */
#ifndef CONF_ALIASES_H
#define CONF_ALIASES_H

#include "conf/load.h"

/* Whom to tell; each may be NULL.  Lines from 1; slices and texts are valid
 * during the call. */
struct conf_alias_watch {
	void (*file)(void *arg, const char *path);	/* the first included
							 * one and further */
	void (*mistake)(void *arg, const char *path, unsigned line,
	    const char *text);
	void *arg;
};

/* Appends the aliases of a file as one text without included files, comments
 * and what is not supported, for queue's view.  A file that cannot be included
 * now stays named in it.  w may be NULL.  -1: the file itself cannot be read,
 * or all of it is too long. */
int conf_aliases_flatten(const struct conf_tree *tree, const char *path,
    const struct conf_alias_watch *w, struct strbuf *out, struct err *e);

/* Appends the aliases of the model, for who may read them; nothing where
 * there are none, or where they cannot be read. */
void conf_aliases_text(const struct conf_tree *tree, const struct conf *conf,
    struct strbuf *out);

struct conf_notes;
/* Tells what is wrong in the files, as warnings: the rest counts. */
void conf_aliases_check(struct conf_tree *tree, const struct conf *conf,
    struct conf_notes *notes);

/* Where `aliases` is not written and the machine has the usual file: as if it
 * were. */
void conf_aliases_default(struct conf_tree *tree);

#endif

/* Aliases as aliases(5) has them: a name of this machine, a colon, and where
 * its mail goes.  Pure: included files are told of, somebody else reads
 * them. */
#ifndef MAIL_ALIASES_H
#define MAIL_ALIASES_H

#include "base/slice.h"
#include "base/strbuf.h"

enum alias_kind {
	ALIAS_ADDRESS,		/* local@domain, or the name of a local user
				 * or alias */
	ALIAS_USER,		/* \name: that local user, aliases or not */
	ALIAS_INCLUDE,		/* :include:/file, the file's name */
	ALIAS_COMMAND,		/* |command */
	ALIAS_FILE		/* /file */
};

/* What is told while a text is read, in its order, with lines from 1.  Slices
 * are valid during the call only.  Mistakes never repeat what stands in the
 * text; reading goes on behind them. */
struct alias_reader {
	void (*name)(void *arg, unsigned line, struct slice name);
	void (*target)(void *arg, unsigned line, enum alias_kind kind,
	    struct slice text);
	void (*mistake)(void *arg, unsigned line, const char *text);
	void *arg;
};

/* A file of aliases.  Names come without their quotes, in lower case; targets
 * belong to the name before them. */
void aliases_read(struct slice text, const struct alias_reader *r);
/* A file that was included: targets alone. */
void aliases_read_list(struct slice text, const struct alias_reader *r);

/* Append what aliases_read() reads back as the same: a name that begins a
 * line, then its targets. */
void alias_write_name(struct strbuf *out, struct slice name);
void alias_write_target(struct strbuf *out, enum alias_kind kind,
    struct slice text);

#endif

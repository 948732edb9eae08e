/* The command line of an `mda` transport: split first, filled in after, never
 * given to a shell. */
#ifndef CONF_MDA_LINE_H
#define CONF_MDA_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* What stands for %u %d %r %f, and for %T. */
struct mda_values {
	const char *user, *domain, *recipient, *sender;
	const char *const *users;
	size_t n_users;
};

/* *all: it has %T, and so takes all recipients in one run.  -1: it cannot be
 * split, or a % is wrong. */
int mda_line_check(const char *line, bool *all, struct err *e);
/* The argument list, ending in NULL; the caller frees it by
 * conf_command_free().  NULL with *e: also where an address would be taken for
 * an option (EPERM). */
char **mda_line_fill(const char *line, const struct mda_values *v,
    struct err *e);

#endif

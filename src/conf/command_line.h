/* Command lines of the configuration: argument lists, never given to a
 * shell. */
#ifndef CONF_COMMAND_LINE_H
#define CONF_COMMAND_LINE_H

#include "base/err.h"

/* For programs that were found, and of those that are run. */
#define CONF_COMMAND_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:" \
    "/usr/bin:/sbin:/bin"
#define CONF_COMMAND_WORDS 256

/* Splits at blanks; '...' and "..." hold them together, a backslash takes
 * the next octet as it is (not inside of '...').  The list ends in NULL; the
 * caller frees it with conf_command_free().  NULL with *e: it is empty, a
 * quote is open, or there are too many words. */
char **conf_command_split(const char *line, struct err *e);
void conf_command_free(char ***argv);
/* Where the program is: as it is with a leading slash, else looked for in
 * CONF_COMMAND_PATH; the caller frees.  NULL with *e: it is not there or may
 * not be run. */
char *conf_command_find(const char *program, struct err *e);

#endif

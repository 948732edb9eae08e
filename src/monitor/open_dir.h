/* Directories whose way others may have laid. */
#ifndef MONITOR_OPEN_DIR_H
#define MONITOR_OPEN_DIR_H

#include "base/err.h"

/* Opens the directory of the file: a descriptor, or -1 with *e and errno's
 * value in e->code.  A symbolic link on the way counts only where root or who
 * we are has made it: anybody else could lead us to what is not his.  *name,
 * the file's own, is borrowed of path. */
int open_dir_of(const char *path, const char **name, struct err *e);
/* Opens a regular file to read it; nothing else is opened even for a moment,
 * as to open some devices is to use them.  -1 and errno. */
int open_regular(const char *path);

#endif

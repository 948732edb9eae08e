/* relayctl passwd: the file that `login-file` names. */
#ifndef TOOLS_CTL_LOGIN_FILE_H
#define TOOLS_CTL_LOGIN_FILE_H

#include <stdbool.h>

#include "base/err.h"

/* Is there a line for this name?  False too where it cannot be read. */
bool ctl_login_known(const char *path, const char *name);
/* Puts this hash into the name's line, or adds one; the account stays as it
 * is where NULL.  The file is replaced as a whole, its owner and mode stay.
 * -1: nothing has changed. */
int ctl_login_store(const char *path, const char *name, const char *hash,
    const char *account, struct err *e);

#endif

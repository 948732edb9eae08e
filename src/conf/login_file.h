/* `login-file`: lines NAME:HASH:ACCOUNT, split at the first and the last
 * colon; what begins with # and empty lines are left out.  An empty ACCOUNT
 * is none. */
#ifndef CONF_LOGIN_FILE_H
#define CONF_LOGIN_FILE_H

#include <stdbool.h>

#include "base/slice.h"

struct login_line {
	unsigned line;
	struct slice name, hash, account;
	const char *mistake;		/* NULL: none; else why it is none */
};

/* crypt(3), SCRAM, or locked; a password as it is would be a mistake. */
bool login_hash_good(struct slice s);
/* The next line of *text that is one; false: no more.  Begin with *line 0. */
bool login_file_next(struct slice *text, unsigned *line,
    struct login_line *out);

#endif

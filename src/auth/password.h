/* Is this the password?  For values, crypt(3) strings and stored SCRAM
 * keys. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include <stdbool.h>

#include "base/slice.h"
#include "conf/conf.h"

/* In time that does not tell where it differs.  A command's is not here and
 * matches nothing. */
bool auth_password_check(const struct conf_secret *secret,
    struct slice password);

struct secret_source;

/* The login of this name with its password; NULL otherwise.  What comes from
 * a command is looked for in secrets (NULL: there are none).  An unknown name
 * takes as long as a known one whose secret is of the kind that the first
 * login uses. */
const struct conf_login *auth_password_login(const struct conf *conf,
    const struct secret_source *secrets, const char *name,
    struct slice password);

#endif

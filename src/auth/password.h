/* Is this the password?  For values, crypt(3) strings and stored SCRAM
 * keys. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include <stdbool.h>

#include "base/slice.h"
#include "conf/conf.h"

/* In time that does not tell where it differs.  A command's is not here and
 * matches nothing.  A hash takes as long as whoever made it wished: for a
 * thread. */
bool auth_password_check(const struct conf_secret *secret,
    struct slice password);

#endif

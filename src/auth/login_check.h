/* One password that is being checked, in a thread. */
#ifndef AUTH_LOGIN_CHECK_H
#define AUTH_LOGIN_CHECK_H

#include <stdbool.h>

#include "auth/work.h"
#include "base/slice.h"
#include "conf/conf.h"

struct login_check;

/* For a client (who: its address).  Copies all.  Calls back in the loop,
 * later; NULL: too much waits.  known false: the answer is no, after the same
 * work. */
struct login_check *login_check_new(struct work_pool *pool, const char *who,
    const struct conf_secret *secret, bool known, struct slice password,
    void (*cb)(void *arg, bool good), void *arg);
/* Nobody waits for it any more; before it called back. */
void login_check_drop(struct login_check **c);

#endif

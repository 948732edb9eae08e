/* The self-signed certificate of `certificate auto`. */
#ifndef MONITOR_CERTIFICATE_H
#define MONITOR_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "conf/load.h"

bool certificate_wanted(const struct conf *conf);
/* Where it is kept; the caller frees. */
char *certificate_path(const struct conf *conf);
/* Where a listener wants it: sees to it that there is a good one, and puts
 * it into the tree for the listener's view.  *renew_at: seconds since 1970
 * when to call again.  -1 with *e: it can be neither used nor made. */
int certificate_keep(const struct conf *conf, struct conf_tree *tree,
    int64_t *renew_at, struct err *e);

#endif

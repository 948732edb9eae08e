/* Whether what is in the files of a configuration can be used. */
#ifndef MONITOR_VIEW_CHECK_H
#define MONITOR_VIEW_CHECK_H

#include "base/err.h"
#include "base/strbuf.h"
#include "conf/load.h"

/* Makes the views of the roles (a mask of enum conf_role) and tries their
 * certificates, keys and CAs.  -1 with *e, the first thing that is wrong. */
int view_check(const struct conf_tree *tree, unsigned roles, struct err *e);
/* The same for all roles; every mistake as "FILE:LINE: text\n".  Returns how
 * many there are. */
size_t view_check_all(const struct conf_tree *tree, struct strbuf *out);

#endif

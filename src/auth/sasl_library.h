/* libsasl2 without its configuration files, as client for those mechanisms
 * that we do not speak ourselves. */
#ifndef AUTH_SASL_LIBRARY_H
#define AUTH_SASL_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include <sasl/sasl.h>

#include "base/err.h"
#include "base/slice.h"

/* Loads the plug-ins, once for the process; -1 when libsasl2 or a mechanism
 * that everybody needs is missing. */
int sasl_library_start(struct err *e);
void sasl_library_stop(void);

/* Its plug-in is there. */
bool sasl_library_has(const char *mechanism);

/* No layer of its own below SMTP, no anonymous. */
int sasl_restrict(sasl_conn_t *conn);

#endif

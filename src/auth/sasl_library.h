/* libsasl2 without its configuration files: what both sides share. */
#ifndef AUTH_SASL_LIBRARY_H
#define AUTH_SASL_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include <sasl/sasl.h>

#include "base/err.h"
#include "base/slice.h"

/* Loads the plug-ins, once for the process; -1 when libsasl2 or a mechanism
 * that we count on is missing. */
int sasl_library_start(struct err *e);
void sasl_library_stop(void);

/* What a mechanism needs, on both sides; later ones are added here. */
struct sasl_mechanism {
	const char *name;
	bool needs_tls;			/* shows the password */
};
/* The strongest first; ends with a NULL name. */
extern const struct sasl_mechanism sasl_mechanisms[];
/* By name, case does not matter; NULL: we do not have it. */
const struct sasl_mechanism *sasl_mechanism_find(struct slice name);

/* No layer of its own below SMTP, no anonymous. */
int sasl_restrict(sasl_conn_t *conn);

#endif

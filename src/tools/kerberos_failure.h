/* What went wrong in Kerberos: whose failure it is, in words. */
#ifndef TOOLS_KERBEROS_FAILURE_H
#define TOOLS_KERBEROS_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include <gssapi/gssapi.h>

struct failure {
	uint8_t state;			/* AUTH_REFUSED: only a human, or time,
					 * can mend it; AUTH_TEMPORARY: a KDC
					 * or the server */
	char text[400];			/* printable */
};

/* Of a call of GSSAPI that has failed.  server: it was about what a server
 * had said. */
void failure_gss(struct failure *f, OM_uint32 major, OM_uint32 minor,
    bool server);
/* The server's side of the exchange makes no sense. */
void failure_server(struct failure *f, const char *text);
/* Ours cannot be used. */
void failure_own(struct failure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif

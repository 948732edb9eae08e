/* DANE for SMTP: certificates vouched for by TLSA records (RFC 7672). */
#ifndef IO_TLS_DANE_H
#define IO_TLS_DANE_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"

struct ssl_st;

struct tls_dane {
	const char *name;		/* whose records they are: in SNI, and
					 * in the certificate for usage 2 */
	const struct slice *records;	/* data as on the wire */
	size_t count;
};

/* How many can be used: usage DANE-TA or DANE-EE with a selector and a
 * matching type that are known, of the right length. */
size_t tls_dane_usable(const struct slice *records, size_t count);
/* Makes the connection's handshake insist on them; -1: none is usable, or
 * OpenSSL is out of memory. */
int tls_dane_apply(struct ssl_st *ssl, const struct tls_dane *d,
    struct err *e);

#endif

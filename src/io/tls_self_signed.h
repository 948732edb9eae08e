/* Certificates that a server makes for itself: for a network whose clients
 * encrypt but verify nothing, or know the certificate by its fingerprint. */
#ifndef IO_TLS_SELF_SIGNED_H
#define IO_TLS_SELF_SIGNED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* Appends key and certificate in PEM form, for the host name, `localhost` and
 * the loopback addresses, valid for so many days from now (and from a day
 * ago: clocks differ).  The key is taken from old where that holds one, so
 * that pinned public keys stay right; else it is a new RSA key, which takes
 * a fraction of a second.  -1 with *e: OpenSSL refuses. */
int tls_self_signed_make(const char *name, struct slice old, unsigned days,
    struct strbuf *out, struct err *e);

struct tls_certificate_facts {
	int64_t expiry;			/* seconds since 1970 */
	bool for_name;			/* it is good for the name asked for */
	bool has_key;			/* and the key behind it is its own */
	char sha256[3 * 32];		/* "AB:CD:...", of the certificate */
};
/* What a PEM with one certificate and its key says; -1 with *e: it holds no
 * certificate. */
int tls_certificate_look(struct slice pem, const char *name,
    struct tls_certificate_facts *facts, struct err *e);

#endif

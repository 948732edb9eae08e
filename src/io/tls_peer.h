/* The certificate of the other side, for people. */
#ifndef IO_TLS_PEER_H
#define IO_TLS_PEER_H

#include "base/strbuf.h"
#include "io/conn.h"

/* Appends "verified; mx.example, issued by CN=..., until 2027-01-31, SHA-256
 * ab12..." of a connection with TLS; printable. */
void tls_peer_text(const struct conn *c, struct strbuf *out);

#endif

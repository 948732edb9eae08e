/* What a transport's statements about TLS come to. */
#ifndef DELIVERY_TLS_POLICY_H
#define DELIVERY_TLS_POLICY_H

#include "base/err.h"
#include "base/slice.h"
#include "conf/conf.h"
#include "io/tls_context.h"

/* The context for all sessions of the transport; the caller frees it.
 * default_ca: PEM, for transports without tls-ca.  NULL with *e when a
 * certificate, key or fingerprint is of no use. */
struct tls_context *tls_policy_new(const struct conf_transport *t,
    struct slice default_ca, struct err *e);

#endif

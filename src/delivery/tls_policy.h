/* What a transport's statements about TLS come to. */
#ifndef DELIVERY_TLS_POLICY_H
#define DELIVERY_TLS_POLICY_H

#include "base/err.h"
#include "base/slice.h"
#include "conf/conf.h"
#include "io/tls_context.h"

enum tls_policy_for {
	TLS_POLICY_USUAL,	/* as the transport says */
	TLS_POLICY_ENFORCED,	/* chain and name are insisted on */
	TLS_POLICY_TESTED	/* anything is taken; conn_tls_verified() tells
				 * whether it would have been */
};

/* The context for all sessions of the transport of that kind; the caller frees
 * it.  default_ca: PEM, for transports without tls-ca.  NULL with *e when a
 * certificate, key or fingerprint is of no use. */
struct tls_context *tls_policy_new(const struct conf_transport *t,
    enum tls_policy_for what, struct slice default_ca, struct err *e);

#endif

/* A self-signed certificate for "mx.example", made once for a test program. */
#ifndef TEST_DELIVERY_CERTIFICATE_H
#define TEST_DELIVERY_CERTIFICATE_H

#include <stdbool.h>

#include "base/slice.h"
#include "io/tls_context.h"

struct tls_context *certificate_server(void);
/* verify: trusts nobody, so that the certificate is refused. */
struct tls_context *certificate_client(bool verify);
/* PEM octets. */
struct slice certificate_pem(void);

#endif

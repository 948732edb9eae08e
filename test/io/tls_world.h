/* What the TLS tests share: one CA, one server certificate, their contexts,
 * and two connected ends. */
#ifndef TEST_IO_TLS_WORLD_H
#define TEST_IO_TLS_WORLD_H

#include "io/fixture.h"

struct world {
	struct fx_cert ca;
	struct fx_cert cert;		/* mx.example.org, 127.0.0.1 */
	struct tls_context *server;
	struct tls_context *client;	/* verifies, trusts the CA */
	struct loop *loop;
	struct end s;
	struct end c;
};

extern struct world w;

/* For the whole group of tests, and for each one. */
int make_certs(void **state);
int free_certs(void **state);
int make_pair(void **state);
int free_pair(void **state);

#define WITH_PAIR(f) \
	cmocka_unit_test_setup_teardown(f, make_pair, free_pair)

#endif

/* What the tests of io share: a loop that waits for something with a limit,
 * certificates made on the spot, and an end of a connection that keeps what
 * happens to it. */
#ifndef TEST_IO_FIXTURE_H
#define TEST_IO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "io/conn.h"
#include "io/loop.h"
#include "io/tls_context.h"

/* Turns until cond holds; the test fails after 10 s. */
#define WAIT_FOR(l, cond) do {						\
	uint64_t wait_end_ = fx_limit(l);				\
	while (!(cond))							\
		if (!fx_turn(l, wait_end_))				\
			fail_msg("waited in vain for: %s", #cond);	\
} while (0)

uint64_t fx_limit(struct loop *l);
bool fx_turn(struct loop *l, uint64_t end);
struct loop *fx_loop(void);

/* ---- certificates ---- */

struct fx_cert {
	char *pem;
	char *key;
	void *x509;
	void *pkey;
};

enum fx_kind { FX_EC, FX_RSA };

/* san as in openssl.cnf, "DNS:a.example,IP:127.0.0.1"; NULL: a CA.  Signed by
 * issuer, or by itself when NULL.  days may be negative: expired. */
struct fx_cert fx_cert(enum fx_kind kind, const char *cn, const char *san,
    const struct fx_cert *issuer, int days);
void fx_cert_free(struct fx_cert *c);
struct tls_pem fx_pem(const struct fx_cert *c);
/* Contexts of one certificate, of one CA. */
struct tls_context *fx_server(const struct fx_cert *c);
struct tls_context *fx_client(const struct fx_cert *ca, bool verify);

/* ---- an end ---- */

struct end {
	struct loop *loop;
	struct conn *conn;
	struct strbuf got;
	bool keep;		/* leave the input where it is */
	int readable;
	int drained;
	int secured;
	int closed;
	bool in_order;		/* closed with why == NULL */
	struct err why;
	enum conn_end how;
	void (*hook)(struct end *e);	/* in readable, instead of taking */
};

void fx_end(struct end *e, struct loop *l, int fd);
void fx_end_free(struct end *e);
/* Two connected ends over a socket pair, or over loopback TCP. */
void fx_pair(struct loop *l, struct end *a, struct end *b);
void fx_tcp_pair(struct loop *l, int fds[2]);
/* A handshake between them; waits until both are done. */
void fx_secure(struct end *server, struct tls_context *sctx,
    struct end *client, struct tls_context *cctx, const char *name);

#endif

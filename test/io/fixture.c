/* Helpers of the io tests; see fixture.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/fs.h"
#include "io/fixture.h"

static void
nothing(void *arg)
{
	(void)arg;
}

uint64_t
fx_limit(struct loop *l)
{
	(void)l;
	return clock_mono_us() + 10u * 1000000u;
}

/* The alarm keeps the turn from waiting for ever. */
bool
fx_turn(struct loop *l, uint64_t end)
{
	struct loop_alarm a;

	if (clock_mono_us() > end)
		return false;
	loop_alarm_init(l, &a, nothing, NULL);
	loop_alarm_set(&a, 1000);
	loop_turn(l, true);
	loop_alarm_cancel(&a);
	return true;
}

struct loop *
fx_loop(void)
{
	struct err e;
	struct loop *l = loop_new(&e);

	assert_non_null(l);
	return l;
}

/* ---- certificates ---- */

static char *
pem_text(BIO *b)
{
	char *p, *text;
	long n = BIO_get_mem_data(b, &p);

	text = strndup(p, (size_t)n);
	BIO_free(b);
	return text;
}

static void
extend(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

struct fx_cert
fx_cert(enum fx_kind kind, const char *cn, const char *san,
    const struct fx_cert *issuer, int days)
{
	struct fx_cert c;
	EVP_PKEY *key;
	X509 *x = X509_new();
	BIO *b;
	static long serial = 1;

	key = kind == FX_EC ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
	assert_non_null(key);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), -864000L * 2);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400L * days);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, issuer != NULL ?
	    X509_get_subject_name(issuer->x509) : X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	extend(x, NID_basic_constraints,
	    san == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	if (san != NULL)
		extend(x, NID_subject_alt_name, san);
	assert_true(X509_sign(x, issuer != NULL ? issuer->pkey : key,
	    EVP_sha256()) > 0);
	c.x509 = x;
	c.pkey = key;
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, x);
	c.pem = pem_text(b);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	c.key = pem_text(b);
	return c;
}

void
fx_cert_free(struct fx_cert *c)
{
	free(c->pem);
	free(c->key);
	X509_free(c->x509);
	EVP_PKEY_free(c->pkey);
}

struct tls_pem
fx_pem(const struct fx_cert *c)
{
	struct tls_pem pem = { .chain = slice_cstr(c->pem),
	    .key = slice_cstr(c->key) };

	return pem;
}

struct tls_context *
fx_server(const struct fx_cert *c)
{
	struct tls_pem pem = fx_pem(c);
	struct tls_server_options o = { .certs = &pem, .cert_count = 1 };
	struct err e = { 0 };
	struct tls_context *ctx = tls_server_new(&o, &e);

	assert_string_equal(e.text, "");
	assert_non_null(ctx);
	return ctx;
}

struct tls_context *
fx_client(const struct fx_cert *ca, bool verify)
{
	struct tls_client_options o = { .verify = verify };
	struct err e = { 0 };
	struct tls_context *ctx;

	if (ca != NULL)
		o.anchors = tls_anchors_new(slice_cstr(ca->pem), &e);
	ctx = tls_client_new(&o, &e);
	assert_string_equal(e.text, "");
	assert_non_null(ctx);
	tls_anchors_free(&o.anchors);
	return ctx;
}

/* ---- an end ---- */

static void
on_readable(void *arg)
{
	struct end *e = arg;

	e->readable++;
	if (e->hook != NULL) {
		e->hook(e);
		return;
	}
	if (e->keep)
		return;
	strbuf_add_slice(&e->got, conn_input(e->conn));
	conn_consume(e->conn, conn_input(e->conn).n);
}

static void
on_drained(void *arg)
{
	struct end *e = arg;

	e->drained++;
}

static void
on_secured(void *arg)
{
	struct end *e = arg;

	e->secured++;
}

static void
on_closed(void *arg, const struct err *why)
{
	struct end *e = arg;

	e->closed++;
	e->in_order = why == NULL;
	if (why != NULL)
		e->why = *why;
	e->how = conn_end(e->conn);
}

static const struct conn_events events = {
	.readable = on_readable,
	.drained = on_drained,
	.secured = on_secured,
	.closed = on_closed,
};

void
fx_end(struct end *e, struct loop *l, int fd)
{
	memset(e, 0, sizeof(*e));
	e->loop = l;
	e->conn = conn_new(l, fd, &events, e);
	assert_non_null(e->conn);
}

void
fx_end_free(struct end *e)
{
	conn_abort(&e->conn);
	strbuf_free(&e->got);
}

void
fx_pair(struct loop *l, struct end *a, struct end *b)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fx_end(a, l, fds[0]);
	fx_end(b, l, fds[1]);
}

void
fx_tcp_pair(struct loop *l, int fds[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	(void)l;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&sin, &len);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&sin, len), 0);
	fds[1] = accept(listener, NULL, NULL);
	assert_true(fds[1] >= 0);
	close(listener);
}

void
fx_secure(struct end *server, struct tls_context *sctx, struct end *client,
    struct tls_context *cctx, const char *name)
{
	struct err e = { 0 };

	assert_int_equal(conn_start_tls_server(server->conn, sctx, 0, &e), 0);
	assert_int_equal(conn_start_tls_client(client->conn, cctx, name, NULL,
	    0, &e), 0);
	WAIT_FOR(server->loop, (server->secured || server->closed) &&
	    (client->secured || client->closed));
}

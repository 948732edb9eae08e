/* TLS on a stream connection: handshake, records, the end, what was agreed.
 *
 * listener and delivery.  OpenSSL works on the descriptor itself.  It may hold
 * input that the descriptor no longer shows: ssl_more says so, and the input
 * is then fetched from the work task.  Refused here: plaintext left over from
 * before the handshake (RFC 3207, 4.2), renegotiation.  An end without
 * close_notify is told apart from one with it (RFC 8446, 6.1).  Channel
 * bindings: RFC 9266, RFC 5929. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "io/conn.h"
#include "io/conn_private.h"
#include "io/sockaddr.h"
#include "io/tls_context_private.h"
#include "io/tls_dane.h"

#define SHAKE_MS	30000

static enum conn_io tls_read(struct conn *c, char *p, size_t max, size_t *n);
static enum conn_io tls_write(struct conn *c, const char *p, size_t len,
    size_t *n);
static void tls_step(struct conn *c);
static enum conn_io tls_end(struct conn *c);
static void tls_free(struct conn *c);

static const struct conn_tls_ops ops = {
	.read = tls_read,
	.write = tls_write,
	.step = tls_step,
	.end = tls_end,
	.free = tls_free,
};

static void
tls_free(struct conn *c)
{
	tls_drop_refused(c->ssl);
	tls_ticket_drop(c->ssl, c->tls == TLS_ON);
	SSL_free(c->ssl);
	c->ssl = NULL;
	tls_context_free(&c->ctx);
	c->tls_ops = NULL;
}

/* ---- starting ---- */

static int
tls_prepare(struct conn *c, struct tls_context *ctx, struct err *e)
{
	if (c->tls != TLS_OFF)
		return err_set(e, EPROTO, "TLS is on already");
	if (c->end > CONN_EOF)
		return err_set(e, ENOTCONN, "the connection is closed");
	if (c->in.n > 0)
		return err_set(e, EPROTO,
		    "%zu octets of plaintext behind STARTTLS", c->in.n);
	ERR_clear_error();
	c->ssl = SSL_new(tls_context_ssl(ctx));
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd.fd) != 1) {
		tls_error(e, "TLS");
		SSL_free(c->ssl);
		c->ssl = NULL;
		return -1;
	}
	c->ctx = tls_context_ref(ctx);
	c->tls_ops = &ops;
	return 0;
}

static void
tls_begin(struct conn *c, uint64_t limit_ms)
{
	c->out_plain = conn_pending_out(c);
	c->tls = TLS_FLUSH;
	loop_timer_set(c->loop, &c->timer, limit_ms ? limit_ms : SHAKE_MS);
	loop_defer(c->loop, &c->work);
}

int
conn_start_tls_server(struct conn *c, struct tls_context *ctx,
    uint64_t limit_ms, struct err *e)
{
	if (tls_prepare(c, ctx, e) < 0)
		return -1;
	SSL_set_accept_state(c->ssl);
	tls_begin(c, limit_ms);
	return 0;
}

/* The name or address that the certificate must hold. */
static int
set_names(SSL *ssl, const char *name, const char *verify_name)
{
	const char *check = verify_name != NULL ? verify_name : name;
	struct sockaddr_storage sa;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (name != NULL && name[0] != '\0' &&
	    !sockaddr_from_ip(slice_cstr(name), 0, &sa) &&
	    SSL_set_tlsext_host_name(ssl, name) != 1)
		return -1;
	if (check == NULL || check[0] == '\0')
		return 0;
	if (sockaddr_from_ip(slice_cstr(check), 0, &sa))
		return X509_VERIFY_PARAM_set1_ip_asc(param, check) ? 0 : -1;
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, check, 0) ? 0 : -1;
}

int
conn_start_tls_client(struct conn *c, struct tls_context *ctx,
    const char *name, const char *verify_name, uint64_t limit_ms,
    struct err *e)
{
	if (tls_prepare(c, ctx, e) < 0)
		return -1;
	if (set_names(c->ssl, name, verify_name) < 0) {
		tls_error(e, "TLS: name of the server");
		tls_free(c);
		return -1;
	}
	SSL_set_connect_state(c->ssl);
	tls_begin(c, limit_ms);
	return 0;
}

int
conn_start_tls_dane(struct conn *c, struct tls_context *ctx,
    const struct tls_dane *dane, uint64_t limit_ms, struct err *e)
{
	if (tls_prepare(c, ctx, e) < 0)
		return -1;
	if (tls_dane_apply(c->ssl, dane, e) < 0) {
		tls_free(c);
		return -1;
	}
	SSL_set_connect_state(c->ssl);
	tls_begin(c, limit_ms);
	return 0;
}

/* ---- errors ---- */

static enum conn_io
fail_untrusted(struct conn *c, long result)
{
	const char *name = SSL_get_servername(c->ssl,
	    TLSEXT_NAMETYPE_host_name);
	struct strbuf why = STRBUF_INIT;

	tls_refusal_text(c->ssl, result, &why);
	conn_fail(c, CONN_TLS_UNTRUSTED, EPERM, "TLS: certificate%s%s "
	    "refused: %s", name ? " of " : "", name ? name : "",
	    strbuf_cstr(&why));
	strbuf_free(&why);
	return IO_ERROR;
}

/* After a call that returned r <= 0 and is not to be repeated. */
static enum conn_io
tls_fail(struct conn *c, int error, const char *what)
{
	unsigned long code = ERR_peek_error();
	long result = SSL_get_verify_result(c->ssl);
	int saved = errno;
	struct err e;

	if (error == SSL_ERROR_SYSCALL && code == 0 && saved != 0) {
		errno = saved;
		return conn_fail_errno(c, what);
	}
	if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
	    (error == SSL_ERROR_SYSCALL && code == 0)) {
		ERR_clear_error();
		if (c->tls == TLS_SHAKE)
			return conn_fail(c, CONN_TLS_FAILED, EPROTO,
			    "%s: the peer closed the connection", what);
		return conn_fail(c, CONN_TRUNCATED, ECONNABORTED,
		    "TLS: connection ended without close_notify");
	}
	if (c->tls == TLS_SHAKE && result != X509_V_OK &&
	    ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		ERR_clear_error();
		return fail_untrusted(c, result);
	}
	tls_error(&e, what);
	return conn_fail(c, CONN_TLS_FAILED, EPROTO, "%s", e.text);
}

/* ---- handshake ---- */

static void
tls_done(struct conn *c)
{
	c->tls = TLS_ON;
	c->blocked = false;
	c->ssl_more = SSL_has_pending(c->ssl) != 0;
	conn_timeout(c, c->timeout_ms);
	if (conn_pending_out(c) > 0)
		loop_at_end(c->loop, &c->flush);
	conn_interest(c);
	if (c->ev.secured != NULL)
		c->ev.secured(c->arg);
}

static void
tls_step(struct conn *c)
{
	int r, error;

	if (c->end > CONN_EOF || c->life != LIFE_OWNED)
		return;
	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(c->ssl);
	if (r == 1) {
		tls_done(c);
		return;
	}
	error = SSL_get_error(c->ssl, r);
	switch (error) {
	case SSL_ERROR_WANT_READ:
		loop_fd_want(&c->fd, LOOP_READ);
		break;
	case SSL_ERROR_WANT_WRITE:
		loop_fd_want(&c->fd, LOOP_WRITE);
		break;
	default:
		tls_fail(c, error, "TLS handshake");
	}
}

/* ---- records ---- */

static enum conn_io
tls_read(struct conn *c, char *p, size_t max, size_t *n)
{
	int r, error;

	c->ssl_read_wants_write = false;
	do {
		size_t room = max - *n;

		ERR_clear_error();
		errno = 0;
		r = SSL_read(c->ssl, p + *n,
		    room < INT_MAX ? (int)room : INT_MAX);
		if (r <= 0)
			break;
		*n += (size_t)r;
		c->ssl_more = SSL_has_pending(c->ssl) != 0;
		/* Nothing held back: if the socket has more, it says so. */
		if (!c->ssl_more)
			return IO_MORE;
	} while (*n < max);
	if (r > 0)
		return IO_MORE;
	c->ssl_more = false;
	error = SSL_get_error(c->ssl, r);
	switch (error) {
	case SSL_ERROR_WANT_READ:
		return IO_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		c->ssl_read_wants_write = true;
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return IO_END;
	default:
		return tls_fail(c, error, "receive");
	}
}

static enum conn_io
tls_write(struct conn *c, const char *p, size_t len, size_t *n)
{
	int r, error;

	c->ssl_write_wants_read = false;
	ERR_clear_error();
	errno = 0;
	r = SSL_write(c->ssl, p, len < INT_MAX ? (int)len : INT_MAX);
	if (r > 0) {
		*n = (size_t)r;
		return IO_MORE;
	}
	error = SSL_get_error(c->ssl, r);
	switch (error) {
	case SSL_ERROR_WANT_WRITE:
		return IO_AGAIN;
	case SSL_ERROR_WANT_READ:
		c->ssl_write_wants_read = true;
		return IO_AGAIN;
	default:
		return tls_fail(c, error, "send");
	}
}

static enum conn_io
tls_end(struct conn *c)
{
	int r;

	ERR_clear_error();
	r = SSL_shutdown(c->ssl);
	if (r >= 0)
		return IO_END;
	return SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_WRITE ? IO_AGAIN :
	    IO_ERROR;
}

/* ---- what was agreed ---- */

bool
conn_is_tls(const struct conn *c)
{
	return c->tls == TLS_ON;
}

const char *
conn_tls_version(const struct conn *c)
{
	return conn_is_tls(c) ? SSL_get_version(c->ssl) : "";
}

const char *
conn_tls_cipher(const struct conn *c)
{
	return conn_is_tls(c) ? SSL_get_cipher_name(c->ssl) : "";
}

int
conn_tls_bits(const struct conn *c)
{
	return conn_is_tls(c) ? SSL_get_cipher_bits(c->ssl, NULL) : 0;
}

const char *
conn_tls_sni(const struct conn *c)
{
	return conn_is_tls(c) ?
	    SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
}

bool
conn_tls_resumed(const struct conn *c)
{
	return conn_is_tls(c) && SSL_session_reused(c->ssl);
}

bool
conn_tls_verified(const struct conn *c)
{
	return conn_is_tls(c) && SSL_get0_peer_certificate(c->ssl) != NULL &&
	    SSL_get_verify_result(c->ssl) == X509_V_OK;
}

long
conn_tls_verify_result(const struct conn *c)
{
	return c->ssl != NULL ? SSL_get_verify_result(c->ssl) : X509_V_OK;
}

const char *
conn_tls_verify_text(const struct conn *c)
{
	if (!conn_is_tls(c))
		return "no TLS";
	if (SSL_get0_peer_certificate(c->ssl) == NULL)
		return "no certificate";
	if (conn_tls_verified(c) && tls_context_pinned(c->ctx))
		return "pinned";
	return tls_verify_text(SSL_get_verify_result(c->ssl));
}

X509 *
conn_tls_peer_cert(const struct conn *c)
{
	return conn_is_tls(c) ? SSL_get1_peer_certificate(c->ssl) : NULL;
}

/* Before TLS 1.3 the value is unique only with the extended master secret
 * (RFC 9266, section 4.2). */
int
conn_tls_exporter(const struct conn *c,
    uint8_t out[CONN_BINDING_EXPORTER_LEN])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (!conn_is_tls(c))
		return -1;
	if (SSL_version(c->ssl) < TLS1_3_VERSION &&
	    SSL_get_extms_support(c->ssl) != 1)
		return -1;
	ERR_clear_error();
	return SSL_export_keying_material(c->ssl, out,
	    CONN_BINDING_EXPORTER_LEN, label, sizeof(label) - 1,
	    (const unsigned char *)"", 0, 1) == 1 ? 0 : -1;
}

/* The first Finished of the handshake: the client's, and the server's where
 * a session was resumed.  Two sessions may share it without the extended
 * master secret (RFC 7627), and in TLS 1.3 it means nothing. */
int
conn_tls_unique(const struct conn *c, uint8_t out[CONN_BINDING_UNIQUE_MAX],
    size_t *n)
{
	bool ours;

	if (!conn_is_tls(c) || SSL_version(c->ssl) != TLS1_2_VERSION ||
	    SSL_get_extms_support(c->ssl) != 1)
		return -1;
	ours = tls_context_is_server(c->ctx) == SSL_session_reused(c->ssl);
	*n = ours ? SSL_get_finished(c->ssl, out, CONN_BINDING_UNIQUE_MAX) :
	    SSL_get_peer_finished(c->ssl, out, CONN_BINDING_UNIQUE_MAX);
	return *n > 0 && *n <= CONN_BINDING_UNIQUE_MAX ? 0 : -1;
}

/* The hash of the certificate's own signature algorithm; SHA-256 for MD5,
 * SHA-1 and algorithms that have none of their own (RFC 5929, 4.1). */
int
conn_tls_server_end_point(const struct conn *c,
    uint8_t out[CONN_BINDING_END_POINT_MAX], size_t *n)
{
	const EVP_MD *md;
	X509 *cert;
	unsigned len = 0;
	int nid = NID_undef;

	if (!conn_is_tls(c))
		return -1;
	cert = tls_context_is_server(c->ctx) ?
	    SSL_get_certificate(c->ssl) : SSL_get0_peer_certificate(c->ssl);
	if (cert == NULL)
		return -1;
	ERR_clear_error();
	if (X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1 ||
	    nid == NID_undef || nid == NID_md5 || nid == NID_sha1)
		nid = NID_sha256;
	md = EVP_get_digestbynid(nid);
	if (md == NULL || EVP_MD_get_size(md) > CONN_BINDING_END_POINT_MAX ||
	    X509_digest(cert, md, out, &len) != 1)
		return -1;
	*n = len;
	return 0;
}

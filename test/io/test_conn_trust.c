/* Who the other side of a TLS connection is: names, pins, client
 * certificates, resumption. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/fs.h"
#include "io/tls_world.h"

/* Our side runs between the steps of the bare one. */
static void
shake(struct loop *l, SSL *ssl, int fd)
{
	int r;

	fs_set_nonblock(fd, 1);
	while ((r = SSL_do_handshake(ssl)) != 1) {
		assert_int_equal(SSL_get_error(ssl, r), SSL_ERROR_WANT_READ);
		loop_turn(l, false);
	}
	fs_set_nonblock(fd, 0);
}

/* ---- who is it ---- */

static void
refused(struct tls_context *server, struct tls_context *client,
    const char *name, const char *verify_name, const char *text)
{
	struct err e;

	assert_int_equal(conn_start_tls_server(w.s.conn, server, 0, &e), 0);
	assert_int_equal(conn_start_tls_client(w.c.conn, client, name,
	    verify_name, 0, &e), 0);
	WAIT_FOR(w.loop, w.s.closed && w.c.closed);
	assert_int_equal(w.c.how, CONN_TLS_UNTRUSTED);
	assert_int_equal(w.c.why.code, EPERM);
	assert_non_null(strstr(w.c.why.text, text));
	assert_int_equal(w.s.how, CONN_TLS_FAILED);
	assert_int_equal(w.c.secured, 0);
}

static void
a_certificate_for_another_name_is_refused(void **state)
{
	(void)state;
	refused(w.server, w.client, "mx.example.net", NULL,
	    "certificate of mx.example.net refused: "
	    "certificate is for another name");
}

static void
the_name_to_check_may_differ_from_the_one_asked_for(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), 0);
	assert_int_equal(conn_start_tls_client(w.c.conn, w.client,
	    "relay.example.net", "mx.example.org", 0, &e), 0);
	WAIT_FOR(w.loop, w.s.secured && w.c.secured);
	assert_string_equal(conn_tls_sni(w.s.conn), "relay.example.net");
	assert_true(conn_tls_verified(w.c.conn));
}

static void
another_address_is_refused(void **state)
{
	(void)state;
	refused(w.server, w.client, "127.0.0.2", NULL,
	    "certificate is for another address");
}

static void
an_unknown_issuer_is_refused(void **state)
{
	struct fx_cert other = fx_cert(FX_EC, "other CA", NULL, NULL, 30);
	struct tls_context *client = fx_client(&other, true);

	(void)state;
	refused(w.server, client, "mx.example.org", NULL,
	    "issuer is not trusted");
	tls_context_free(&client);
	fx_cert_free(&other);
}

static void
an_expired_certificate_is_refused(void **state)
{
	struct fx_cert old = fx_cert(FX_EC, "old", "DNS:mx.example.org",
	    &w.ca, -1);
	struct tls_context *server = fx_server(&old);

	(void)state;
	refused(server, w.client, "mx.example.org", NULL, "has expired");
	tls_context_free(&server);
	fx_cert_free(&old);
}

static void
a_self_signed_one_is_taken_but_known_where_nobody_insists(void **state)
{
	struct fx_cert self = fx_cert(FX_EC, "self", "DNS:mx.example.org",
	    NULL, 30);
	struct tls_context *server = fx_server(&self);
	struct tls_context *client = fx_client(NULL, false);

	(void)state;
	fx_secure(&w.s, server, &w.c, client, "mx.example.org");
	assert_int_equal(w.c.secured, 1);
	assert_false(conn_tls_verified(w.c.conn));
	assert_string_equal(conn_tls_verify_text(w.c.conn),
	    "self-signed certificate");
	tls_context_free(&client);
	tls_context_free(&server);
	fx_cert_free(&self);
}

static void
digest_text(const struct fx_cert *c, bool spki, char *out)
{
	unsigned char md[32], *der = NULL;
	unsigned n = 0;
	int i, len;

	if (spki) {
		len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x509), &der);
		EVP_Digest(der, (size_t)len, md, &n, EVP_sha256(), NULL);
		OPENSSL_free(der);
		out += sprintf(out, "spki:");
	} else
		X509_digest(c->x509, EVP_sha256(), md, &n);
	for (i = 0; i < 32; i++)
		out += sprintf(out, i % 2 ? "%02X:" : "%02x", md[i]);
	out[-1] = '\0';
}

static struct tls_context *
pinned_client(const struct fx_cert *c, bool spki, bool wrong)
{
	struct tls_client_options o = { 0 };
	struct tls_pin pins[2];
	char text[128], *last;
	struct err e;

	memset(pins, 0, sizeof(pins));
	digest_text(c, spki, text);
	last = text + strlen(text) - 1;
	if (wrong)
		*last = *last == '0' ? '1' : '0';
	assert_int_equal(tls_pin_parse(slice_cstr(text), &pins[1], &e), 0);
	o.pins = pins;
	o.pin_count = 2;
	return tls_client_new(&o, &e);
}

static void
a_pin_replaces_chain_and_name(void **state)
{
	struct tls_context *client = pinned_client(&w.cert, false, false);

	(void)state;
	fx_secure(&w.s, w.server, &w.c, client, "no.such.name");
	assert_int_equal(w.c.secured, 1);
	assert_true(conn_tls_verified(w.c.conn));
	assert_string_equal(conn_tls_verify_text(w.c.conn), "pinned");
	tls_context_free(&client);
}

static void
a_key_may_be_pinned(void **state)
{
	struct tls_context *client = pinned_client(&w.cert, true, false);

	(void)state;
	fx_secure(&w.s, w.server, &w.c, client, "mx.example.org");
	assert_int_equal(w.c.secured, 1);
	tls_context_free(&client);
}

static void
another_pin_is_refused(void **state)
{
	struct tls_context *client = pinned_client(&w.cert, false, true);

	(void)state;
	refused(w.server, client, "mx.example.org", NULL,
	    "does not fit any pinned fingerprint");
	tls_context_free(&client);
}

/* ---- client certificates, resumption ---- */

static struct tls_context *
asking_server(void)
{
	struct tls_pem pem = fx_pem(&w.cert);
	struct tls_server_options o = { .certs = &pem, .cert_count = 1,
	    .client_cert = TLS_CLIENT_CERT_ASK };
	struct tls_context *ctx;
	struct err e;

	o.client_ca = tls_anchors_new(slice_cstr(w.ca.pem), &e);
	ctx = tls_server_new(&o, &e);
	tls_anchors_free(&o.client_ca);
	return ctx;
}

static void
show_client_cert(const struct fx_cert *cert, bool verified)
{
	struct tls_pem pem = fx_pem(cert);
	struct tls_client_options o = { .cert = &pem };
	struct tls_context *server = asking_server(), *client;
	struct err e;
	X509 *x;

	client = tls_client_new(&o, &e);
	fx_secure(&w.s, server, &w.c, client, "mx.example.org");
	assert_int_equal(w.s.secured, 1);
	assert_int_equal(conn_tls_verified(w.s.conn), verified);
	x = conn_tls_peer_cert(w.s.conn);
	assert_non_null(x);
	X509_free(x);
	tls_context_free(&server);
	tls_context_free(&client);
}

static void
a_client_certificate_is_verified(void **state)
{
	(void)state;
	show_client_cert(&w.cert, true);
}

static void
a_wrong_client_certificate_is_seen_but_not_trusted(void **state)
{
	struct fx_cert self = fx_cert(FX_RSA, "me", "DNS:me.example", NULL,
	    30);

	(void)state;
	show_client_cert(&self, false);
	fx_cert_free(&self);
}

static void
without_a_client_certificate_the_session_goes_on(void **state)
{
	struct tls_context *server = asking_server();

	(void)state;
	fx_secure(&w.s, server, &w.c, w.client, "mx.example.org");
	assert_int_equal(w.s.secured, 1);
	assert_false(conn_tls_verified(w.s.conn));
	tls_context_free(&server);
}

static void
sessions_are_resumed_by_ticket(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	uint8_t ours[CONN_BINDING_UNIQUE_MAX], theirs[sizeof(ours)];
	SSL_SESSION *session = NULL;
	struct err e;
	size_t n;
	int fds[2], i;
	SSL *ssl;

	(void)state;
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	for (i = 0; i < 2; i++) {
		fx_tcp_pair(w.loop, fds);
		fx_end_free(&w.s);
		fx_end(&w.s, w.loop, fds[1]);
		assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0,
		    &e), 0);
		ssl = SSL_new(ctx);
		SSL_set_fd(ssl, fds[0]);
		SSL_set_connect_state(ssl);
		if (session != NULL)
			SSL_set_session(ssl, session);
		shake(w.loop, ssl, fds[0]);
		WAIT_FOR(w.loop, w.s.secured);
		assert_int_equal(conn_tls_resumed(w.s.conn), i == 1);
		/* the server's own Finished is first in a resumed one */
		assert_int_equal(conn_tls_unique(w.s.conn, ours, &n), 0);
		assert_int_equal(i == 1 ? SSL_get_peer_finished(ssl, theirs,
		    sizeof(theirs)) : SSL_get_finished(ssl, theirs,
		    sizeof(theirs)), n);
		assert_memory_equal(ours, theirs, n);
		SSL_SESSION_free(session);
		session = SSL_get1_session(ssl);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fds[0]);
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(a_certificate_for_another_name_is_refused),
		WITH_PAIR(the_name_to_check_may_differ_from_the_one_asked_for),
		WITH_PAIR(another_address_is_refused),
		WITH_PAIR(an_unknown_issuer_is_refused),
		WITH_PAIR(an_expired_certificate_is_refused),
		WITH_PAIR(
		    a_self_signed_one_is_taken_but_known_where_nobody_insists),
		WITH_PAIR(a_pin_replaces_chain_and_name),
		WITH_PAIR(a_key_may_be_pinned),
		WITH_PAIR(another_pin_is_refused),
		WITH_PAIR(a_client_certificate_is_verified),
		WITH_PAIR(a_wrong_client_certificate_is_seen_but_not_trusted),
		WITH_PAIR(without_a_client_certificate_the_session_goes_on),
		WITH_PAIR(sessions_are_resumed_by_ticket),
	};

	return cmocka_run_group_tests(tests, make_certs, free_certs);
}

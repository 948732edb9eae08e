/* TLS on connections, with real handshakes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/conn_private.h"
#include "io/tls_world.h"

static void
secure(void)
{
	fx_secure(&w.s, w.server, &w.c, w.client, "mx.example.org");
	assert_string_equal(w.s.why.text, "");
	assert_string_equal(w.c.why.text, "");
	assert_int_equal(w.s.secured, 1);
	assert_int_equal(w.c.secured, 1);
}

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

/* A client that is nothing but OpenSSL, blocking, after the handshake. */
static SSL *
bare_client(struct world *x, int fds[2])
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	struct err e;

	fx_tcp_pair(x->loop, fds);
	conn_abort(&x->s.conn);
	fx_end(&x->s, x->loop, fds[1]);
	assert_int_equal(conn_start_tls_server(x->s.conn, x->server, 0, &e),
	    0);
	SSL_set_fd(ssl, fds[0]);
	SSL_set_connect_state(ssl);
	shake(x->loop, ssl, fds[0]);
	SSL_CTX_free(ctx);
	return ssl;
}

/* ---- the ordinary ---- */

static void
octets_go_both_ways_after_the_handshake(void **state)
{
	uint8_t a[32], b[32], ea[64], eb[64];
	size_t na, nb;
	X509 *cert;

	(void)state;
	/* In plain before, waiting for the end of the handshake after. */
	conn_puts(w.s.conn, "220 go\r\n");
	WAIT_FOR(w.loop, w.c.got.n == 8);
	strbuf_clear(&w.c.got);
	assert_false(conn_is_tls(w.c.conn));
	secure();
	conn_puts(w.c.conn, "EHLO me\r\n");
	conn_puts(w.s.conn, "250 ok\r\n");
	WAIT_FOR(w.loop, w.s.got.n == 9 && w.c.got.n == 8);
	assert_true(conn_is_tls(w.s.conn));
	assert_string_equal(conn_tls_version(w.s.conn), "TLSv1.3");
	assert_true(strlen(conn_tls_cipher(w.c.conn)) > 0);
	assert_true(conn_tls_bits(w.c.conn) >= 128);
	assert_string_equal(conn_tls_sni(w.s.conn), "mx.example.org");
	assert_true(conn_tls_verified(w.c.conn));
	assert_string_equal(conn_tls_verify_text(w.c.conn), "verified");
	assert_string_equal(conn_tls_verify_text(w.s.conn), "no certificate");
	cert = conn_tls_peer_cert(w.c.conn);
	assert_int_equal(X509_cmp(cert, w.cert.x509), 0);
	X509_free(cert);
	assert_null(conn_tls_peer_cert(w.s.conn));
	assert_int_equal(conn_tls_exporter(w.s.conn, a), 0);
	assert_int_equal(conn_tls_exporter(w.c.conn, b), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(conn_tls_server_end_point(w.s.conn, ea, &na), 0);
	assert_int_equal(conn_tls_server_end_point(w.c.conn, eb, &nb), 0);
	assert_int_equal(na, 32);
	assert_int_equal(na, nb);
	assert_memory_equal(ea, eb, na);
}

static void
what_was_pending_goes_in_plain_before_the_handshake(void **state)
{
	char buf[64];
	struct err e;
	int fds[2];

	(void)state;
	fx_tcp_pair(w.loop, fds);
	conn_abort(&w.s.conn);
	fx_end(&w.s, w.loop, fds[1]);
	conn_puts(w.s.conn, "220 go\r\n");
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), 0);
	conn_puts(w.s.conn, "behind the handshake");
	loop_turn(w.loop, false);
	loop_turn(w.loop, false);
	assert_int_equal(recv(fds[0], buf, sizeof(buf), MSG_DONTWAIT), 8);
	assert_memory_equal(buf, "220 go\r\n", 8);
	conn_abort(&w.c.conn);
	fx_end(&w.c, w.loop, fds[0]);
	assert_int_equal(conn_start_tls_client(w.c.conn, w.client, "127.0.0.1",
	    NULL, 0, &e), 0);
	WAIT_FOR(w.loop, w.c.got.n == 20);
	assert_string_equal(strbuf_cstr(&w.c.got), "behind the handshake");
	/* an address literal is checked, but never sent as SNI */
	assert_true(conn_tls_verified(w.c.conn));
	assert_null(conn_tls_sni(w.s.conn));
}

static void
channel_bindings_exist_only_where_they_are_unique(void **state)
{
	uint8_t a[32], b[32], point[64], other[64];
	size_t n, m;

	(void)state;
	assert_int_equal(conn_tls_unique(w.s.conn, point, &n), -1);
	assert_int_equal(conn_tls_exporter(w.s.conn, a), -1);
	assert_int_equal(conn_tls_server_end_point(w.s.conn, point, &n), -1);
	assert_string_equal(conn_tls_verify_text(w.s.conn), "no TLS");
	/* TLS 1.2 with the extended master secret, then without it */
	SSL_CTX_set_max_proto_version(tls_context_ssl(w.client),
	    TLS1_2_VERSION);
	secure();
	assert_int_equal(conn_tls_exporter(w.s.conn, a), 0);
	assert_int_equal(conn_tls_exporter(w.c.conn, b), 0);
	assert_memory_equal(a, b, 32);
	/* tls-unique: the client's Finished, by both */
	assert_int_equal(conn_tls_unique(w.s.conn, point, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(conn_tls_unique(w.c.conn, other, &m), 0);
	assert_int_equal(m, n);
	assert_memory_equal(point, other, n);
	assert_int_equal(SSL_get_finished(w.c.conn->ssl, other,
	    sizeof(other)), 12);
	assert_memory_equal(point, other, n);
	fx_end_free(&w.s);
	fx_end_free(&w.c);
	fx_pair(w.loop, &w.s, &w.c);
	SSL_CTX_set_options(tls_context_ssl(w.client),
	    SSL_OP_NO_EXTENDED_MASTER_SECRET);
	secure();
	SSL_CTX_clear_options(tls_context_ssl(w.client),
	    SSL_OP_NO_EXTENDED_MASTER_SECRET);
	SSL_CTX_set_max_proto_version(tls_context_ssl(w.client), 0);
	assert_int_equal(conn_tls_exporter(w.s.conn, a), -1);
	assert_int_equal(conn_tls_unique(w.s.conn, point, &n), -1);
	assert_int_equal(conn_tls_server_end_point(w.s.conn, point, &n), 0);
}

/* RFC 9266 4: the label, an empty context that is there, 32 octets; and
 * tls-unique does not exist in TLS 1.3. */
static void
the_exporter_is_that_of_the_rfc(void **state)
{
	uint8_t a[32], b[32], none[64];
	size_t n;

	(void)state;
	secure();
	assert_int_equal(conn_tls_exporter(w.s.conn, a), 0);
	assert_int_equal(SSL_export_keying_material(w.c.conn->ssl, b, 32,
	    "EXPORTER-Channel-Binding", 24, NULL, 0, 1), 1);
	assert_memory_equal(a, b, 32);
	assert_int_equal(conn_tls_unique(w.s.conn, none, &n), -1);
}

static void
large_transfers_arrive_whole(void **state)
{
	enum { N = 3 << 20 };
	char *data = mem_alloc(N);
	size_t i;

	(void)state;
	for (i = 0; i < N; i++)
		data[i] = (char)(i * 31 >> 4);
	secure();
	conn_write(w.c.conn, data, N);
	conn_writev(w.s.conn, &(struct slice){ data, N }, 1);
	WAIT_FOR(w.loop, w.s.got.n == N && w.c.got.n == N);
	assert_memory_equal(w.s.got.p, data, N);
	assert_memory_equal(w.c.got.p, data, N);
	assert_int_equal(conn_pending_out(w.c.conn), 0);
	assert_true(w.c.drained >= 1);
	free(data);
}

/* ---- back-pressure ---- */

/* Four records lie in OpenSSL's buffer and the socket is empty: no readiness
 * will ever come again, the limit must be lifted from inside. */
static void
a_read_limit_does_not_hang_on_buffered_records(void **state)
{
	char record[16000] = { 0 };
	int fds[2], i;
	SSL *ssl;

	(void)state;
	ssl = bare_client(&w, fds);
	WAIT_FOR(w.loop, w.s.secured);
	conn_read_limit(w.s.conn, 1000);
	for (i = 0; i < 4; i++)
		assert_int_equal(SSL_write(ssl, record, sizeof(record)),
		    sizeof(record));
	WAIT_FOR(w.loop, w.s.got.n == 64000);
	assert_true(w.s.readable >= 64);
	SSL_free(ssl);
	close(fds[0]);
}

static void
reading_stops_at_the_limit_and_goes_on_after_consuming(void **state)
{
	enum { N = 8 << 20 };
	char *data = mem_zalloc(N);
	int i;

	(void)state;
	secure();
	w.s.keep = true;
	conn_read_limit(w.s.conn, 20000);
	conn_write(w.c.conn, data, N);
	for (i = 0; i < 100; i++)
		loop_turn(w.loop, false);
	assert_int_equal(conn_input(w.s.conn).n, 20000);
	assert_true(conn_pending_out(w.c.conn) > N / 2);
	w.s.keep = false;
	conn_consume(w.s.conn, 20000);
	WAIT_FOR(w.loop, w.s.got.n == N - 20000);
	free(data);
}

static void
pausing_under_tls_loses_nothing(void **state)
{
	char record[10000] = { 0 };
	int i, n;

	(void)state;
	secure();
	for (i = 0; i < 20; i++) {
		conn_pause(w.s.conn);
		conn_write(w.c.conn, record, sizeof(record));
		for (n = 0; n < 3; n++)
			loop_turn(w.loop, false);
		conn_resume(w.s.conn);
		loop_turn(w.loop, false);
	}
	WAIT_FOR(w.loop, w.s.got.n == 20 * sizeof(record));
}

/* ---- injection ---- */

static void
plaintext_behind_starttls_is_refused(void **state)
{
	struct err e;

	(void)state;
	w.s.keep = true;
	conn_puts(w.c.conn, "STARTTLS\r\nRCPT TO:<x@example.org>\r\n");
	WAIT_FOR(w.loop, w.s.readable);
	conn_consume(w.s.conn, 10);
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), -1);
	assert_int_equal(e.code, EPROTO);
	assert_non_null(strstr(e.text, "25 octets of plaintext"));
	assert_false(conn_is_tls(w.s.conn));
}

static void
plaintext_that_comes_later_fails_the_handshake(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), 0);
	conn_puts(w.c.conn, "RCPT TO:<x@example.org>\r\n");
	WAIT_FOR(w.loop, w.s.closed);
	assert_int_equal(w.s.how, CONN_TLS_FAILED);
	assert_int_equal(w.s.why.code, EPROTO);
	assert_int_equal(w.s.got.n, 0);
	assert_non_null(strstr(w.s.why.text, "TLS handshake: "));
}

static void
tls_is_not_started_twice(void **state)
{
	struct err e;

	(void)state;
	secure();
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), -1);
	assert_int_equal(conn_start_tls_client(w.c.conn, w.client, "x", NULL,
	    0, &e), -1);
	conn_puts(w.c.conn, "still fine");
	WAIT_FOR(w.loop, w.s.got.n == 10);
}

/* ---- ends ---- */

static void
close_flushes_and_says_goodbye(void **state)
{
	enum { N = 2 << 20 };
	char *data = mem_zalloc(N);

	(void)state;
	secure();
	conn_write(w.s.conn, data, N);
	conn_puts(w.s.conn, "221 bye\r\n");
	conn_close(&w.s.conn);
	WAIT_FOR(w.loop, w.c.closed);
	assert_int_equal(w.c.got.n, N + 9);
	assert_true(w.c.in_order);
	assert_int_equal(w.c.how, CONN_EOF);
	conn_close(&w.c.conn);
	WAIT_FOR(w.loop, loop_lingering(w.loop) == 0);
	free(data);
}

static void
an_end_without_close_notify_is_a_truncation(void **state)
{
	int fds[2];
	SSL *ssl;

	(void)state;
	ssl = bare_client(&w, fds);
	assert_int_equal(SSL_write(ssl, "MAIL FROM", 9), 9);
	SSL_free(ssl);
	shutdown(fds[0], SHUT_WR);
	WAIT_FOR(w.loop, w.s.closed);
	assert_false(w.s.in_order);
	assert_int_equal(w.s.how, CONN_TRUNCATED);
	assert_int_equal(w.s.why.code, ECONNABORTED);
	assert_string_equal(strbuf_cstr(&w.s.got), "MAIL FROM");
	close(fds[0]);
}

static void
a_reset_under_tls_is_a_reset(void **state)
{
	struct linger hard = { 1, 0 };
	int fds[2];
	SSL *ssl;

	(void)state;
	ssl = bare_client(&w, fds);
	WAIT_FOR(w.loop, w.s.secured);
	SSL_free(ssl);
	setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fds[0]);
	WAIT_FOR(w.loop, w.s.closed);
	assert_int_equal(w.s.how, CONN_RESET);
	assert_int_equal(w.s.why.code, ECONNRESET);
}

static void
a_damaged_record_ends_the_connection(void **state)
{
	int fds[2];
	SSL *ssl;

	(void)state;
	ssl = bare_client(&w, fds);
	WAIT_FOR(w.loop, w.s.secured);
	assert_int_equal(write(fds[0], "\x17\x03\x03\x00\x20"
	    "0123456789abcdef0123456789abcdef", 37), 37);
	WAIT_FOR(w.loop, w.s.closed);
	assert_int_equal(w.s.how, CONN_TLS_FAILED);
	SSL_free(ssl);
	close(fds[0]);
}

static void
a_silent_peer_times_out_in_the_handshake(void **state)
{
	struct err e;

	(void)state;
	conn_timeout(w.s.conn, 60000);
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 150, &e),
	    0);
	WAIT_FOR(w.loop, w.s.closed);
	assert_int_equal(w.s.how, CONN_TIMEOUT);
	assert_string_equal(w.s.why.text, "TLS handshake timed out");
}

static void
a_peer_that_leaves_in_the_handshake_is_told(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), 0);
	conn_close(&w.c.conn);
	WAIT_FOR(w.loop, w.s.closed);
	assert_int_equal(w.s.how, CONN_TLS_FAILED);
	assert_string_equal(w.s.why.text,
	    "TLS handshake: the peer closed the connection");
}

static void
the_idle_limit_counts_again_after_the_handshake(void **state)
{
	(void)state;
	conn_timeout(w.s.conn, 200);
	secure();
	WAIT_FOR(w.loop, w.s.closed);
	assert_int_equal(w.s.how, CONN_TIMEOUT);
	assert_string_equal(w.s.why.text, "timed out");
}

static void
closing_during_the_handshake_is_quiet(void **state)
{
	struct err e;

	(void)state;
	conn_puts(w.c.conn, "x");
	WAIT_FOR(w.loop, w.s.got.n == 1);
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), 0);
	conn_close(&w.s.conn);
	loop_turn(w.loop, false);
	assert_int_equal(conn_start_tls_client(w.c.conn, w.client, "mx", NULL,
	    0, &e), 0);
	loop_turn(w.loop, false);
	conn_close(&w.c.conn);
	WAIT_FOR(w.loop, loop_lingering(w.loop) == 0);
}

/* One connection to the same server after another. */
static bool
is_resumed(struct tls_context *server, struct tls_ticket *t)
{
	struct err e;
	bool resumed;

	fx_end_free(&w.s);
	fx_end_free(&w.c);
	fx_pair(w.loop, &w.s, &w.c);
	assert_int_equal(conn_start_tls_server(w.s.conn, server, 0, &e), 0);
	assert_int_equal(conn_start_tls_client(w.c.conn, w.client,
	    "mx.example.org", NULL, 0, &e), 0);
	conn_tls_ticket(w.c.conn, t);
	conn_puts(w.s.conn, "220 go\r\n");
	/* The tickets of TLS 1.3 come with the first octets. */
	WAIT_FOR(w.loop, w.s.secured && w.c.got.n == 8);
	assert_true(conn_tls_verified(w.c.conn));
	resumed = conn_tls_resumed(w.c.conn);
	assert_true(resumed == conn_tls_resumed(w.s.conn));
	return resumed;
}

static void
a_ticket_makes_the_next_handshake_short(void **state)
{
	struct tls_ticket *t = tls_ticket_new();
	struct tls_context *other = fx_server(&w.cert);

	(void)state;
	assert_false(is_resumed(w.server, t));
	assert_true(is_resumed(w.server, t));
	assert_true(is_resumed(w.server, t));
	/* A server that cannot read it makes an ordinary handshake. */
	assert_false(is_resumed(other, t));
	assert_true(is_resumed(other, t));
	tls_ticket_free(&t);
	tls_context_free(&other);
}

static void
a_ticket_outlives_its_owner(void **state)
{
	struct tls_ticket *t = tls_ticket_new();
	struct err e;

	(void)state;
	assert_int_equal(conn_start_tls_server(w.s.conn, w.server, 0, &e), 0);
	assert_int_equal(conn_start_tls_client(w.c.conn, w.client,
	    "mx.example.org", NULL, 0, &e), 0);
	conn_tls_ticket(w.c.conn, t);
	tls_ticket_free(&t);
	conn_puts(w.s.conn, "220 go\r\n");
	WAIT_FOR(w.loop, w.c.got.n == 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(a_ticket_makes_the_next_handshake_short),
		WITH_PAIR(a_ticket_outlives_its_owner),
		WITH_PAIR(octets_go_both_ways_after_the_handshake),
		WITH_PAIR(what_was_pending_goes_in_plain_before_the_handshake),
		WITH_PAIR(channel_bindings_exist_only_where_they_are_unique),
		WITH_PAIR(the_exporter_is_that_of_the_rfc),
		WITH_PAIR(large_transfers_arrive_whole),
		WITH_PAIR(a_read_limit_does_not_hang_on_buffered_records),
		WITH_PAIR(
		    reading_stops_at_the_limit_and_goes_on_after_consuming),
		WITH_PAIR(pausing_under_tls_loses_nothing),
		WITH_PAIR(plaintext_behind_starttls_is_refused),
		WITH_PAIR(plaintext_that_comes_later_fails_the_handshake),
		WITH_PAIR(tls_is_not_started_twice),
		WITH_PAIR(close_flushes_and_says_goodbye),
		WITH_PAIR(an_end_without_close_notify_is_a_truncation),
		WITH_PAIR(a_reset_under_tls_is_a_reset),
		WITH_PAIR(a_damaged_record_ends_the_connection),
		WITH_PAIR(a_silent_peer_times_out_in_the_handshake),
		WITH_PAIR(a_peer_that_leaves_in_the_handshake_is_told),
		WITH_PAIR(the_idle_limit_counts_again_after_the_handshake),
		WITH_PAIR(closing_during_the_handshake_is_quiet),
	};

	return cmocka_run_group_tests(tests, make_certs, free_certs);
}

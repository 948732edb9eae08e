/* TLS policies: what is taken as a certificate, and which one is shown. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/strbuf.h"
#include "io/fixture.h"

/* The error of a server with this certificate, "" when it is taken. */
static const char *
server_error(struct tls_pem pem)
{
	static struct err e;
	struct tls_server_options o = { .certs = &pem, .cert_count = 1 };
	struct tls_context *ctx;

	memset(&e, 0, sizeof(e));
	ctx = tls_server_new(&o, &e);
	assert_true((ctx != NULL) == (e.text[0] == '\0'));
	tls_context_free(&ctx);
	return e.text;
}

static void
expect(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void
bad_certificates_are_refused_with_the_reason(void **state)
{
	struct fx_cert a = fx_cert(FX_EC, "a", "DNS:a.example", NULL, 30);
	struct fx_cert b = fx_cert(FX_EC, "b", "DNS:b.example", NULL, 30);
	struct tls_pem pem = fx_pem(&a), bad;
	char *broken = strdup(a.pem);

	(void)state;
	assert_string_equal(server_error(pem), "");
	bad = pem;
	bad.chain = SLICE_LIT("nothing of the kind");
	assert_string_equal(server_error(bad),
	    "certificate 1: holds no PEM certificate");
	bad = pem;
	bad.key = SLICE_LIT("nothing of the kind");
	assert_string_equal(server_error(bad),
	    "certificate 1: holds no PEM private key");
	bad = pem;
	bad.key = slice_cstr(b.key);
	assert_string_equal(server_error(bad),
	    "certificate 1: private key: key values mismatch");
	bad.key = SLICE_LIT("-----BEGIN PRIVATE KEY-----\nbm90IERFUg==\n"
	    "-----END PRIVATE KEY-----\n");
	assert_string_equal(server_error(bad),
	    "certificate 1: private key: damaged");
	bad = pem;
	memset(broken + 60, '*', 20);
	bad.chain = slice_cstr(broken);
	expect(server_error(bad), "certificate 1: certificate: ");
	free(broken);
	fx_cert_free(&a);
	fx_cert_free(&b);
}

static void
a_server_needs_a_certificate(void **state)
{
	struct tls_server_options o = { 0 };
	struct err e;

	(void)state;
	assert_null(tls_server_new(&o, &e));
	assert_int_equal(e.code, EINVAL);
}

static void
key_and_chain_may_come_in_one_piece(void **state)
{
	struct fx_cert ca = fx_cert(FX_EC, "ca", NULL, NULL, 30);
	struct fx_cert a = fx_cert(FX_EC, "a", "DNS:a.example", &ca, 30);
	struct strbuf all = STRBUF_INIT;
	struct tls_pem pem = { 0 };

	(void)state;
	strbuf_puts(&all, a.key);
	strbuf_puts(&all, a.pem);
	strbuf_puts(&all, ca.pem);
	pem.chain = strbuf_slice(&all);
	assert_string_equal(server_error(pem), "");
	strbuf_free(&all);
	fx_cert_free(&a);
	fx_cert_free(&ca);
}

static void
an_encrypted_key_needs_its_passphrase(void **state)
{
	struct fx_cert a = fx_cert(FX_EC, "a", "DNS:a.example", NULL, 30);
	struct tls_pem pem = fx_pem(&a);
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	long n;

	(void)state;
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(b, a.pkey,
	    EVP_aes_256_cbc(), "open sesame", 11, NULL, NULL), 1);
	n = BIO_get_mem_data(b, &text);
	pem.key = slice_of(text, (size_t)n);
	/* and nobody is asked */
	expect(server_error(pem), "encrypted, and no passphrase is given");
	pem.passphrase = SLICE_LIT("wrong");
	expect(server_error(pem), "damaged, or another passphrase");
	pem.passphrase = SLICE_LIT("open sesame");
	assert_string_equal(server_error(pem), "");
	BIO_free(b);
	fx_cert_free(&a);
}

static void
anchors_must_be_certificates(void **state)
{
	struct fx_cert ca = fx_cert(FX_EC, "ca", NULL, NULL, 30);
	struct tls_anchors *a, *ref;
	struct err e;

	(void)state;
	assert_null(tls_anchors_new(SLICE_LIT(""), &e));
	assert_string_equal(e.text, "holds no PEM certificate");
	assert_null(tls_anchors_new(SLICE_LIT("-----BEGIN CERTIFICATE-----\n"
	    "bm90IERFUg==\n-----END CERTIFICATE-----\n"), &e));
	expect(e.text, "CA certificates: ");
	a = tls_anchors_new(slice_cstr(ca.pem), &e);
	assert_non_null(a);
	ref = tls_anchors_ref(a);
	tls_anchors_free(&a);
	assert_null(a);
	tls_anchors_free(&ref);
	tls_anchors_free(&ref);		/* NULL does no harm */
	fx_cert_free(&ca);
}

static void
fingerprints_are_read_in_every_usual_form(void **state)
{
	static const char hex[] =
	    "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
	struct tls_pin pin;
	struct err e;
	char buf[128];
	int i;

	(void)state;
	assert_int_equal(tls_pin_parse(slice_cstr(hex), &pin, &e), 0);
	assert_false(pin.spki);
	for (i = 0; i < 32; i++)
		assert_int_equal(pin.sha256[i], i);
	assert_int_equal(tls_pin_parse(SLICE_LIT("SPKI:00:01:02:03:04:05:06:"
	    "07:08:09:0A:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:1a:1b:"
	    "1c:1d:1e:1f"), &pin, &e), 0);
	assert_true(pin.spki);
	assert_int_equal(pin.sha256[31], 31);
	assert_int_equal(tls_pin_parse(slice_of(hex, 62), &pin, &e), -1);
	strcpy(buf, hex);
	strcat(buf, "0");
	assert_int_equal(tls_pin_parse(slice_cstr(buf), &pin, &e), -1);
	buf[63] = 'g';
	assert_int_equal(tls_pin_parse(slice_of(buf, 64), &pin, &e), -1);
	expect(e.text, "64 hexadecimal digits");
}

static void
results_have_words(void **state)
{
	long i;

	(void)state;
	assert_string_equal(tls_verify_text(0), "verified");
	for (i = 0; i < 120; i++)
		assert_true(strlen(tls_verify_text(i)) > 0);
}

/* ---- which certificate is shown ---- */

struct world {
	struct loop *loop;
	struct end s;
	struct end c;
};

static void
shown(struct tls_context *server, struct tls_context *client,
    const char *name, const struct fx_cert *cert)
{
	struct world w;
	X509 *x;

	w.loop = fx_loop();
	fx_pair(w.loop, &w.s, &w.c);
	fx_secure(&w.s, server, &w.c, client, name);
	assert_string_equal(w.c.why.text, "");
	x = conn_tls_peer_cert(w.c.conn);
	assert_int_equal(X509_cmp(x, cert->x509), 0);
	X509_free(x);
	fx_end_free(&w.s);
	fx_end_free(&w.c);
	loop_free(&w.loop);
}

static void
the_certificate_follows_the_name_asked_for(void **state)
{
	struct fx_cert a = fx_cert(FX_EC, "a", "DNS:a.example", NULL, 30);
	struct fx_cert b = fx_cert(FX_EC, "b", "DNS:*.b.example", NULL, 60);
	struct tls_pem pems[2] = { fx_pem(&a), fx_pem(&b) };
	struct tls_server_options o = { .certs = pems, .cert_count = 2 };
	struct tls_context *client = fx_client(NULL, false), *server;
	struct err e;

	(void)state;
	server = tls_server_new(&o, &e);
	assert_non_null(server);
	shown(server, client, "a.example", &a);
	shown(server, client, "mx.b.example", &b);
	shown(server, client, "b.example", &a);
	shown(server, client, "127.0.0.1", &a);
	assert_in_range(tls_server_expiry(server, 1) - time(NULL),
	    60 * 86400 - 60, 60 * 86400 + 60);
	assert_int_equal(tls_server_expiry(server, 2), -1);
	tls_context_free(&server);
	tls_context_free(&client);
	fx_cert_free(&a);
	fx_cert_free(&b);
}

static void
keys_of_two_kinds_serve_the_same_name(void **state)
{
	struct fx_cert ec = fx_cert(FX_EC, "a", "DNS:a.example", NULL, 30);
	struct fx_cert rsa = fx_cert(FX_RSA, "a", "DNS:a.example", NULL, 30);
	struct tls_pem pems[2] = { fx_pem(&rsa), fx_pem(&ec) };
	struct tls_server_options o = { .certs = pems, .cert_count = 2 };
	struct tls_context *client = fx_client(NULL, false), *server;
	struct err e;

	(void)state;
	server = tls_server_new(&o, &e);
	assert_non_null(server);
	SSL_CTX_set1_sigalgs_list(tls_context_ssl(client),
	    "RSA-PSS+SHA256:RSA+SHA256");
	shown(server, client, "a.example", &rsa);
	SSL_CTX_set1_sigalgs_list(tls_context_ssl(client), "ECDSA+SHA256");
	shown(server, client, "a.example", &ec);
	tls_context_free(&server);
	tls_context_free(&client);
	fx_cert_free(&ec);
	fx_cert_free(&rsa);
}

static void
versions_below_the_minimum_are_refused(void **state)
{
	struct fx_cert a = fx_cert(FX_RSA, "a", "DNS:a.example", NULL, 30);
	struct tls_pem pem = fx_pem(&a);
	struct tls_server_options o = { .certs = &pem, .cert_count = 1 };
	struct tls_client_options co = { .min_version = TLS_1_0 };
	struct tls_context *server, *client;
	struct world w;
	struct err e;
	int i;

	(void)state;
	client = tls_client_new(&co, &e);
	SSL_CTX_set_max_proto_version(tls_context_ssl(client), TLS1_VERSION);
	for (i = 0; i < 2; i++) {
		o.min_version = i == 0 ? TLS_1_2 : TLS_1_0;
		server = tls_server_new(&o, &e);
		w.loop = fx_loop();
		fx_pair(w.loop, &w.s, &w.c);
		fx_secure(&w.s, server, &w.c, client, "a.example");
		assert_int_equal(w.c.secured, i);
		assert_int_equal(w.s.closed, !i);
		if (i == 1)
			assert_string_equal(conn_tls_version(w.c.conn),
			    "TLSv1");
		fx_end_free(&w.s);
		fx_end_free(&w.c);
		loop_free(&w.loop);
		tls_context_free(&server);
	}
	tls_context_free(&client);
	fx_cert_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_certificates_are_refused_with_the_reason),
		cmocka_unit_test(a_server_needs_a_certificate),
		cmocka_unit_test(key_and_chain_may_come_in_one_piece),
		cmocka_unit_test(an_encrypted_key_needs_its_passphrase),
		cmocka_unit_test(anchors_must_be_certificates),
		cmocka_unit_test(fingerprints_are_read_in_every_usual_form),
		cmocka_unit_test(results_have_words),
		cmocka_unit_test(the_certificate_follows_the_name_asked_for),
		cmocka_unit_test(keys_of_two_kinds_serve_the_same_name),
		cmocka_unit_test(versions_below_the_minimum_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

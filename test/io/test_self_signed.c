/* Certificates that a server makes for itself. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"
#include "io/fixture.h"
#include "io/tls_self_signed.h"

static struct tls_certificate_facts
look(const struct strbuf *pem, const char *name)
{
	struct tls_certificate_facts f;
	struct err e = { 0 };

	assert_int_equal(tls_certificate_look(strbuf_slice(pem), name, &f,
	    &e), 0);
	return f;
}

/* The key's part, which stands first. */
static struct slice
key_of(const struct strbuf *pem)
{
	const char *end = strstr(pem->p, "-----END PRIVATE KEY-----");

	assert_non_null(end);
	return slice_of(pem->p, (size_t)(end - pem->p));
}

static void
a_server_can_show_it(void **state)
{
	struct strbuf pem = STRBUF_INIT;
	struct tls_pem p = { 0 };
	struct tls_server_options o = { .certs = &p, .cert_count = 1 };
	struct tls_certificate_facts f;
	struct tls_context *ctx;
	struct err e = { 0 };
	int64_t left;

	(void)state;
	assert_int_equal(tls_self_signed_make("relay.test", slice_of("", 0),
	    397, &pem, &e), 0);
	p.chain = strbuf_slice(&pem);
	ctx = tls_server_new(&o, &e);
	assert_non_null(ctx);
	f = look(&pem, "relay.test");
	left = f.expiry - (int64_t)time(NULL);
	assert_true(left > 396 * 86400 && left <= 397 * 86400);
	assert_int_equal(f.expiry, tls_server_expiry(ctx, 0));
	assert_true(f.has_key && f.for_name);
	assert_int_equal(strlen(f.sha256), 95);
	assert_true(look(&pem, "localhost").for_name);
	assert_false(look(&pem, "other.test").for_name);
	tls_context_free(&ctx);
	strbuf_free(&pem);
}

static void
a_new_one_keeps_the_key(void **state)
{
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(tls_self_signed_make("a.test", slice_of("", 0), 1,
	    &a, &e), 0);
	assert_int_equal(tls_self_signed_make("b.test", strbuf_slice(&a), 2,
	    &b, &e), 0);
	assert_true(slice_eq(key_of(&a), key_of(&b)));
	assert_true(look(&b, "b.test").for_name);
	assert_false(look(&b, "a.test").for_name);
	assert_string_not_equal(look(&a, "a").sha256, look(&b, "a").sha256);
	strbuf_free(&a);
	strbuf_free(&b);
}

static void
any_name_of_a_host_will_do(void **state)
{
	char name[254];
	struct strbuf pem = STRBUF_INIT;
	struct err e = { 0 };
	size_t i;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (i = 60; i < sizeof(name) - 1; i += 60)
		name[i] = '.';
	assert_int_equal(tls_self_signed_make(name, slice_of("", 0), 1, &pem,
	    &e), 0);
	assert_true(look(&pem, name).for_name);
	strbuf_clear(&pem);
	assert_int_equal(tls_self_signed_make("localhost", slice_of("", 0), 1,
	    &pem, &e), 0);
	assert_true(look(&pem, "localhost").for_name);
	strbuf_free(&pem);
}

static void
what_is_no_certificate_is_told(void **state)
{
	struct fx_cert a = fx_cert(FX_EC, "a", "DNS:a.example", NULL, 30);
	struct fx_cert b = fx_cert(FX_EC, "b", "DNS:b.example", NULL, 30);
	struct tls_certificate_facts f;
	struct strbuf pem = STRBUF_INIT;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(tls_certificate_look(SLICE_LIT("nothing"), "a", &f,
	    &e), -1);
	assert_string_equal(e.text, "holds no PEM certificate");
	strbuf_puts(&pem, a.pem);
	assert_false(look(&pem, "a.example").has_key);
	strbuf_puts(&pem, b.key);
	assert_false(look(&pem, "a.example").has_key);
	strbuf_clear(&pem);
	strbuf_printf(&pem, "%s%s", a.pem, a.key);
	assert_true(look(&pem, "a.example").has_key);
	strbuf_free(&pem);
	fx_cert_free(&a);
	fx_cert_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_can_show_it),
		cmocka_unit_test(a_new_one_keeps_the_key),
		cmocka_unit_test(any_name_of_a_host_will_do),
		cmocka_unit_test(what_is_no_certificate_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Texts of OAuth2: forms, PKCE, assertions, token files, what providers
 * answer, and tokens in SASL. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <stdlib.h>
#include <string.h>

#include "auth/oauth_answer.h"
#include "auth/oauth_form.h"
#include "auth/oauth_jwt.h"
#include "auth/oauth_sasl.h"
#include "auth/token_file.h"
#include "base/json_reader.h"
#include "base/mem.h"
#include "io/base64.h"

#define IS(b, text) do { \
	assert_string_equal(strbuf_cstr(&(b)), text); strbuf_free(&(b)); \
} while (0)

/* ---- forms ---- */

static void
every_value_is_encoded(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	oauth_form_add(&b, "a", "x~y.z-_");
	oauth_form_add(&b, "b", "1//0+/=&%x \xc3\xa9");
	oauth_form_add(&b, "c", "");
	oauth_form_add(&b, "d", NULL);
	IS(b, "a=x~y.z-_&b=1%2F%2F0%2B%2F%3D%26%25x%20%C3%A9");
}

static void
queries_are_decoded_once(void **state)
{
	static const char url[] = "http://127.0.0.1:1/?state=s%25t&code=0.A%2B"
	    "b+c&codex=1&bad=%zz&nul=%00#code=2";
	struct strbuf b = STRBUF_INIT;

	(void)state;
	assert_true(oauth_query_get(slice_cstr(url), "code", &b));
	IS(b, "0.A+b c");
	assert_true(oauth_query_get(slice_cstr(url), "state", &b));
	IS(b, "s%t");
	assert_false(oauth_query_get(slice_cstr(url), "bad", &b));
	assert_false(oauth_query_get(slice_cstr(url), "nul", &b));
	assert_false(oauth_query_get(slice_cstr(url), "cod", &b));
	assert_int_equal(b.n, 0);
	strbuf_free(&b);
}

/* RFC 7636 appendix B. */
static void
pkce_as_in_its_rfc(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	oauth_challenge(SLICE_LIT("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEj"
	    "Xk"), &b);
	IS(b, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
	oauth_random(&b);
	assert_int_equal(b.n, 43);
	strbuf_free(&b);
}

/* ---- assertions ---- */

static char *
new_key(EVP_PKEY **key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p, *out;
	long n;

	*key = EVP_RSA_gen(2048);
	assert_int_equal(PEM_write_bio_PrivateKey(bio, *key, NULL, NULL, 0,
	    NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	out = mem_strndup(p, (size_t)n);
	BIO_free(bio);
	return out;
}

static void
unpad(struct slice s, struct strbuf *out)
{
	struct strbuf b = STRBUF_INIT;
	size_t i;

	for (i = 0; i < s.n; i++)
		strbuf_putc(&b, s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' :
		    s.p[i]);
	while (b.n % 4 != 0)
		strbuf_putc(&b, '=');
	assert_int_equal(base64_decode(strbuf_slice(&b), out), 0);
	strbuf_free(&b);
}

static void
a_service_accounts_assertion(void **state)
{
	struct strbuf file = STRBUF_INIT, jwt = STRBUF_INIT;
	struct strbuf part = STRBUF_INIT, key_text = STRBUF_INIT;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *key = NULL;
	char *pem = new_key(&key), *endpoint = NULL, *p;
	struct err e = { 0, "" };
	long dot, last;
	uint64_t n;

	(void)state;
	for (p = pem; *p != '\0'; p++) {
		if (*p == '\n')
			strbuf_puts(&key_text, "\\n");
		else
			strbuf_putc(&key_text, *p);
	}
	strbuf_printf(&file, "{\"private_key\":\"%s\",\"client_email\":\"s@p\""
	    ",\"token_uri\":\"https://h/token\"}", strbuf_cstr(&key_text));
	assert_int_equal(oauth_jwt_service(strbuf_slice(&file), "S", "a@b",
	    1000000, &jwt, &endpoint, &e), 0);
	assert_string_equal(endpoint, "https://h/token");
	dot = slice_find(strbuf_slice(&jwt), '.');
	last = slice_rfind(strbuf_slice(&jwt), '.');
	unpad(slice_of(jwt.p + dot + 1, (size_t)(last - dot - 1)), &part);
	p = json_text_of(strbuf_slice(&part), "sub");
	assert_string_equal(p, "a@b");
	free(p);
	assert_true(json_number_of(strbuf_slice(&part), "exp", UINT32_MAX,
	    &n));
	assert_true(n > 1000000 && n <= 1003600);
	strbuf_clear(&part);
	unpad(slice_skip(strbuf_slice(&jwt), (size_t)last + 1), &part);
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL,
	    key), 1);
	assert_int_equal(EVP_DigestVerify(ctx, (unsigned char *)part.p,
	    part.n, (unsigned char *)jwt.p, (size_t)last), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	free(pem);
	free(endpoint);
	strbuf_free(&file);
	strbuf_free(&jwt);
	strbuf_free(&part);
	strbuf_free(&key_text);
}

static void
keys_that_cannot_sign(void **state)
{
	static const char *const files[] = { "", "[]", "{}",
		("{\"private_key\":\"x\",\"client_email\":\"y\","
		"\"token_uri\":\"z\"}") };
	struct strbuf out = STRBUF_INIT;
	char *endpoint = NULL;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		e.text[0] = '\0';
		assert_int_equal(oauth_jwt_service(slice_cstr(files[i]), "S",
		    "a@b", 1, &out, &endpoint, &e), -1);
		assert_non_null(strstr(e.text, "key-file"));
		assert_null(endpoint);
	}
	assert_int_equal(oauth_jwt_client("x", "y", "c", "https://h", 1, &out,
	    &e), -1);
	strbuf_free(&out);
}

/* ---- token files ---- */

static void
files_are_read_as_others_write_them(void **state)
{
	struct token_file f;
	struct err e;

	(void)state;
	assert_int_equal(token_file_parse(SLICE_LIT("{\"refresh_token\":"
	    "\"r\",\"expiry\":\"1700000000\",\"refresh_window\":\"0\","
	    "\"client_secret\":\"\",\"user\":\"u\"}"), &f, &e), 0);
	assert_int_equal(f.expiry, 1700000000);
	assert_int_equal(f.refresh_window, 0);
	assert_string_equal(f.client_secret, "");
	assert_string_equal(f.user, "u");
	assert_null(f.access_token);
	token_file_clear(&f);
	assert_int_equal(token_file_parse(SLICE_LIT("{\"refresh_token\":"
	    "\"r\",\"expiry\":1700000001,\"access_token\":\"a\"}"), &f, &e),
	    0);
	assert_int_equal(f.expiry, 1700000001);
	token_file_clear(&f);
	assert_int_equal(token_file_parse(SLICE_LIT("{\"refresh_token\":"
	    "\"r\",\"expiry\":-5}"), &f, &e), 0);
	assert_int_equal(f.expiry, 0);
	token_file_clear(&f);
	assert_int_equal(token_file_parse(SLICE_LIT("{\"access_token\":"
	    "\"a\"}"), &f, &e), -1);
	assert_int_equal(token_file_parse(SLICE_LIT("{\"refresh_token\":"
	    "\"secret\",}"), &f, &e), -1);
	assert_null(strstr(e.text, "secret"));
	assert_non_null(strstr(e.text, "line 1"));
}

static void
all_but_what_changes_stays(void **state)
{
	static const char before[] = "// mine\n{\n\t\"big\" : "
	    "12345678901234567890 ,\n \"access_token\":\"old\", "
	    "\"expiry\":0,\"odd\":{\"access_token\":\"inner\"},\n"
	    "\"refresh_token\" : \"r\"\n}\n\n";
	struct token_change c = { .access_token = "n\"w", .expiry = 99,
	    .refresh_token = "r2" };
	struct strbuf b = STRBUF_INIT;

	(void)state;
	token_file_update(slice_cstr(before), &c, &b);
	IS(b, "// mine\n{\n\t\"big\" : "
	    "12345678901234567890 ,\n \"access_token\":\"n\\\"w\", "
	    "\"expiry\":\"99\",\"odd\":{\"access_token\":\"inner\"},\n"
	    "\"refresh_token\" : \"r2\"\n}\n\n");
	c.refresh_token = NULL;
	token_file_update(SLICE_LIT("{\"refresh_token\":\"r\"}"), &c, &b);
	IS(b, "{\"refresh_token\":\"r\",\n  \"access_token\": \"n\\\"w\",\n"
	    "  \"expiry\": \"99\"}");
	c.refresh_token = "r2";
	c.scope = "s";
	token_file_update(slice_of("", 0), &c, &b);
	IS(b, "{\n  \"access_token\": \"n\\\"w\",\n  \"expiry\": \"99\",\n"
	    "  \"refresh_token\": \"r2\",\n  \"scope\": \"s\"\n}\n");
}

/* ---- what providers answer ---- */

static const struct answer {
	unsigned status;
	const char *body;
	enum oauth_class class;
	const char *code, *hint;	/* parts of */
} answers[] = {
#define MS(error, text) "{\"error\":\"" error "\",\"error_description\":\"" \
	text "\\r\\nTrace ID: t\\r\\nCorrelation ID: c\",\"error_codes\":[1]," \
	"\"timestamp\":\"2026-11-20 05:00:00Z\",\"trace_id\":\"t\"}"
	{ 400, MS("invalid_grant", "AADSTS70008: The provided authorization "
	    "code or refresh token has expired due to inactivity."),
	    OAUTH_LOGIN, "AADSTS70008", "not used" },
	{ 400, MS("invalid_grant", "AADSTS700082: The refresh token has "
	    "expired due to inactivity."), OAUTH_LOGIN, "AADSTS700082",
	    "90 days" },
	{ 400, MS("invalid_grant", "AADSTS50173: The provided grant has "
	    "expired due to it being revoked"), OAUTH_LOGIN, "AADSTS50173",
	    "password was changed" },
	{ 400, MS("invalid_grant", "AADSTS50076: Due to a configuration "
	    "change made by your administrator"), OAUTH_LOGIN, "AADSTS50076",
	    "multi-factor" },
	{ 400, MS("invalid_grant", "AADSTS53003: Access has been blocked by "
	    "Conditional Access policies."), OAUTH_LOGIN, "AADSTS53003",
	    "conditional access" },
	{ 400, MS("invalid_grant", "AADSTS65001: The user or administrator "
	    "has not consented"), OAUTH_LOGIN, "AADSTS65001", "consent" },
	{ 400, MS("interaction_required", "AADSTS50079: The user is required "
	    "to use multi-factor authentication."), OAUTH_LOGIN,
	    "AADSTS50079", "enrol" },
	{ 400, MS("unauthorized_client", "AADSTS700016: Application with "
	    "identifier 'x' was not found in the directory"),
	    OAUTH_CONFIGURATION, "AADSTS700016", "client-id" },
	{ 401, MS("invalid_client", "AADSTS7000215: Invalid client secret "
	    "provided."), OAUTH_CONFIGURATION, "AADSTS7000215", "its value" },
	{ 401, MS("invalid_client", "AADSTS7000222: The provided client "
	    "secret keys for app 'x' are expired."), OAUTH_CONFIGURATION,
	    "AADSTS7000222", "expired" },
	{ 401, MS("invalid_client", "AADSTS7000218: The request body must "
	    "contain the following parameter: 'client_assertion' or "
	    "'client_secret'."), OAUTH_CONFIGURATION, "AADSTS7000218",
	    "public client" },
	{ 401, MS("invalid_client", "AADSTS700025: Client is public so "
	    "neither 'client_assertion' nor 'client_secret' should be "
	    "presented."), OAUTH_CONFIGURATION, "AADSTS700025", "must not" },
	{ 400, MS("invalid_request", "AADSTS90002: Tenant 'x' not found."),
	    OAUTH_CONFIGURATION, "AADSTS90002", "no such tenant" },
	{ 400, MS("invalid_request", "AADSTS9002346: Application 'x' is "
	    "configured for use by Microsoft Account users only."),
	    OAUTH_CONFIGURATION, "AADSTS9002346", "consumers" },
	{ 400, MS("invalid_scope", "AADSTS70011: The provided request must "
	    "include a 'scope' input parameter."), OAUTH_CONFIGURATION,
	    "AADSTS70011", "scope" },
	{ 400, MS("authorization_pending", "AADSTS70016: OAuth 2.0 device "
	    "flow error. Authorization is pending."), OAUTH_PENDING,
	    "AADSTS70016", NULL },
	{ 400, "{\"error\":\"invalid_grant\",\"error_description\":\"Token has"
	    " been expired or revoked.\"}", OAUTH_LOGIN, "invalid_grant",
	    "revoked" },
	{ 400, "{\"error\":\"invalid_grant\",\"error_description\":\"Bad "
	    "Request\"}", OAUTH_LOGIN, "invalid_grant", NULL },
	{ 401, "{\"error\":\"unauthorized_client\",\"error_description\":"
	    "\"Client is unauthorized to retrieve access tokens using this "
	    "method, or client not authorized for any of the scopes "
	    "requested.\"}", OAUTH_CONFIGURATION, "unauthorized_client",
	    "delegation" },
	{ 401, "{\"error\":\"invalid_client\",\"error_description\":"
	    "\"Unauthorized\"}", OAUTH_CONFIGURATION, "invalid_client", NULL },
	{ 403, "{\"error\":\"slow_down\"}", OAUTH_SLOW_DOWN, "slow_down",
	    NULL },
	{ 400, "{\"error\":\"expired_token\"}", OAUTH_EXPIRED,
	    "expired_token", NULL },
	{ 400, "{\"error\":\"access_denied\"}", OAUTH_DECLINED,
	    "access_denied", NULL },
	{ 400, "{\"error\":\"authorization_declined\"}", OAUTH_DECLINED,
	    "authorization_declined", NULL },
	{ 400, "{\"error\":\"temporarily_unavailable\"}", OAUTH_TEMPORARY,
	    "temporarily", NULL },
	{ 400, "{\"error\":\"what nobody has seen\"}", OAUTH_TEMPORARY,
	    "nobody", NULL },
	{ 503, "{\"error\":\"invalid_grant\"}", OAUTH_TEMPORARY, NULL, NULL },
	{ 429, "{\"error\":\"invalid_client\"}", OAUTH_TEMPORARY, NULL,
	    NULL },
	{ 503, "<html><body><h1>Service Unavailable</h1></body></html>",
	    OAUTH_TEMPORARY, NULL, NULL },
	{ 200, "<html>please log in to the hotel wifi</html>",
	    OAUTH_TEMPORARY, NULL, NULL },
	{ 200, "{\"access_token\": \"abc\", ", OAUTH_TEMPORARY, NULL, NULL },
	{ 200, "{}", OAUTH_TEMPORARY, NULL, NULL },
	{ 200, "{\"access_token\":\"\"}", OAUTH_TEMPORARY, NULL, NULL },
	{ 200, "{\"access_token\":\"a b\"}", OAUTH_TEMPORARY, NULL, NULL },
	{ 200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}",
	    OAUTH_TEMPORARY, NULL, NULL },
	{ 302, "", OAUTH_TEMPORARY, NULL, NULL },
	{ 404, "not found", OAUTH_TEMPORARY, NULL, NULL },
	{ 200, "{\"access_token\":\"a\",\"token_type\":\"bearer\"}",
	    OAUTH_GOT, NULL, NULL },
};

static void
what_each_answer_means(void **state)
{
	const struct answer *t;
	struct oauth_answer a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		t = &answers[i];
		oauth_answer_read(t->status, slice_cstr(t->body), &a);
		if (a.class != t->class)
			print_error("%u %s: %d\n", t->status, t->body,
			    (int)a.class);
		assert_int_equal(a.class, t->class);
		if (t->code != NULL)
			assert_non_null(strstr(a.code, t->code));
		if (t->hint != NULL)
			assert_non_null(strstr(a.hint, t->hint));
		assert_null(strstr(a.detail, "Trace"));
		oauth_answer_clear(&a);
	}
}

static void
what_a_token_comes_with(void **state)
{
	struct oauth_answer a;

	(void)state;
	oauth_answer_read(200, SLICE_LIT("{\"token_type\":\"Bearer\","
	    "\"access_token\":\"a\",\"expires_in\":\"599\",\"refresh_token\":"
	    "\"r\",\"scope\":\"s t\"}"), &a);
	assert_int_equal(a.class, OAUTH_GOT);
	assert_int_equal(a.expires_in, 599);
	assert_string_equal(a.refresh_token, "r");
	assert_string_equal(a.scope, "s t");
	oauth_answer_clear(&a);
	oauth_answer_read(200, SLICE_LIT("{\"access_token\":\"a\"}"), &a);
	assert_int_equal(a.expires_in, 3600);
	assert_null(a.refresh_token);
	oauth_answer_clear(&a);
}

static void
what_may_be_a_secret_is_hidden(void **state)
{
	struct oauth_answer a;

	(void)state;
	oauth_answer_read(400, SLICE_LIT("{\"error\":\"invalid_grant\","
	    "\"error_description\":\"bad 1//0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaa\\u001b[1m token\"}"), &a);
	assert_string_equal(a.detail, "bad (hidden) token");
	oauth_answer_clear(&a);
}

static void
devices(void **state)
{
	struct oauth_device d;
	struct oauth_answer a;

	(void)state;
	assert_int_equal(oauth_device_read(200, SLICE_LIT("{\"device_code\":"
	    "\"D\",\"user_code\":\"U\",\"verification_uri\":"
	    "\"https://microsoft.com/devicelogin\",\"expires_in\":900,"
	    "\"interval\":5,\"message\":\"m\"}"), &d, &a), 0);
	assert_string_equal(d.user_code, "U");
	assert_int_equal(d.interval, 5);
	oauth_device_clear(&d);
	/* Google's name for it. */
	assert_int_equal(oauth_device_read(200, SLICE_LIT("{\"device_code\":"
	    "\"D\",\"user_code\":\"U\",\"verification_url\":"
	    "\"https://www.google.com/device\"}"), &d, &a), 0);
	assert_int_equal(d.expires_in, 900);
	oauth_device_clear(&d);
	assert_int_equal(oauth_device_read(200, SLICE_LIT("{\"device_code\":"
	    "\"D\",\"user_code\":\"U\",\"verification_uri\":"
	    "\"javascript:x\"}"), &d, &a), -1);
	assert_int_equal(oauth_device_read(400, SLICE_LIT("{\"error\":"
	    "\"invalid_scope\"}"), &d, &a), -1);
	assert_int_equal(a.class, OAUTH_CONFIGURATION);
	assert_int_equal(oauth_device_read(503, SLICE_LIT("x"), &d, &a), -1);
	assert_int_equal(a.class, OAUTH_TEMPORARY);
}

/* ---- SASL ---- */

static void
xoauth2_and_its_error(void **state)
{
	struct strbuf b = STRBUF_INIT, said = STRBUF_INIT;

	(void)state;
	/* Google's documentation has this one. */
	oauth_sasl_first(false, "someuser@example.com",
	    "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", "h", 1, &b);
	IS(b, "user=someuser@example.com\001auth=Bearer "
	    "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\001\001");
	oauth_sasl_error(false, SLICE_LIT("{\"status\":\"401\",\"schemes\":"
	    "\"bearer\",\"scope\":\"https://mail.google.com/\"}"), &b, &said);
	assert_int_equal(b.n, 0);
	IS(said, "status=\"401\" scope=\"https://mail.google.com/\" "
	    "schemes=\"bearer\"");
	strbuf_free(&b);
}

static void
oauthbearer_and_its_error(void **state)
{
	struct strbuf b = STRBUF_INIT, said = STRBUF_INIT;

	(void)state;
	/* RFC 7628 4.1. */
	oauth_sasl_first(true, "user@example.com",
	    "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
	    "server.example.com", 143, &b);
	IS(b, "n,a=user@example.com,\001host=server.example.com\001port=143"
	    "\001auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001"
	    "\001");
	oauth_sasl_first(true, "a,b=c", "t", NULL, 0, &b);
	IS(b, "n,a=a=2Cb=3Dc,\001auth=Bearer t\001\001");
	oauth_sasl_error(true, SLICE_LIT("no json"), &b, &said);
	IS(b, "\001");
	assert_int_equal(said.n, 0);
	strbuf_free(&said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_is_encoded),
		cmocka_unit_test(queries_are_decoded_once),
		cmocka_unit_test(pkce_as_in_its_rfc),
		cmocka_unit_test(a_service_accounts_assertion),
		cmocka_unit_test(keys_that_cannot_sign),
		cmocka_unit_test(files_are_read_as_others_write_them),
		cmocka_unit_test(all_but_what_changes_stays),
		cmocka_unit_test(what_each_answer_means),
		cmocka_unit_test(what_a_token_comes_with),
		cmocka_unit_test(what_may_be_a_secret_is_hidden),
		cmocka_unit_test(devices),
		cmocka_unit_test(xoauth2_and_its_error),
		cmocka_unit_test(oauthbearer_and_its_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

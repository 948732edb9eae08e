/* Whose failure it is, in words; and what a server may offer at the end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <gssapi/gssapi_krb5.h>
#include <krb5.h>

#include "ipc/msg.h"
#include "tools/kerberos_login.h"

/* A few octets of its list of codes, once for a process. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libgssapi_krb5";
}

struct sample {
	krb5_error_code code;
	uint8_t alone, server;		/* the state, as whose it is */
};

static const struct sample samples[] = {
	{ KRB5KRB_AP_ERR_SKEW, AUTH_REFUSED, AUTH_REFUSED },
	{ KRB5KRB_AP_ERR_TKT_EXPIRED, AUTH_REFUSED, AUTH_REFUSED },
	{ KRB5KRB_AP_ERR_NOT_US, AUTH_REFUSED, AUTH_REFUSED },
	{ KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN, AUTH_REFUSED, AUTH_TEMPORARY },
	{ KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN, AUTH_REFUSED, AUTH_TEMPORARY },
	{ KRB5KDC_ERR_PREAUTH_FAILED, AUTH_REFUSED, AUTH_TEMPORARY },
	{ KRB5KDC_ERR_CLIENT_REVOKED, AUTH_REFUSED, AUTH_TEMPORARY },
	{ KRB5_FCC_NOFILE, AUTH_REFUSED, AUTH_TEMPORARY },
	{ KRB5_KDC_UNREACH, AUTH_TEMPORARY, AUTH_TEMPORARY },
	{ KRB5_REALM_UNKNOWN, AUTH_TEMPORARY, AUTH_TEMPORARY },
	{ KRB5KRB_AP_ERR_BAD_INTEGRITY, AUTH_REFUSED, AUTH_TEMPORARY },
	{ KRB5_MUTUAL_FAILED, AUTH_REFUSED, AUTH_TEMPORARY },
	{ ENOMEM, AUTH_TEMPORARY, AUTH_TEMPORARY },
};

static void
says(const struct failure *f, const char *text)
{
	if (strstr(f->text, text) == NULL)
		fail_msg("%s, not %s", f->text, text);
}

static void
whose_it_is(void **state)
{
	const struct sample *s;
	struct failure f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		s = &samples[i];
		failure_gss(&f, GSS_S_FAILURE, (OM_uint32)s->code, false);
		assert_true(f.text[0] != '\0');
		assert_int_equal(f.state, s->alone);
		failure_gss(&f, GSS_S_FAILURE, (OM_uint32)s->code, true);
		assert_int_equal(f.state, s->server);
		assert_int_equal(strncmp(f.text, "the server broke", 16) == 0,
		    s->server == AUTH_TEMPORARY);
	}
	/* where the library says no more than this */
	failure_gss(&f, GSS_S_NO_CRED, 0, false);
	assert_int_equal(f.state, AUTH_REFUSED);
	says(&f, "redentials");
	failure_gss(&f, GSS_S_DEFECTIVE_TOKEN, 12345, true);
	assert_int_equal(f.state, AUTH_TEMPORARY);
	says(&f, "Invalid token");
}

static void
no_layer_is_what_we_take(void **state)
{
	struct failure f = { 0, "" };

	(void)state;
	assert_int_equal(login_layers(SLICE_LIT("\1\0\0\0"), &f), 0);
	assert_int_equal(login_layers(SLICE_LIT("\7\0\20\0"), &f), 0);
	assert_int_equal(login_layers(SLICE_LIT("\6\0\20\0"), &f), -1);
	assert_int_equal(f.state, AUTH_REFUSED);
	says(&f, "security layer");
	assert_int_equal(login_layers(SLICE_LIT("\1\0\0"), &f), -1);
	assert_int_equal(f.state, AUTH_TEMPORARY);
	assert_int_equal(login_layers(SLICE_LIT("\1\0\0\0more"), &f), -1);
	assert_int_equal(login_layers(SLICE_LIT(""), &f), -1);
	assert_int_equal(login_fits(16384, &f), 0);
	assert_int_equal(login_fits(16385, &f), -1);
	assert_int_equal(f.state, AUTH_REFUSED);
	says(&f, "too large for SMTP (16385 octets)");
}

static void
what_no_login_can_begin_with(void **state)
{
	struct failure f = { 0, "" };
	struct tickets *t;
	struct login *l;

	(void)state;
	t = tickets_new(-1, "FILE:/nonexistent/cache", "a@X.TEST", &f);
	assert_non_null(t);
	l = login_new(t, "mx.x.test", &f);
	assert_null(l);
	assert_int_equal(f.state, AUTH_REFUSED);
	/* the cache is named */
	says(&f, "(cache FILE:/nonexistent/cache)");
	tickets_free(&t);
	/* no keytab behind the descriptor */
	assert_null(tickets_new(1000, NULL, NULL, &f));
	says(&f, "the keytab: ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whose_it_is),
		cmocka_unit_test(no_layer_is_what_we_take),
		cmocka_unit_test(what_no_login_can_begin_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

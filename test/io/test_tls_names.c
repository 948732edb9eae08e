/* Names in certificates: which are told, in which order, which are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/x509v3.h>

#include "base/strbuf.h"
#include "io/tls_names.h"

static X509 *
certificate(const char *names, const char *common, int common_n)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	X509_EXTENSION *ext;

	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
	    (const unsigned char *)"first", -1, -1, 0);
	if (common != NULL)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
		    (const unsigned char *)common, common_n, -1, 0);
	if (names == NULL)
		return x;
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	assert_non_null(ext);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return x;
}

struct told {
	struct strbuf text;
	const char *stop;
};

static bool
tell(void *arg, enum tls_name_kind kind, struct slice name)
{
	struct told *t = arg;

	strbuf_putc(&t->text, "edc"[kind]);
	strbuf_putc(&t->text, ':');
	strbuf_add_slice(&t->text, name);
	strbuf_putc(&t->text, ' ');
	return t->stop != NULL && slice_eq_cstr(name, t->stop);
}

static void
tells(X509 *x, const char *stop, const char *want)
{
	struct told t = { STRBUF_INIT, stop };

	assert_int_equal(tls_names(x, tell, &t), stop != NULL);
	assert_string_equal(strbuf_cstr(&t.text), want);
	strbuf_free(&t.text);
	X509_free(x);
}

static void
alternative_names_come_first(void **state)
{
	static const char names[] = "DNS:a.test,email:b@c.test,IP:192.0.2.1,"
	    "URI:http://x.test/,DNS:d.test";

	(void)state;
	tells(certificate(names, "me", -1), NULL,
	    "d:a.test e:b@c.test d:d.test c:me ");
	tells(certificate(names, "me", -1), "b@c.test",
	    "d:a.test e:b@c.test ");
	tells(certificate(NULL, "me", -1), "me", "c:me ");
	tells(certificate(NULL, NULL, 0), NULL, "c:first ");
}

static void
what_holds_a_nul_is_no_name(void **state)
{
	(void)state;
	tells(certificate("DNS:a.test", "me\0x", 4), NULL, "d:a.test ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alternative_names_come_first),
		cmocka_unit_test(what_holds_a_nul_is_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What dnscheck says of texts in DNS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "io/base64.h"
#include "mail/tag_list.h"
#include "tools/ctl_dns_record.h"

static struct err e;

static const char *
verdict(int (*check)(struct slice, struct err *), const char *text)
{
	return check(slice_cstr(text), &e) == 0 ? "" : e.text;
}

/* A record with a key of n octets behind it. */
static const char *
key(const char *tags, size_t n)
{
	static struct strbuf text;
	char octets[600];

	memset(octets, '0', sizeof(octets));
	strbuf_clear(&text);
	strbuf_printf(&text, "%sp=", tags);
	base64_encode(slice_of(octets, n), &text);
	return text.p;
}

static void
keys(void **state)
{
	(void)state;
	assert_string_equal(verdict(dns_record_dkim,
	    key("v=DKIM1; k=rsa; ", 294)), "");
	assert_string_equal(verdict(dns_record_dkim, key("", 550)), "");
	assert_string_equal(verdict(dns_record_dkim,
	    key("k=ed25519;", 32)), "");
	assert_string_equal(verdict(dns_record_dkim, key("k=ed25519;", 33)),
	    "an ed25519 key has 32 octets, this one 33");
	assert_string_equal(verdict(dns_record_dkim, key("", 162)),
	    "the RSA key has fewer than 2048 bits");
	assert_non_null(strstr(verdict(dns_record_dkim, key("", 94)),
	    "fewer than 1024"));
	assert_string_equal(verdict(dns_record_dkim, "v=DKIM1; p="),
	    "the key is revoked (p= is empty)");
	assert_string_equal(verdict(dns_record_dkim, "v=DKIM1"),
	    "p= is missing");
	assert_string_equal(verdict(dns_record_dkim, "p=%%"),
	    "p= is no base64");
	assert_string_equal(verdict(dns_record_dkim, "p=a; v=DKIM1"),
	    "v= is DKIM1, and comes first");
	assert_string_equal(verdict(dns_record_dkim, "k=dsa; p=AAAA"),
	    "k= is rsa or ed25519");
	assert_string_equal(verdict(dns_record_dkim, "p=a; nonsense"),
	    "`nonsense` is not tag=value");
	assert_string_equal(verdict(dns_record_dkim, "p=a; p=b"),
	    "`p` stands twice");
}

static void
policies(void **state)
{
	(void)state;
	assert_string_equal(verdict(dns_record_dmarc,
	    "v=DMARC1; p=Reject; sp=none; adkim=s; rua=mailto:a@b;"), "");
	assert_string_equal(verdict(dns_record_dmarc, "v=DMARC1"),
	    "p= is missing");
	assert_string_equal(verdict(dns_record_dmarc, "v=DMARC1; p=no"),
	    "p= and sp= are none, quarantine or reject");
	assert_string_equal(verdict(dns_record_dmarc,
	    "v=DMARC1; p=none; sp=x"),
	    "p= and sp= are none, quarantine or reject");
	assert_string_equal(verdict(dns_record_dmarc,
	    "v=DMARC1; p=none; aspf=x"), "adkim= and aspf= are r or s");
	assert_string_equal(verdict(dns_record_dmarc,
	    "v=DMARC1; p=none; rua=a@b"), "rua= begins with mailto:");
	assert_string_equal(verdict(dns_record_mta_sts, "v=STSv1; id=2a"),
	    "");
	assert_non_null(strstr(verdict(dns_record_mta_sts, "v=STSv1"),
	    "missing"));
	assert_string_equal(verdict(dns_record_mta_sts, "v=STSv1; id=a-b"),
	    "id= has letters and digits only");
	assert_string_equal(verdict(dns_record_tlsrpt,
	    "v=TLSRPTv1;rua=https://x"), "");
	assert_non_null(strstr(verdict(dns_record_tlsrpt,
	    "v=TLSRPTv1;rua=x"), "missing"));
}

static void
versions_come_first(void **state)
{
	(void)state;
	assert_true(tag_list_claims(SLICE_LIT(" v = DMARC1 ; p=x"),
	    "DMARC1"));
	assert_false(tag_list_claims(SLICE_LIT("p=x; v=DMARC1"), "DMARC1"));
	assert_false(tag_list_claims(SLICE_LIT("v=DMARC2"), "DMARC1"));
	assert_false(tag_list_claims(SLICE_LIT(""), "DMARC1"));
}

static void
hashes_of_tlsa(void **state)
{
	char data[70] = "\3\1\1";

	(void)state;
	assert_int_equal(dns_record_tlsa(slice_of(data, 35), &e), 0);
	assert_int_equal(dns_record_tlsa(slice_of(data, 34), &e), -1);
	assert_string_equal(e.text, "a hash of 31 octets, not of 32");
	data[2] = 2;
	assert_int_equal(dns_record_tlsa(slice_of(data, 67), &e), 0);
	data[2] = 0;
	assert_int_equal(dns_record_tlsa(slice_of(data, 50), &e), 0);
	data[2] = 3;
	assert_int_equal(dns_record_tlsa(slice_of(data, 50), &e), -1);
	data[0] = 1;
	assert_int_equal(dns_record_tlsa(slice_of(data, 50), &e), -1);
	assert_int_equal(dns_record_tlsa(slice_of(data, 3), &e), -1);
}

static void
spf_is_added_to_before_its_end(void **state)
{
	static const struct {
		const char *record, *wanted;
	} t[] = {
		{ "", "v=spf1 ip4:1 mx ~all" },
		{ "v=spf1 a  -ALL", "v=spf1 a ip4:1 -ALL" },
		{ "v=spf1 redirect=x.test", "v=spf1 ip4:1 redirect=x.test" },
		{ "v=spf1 a exp=y", "v=spf1 a exp=y ip4:1" },
		{ "v=spf1", "v=spf1 ip4:1" },
	};
	struct strbuf b = STRBUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		strbuf_clear(&b);
		dns_record_spf_with(slice_cstr(t[i].record), " ip4:1", &b);
		assert_string_equal(b.p, t[i].wanted);
	}
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(policies),
		cmocka_unit_test(versions_come_first),
		cmocka_unit_test(hashes_of_tlsa),
		cmocka_unit_test(spf_is_added_to_before_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

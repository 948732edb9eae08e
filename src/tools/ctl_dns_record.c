/*
 * Records of mail that are texts: DKIM keys (RFC 6376 3.6.1), DMARC (RFC 7489
 * 6.3), MTA-STS (RFC 8461 3.1), TLSRPT (RFC 8460 3), and TLSA (RFC 7672 3.1).
 * No I/O.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "io/base64.h"
#include "mail/mta_sts.h"
#include "mail/tag_list.h"
#include "tools/ctl_dns_record.h"

static bool
one_of(struct slice value, const char *const *known)
{
	for (; *known != NULL; known++)
		if (slice_eq_case_cstr(value, *known))
			return true;
	return false;
}

/* ---- DKIM ---- */

/* A DER SubjectPublicKeyInfo is about 38 octets longer than its modulus. */
#define RSA_1024 160
#define RSA_2048 290

static int
check_key(struct slice p, bool rsa, struct err *e)
{
	struct strbuf text = STRBUF_INIT, key = STRBUF_INIT;
	size_t i, n;
	int rc;

	for (i = 0; i < p.n; i++)
		if (!isspace((unsigned char)p.p[i]))
			strbuf_putc(&text, p.p[i]);
	rc = base64_decode(strbuf_slice(&text), &key);
	n = key.n;
	strbuf_free(&text);
	strbuf_free(&key);
	if (rc < 0)
		return err_set(e, EINVAL, "p= is no base64");
	if (!rsa)
		return n == 32 ? 0 : err_set(e, EINVAL,
		    "an ed25519 key has 32 octets, this one %zu", n);
	if (n < RSA_1024)
		return err_set(e, EINVAL, "the RSA key has fewer than 1024 "
		    "bits: many refuse it");
	if (n < RSA_2048)
		return err_set(e, EINVAL, "the RSA key has fewer than 2048 "
		    "bits");
	return 0;
}

int
dns_record_dkim(struct slice text, struct err *e)
{
	struct slice v, k = SLICE_LIT("rsa"), p;
	bool rsa;

	if (tag_list_check(text, e) < 0)
		return -1;
	if (tag_list_get(text, "v", &v) &&
	    (!slice_eq_cstr(v, "DKIM1") ||
	    !tag_list_claims(text, "DKIM1")))
		return err_set(e, EINVAL, "v= is DKIM1, and comes first");
	if (!tag_list_get(text, "p", &p))
		return err_set(e, EINVAL, "p= is missing");
	if (p.n == 0)
		return err_set(e, EINVAL, "the key is revoked (p= is empty)");
	tag_list_get(text, "k", &k);
	rsa = slice_eq_cstr(k, "rsa");
	if (!rsa && !slice_eq_cstr(k, "ed25519"))
		return err_set(e, EINVAL, "k= is rsa or ed25519");
	return check_key(p, rsa, e);
}

/* ---- DMARC ---- */

int
dns_record_dmarc(struct slice text, struct err *e)
{
	static const char *const policies[] = { "none", "quarantine",
	    "reject", NULL };
	static const char *const modes[] = { "r", "s", NULL };
	struct slice value;

	if (tag_list_check(text, e) < 0)
		return -1;
	if (!tag_list_get(text, "p", &value))
		return err_set(e, EINVAL, "p= is missing");
	if (!one_of(value, policies) || (tag_list_get(text, "sp", &value) &&
	    !one_of(value, policies)))
		return err_set(e, EINVAL,
		    "p= and sp= are none, quarantine or reject");
	if ((tag_list_get(text, "adkim", &value) && !one_of(value, modes)) ||
	    (tag_list_get(text, "aspf", &value) && !one_of(value, modes)))
		return err_set(e, EINVAL, "adkim= and aspf= are r or s");
	if (tag_list_get(text, "rua", &value) &&
	    !slice_starts_case(value, SLICE_LIT("mailto:")))
		return err_set(e, EINVAL, "rua= begins with mailto:");
	return 0;
}

/* ---- MTA-STS, TLSRPT ---- */

int
dns_record_mta_sts(struct slice text, struct err *e)
{
	struct slice id;

	return mta_sts_record(text, &id, e);
}

int
dns_record_tlsrpt(struct slice text, struct err *e)
{
	struct slice rua;

	if (tag_list_check(text, e) < 0)
		return -1;
	if (!tag_list_get(text, "rua", &rua) ||
	    !(slice_starts_case(rua, SLICE_LIT("mailto:")) ||
	    slice_starts_case(rua, SLICE_LIT("https:"))))
		return err_set(e, EINVAL,
		    "rua= with a mailto: or https: address is missing");
	return 0;
}

/* ---- TLSA ---- */

int
dns_record_tlsa(struct slice data, struct err *e)
{
	const unsigned char *p = (const unsigned char *)data.p;
	size_t want;

	if (data.n < 4)
		return err_set(e, EINVAL, "is too short");
	if (p[0] != 2 && p[0] != 3)
		return err_set(e, EINVAL, "usage %u: only 2 (DANE-TA) and 3 "
		    "(DANE-EE) count for mail", p[0]);
	if (p[1] > 1 || p[2] > 2)
		return err_set(e, EINVAL, "selector %u, matching type %u: not "
		    "known", p[1], p[2]);
	want = p[2] == 1 ? 32 : p[2] == 2 ? 64 : data.n - 3;
	if (data.n - 3 != want)
		return err_set(e, EINVAL, "a hash of %zu octets, not of %zu",
		    data.n - 3, want);
	return 0;
}

/* ---- SPF ---- */

void
dns_record_spf_with(struct slice record, const char *terms,
    struct strbuf *out)
{
	struct slice rest = record, word, name;
	bool put = false;

	if (record.n == 0) {
		strbuf_printf(out, "v=spf1%s mx ~all", terms);
		return;
	}
	while (slice_word(&rest, &word)) {
		name = word;
		if (name.n > 0 && strchr("+-~?", name.p[0]) != NULL)
			name = slice_skip(name, 1);
		if (!put && (slice_eq_case_cstr(name, "all") ||
		    slice_starts_case(word, SLICE_LIT("redirect=")))) {
			strbuf_puts(out, terms);
			put = true;
		}
		if (out->n > 0)
			strbuf_putc(out, ' ');
		strbuf_add_slice(out, word);
	}
	if (!put)
		strbuf_puts(out, terms);
}

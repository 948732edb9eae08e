/* Paths, patterns, domains: any octets.  What is taken must survive being
 * taken again in its normal form. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mail/address.h"
#include "mail/domain.h"
#include "mail/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_pattern(struct slice in)
{
	struct strbuf text = STRBUF_INIT;
	struct mail_pattern p, again;

	if (mail_pattern_parse(in, &p, &(struct err){ .code = 0 }) < 0)
		return;
	mail_pattern_text(&p, &text);
	mail_pattern_matches(&p, in);
	if (mail_pattern_parse(strbuf_slice(&text), &again, NULL) < 0 ||
	    again.kind != p.kind || mail_pattern_compare(&p, &again) != 0)
		abort();
	mail_pattern_free(&again);
	mail_pattern_free(&p);
	strbuf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct strbuf once = STRBUF_INIT, twice = STRBUF_INIT;
	char domain[MAIL_DOMAIN_MAX + 1], same[MAIL_DOMAIN_MAX + 1];
	struct mail_path path;
	size_t used;

	if (mail_path_parse(in, &path, true, &used) == MAIL_PATH_OK) {
		if (used > size || path.local.n + path.domain.n > size)
			abort();
		mail_address_normal(path.whole, &once);
		mail_address_normal(strbuf_slice(&once), &twice);
		if (!slice_eq(strbuf_slice(&once), strbuf_slice(&twice)))
			abort();
	}
	if (mail_domain_normal(in, domain) == 0 &&
	    (mail_domain_normal(slice_cstr(domain), same) < 0 ||
	     !slice_eq_cstr(slice_cstr(domain), same)))
		abort();
	try_pattern(in);
	strbuf_free(&once);
	strbuf_free(&twice);
	return 0;
}

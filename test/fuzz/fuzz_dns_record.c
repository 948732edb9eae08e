/* Texts of DNS that dnscheck looks at: any octets. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mail/spf.h"
#include "mail/tag_list.h"
#include "tools/ctl_dns_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const checks[])(struct slice, struct err *) = {
		dns_record_dkim, dns_record_dmarc, dns_record_mta_sts,
		dns_record_tlsrpt, dns_record_tlsa
	};
	struct slice text = slice_of(data, size), value;
	struct strbuf out = STRBUF_INIT;
	struct err e;
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		e.text[0] = '\0';
		if (checks[i](text, &e) < 0 && e.text[0] == '\0')
			abort();
	}
	if (tag_list_get(text, "p", &value) && (value.p < text.p ||
	    value.p + value.n > text.p + text.n))
		abort();
	dns_record_spf_with(text, " ip4:192.0.2.1", &out);
	if (spf_is_record(text) && !spf_is_record(strbuf_slice(&out)))
		abort();
	strbuf_free(&out);
	return 0;
}

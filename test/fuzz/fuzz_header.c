/* Headers of messages: any octets.  The fields are the header, whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mail/header.h"
#include "mail/submission_fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct strbuf b = STRBUF_INIT;
	struct header_scan scan;
	struct header_field f;
	size_t pos = 0, sum = 0;

	header_scan(in, &scan);
	if (scan.fields_end > scan.body || scan.body > size)
		abort();
	while (header_next(in, &pos, &f)) {
		if (f.whole.n == 0 || f.name.n == 0 ||
		    f.value.n > f.whole.n)
			abort();
		sum += f.whole.n;
		header_unfold(f.value, &b);
		if (slice_find(strbuf_slice(&b), '\n') >= 0)
			abort();
		strbuf_clear(&b);
	}
	if (sum != scan.fields_end)
		abort();
	submission_fields(&b, &scan, 1, "host", "a@b");
	strbuf_free(&b);
	return 0;
}

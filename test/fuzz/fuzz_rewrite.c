/* Rewriting of From and of bare addresses, of any octets: what stands behind
 * the place is untouched, what is new is one field and one more, and all that
 * was bare has its domain. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/header.h"
#include "mail/qualify.h"
#include "mail/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
owns(void *arg, struct slice address)
{
	(void)arg;
	return address.n % 2 == 0;
}

static size_t
count_fields(struct slice s)
{
	struct header_field f;
	size_t pos = 0, n = 0;

	while (header_next(s, &pos, &f))
		n++;
	return n;
}

static void
rewrite(struct slice fields, unsigned flags)
{
	struct rewrite r = { .address = "me@own.test", .always = flags & 1,
	    .signed_too = (flags & 2) != 0, .owns = owns };
	struct strbuf out = STRBUF_INIT;
	size_t skip = 0, n;

	if (!rewrite_from(fields, &r, &out, &skip)) {
		if (out.n != 0 || (r.always && r.signed_too &&
		    header_find(fields, "From", &(size_t){ 0 },
		    &(struct header_field){ .whole = { NULL, 0 } })))
			abort();
		return;
	}
	if (skip > fields.n)
		abort();
	strbuf_add_slice(&out, slice_skip(fields, skip));
	n = count_fields(strbuf_slice(&out));
	if (n != count_fields(fields) && n != count_fields(fields) + 1)
		abort();
	strbuf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf out = STRBUF_INIT, again = STRBUF_INIT;
	struct header_scan scan;
	struct slice text;

	if (size == 0)
		return 0;
	text = slice_of(data + 1, size - 1);
	header_scan(text, &scan);
	text.n = scan.fields_end;
	rewrite(text, data[0]);
	if (qualify_fields(text, "host.test", &out) &&
	    (qualify_fields(strbuf_slice(&out), "host.test", &again) ||
	    count_fields(strbuf_slice(&out)) != count_fields(text)))
		abort();
	strbuf_free(&out);
	strbuf_free(&again);
	return 0;
}

/* A record's value from the disk: whatever decodes must encode to something
 * that decodes to the same octets. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "store/record.h"
#include "store/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try(struct slice value)
{
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	struct record *r, *again;
	size_t used;

	r = record_decode(value, &used, NULL);
	if (r == NULL)
		return;
	if (used > value.n)
		abort();
	(void)record_next_due(r);
	(void)record_attempts(r);
	if (record_pending(r) > r->env->recipient_count)
		abort();
	record_encode(r, &a);
	again = record_decode(strbuf_slice(&a), &used, NULL);
	if (again == NULL || used != a.n)
		abort();
	record_encode(again, &b);
	if (!slice_eq(strbuf_slice(&a), strbuf_slice(&b)))
		abort();
	record_free(&r);
	record_free(&again);
	strbuf_free(&a);
	strbuf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *copy;

	try(slice_of(data, size));
	if (size < RECORD_HEADER || size > UINT32_MAX)
		return 0;
	/* Past the CRC, which no mutation would get right. */
	copy = mem_dup(data, size);
	put_le32(copy + 4, (uint32_t)size);
	put_le32(copy + 8, crc32c(crc32c(0, copy, 8), copy + RECORD_HEADER,
	    size - RECORD_HEADER));
	try(slice_of(copy, size));
	free(copy);
	return 0;
}

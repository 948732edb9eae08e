/* What the store kept of rates: whatever it is, the sums hold together. */
#include <stdint.h>
#include <stdlib.h>

#include "queue/ration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int ok)
{
	if (!ok)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size), again;
	struct strbuf out = STRBUF_INIT;
	struct ration r = { 0 }, s = { 0 };
	uint64_t now = 1700000000000;

	ration_set(&r, 10, 60000);
	ration_set(&s, 10, 60000);
	if (ration_decode(&r, &in) == 0) {
		ration_encode(&r, &out);
		again = strbuf_slice(&out);
		check(ration_decode(&s, &again) == 0 && again.n == 0);
		check(s.used == r.used && s.n == r.n);
		check(ration_opens(&r, now) >= now);
		ration_take(&r, now);
		check(ration_left(&r, now) <= 9);
		/* A minute later all of it is over. */
		check(ration_left(&r, now + 60000) == 10);
		ration_give(&s);
	}
	ration_free(&r);
	ration_free(&s);
	strbuf_free(&out);
	return 0;
}

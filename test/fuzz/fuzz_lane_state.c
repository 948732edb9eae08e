/* What the store kept of a lane, and replies that tell when a quota is over:
 * whatever they are, a state that is understood is kept as it is. */
#include <stdint.h>
#include <stdlib.h>

#include "queue/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
try(struct slice state, bool us)
{
	struct strbuf out = STRBUF_INIT, again = STRBUF_INIT;
	struct queue q = { .us = NULL };
	struct lane l = { .q = &q, .us = us }, k = { .q = &q, .us = us };

	q.us = us ? &l : NULL;
	lane_state_decode(&l, state);
	check(q.jumps.n <= JUMPS_MAX);
	check(l.closed == CLOSED_NOT || (l.closed == CLOSED_OFFLINE) == us);
	lane_state_encode(&l, &out);
	if (us)
		q.us = &k;
	lane_state_decode(&k, strbuf_slice(&out));
	lane_state_encode(&k, &again);
	check(slice_eq(strbuf_slice(&out), strbuf_slice(&again)));
	free(l.why);
	free(k.why);
	strbuf_free(&out);
	strbuf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = slice_dup(slice_of(data, size));
	uint64_t at;

	try(slice_of(data, size), false);
	try(slice_of(data, size), true);
	at = park_reset_time(text, 1000);
	check(at == 0 || at >= 61000);
	free(text);
	return 0;
}

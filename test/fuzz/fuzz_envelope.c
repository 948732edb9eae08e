/* Stored envelopes: any octets.  What is read is written again the same, and
 * a trace line can be made of it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mail/envelope.h"
#include "mail/received.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct strbuf b = STRBUF_INIT;
	struct envelope env;
	struct err e;

	envelope_init(&env);
	if (envelope_decode(in, &env, &e) == 0) {
		if (envelope_encode(&env, true, &b, &e) < 0 ||
		    !slice_eq(strbuf_slice(&b), in))
			abort();
		strbuf_clear(&b);
		received_compose(&b, &env, "host", env.recipient_count == 1 ?
		    env.recipients[0].address : NULL);
	}
	envelope_clear(&env);
	strbuf_free(&b);
	return 0;
}

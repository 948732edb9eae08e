/* Numbers of messages (listener).  The instance differs after each restart of
 * the process and between processes, so that a clock that went back over a
 * restart makes no number twice either.  Cannot fail. */
#include "listener/message_number.h"

#define COUNT_MAX (1u << MESSAGE_NUMBER_COUNT_BITS)
#define MS_MASK ((UINT64_C(1) << 42) - 1)

uint64_t
message_number_next(struct message_number *n, uint64_t now_ms)
{
	uint64_t ms = now_ms & MS_MASK;

	if (ms > n->ms) {
		n->ms = ms;
		n->count = 0;
	} else if (++n->count == COUNT_MAX) {
		n->ms++;
		n->count = 0;
	}
	return n->ms <<
	    (MESSAGE_NUMBER_INSTANCE_BITS + MESSAGE_NUMBER_COUNT_BITS) |
	    (uint64_t)n->instance << MESSAGE_NUMBER_COUNT_BITS | n->count;
}

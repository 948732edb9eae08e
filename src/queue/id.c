/*
 * Ids of the messages that queue writes itself.  They sort by arrival like
 * those of listeners: milliseconds since 1970 above 22 bits, of which these
 * use the highest slot.  A collision is refused by the store, and the report
 * is then made anew with another id.
 */
#include "base/clock.h"
#include "queue/internal.h"

#define ID_TIME_SHIFT 22
#define ID_SLOT (0xffull << 14)		/* 255: no listener has it */

uint64_t
id_new(struct queue *q)
{
	uint64_t id = clock_real_ms() << ID_TIME_SHIFT | ID_SLOT;

	if (id <= q->last_id)
		id = q->last_id + 1;
	q->last_id = id;
	return id;
}

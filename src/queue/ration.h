/* So many in so long a time, rolling: what has been taken, in pieces that go
 * out of account together.  Knows no clock and no lanes. */
#ifndef QUEUE_RATION_H
#define QUEUE_RATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

#define RATION_PIECES 98

struct ration_piece {
	uint64_t begun, last;		/* ms: of the first and the last in it;
					 * all count until last + per */
	uint32_t n;
};

struct ration {
	uint64_t max, per;		/* per in ms; max 0: no limit */
	struct ration_piece *piece;	/* oldest first */
	size_t n;
	uint64_t used;			/* sum of them */
};

/* What was taken before stays taken. */
void ration_set(struct ration *r, uint64_t max, uint64_t per);
void ration_free(struct ration *r);

/* How many may be taken now; UINT64_MAX without a limit. */
uint64_t ration_left(struct ration *r, uint64_t now);
/* From when on one may be taken: now, or later. */
uint64_t ration_opens(struct ration *r, uint64_t now);
/* Without asking whether it may. */
void ration_take(struct ration *r, uint64_t now);
/* The latest is given back: it was not used. */
void ration_give(struct ration *r);

void ration_encode(const struct ration *r, struct strbuf *out);
/* Goes behind what it has read; -1: garbage, and nothing is taken. */
int ration_decode(struct ration *r, struct slice *in);

#endif

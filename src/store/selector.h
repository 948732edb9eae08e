/* Which messages a command means: the SELECTORS of relayctl(8).  All that is
 * said must hold. */
#ifndef STORE_SELECTOR_H
#define STORE_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/pattern.h"
#include "store/record.h"

enum selector_status {
	SELECT_ANY, SELECT_QUEUED, SELECT_ACTIVE, SELECT_DEFERRED,
	SELECT_HELD
};

struct selector_id {
	uint64_t id;			/* 0: none that could ever be */
	char *text;			/* as it was written */
};

struct selector {
	bool from_set, to_set;
	struct mail_pattern from, to;
	char *account, *transport;	/* NULL: any */
	enum selector_status status;
	uint64_t older;			/* ms since it arrived; 0: any */
	bool larger_set;
	uint64_t larger;		/* octets, more than that */
	uint64_t limit;			/* 0: all */
	bool all;			/* every one was asked for in words */
	struct selector_id *ids;	/* none: any */
	size_t n_ids;
};

void selector_clear(struct selector *s);	/* frees what it holds */
/* One selector by its name without dashes ("from", "older", ...; "id" for an
 * id, which may be any text: what is no id names no message).  -1 with a text
 * for people. */
int selector_set(struct selector *s, const char *name, const char *value,
    struct err *e);
/* Nothing was said at all: an action refuses that. */
bool selector_empty(const struct selector *s);
/* status: of the message now, "queued", "active"...; now: wall ms.  Ids and
 * limit are the caller's to honour. */
bool selector_match(const struct selector *s, const struct record *r,
    const char *status, uint64_t now);
/* One recipient alone. */
bool selector_match_to(const struct selector *s, const char *address);

#endif

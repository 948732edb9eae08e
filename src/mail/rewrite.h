/* Another author in the header: for providers that take mail of their own
 * accounts' addresses only. */
#ifndef MAIL_REWRITE_H
#define MAIL_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "base/strbuf.h"

struct rewrite {
	const char *address;		/* that From becomes */
	bool always;			/* whoever it was */
	bool signed_too;		/* also where a DKIM-Signature of the
					 * From domain would break */
	/* Is this one of the addresses that may stand there? */
	bool (*owns)(void *arg, struct slice address);
	void *arg;
};

/* msg: a message, or its beginning with all of its header.  True: what msg has
 * up to *skip is to be replaced by what was appended to out: the same fields,
 * but for From, which keeps its name, and a Reply-To with the original From
 * where the message has none (else an X-Original-From).  False: From stays. */
bool rewrite_from(struct slice msg, const struct rewrite *r,
    struct strbuf *out, size_t *skip);

#endif

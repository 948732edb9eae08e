/* Addresses in header fields (RFC 5322 3.4, with its obsolete forms): for
 * `sendmail -t`, rewriting and imports.  Needs libc only. */
#ifndef MAIL_ADDRESS_LIST_H
#define MAIL_ADDRESS_LIST_H

#include <stddef.h>

#include "base/slice.h"

/* One mailbox.  addr: local@domain or a bare local part, comments, folding
 * and source route taken out, quotes of the local part kept; valid during the
 * call only.  display: the name in front as it was written (may be folded,
 * quoted or encoded; empty where there is none).  pos and len: where the
 * addr-spec stands in the value (for rewriting in place). */
struct mail_mailbox {
	struct slice addr;
	struct slice display;
	size_t pos;
	size_t len;
};

/* Calls back for each mailbox of a field's value, folded or not, those in
 * groups too; `Undisclosed recipients:;` gives none.  What cannot be read up
 * to the next comma is skipped.  Returns the number skipped, 0 when all was
 * well.  An address with octets above 127 is taken as it is.  Nesting of
 * comments is bounded. */
size_t mail_address_list(struct slice value,
    void (*taker)(void *arg, const struct mail_mailbox *m), void *arg);

#endif

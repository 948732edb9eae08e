/* Aliases as they are looked up, and what a name comes to in the end. */
#ifndef MAIL_ALIAS_TABLE_H
#define MAIL_ALIAS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct alias_table;

/* From the text of aliases(5); mistakes in it are passed over, of two aliases
 * with one name the first counts.  Files that are still to be included stand
 * for nothing but delay. */
struct alias_table *alias_table_new(struct slice text);
void alias_table_free(struct alias_table **t);

/* Has the local part an alias of its own? */
bool alias_table_has(const struct alias_table *t, struct slice local);

struct alias_place {
	char *address;			/* local@domain; a bare local part
					 * where the target had no domain */
	bool user;			/* of this machine; else elsewhere */
};

struct alias_expansion {
	struct alias_place *v;		/* none twice */
	size_t n;
	bool loop;			/* an alias led back to itself */
	bool later;			/* a file could not be included */
	bool too_many;			/* cut off after max */
};

/* Where mail for a local part of this machine goes: through aliases of
 * aliases to addresses elsewhere and users.  An alias that names itself means
 * the user; so does one whose name has no alias where `default` has led to
 * it.  local: as in an address, case does not matter.  is_local: is this
 * domain ours?  False: no alias applies, *out is empty; the caller frees it
 * by alias_expansion_clear() in any case. */
bool alias_expand(struct alias_table *t, struct slice local,
    bool (*is_local)(void *arg, struct slice domain), void *arg, size_t max,
    struct alias_expansion *out);
void alias_expansion_clear(struct alias_expansion *x);

#endif

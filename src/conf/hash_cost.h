/* What it costs to check a password against a hash: whoever made it has said
 * so in it (crypt(5), RFC 5803), and whoever tries the login has it paid. */
#ifndef CONF_HASH_COST_H
#define CONF_HASH_COST_H

#include "base/slice.h"

/* NULL where one password takes a second or two at most on an ordinary
 * machine, and no more than 256 MiB; what programs make by their defaults
 * takes milliseconds.  Else a sentence that says what is too much, and what
 * to do; nothing of the hash is in it.  Not whether it is a hash at all. */
const char *conf_hash_costly(struct slice hash);

#endif

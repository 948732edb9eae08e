/* What monitor finds on the machine where the configuration says nothing. */
#ifndef CONF_FACTS_H
#define CONF_FACTS_H

#include "conf/tree.h"

/* The machine's name and whether this is a container; nothing where the tree
 * has a reader of its own (tests). */
void conf_facts_load(struct conf_tree *tree);
/* Resolvers, /etc/hosts, CA certificates and the root's trust anchor, for
 * delivery's view; allocated in arena.  What is missing stays NULL. */
void conf_facts_network(const struct conf_tree *tree,
    struct conf_arena *arena, struct conf_facts *facts);

#endif

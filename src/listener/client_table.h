/* What is remembered of each client, by address or uid: connections that are
 * open, and its rate of messages. */
#ifndef LISTENER_CLIENT_TABLE_H
#define LISTENER_CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "conf/conf.h"

struct client_table;
struct client_entry;

struct client_table *client_table_new(void);
/* Entries in use must have been left before. */
void client_table_free(struct client_table **t);

/* Counts one more connection of this client; pairs with client_table_leave.
 */
struct client_entry *client_table_enter(struct client_table *t,
    struct slice key);
void client_table_leave(struct client_table *t, struct client_entry **e);
unsigned client_table_connections(const struct client_entry *e);

/* One more message at this time (ms); false: too many, and it is not counted.
 * Up to rate->count may come at once, then one in each per/count. */
bool client_table_rate(struct client_entry *e, const struct conf_rate *rate,
    uint64_t now_ms);

/* Forgets clients that have no connection and whose rate is idle. */
void client_table_sweep(struct client_table *t, uint64_t now_ms);
size_t client_table_count(const struct client_table *t);

#endif

/* The role that takes mail to the next hop. */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "io/loop.h"

struct delivery;

/* fd: the monitor's channel, taken over.  The rest comes through it. */
struct delivery *delivery_new(struct loop *loop, int fd);
void delivery_free(struct delivery **d);

#endif

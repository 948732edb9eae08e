/* The control socket, inside the role queue: relayctl's other end. */
#ifndef QUEUE_CONTROL_H
#define QUEUE_CONTROL_H

#include "queue/queue.h"

struct control;

/* Registers itself with the queue. */
struct control *control_new(struct queue *q, struct loop *loop);
/* After queue_free(): commands that waited for a change are forgotten. */
void control_free(struct control **c);

#endif

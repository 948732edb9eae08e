/* What loop.c and loop_timer.c share. */
#ifndef IO_LOOP_PRIVATE_H
#define IO_LOOP_PRIVATE_H

#include "io/loop.h"

TAILQ_HEAD(loop_task_list, loop_task);
LIST_HEAD(loop_timer_list, loop_timer);

#define WHEEL_TICK_MS	100u
/* 4096 ticks are 6.8 minutes: a connection that idles in its five minutes'
 * time limit is looked at once. */
#define WHEEL_SLOTS	4096u

struct wheel {
	struct loop_timer_list slot[WHEEL_SLOTS];
	uint64_t used[WHEEL_SLOTS / 64];	/* a bit for each slot */
	struct event ev;	/* one, for the next slot that is used */
	uint64_t tick;		/* the last one that was worked off */
	uint64_t armed;		/* tick that ev waits for; 0: not set */
	size_t count;
	bool running;		/* inside wheel_run() */
};

struct loop {
	struct event_base *base;
	struct loop_task_list tasks[5];		/* by enum loop_list */
	size_t lingering;
	bool in_turn;
	bool fresh;		/* the clock was read in this turn */
	bool stop;
	char *scratch;
	struct wheel wheel;
};

/* Each callback from libevent begins with this. */
void loop_enter(struct loop *l);
/* The time for deadlines, also before the first turn. */
uint64_t loop_now(struct loop *l);

void wheel_init(struct loop *l);
void wheel_fini(struct loop *l);

#endif

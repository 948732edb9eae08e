/* What would hold up the loop for long, in threads beside it: hashes of
 * passwords that are costly on purpose.  One piece is a second or two at the
 * most (conf/hash_cost.h); whoever has many of them waits for himself, as
 * all that wait take turns. */
#ifndef AUTH_WORK_H
#define AUTH_WORK_H

#include <stdbool.h>
#include <sys/queue.h>

#include "io/loop.h"

#define WORK_THREADS 2
#define WORK_WAITING_MAX 1000
#define WORK_WAITING_ONE 100		/* of these, anybody's share */
#define WORK_WAITING_FIRST 1000		/* more, for those who have nothing
					 * waiting yet: ten clients cannot
					 * keep everybody else out */

struct work_pool;

/* Embedded in what it is about, which lives until done() is called. */
struct work {
	TAILQ_ENTRY(work) link;
	void (*run)(struct work *w);	/* in a thread: touches nothing else */
	/* In the loop, once for each that was taken; also where the pool is
	 * freed, then perhaps without having run. */
	void (*done)(struct work *w);
	bool ran;
	const char *who;		/* whose it is; read by work_submit()
					 * only; NULL: nobody's */
};

/* Threads are made when they are first needed: a role has confined itself by
 * then. */
struct work_pool *work_pool_new(struct loop *loop);
void work_pool_free(struct work_pool **p);
/* -1: too much waits, of all or of his, or there is no thread to be had. */
int work_submit(struct work_pool *p, struct work *w);

#endif

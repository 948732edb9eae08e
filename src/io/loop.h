/* The event loop: one event_base, descriptors, timers, signals, wake-ups.
 *
 * A turn: wait, run what has happened, then in this order deferred tasks,
 * end-of-turn tasks (connections and ports send what has gathered), objects
 * that were given up (freed here, so an object may be given up inside its own
 * callback), and log_flush().  clock_mono_ms() and clock_real_ms() are read
 * anew once in each turn, after the wait.
 *
 * All structs here are embedded in the caller's and belong to it.  Each must
 * be zeroed or initialised before first use, and cancelled or deleted before
 * its memory goes away.  Nothing is thread-safe but loop_waker_signal(). */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/err.h"

struct loop;
struct loop_task;

/* Also ignores SIGPIPE and brings the clock up to date.  NULL with *e when
 * the kernel has no epoll instance left. */
struct loop *loop_new(struct err *e);
/* Tasks that wait to be freed are run, also those of loop_at_free(). */
void loop_free(struct loop **l);
/* Turns until loop_stop(). */
void loop_run(struct loop *l);
/* loop_run() returns at the end of the turn; from callbacks of this loop. */
void loop_stop(struct loop *l);
/* One turn; without block it does not wait for anything to happen. */
void loop_turn(struct loop *l, bool block);
/* For libraries that want the base itself. */
struct event_base *loop_base(struct loop *l);
/* Octets for one read, shared by all on this loop, valid until the current
 * callback returns to the loop; 64 KiB. */
#define LOOP_SCRATCH 65536
char *loop_scratch(struct loop *l);

/* ---- tasks ---- */

/* Something to be done later; on one list at most.  Putting it where it
 * waits already does nothing; on another list, moves it there. */
struct loop_task {
	TAILQ_ENTRY(loop_task) link;
	void (*run)(void *arg);
	void *arg;
	unsigned list;		/* private: 0 on none */
};

void loop_task_init(struct loop_task *t, void (*run)(void *arg), void *arg);
/* After the callbacks of this turn.  What is deferred by a deferred task runs
 * in the next turn, which then does not wait. */
void loop_defer(struct loop *l, struct loop_task *t);
/* At the end of this turn, after the deferred tasks: for flushing.  Tasks
 * that other end-of-turn tasks put here run in the same turn as far as a few
 * rounds go, else in the next one, which then does not wait. */
void loop_at_end(struct loop *l, struct loop_task *t);
/* Last of all in this turn: for freeing memory. */
void loop_reap(struct loop *l, struct loop_task *t);
/* When the loop itself is freed, unless it is cancelled or moved before: for
 * objects that own themselves, like a connection that is being closed. */
void loop_at_free(struct loop *l, struct loop_task *t);
/* How many tasks wait for loop_at_free(): a role that drains waits for 0. */
size_t loop_lingering(const struct loop *l);
void loop_task_cancel(struct loop *l, struct loop_task *t);

/* ---- descriptors ---- */

#define LOOP_READ	1u
#define LOOP_WRITE	2u

/* Level-triggered.  The callback gets LOOP_READ or LOOP_WRITE, one at a time;
 * errors and hang-ups show as either. */
struct loop_fd {
	struct event rd;
	struct event wr;
	struct loop *loop;
	void (*cb)(void *arg, unsigned what);
	void *arg;
	int fd;
	unsigned want;
};

/* Borrows the descriptor; nothing is watched yet. */
void loop_fd_init(struct loop *l, struct loop_fd *f, int fd,
    void (*cb)(void *arg, unsigned what), void *arg);
/* Watches for exactly these; 0 for nothing.  Costs nothing when unchanged. */
void loop_fd_want(struct loop_fd *f, unsigned want);
/* Before the descriptor is closed; may be repeated. */
void loop_fd_del(struct loop_fd *f);

/* ---- signals ---- */

struct loop_signal {
	struct event ev;
	struct loop *loop;
	void (*cb)(void *arg, int signo);
	void *arg;
	bool set;
};

void loop_signal_set(struct loop *l, struct loop_signal *s, int signo,
    void (*cb)(void *arg, int signo), void *arg);
void loop_signal_del(struct loop_signal *s);

/* ---- timers ---- */

/* A coarse timer for time-outs, in a wheel shared by all: counted from the
 * start of the turn, never earlier, up to 200 ms later.  Moving a running one
 * to a later time costs a store. */
struct loop_timer {
	LIST_ENTRY(loop_timer) link;
	void (*cb)(void *arg);
	void *arg;
	uint64_t deadline;	/* ms, clock_mono_ms(); 0: not running */
	uint64_t tick;		/* private: where it lies in the wheel */
};

void loop_timer_init(struct loop_timer *t, void (*cb)(void *arg), void *arg);
/* Runs cb once, ms from now; sets anew a running one. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t ms);
void loop_timer_cancel(struct loop *l, struct loop_timer *t);
static inline bool
loop_timer_running(const struct loop_timer *t)
{
	return t->deadline != 0;
}

/* A precise one, never early and about 5 ms late, where that matters; it is
 * dearer. */
struct loop_alarm {
	struct event ev;
	struct loop *loop;
	void (*cb)(void *arg);
	void *arg;
	uint64_t deadline;	/* private: us, clock_mono_us() */
};

void loop_alarm_init(struct loop *l, struct loop_alarm *a,
    void (*cb)(void *arg), void *arg);
void loop_alarm_set(struct loop_alarm *a, uint64_t ms);
void loop_alarm_cancel(struct loop_alarm *a);

/* ---- other threads ---- */

struct loop_waker;

/* cb runs in the loop's thread some time after loop_waker_signal(), once for
 * any number of signals that came meanwhile.  NULL with *e when there is no
 * descriptor left. */
struct loop_waker *loop_waker_new(struct loop *l, void (*cb)(void *arg),
    void *arg, struct err *e);
/* From any thread, also from a signal handler. */
void loop_waker_signal(struct loop_waker *w);
/* No thread may signal it any more. */
void loop_waker_free(struct loop_waker **w);

#endif

/* How many connections a lane may have, learnt from what servers take. */
#ifndef QUEUE_WINDOW_H
#define QUEUE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct attempt;
struct lane;
struct msg_job;
struct msg_job_done;
struct peer;
struct queue;

struct window {
	unsigned most;			/* connections that are configured; 0:
					 * it has none */
	unsigned now;			/* that it may have at present */
	unsigned ceiling;		/* the server takes no more; 0: not
					 * known */
	bool trying;			/* one more than that, at present */
	uint64_t try_at;		/* mono ms: when that is tried */
	uint64_t rest;			/* ms between tries; 0: never a
					 * ceiling */
};

/* A lane's connections in one delivery process. */
struct window_link {
	unsigned jobs;			/* under way there */
	uint64_t octets;		/* that they hold */
	unsigned sessions;		/* as it last told; in use or idle */
	uint32_t setbacks;		/* that it has told of */
};

/* Its transport has come, gone or changed: sets lane->window too. */
void window_configure(struct lane *l);
/* Whether the process may have another job of the lane. */
bool window_takes(struct peer *p, const struct lane *l);
/* The job leaves; what it says of connections. */
void window_job(struct attempt *a, struct msg_job *j);
/* It has ended: d is what was told, NULL: the process is gone.  true: all
 * that happened is that the server takes no more connections, and we have
 * some elsewhere; the job waits for one of those. */
bool window_job_ended(struct attempt *a, const struct msg_job_done *d);
/* The lane is about to go; nothing of it is under way. */
void window_forget(const struct lane *l);
/* The attempt goes back to wait for a process, as if it had not been sent. */
void window_wait(struct attempt *a);

#endif

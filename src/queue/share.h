/* Who comes first for what lanes share: jobs, the octets and descriptors that
 * they hold, and the turns of the loop; and in one lane, one sender among
 * many. */
#ifndef QUEUE_SHARE_H
#define QUEUE_SHARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct attempt;
struct lane;
struct message;
struct peer;
struct queue;

/* Jobs under way; part of struct queue. */
struct share {
	unsigned jobs;
	unsigned jobs_max;
	TAILQ_HEAD(, lane) hungry;	/* wait for one to end, in turn */
	/* By a hash of who sends: how much has come lately. */
	struct share_flow {
		uint64_t at;		/* mono ms */
		uint32_t level;		/* thousandths of a message */
	} flow[1024];
};

void share_start(struct queue *q);
/* Jobs that the lane may begin beside those that it has, as far as others
 * are concerned. */
unsigned share_room(const struct lane *l);
/* Where there is no room: it is looked at again when others' jobs end. */
void share_wait(struct lane *l);
/* A job has ended. */
void share_freed(struct queue *q);
/* Whether the process has octets left for it. */
bool share_takes(const struct peer *p, uint64_t lane_octets);
/* Octets that the job holds until its end. */
uint64_t share_octets(const struct attempt *a);
/* A message has come.  true: its sender (account, login, user or address) has
 * not sent much lately, and need not wait behind those who have. */
bool share_is_light(struct queue *q, const struct message *m);

/* A lane is served by turns: so much each time. */
#define SHARE_QUANTUM 32u

#endif

/* `rate` and `daily` of transports and accounts: how many messages may leave
 * in so long a time.  Kept in the store, in its table of notes. */
#ifndef QUEUE_RATE_H
#define QUEUE_RATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct attempt;
struct lane;
struct message;
struct queue;
struct rate;

/* That of the lane's transport; NULL: it has no limit.  A lane that `daily`
 * has closed is opened where that has changed. */
void rate_configure(struct lane *l);
void rates_free(struct queue *q);

/* Attempts that may begin now.  UINT_MAX: any number. */
unsigned rate_room(const struct lane *l);
/* Wall ms from when on that is not 0. */
uint64_t rate_opens(const struct lane *l);
/* The same where something waits for it; NEVER. */
uint64_t rate_wake(const struct lane *l);

/* It waits for its slot, and will be one message of its account. */
void rate_promise(struct attempt *a);
/* The attempt has its slot in a->lane, and will be one message there. */
void rate_take(struct attempt *a);
/* It leaves that lane, and no server has heard of the message. */
void rate_leave(struct attempt *a);
/* A server has answered to it, or may have. */
void rate_spend(struct attempt *a);
/* It has ended; what was not spent is given back. */
void rate_end(struct attempt *a);

/* Wall ms when a message of this account that was due then may be tried; 0:
 * now.  Each that has to wait gets a time of its own. */
uint64_t rate_account_due(struct message *m, uint64_t due, uint64_t now);
/* `daily` of the account is used up: until when (wall ms); 0: it is not. */
uint64_t rate_account_parked(struct queue *q, const char *account);

/* What `daily` allows and how much of it is used; 0: no limit. */
void rate_daily(const struct lane *l, uint64_t *max, uint64_t *used);
void rate_account_daily(struct queue *q, const char *account, uint64_t *max,
    uint64_t *used);

/* How far ahead of now accounts' mail may have been made to wait. */
uint64_t rates_reach(struct queue *q, uint64_t now);

/* What has changed in this turn goes to the store. */
void rates_write(struct queue *q);

#endif

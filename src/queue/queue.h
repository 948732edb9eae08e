/* The role `queue`: owner of the mail.  It takes messages from listeners,
 * keeps them in the store, decides when and where each recipient goes, gives
 * jobs to delivery (and to monitor for local ones) and settles their results.
 *
 * This is what main, the control socket and tests see of it; the files of the
 * room share queue/internal.h.  Everything belongs to the loop's thread. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "conf/conf.h"
#include "io/loop.h"
#include "ipc/msg.h"
#include "store/store.h"

struct queue;

/* monitor_fd is owned (ROLE_FD, or a socketpair's end in a test).  The store
 * is opened when monitor says start. */
struct queue *queue_new(struct loop *loop, int monitor_fd);
/* Waits for what was committed and closes the store. */
void queue_free(struct queue **q);

/* ---- for the control socket ---- */

/* Members may be NULL.  listen: as in struct role_ops (fd owned; kind
 * LISTEN_CONTROL; comes before start).  start: the store is open.  view: a
 * new configuration is in place.  drain: take no new commands; what is open
 * does not keep the role alive. */
struct queue_control {
	int (*listen)(void *arg, const struct msg_listen *m, int fd,
	    struct err *e);
	int (*start)(void *arg, struct err *e);
	void (*view)(void *arg);
	void (*drain)(void *arg);
};
void queue_set_control(struct queue *q, const struct queue_control *c,
    void *arg);

/* The configuration of now; do not keep it beyond the callback. */
const struct conf *queue_conf(const struct queue *q);
/* What monitor said of this process. */
const struct msg_role *queue_me(const struct queue *q);
/* NULL until start.  For reading: records there do not know what the last
 * turns have changed but not yet committed; see queue_message_get(). */
struct store *queue_store(const struct queue *q);

/* A message as it is now, active or not: 0, or -1 with ENOENT, EILSEQ,
 * ENOTSUP.  *r is borrowed when *owned is false (valid until the callback
 * returns to the loop), else the caller's to free. */
int queue_message_get(struct queue *q, uint64_t id, struct record **r,
    bool *owned, struct err *e);
/* In RAM with an attempt that is being made. */
bool queue_message_active(const struct queue *q, uint64_t id);
/* "queued", "active", "deferred", "held", as commands.md has them. */
const char *queue_message_status(const struct queue *q,
    const struct record *r);
/* Appends the object of commands.md (`message`). */
void queue_message_json(const struct queue *q, const struct record *r,
    struct strbuf *out);
/* The Received line as it is put in front of the message. */
void queue_message_trace(const struct queue *q, const struct record *r,
    struct strbuf *out);

/* What an operation came to; text is for people, borrowed. */
enum queue_op_result {
	QUEUE_OP_DONE,		/* and durable */
	QUEUE_OP_LATER,		/* is being delivered; done when that ends */
	QUEUE_OP_NOTHING,	/* nothing to change (retry of a held one) */
	QUEUE_OP_UNKNOWN,	/* no such message */
	QUEUE_OP_FAILED		/* store; nothing was changed */
};
typedef void queue_op_done(void *arg, uint64_t id, enum queue_op_result r,
    const char *text);

/* Each calls done once, possibly before it returns. */
/* Due at once; the routes are judged anew. */
void queue_op_retry(struct queue *q, uint64_t id, queue_op_done *done,
    void *arg);
/* Nothing is tried until release; an attempt that runs comes to its end. */
void queue_op_hold(struct queue *q, uint64_t id, queue_op_done *done,
    void *arg);
void queue_op_release(struct queue *q, uint64_t id, queue_op_done *done,
    void *arg);
/* Gone, without a report. */
void queue_op_remove(struct queue *q, uint64_t id, queue_op_done *done,
    void *arg);
/* Gone, with a report to the sender. */
void queue_op_bounce(struct queue *q, uint64_t id, queue_op_done *done,
    void *arg);

/* ---- for status ---- */

struct queue_counts {
	uint64_t queued, active, deferred, held;
	uint64_t oldest;	/* wall ms of arrival, 0: queue is empty */
};
void queue_counts(const struct queue *q, struct queue_counts *out);

/* Whether a lane, a transport or an account takes mail, and if not, why.  A
 * credential that was refused and a quota that is used up are PARKED. */
enum queue_state { QUEUE_OK, QUEUE_PARKED, QUEUE_UNREACHABLE, QUEUE_PAUSED };
/* "ok", "parked", "unreachable", "paused", as commands.md has them. */
const char *queue_state_name(enum queue_state state);

struct queue_lane_info {
	const char *transport;	/* borrowed, as are the others */
	const char *next_hop;	/* of direct delivery; NULL */
	const char *account;	/* whose own transport it is; NULL */
	enum queue_state state;
	const char *why;	/* NULL where it is ok */
	uint64_t since;		/* wall ms it is so, 0: ok */
	uint64_t next_probe;	/* wall ms, 0: none by itself */
	unsigned window, active;
	uint64_t waiting;	/* due entries */
	uint64_t next_due;	/* wall ms, 0: nothing is due */
	const char *last_error;	/* NULL: none since the last success */
	uint64_t last_error_at;
	bool configured;	/* the transport is in the configuration */
	uint64_t daily, daily_used;	/* 0: no limit; in the last 24 hours */
};
/* Calls for each lane that has ever been used, and each transport. */
void queue_each_lane(struct queue *q, void (*each)(void *arg,
    const struct queue_lane_info *info), void *arg);

struct queue_account_info {
	const char *name;	/* borrowed, as is why */
	enum queue_state state;	/* of its own transport where that is parked */
	const char *why;
	uint64_t since, next_probe;
	uint64_t waiting;	/* messages, where that is known cheaply: of its
				 * own transport; else 0 */
	uint64_t daily, daily_used;	/* of the account itself */
};
void queue_each_account(struct queue *q, void (*each)(void *arg,
    const struct queue_account_info *info), void *arg);

/* Steering; kept across restarts.  resume ends a pause and a parking, and
 * tries an unreachable one at once: what waits is due now.  DONE (and on disk
 * when it is called back), NOTHING (was so already), UNKNOWN (no such name).
 * resume takes an account's name for a transport's and the other way round,
 * where a parked credential is meant. */
void queue_op_transport_pause(struct queue *q, const char *name,
    queue_op_done *done, void *arg);
void queue_op_transport_resume(struct queue *q, const char *name,
    queue_op_done *done, void *arg);
void queue_op_account_pause(struct queue *q, const char *name,
    queue_op_done *done, void *arg);
void queue_op_account_resume(struct queue *q, const char *name,
    queue_op_done *done, void *arg);

/* What has happened since this process was started, as text for Prometheus:
 * the counters and histograms of metrics.c. */
void queue_metrics(struct queue *q, struct strbuf *out);

/* What monitor told last, NULL: nothing yet. */
const struct msg_status *queue_roles(const struct queue *q);
/* Connections now, by conf.listens, summed over the listeners. */
void queue_connections(const struct queue *q, struct msg_stats *out);

#endif

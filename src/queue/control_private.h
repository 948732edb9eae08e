/* What the files of the control socket share.
 *
 * A caller sends one request and gets lines of JSON:
 *   {"item":{...}}              one of what was asked for
 *   {"progress":{"done":N}}     of an action on many
 *   {"data":N}                  and N octets behind this line, as they are
 *   {"end":{"status":S,"text":"..."}}    the last; S is an exit status
 * A command runs in steps, one a turn of the loop, and rests while what it
 * has written waits for it. */
#ifndef QUEUE_CONTROL_PRIVATE_H
#define QUEUE_CONTROL_PRIVATE_H

#include <sys/types.h>

#include <sys/queue.h>

#include "base/json_writer.h"
#include "io/conn.h"
#include "io/listen.h"
#include "queue/control.h"
#include "queue/control_request.h"

#define CONTROL_SLICE 256	/* records in one step, or as many as fill: */
#define OUTPUT_HIGH (256u * 1024)	/* octets that wait for the caller */
#define CONTROL_TURN_US 5000u	/* all callers together, of a turn: mail has
				 * the rest */

/* Exit statuses of relayctl. */
enum { CTL_OK = 0, CTL_NONE = 1, CTL_USAGE = 64, CTL_UNAVAILABLE = 69,
	CTL_DENIED = 77 };

enum step {
	STEP_AGAIN,		/* the next turn, or when output has left */
	STEP_WAIT,		/* somebody calls caller_wake() */
	STEP_END		/* caller_end() was called */
};

struct caller;

struct command {
	const char *name;
	bool all;		/* only for those who may do everything */
	enum step (*step)(struct caller *cl);
};

/* What an action on messages came to. */
struct tally {
	uint64_t done, later, idle, declined, unknown, failed;
};

/* A message that is sent as it is. */
struct content {
	bool begun;
	bool headers;		/* its header alone */
	struct strbuf head;	/* trace, then what is in RAM of it */
	int fd;			/* -1, or the rest of it */
	uint64_t at, size;	/* in fd */
};

/* Where a walk through the history is, and what it has found. */
struct trail {
	bool begun;
	uint64_t time, id;	/* the last one seen */
	uint64_t found_id;	/* why: the newest match, 0: none */
	bool found_in_queue;
	bool queue_done;
	struct strbuf found;	/* its text, where it is in the history */
};

struct caller {
	TAILQ_ENTRY(caller) link;
	struct control *c;
	struct conn *conn;	/* NULL: gone, but changes are under way */
	uid_t uid;
	bool may_all;
	const struct command *cmd;	/* NULL: no request yet */
	struct control_request req;
	struct loop_task task;
	struct strbuf out;	/* a line that is being made */
	bool follows;		/* log -f */
	uint64_t lost;		/* lines of it that were too many */

	uint64_t began;		/* wall ms */
	uint64_t cursor;	/* the last id seen */
	size_t next_id;		/* of req.sel.ids */
	uint64_t matched;
	bool walked;		/* to the end */
	bool denied;		/* another's message was named */
	unsigned under_way;	/* changes that will call back */
	bool stepping;
	struct tally tally;
	enum queue_op_result steered;
	struct content content;
	struct trail trail;
	struct msg_trial_done *trial;	/* its answer, NULL: not yet */
};

struct control {
	struct queue *q;
	struct loop *loop;
	struct listen *listen;	/* NULL: not yet, or draining */
	TAILQ_HEAD(caller_list, caller) callers;
	unsigned n_callers;
	unsigned followers;
	uint64_t turn;		/* mono ms of the turn, */
	uint64_t until;		/* mono us: when it has had enough of us */
	bool has_group;
	gid_t group;
	bool started, draining;
};

/* ---- control.c ---- */
/* A line {"item":...}: the writer stands where the object's members go. */
struct json_writer caller_item(struct caller *cl);
void caller_item_end(struct caller *cl, struct json_writer *w);
/* The same of what is JSON already. */
void caller_item_raw(struct caller *cl, struct slice json);
void caller_progress(struct caller *cl, uint64_t done);
void caller_data(struct caller *cl, struct slice octets);
/* The last line; returns STEP_END. */
enum step caller_end(struct caller *cl, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The time that this turn has for callers is used up. */
bool control_is_late(struct control *c);
/* Goes on after STEP_WAIT. */
void caller_wake(struct caller *cl);
/* May this caller see and touch that message? */
bool caller_owns(const struct caller *cl, const struct record *r);

/* ---- control_walk.c ---- */
/* The next slice of the messages that are asked for: those of req.sel.ids,
 * or all.  Calls for each that the caller owns and that matches; false from
 * there ends the walk.  Sets cl->walked at the end. */
typedef bool walk_each(struct caller *cl, const struct record *r,
    const char *status);
void walk_slice(struct caller *cl, walk_each *each);

enum step control_queue_list(struct caller *cl);
enum step control_queue_retry(struct caller *cl);
enum step control_queue_hold(struct caller *cl);
enum step control_queue_release(struct caller *cl);
enum step control_queue_remove(struct caller *cl);
enum step control_queue_bounce(struct caller *cl);
enum step control_queue_move(struct caller *cl);

/* ---- control_show.c ---- */
enum step control_queue_show(struct caller *cl);

/* ---- control_history.c ---- */
enum step control_history(struct caller *cl);
enum step control_why(struct caller *cl);

/* ---- control_status.c ---- */
enum step control_status(struct caller *cl);

/* ---- control_lanes.c ---- */
enum step control_transport_list(struct caller *cl);
enum step control_account_list(struct caller *cl);
/* transport and account, pause and resume. */
enum step control_steer(struct caller *cl);
/* An object for each, into an array that is open. */
void control_write_transports(struct caller *cl, struct json_writer *w);
void control_write_accounts(struct caller *cl, struct json_writer *w);
/* Calls for each transport, all its lanes as one. */
void control_each_transport(struct caller *cl, void (*each)(void *arg,
    const struct queue_lane_info *info), void *arg);
/* Members `transport` and `account`: how those are that a message waits for,
 * as far as there are such. */
void control_write_places(struct caller *cl, struct json_writer *w,
    const struct record *r);

/* ---- control_metrics.c ---- */
enum step control_metrics(struct caller *cl);

/* ---- control_trial.c ---- */
enum step control_transport_test(struct caller *cl);
void control_trial_forget(struct caller *cl);

/* ---- control_oauth.c ---- */
enum step control_oauth(struct caller *cl);

/* ---- control_log.c ---- */
enum step control_log(struct caller *cl);
void control_unfollow(struct caller *cl);

/* ---- control_move.c ---- */
/* Pins a message to a transport (NULL: the routes decide again), and makes it
 * due at once.  As the operations of queue.h. */
void queue_op_move(struct queue *q, uint64_t id, const char *transport,
    queue_op_done *done, void *arg);

#endif

/* A queue on a loop of its own, with a real store in a directory of its own
 * and a monitor, listeners and deliveries that do what the test says. */
#ifndef TEST_QUEUE_RIG_H
#define TEST_QUEUE_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "ipc/msg.h"
#include "ipc/port.h"
#include "queue/queue.h"
#include "store/store.h"

#define RIG_JOBS 512
#define RIG_ALERTS 64

struct rig_end {		/* a delivery's end of its channel */
	struct rig *rig;
	struct port *port;
};

struct rig_job {		/* what a delivery, or monitor, was given */
	bool open;		/* not answered yet */
	struct port *port;
	uint64_t ref;
	struct msg_job job;
	struct msg_local local;	/* of monitor; else transport is NULL */
	struct strbuf body;	/* with trace where it is local */
	uint64_t at;		/* wall ms */
	size_t grant;
	uint32_t sessions;	/* that the answer tells of; as do the others */
	uint32_t setbacks, held;
	bool full;
};

struct rig_question {		/* where a domain's mail goes */
	bool open;
	struct port *port;
	uint64_t ref;
	struct msg_next_hop q;
};

struct rig_reply {		/* what a listener was answered */
	bool there;
	struct msg_done done;
	int fd;			/* MSG_SPOOL_FILE */
};

struct rig {
	struct loop *loop;
	struct loop_alarm tick;
	char spool[64];
	struct queue *queue;
	struct port *monitor, *listener, *delivery;
	struct rig_end ends[8];	/* of deliveries; */
	uint32_t slots;		/* so many there have been */
	struct port *older;	/* a delivery that another one replaces */
	bool listener_closed, delivery_closed, monitor_closed, ready;
	struct rig_job jobs[RIG_JOBS];
	size_t n_jobs, next;	/* next: the first that rig_job() gives */
	struct rig_question hops[RIG_JOBS];
	size_t n_hops, next_hop;
	uint64_t next_id;
	unsigned accused;	/* monitor was asked to end a peer; */
	struct msg_peer bad;	/* the last of them */
	struct strbuf conf;
	const char *aliases;	/* what is in the file /aliases */
	uint8_t user_status;	/* monitor's answer to MSG_LOCAL_USER */
	char user[128];		/* whom it was asked for last */
	unsigned questions;
	struct msg_alert alerts[RIG_ALERTS];	/* commands to be run, */
	size_t n_alerts;
	bool no_command;	/* which monitor does not answer, */
	unsigned busy_commands;	/* or so often with `not now` */
};

/* conf: statements beyond hostname and spool-directory. */
struct rig *rig_new(const char *conf);
void rig_free(struct rig **r);
/* The store stays. */
void rig_start(struct rig *r);
void rig_stop(struct rig *r);
void rig_add_listener(struct rig *r);
void rig_add_delivery(struct rig *r);
void rig_reload(struct rig *r, const char *conf);
/* The other end is gone at once. */
void rig_kill_delivery(struct rig *r);

/* Turns until it is true; the test fails after ten seconds. */
#define rig_until(r, what)						\
	do {								\
		uint64_t end_ = rig_now() + 10000;			\
		while (!(what)) {					\
			loop_turn((r)->loop, true);			\
			if (rig_now() > end_)				\
				fail_msg("never: %s", #what);		\
		}							\
	} while (0)
uint64_t rig_now(void);
/* So many turns of the loop without waiting for anything: what would happen
 * at once has happened. */
void rig_settle(struct rig *r);

/* Hands a message in and waits for the answer; recipients separated by
 * blanks.  Returns the id, 0 where it was not taken. */
uint64_t rig_mail(struct rig *r, const char *from, const char *to,
    const char *body, struct msg_done *done);
struct envelope *rig_envelope(struct rig *r, const char *from,
    const char *to);
uint64_t rig_mail_env(struct rig *r, struct envelope **env, const char *body,
    int fd, struct msg_done *done);
void rig_request(struct rig *r, uint16_t type, const char *text,
    struct rig_reply *out);

/* The next job that comes. */
struct rig_job *rig_job(struct rig *r);
/* One code and text for all of its recipients. */
void rig_answer(struct rig_job *j, uint16_t code, const char *text);
void rig_answer_class(struct rig_job *j, enum job_class class,
    const char *text);
/* As if that server had said it. */
void rig_answer_from(struct rig_job *j, uint16_t code, const char *text,
    uint8_t subject, const char *remote);
/* Codes one for each recipient, in order. */
void rig_answer_each(struct rig_job *j, const uint16_t *codes);
void rig_answer_local(struct rig_job *j, uint8_t exit_status);

/* The next question for a next hop, and its answer: a site, or why not. */
struct rig_question *rig_hop(struct rig *r);
void rig_answer_hop(struct rig_question *q, const struct msg_site *answer);
void rig_answer_site(struct rig_question *q, const char *site, uint32_t ttl);
void rig_answer_no_site(struct rig_question *q, enum site_result result,
    uint16_t code, uint8_t subject, uint8_t detail, const char *text);

/* What the store says. */
size_t rig_messages(struct rig *r);
struct record *rig_record(struct rig *r, uint64_t id);
/* Fails the test unless the store is consistent. */
void rig_verify(struct rig *r);
/* The latest history entry as text; caller frees. */
char *rig_history(struct rig *r);

/* An operation, waited for. */
enum queue_op_result rig_op(struct rig *r, void (*op)(struct queue *,
    uint64_t, queue_op_done *, void *), uint64_t id);
/* Pause or resume by name; a pin. */
enum queue_op_result rig_steer(struct rig *r, void (*op)(struct queue *,
    const char *, queue_op_done *, void *), const char *name);
enum queue_op_result rig_move(struct rig *r, uint64_t id,
    const char *transport);

#endif

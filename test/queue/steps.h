/* What most tests of the queue do: a message like any other goes in, jobs are
 * answered, how a lane is, all has gone. */
#ifndef TEST_QUEUE_STEPS_H
#define TEST_QUEUE_STEPS_H

#include "queue/rig.h"

#define BODY "Subject: hello\r\n\r\nHello.\r\n"

/* ---- messages ---- */

/* One to x@to.test that is taken; its id. */
uint64_t send_from(struct rig *r, const char *from);
/* From a@from.test. */
uint64_t send_one(struct rig *r);
/* The same, and its first attempt is answered 451. */
uint64_t send_deferred(struct rig *r);
/* Its first recipient, as the store has it, without texts. */
struct record_rcpt rcpt_of(struct rig *r, uint64_t id);
/* The latest history entry says so. */
bool history_has(struct rig *r, const char *text);

/* ---- jobs ---- */

/* The next job, which is one of that transport. */
#define job_by(r, transport) job_by_at(r, transport, __FILE__, __LINE__)
struct rig_job *job_by_at(struct rig *r, const char *transport,
    const char *file, int line);
/* The next job, which is of that message. */
#define job_of(r, id) job_of_at(r, id, __FILE__, __LINE__)
struct rig_job *job_of_at(struct rig *r, uint64_t id, const char *file,
    int line);
/* The next jobs are answered 250, until no message is left. */
void deliver_all(struct rig *r);
/* No message is left, or comes, and the store is consistent. */
void gone(struct rig *r);

/* ---- lanes and accounts ---- */

struct seen {
	const char *name;
	bool there;
	enum queue_state state;
	char why[200];
	uint64_t since, next_probe, waiting;
};

/* That of a transport; QUEUE_OK and zeros where there is none. */
struct seen look(struct rig *r, const char *transport);
/* It has to be there; why and since are not filled in. */
struct seen look_account(struct rig *r, const char *account);

#endif

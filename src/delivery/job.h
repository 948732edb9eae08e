/* A message on its way out: what queue asked for, and what became of each
 * recipient.  It survives the loss of a session and goes on in another. */
#ifndef DELIVERY_JOB_H
#define DELIVERY_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"
#include "ipc/msg.h"
#include "ipc/port.h"
#include "mail/status.h"

enum rcpt_state {
	RCPT_WAITING,		/* for a transaction */
	RCPT_OFFERED,		/* in the transaction, not answered yet */
	RCPT_ACCEPTED,		/* 2xx to RCPT; the message decides */
	RCPT_ANSWERED		/* has its result */
};

struct job_rcpt {
	enum rcpt_state state;
	uint16_t code;
	struct mail_status status;
	char *text;
	bool put_off;			/* text and the rest are the answer of
					 * the server before, in case that no
					 * other one can be asked */
};

/* What a pool has learnt; goes along with each of its results. */
struct job_news {
	uint32_t sessions;		/* as in struct msg_job_done */
	uint32_t setbacks;
	bool full;
	uint32_t held;
};

#define JOB_HOSTS_MAX 64	/* of a transport; bits of tried and no_tls */

struct job {
	TAILQ_ENTRY(job) link;		/* waiting in a pool */
	TAILQ_ENTRY(job) all;		/* of the role */
	struct msg_job m;
	char *body;			/* inline, or NULL */
	int fd;				/* else this, or -1 */
	uint64_t size;			/* octets, trace and body */

	struct job_rcpt *rcpt;		/* m.n_rcpt of them */
	uint32_t open;			/* recipients without a result */
	uint32_t left_out;		/* had theirs from the beginning */

	enum job_class class;
	char *text;			/* where class is not JOB_SETTLED */
	enum job_class hint;		/* whose failure a reply spoke of */
	char *hint_text;
	char *remote;			/* last server talked to, or NULL */
	char *tls;			/* or NULL */
	char *verify;			/* as in struct msg_job_done */
	char *spf;			/* what receivers will make of it: "fail
					 * by `-all` for 192.0.2.1", or NULL */
	uint64_t arrived_ms;
	uint64_t mail_ms;		/* first MAIL; 0: none */
	uint32_t connect_ms;

	uint64_t opened_ms;		/* mono: its last connection's start */
	uint64_t tried;			/* hosts that were unreachable, */
	uint64_t offline;		/* for want of any network */
	uint64_t no_tls;		/* hosts whose handshake failed, and
					 * that may be talked to in plain */
	bool unsafe;			/* a host was left out because it is
					 * not what a policy demands */
	bool fresh;			/* wants a connection of its own */
	bool second_host;		/* one server has answered it already */
	bool token_retried;		/* its first token was refused */
	unsigned crowded;		/* times that it was told at MAIL that
					 * there are too many connections */
	const struct job_news *news;	/* of its pool; NULL: has none */
	struct strbuf why;		/* what was unreachable, and how */

	uint64_t ref;			/* of queue's request */
	size_t credit;			/* octets to grant when it is done */
	bool orphan;			/* nobody waits for the result */
	void (*done)(void *arg, struct job *j);	/* takes the job */
	void *arg;
};

TAILQ_HEAD(job_list, job);

/* Takes a MSG_JOB over; its descriptor (if any) is the job's or closed.
 * NULL: garbage, the peer is not sane.  done and arg are the caller's to
 * set.  What is well-formed but cannot be sent has class JOB_BROKEN. */
struct job *job_new(struct port_message *m, struct err *e);
void job_free(struct job **j);

/* A recipient's result; text is copied and may be longer than what is kept.
 * Does nothing where there is one already. */
void job_answer(struct job *j, uint32_t i, int code, struct mail_status st,
    const char *text);
/* The same for all that have none. */
void job_answer_rest(struct job *j, int code, struct mail_status st,
    const char *text);
/* The failure of something other than the message.  Recipients that were
 * answered before keep that: the job is then settled, the rest temporarily
 * refused. */
void job_fail(struct job *j, enum job_class class, const char *text);
/* Opens recipients again that a server has put off (4xx of its own), to ask
 * another one; false: there are none. */
bool job_put_off(struct job *j);
/* Refusals for good that speak of policy (x.7.x) at the first attempt become
 * temporary: the next attempt goes by the other family of addresses, which may
 * have another reputation.  false: there are none. */
bool job_rotate(struct job *j);
/* Back to waiting, for all that a lost transaction left unanswered. */
void job_reopen(struct job *j);
/* Every recipient has a result, or the class says why not. */
void job_finish(struct job *j);

/* Appends a struct msg_job_done, short enough for one message. */
void job_result_encode(const struct job *j, struct strbuf *out);

/* The body's octets from the offset on, at most n (where n is not 0): in
 * memory, or read into buf.  -1: it cannot be read. */
int job_body(const struct job *j, uint64_t offset, char *buf, size_t n,
    struct slice *out, struct err *e);

#endif

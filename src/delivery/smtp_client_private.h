/* Inside of the SMTP client: only its own files include this. */
#ifndef DELIVERY_SMTP_CLIENT_PRIVATE_H
#define DELIVERY_SMTP_CLIENT_PRIVATE_H

#include "delivery/smtp_client.h"
#include "io/conn.h"
#include "mail/dot_stream.h"
#include "mail/smtp_caps.h"
#include "mail/smtp_reply.h"

enum smtp_state {
	ST_GREETING, ST_EHLO, ST_HELO, ST_STARTTLS, ST_HANDSHAKE,
	ST_AUTH_ASK, ST_AUTH, ST_IDLE, ST_MAIL, ST_RCPT, ST_DATA, ST_BODY,
	ST_FINAL, ST_RSET, ST_QUIT, ST_ENDED
};

/* One MAIL and what follows; the recipients are places in the job. */
struct transaction {
	uint32_t *rcpt;
	uint32_t n, room;
	uint32_t next;			/* whose reply comes next */
	uint32_t accepted;
	uint32_t finals;		/* replies after the message (LMTP has
					 * one for each recipient) */
	bool chunked;			/* BDAT instead of DATA */
	bool ahead_rcpt;		/* RCPT left together with MAIL */
	bool ahead_data;		/* and so did DATA, or all of BDAT */
	bool refused;			/* MAIL was: no reply counts now */
	bool empty;			/* 354 for nobody: a lone dot */
	bool heard;			/* some reply has come */
	bool clean;			/* ended by the message's reply */
};

struct sasl {
	uint64_t number;		/* 0: no exchange */
	uint64_t ref;			/* of the question to auth; 0: none */
	uint64_t life;			/* of the port where it was asked */
	unsigned steps;
	bool done;			/* our side has nothing to check */
	bool again;			/* refused, a new session may do */
	struct strbuf held;		/* initial response, for 334 */
	bool has_held;
	enum smtp_client_end why;	/* after "*" */
	char *text;
};

struct smtp_client {
	struct smtp_client_env *env;
	struct smtp_client_events ev;
	void *arg;
	struct smtp_client_target to;	/* its strings are owned */
	struct conn *conn;
	char *tls_text;

	enum smtp_state state;
	struct smtp_reply reply;
	unsigned due;			/* replies to what was written */
	bool early;			/* octets before they were due */
	bool hide;			/* what is written is a secret */
	struct smtp_caps caps;

	struct job *job;
	struct transaction t;
	uint64_t transactions;		/* begun in this session */
	bool welcome;			/* a MAIL was taken */
	uint64_t message_max;		/* of them; 0: any number */
	uint64_t rcpt_max;		/* for each; at least 1 */

	uint64_t offset;		/* octets of the body that left */
	uint32_t crc;
	struct dot_encoder dots;
	bool whole;			/* its end was written too */
	struct loop_task more;

	struct sasl sasl;
	struct loop_task reap;
};

/* The one place where the state changes. */
void client_state(struct smtp_client *c, enum smtp_state to);
/* Writes commands; replies: how many of them they bring. */
void client_write(struct smtp_client *c, struct slice s, unsigned replies);
void client_puts(struct smtp_client *c, const char *s);
/* "waiting for the reply to MAIL". */
const char *client_doing(const struct smtp_client *c);
/* The reply's text for a result or the log; valid until the next call. */
const char *client_reply_text(struct smtp_client *c);

/* smtp_trace.c: the dialogue for a human, where one watches */
void trace_state(struct smtp_client *c, const char *name);
void trace_written(struct smtp_client *c, struct slice s);
void trace_reply(struct smtp_client *c);

/* smtp_end.c */

/* No job is inside.  Says QUIT where that can do no harm. */
void client_end(struct smtp_client *c, enum smtp_client_end how,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The job is handed back, for another session. */
void client_end_again(struct smtp_client *c);
/* The server has said at MAIL that it takes no more connections. */
void client_end_full(struct smtp_client *c);
/* In the middle of things; politely where the server itself said so. */
void client_cut(struct smtp_client *c, bool politely, int code,
    struct mail_status st, const char *text);
/* 421 may come at any time and means that the server closes. */
void client_shut(struct smtp_client *c);
/* The server cannot be relied on: drops the connection, recipients without a
 * final answer are temporarily refused. */
void client_broken(struct smtp_client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The job has all its results. */
void client_job_done(struct smtp_client *c);
/* Ends the connection with or without a QUIT, calls nobody. */
void client_quit(struct smtp_client *c);
void client_close(struct smtp_client *c, bool politely);

/* smtp_hello.c */
void hello_greeting(struct smtp_client *c);
void hello_enter(struct smtp_client *c);
void hello_reply(struct smtp_client *c);
void hello_helo_enter(struct smtp_client *c);
void hello_helo_reply(struct smtp_client *c);
void hello_ready(struct smtp_client *c);	/* nothing is left to do */

/* smtp_tls.c */
void tls_begin(struct smtp_client *c);
void tls_enter(struct smtp_client *c);
void tls_reply(struct smtp_client *c);
void tls_secured(struct smtp_client *c);
void tls_failed(struct smtp_client *c, const struct err *why);
/* The server has none. */
void tls_missing(struct smtp_client *c);

/* smtp_auth.c */
void auth_ask(struct smtp_client *c);
void auth_reply(struct smtp_client *c);
void auth_drop(struct smtp_client *c);		/* whatever is going on */

/* smtp_transaction.c */
void transaction_begin(struct smtp_client *c);
void transaction_end(struct smtp_client *c);
void mail_enter(struct smtp_client *c);
void mail_reply(struct smtp_client *c);
void rcpt_enter(struct smtp_client *c);
void rcpt_reply(struct smtp_client *c);
void data_enter(struct smtp_client *c);
void data_reply(struct smtp_client *c);
void final_reply(struct smtp_client *c);
void rset_enter(struct smtp_client *c);
void rset_reply(struct smtp_client *c);

/* smtp_body.c */
void body_enter(struct smtp_client *c);
void body_drained(struct smtp_client *c);
/* Trace and body behind "BDAT n LAST", in one piece with what is in out;
 * -1: the body is damaged, the session ended. */
int body_chunk_ahead(struct smtp_client *c, struct strbuf *out);

#endif

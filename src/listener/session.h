/* One SMTP session (RFC 5321): its state, its transaction, and what the files
 * of the verbs need of each other. */
#ifndef LISTENER_SESSION_H
#define LISTENER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/strbuf.h"
#include "io/conn.h"
#include "io/loop.h"
#include "listener/listener.h"
#include "listener/refusal.h"
#include "listener/relay_policy.h"
#include "mail/dot_stream.h"
#include "mail/envelope.h"
#include "mail/smtp_command.h"

#define SESSION_LINE_MAX 4096		/* octets of a command, with CRLF */
#define SESSION_AUTH_LINE_MAX 12290	/* of AUTH and of what it carries */
#define SESSION_ERRORS_MAX 20
#define SESSION_HOPS_MAX 50
#define SESSION_TIMEOUTS 12		/* that it may take without a message */
#define SESSION_INLINE_MAX (128u * 1024) /* octets of a body in memory */

/* session.c has the table: what each state reads and which verbs it takes. */
enum session_state {
	ST_CONNECTED,		/* EHLO or HELO is to come */
	ST_READY,		/* between transactions */
	ST_MAIL,		/* there is a sender */
	ST_RCPT,		/* and a recipient */
	ST_VERIFY,		/* queue is asked about a recipient */
	ST_DATA,		/* text until the lone dot */
	ST_CHUNK,		/* octets of a BDAT chunk */
	ST_CHUNKS,		/* between two chunks */
	ST_SPOOL,		/* a descriptor for the body is to come */
	ST_BLOCKED,		/* the queue's channel is full */
	ST_COMMIT,		/* the queue is to say that it is safe */
	ST_AUTH,		/* the client's line of an exchange */
	ST_AUTH_WAIT,		/* the auth role's answer */
	ST_TLS,			/* handshake */
	ST_CLOSED,		/* freed at the end of the turn */
	ST_COUNT
};

/* A message on its way in.  Kept with its memory for the next one. */
struct transaction {
	struct envelope env;
	size_t octets;			/* of its recipients, encoded */
	struct recipient pending;	/* that is being verified */
	struct dot_decoder decoder;
	struct strbuf text;		/* the body, or what of it is not yet
					 * in the file */
	int fd;				/* the body's file, or -1 */
	uint64_t size;			/* octets in the file */
	uint32_t crc;			/* of those */
	uint64_t dropped;		/* octets read after a refusal */
	enum refusal_id refused;	/* at the end of the text */
	bool chunked;			/* BDAT */
	bool ended;			/* the end of the text was read */
	bool counted;			/* of the client's rate */
};

enum auth_any_step { AUTH_ANY_NONE, AUTH_ANY_LAST, AUTH_ANY_PASSWORD };

struct session {
	TAILQ_ENTRY(session) link;
	TAILQ_ENTRY(session) blocked_link;
	struct listener *owner;
	struct endpoint *ep;
	struct conn *conn;
	struct client_entry *client;
	const struct conf_client *block; /* `client NETWORK`, or NULL */
	const struct conf_login *login_conf;	/* of login, or NULL */
	char *client_text;		/* "192.0.2.1", "uid:0" */
	char *helo;			/* or NULL */
	char *login;			/* authenticated as, or NULL */
	struct transaction *tx;		/* from MAIL on, else NULL */

	struct port *waits_on;		/* with ref: one request at a time */
	port_reply *on_reply;
	uint64_t ref;			/* 0: none */
	uint64_t exchange;		/* of AUTH at the auth role, 0: none */
	uint64_t chunk_left;		/* octets of this chunk to come */
	uint64_t chunk_size;
	uint64_t limit;			/* octets of a message */
	uint64_t deadline;		/* mono ms; moves with each message */
	uint64_t heard;			/* mono ms, when it last did something */
	int64_t uid;			/* of the peer on a UNIX socket, -1 */
	struct loop_timer timer;
	struct loop_task reap;

	uint16_t client_port;
	uint8_t state;			/* enum session_state */
	uint8_t back;			/* state after ST_SPOOL or a chunk */
	uint8_t errors;
	uint8_t auth_any;		/* enum auth_any_step */
	uint8_t chunk_refused;		/* enum refusal_id: BDAT out of order,
					 * its octets are thrown away */
	bool chunk_last : 1;
	bool esmtp : 1;			/* EHLO was said */
	bool tls : 1;
	bool trusted : 1;		/* relay_trusted() */
	bool must_auth : 1;
	bool loopback : 1;		/* or a UNIX socket */
	bool auth_done : 1;		/* 235 was said, whatever it counts */
	bool skipping : 1;		/* the rest of a line too long */
	bool stalled : 1;		/* the client does not read */
	bool eof : 1;			/* it will send nothing more */
	bool fix_bare : 1;		/* `bare-lf fix` */
	bool external : 1;		/* AUTH EXTERNAL waits for its line */
};

/* ---- session.c ---- */

/* Begins on a connected descriptor (owned) and says the greeting; entry is
 * the session's from now on. */
struct session *session_new(struct endpoint *ep, int fd,
    struct client_entry *entry, const struct relay_origin *origin,
    const char *client_text, uint16_t port, int64_t uid);
/* Sends what is pending and closes; the memory lives to the end of the turn.
 * why is for the log. */
void session_end(struct session *s, const char *why);
/* Closes at once. */
void session_abort(struct session *s, const char *why);
/* The one place where the state changes. */
void session_set_state(struct session *s, enum session_state state);
/* Verbs that are in order now, as bits (1 << SMTP_MAIL). */
unsigned session_verbs(const struct session *s);
/* Goes on with what the client has sent, as far as the state allows. */
void session_run(struct session *s);
/* A limit for what is to come next from the client. */
void session_touch(struct session *s);
/* Nothing is in flight: may be ended for a drain. */
bool session_idle(const struct session *s);
/* Begins a request and waits in this state; the ref is to be sent with it.
 * cb gets the session and calls session_answered() first. */
uint64_t session_request(struct session *s, struct port *port,
    uint64_t deadline_ms, port_reply *cb, enum session_state state);
void session_answered(struct session *s);
/* The port will not answer any more: as if NULL had come. */
void session_lost(struct session *s, const struct port *port);

/* ---- session_input.c ---- */


/* Take one command, or one line of an AUTH exchange, from the input; false:
 * there is none (yet). */
bool session_input_command(struct session *s);
bool session_input_auth_line(struct session *s);

/* ---- session_reply.c ---- */

/* "220 ..." */
void session_greet(struct session *s);
/* A whole reply, with CRLF. */
void session_say(struct session *s, const char *reply, size_t n);
#define SAY(s, literal) session_say(s, literal, sizeof(literal) - 1)
/* Says no, logs it, counts it; ends the session when it was one too many or
 * when it is a 421 or 521. */
void session_refuse(struct session *s, enum refusal_id id);
void session_refuse_as(struct session *s, const char *reason,
    const struct smtp_refusal *reply);
/* With the number of the message that was accepted. */
void session_accepted(struct session *s, uint64_t id);
/* Log line for a client that was refused before it had a session. */
void refusal_log(const char *client, const struct endpoint *ep,
    const struct refusal *r);

/* ---- the verbs: cmd_*.c ---- */

typedef void session_command(struct session *s, const struct smtp_command *c);
session_command smtpd_hello, smtpd_mail, smtpd_rcpt, smtpd_data, smtpd_bdat,
    smtpd_rset, smtpd_noop, smtpd_quit, smtpd_vrfy, smtpd_expn, smtpd_help,
    smtpd_starttls, smtpd_auth;

/* What EHLO may offer now. */
bool smtpd_tls_offered(const struct session *s);
bool smtpd_auth_offered(const struct session *s);
/* Appends " PLAIN LOGIN", what smtpd_auth_offered() offers. */
void smtpd_auth_mechanisms(const struct session *s, struct strbuf *out);
/* Where the exchange is over or its session ends. */
void smtpd_auth_drop(struct session *s);
/* The exchange that waits for a line is over, with this reply. */
void smtpd_auth_stop(struct session *s, enum refusal_id id);
/* One line of an exchange, still in base64. */
void smtpd_auth_line(struct session *s, struct slice line);
/* Also for listeners with implicit TLS. */
void smtpd_tls_begin(struct session *s);
void smtpd_tls_secured(struct session *s);

/* ---- cmd_data.c: reading a message ---- */

bool session_input_data(struct session *s);
bool session_input_chunk(struct session *s);

/* ---- transaction.c ---- */

/* Forgets the transaction, if there is one, and keeps its memory for
 * another. */
void smtpd_transaction_drop(struct session *s);
struct transaction *smtpd_transaction_begin(struct session *s);
void smtpd_transaction_free(struct transaction **tx);

/* ---- body.c ---- */

/* The text is over what is kept in memory: asks the queue for a file. */
void smtpd_body_spool(struct session *s);
/* Text goes to the file in large pieces, all of it at the end; refused is set
 * when that failed. */
void smtpd_body_write(struct transaction *tx, bool all);
/* Looks at the header: hops, signature, fields to be added.  Once, before any
 * of the text leaves for the file. */
void smtpd_body_header(struct session *s);
/* Nothing more of this text is wanted; what comes is thrown away. */
void smtpd_body_refuse(struct transaction *tx, enum refusal_id id);

/* ---- commit.c ---- */

/* The whole text is there: to the queue, or refused. */
void smtpd_commit_begin(struct session *s);
/* The queue's channel has room again: for the sessions that wait for it. */
void smtpd_commit_unblock(struct listener *l);
/* The queue is gone: for the sessions that wait for room. */
void smtpd_commit_queue_gone(struct listener *l);

#endif

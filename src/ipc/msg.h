/* The internal messages: type numbers and what stands in them.  Each has an
 * encoder and a bounded decoder in msg_*.c; decoders return -1 for garbage
 * and leave nothing to free then. */
#ifndef IPC_MSG_H
#define IPC_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

enum msg_type {
	/* monitor -> role */
	MSG_ROLE_VIEW = 1,	/* fd: the sealed view; struct msg_role */
	MSG_ROLE_LOG,		/* fd; struct msg_log */
	MSG_ROLE_LISTEN,	/* fd; struct msg_listen */
	MSG_ROLE_PEER,		/* fd; struct msg_peer */
	MSG_ROLE_START,		/* all is there: begin */
	MSG_ROLE_DRAIN,		/* take nothing new, finish, exit 0 */
	MSG_STATUS,		/* to queue: struct msg_status */
	MSG_ROLE_PING,		/* request: does your loop turn? */
	/* role -> monitor */
	MSG_ROLE_READY = 20,
	MSG_LOCAL_JOB,		/* queue; fd: the message; request;
				 * struct msg_local */
	MSG_LOCAL_DONE,		/* reply to this and to MSG_LOCAL_USER:
				 * struct msg_local_done */
	MSG_ROLE_PONG,		/* reply to MSG_ROLE_PING */
	MSG_ROLE_BAD,		/* queue, auth: struct msg_peer; this peer is
				 * not sane: end it, bring another one */
	MSG_SECRET,		/* auth, request: struct msg_secret */
	MSG_SECRET_DONE,	/* reply: struct msg_secret_done */
	MSG_LOCAL_USER,		/* queue, request: would it be delivered, as
				 * far as passwd says?  struct msg_local */
	MSG_ALERT = 36,		/* queue, request: run the alert's command for
				 * this; struct msg_alert */
	MSG_ALERT_DONE,		/* reply: it was begun, or cannot be: empty;
				 * one octet: not now, ask again */
	/* listener <-> queue */
	MSG_SPOOL_WANT = 40,	/* request: a descriptor for a body */
	MSG_SPOOL_FILE,		/* reply, fd; or MSG_DONE when there is none */
	MSG_MAIL,		/* transfer, request: envelope_encode + body */
	MSG_DONE,		/* reply: struct msg_done */
	MSG_VERIFY,		/* request: a local recipient, an address */
	MSG_LISTENER_STATS,	/* struct msg_stats */
	MSG_LISTENER_COUNTS,	/* struct msg_counts, since the last one */
	/* queue <-> delivery */
	MSG_JOB = 60,		/* transfer, request: struct msg_job + body */
	MSG_JOB_DONE,		/* reply: struct msg_job_done */
	/* listener <-> auth */
	MSG_AUTH_START = 80,	/* request: struct msg_auth */
	MSG_AUTH_NEXT,		/* request: struct msg_auth */
	MSG_AUTH_DROP,		/* struct msg_auth: session alone */
	MSG_AUTH_STEP,		/* reply: struct msg_auth_step */
	/* delivery <-> auth */
	MSG_CRED_START = 100,	/* request: struct msg_cred */
	MSG_CRED_NEXT,
	MSG_CRED_DROP,		/* struct msg_cred: session alone */
	MSG_CRED_REFUSED,	/* the same; the server refused what it got */
	MSG_CRED_STEP		/* reply: struct msg_auth_step */
};

enum role { ROLE_MONITOR, ROLE_LISTENER, ROLE_QUEUE, ROLE_DELIVERY,
	ROLE_AUTH, ROLE_COUNT };
const char *role_name(enum role role);

struct msg_role {		/* who am I */
	uint32_t slot;		/* number of this process among its kind */
	uint32_t instance;	/* 0..255, differs after each restart */
	bool has_group;		/* queue: whose members may do everything, */
	uint32_t group;		/* by number: it cannot look up names */
};
void msg_role_encode(struct strbuf *b, const struct msg_role *m);
int msg_role_decode(struct slice s, struct msg_role *m);

struct msg_log {
	uint8_t sink, format, level;	/* enums of base/log.h */
};
void msg_log_encode(struct strbuf *b, const struct msg_log *m);
int msg_log_decode(struct slice s, struct msg_log *m);

enum listen_kind { LISTEN_SMTP, LISTEN_SUBMIT, LISTEN_CONTROL,
	LISTEN_METRICS };		/* the last one stays monitor's */
struct msg_listen {
	uint8_t kind;		/* enum listen_kind */
	uint32_t index;		/* LISTEN_SMTP: into conf.listens */
};
void msg_listen_encode(struct strbuf *b, const struct msg_listen *m);
int msg_listen_decode(struct slice s, struct msg_listen *m);

struct msg_peer {
	uint8_t role;
	uint32_t slot;
};
void msg_peer_encode(struct strbuf *b, const struct msg_peer *m);
int msg_peer_decode(struct slice s, struct msg_peer *m);

struct msg_status_role {
	uint8_t role;
	uint32_t slot, pid, restarts;
	uint64_t started;	/* wall ms */
};
struct msg_status {
	uint64_t started;	/* monitor, wall ms */
	uint32_t pid;
	struct msg_status_role role[64];
	uint32_t n_roles;
};
void msg_status_encode(struct strbuf *b, const struct msg_status *m);
int msg_status_decode(struct slice s, struct msg_status *m);

/* A basic reply for a client or a peer. */
struct msg_done {
	uint16_t code;		/* 250, 451, 452, 550... */
	uint8_t status[3];	/* enhanced status code */
	char text[200];		/* printable */
};
void msg_done_encode(struct strbuf *b, const struct msg_done *m);
int msg_done_decode(struct slice s, struct msg_done *m);

struct msg_stats {		/* connections open now, by conf.listens;
				 * the last one is submit.sock */
	uint32_t n;
	uint32_t open[65];
};
void msg_stats_encode(struct strbuf *b, const struct msg_stats *m);
int msg_stats_decode(struct slice s, struct msg_stats *m);

struct msg_counts {		/* what has happened so often */
	uint32_t n;
	struct {
		char name[40];	/* printable */
		uint64_t count;
	} v[64];
};
void msg_counts_encode(struct strbuf *b, const struct msg_counts *m);
int msg_counts_decode(struct slice s, struct msg_counts *m);

struct msg_local {
	char *transport;	/* name */
	char *sender, *recipient;	/* addresses */
};
void msg_local_encode(struct strbuf *b, const struct msg_local *m);
int msg_local_decode(struct slice s, struct msg_local *m);
void msg_local_clear(struct msg_local *m);

struct msg_local_done {
	uint8_t exit_status;	/* of sysexits; 75 where it was killed */
	char text[512];		/* what it said, printable */
};
void msg_local_done_encode(struct strbuf *b, const struct msg_local_done *m);
int msg_local_done_decode(struct slice s, struct msg_local_done *m);

/* Texts are printable. */
struct msg_alert {
	char kind[16];		/* "parked" and the like */
	char object[512];
	bool begin;
	char text[1025];
};
void msg_alert_encode(struct strbuf *b, const struct msg_alert *m);
int msg_alert_decode(struct slice s, struct msg_alert *m);

/* ---- delivery ---- */

struct msg_job_rcpt {
	uint32_t index;		/* in the envelope */
	char *address;
	uint8_t notify;		/* as in the envelope */
	char *orcpt;		/* or NULL */
};

struct msg_job {
	uint64_t id;		/* of the message */
	char *transport;	/* name */
	char *from;		/* reverse-path, "" for <> */
	char *helo;		/* to say; NULL: transport's or hostname */
	uint32_t connections;	/* the process may have in this lane at once,
				 * 0: as many as the transport says */
	uint32_t per_host;	/* of them, to one host; 0: as it says */
	uint32_t setbacks;	/* that queue has heard of when it said so */
	bool eight_bit, smtputf8;	/* as declared by the client */
	uint8_t ret;		/* as in the envelope */
	char *envid;		/* or NULL */
	char *trace;		/* header lines to put in front, CRLF */
	uint64_t body_size;	/* octets, without trace */
	uint32_t body_crc;
	struct msg_job_rcpt *rcpt;
	uint32_t n_rcpt;
};
void msg_job_encode(struct strbuf *b, const struct msg_job *m);
int msg_job_decode(struct slice s, struct msg_job *m);
void msg_job_clear(struct msg_job *m);

/* Whose failure it is decides what waits (design: a failure belongs to an
 * object).  For all but JOB_SETTLED the recipients' results repeat the text. */
enum job_class {
	JOB_SETTLED,		/* each recipient has its own result */
	JOB_UNREACHABLE,	/* resolve, connect, greeting, EHLO, TLS */
	JOB_CREDENTIAL,		/* refused, or no common mechanism */
	JOB_QUOTA,		/* the account's, 4xx or 5xx */
	JOB_RETURNED,		/* never begun (drain): no attempt */
	JOB_BROKEN,		/* body unreadable or damaged on our side */
	JOB_OFFLINE		/* as JOB_UNREACHABLE: this machine has no
				 * network at all */
};

struct msg_job_result {
	uint32_t index;
	uint16_t code;		/* basic reply code; made up where none came:
				 * 4xx temporary, 5xx permanent */
	uint8_t status[3];
	char *text;		/* all lines, joined with blanks, printable */
};

struct msg_job_done {
	uint8_t class;		/* enum job_class */
	char *remote;		/* "mx.example[192.0.2.1]:25", NULL: none */
	char *tls;		/* "TLSv1.3 TLS_AES_...", NULL: plain */
	char *text;		/* for classes other than JOB_SETTLED */
	uint32_t sessions;	/* that the process has in this lane now, and
				 * that a server has taken mail in */
	uint32_t setbacks;	/* connections that the lane could not have,
				 * ever in this process; of the last one: */
	bool full;		/* the server takes no more of them */
	uint32_t held;		/* the others that there were */
	uint32_t connect_ms;	/* until the session was usable */
	uint32_t transfer_ms;	/* from MAIL to the final reply */
	struct msg_job_result *rcpt;
	uint32_t n_rcpt;
};
void msg_job_done_encode(struct strbuf *b, const struct msg_job_done *m);
int msg_job_done_decode(struct slice s, struct msg_job_done *m);
void msg_job_done_clear(struct msg_job_done *m);

/* ---- auth ---- */

/* One step of a SASL exchange of a client of ours (listener). */
struct msg_auth {
	uint64_t session;	/* the listener's number for the exchange */
	char *mechanism;	/* START only */
	bool has_data;		/* START: an initial response came */
	struct slice data;	/* decoded; borrowed */
	char *client;		/* address text, START only */
	bool secure;		/* inside TLS, or loopback where allowed */
};
void msg_auth_encode(struct strbuf *b, const struct msg_auth *m);
int msg_auth_decode(struct slice s, struct msg_auth *m);
void msg_auth_clear(struct msg_auth *m);

/* A session of ours wants to authenticate to a next hop (delivery). */
struct msg_cred {
	uint64_t session;
	char *transport;	/* whose credential */
	char *host;		/* the server's name */
	char *mechanisms;	/* offered, blank-separated; START only */
	bool secure;		/* inside TLS that is verified or pinned, or
				 * `tls-verify off` was written */
	struct slice data;	/* NEXT: the challenge, decoded; borrowed */
};
void msg_cred_encode(struct strbuf *b, const struct msg_cred *m);
int msg_cred_decode(struct slice s, struct msg_cred *m);
void msg_cred_clear(struct msg_cred *m);

/* The command of a secret is to be run (monitor): auth says whose secret,
 * never which command. */
struct msg_secret {
	bool login;		/* a `login`'s; else a transport's password */
	char *name;		/* of the login or transport */
};
void msg_secret_encode(struct strbuf *b, const struct msg_secret *m);
int msg_secret_decode(struct slice s, struct msg_secret *m);
void msg_secret_clear(struct msg_secret *m);

struct msg_secret_done {
	bool ok;
	struct slice text;	/* ok: the secret; else why not, printable;
				 * borrowed */
};
void msg_secret_done_encode(struct strbuf *b,
    const struct msg_secret_done *m);
int msg_secret_done_decode(struct slice s, struct msg_secret_done *m);

enum auth_state { AUTH_CONTINUE, AUTH_OK, AUTH_REFUSED, AUTH_TEMPORARY,
	AUTH_NO_MECHANISM };
struct msg_auth_step {
	uint8_t state;
	char *mechanism;	/* CRED: the one chosen (first step) */
	bool has_data;
	struct slice data;	/* challenge or response, raw; borrowed */
	char *login;		/* OK, listener: the login's name */
	char *text;		/* why not, for the log; no secrets */
};
void msg_auth_step_encode(struct strbuf *b, const struct msg_auth_step *m);
int msg_auth_step_decode(struct slice s, struct msg_auth_step *m);
void msg_auth_step_clear(struct msg_auth_step *m);

#endif

/* The internal messages: type numbers and what stands in them.  Each has an
 * encoder and a bounded decoder in msg_*.c; decoders return -1 for garbage
 * and leave nothing to free then. */
#ifndef IPC_MSG_H
#define IPC_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "mail/mta_sts.h"

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
	MSG_CONNECT,		/* delivery, request: struct msg_connect */
	MSG_CONNECTED,		/* reply: fd, or struct msg_connected alone */
	MSG_LOCAL_USER,		/* queue, request: would it be delivered, as
				 * far as passwd says?  struct msg_local */
	MSG_ALERT = 36,		/* queue, request: run the alert's command for
				 * this; struct msg_alert */
	MSG_ALERT_DONE,		/* reply: it was begun, or cannot be: empty;
				 * one octet: not now, ask again */
	MSG_KERBEROS,		/* auth, request: a channel to the program
				 * that speaks Kerberos for a transport;
				 * struct msg_connect; reply MSG_CONNECTED */
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
	MSG_NEXT_HOP,		/* queue, request: struct msg_next_hop */
	MSG_SITE,		/* reply: struct msg_site */
	MSG_TRIAL = 64,		/* request: struct msg_trial */
	MSG_TRIAL_DONE,		/* reply: struct msg_trial_done */
	/* listener <-> auth */
	MSG_AUTH_START = 80,	/* request: struct msg_auth */
	MSG_AUTH_NEXT,		/* request: struct msg_auth */
	MSG_AUTH_DROP,		/* struct msg_auth: session alone */
	MSG_AUTH_STEP,		/* reply: struct msg_auth_step */
	/* delivery <-> auth; the first three and the reply also between auth
	 * and libexec/kerberos, with host and data alone */
	MSG_CRED_START = 100,	/* request: struct msg_cred */
	MSG_CRED_NEXT,
	MSG_CRED_DROP,		/* struct msg_cred: session alone */
	MSG_CRED_REFUSED,	/* the same; the server refused what it got */
	MSG_CRED_STEP,		/* reply: struct msg_auth_step */
	MSG_PROXY_LOGIN = 160,	/* request: struct msg_proxy_login */
	MSG_PROXY_SECRET,	/* reply: struct msg_proxy_secret */
	MSG_CRED_ACCEPTED,	/* as MSG_CRED_DROP: the server took it */
	/* auth <-> monitor: files of tokens, all struct msg_token */
	MSG_TOKEN_READ = 120,	/* request: what is in the file */
	MSG_TOKEN_WRITE,	/* request: replace it; text "": remove it */
	MSG_TOKEN_RELEASE,	/* the lock of MSG_TOKEN_READ */
	MSG_TOKEN_CONNECT,	/* request: a CMS socket, connected */
	MSG_TOKEN_DONE,		/* reply to these: struct msg_token_done */
	/* queue <-> auth */
	MSG_OAUTH_CALL = 140,	/* queue; fd: a caller of the control socket;
				 * struct msg_oauth_call */
	MSG_CREDENTIAL_NEW	/* auth: struct msg_credential_new */
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
	LISTEN_TOKEN, LISTEN_METRICS };	/* the last one stays monitor's */
struct msg_listen {
	uint8_t kind;		/* enum listen_kind */
	uint32_t index;		/* LISTEN_SMTP: into conf.listens;
				 * LISTEN_TOKEN: into conf.token_servers */
	bool has_group;		/* LISTEN_TOKEN: whose members it serves */
	uint32_t group;
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

#define MSG_LOCAL_RCPT_MAX 64	/* of one run */

struct msg_local {
	char *transport;	/* name */
	char *sender;		/* address */
	char *recipient;
	char **more;		/* further recipients of the same run */
	uint32_t n_more;
};
void msg_local_encode(struct strbuf *b, const struct msg_local *m);
int msg_local_decode(struct slice s, struct msg_local *m);
void msg_local_clear(struct msg_local *m);

struct msg_local_done {
	uint8_t exit_status;	/* of sysexits; 75 where it was killed */
	char text[512];		/* what it said, printable */
	/* Several recipients: one that is not 0 stands for its own. */
	uint8_t own[MSG_LOCAL_RCPT_MAX];
	uint32_t n_own;		/* 0: none has its own */
};
void msg_local_done_encode(struct strbuf *b, const struct msg_local_done *m);
int msg_local_done_decode(struct slice s, struct msg_local_done *m);

/* The UNIX socket of a transport is to be connected to (monitor). */
struct msg_connect {
	char *transport;	/* name */
};
void msg_connect_encode(struct strbuf *b, const struct msg_connect *m);
int msg_connect_decode(struct slice s, struct msg_connect *m);
void msg_connect_clear(struct msg_connect *m);

struct msg_connected {
	char text[512];		/* why not; "" where it is */
	bool passing;		/* monitor lacks something just now */
};
void msg_connected_encode(struct strbuf *b, const struct msg_connected *m);
int msg_connected_decode(struct slice s, struct msg_connected *m);

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
	char *site;		/* of struct msg_site; NULL: the transport's
				 * own next hops */
	uint8_t avoid;		/* 4 or 6: this family of addresses last */
	bool first;		/* nothing was tried before */
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
	uint32_t skip;		/* octets of the body that these stand for */
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
	JOB_UNUSABLE,		/* for this sender (spf-check skip) */
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
	char *verify;		/* how the server was told from others, or what
				 * its domain's policy would have forbidden:
				 * "dane", "mta-sts", "mta-sts testing: ...",
				 * or NULL */
	char *spf;		/* as receivers will judge it, or NULL */
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

/* Where does the mail of a domain go? */
struct msg_next_hop {
	char *transport;	/* name */
	char *domain;		/* in normal form; a literal too */
	bool fresh;		/* from no cache of ours */
	char *policy;		/* note of its MTA-STS policy (struct
				 * mta_sts_note); NULL: none */
};
void msg_next_hop_encode(struct strbuf *b, const struct msg_next_hop *m);
int msg_next_hop_decode(struct slice s, struct msg_next_hop *m);
void msg_next_hop_clear(struct msg_next_hop *m);

enum site_result {
	SITE_FOUND,
	SITE_LATER,		/* no answer that means anything */
	SITE_NO_DOMAIN,		/* as far as this answer goes */
	SITE_REFUSED,		/* for good: code and status say why */
	SITE_OFFLINE		/* as SITE_LATER: this machine has no network */
};

/* A site is a set of next hops that many domains may share.  Its name lists
 * them in a canonical order: hosts of one preference with "," between them,
 * preferences (the best first) with ";".  Where a policy of the domain says
 * something about a host that stands behind it, with "=" between them: so
 * domains share a site only if they demand the same. */
#define MSG_SITE_MAX 4096
#define MSG_POLICY_MAX MTA_STS_NOTE_MAX

struct msg_site {
	uint8_t result;		/* enum site_result */
	uint32_t ttl;		/* seconds that the answer holds */
	char *site;		/* FOUND; else NULL */
	char *policy;		/* note to be kept for the next question; NULL:
				 * the one that came with this holds */
	uint16_t code;		/* else, for the recipient */
	uint8_t status[3];
	char *text;
};
void msg_site_encode(struct strbuf *b, const struct msg_site *m);
int msg_site_decode(struct slice s, struct msg_site *m);
void msg_site_clear(struct msg_site *m);

/* A next hop is tried for a human, outside of the mail's own sessions. */
struct msg_trial {
	char *transport;
	char *from, *to;	/* to NULL: no further than AUTH */
	char *message;		/* header and body with CRLF, sent to `to`;
				 * NULL: RSET behind RCPT */
	char *policy;		/* as in struct msg_next_hop, where the next
				 * hops have to be looked up */
};
void msg_trial_encode(struct strbuf *b, const struct msg_trial *m);
int msg_trial_decode(struct slice s, struct msg_trial *m);
void msg_trial_clear(struct msg_trial *m);

struct msg_trial_step {
	bool ok;
	char *name, *text;	/* printable */
};
struct msg_trial_done {
	struct msg_trial_step *step;
	uint32_t n_steps;
	char *dialogue;		/* lines "C: ...", "S: ...", "-- ...", each
				 * ended by LF; without secrets */
};
void msg_trial_done_encode(struct strbuf *b, const struct msg_trial_done *m);
int msg_trial_done_decode(struct slice s, struct msg_trial_done *m);
void msg_trial_done_clear(struct msg_trial_done *m);

/* ---- auth ---- */

/* What an exchange may be bound to: octets that only the two ends of a TLS
 * session know (RFC 5056). */
#define MSG_BINDINGS_MAX 2
struct msg_binding {
	char *type;		/* "tls-exporter", "tls-unique" */
	struct slice data;	/* borrowed */
};

/* One step of a SASL exchange of a client of ours (listener). */
struct msg_auth {
	uint64_t session;	/* the listener's number for the exchange */
	char *mechanism;	/* START only */
	bool has_data;		/* START: an initial response came */
	struct slice data;	/* decoded; borrowed */
	char *client;		/* address text, START only */
	bool secure;		/* inside TLS, or loopback where allowed */
	struct msg_binding binding[MSG_BINDINGS_MAX];	/* START only; where
				 * a -PLUS was offered */
	uint32_t n_bindings;
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
	struct msg_binding binding;	/* START; type NULL: there is none */
};
void msg_cred_encode(struct strbuf *b, const struct msg_cred *m);
int msg_cred_decode(struct slice s, struct msg_cred *m);
void msg_cred_clear(struct msg_cred *m);

/* The command of a secret is to be run (monitor): auth says whose secret,
 * never which command. */
enum secret_of { SECRET_OF_TRANSPORT, SECRET_OF_LOGIN, SECRET_OF_TOKEN,
	SECRET_OF_CLIENT, SECRET_OF_COUNT };
struct msg_secret {
	uint8_t of;		/* enum secret_of: a transport's password, a
				 * login's, a transport's `oauth2 command`,
				 * the `client-secret` of its oauth2 */
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

/* The login of a transport's proxy (delivery). */
struct msg_proxy_login {
	char *transport;
	uint32_t proxy;		/* which of them */
};
void msg_proxy_login_encode(struct strbuf *b, const struct msg_proxy_login *m);
int msg_proxy_login_decode(struct slice s, struct msg_proxy_login *m);
void msg_proxy_login_clear(struct msg_proxy_login *m);

struct msg_proxy_secret {
	char *username, *password;	/* NULL, both: */
	char *text;			/* why there are none */
};
void msg_proxy_secret_encode(struct strbuf *b,
    const struct msg_proxy_secret *m);
int msg_proxy_secret_decode(struct slice s, struct msg_proxy_secret *m);
/* Wipes the password. */
void msg_proxy_secret_clear(struct msg_proxy_secret *m);

enum auth_state { AUTH_CONTINUE, AUTH_OK, AUTH_REFUSED, AUTH_TEMPORARY,
	AUTH_NO_MECHANISM };
struct msg_auth_step {
	uint8_t state;
	char *mechanism;	/* CRED: the one chosen (first step) */
	bool has_data;
	struct slice data;	/* challenge or response, raw; borrowed */
	char *login;		/* OK, listener: the login's name */
	char *text;		/* why not, for the log; no secrets */
	bool again;		/* CRED: where this is refused, or was by us, a
				 * new session gets something else */
};
void msg_auth_step_encode(struct strbuf *b, const struct msg_auth_step *m);
int msg_auth_step_decode(struct slice s, struct msg_auth_step *m);
void msg_auth_step_clear(struct msg_auth_step *m);

/* ---- tokens (msg_token.c) ---- */

/* Octets of a token file that is read, and of one that is written: what comes
 * back from a provider may be longer than what was there. */
#define MSG_TOKEN_FILE_MAX 65536
#define MSG_TOKEN_TEXT_MAX (2 * MSG_TOKEN_FILE_MAX)

/* Monitor knows the file, or the socket, of a transport. */
struct msg_token {
	char *name;		/* of the transport */
	bool lock;		/* READ: nobody else until WRITE or RELEASE */
	uint8_t holder;		/* who of auth holds it, by a number of its
				 * own */
	struct slice text;	/* WRITE: what the file shall hold; borrowed */
};
void msg_token_encode(struct strbuf *b, const struct msg_token *m);
int msg_token_decode(struct slice s, struct msg_token *m);
void msg_token_clear(struct msg_token *m);

enum token_state { TOKEN_OK, TOKEN_BUSY, TOKEN_NONE, TOKEN_FAILED };
/* With a descriptor: of READ the file named by ca_bundle_file, of CONNECT
 * the socket. */
struct msg_token_done {
	uint8_t state;		/* enum token_state */
	struct slice text;	/* the file's, or why not; borrowed */
};
void msg_token_done_encode(struct strbuf *b, const struct msg_token_done *m);
int msg_token_done_decode(struct slice s, struct msg_token_done *m);

/* A command of relayctl: auth answers on the caller's socket itself, so that
 * no token passes through queue. */
#define MSG_OAUTH_NAME_MAX 1024
#define MSG_OAUTH_URL_MAX 8192
struct msg_oauth_call {
	char *command;		/* "oauth login" */
	char *name;		/* account or transport; NULL: all */
	char *flow;		/* "device", "code" or NULL */
	char *url;		/* what came back from the browser, or NULL */
	uint16_t port;		/* of relayctl's loopback listener; 0: none */
};
void msg_oauth_call_encode(struct strbuf *b, const struct msg_oauth_call *m);
int msg_oauth_call_decode(struct slice s, struct msg_oauth_call *m);
void msg_oauth_call_clear(struct msg_oauth_call *m);

/* There is something new to log in with: what is parked for it may go. */
struct msg_credential_new {
	char *transport;
};
void msg_credential_new_encode(struct strbuf *b,
    const struct msg_credential_new *m);
int msg_credential_new_decode(struct slice s, struct msg_credential_new *m);
void msg_credential_new_clear(struct msg_credential_new *m);

#endif

/* One SMTP (or LMTP) session of ours with a next hop: from the connected
 * socket through greeting, EHLO, STARTTLS and AUTH to any number of messages.
 *
 * All of it is one state machine (smtp_client.c has the table).  It owns the
 * connection, never the job: that comes by smtp_client_start() and goes back
 * by done() or ended(). */
#ifndef DELIVERY_SMTP_CLIENT_H
#define DELIVERY_SMTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "conf/conf.h"
#include "delivery/job.h"
#include "delivery/site_name.h"
#include "io/loop.h"
#include "io/tls_context.h"
#include "io/tls_dane.h"
#include "ipc/port.h"

struct smtp_client;

#define SMTP_CLIENT_CHUNK 65536		/* octets of a body at once */

/* What all sessions of the role share. */
struct smtp_client_env {
	struct loop *loop;
	struct port *auth;		/* NULL while there is none */
	uint64_t auth_life;		/* which of them it is */
	uint64_t exchanges;		/* numbers of AUTH exchanges */
	struct strbuf out;		/* scratch; empty between calls */
	char *chunk;			/* SMTP_CLIENT_CHUNK octets */
};

void smtp_client_env_init(struct smtp_client_env *env, struct loop *loop);
void smtp_client_env_clear(struct smtp_client_env *env);

struct smtp_client_target {
	const struct conf_transport *transport;	/* outlives the session */
	const char *host;		/* name, for TLS and for auth */
	const char *remote;		/* "host[192.0.2.1]:25", for people */
	const char *by;			/* " by proxy ...", or NULL */
	const char *helo;
	enum conf_tls_mode tls;		/* OFF, OPPORTUNISTIC, REQUIRED,
					 * IMPLICIT */
	struct tls_context *context;	/* where tls is not OFF */
	const struct tls_dane *dane;	/* copied; NULL: none */
	enum site_mark mark;		/* what a policy demands of the host; with
					 * dane that has precedence */
	struct tls_ticket *ticket;	/* of this host; outlives the session;
					 * NULL: none is kept */
	bool lmtp;
	/* For a human who wants to see it, or NULL: each line of the dialogue
	 * without its end and without secrets, who is 'C' or 'S'; and '=' with
	 * the name of the state that is entered.  One command at a time then,
	 * and the message by DATA. */
	void (*trace)(void *arg, char who, struct slice text);
	bool dry;			/* RSET behind RCPT: 2xx is a result */
};

enum smtp_client_end {
	SMTP_END_UNREACHABLE,	/* before it was ready: text says why */
	SMTP_END_UNSAFE,	/* the same: its TLS is not what a policy
				 * demands */
	SMTP_END_TLS,		/* the same, and without TLS it may work */
	SMTP_END_CREDENTIAL,	/* login refused or not possible */
	SMTP_END_TOKEN,		/* the token was refused, or the channel
				 * binding; another session gets a new one, or
				 * goes without */
	SMTP_END_FULL,		/* the server takes no more connections of
				 * ours; left is a job that heard so at MAIL,
				 * NULL: it was not ready yet */
	SMTP_END_SHUT,		/* a new session closed at its first MAIL, no
				 * word why; left heard so */
	SMTP_END_AGAIN,		/* left is a job that wants another session:
				 * nothing bad is known about the server */
	SMTP_END_CLOSED		/* idle, or after done() */
};

struct smtp_client_events {
	/* Can take a job now. */
	void (*ready)(void *arg);
	/* The server has taken a MAIL, for the first time: it means to serve
	 * this session. */
	void (*accepted)(void *arg);
	/* All recipients have their result; the job is the callee's again. */
	void (*done)(void *arg, struct job *j);
	/* The last call.  The owner calls smtp_client_free(), at once or
	 * later. */
	void (*ended)(void *arg, enum smtp_client_end how, struct job *left,
	    const char *text);
};

/* Takes the connected descriptor.  Strings of the target are copied. */
struct smtp_client *smtp_client_new(struct smtp_client_env *env, int fd,
    const struct smtp_client_target *target,
    const struct smtp_client_events *events, void *arg);
/* Drops the connection where there is still one; a job inside is forgotten.
 * May be called from the callbacks. */
void smtp_client_free(struct smtp_client **c);

/* Only after ready(), once for each. */
void smtp_client_start(struct smtp_client *c, struct job *j);
/* Says QUIT.  Only where no job is inside.  true: ended() follows when the
 * server has gone too, which has a short limit; false: it is gone already, no
 * callback follows. */
bool smtp_client_leave(struct smtp_client *c);
/* Nobody waits for the job's result any more.  false: the server may have
 * all of the message, the session goes on to its reply; true: it was dropped,
 * no callback follows. */
bool smtp_client_abandon(struct smtp_client *c);

/* As many messages as the server or the transport wants in one session. */
bool smtp_client_full(const struct smtp_client *c);
/* The peer's certificate for people, "" without TLS; appended. */
void smtp_client_peer(const struct smtp_client *c, struct strbuf *out);
/* As verify in struct msg_job_done; NULL: nothing to tell.  The caller frees
 * it. */
char *smtp_client_verify(const struct smtp_client *c);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or NULL. */
const char *smtp_client_tls(const struct smtp_client *c);

#endif

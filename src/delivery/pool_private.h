/* Inside of the pool: only pool.c and session.c include this. */
#ifndef DELIVERY_POOL_PRIVATE_H
#define DELIVERY_POOL_PRIVATE_H

#include "delivery/dane.h"
#include "delivery/host_use.h"
#include "delivery/pool.h"
#include "delivery/reach.h"
#include "delivery/site_name.h"
#include "mail/domain.h"

struct host {
	char *name;
	unsigned port;
	unsigned group;			/* hosts of one preference */
	enum site_mark mark;		/* what its domain's policy demands */
	struct host_use *use;		/* sessions of all pools */
	struct tls_ticket *ticket;	/* NULL: no TLS */
	unsigned failures;		/* in a row */
	uint64_t shunned_until;		/* mono ms: tried after the others */
};

#define SESSION_FROM_MAX 8

struct session {
	TAILQ_ENTRY(session) link;	/* of all in the pool */
	TAILQ_ENTRY(session) idle_link;
	TAILQ_ENTRY(session) env_link;	/* idle, of all pools */
	struct pool *pool;
	size_t host;			/* place in the pool's */
	char *helo;			/* as pool_helo(); a proxy may have
					 * another one */
	char *remote;			/* once it is known */
	bool plain;			/* no TLS this time */
	bool both;			/* the host has IPv4 and IPv6 */
	bool idle;
	struct reach *reach;		/* while connecting */
	struct dane *dane;		/* then, while that is looked up: */
	int fd;				/* connected, or -1 */
	const struct conf_proxy *proxy;	/* the connection goes through it */
	struct smtp_client *client;	/* then */
	struct job *job;		/* opened for, or at work on */
	bool ready;			/* has been */
	bool proven;			/* the server has taken a MAIL in it */
	bool leaving;			/* has said QUIT */
	uint64_t started_ms;
	struct loop_timer idle_timer;
	/* session_spf.c: where its mail leaves from, and what is judged */
	struct mail_literal from[SESSION_FROM_MAX];
	size_t n_from, spf_at;
	char spf_domain[MAIL_DOMAIN_MAX + 1];
	bool spf_failed;
	struct forecast_wait spf_wait;
	struct loop_task spf_task;
};

struct pool {
	TAILQ_ENTRY(pool) wants_link;
	struct host_use *wants;		/* its sessions are too many, NULL */
	bool site;			/* its hosts are mail exchangers */
	struct pool_env *env;
	const struct conf_transport *t;
	struct host *hosts;
	size_t n_hosts;
	struct tls_context *tls;
	struct err tls_err;		/* why there is none */
	struct tls_context *enforced, *tested;	/* the transport's; made when a
						 * site wants them */
	struct tls_context *policy;	/* a site's: one of these, or NULL */
	struct err policy_err;		/* why there is none */
	struct sockaddr_storage source4, source6;
	struct proxy_state *proxies;	/* the transport's; of all its pools */
	struct job_list waiting;
	struct session_list all, idle;	/* idle: used last stands first */
	unsigned n_sessions;		/* with those that are leaving */
	unsigned n_leaving;
	unsigned told;			/* by queue: so many at once; 0: as
					 * the transport says */
	unsigned per_host;		/* the same, to one host */
	struct job_news news;
	uint64_t setback_ms;		/* mono, when the last one was */
	bool draining;
	struct loop_task dispatch;
	bool is_starved;
	TAILQ_ENTRY(pool) starved;
};

/* Sessions (session.c); what happens to them comes back by the pool_*
 * functions below. */
void session_open(struct pool *p, size_t host, struct job *j, bool plain);
void session_work(struct session *s, struct job *j);
void session_quit(struct session *s);		/* idle ones */
void session_drop(struct session *s);		/* any, without a word */

/* Its job, with the client that is idle. */
void session_begin(struct session *s);
/* Its job has its result without that; the client is idle. */
void session_refuse(struct session *s);
/* Once it is connected and before the client has the descriptor. */
void session_spf_addresses(struct session *s);
/* True: the job may begin; else session_begin() or session_refuse() comes
 * later. */
bool session_spf_begin(struct session *s);
void session_spf_cancel(struct session *s);
/* Messages that did not wait for an answer. */
void session_spf_forget(struct pool_env *env);

/* The server has answered all recipients.  Those that it only put off may have
 * better luck with the next exchanger: true, the pool has the job again. */
bool pool_try_next(struct pool *p, size_t host, struct job *j);
/* The host cannot be used; the job goes on with the next one. */
void pool_host_failed(struct pool *p, size_t host, struct job *j,
    const char *text);
/* No proxy is of any use, or none says why it cannot reach the host: nothing is
 * held against that. */
void pool_proxies_failed(struct job *j, const char *text);
void pool_host_unclear(struct pool *p, size_t host, struct job *j,
    const char *text);
void pool_host_works(struct pool *p, size_t host);
/* The server takes no more connections while others of ours live.  false:
 * there are none, it is a failure like others. */
bool pool_full(struct pool *p, const struct session *s);
/* More sessions than there may be. */
bool pool_crowded(const struct pool *p);
/* The job goes first in the queue again. */
void pool_take_back(struct pool *p, struct job *j);
void pool_wake(struct pool *p);			/* something may begin */
/* A session with the host has ended; leaving: it had said QUIT before. */
void pool_host_left(struct host *h, bool leaving);
/* The pool that has waited longest for a descriptor may look again. */
void pool_feed(struct pool_env *env);
/* There is one; else the pool hears of it when there is. */
bool pool_has_descriptor(struct pool *p);
/* The name that a session for this job says at EHLO. */
const char *pool_helo(const struct pool *p, const struct job *j);

#endif

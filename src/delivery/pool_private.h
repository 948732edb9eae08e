/* Inside of the pool: only pool.c and session.c include this. */
#ifndef DELIVERY_POOL_PRIVATE_H
#define DELIVERY_POOL_PRIVATE_H

#include "delivery/pool.h"
#include "delivery/reach.h"

struct host {
	const struct conf_host *conf;
	unsigned sessions;		/* with those that are leaving */
	unsigned leaving;
	struct tls_ticket *ticket;
	unsigned failures;		/* in a row */
	uint64_t shunned_until;		/* mono ms: tried after the others */
};

struct session {
	TAILQ_ENTRY(session) link;	/* of all in the pool */
	TAILQ_ENTRY(session) idle_link;
	TAILQ_ENTRY(session) env_link;	/* idle, of all pools */
	struct pool *pool;
	size_t host;			/* place in the pool's */
	char *helo;
	char *remote;			/* once it is known */
	bool plain;			/* no TLS this time */
	bool idle;
	struct reach *reach;		/* while connecting */
	struct smtp_client *client;	/* then */
	struct job *job;		/* opened for, or at work on */
	bool ready;			/* has been */
	bool proven;			/* the server has taken a MAIL in it */
	bool leaving;			/* has said QUIT */
	uint64_t started_ms;
	struct loop_timer idle_timer;
};

struct pool {
	struct pool_env *env;
	const struct conf_transport *t;
	struct host *hosts;
	size_t n_hosts;
	struct tls_context *tls;
	struct err tls_err;		/* why there is none */
	struct sockaddr_storage source4, source6;
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

/* The host cannot be used; the job goes on with the next one. */
void pool_host_failed(struct pool *p, size_t host, struct job *j,
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
/* The pool that has waited longest for a descriptor may look again. */
void pool_feed(struct pool_env *env);
/* The name that a session for this job says at EHLO. */
const char *pool_helo(const struct pool *p, const struct job *j);

#endif

/* The sessions and waiting jobs of one transport.
 *
 * A transport is one lane as far as sessions are concerned: its next hops,
 * credential, TLS policy and source address are the same for all that goes
 * through it, so a session may be used again for any of its jobs that says
 * the same name at EHLO, and for no others. */
#ifndef DELIVERY_POOL_H
#define DELIVERY_POOL_H

#include <stdbool.h>

#include "base/slice.h"
#include "conf/conf.h"
#include <sys/queue.h>

#include "delivery/job.h"
#include "delivery/smtp_client.h"
#include "io/resolve.h"

struct pool;
struct session;
TAILQ_HEAD(session_list, session);
TAILQ_HEAD(pool_list, pool);

struct pool_env {
	struct smtp_client_env client;
	struct resolver *resolver;
	const char *hostname;		/* to say at EHLO */
	struct slice ca;		/* PEM, default */
	void (*emptied)(void *arg);	/* a pool has nothing left */
	void *arg;
	unsigned sessions_max;		/* of all pools, as descriptors go; 0:
					 * any number */
	/* private to the pools */
	unsigned sessions;
	struct session_list idle;	/* of all: the longest first */
	struct pool_list starved;	/* wait for one of another's to end */
};

struct pool *pool_new(struct pool_env *env, const struct conf_transport *t);
/* Drops all sessions; jobs are forgotten, their owner frees them. */
void pool_free(struct pool **p);

/* The pool answers it with job_finish(), later. */
void pool_submit(struct pool *p, struct job *j);
/* Returns what has not begun, ends idle sessions, takes nothing new. */
void pool_drain(struct pool *p);
/* Nobody waits for any of its jobs any more: whatever a server cannot have
 * taken yet is dropped, with job_finish(). */
void pool_abandon(struct pool *p);
bool pool_is_empty(const struct pool *p);	/* no session, no job */

#endif

/* The sessions and waiting jobs of one transport, or of one of its sites.
 *
 * That is one lane as far as sessions are concerned: next hops, credential,
 * TLS policy and source address are the same for all that goes through it, so
 * a session may be used again for any of its jobs that says the same name at
 * EHLO, and for no others.  Mail for all domains that have the same mail
 * exchangers shares a site, and its sessions. */
#ifndef DELIVERY_POOL_H
#define DELIVERY_POOL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/htab.h"
#include "base/slice.h"
#include "conf/conf.h"
#include "delivery/forecast.h"
#include "delivery/job.h"
#include "delivery/smtp_client.h"
#include "io/http_client.h"
#include "io/resolve.h"

struct pool;
struct session;
TAILQ_HEAD(session_list, session);
TAILQ_HEAD(pool_list, pool);

struct pool_env {
	struct smtp_client_env client;
	struct resolver *resolver;
	struct http_client *http;	/* for MTA-STS policies */
	struct port *monitor;		/* connects to UNIX sockets */
	struct forecast *forecast;	/* of SPF; NULL: none */
	TAILQ_HEAD(spf_note_list, spf_note) spf_notes;
	unsigned n_spf_notes;
	const char *hostname;		/* to say at EHLO */
	struct slice ca;		/* PEM, default */
	void (*emptied)(void *arg);	/* a pool has nothing left */
	void *arg;
	struct htab *uses;		/* of hosts, over all pools */
	unsigned sessions_max;		/* of all pools, as descriptors go; 0:
					 * any number */
	/* private to the pools */
	unsigned sessions;
	struct session_list idle;	/* of all: the longest first */
	struct pool_list starved;	/* wait for one of another's to end */
};

void pool_env_init(struct pool_env *env, struct loop *loop);
void pool_env_clear(struct pool_env *env);

struct pool *pool_new(struct pool_env *env, const struct conf_transport *t);
/* For the next hops of a site (struct msg_site) in place of the transport's;
 * with the TLS of its pool, which lives longer. */
struct pool *pool_new_site(struct pool *transport, const char *site);
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

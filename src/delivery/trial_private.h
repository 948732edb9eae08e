/* Inside of the trial: only trial.c and trial_hosts.c include this. */
#ifndef DELIVERY_TRIAL_PRIVATE_H
#define DELIVERY_TRIAL_PRIVATE_H

#include "delivery/dane.h"
#include "delivery/next_hop.h"
#include "delivery/proxy.h"
#include "delivery/reach.h"
#include "delivery/site_name.h"
#include "delivery/smtp_client.h"
#include "delivery/trial.h"

struct trial {
	struct pool_env *env;
	const struct conf_transport *t;
	struct msg_trial m;
	trial_cb *cb;
	void *arg;

	struct next_hop *mx;
	char *site;			/* next hops that were looked up */
	char *name;			/* of the host at hand, and its port */
	unsigned port;
	size_t host;			/* the next one's place */
	enum site_mark mark;		/* of the host at hand */
	struct tls_context *tls;
	struct tls_context *policy;	/* where a policy wants another one */
	struct proxy_state *proxies;
	const struct conf_proxy *proxy;	/* that is used, or NULL */
	struct reach *reach;
	struct dane *dane;
	int fd;				/* connected, while that looks, or -1 */
	char *remote;
	struct smtp_client *client;
	struct job *job;
	bool egress;			/* was looked at */
	bool reached;			/* a server that answers */
	bool tried;			/* the job has been given away */
	const char *at;			/* the step under way, NULL: none */
	const char *refused;		/* the step whose reply was a refusal;
					 * the recipient's answer tells it */
	struct strbuf said;		/* the last reply */
	struct strbuf auth;		/* "AUTH PLAIN" */

	struct msg_trial_done result;
	struct strbuf dialogue;
	struct loop_timer limit;
	struct loop_task over;
};

/* A step, or a line of the dialogue, that is told. */
void trial_step(struct trial *t, const char *name, bool ok, const char *text);
void trial_dialogue(struct trial *t, const char *who, struct slice text);
/* All has been said. */
void trial_finish(struct trial *t);
/* The session with a host; its callbacks come back to trial.c. */
extern const struct smtp_client_events trial_events;
void trial_trace(void *arg, char who, struct slice text);

/* ---- trial_hosts.c ---- */
/* domain NULL: the recipient's. */
void trial_look_up(struct trial *t, const struct conf *conf,
    const char *domain);
void trial_next_host(struct trial *t);

#endif

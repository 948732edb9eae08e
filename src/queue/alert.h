/* Alerts: what alert.c and its helpers share. */
#ifndef QUEUE_ALERT_H
#define QUEUE_ALERT_H

#include "queue/internal.h"

#define ALERT_TEXT_MAX 1024		/* octets that a command gets */

struct alert {
	TAILQ_ENTRY(alert) link;
	struct queue *q;
	enum alert_kind kind;
	char *object;			/* as it is called */
	char *shown;			/* and in printable ASCII, */
	char *why;			/* as this is */
	bool said;			/* by the last alert_state(), */
	bool known;			/* which has come since the start */
	bool on;			/* so it is said, and so it is */
	bool told;			/* of its begin, and not of its end */
	bool writing;			/* what is being told: */
	bool begin;
	bool command;			/* has yet to be run for that */
	bool asked;			/* monitor was asked to */
	uint64_t since;			/* wall ms */
	uint64_t begun[2];		/* mono ms: the last two begins told */
	uint64_t not_before;		/* mono ms, after a failure */
};
TAILQ_HEAD(alert_list, alert);

struct alerts {
	struct queue *q;
	struct alert_list list;
	struct loop_timer timer;
	struct htab *senders;		/* alert_rate.c */
	uint64_t piece_ms;		/* of ten minutes; tests hurry */
	uint64_t started;		/* mono ms */
	uint64_t looked;		/* mail up to this id does not count */
};

/* "parked" and the like. */
const char *alert_kind_name(enum alert_kind kind);

void alert_why(struct alert *a, const char *text);

/* ---- alert_look.c ---- */
/* Sees to what nobody says by himself; false: there is more mail to look at,
 * soon. */
bool alert_look(struct alerts *as);

/* ---- alert_mail.c ---- */
/* The words for it: "account shop is parked".  Appends. */
void alert_headline(const struct alert *a, struct strbuf *out);
/* A message that tells it, in the change; done is called once. */
void alert_mail(struct alert *a, struct store_change *c, queue_op_done *done);

/* ---- alert_rate.c ---- */
/* Those who have slowed down are told. */
void alert_rate_look(struct alerts *as);
void alert_rate_free(struct alerts *as);

#endif

/* Inside of site.c and site_answer.c. */
#ifndef QUEUE_SITE_PRIVATE_H
#define QUEUE_SITE_PRIVATE_H

#include "queue/internal.h"

struct site {
	TAILQ_ENTRY(site) link;		/* used last stands last */
	struct sites *sites;
	char *key;
	char *transport, *domain;
	bool fresh;			/* asked past all caches */
	struct lane *resolver;		/* the transport's lane without site */

	bool doubted;			/* what is known is asked for anew */
	bool known;			/* and until when: */
	uint64_t expires;		/* mono ms */
	uint64_t asked;			/* mono ms, the last question */
	uint64_t asked_at;		/* wall ms, of the answer's question */
	struct msg_site answer;
	struct lane *lane;		/* where it is SITE_FOUND */

	bool wanted;			/* to be asked */
	bool outdated;			/* a policy has come since the question */
	unsigned tries;
	struct peer *peer;		/* was asked, and this ref */
	uint64_t ref;
	uint64_t question_at;		/* wall ms */
	struct attempt_list waiting;
	unsigned n_waiting;
};

TAILQ_HEAD(site_list, site);

struct sites {
	struct queue *q;
	struct htab *by_key;
	struct site_list all;
	struct loop_task ask;
};

/* ---- site_answer.c ---- */
/* The attempt has this result; it may be gone then. */
void site_fail(struct attempt *a, enum job_class class, uint16_t code,
    const uint8_t status[3], const char *text);
void site_refuse(struct attempt *a, const char *text);
/* The domain does not exist, as far as this answer goes. */
void site_gone(struct attempt *a, const struct site *e);
/* The domain is the recipient's: that of a configuration which is wrong
 * refuses nobody's mail. */
bool site_is_theirs(const struct attempt *a);
/* All its recipients have heard that it does not exist, so long before that
 * time (wall ms) that a second answer counts. */
bool site_gone_before(const struct attempt *a, uint64_t at);

#endif

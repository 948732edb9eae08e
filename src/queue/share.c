/*
 * Fairness.  Run by queue.
 *
 * Between lanes: what is shared is never all taken.  A lane may have as many
 * jobs as there are still free ones (octets of a channel: the same), so that
 * however many lanes are slow each has an equal part, and one that comes later
 * finds as much.  What is due is begun by turns of SHARE_QUANTUM messages.
 *
 * In a lane: mail of a sender who has sent little lately goes in front of what
 * others have heaped up.  A sender is a leaking bucket, so nothing has to be
 * remembered about the heaps.
 */
#include "queue/share.h"

#include <sys/resource.h>

#include "base/clock.h"
#include "queue/internal.h"

#define JOBS_MAX 8000u			/* memory: a few KiB each, and bodies */
#define JOBS_MIN 64u
#define FILES_KEPT 128u			/* for all else */
/* A job may hold a connection and the file of its message. */
#define FILES_EACH 2u
#define OCTETS_EACH 512u		/* beside the body */
#define OCTETS_RCPT 128u

#define LIGHT_BURST 10u			/* messages at once, */
#define LIGHT_PER_S 1u			/* and so many in a second */
#define ONE 1000u			/* a message in a flow's level */

void
share_start(struct queue *q)
{
	struct rlimit r;
	uint64_t n = JOBS_MAX;

	TAILQ_INIT(&q->share.hungry);
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 &&
	    r.rlim_cur / FILES_EACH < JOBS_MAX)
		n = r.rlim_cur > FILES_KEPT ?
		    (r.rlim_cur - FILES_KEPT) / FILES_EACH : 0;
	q->share.jobs_max = n > JOBS_MIN ? (unsigned)n : JOBS_MIN;
}

unsigned
share_room(const struct lane *l)
{
	const struct share *s = &l->q->share;
	unsigned used = lane_used(l);
	unsigned free = s->jobs < s->jobs_max ? s->jobs_max - s->jobs : 0;

	/* So that it ends with as many as it leaves. */
	return used < free ? (free - used + 1) / 2 : 0;
}

void
share_wait(struct lane *l)
{
	if (l->hungry || share_room(l) > 0)
		return;
	l->hungry = true;
	TAILQ_INSERT_TAIL(&l->q->share.hungry, l, hungry_link);
}

void
share_freed(struct queue *q)
{
	struct lane *l = TAILQ_FIRST(&q->share.hungry);

	q->share.jobs--;
	if (l == NULL)
		return;
	TAILQ_REMOVE(&q->share.hungry, l, hungry_link);
	l->hungry = false;
	lane_kick(q, l);
}

bool
share_takes(const struct peer *p, uint64_t lane_octets)
{
	return lane_octets == 0 || (p->octets < PORT_CREDIT &&
	    lane_octets < PORT_CREDIT - p->octets);
}

uint64_t
share_octets(const struct attempt *a)
{
	const struct record *r = a->m->rec;
	uint64_t n = OCTETS_EACH + a->n_rcpt * OCTETS_RCPT;

	return r->body_kind == BODY_FILE || r->body_size > PORT_BODY_MAX ? n :
	    n + r->body_size;
}

/* ---- senders ---- */

static uint32_t
hash(const char *s, uint32_t h)
{
	for (; s != NULL && *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return (h ^ '/') * 16777619u;
}

static uint32_t
who(const struct record *r)
{
	const struct envelope *env = r->env;
	uint32_t h = hash(r->account, 2166136261u);

	h = hash(env->login, h);
	h = hash(env->client, h);
	return (h ^ (uint32_t)env->uid) * 16777619u;
}

bool
share_is_light(struct queue *q, const struct message *m)
{
	struct share_flow *f = &q->share.flow[who(m->rec) %
	    (sizeof(q->share.flow) / sizeof(q->share.flow[0]))];
	uint64_t now = clock_mono_ms();
	uint64_t leaked = (now - f->at) * LIGHT_PER_S * ONE / 1000;

	f->level = leaked < f->level ? f->level - (uint32_t)leaked : 0;
	f->at = now;
	if (f->level > (LIGHT_BURST - 1) * ONE)
		return false;
	f->level += ONE;
	return true;
}

/*
 * What is known of the MTA-STS policies of domains, for as long as they hold.
 * Run by queue.
 *
 * Delivery finds them out, judges by them and keeps nothing; here they outlive
 * it, and in notes of the table meta they outlive the daemon: who keeps us
 * from a policy that we have seen does not do away with it (RFC 8461 10.2).
 * They come and go with the questions where a domain's mail goes.  A note that
 * the store does not take is in force all the same until the end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/mta_sts.h"
#include "queue/internal.h"

#define NOTE "mta-sts "
/* Who writes to more domains with policies than that forgets those that were
 * not asked for longest; first those of which only a failure is known, as
 * anybody can make any number of these. */
#define POLICIES_MAX 10000u
#define OCTETS_MAX (8u << 20)
/* That a policy could not be fetched is remembered so long at least. */
#define FAILED_MS (10u * 60 * 1000)

struct policy {
	TAILQ_ENTRY(policy) link;	/* used last stands last */
	struct policy_list *list;	/* where it stands */
	char *key;			/* the note's name in the store */
	char *note;
	uint64_t fetched;		/* wall ms; 0: there is no policy */
	uint64_t until;			/* wall ms: of no use after that */
	bool stored;
};
TAILQ_HEAD(policy_list, policy);

struct policies {
	struct htab *by_key;
	struct policy_list fetched, failed;
	size_t octets;
};

static void
written(void *arg, int code, const char *text)
{
	(void)arg;
	if (code != 0)
		log_msg(LL_WARN, "queue", "an MTA-STS policy is not kept: %s",
		    text);
}

static void
policy_store(struct queue *q, struct policy *p, bool keep)
{
	struct store_change *c;

	if (!keep && !p->stored)
		return;
	c = store_change_new(q->store);
	if (keep)
		store_put_meta(c, p->key, slice_cstr(p->note));
	else
		store_del_meta(c, p->key);
	p->stored = keep;
	queue_commit(q, &c, true, NULL, written, NULL);
}

/* Last in the list that is its own. */
static void
policy_used(struct policies *ps, struct policy *p)
{
	if (p->list != NULL)
		TAILQ_REMOVE(p->list, p, link);
	p->list = p->fetched != 0 ? &ps->fetched : &ps->failed;
	TAILQ_INSERT_TAIL(p->list, p, link);
}

static void
policy_free(struct policies *ps, struct policy *p)
{
	TAILQ_REMOVE(p->list, p, link);
	htab_del(ps->by_key, slice_cstr(p->key));
	ps->octets -= strlen(p->note);
	free(p->key);
	free(p->note);
	free(p);
}

static struct policy *
policy_find(struct policies *ps, const char *domain)
{
	char *key = mem_printf(NOTE "%s", domain);
	struct policy *p = htab_get(ps->by_key, slice_cstr(key));

	free(key);
	if (p != NULL)
		policy_used(ps, p);
	return p;
}

/* Two questions may have been on their way: what is known was fetched after
 * that which the answer to the other one tells of. */
static bool
is_older(const struct policy *p, const struct mta_sts_note *n)
{
	return n->fetched < p->fetched && p->fetched <= clock_real_ms();
}

/* The note's text and times; -1: it is damaged, or of no use. */
static int
policy_set(struct policies *ps, struct policy *p, struct slice text,
    bool *holds)
{
	struct mta_sts_note n;

	if (mta_sts_note_decode(text, &n) < 0)
		return -1;
	if (is_older(p, &n)) {
		mta_sts_note_clear(&n);
		return -1;
	}
	ps->octets -= p->note != NULL ? strlen(p->note) : 0;
	free(p->note);
	p->note = slice_dup(text);
	ps->octets += strlen(p->note);
	p->fetched = n.fetched;
	p->until = mta_sts_note_expires(&n);
	*holds = clock_real_ms() < p->until;
	if (n.failed != 0 && p->until < n.failed + FAILED_MS)
		p->until = n.failed + FAILED_MS;
	mta_sts_note_clear(&n);
	policy_used(ps, p);
	return 0;
}

static struct policy *
policy_add(struct policies *ps, struct slice key)
{
	struct policy *p = mem_zalloc(sizeof(*p));

	p->key = slice_dup(key);
	p->note = mem_strdup("");
	htab_put(ps->by_key, slice_cstr(p->key), p);
	policy_used(ps, p);
	return p;
}

const char *
policy_note(struct queue *q, const char *domain)
{
	struct policy *p = policy_find(q->policies, domain);

	return p != NULL ? p->note : NULL;
}

uint64_t
policy_fetched(struct queue *q, const char *domain)
{
	struct policy *p = policy_find(q->policies, domain);

	return p != NULL ? p->fetched : 0;
}

bool
policy_take(struct queue *q, const char *domain, const char *note)
{
	struct policies *ps = q->policies;
	struct policy *p = policy_find(ps, domain);
	char *key = mem_printf(NOTE "%s", domain);
	bool holds, taken;

	if (p == NULL)
		p = policy_add(ps, slice_cstr(key));
	free(key);
	taken = policy_set(ps, p, slice_cstr(note), &holds) == 0;
	if (taken)
		policy_store(q, p, holds);
	else if (p->note[0] == '\0')
		policy_free(ps, p);
	while (htab_count(ps->by_key) > POLICIES_MAX ||
	    ps->octets > OCTETS_MAX) {
		p = TAILQ_FIRST(&ps->failed);
		if (p == NULL)
			p = TAILQ_FIRST(&ps->fetched);
		policy_store(q, p, false);
		policy_free(ps, p);
	}
	return taken;
}

static void
list_prune(struct queue *q, struct policy_list *list)
{
	struct policies *ps = q->policies;
	struct policy *p, *next;
	uint64_t now = clock_real_ms();

	for (p = TAILQ_FIRST(list); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->until > now)
			continue;
		policy_store(q, p, false);
		policy_free(ps, p);
	}
}

void
policies_prune(struct queue *q)
{
	list_prune(q, &q->policies->fetched);
	list_prune(q, &q->policies->failed);
}

/* ---- life ---- */

/* One that is damaged goes with the next sweep. */
static void
policy_loaded(void *arg, struct slice name, struct slice value)
{
	struct policies *ps = arg;
	struct policy *p = policy_add(ps, name);
	bool holds;

	p->stored = true;
	if (policy_set(ps, p, value, &holds) < 0)
		log_msg(LL_WARN, "queue", "the note `%s` is damaged: that "
		    "domain's policy has to be fetched anew", p->key);
}

void
policies_start(struct queue *q)
{
	store_each_meta(q->store, NOTE, policy_loaded, q->policies);
}

void
policies_new(struct queue *q)
{
	struct policies *ps = mem_zalloc(sizeof(*ps));

	ps->by_key = htab_new();
	TAILQ_INIT(&ps->fetched);
	TAILQ_INIT(&ps->failed);
	q->policies = ps;
}

void
policies_free(struct queue *q)
{
	struct policies *ps = q->policies;

	while (!TAILQ_EMPTY(&ps->fetched))
		policy_free(ps, TAILQ_FIRST(&ps->fetched));
	while (!TAILQ_EMPTY(&ps->failed))
		policy_free(ps, TAILQ_FIRST(&ps->failed));
	htab_free(&ps->by_key);
	free(ps);
	q->policies = NULL;
}

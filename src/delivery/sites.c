/*
 * Sites: each set of mail exchangers has a pool of its own, made when mail
 * comes for it, and freed once it has had nothing to do for a while (until
 * then it knows which of its hosts are dead).  Run by delivery.
 */
#include "delivery/sites.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/htab.h"
#include "base/mem.h"

#define KEEP_MS 120000u			/* an idle pool */
#define SWEEP_MS 15000u
#define POOLS_MAX 1000u			/* more of them are kept no longer
					 * than they have to be */

struct site_pool {
	TAILQ_ENTRY(site_pool) link;
	struct pool *pool;
	char *key;
	uint64_t busy_ms;		/* last seen so */
};

struct question {
	TAILQ_ENTRY(question) link;
	struct sites *sites;
	struct next_hop *lookup;
	struct port *to;
	uint64_t ref;
};

struct sites {
	struct loop *loop;
	struct htab *by_key;
	TAILQ_HEAD(site_pools, site_pool) pools;
	TAILQ_HEAD(questions, question) questions;
	struct loop_timer sweep;
};

static void sweep(void *arg);

struct sites *
sites_new(struct loop *l)
{
	struct sites *s = mem_zalloc(sizeof(*s));

	s->loop = l;
	s->by_key = htab_new();
	TAILQ_INIT(&s->pools);
	TAILQ_INIT(&s->questions);
	loop_timer_init(&s->sweep, sweep, s);
	return s;
}

static void
site_pool_free(struct sites *s, struct site_pool *sp)
{
	TAILQ_REMOVE(&s->pools, sp, link);
	htab_del(s->by_key, slice_cstr(sp->key));
	pool_free(&sp->pool);
	free(sp->key);
	free(sp);
}

void
sites_free(struct sites **sp)
{
	struct sites *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	sites_forget(s);
	while (!TAILQ_EMPTY(&s->pools))
		site_pool_free(s, TAILQ_FIRST(&s->pools));
	loop_timer_cancel(s->loop, &s->sweep);
	htab_free(&s->by_key);
	free(s);
}

/* ---- pools ---- */

static void
sweep(void *arg)
{
	struct sites *s = arg;
	struct site_pool *sp, *next;
	uint64_t now = clock_mono_ms(), keep = KEEP_MS;

	if (htab_count(s->by_key) > POOLS_MAX)
		keep = 0;
	for (sp = TAILQ_FIRST(&s->pools); sp != NULL; sp = next) {
		next = TAILQ_NEXT(sp, link);
		if (!pool_is_empty(sp->pool))
			sp->busy_ms = now;
		else if (now - sp->busy_ms >= keep)
			site_pool_free(s, sp);
	}
	if (!TAILQ_EMPTY(&s->pools))
		loop_timer_set(s->loop, &s->sweep, SWEEP_MS);
}

struct pool *
sites_pool(struct sites *s, struct pool *transport, const char *name,
    const char *site)
{
	char *key = mem_printf("%s %s", site, name);
	struct site_pool *sp = htab_get(s->by_key, slice_cstr(key));

	if (sp == NULL) {
		sp = mem_zalloc(sizeof(*sp));
		sp->key = key;
		sp->pool = pool_new_site(transport, site);
		htab_put(s->by_key, slice_cstr(key), sp);
		TAILQ_INSERT_TAIL(&s->pools, sp, link);
		if (!loop_timer_running(&s->sweep))
			loop_timer_set(s->loop, &s->sweep, SWEEP_MS);
	} else {
		free(key);
	}
	sp->busy_ms = clock_mono_ms();
	return sp->pool;
}

void
sites_each(struct sites *s, void (*each)(struct pool *p))
{
	struct site_pool *sp;

	TAILQ_FOREACH(sp, &s->pools, link)
		each(sp->pool);
}

bool
sites_are_empty(const struct sites *s)
{
	const struct site_pool *sp;

	TAILQ_FOREACH(sp, &s->pools, link) {
		if (!pool_is_empty(sp->pool))
			return false;
	}
	return true;
}

/* ---- questions ---- */

static void
question_free(struct question *q)
{
	TAILQ_REMOVE(&q->sites->questions, q, link);
	next_hop_cancel(&q->lookup);
	free(q);
}

static void
on_answer(void *arg, const struct msg_site *answer)
{
	struct question *q = arg;
	struct strbuf b = STRBUF_INIT;

	q->lookup = NULL;
	msg_site_encode(&b, answer);
	(void)FAULT("delivery.site.answer");
	port_send_reply(q->to, MSG_SITE, q->ref, strbuf_slice(&b));
	strbuf_free(&b);
	question_free(q);
}

void
sites_ask(struct sites *s, const struct next_hop_options *o, struct port *to,
    uint64_t ref)
{
	struct question *q = mem_zalloc(sizeof(*q));

	q->sites = s;
	q->to = to;
	q->ref = ref;
	TAILQ_INSERT_TAIL(&s->questions, q, link);
	q->lookup = next_hop_start(o, on_answer, q);
}

void
sites_forget(struct sites *s)
{
	while (!TAILQ_EMPTY(&s->questions))
		question_free(TAILQ_FIRST(&s->questions));
}

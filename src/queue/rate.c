/*
 * Rates and daily numbers: what a transport or an account may send in so long
 * a time, by messages (transactions), whatever became of them; what no server
 * has heard of is given back.  Run by queue.
 *
 * Waiting for a rate is no attempt.  A lane has no free slot then, and one
 * alarm is set for when it has; mail of an account gets a due time of its own
 * instead, as it shares its lane with others.  Where `daily` of a transport is
 * used up its lanes are closed until the sum of the last 24 hours allows more.
 *
 * What was counted is on disk with the results of the same turn.  A crash
 * forgets one turn at most.
 */
#include "queue/rate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"
#include "queue/ration.h"

#define DAY (24ull * 3600 * 1000)
#define NEAR_MAX 8u
#define PROMISED_WAIT 1000u		/* ms */

struct rate {
	TAILQ_ENTRY(rate) link;		/* of those to be written */
	struct queue *q;
	char *key;			/* name of the note */
	const char *name;		/* in it */
	bool account;
	unsigned view;			/* of the configuration */
	struct ration rate, daily;
	unsigned held;			/* taken, may be given back */
	unsigned promised;		/* account: to attempts without a slot,
					 * not taken yet */
	bool dirty;
	bool told;			/* that `daily` is used up */
	bool looked;			/* whether it is */
	uint64_t next;			/* account, mono ms: the turn of the
					 * next that has to wait */
	uint64_t near;			/* wall ms: for this moment wait */
	unsigned n_near;		/* so many out of turn */
};

/* ---- which there are ---- */

static void
rate_loaded(void *arg, struct slice name, struct slice value)
{
	struct rate *r = arg;

	if (!slice_eq_cstr(name, r->key))
		return;
	if (ration_decode(&r->rate, &value) < 0 ||
	    ration_decode(&r->daily, &value) < 0)
		log_msg(LL_WARN, "rate", "what %s has sent before is not "
		    "known: its note is damaged", r->name);
}

static void
rate_set(struct rate *r, const struct conf_rate *rate, uint64_t daily)
{
	ration_set(&r->rate, rate->count, rate->per);
	ration_set(&r->daily, daily, DAY);
	r->view = r->q->views;
}

static struct rate *
rate_new(struct queue *q, char *key, bool account,
    const struct conf_rate *rate, uint64_t daily)
{
	struct rate *r = mem_zalloc(sizeof(*r));

	r->q = q;
	r->key = key;
	r->name = key + strlen("rate t ");
	r->account = account;
	rate_set(r, rate, daily);
	store_each_meta(q->store, key, rate_loaded, r);
	htab_put(q->rates, slice_cstr(key), r);
	return r;
}

static bool
has_limit(const struct rate *r)
{
	return r->rate.max != 0 || r->daily.max != 0;
}

/* NULL: has no limit. */
static struct rate *
rate_find(struct queue *q, bool account, const char *name,
    const struct conf_rate *rate, uint64_t daily)
{
	char *key = mem_printf("rate %c %s", account ? 'a' : 't', name);
	struct rate *r = htab_get(q->rates, slice_cstr(key));

	if (r == NULL && rate->count == 0 && daily == 0) {
		free(key);
		return NULL;
	}
	if (r == NULL) {
		r = rate_new(q, key, account, rate, daily);
	} else {
		free(key);
		if (r->view != q->views)
			rate_set(r, rate, daily);
	}
	return has_limit(r) ? r : NULL;
}

static struct rate *
rate_of_account(struct queue *q, const char *name)
{
	size_t i;

	if (name == NULL)
		return NULL;
	for (i = 0; i < q->conf->n_accounts; i++) {
		const struct conf_account *a = &q->conf->accounts[i];

		if (strcmp(a->name, name) == 0)
			return a->rate.count == 0 && a->daily == 0 ? NULL :
			    rate_find(q, true, name, &a->rate, a->daily);
	}
	return NULL;
}

void
rates_free(struct queue *q)
{
	struct rate *r;
	size_t pos = 0;

	while ((r = htab_next(q->rates, &pos, NULL)) != NULL) {
		ration_free(&r->rate);
		ration_free(&r->daily);
		free(r->key);
		free(r);
	}
	htab_free(&q->rates);
}

/* ---- `daily` of a transport ---- */

static uint64_t
used_up(struct rate *r, uint64_t now)
{
	return r->daily.max != 0 && ration_left(&r->daily, now) == 0 ?
	    ration_opens(&r->daily, now) : 0;
}

static void
rate_close(struct lane *l, uint64_t opens)
{
	char when[CLOCK_RFC3339_LEN + 1];
	char *why = mem_printf("its daily number of %llu messages is used up "
	    "until %s", (unsigned long long)l->rate->daily.max,
	    clock_rfc3339(opens, when));

	lane_close(l, CLOSED_DAILY, why, opens);
	free(why);
}

/* Closes its lanes, once no attempt can give anything back any more. */
static void
rate_check(struct rate *r)
{
	uint64_t opens;
	struct lane *l;

	if (r->account || r->held > 0 ||
	    (opens = used_up(r, clock_real_ms())) == 0)
		return;
	TAILQ_FOREACH(l, &r->q->lanes, link) {
		if (l->rate == r && l->closed == CLOSED_NOT)
			rate_close(l, opens);
	}
}

void
rate_configure(struct lane *l)
{
	static const struct conf_rate none;
	const struct conf_transport *t = l->transport;

	if (l->q->store == NULL)
		return;
	l->rate = t == NULL ? NULL : rate_find(l->q, false, t->name,
	    t->rate.count > 0 ? &t->rate : &none, t->daily);
	if (l->closed == CLOSED_DAILY && (l->rate == NULL ||
	    used_up(l->rate, clock_real_ms()) == 0))
		lane_reopen(l, "the configuration allows more");
	else if (l->rate != NULL)
		rate_check(l->rate);
}

/* Looked at and written at the end of the turn. */
static void
rate_dirty(struct rate *r)
{
	if (r->dirty)
		return;
	r->dirty = true;
	TAILQ_INSERT_TAIL(&r->q->dirty_rates, r, link);
	queue_later(r->q);
}

/* ---- room ---- */

unsigned
rate_room(const struct lane *l)
{
	uint64_t now, left, daily;

	if (l->rate == NULL)
		return UINT_MAX;
	now = clock_real_ms();
	left = ration_left(&l->rate->rate, now);
	daily = ration_left(&l->rate->daily, now);
	if (daily < left)
		left = daily;
	/* Opened by somebody who does not know. */
	if (daily == 0 && l->rate->held == 0 && l->closed == CLOSED_NOT)
		rate_dirty(l->rate);
	return left < UINT_MAX ? (unsigned)left : UINT_MAX;
}

static uint64_t
opens(struct rate *r, uint64_t now)
{
	uint64_t rate = ration_opens(&r->rate, now);
	uint64_t daily = ration_opens(&r->daily, now);

	return rate > daily ? rate : daily;
}

uint64_t
rate_opens(const struct lane *l)
{
	uint64_t now = clock_real_ms();

	return l->rate != NULL ? opens(l->rate, now) : now;
}

uint64_t
rate_wake(const struct lane *l)
{
	uint64_t at;

	if (l->rate == NULL || rate_room(l) > 0)
		return NEVER;
	if (!TAILQ_EMPTY(&l->waiting) || l->n_ahead > 0 || l->drain)
		return rate_opens(l);
	at = l->next_due[LINE_RETRY] < l->next_due[LINE_FRESH] ?
	    l->next_due[LINE_RETRY] : l->next_due[LINE_FRESH];
	return at == NEVER || at > rate_opens(l) ? at : rate_opens(l);
}

/* ---- attempts ---- */

static struct rate *
take(struct rate *r, uint64_t now)
{
	if (r == NULL)
		return NULL;
	ration_take(&r->rate, now);
	ration_take(&r->daily, now);
	r->held++;
	rate_dirty(r);
	return r;
}

static void
drop(struct rate **rp, bool spent)
{
	struct rate *r = *rp;
	struct lane *l;

	*rp = NULL;
	if (r == NULL)
		return;
	r->held--;
	if (!spent) {
		ration_give(&r->rate);
		ration_give(&r->daily);
		rate_dirty(r);
		TAILQ_FOREACH(l, &r->q->lanes, link)
			if (l->rate == r)
				lane_kick(r->q, l);
	}
	rate_check(r);
}

void
rate_promise(struct attempt *a)
{
	a->promise = rate_of_account(a->m->q, a->m->rec->account);
	if (a->promise != NULL)
		a->promise->promised++;
}

static void
promise_end(struct attempt *a)
{
	if (a->promise != NULL)
		a->promise->promised--;
	a->promise = NULL;
}

void
rate_take(struct attempt *a)
{
	uint64_t now = clock_real_ms();
	struct rate *account;

	promise_end(a);
	if (a->rate != a->lane->rate) {
		drop(&a->rate, false);
		a->rate = take(a->lane->rate, now);
	}
	if (a->account_rate != NULL)
		return;
	account = rate_of_account(a->m->q, a->m->rec->account);
	a->account_rate = take(account, now);
}

void
rate_leave(struct attempt *a)
{
	drop(&a->rate, false);
}

void
rate_spend(struct attempt *a)
{
	drop(&a->rate, true);
	drop(&a->account_rate, true);
}

void
rate_end(struct attempt *a)
{
	promise_end(a);
	drop(&a->rate, false);
	drop(&a->account_rate, false);
}

/* ---- accounts ---- */

/* Its own transport has the same name, and may be parked by itself. */
static bool
own_is_closed(const struct rate *r)
{
	const struct lane *l;

	TAILQ_FOREACH(l, &r->q->lanes, link)
		if (l->closed != CLOSED_NOT && strcmp(l->name, r->name) == 0)
			return true;
	return false;
}

static void
tell(struct rate *r, uint64_t until)
{
	char when[CLOCK_RFC3339_LEN + 1], *text;
	bool first;

	if (r->looked && r->told == (until != 0))
		return;
	/* An alert of before the start has its end now. */
	first = !r->looked && until == 0;
	r->looked = true;
	r->told = until != 0;
	if (until != 0)
		text = mem_printf("account %s has used up its daily number of "
		    "%llu messages, and may send again at %s", r->name,
		    (unsigned long long)r->daily.max,
		    clock_rfc3339(until, when));
	else
		text = mem_printf("account %s may send again", r->name);
	if (!first)
		log_msg(until != 0 ? LL_WARN : LL_INFO, "account", "%s", text);
	if (until != 0 || !own_is_closed(r))
		alert_state(r->q, ALERT_PARKED, r->name, r->told, text);
	free(text);
}

static uint64_t
step(const struct rate *r)
{
	uint64_t each = r->rate.max > 0 ? r->rate.per / r->rate.max : 0;

	return each > 0 ? each : 1;
}

static bool
account_has_room(struct rate *r, uint64_t now)
{
	return ration_left(&r->rate, now) > r->promised &&
	    ration_left(&r->daily, now) > r->promised;
}

static uint64_t
account_opens(struct rate *r, uint64_t now)
{
	uint64_t at = opens(r, now);

	if (at > now || account_has_room(r, now))
		return at;
	/* What is left is promised, and may yet be given back. */
	return now + (r->rate.max > 0 ? step(r) : PROMISED_WAIT);
}

/* Its turn is about to come: a few may wait for that where they are. */
static bool
is_near(struct rate *r, uint64_t at, uint64_t now)
{
	if (at - now > step(r))
		return false;
	if (r->near != at) {
		r->near = at;
		r->n_near = 0;
	}
	return r->n_near++ < NEAR_MAX;
}

/* Behind all that wait, at the pace of the rate. */
static uint64_t
place_behind(struct rate *r, uint64_t at, uint64_t now)
{
	uint64_t mono = clock_mono_ms();

	if (r->next < mono + (at - now))
		r->next = mono + (at - now);
	at = now + (r->next - mono);
	r->next += step(r);
	return at > now ? at : now + 1;
}

/* The time that the account is parked does not count for `expire`. */
static void
stands_still(struct record *r, uint64_t from, uint64_t to)
{
	if (from < r->uncounted_until)
		from = r->uncounted_until;
	if (to <= from)
		return;
	r->not_counted += to - from;
	r->uncounted_until = to;
}

uint64_t
rate_account_due(struct message *m, uint64_t due, uint64_t now)
{
	struct rate *r = rate_of_account(m->q, m->rec->account);
	uint64_t at, daily;

	if (r == NULL)
		return 0;
	daily = used_up(r, now);
	tell(r, daily);
	/* New mail stands behind what waits already. */
	if (daily == 0 && account_has_room(r, now) &&
	    (m->stored || r->next <= clock_mono_ms()))
		return 0;
	if (due > now)
		return due;		/* it has its time already */
	at = account_opens(r, now);
	if (daily != 0)
		stands_still(m->rec, now, at);
	else if (!m->stored || !is_near(r, at, now))
		at = place_behind(r, at, now);
	return at;
}

uint64_t
rates_reach(struct queue *q, uint64_t now)
{
	uint64_t mono = clock_mono_ms(), most = 0, daily;
	struct rate *r;
	size_t pos = 0;

	while ((r = htab_next(q->rates, &pos, NULL)) != NULL) {
		if (!r->account)
			continue;
		if (r->next > mono + most)
			most = r->next - mono;
		daily = used_up(r, now);
		if (daily > now + most)
			most = daily - now;
	}
	return most;
}

uint64_t
rate_account_parked(struct queue *q, const char *account)
{
	struct rate *r = rate_of_account(q, account);

	return r != NULL ? used_up(r, clock_real_ms()) : 0;
}

static void
daily_of(struct rate *r, uint64_t *max, uint64_t *used)
{
	*max = r != NULL ? r->daily.max : 0;
	*used = *max != 0 ? *max - ration_left(&r->daily, clock_real_ms()) :
	    0;
}

void
rate_daily(const struct lane *l, uint64_t *max, uint64_t *used)
{
	daily_of(l->rate, max, used);
}

void
rate_account_daily(struct queue *q, const char *account, uint64_t *max,
    uint64_t *used)
{
	daily_of(rate_of_account(q, account), max, used);
}

/* ---- on disk ---- */

static void
rate_written(void *arg, int code, const char *text)
{
	(void)arg;
	if (code != 0)
		log_msg(LL_WARN, "rate", "what was sent is not noted: %s",
		    text);
}

void
rates_write(struct queue *q)
{
	struct strbuf b = STRBUF_INIT;
	struct store_change *c;
	struct rate *r;

	if (TAILQ_EMPTY(&q->dirty_rates))
		return;
	c = store_change_new(q->store);
	while ((r = TAILQ_FIRST(&q->dirty_rates)) != NULL) {
		TAILQ_REMOVE(&q->dirty_rates, r, link);
		r->dirty = false;
		rate_check(r);
		strbuf_clear(&b);
		ration_encode(&r->rate, &b);
		ration_encode(&r->daily, &b);
		store_put_meta(c, r->key, strbuf_slice(&b));
	}
	queue_commit(q, &c, true, NULL, rate_written, q);
	strbuf_free(&b);
}

/*
 * The window of a lane: how many connections it may have.  It begins small,
 * grows while all it may have are in use, and is cut in half when one more
 * cannot be had; nothing that a server says from MAIL on counts.  A server
 * that says it takes no more is believed: that is the ceiling then, and one
 * more is tried only every few minutes.  Run by queue.
 *
 * Growth is by one connection (a quarter, once there are many), and only when
 * a server has taken mail in all there are: so a server that allows N never
 * sees more than one above.
 *
 * With several processes each gets a share.  No share is above its part of
 * what is configured, so the sum never is; beneath that, connections stay
 * where they are.
 */
#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

/* Where the number of connections says nothing. */
#define WINDOW_DEFAULT 40u
#define WINDOW_RESOLVE 1000u		/* questions */
#define WINDOW_LOCAL 8u			/* processes at a time */
#define CONNECTIONS 20u
#define PER_HOST 10u
#define FIRST 2u
#define REST_FULL (2u * 60 * 1000)	/* the server has said so */
#define REST_FAILED (30u * 1000)	/* it may have meant that */
#define REST_MAX (30u * 60 * 1000)
#define PROCESSES_MAX 64

static void
window_apply(struct lane *l)
{
	l->window = l->win.now * 2;	/* the next job is at hand */
}

/* The built-in transport `direct` has what is the default. */
static unsigned
conf_connections(const struct conf_transport *t)
{
	return t == NULL ? CONNECTIONS : t->connections > 0 ?
	    t->connections : 1;
}

static unsigned
conf_per_host(const struct conf_transport *t)
{
	return t == NULL ? PER_HOST : t->connections_per_host > 0 ?
	    t->connections_per_host : 1;
}

/* Hosts in the name of a site. */
static size_t
site_hosts(const char *site)
{
	size_t n = 1;

	for (; *site != 0; site++)
		n += *site == ',' || *site == ';';
	return n;
}

/* More are of no use: connections-per-host is never exceeded. */
static unsigned
window_most(const struct lane *l)
{
	const struct conf_transport *t = l->transport;
	uint64_t most = conf_connections(t), hosts;

	hosts = (uint64_t)conf_per_host(t) * (l->site != NULL ?
	    site_hosts(l->site) : t == NULL ? 0 : t->n_hosts);
	return (unsigned)(hosts > 0 && hosts < most ? hosts : most);
}

void
window_configure(struct lane *l)
{
	struct window *w = &l->win;
	const struct conf_transport *t = l->transport;
	unsigned n = conf_connections(t);

	rate_configure(l);
	if (lane_resolves(l)) {
		w->most = w->now = 0;
		l->window = WINDOW_RESOLVE;
		return;
	}
	if (!l->remote) {
		w->most = w->now = 0;
		l->window = t == NULL || !lane_is_local(l) ?
		    WINDOW_DEFAULT : n < WINDOW_LOCAL ? n : WINDOW_LOCAL;
		return;
	}
	w->most = window_most(l);
	if (w->now == 0)
		w->now = FIRST;
	if (w->now > w->most)
		w->now = w->most;
	window_apply(l);
}

/* ---- shares ---- */

static struct window_link *
link_of(struct peer *p, const struct lane *l)
{
	struct window_link *k;

	if (p->links == NULL)
		p->links = htab_new();
	k = htab_get_u64(p->links, l->id);
	if (k == NULL) {
		k = mem_zalloc(sizeof(*k));
		htab_put_u64(p->links, l->id, k);
	}
	return k;
}

static const struct window_link *
link_find(const struct peer *p, const struct lane *l)
{
	static const struct window_link none;
	const struct window_link *k = NULL;

	if (p->links != NULL)
		k = htab_get_u64(p->links, l->id);
	return k != NULL ? k : &none;
}

void
window_forget(const struct lane *l)
{
	struct peer *p;

	TAILQ_FOREACH(p, &l->q->deliveries, link) {
		if (p->links != NULL)
			free(htab_del_u64(p->links, l->id));
	}
}

struct seat {
	struct peer *peer;
	const struct window_link *link;
	unsigned place;			/* among them, by age, from any on */
};

/* Those that have a share, the most sessions first; what others, which are
 * about to end, still use is taken off *left. */
static size_t
seats(struct queue *q, const struct lane *l, struct seat *out,
    unsigned *left)
{
	size_t max = q->conf->deliveries, n = 0, i;
	struct peer *p, *other;

	if (max < 1 || max > PROCESSES_MAX)
		max = max < 1 ? 1 : PROCESSES_MAX;
	TAILQ_FOREACH(p, &q->deliveries, link) {
		struct seat s = { p, link_find(p, l), 0 };
		size_t younger = 0;

		TAILQ_FOREACH(other, &q->deliveries, link) {
			younger += other->slot > p->slot && !other->returning;
			s.place += other->slot < p->slot;
		}
		if (p->returning || younger >= max || n == PROCESSES_MAX) {
			unsigned held = s.link->jobs > s.link->sessions ?
			    s.link->jobs : s.link->sessions;

			*left -= held < *left ? held : *left;
			continue;
		}
		s.place = (s.place + l->id / 2) % (unsigned)max;
		for (i = n++; i > 0 && (out[i - 1].link->sessions <
		    s.link->sessions || (out[i - 1].link->sessions ==
		    s.link->sessions && out[i - 1].place > s.place)); i--)
			out[i] = out[i - 1];
		out[i] = s;
	}
	return n;
}

/* An equal part of what all of them may have. */
static unsigned
part(unsigned all, unsigned max, unsigned place)
{
	return all / max + (place < all % max);
}

/* *place: of its seat. */
static unsigned
share(struct peer *p, const struct lane *l, unsigned *place)
{
	struct seat s[PROCESSES_MAX];
	struct queue *q = p->q;
	unsigned left = l->win.now, max = q->conf->deliveries, most, i;
	size_t n = seats(q, l, s, &left);

	if (max < 1)
		max = 1;
	for (i = 0; i < n; i++) {
		most = part(l->win.most, max, s[i].place);
		if (most > left)
			most = left;
		*place = s[i].place;
		if (s[i].peer == p)
			return most;
		left -= most;
	}
	return 0;
}

static unsigned
sessions(const struct queue *q, const struct lane *l,
    const struct peer *but)
{
	const struct peer *p;
	unsigned n = 0;

	TAILQ_FOREACH(p, &q->deliveries, link) {
		if (p != but && p->port != NULL && !p->returning)
			n += link_find(p, l)->sessions;
	}
	return n;
}

bool
window_takes(struct peer *p, const struct lane *l)
{
	const struct window_link *k = link_find(p, l);
	unsigned place;

	return share_takes(p, k->octets) && (l->win.most == 0 ||
	    k->jobs < share(p, l, &place) * 2);
}

void
window_job(struct attempt *a, struct msg_job *j)
{
	unsigned max = a->m->q->conf->deliveries, place = 0;
	struct window_link *k;

	k = link_of(a->peer, a->lane);
	a->octets = share_octets(a);
	k->octets += a->octets;
	a->peer->octets += a->octets;
	a->m->q->share.jobs++;
	k->jobs++;
	if (a->lane->win.most == 0)
		return;
	/* 0 would say: any number */
	j->connections = share(a->peer, a->lane, &place);
	if (j->connections == 0)
		j->connections = 1;
	j->per_host = part(conf_per_host(a->lane->transport),
	    max > 0 ? max : 1, place);
	if (j->per_host == 0)
		j->per_host = 1;
	j->setbacks = k->setbacks;
}

/* ---- learning ---- */

static void
window_set(struct lane *l, unsigned n, const char *why)
{
	struct window *w = &l->win;

	if (n < 1)
		n = 1;
	if (n > w->most)
		n = w->most;
	if (n == w->now)
		return;
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "window");
		log_str("transport", l->name);
		log_str("site", l->site);
		log_num("from", w->now);
		log_num("to", n);
		log_str("why", why);
		log_end();
	}
	w->now = n;
	window_apply(l);
}

static void
window_grow(struct queue *q, struct lane *l)
{
	struct window *w = &l->win;
	unsigned used = sessions(q, l, NULL);

	if (w->trying && used > w->ceiling) {
		w->trying = false;
		w->ceiling = 0;		/* it takes more than it did */
	}
	if (used < w->now || w->now >= w->most)
		return;
	if (w->ceiling == 0) {
		window_set(l, w->now + (w->rest > 0 ? 1 : (w->now + 3) / 4),
		    "all are in use");
	} else if (w->now < w->ceiling) {
		window_set(l, w->now + 1, "all are in use");
	} else if (clock_mono_ms() >= w->try_at && !w->trying) {
		w->trying = true;
		window_set(l, w->ceiling + 1, "one more is tried");
	}
}

/* More than these could not be had; rest: ms until one more is tried, longer
 * each time that it is in vain. */
static void
window_ceiling(struct lane *l, unsigned held, uint64_t rest)
{
	struct window *w = &l->win;

	if (w->trying && w->rest * 2 > rest)
		rest = w->rest * 2;
	w->rest = rest < REST_MAX ? rest : REST_MAX;
	w->trying = false;
	w->ceiling = held;
	w->try_at = clock_mono_ms() + w->rest;
}

static void
window_learn(struct attempt *a, struct window_link *k,
    const struct msg_job_done *d)
{
	struct queue *q = a->m->q;
	struct lane *l = a->lane;
	bool setback = d->setbacks != k->setbacks;
	unsigned held = sessions(q, l, a->peer);

	held = d->held < UINT_MAX - held ? d->held + held : UINT_MAX;
	k->sessions = d->sessions;
	k->setbacks = d->setbacks;
	if (l->win.most == 0)
		return;
	if (!setback)
		window_grow(q, l);
	else if (d->full && held > 0) {
		window_ceiling(l, held, REST_FULL);
		window_set(l, held, "the server takes no more");
	} else {
		if (held > 0)
			window_ceiling(l, held, REST_FAILED);
		window_set(l, l->win.now / 2, "one could not be had");
	}
	lane_kick(q, l);
}

bool
window_job_ended(struct attempt *a, const struct msg_job_done *d)
{
	struct window_link *k = link_of(a->peer, a->lane);
	bool full;

	k->jobs--;
	k->octets -= a->octets;
	a->peer->octets -= a->octets;
	share_freed(a->m->q);
	if (d == NULL) {
		k->sessions = 0;
		return false;
	}
	full = d->class == JOB_UNREACHABLE && d->full &&
	    d->setbacks != k->setbacks &&
	    sessions(a->m->q, a->lane, a->peer) > 0;
	window_learn(a, k, d);
	return full;
}

void
window_wait(struct attempt *a)
{
	struct queue *q = a->m->q;

	peer_unref(&a->peer);
	job_wait(a);
	queue_later(q);
}

/*
 * Lanes: who shares slots and fate.  A lane is a transport, or one site of a
 * transport that goes by MX; the key's text has room for credential, TLS
 * policy and source.  Run by queue.
 *
 * The table in the store keeps the numbers that due entries use.  Entries of
 * a number that the table has lost are not: they get a lane without a name,
 * and find a new one by their routes when they fall due.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

#define RECIPIENTS_MAX 1000u
/* Octets of new mail that may wait in RAM for a slot, with its lease: it is
 * spared a change and a read.  More than that waits in the store. */
#define AHEAD_MAX (16u << 20)
#define AHEAD_LIGHT (4u << 20)		/* more, for who sends little */

/* A field of the key's text, each ended by NUL; NULL: empty or not there. */
static char *
key_field(struct slice key, unsigned which)
{
	size_t n;

	for (;;) {
		n = strnlen(key.p, key.n);
		if (which-- == 0)
			return n > 0 ? mem_strndup(key.p, n) : NULL;
		if (n == key.n)
			return NULL;
		key.p += n + 1;
		key.n -= n + 1;
	}
}

/* One that is no transport's: what its mail waits for. */
static void
lane_kind(struct lane *l, struct slice key)
{
	char *kind = key_field(key, 2);

	l->us = kind != NULL && strcmp(kind, "us") == 0;
	if (kind != NULL && strcmp(kind, "account") == 0)
		l->account = key_field(key, 3);
	free(kind);
}

static struct lane *
lane_add(struct queue *q, uint32_t id, struct slice key)
{
	struct lane *l = mem_zalloc(sizeof(*l));

	l->q = q;
	l->id = id;
	l->name = mem_strndup(key.p, strnlen(key.p, key.n));
	l->site = key_field(key, 1);
	l->base = l;
	if (l->name[0] == 0 && key.n > 0)
		lane_kind(l, key);
	strbuf_add_slice(&l->key, key);
	l->next_due[LINE_RETRY] = l->next_due[LINE_FRESH] = NEVER;
	TAILQ_INIT(&l->waiting);
	TAILQ_INIT(&l->ahead);
	TAILQ_INIT(&l->fetched);
	TAILQ_INIT(&l->ops);
	TAILQ_INSERT_TAIL(&q->lanes, l, link);
	htab_put_u64(q->lane_by_id, id, l);
	if (key.n > 0)
		htab_put(q->lane_by_key, key, l);
	if (id >= q->next_lane)
		q->next_lane = id + 2;
	return l;
}

/* What delivery did not have in an earlier view, an older one cannot do. */
static void
lane_remote(const struct queue *q, struct lane *l)
{
	const struct conf_transport *t = l->transport;
	bool remote = t != NULL && (t->kind == TRANSPORT_SMARTHOST ||
	    t->kind == TRANSPORT_DIRECT ||
	    t->kind == TRANSPORT_SUBMISSION || t->kind == TRANSPORT_LMTP);

	if (remote && !l->remote)
		l->since_view = q->views;
	l->remote = remote;
}

bool
lane_is_network(const struct lane *l)
{
	return l->network;
}

static bool
is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	    strncmp(host, "127.", 4) == 0;
}

/* Whether it can be out of reach because the machine has no network. */
static bool
needs_network(const struct lane *l)
{
	const struct conf_transport *t = l->transport;
	size_t i;

	if (t != NULL && t->kind == TRANSPORT_DIRECT)
		return true;
	if (!l->remote || t->lmtp_path != NULL)
		return false;
	for (i = 0; i < t->n_hosts; i++)
		if (!is_loopback(t->hosts[i].name))
			return true;
	return t->n_hosts == 0;
}

static void
lane_configure(struct queue *q, struct lane *l)
{
	bool was_gone = l->configured && lane_is_gone(l);
	const char *domain;

	l->transport = conf_transport_get(q->conf, l->name);
	l->direct = l->transport == q->conf->direct;
	l->by_mx = l->transport != NULL &&
	    conf_transport_by_mx(l->transport, &domain);
	lane_remote(q, l);
	l->network = needs_network(l);
	window_configure(l);
	/* What is pinned to it has waited for this. */
	l->configured = true;
	if (was_gone && lane_is_open(l))
		drain_begin(l);
}

bool
lane_takes_fresh(const struct message *m, const struct lane *l, uint64_t now)
{
	const struct queue *q = l->q;
	size_t most = m->light ? AHEAD_MAX + AHEAD_LIGHT : AHEAD_MAX;

	if (q->n_failing >= FAILING_MAX || !lane_is_open(l) ||
	    rate_room(l) <= l->n_ahead ||
	    (l->next_due[LINE_FRESH] <= now && !m->light))
		return false;
	if (l->n_ahead == 0 && lane_free_slots(l) > 0)
		return true;
	/* A lane leaves a part of it to others. */
	return q->ahead_octets < most &&
	    (m->light || l->ahead_octets < (most - q->ahead_octets) * 4);
}

/* Lanes of transports never go away while the role runs. */
struct lane *
lane_at(struct queue *q, const char *transport, const char *site)
{
	struct strbuf key = STRBUF_INIT;
	struct lane *l;

	strbuf_add(&key, transport, strlen(transport) + 1);
	if (site != NULL)
		strbuf_add(&key, site, strlen(site) + 1);
	l = htab_get(q->lane_by_key, strbuf_slice(&key));
	if (l == NULL) {
		l = lane_add(q, q->next_lane, strbuf_slice(&key));
		if (site != NULL)
			l->base = lane_named(q, transport);
		lane_configure(q, l);
		if (lane_is_paused(l))
			lane_shut(l);
		/* Delivery knows it as long as it knows the transport. */
		l->since_view = l->base->since_view;
	}
	strbuf_free(&key);
	return l;
}

/* Its key is that of a lane without transport and site. */
struct lane *
lane_special(struct queue *q, const char *kind, const char *name, bool make)
{
	struct strbuf key = STRBUF_INIT;
	struct lane *l;

	strbuf_add(&key, "\0", 2);
	strbuf_add(&key, kind, strlen(kind) + 1);
	if (name != NULL)
		strbuf_add(&key, name, strlen(name) + 1);
	l = htab_get(q->lane_by_key, strbuf_slice(&key));
	if (l == NULL && make) {
		l = lane_add(q, q->next_lane, strbuf_slice(&key));
		lane_configure(q, l);
	}
	strbuf_free(&key);
	return l;
}

struct lane *
lane_named(struct queue *q, const char *transport)
{
	return lane_at(q, transport, NULL);
}

struct lane *
lane_of_id(const struct queue *q, uint32_t id)
{
	return htab_get_u64(q->lane_by_id,
	    id & ~STORE_LEASED & ~(uint32_t)LINE_FRESH);
}

bool
lane_is_local(const struct lane *l)
{
	return l->transport != NULL &&
	    (l->transport->kind == TRANSPORT_MAILDIR ||
	    l->transport->kind == TRANSPORT_MDA);
}

size_t
lane_recipients(const struct lane *l)
{
	unsigned n;

	if (lane_is_local(l) && !l->transport->mda_all)
		return 1;
	n = l->transport != NULL ? l->transport->recipients_per_message : 0;
	if (lane_is_local(l))
		return n > 0 && n < MSG_LOCAL_RCPT_MAX ? n :
		    MSG_LOCAL_RCPT_MAX;
	return n > 0 && n < RECIPIENTS_MAX ? n : RECIPIENTS_MAX;
}

void
lane_kick(struct queue *q, struct lane *l)
{
	if (l->ready)
		return;
	l->ready = true;
	TAILQ_INSERT_TAIL(&q->ready, l, ready_link);
	queue_later(q);
}

void
lane_changed(struct lane *l)
{
	if (l->changed)
		return;
	l->changed = true;
	TAILQ_INSERT_TAIL(&l->q->changed, l, changed_link);
	queue_later(l->q);
}

void
lane_due(struct queue *q, uint32_t id, uint64_t time)
{
	enum line line = id & LINE_FRESH ? LINE_FRESH : LINE_RETRY;
	struct lane *l;

	if ((id & STORE_LEASED) != 0)
		return;
	l = lane_of_id(q, id);
	if (l == NULL)
		return;
	if (time < l->next_due[line])
		l->next_due[line] = time;
	if (l->asked && time <= clock_real_ms()) {
		l->asked = false;
		lane_probe_now(l);
	}
	if (time <= clock_real_ms())
		lane_kick(q, l);
	else
		lane_changed(l);
}

/* ---- the store's table ---- */

static void
lane_loaded(void *arg, uint32_t id, struct slice key, struct slice state)
{
	struct queue *q = arg;
	struct lane *l;

	if (id == 0 || id > STORE_LANE_MAX || (id & LINE_FRESH) != 0 ||
	    lane_of_id(q, id) != NULL)
		return;
	l = lane_add(q, id, key);
	l->stored = true;
	if (l->us)
		q->us = l;
	lane_state_decode(l, state);
	if (l->account != NULL && l->paused)
		q->n_paused_accounts++;
}

void
lanes_tell(struct queue *q)
{
	struct strbuf text = STRBUF_INIT;
	struct lane *l;

	TAILQ_FOREACH(l, &q->lanes, link) {
		if (l->closed == CLOSED_NOT || l == q->us)
			continue;
		strbuf_clear(&text);
		lane_trouble(l, &text);
		alert_state(q, l->closed == CLOSED_UNREACHABLE ?
		    ALERT_UNREACHABLE : ALERT_PARKED, l->name, true,
		    strbuf_cstr(&text));
	}
	strbuf_free(&text);
}

/* First entries of all lanes, leased or not, known or lost. */
static void
lanes_first_due(struct queue *q)
{
	struct store_due first;
	uint32_t id = 0;

	while (store_due_next_lane(q->store, id, &first)) {
		id = first.lane;
		if (lane_of_id(q, id) == NULL) {
			log_msg(LL_WARN, "queue", "the lane %u has lost its "
			    "name; its mail is routed anew", first.lane);
			(void)lane_add(q, id & ~STORE_LEASED &
			    ~(uint32_t)LINE_FRESH, slice_of("", 0));
		}
		lane_due(q, first.lane, first.time);
		if (id == UINT32_MAX)
			break;
	}
}

void
lanes_load(struct queue *q)
{
	struct lane *l;

	store_each_lane(q->store, lane_loaded, q);
	lanes_first_due(q);
	/* New numbers from here on. */
	if (q->us == NULL)
		q->us = lane_special(q, "us", NULL, true);
	TAILQ_FOREACH(l, &q->lanes, link)
		if (l->site != NULL)
			l->base = lane_named(q, l->name);
}

void
lanes_configure(struct queue *q)
{
	const struct conf *conf = q->conf;
	struct lane *l;
	size_t i;

	free(q->lane_of);
	q->lane_of = NULL;
	/* Numbers are given once the table has been read. */
	if (q->store == NULL)
		return;
	q->lane_of = mem_zarray(conf->n_transports + 1, sizeof(struct lane *));
	for (i = 0; i < conf->n_transports; i++)
		q->lane_of[i] = lane_named(q, conf->transports[i].name);
	q->lane_direct = lane_named(q, "direct");
	TAILQ_FOREACH(l, &q->lanes, link) {
		lane_configure(q, l);
		lane_kick(q, l);
	}
}

void
lane_forget(struct queue *q, struct lane *l)
{
	struct op_wait *w;

	TAILQ_REMOVE(&q->lanes, l, link);
	if (l->ready)
		TAILQ_REMOVE(&q->ready, l, ready_link);
	if (l->changed)
		TAILQ_REMOVE(&q->changed, l, changed_link);
	if (l->dirty)
		TAILQ_REMOVE(&q->dirty_lanes, l, dirty_link);
	if (l->hungry)
		TAILQ_REMOVE(&q->share.hungry, l, hungry_link);
	htab_del_u64(q->lane_by_id, l->id);
	if (l->key.n > 0)
		htab_del(q->lane_by_key, strbuf_slice(&l->key));
	while ((w = TAILQ_FIRST(&l->ops)) != NULL) {
		TAILQ_REMOVE(&l->ops, w, link);
		free(w);
	}
	strbuf_free(&l->key);
	free(l->account);
	free(l->why);
	free(l->last_error);
	free(l->site);
	free(l->name);
	free(l);
}

void
lanes_free(struct queue *q)
{
	struct lane *l;

	while ((l = TAILQ_FIRST(&q->lanes)) != NULL)
		lane_forget(q, l);
	free(q->lane_of);
	htab_free(&q->lane_by_key);
	htab_free(&q->lane_by_id);
}

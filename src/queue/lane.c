/*
 * Lanes: who shares slots and fate.  In this version a lane is a transport;
 * the key's text has room for next hop, credential, TLS policy and source.
 * Run by queue.
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

/* Where the number of connections says nothing. */
#define WINDOW_DEFAULT 40u
#define WINDOW_LOCAL 8u			/* processes at a time */
#define RECIPIENTS_MAX 1000u
/* Octets of new mail that may wait in RAM for a slot, with its lease: it is
 * spared a change and a read.  More than that waits in the store. */
#define AHEAD_MAX (16u << 20)

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

static struct lane *
lane_add(struct queue *q, uint32_t id, struct slice key)
{
	struct lane *l = mem_zalloc(sizeof(*l));

	l->id = id;
	l->name = mem_strndup(key.p, strnlen(key.p, key.n));
	l->site = key_field(key, 1);
	strbuf_add_slice(&l->key, key);
	l->window = WINDOW_DEFAULT;
	l->next_due[LINE_RETRY] = l->next_due[LINE_FRESH] = NEVER;
	TAILQ_INIT(&l->waiting);
	TAILQ_INIT(&l->ahead);
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
	    t->kind == TRANSPORT_SUBMISSION || t->kind == TRANSPORT_LMTP);

	if (remote && !l->remote)
		l->since = q->views;
	l->remote = remote;
}

static void
lane_configure(struct queue *q, struct lane *l)
{
	size_t i = conf_transport_find(q->conf, l->name);
	unsigned n;

	l->direct = i == SIZE_MAX && strcmp(l->name, "direct") == 0;
	l->transport = i == SIZE_MAX ? NULL : &q->conf->transports[i];
	lane_remote(q, l);
	if (l->transport == NULL) {
		l->window = WINDOW_DEFAULT;
		return;
	}
	n = l->transport->connections > 0 ? l->transport->connections : 1;
	if (lane_is_local(l))
		l->window = n < WINDOW_LOCAL ? n : WINDOW_LOCAL;
	else
		l->window = n * 2;	/* the next job is at hand */
}

bool
lane_takes_fresh(const struct queue *q, const struct lane *l, uint64_t now)
{
	if (l->next_due[LINE_FRESH] <= now || q->n_failing >= FAILING_MAX)
		return false;
	return (l->n_ahead == 0 && lane_free_slots(l) > 0) ||
	    q->ahead_octets < AHEAD_MAX;
}

/* Lanes are few and never go away while the role runs. */
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

	if (lane_is_local(l))
		return 1;
	n = l->transport != NULL ? l->transport->recipients_per_message : 0;
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
	if (time <= clock_real_ms())
		lane_kick(q, l);
	else
		queue_later(q);		/* the alarm is set there */
}

void
lane_error(struct lane *l, enum job_class class, const char *text)
{
	l->unreachable = class == JOB_UNREACHABLE;
	l->parked = class == JOB_CREDENTIAL || class == JOB_QUOTA;
	free(l->last_error);
	l->last_error = text != NULL ? mem_strdup(text) : NULL;
	l->last_error_at = text != NULL ? clock_real_ms() : 0;
}

/* ---- the store's table ---- */

static void
lane_loaded(void *arg, uint32_t id, struct slice key, struct slice state)
{
	struct queue *q = arg;
	struct lane *l;

	(void)state;
	if (id == 0 || id > STORE_LANE_MAX || (id & LINE_FRESH) != 0 ||
	    lane_of_id(q, id) != NULL)
		return;
	l = lane_add(q, id, key);
	l->stored = true;
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
	store_each_lane(q->store, lane_loaded, q);
	lanes_first_due(q);
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
lanes_free(struct queue *q)
{
	struct lane *l;

	while ((l = TAILQ_FIRST(&q->lanes)) != NULL) {
		TAILQ_REMOVE(&q->lanes, l, link);
		strbuf_free(&l->key);
		free(l->last_error);
		free(l->site);
		free(l->name);
		free(l);
	}
	free(q->lane_of);
	htab_free(&q->lane_by_key);
	htab_free(&q->lane_by_id);
}

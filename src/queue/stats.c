/*
 * The queue as others see it: messages, counts, lanes, roles.  Run by queue,
 * asked by the control socket.
 */
#include <string.h>

#include "base/clock.h"
#include "mail/received.h"
#include "queue/internal.h"

int
queue_message_get(struct queue *q, uint64_t id, struct record **r,
    bool *owned, struct err *e)
{
	struct message *m = message_find(q, id);

	*owned = false;
	if (m != NULL && m->stored && !m->gone) {
		*r = m->rec;
		return 0;
	}
	*owned = true;
	return store_get(q->store, id, r, e);
}

bool
queue_message_active(const struct queue *q, uint64_t id)
{
	const struct message *m = message_find(q, id);

	return m != NULL && message_active(m);
}

const char *
queue_message_status(const struct queue *q, const struct record *r)
{
	if (queue_message_active(q, r->env->id))
		return "active";
	switch (message_class(r)) {
	case COUNT_HELD:
		return "held";
	case COUNT_DEFERRED:
		return "deferred";
	default:
		return "queued";
	}
}

void
queue_message_trace(const struct queue *q, const struct record *r,
    struct strbuf *out)
{
	received_compose(out, r->env, q->conf->hostname,
	    r->env->recipient_count == 1 ? r->env->recipients[0].address :
	    NULL);
}

static uint64_t
counter(const struct queue *q, enum store_count which)
{
	int64_t n = store_counter(q->store, which);

	return n > 0 ? (uint64_t)n : 0;
}

static void
take_active(uint64_t *from)
{
	if (*from > 0)
		(*from)--;
}

/* The store counts a message that is active as what it was before. */
void
queue_counts(const struct queue *q, struct queue_counts *out)
{
	struct message *m;
	size_t pos = 0;
	uint64_t id;

	memset(out, 0, sizeof(*out));
	if (q->store == NULL)
		return;
	out->queued = counter(q, COUNT_QUEUED);
	out->deferred = counter(q, COUNT_DEFERRED);
	out->held = counter(q, COUNT_HELD);
	while ((m = htab_next(q->messages, &pos, NULL)) != NULL) {
		if (!message_active(m) || !m->stored || m->gone)
			continue;
		out->active++;
		take_active(m->counted == COUNT_QUEUED ? &out->queued :
		    m->counted == COUNT_HELD ? &out->held : &out->deferred);
	}
	if (store_oldest(q->store, &id)) {
		struct record *r = NULL;
		bool owned;

		if (queue_message_get((struct queue *)(uintptr_t)q, id, &r,
		    &owned, NULL) == 0) {
			out->oldest = r->env->received_ms;
			if (owned)
				record_free(&r);
		}
	}
}

static uint64_t
count_line(const struct queue *q, uint32_t line)
{
	return store_due_count(q->store, line);
}

const char *
queue_state_name(enum queue_state state)
{
	static const char *const names[] = { "ok", "parked", "unreachable",
	    "paused" };

	return names[state];
}

static enum queue_state
lane_state(const struct lane *l)
{
	if (lane_is_paused(l))
		return QUEUE_PAUSED;
	if (l->closed == CLOSED_NOT)
		return lane_is_offline(l) ? QUEUE_UNREACHABLE : QUEUE_OK;
	return l->closed == CLOSED_UNREACHABLE ? QUEUE_UNREACHABLE :
	    QUEUE_PARKED;
}

static void
lane_tell_state(const struct lane *l, struct queue_lane_info *info,
    struct strbuf *why)
{
	const struct lane *from = l->closed == CLOSED_NOT &&
	    lane_is_offline(l) ? l->q->us : l;

	info->state = lane_state(l);
	if (info->state == QUEUE_OK)
		return;
	if (info->state == QUEUE_PAUSED) {
		info->why = "paused by the administrator";
		info->since = l->base->paused_since;
		return;
	}
	strbuf_clear(why);
	if (from == l->q->us)
		strbuf_puts(why, "there is no network: ");
	strbuf_puts(why, from->why != NULL ? from->why : "");
	info->why = strbuf_cstr(why);
	info->since = from->since;
	info->next_probe = from->next_probe == NEVER ? 0 : from->next_probe;
}

void
queue_each_lane(struct queue *q, void (*each)(void *arg,
    const struct queue_lane_info *info), void *arg)
{
	struct strbuf why = STRBUF_INIT;
	struct queue_lane_info info;
	struct lane *l;
	uint64_t due;

	if (q->store == NULL)
		return;
	TAILQ_FOREACH(l, &q->lanes, link) {
		if (l->account != NULL || l->us)
			continue;
		memset(&info, 0, sizeof(info));
		info.transport = l->name;
		info.next_hop = l->site;
		info.account = l->transport != NULL ? l->transport->account :
		    NULL;
		lane_tell_state(l, &info, &why);
		info.window = lane_resolves(l) ? 0 : l->window;
		info.active = l->active[LINE_RETRY] + l->active[LINE_FRESH];
		info.waiting = l->n_ahead + l->n_fetched +
		    count_line(q, lane_line(l, LINE_FRESH)) +
		    count_line(q, lane_line(l, LINE_RETRY));
		due = l->next_due[LINE_RETRY] < l->next_due[LINE_FRESH] ?
		    l->next_due[LINE_RETRY] : l->next_due[LINE_FRESH];
		info.next_due = due == NEVER ? 0 : due;
		info.last_error = l->last_error;
		info.last_error_at = l->last_error_at;
		info.configured = l->transport != NULL || l->direct;
		rate_daily(l, &info.daily, &info.daily_used);
		each(arg, &info);
	}
	strbuf_free(&why);
}

/* The state of its own transport is its own where that is parked: its
 * credential is meant. */
static void
account_tell(struct queue *q, const struct conf_account *a,
    struct queue_account_info *info, struct strbuf *why)
{
	struct lane *own = a->transport != SIZE_MAX ?
	    q->lane_of[a->transport] : NULL;
	struct lane *paused = account_lane(q, a->name);
	struct queue_lane_info lane;
	uint64_t until;

	memset(info, 0, sizeof(*info));
	memset(&lane, 0, sizeof(lane));
	info->name = a->name;
	rate_account_daily(q, a->name, &info->daily, &info->daily_used);
	if (own != NULL) {
		lane_tell_state(own, &lane, why);
		info->waiting = own->n_ahead + own->n_fetched +
		    count_line(q, lane_line(own, LINE_FRESH)) +
		    count_line(q, lane_line(own, LINE_RETRY));
	}
	if (paused != NULL) {
		info->state = QUEUE_PAUSED;
		info->why = "paused by the administrator";
		info->since = paused->paused_since;
		info->waiting += count_line(q, lane_line(paused, LINE_FRESH)) +
		    count_line(q, lane_line(paused, LINE_RETRY));
	} else if (lane.state == QUEUE_PARKED) {
		info->state = lane.state;
		info->why = lane.why;
		info->since = lane.since;
		info->next_probe = lane.next_probe;
	} else if ((until = rate_account_parked(q, a->name)) != 0) {
		info->state = QUEUE_PARKED;
		info->why = "its daily number of messages is used up";
		info->next_probe = until;
	}
}

void
queue_each_account(struct queue *q, void (*each)(void *arg,
    const struct queue_account_info *info), void *arg)
{
	struct strbuf why = STRBUF_INIT;
	struct queue_account_info info;
	size_t i;

	if (q->store == NULL)
		return;
	for (i = 0; i < q->conf->n_accounts; i++) {
		account_tell(q, &q->conf->accounts[i], &info, &why);
		each(arg, &info);
	}
	strbuf_free(&why);
}

const struct msg_status *
queue_roles(const struct queue *q)
{
	return q->has_status ? &q->status : NULL;
}

void
queue_connections(const struct queue *q, struct msg_stats *out)
{
	const struct peer *p;
	uint32_t i;

	memset(out, 0, sizeof(*out));
	TAILQ_FOREACH(p, &q->listeners, link) {
		if (p->stats.n > out->n)
			out->n = p->stats.n;
		for (i = 0; i < p->stats.n; i++)
			out->open[i] += p->stats.open[i];
	}
}

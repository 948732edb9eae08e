/*
 * The queue as others see it: messages, counts, lanes, roles.  Run by queue,
 * asked by the control socket.
 */
#include <string.h>

#include "base/clock.h"
#include "mail/received.h"
#include "queue/internal.h"

#define WAITING_MAX 100000u		/* entries counted in one lane */
#define BITE 256

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

uint64_t
queue_message_expires(const struct queue *q, const struct record *r)
{
	return retry_expires(q, r);
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
	struct store_due d[BITE], after;
	const struct store_due *from = NULL;
	uint64_t n = 0;
	size_t got;

	do {
		got = store_due_scan(q->store, line, NEVER, from, d, BITE);
		n += got;
		if (got > 0) {
			after = d[got - 1];
			from = &after;
		}
	} while (got == BITE && n < WAITING_MAX);
	return n;
}

void
queue_each_lane(struct queue *q, void (*each)(void *arg,
    const struct queue_lane_info *info), void *arg)
{
	struct queue_lane_info info;
	struct lane *l;
	uint64_t due;

	if (q->store == NULL)
		return;
	TAILQ_FOREACH(l, &q->lanes, link) {
		memset(&info, 0, sizeof(info));
		info.transport = l->name;
		info.window = l->window;
		info.active = l->active[LINE_RETRY] + l->active[LINE_FRESH];
		info.waiting = l->n_ahead +
		    count_line(q, lane_line(l, LINE_FRESH)) +
		    count_line(q, lane_line(l, LINE_RETRY));
		due = l->next_due[LINE_RETRY] < l->next_due[LINE_FRESH] ?
		    l->next_due[LINE_RETRY] : l->next_due[LINE_FRESH];
		info.next_due = due == NEVER ? 0 : due;
		info.last_error = l->last_error;
		info.last_error_at = l->last_error_at;
		info.unreachable = l->unreachable;
		info.parked = l->parked;
		info.configured = l->transport != NULL || l->direct;
		each(arg, &info);
	}
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

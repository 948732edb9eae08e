/*
 * The channels to listeners, deliveries and auth.  Run by queue.
 *
 * Garbage costs that channel its life, nothing else: a listener answers 451
 * for what it had under way, and jobs of a delivery return to the queue.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

static void
peer_drop(struct peer *p)
{
	struct window_link *k;
	size_t pos = 0;

	if (--p->refs > 0)
		return;
	while (p->links != NULL &&
	    (k = htab_next(p->links, &pos, NULL)) != NULL)
		free(k);
	htab_free(&p->links);
	free(p);
}

void
peer_unref(struct peer **pp)
{
	if (*pp != NULL)
		peer_drop(*pp);
	*pp = NULL;
}

static struct peer_list *
peer_list(struct peer *p)
{
	return p->role == ROLE_LISTENER ? &p->q->listeners :
	    p->role == ROLE_AUTH ? &p->q->auths : &p->q->deliveries;
}

static void
peer_remove(struct peer *p)
{
	TAILQ_REMOVE(peer_list(p), p, link);
	port_free(&p->port);
	peer_drop(p);
}

void
peer_closed(void *arg, const struct err *why)
{
	struct peer *p = arg;
	struct queue *q = p->q;

	if (why->code != 0) {
		log_begin(LL_WARN, "channel");
		log_str("peer", port_name(p->port));
		log_str("text", why->text);
		log_end();
	}
	/* It lives, and would go on without us. */
	if (!port_peer_ended(why))
		role_accuse(&q->base, p->role, p->slot);
	peer_remove(p);
	queue_later(q);
}

static int
listener_message(void *arg, struct port_message *m, struct err *e)
{
	struct peer *p = arg;

	if (m->type == MSG_MAIL)
		return ingest_mail(p, m, e);
	if (m->fd >= 0)
		close(m->fd);
	switch (m->type) {
	case MSG_SPOOL_WANT:
		ingest_want(p, m);
		return 0;
	case MSG_VERIFY:
		ingest_verify(p, m);
		return 0;
	case MSG_LISTENER_STATS:
		if (msg_stats_decode(m->data, &p->stats) == 0)
			return 0;
		return err_set(e, EPROTO, "numbers that are garbage");
	case MSG_LISTENER_COUNTS:
		return metrics_counts(p->q, m->data, e);
	default:
		return err_set(e, EPROTO, "message %u is not for the queue",
		    m->type);
	}
}

/* All that delivery says are replies. */
static int
delivery_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	if (m->fd >= 0)
		close(m->fd);
	return err_set(e, EPROTO, "message %u is not for the queue", m->type);
}

static void
delivery_ready(void *arg)
{
	struct peer *p = arg;

	job_send_unsent(p->q);
}

int
peer_add(struct queue *q, const struct msg_peer *m, int fd, struct err *e)
{
	static const struct port_handler listener = {
		listener_message, peer_closed, NULL
	}, delivery = {
		delivery_message, peer_closed, delivery_ready
	};
	struct peer *p;
	char name[32];

	if (m->role != ROLE_LISTENER && m->role != ROLE_DELIVERY &&
	    m->role != ROLE_AUTH) {
		close(fd);
		return err_set(e, EPROTO, "a channel to a %s",
		    role_name(m->role));
	}
	p = mem_zalloc(sizeof(*p));
	p->q = q;
	p->role = m->role;
	p->slot = m->slot;
	p->since = q->views;
	p->refs = 1;
	snprintf(name, sizeof(name), "%s %u", role_name(m->role), m->slot);
	p->port = port_new(q->loop, fd, name,
	    m->role == ROLE_LISTENER ? &listener : m->role == ROLE_AUTH ?
	    &auths_handler : &delivery, p);
	TAILQ_INSERT_TAIL(peer_list(p), p, link);
	if (m->role == ROLE_DELIVERY) {
		sites_peer(q);
		job_send_unsent(q);
	} else if (m->role == ROLE_AUTH) {
		park_auth(q);
	}
	return 0;
}

struct peer *
peer_for_job(struct queue *q, const struct lane *l)
{
	struct peer *p;

	TAILQ_FOREACH(p, &q->deliveries, link) {
		if (p->returning || p->since < l->since_view ||
		    !port_can_send(p->port) || !window_takes(p, l))
			continue;
		TAILQ_REMOVE(&q->deliveries, p, link);
		TAILQ_INSERT_TAIL(&q->deliveries, p, link);
		return p;
	}
	return NULL;
}

void
peer_answer(struct peer *p, uint64_t ref, uint16_t code, uint8_t subject,
    uint8_t detail, const char *text)
{
	struct msg_done d;
	struct strbuf b = STRBUF_INIT;

	if (p->port == NULL)
		return;
	d.code = code;
	d.status[0] = (uint8_t)(code / 100);
	d.status[1] = subject;
	d.status[2] = detail;
	snprintf(d.text, sizeof(d.text), "%s", text);
	msg_done_encode(&b, &d);
	port_send_reply(p->port, MSG_DONE, ref, strbuf_slice(&b));
	strbuf_free(&b);
}

void
peers_free(struct queue *q)
{
	while (!TAILQ_EMPTY(&q->listeners))
		peer_remove(TAILQ_FIRST(&q->listeners));
	while (!TAILQ_EMPTY(&q->deliveries))
		peer_remove(TAILQ_FIRST(&q->deliveries));
	while (!TAILQ_EMPTY(&q->auths))
		peer_remove(TAILQ_FIRST(&q->auths));
}

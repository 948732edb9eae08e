/*
 * Pins a message to a transport, or undoes that.  Run by queue, asked by the
 * control socket.
 *
 * What is being delivered goes on; the pin holds from the next attempt on.  A
 * transport that is gone from the configuration keeps its messages waiting.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/control_private.h"
#include "queue/internal.h"

static void
move_due(struct message *m)
{
	struct record *r = m->rec;
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++)
		if (r->rcpt[i].state == RCPT_PENDING &&
		    (r->rcpt[i].lane & STORE_LEASED) == 0)
			settle_reschedule(m, i, clock_real_ms());
}

void
queue_op_move(struct queue *q, uint64_t id, const char *transport,
    queue_op_done *done, void *arg)
{
	struct err e = { 0, "" };
	struct op_wait *w;
	struct message *m;

	if (q->store == NULL || q->draining) {
		done(arg, id, QUEUE_OP_FAILED, "the queue is ending");
		return;
	}
	m = message_load(q, id, false, &e);
	if (m == NULL || !m->stored || m->gone || m->damaged ||
	    (m->writing && m->next_gone)) {
		done(arg, id, m != NULL || e.code == ENOENT ?
		    QUEUE_OP_UNKNOWN : QUEUE_OP_FAILED,
		    m != NULL || e.code == ENOENT ? "no such message" :
		    e.text);
		return;
	}
	free(m->rec->pinned);
	m->rec->pinned = transport != NULL ? mem_strdup(transport) : NULL;
	message_take_back(m);
	move_due(m);
	m->pinning = true;
	line_id(LL_INFO, "move", id, transport != NULL ? transport : "auto");
	w = mem_zalloc(sizeof(*w));
	w->done = done;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&m->ops, w, link);
	message_touch(m, true);
}

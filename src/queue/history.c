/*
 * What is kept of a finished delivery, and a message as the control socket
 * shows it: JSON in the keys of the commands' contract.  Run by queue.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/internal.h"
#include "store/record_json.h"

#define FEW 16

/* What became of it as a whole: the worst of its recipients. */
static const char *
final_status(const struct message *m)
{
	const struct record *r = m->rec;
	const char *status = "delivered";
	size_t i;

	if (m->removing)
		return "removed";
	for (i = 0; i < r->env->recipient_count; i++) {
		if (r->rcpt[i].state == RCPT_EXPIRED)
			return "expired";
		if (r->rcpt[i].state == RCPT_FAILED)
			status = "bounced";
	}
	return status;
}

static void
outcome_of(const struct message *m, size_t i, struct record_outcome *out)
{
	const struct record_rcpt *rc = &m->rec->rcpt[i];

	out->tls = m->note[i].tls;
	out->verify = m->note[i].verify;
	out->spf = m->note[i].spf;
	out->delivered_at = 0;
	if (rc->state != RCPT_DELIVERED)
		return;
	/* Delivered at an earlier attempt: the time of that one. */
	out->delivered_at = m->note[i].delivered_at != 0 ?
	    m->note[i].delivered_at : rc->last_attempt;
}

void
history_text(const struct message *m, struct strbuf *out)
{
	struct record_outcome few[FEW], *outcome = few;
	struct json_writer w = json_to(out);
	size_t i, n = m->rec->env->recipient_count;

	if (n > FEW)
		outcome = mem_zarray(n, sizeof(*outcome));
	for (i = 0; i < n; i++)
		outcome_of(m, i, &outcome[i]);
	(void)strbuf_room(out, 1024);
	record_json(&w, NULL, m->rec, final_status(m),
	    retry_expires(m->q, m->rec), outcome);
	if (outcome != few)
		free(outcome);
}

void
queue_message_json(const struct queue *q, const struct record *r,
    struct strbuf *out)
{
	struct json_writer w = json_to(out);

	record_json(&w, NULL, r, queue_message_status(q, r),
	    retry_expires(q, r), NULL);
}

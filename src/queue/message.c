/*
 * Messages in RAM: found, loaded, given up.  Run by queue.
 *
 * A record that cannot be read goes to quarantine, is reported in the log,
 * and stops nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

struct message *
message_find(const struct queue *q, uint64_t id)
{
	return htab_get_u64(q->messages, id);
}

struct message *
message_new(struct queue *q, struct record **rec)
{
	struct message *m = mem_zalloc(sizeof(*m));

	m->q = q;
	m->rec = *rec;
	*rec = NULL;
	m->id = m->rec->env->id;
	m->note = mem_zarray(m->rec->env->recipient_count,
	    sizeof(*m->note));
	m->counted = COUNT_KINDS;
	TAILQ_INIT(&m->attempts);
	TAILQ_INIT(&m->ops);
	htab_put_u64(q->messages, m->id, m);
	return m;
}

enum store_count
message_class(const struct record *r)
{
	size_t i;

	if (r->held)
		return COUNT_HELD;
	for (i = 0; i < r->env->recipient_count; i++)
		if (r->rcpt[i].last_code != 0)
			return COUNT_DEFERRED;
	return COUNT_QUEUED;
}

struct message *
message_load(struct queue *q, uint64_t id, bool body, struct err *e)
{
	struct message *m = message_find(q, id);
	struct strbuf b = STRBUF_INIT;
	struct record *r = NULL;
	int rc;

	if (m != NULL)
		return m;
	/* EINVAL: the body is a file, and opened when it is wanted. */
	rc = body ? store_get_body(q->store, id, &r, &b, e) : -1;
	if (!body || (rc < 0 && e->code == EINVAL))
		rc = store_get(q->store, id, &r, e);
	if (rc < 0) {
		strbuf_free(&b);
		return NULL;
	}
	/* Whoever wrote it: a record under another id is not that message. */
	if (r->env->id != id) {
		record_free(&r);
		strbuf_free(&b);
		err_set(e, EILSEQ, "the record is that of another message");
		return NULL;
	}
	m = message_new(q, &r);
	m->stored = true;
	m->counted = (uint8_t)message_class(m->rec);
	message_keys(m->rec, &m->keys);
	if (body && m->rec->body_kind != BODY_FILE) {
		m->body = b;
		m->has_body = true;
	} else {
		strbuf_free(&b);
	}
	return m;
}

int
message_need_body(struct message *m, struct err *e)
{
	struct record *r = NULL;

	if (m->has_body || m->rec->body_kind == BODY_FILE)
		return 0;
	if (store_get_body(m->q->store, m->id, &r, &m->body, e) < 0) {
		strbuf_free(&m->body);
		return -1;
	}
	record_free(&r);
	m->has_body = true;
	return 0;
}

static bool
message_wants_body(const struct message *m)
{
	const struct attempt *a;

	TAILQ_FOREACH(a, &m->attempts, link)
		if (a->ahead || (a->state != ATTEMPT_RUNNING &&
		    a->state != ATTEMPT_SITE && a->state != ATTEMPT_SLOT))
			return true;
	return false;
}

bool
message_active(const struct message *m)
{
	const struct attempt *a;

	TAILQ_FOREACH(a, &m->attempts, link)
		if (!a->ahead)
			return true;
	return false;
}

void
message_rest(struct message *m)
{
	if (m->has_body && !message_wants_body(m)) {
		strbuf_free(&m->body);
		m->has_body = false;
	}
	if (TAILQ_EMPTY(&m->attempts) && !m->dirty && !m->writing &&
	    !m->retrying && TAILQ_EMPTY(&m->ops))
		message_free(m);
}

void
message_free(struct message *m)
{
	struct queue *q = m->q;
	struct op_wait *w;
	size_t i;

	while (!TAILQ_EMPTY(&m->attempts))
		attempt_free(TAILQ_FIRST(&m->attempts));
	while ((w = TAILQ_FIRST(&m->ops)) != NULL) {
		TAILQ_REMOVE(&m->ops, w, link);
		free(w);
	}
	if (m->dirty)
		TAILQ_REMOVE(&q->dirty, m, dirty_link);
	if (m->retrying)
		TAILQ_REMOVE(&q->failed, m, dirty_link);
	if (m->moving)
		q->n_moving--;
	message_failing(m, false);
	htab_del_u64(q->messages, m->id);
	peer_unref(&m->origin);
	for (i = 0; i < m->rec->env->recipient_count; i++) {
		free(m->note[i].tls);
		free(m->note[i].verify);
		free(m->note[i].spf);
	}
	free(m->note);
	free(m->keys.v);
	free(m->next_keys.v);
	free(m->reports.v);
	strbuf_free(&m->body);
	record_free(&m->rec);
	free(m);
}

void
message_take_back(struct message *m)
{
	struct attempt *a, *next;
	bool touched = false;

	for (a = TAILQ_FIRST(&m->attempts); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->state == ATTEMPT_RUNNING)
			continue;
		if (a->state == ATTEMPT_RECORDING) {
			a->undo = true;
			continue;
		}
		lease_undo(a);
		touched = true;
	}
	if (!touched)
		return;
	message_finish(m);
	message_touch(m, true);
}

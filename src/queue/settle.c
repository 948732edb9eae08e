/*
 * From results to what is next: each recipient is delivered, tried again or
 * failed by its own reply; a failure that is the transport's goes to the next
 * one of the route at the same due time.  Run by queue.
 *
 * A process that dies with jobs, and a body that cannot be read now, cost an
 * attempt and never a message.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/dsn.h"
#include "queue/internal.h"

void
settle_set_reply(struct record_rcpt *rc, uint16_t code,
    const uint8_t status[3], char *text)
{
	rc->last_code = code;
	memcpy(rc->last_status, status, sizeof(rc->last_status));
	free(rc->last_reply);
	rc->last_reply = text;
}

void
settle_fail(struct message *m, size_t i, enum rcpt_state state,
    uint16_t code, uint8_t subject, uint8_t detail, const char *text)
{
	struct record_rcpt *rc = &m->rec->rcpt[i];
	uint8_t status[3] = { (uint8_t)(code / 100), subject, detail };
	char *reply;

	if (state == RCPT_EXPIRED && rc->last_reply != NULL)
		reply = mem_printf("%u %u.%u.%u %s; the last reply was: %s",
		    code, status[0], subject, detail, text, rc->last_reply);
	else
		reply = mem_printf("%u %u.%u.%u %s", code, status[0], subject,
		    detail, text);
	settle_set_reply(rc, code, status, reply);
	rc->state = (uint8_t)state;
	rc->lane = 0;
	rc->due = 0;
	m->note[i].report = TELL_WANTED;
	line_settled(m, i);
}

void
settle_reschedule(struct message *m, size_t i, uint64_t due)
{
	struct record_rcpt *rc = &m->rec->rcpt[i];
	struct route_pick pick;

	if (m->rec->held) {
		rc->lane = 0;
		rc->due = 0;
		return;
	}
	route_pick(m->q, m->rec, i, &pick);
	if (pick.n_via == 0) {
		settle_fail(m, i, RCPT_FAILED, 550, 1, 1, "User unknown");
		return;
	}
	rc->lane = lane_line(pick.via[0],
	    rc->attempts > 0 ? LINE_RETRY : LINE_FRESH);
	rc->due = due;
}

/* One delay notice in a message's life, about all that still waits. */
void
settle_warn(struct message *m)
{
	struct record *r = m->rec;
	uint64_t after = m->q->conf->warn_after;
	size_t i;

	if (after == 0 || r->warned ||
	    clock_real_ms() < expire_from(m->q, r) + after)
		return;
	for (i = 0; i < r->env->recipient_count; i++) {
		if (r->rcpt[i].state != RCPT_PENDING ||
		    r->rcpt[i].last_code == 0 ||
		    envelope_is_ours(r->env) ||
		    !dsn_wanted(r->env, r->env->recipients[i].notify,
		    DSN_DELAYED))
			continue;
		m->note[i].delay = TELL_WANTED;
		r->warned = true;
	}
}

/* ---- one recipient ---- */

static void
settle_delivered(struct attempt *a, size_t i, const struct msg_job_done *d)
{
	struct record_rcpt *rc = &a->m->rec->rcpt[i];

	rc->state = RCPT_DELIVERED;
	rc->lane = 0;
	rc->due = 0;
	a->m->note[i].delivered_at = clock_real_ms();
	if (d->tls != NULL)
		a->m->note[i].tls = mem_strdup(d->tls);
	if (d->verify != NULL)
		a->m->note[i].verify = mem_strdup(d->verify);
	line_delivery(a, i, "sent", d);
}

static void
settle_deferred(struct attempt *a, size_t i, const struct msg_job_done *d,
    uint64_t due)
{
	line_delivery(a, i, "deferred", d);
	settle_reschedule(a->m, i, due);
}

static void
settle_bounced(struct attempt *a, size_t i, const struct msg_job_done *d)
{
	struct record_rcpt *rc = &a->m->rec->rcpt[i];

	rc->state = RCPT_FAILED;
	rc->lane = 0;
	rc->due = 0;
	a->m->note[i].report = TELL_WANTED;
	line_delivery(a, i, "bounced", d);
}

/* ---- a whole result ---- */

static struct msg_job_result *
result_of(struct msg_job_done *d, size_t hint, uint32_t index)
{
	size_t k;

	if (hint < d->n_rcpt && d->rcpt[hint].index == index)
		return &d->rcpt[hint];
	for (k = 0; k < d->n_rcpt; k++)
		if (d->rcpt[k].index == index)
			return &d->rcpt[k];
	return NULL;
}

/* The recipient's last reply is that of the result; only a server that was
 * spoken to can refuse for good. */
void
settle_take_reply(struct attempt *a, uint32_t index, struct msg_job_done *d,
    size_t hint)
{
	static const uint8_t none[3] = { 4, 4, 2 };
	struct record_rcpt *rc = &a->m->rec->rcpt[index];
	struct msg_job_result *t = result_of(d, hint, index);

	if (t == NULL || (t->code / 100 == 2 && d->class != JOB_SETTLED)) {
		settle_set_reply(rc, 451, none, mem_strdup(d->text != NULL ? d->text :
		    "no result for this recipient"));
	} else {
		settle_set_reply(rc, t->code, t->status, t->text);
		t->text = NULL;		/* taken over */
	}
	if (d->class != JOB_SETTLED && rc->last_code / 100 == 5) {
		rc->last_code = 451;
		rc->last_status[0] = 4;
	}
	free(rc->remote);
	rc->remote = d->remote != NULL ? mem_strdup(d->remote) : NULL;
	free(a->m->note[index].spf);
	a->m->note[index].spf = d->spf != NULL ? mem_strdup(d->spf) : NULL;
}

static void
choose(struct record *r, const char *transport, char *route)
{
	if (transport != NULL && (r->transport == NULL ||
	    strcmp(r->transport, transport) != 0)) {
		free(r->transport);
		r->transport = mem_strdup(transport);
	}
	free(r->route);
	r->route = route;
}

void
settle_choice(struct record *r, const char *transport,
    const struct conf_route *route)
{
	choose(r, transport, route_text(route));
}

static void
take_choice(struct attempt *a)
{
	choose(a->m->rec, a->lane->name, a->route != NULL ?
	    mem_strdup(a->route) : NULL);
}

/* Of mail that waits for a closed lane the end moves on with the time. */
static uint64_t
next_due(const struct attempt *a, uint32_t attempts, uint64_t now)
{
	const struct queue *q = a->m->q;
	uint64_t due, end;

	if (lane_is_open(a->lane) || !expire_stands_still(a->lane))
		return retry_due(q, a->m->rec, attempts, now);
	due = now + retry_step(q, attempts);
	end = expire_last(q, a->m->rec);
	return due <= end ? due : end > now ? end : now;
}

static void
settle_recipients(struct attempt *a, struct msg_job_done *d)
{
	struct message *m = a->m;
	uint64_t now = clock_real_ms(), due = 0;
	uint32_t attempts = 0;
	bool deferred = false;
	size_t k;

	for (k = 0; k < a->n_rcpt; k++) {
		uint32_t i = a->rcpt[k];
		struct record_rcpt *rc = &m->rec->rcpt[i];

		if (rc->state != RCPT_PENDING)
			continue;
		settle_take_reply(a, i, d, k);
		if (rc->last_code / 100 == 2) {
			settle_delivered(a, i, d);
			continue;
		}
		if (rc->last_code / 100 == 5) {
			settle_bounced(a, i, d);
			continue;
		}
		if (due == 0 || attempts != rc->attempts)
			due = next_due(a, rc->attempts, now);
		attempts = rc->attempts;
		deferred = true;
		settle_deferred(a, i, d, due);
	}
	if (deferred)
		settle_warn(m);
}

/* All that an attempt leaves behind. */
static void
settle_end(struct attempt *a)
{
	struct message *m = a->m;

	attempt_free(a);
	message_finish(m);
	message_touch(m, false);
}

/* ---- the next transport ---- */

static void
settle_next(struct attempt *a, const struct msg_job_done *d)
{
	static const char *const class[] = { "settled", "unreachable",
	    "credential", "quota", "returned", "broken", "spf",
	    "offline" };
	struct lane *from = a->lane, *to;

	while (!lane_is_open(a->via[++a->at]))
		;			/* settle_can_go_on() has looked */
	to = a->via[a->at];

	log_begin(LL_WARN, "unusable");
	log_str("id", line_id_text(a->m->id).s);
	log_str("transport", from->name);
	log_str("why", class[d->class]);
	log_str("text", d->text);
	log_str("next", to->name);
	log_end();
	peer_unref(&a->peer);
	if (from != a->home) {
		from->active[LINE_RETRY]--;
		lane_kick(a->m->q, from);
	}
	a->lane = to;
	if (to == a->home) {
		attempt_take_slot(a);
		job_start(a);
	} else {
		attempt_wait_slot(a);
	}
}

/* A later transport of the route takes mail now. */
static bool
settle_can_go_on(const struct attempt *a)
{
	unsigned i;

	for (i = a->at + 1; i < a->n_via && !a->m->q->draining; i++)
		if (lane_is_open(a->via[i]))
			return true;
	return false;
}

void
settle_unusable(struct attempt *a, struct msg_job_done *d)
{
	probe_over(a);
	if (settle_can_go_on(a)) {
		settle_next(a, d);
		return;
	}
	take_choice(a);
	settle_recipients(a, d);
	settle_end(a);
}

/* There is no network: nothing is counted, and it waits until there is. */
static void
settle_offline(struct attempt *a)
{
	struct message *m = a->m;

	if (a->early) {
		probe_restore(a, NULL);
		return;
	}
	lease_undo(a);
	message_finish(m);
	message_touch(m, true);
}

/* Before MAIL, or a refusal that speaks of the account. */
static void
settle_transport(struct attempt *a, struct msg_job_done *d)
{
	lane_failed(a, d->class, d->text);
	if (d->class == JOB_OFFLINE)
		settle_offline(a);
	else if (a->early)
		probe_restore(a, d);
	else
		settle_unusable(a, d);
}

/* Never begun: another process may do it, and nothing is counted. */
static void
settle_returned(struct attempt *a)
{
	struct queue *q = a->m->q;
	struct message *m = a->m;

	if (a->peer != NULL)
		a->peer->returning = true;
	peer_unref(&a->peer);
	/* Or its transport went with the configuration that it was of, or
	 * has closed meanwhile. */
	if (q->draining || !a->lane->remote ||
	    (!a->probe && !lane_is_open(a->lane))) {
		lease_undo(a);
		message_touch(m, true);
		return;
	}
	job_wait(a);
	job_send_unsent(q);
}

static void
settle_reached(struct attempt *a)
{
	bool probe = a->probe;

	lane_reached(a);
	if (probe)
		probe_counts(a);
}

void
settle_job(struct attempt *a, struct msg_job_done *d)
{
	struct message *m = a->m;

	(void)FAULT("queue.result.received");
	metrics_job(a, d);
	if (m->gone || m->damaged) {
		attempt_free(a);
		return;
	}
	if (d->class == JOB_RETURNED) {
		settle_returned(a);
		return;
	}
	if (d->class == JOB_BROKEN) {
		settle_refused_body(a, d);
		return;
	}
	if (d->class == JOB_UNUSABLE) {	/* for this sender alone; the
					 * server was there */
		settle_reached(a);
		settle_unusable(a, d);
		return;
	}
	if (d->class != JOB_SETTLED) {
		settle_transport(a, d);
		return;
	}
	settle_reached(a);
	take_choice(a);
	settle_recipients(a, d);
	settle_end(a);
}

void
settle_lost(struct attempt *a)
{
	static const uint8_t status[3] = { 4, 3, 0 };
	struct message *m = a->m;
	struct msg_job_done d;
	uint64_t now = clock_real_ms();
	size_t k;

	if (m->gone || m->damaged) {
		attempt_free(a);
		return;
	}
	if (a->early) {
		probe_restore(a, NULL);
		return;
	}
	memset(&d, 0, sizeof(d));
	take_choice(a);
	for (k = 0; k < a->n_rcpt; k++) {
		struct record_rcpt *rc = &m->rec->rcpt[a->rcpt[k]];

		if (rc->state != RCPT_PENDING)
			continue;
		settle_set_reply(rc, 451, status, mem_strdup("451 4.3.0 the process "
		    "that delivered it has ended"));
		settle_deferred(a, a->rcpt[k], &d,
		    now + retry_crash_step(m->q, rc->attempts));
	}
	settle_end(a);
}

/* ---- bodies ---- */

/* Is the file what was received?  Read at once: this is rare. */
static bool
file_is_whole(const struct message *m, struct err *e)
{
	char *buf = loop_scratch(m->q->loop);
	uint64_t size = 0;
	uint32_t crc = 0;
	ssize_t n;
	int fd = store_open_body(m->q->store, m->rec, e);

	if (fd < 0)
		return false;
	while ((n = read(fd, buf, LOOP_SCRATCH)) > 0) {
		crc = crc32c(crc, buf, (size_t)n);
		size += (uint64_t)n;
	}
	close(fd);
	if (n == 0 && size == m->rec->body_size && crc == m->rec->body_crc)
		return true;
	err_set(e, n < 0 ? EIO : EILSEQ, "the body's file is damaged");
	return false;
}

/* Delivery says that the body is not what the job promised. */
void
settle_refused_body(struct attempt *a, const struct msg_job_done *d)
{
	struct message *m = a->m;
	struct err e = { 0, "" };

	log_msg(LL_ERROR, "body", "%s: %s", line_id_text(m->id).s,
	    d->text != NULL ? d->text : "refused by delivery");
	if (m->rec->body_kind == BODY_FILE)
		(void)file_is_whole(m, &e);
	else
		(void)message_need_body(m, &e);
	if (e.code == 0)
		err_set(&e, EIO, "the body did not arrive at delivery");
	settle_broken(a, &e);
}

void
settle_broken(struct attempt *a, const struct err *why)
{
	static const uint8_t status[3] = { 4, 3, 0 };
	struct message *m = a->m;
	struct attempt *next;
	struct msg_job_done d;
	size_t k;

	line_id(LL_ERROR, "body", m->id, why->text);
	if (why->code == EILSEQ || why->code == ENOENT) {
		m->damaged = true;
		m->end = "its body cannot be read";
		attempt_free(a);
		for (a = TAILQ_FIRST(&m->attempts); a != NULL; a = next) {
			next = TAILQ_NEXT(a, link);
			if (a->state != ATTEMPT_RUNNING)
				attempt_free(a);
		}
		message_touch(m, true);
		return;
	}
	memset(&d, 0, sizeof(d));
	for (k = 0; k < a->n_rcpt; k++) {
		struct record_rcpt *rc = &m->rec->rcpt[a->rcpt[k]];

		settle_set_reply(rc, 451, status, mem_printf("451 4.3.0 %s",
		    why->text));
		settle_deferred(a, a->rcpt[k], &d, retry_due(m->q, m->rec,
		    rc->attempts, clock_real_ms()));
	}
	settle_end(a);
}

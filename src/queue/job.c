/*
 * Jobs for delivery: an attempt that is recorded goes to the next process in
 * turn that has credit, body and all.  Run by queue.
 *
 * Without a process it waits in RAM (bounded by the lanes' windows); a body
 * that cannot be read is settled as broken.
 */
#include <sys/mman.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/received.h"
#include "queue/internal.h"

#define FEW 16

static bool
job_may_wait(const struct message *m)
{
	return !m->q->draining && !m->gone && !m->damaged && !m->removing &&
	    !m->bouncing;
}

static void
job_done(void *arg, struct port_message *pm)
{
	struct attempt *a = arg;
	struct message *m = a->m;
	struct msg_job_done d;

	if (pm != NULL && pm->fd >= 0)
		close(pm->fd);		/* nobody asked for one */
	if (pm == NULL) {
		(void)window_job_ended(a, NULL);
		rate_spend(a);
		settle_lost(a);
	} else if (pm->type != MSG_JOB_DONE ||
	    msg_job_done_decode(pm->data, &d) < 0) {
		log_msg(LL_ERROR, "channel", "%s: a result that is garbage",
		    a->peer->port != NULL ? port_name(a->peer->port) :
		    "delivery");
		(void)window_job_ended(a, NULL);
		rate_spend(a);
		settle_lost(a);
	} else {
		if (d.class == JOB_SETTLED)
			rate_spend(a);
		if (window_job_ended(a, &d) && job_may_wait(m))
			window_wait(a);
		else
			settle_job(a, &d);
		msg_job_done_clear(&d);
	}
	message_rest(m);
}

/* After a refusal of the kind that depends on our address (delivery makes it
 * temporary the first time), the other family of addresses goes first. */
static uint8_t
job_avoid(const struct record_rcpt *rc)
{
	const char *address = rc->remote != NULL ? strchr(rc->remote, '[') :
	    NULL;

	if (address == NULL || rc->last_code / 100 != 4 ||
	    rc->last_status[1] != 7)
		return 0;
	return memchr(address, ':', strcspn(address, "]")) != NULL ? 6 : 4;
}

static void
job_fill(struct attempt *a, struct msg_job *j, struct msg_job_rcpt *rc)
{
	const struct record *r = a->m->rec;
	const struct envelope *env = r->env;
	size_t k;

	memset(j, 0, sizeof(*j));
	j->id = a->m->id;
	j->transport = a->lane->name;
	j->site = a->lane->site;
	j->first = r->rcpt[a->rcpt[0]].attempts <= 1;
	j->avoid = job_avoid(&r->rcpt[a->rcpt[0]]);
	j->from = (char *)(uintptr_t)rewrite_sender(a->m);
	j->eight_bit = (env->flags & ENVELOPE_8BITMIME) != 0;
	j->smtputf8 = (env->flags & ENVELOPE_SMTPUTF8) != 0;
	j->ret = (uint8_t)env->ret;
	j->envid = env->envid;
	j->body_size = r->body_size;
	j->body_crc = r->body_crc;
	window_job(a, j);
	j->rcpt = rc;
	j->n_rcpt = (uint32_t)a->n_rcpt;
	for (k = 0; k < a->n_rcpt; k++) {
		const struct recipient *to = &env->recipients[a->rcpt[k]];

		rc[k].index = a->rcpt[k];
		rc[k].address = to->address;
		rc[k].notify = (uint8_t)to->notify;
		rc[k].orcpt = to->orcpt;
	}
}

static void
job_meta(struct attempt *a, struct strbuf *meta)
{
	struct msg_job_rcpt few[FEW], *rc = few;
	struct strbuf trace = STRBUF_INIT;
	const struct envelope *env = a->m->rec->env;
	struct msg_job j;

	if (a->n_rcpt > FEW)
		rc = mem_zarray(a->n_rcpt, sizeof(*rc));
	job_fill(a, &j, rc);
	received_compose(&trace, env, a->m->q->conf->hostname,
	    a->n_rcpt == 1 ? env->recipients[a->rcpt[0]].address : NULL);
	j.skip = rewrite_head(a->m, &trace);
	j.trace = (char *)(uintptr_t)strbuf_cstr(&trace);
	msg_job_encode(meta, &j);
	strbuf_free(&trace);
	if (rc != few)
		free(rc);
}

/* A body that does not go through the channel as octets: 0 with a descriptor,
 * or with -1 in *fd where it does. */
static int
job_body(struct message *m, int *fd, struct err *e)
{
	*fd = -1;
	if (message_need_body(m, e) < 0)
		return -1;
	if (m->rec->body_kind == BODY_FILE) {
		*fd = store_open_body(m->q->store, m->rec, e);
		return *fd < 0 ? -1 : 0;
	}
	if (m->body.n <= PORT_BODY_MAX)
		return 0;
	/* A report about very many recipients. */
	*fd = memfd_create("body", MFD_CLOEXEC);
	if (*fd >= 0 && fs_write_all(*fd, m->body.p, m->body.n) == 0)
		return 0;
	err_errno(e, "make a file for delivery");
	if (*fd >= 0)
		close(*fd);
	return -1;
}

/* The message and its attempts may have ended when this returns. */
static void
job_send(struct attempt *a, struct peer *p)
{
	struct message *m = a->m;
	struct strbuf meta = STRBUF_INIT;
	struct err e = { 0, "" };
	uint64_t ref;
	int fd;

	if (job_body(m, &fd, &e) < 0) {
		settle_broken(a, &e);
		return;
	}
	(void)FAULT("queue.before_job");
	a->state = ATTEMPT_RUNNING;
	a->peer = p;
	p->refs++;
	job_meta(a, &meta);
	a->sent_us = clock_mono_us();
	ref = port_request(p->port, 0, job_done, a);
	if (fd >= 0)
		port_transfer_fd(p->port, MSG_JOB, ref,
		    strbuf_slice(&meta), fd);
	else
		port_transfer(p->port, MSG_JOB, ref, strbuf_slice(&meta),
		    strbuf_slice(&m->body));
	strbuf_free(&meta);
}

void
job_send_unsent(struct queue *q)
{
	struct attempt *a;
	struct message *m;
	struct peer *p;
	size_t n = 0;

	TAILQ_FOREACH(a, &q->unsent, wait)
		n++;
	/* Once round: those that have to wait stay in their order.  One that
	 * is sent may take others of its message with it. */
	while (n-- > 0 && (a = TAILQ_FIRST(&q->unsent)) != NULL) {
		TAILQ_REMOVE(&q->unsent, a, wait);
		p = peer_for_job(q, a->lane);
		if (p == NULL) {
			TAILQ_INSERT_TAIL(&q->unsent, a, wait);
			continue;
		}
		m = a->m;
		a->state = ATTEMPT_RECORDING;
		job_send(a, p);
		message_rest(m);
	}
}

void
job_wait(struct attempt *a)
{
	a->state = ATTEMPT_UNSENT;
	TAILQ_INSERT_TAIL(&a->m->q->unsent, a, wait);
}

void
job_start(struct attempt *a)
{
	struct queue *q = a->m->q;
	struct peer *p;

	/* It may have closed while the attempt was being recorded. */
	if (!a->probe && !lane_is_open(a->lane)) {
		closed_attempt(a);
		return;
	}
	a->epoch = a->lane->epoch;
	if (local_settle(a))
		return;
	if (lane_resolves(a->lane)) {
		site_start(a);
		return;
	}
	attempt_split(a, lane_recipients(a->lane));
	if (lane_is_local(a->lane)) {
		local_start(a);
		return;
	}
	p = peer_for_job(q, a->lane);
	if (p != NULL)
		job_send(a, p);
	else
		job_wait(a);
}

/* ---- results of our own ---- */

void
job_set_result(struct msg_job_result *r, uint16_t code,
    const uint8_t status[3], const char *text)
{
	free(r->text);
	r->code = code;
	memcpy(r->status, status, sizeof(r->status));
	r->text = mem_printf("%u %u.%u.%u %s", code, status[0], status[1],
	    status[2], text);
}

void
job_own_result(const struct attempt *a, enum job_class class, uint16_t code,
    const uint8_t status[3], const char *text, struct msg_job_done *d)
{
	size_t k;

	memset(d, 0, sizeof(*d));
	d->class = (uint8_t)class;
	d->text = mem_strdup(text);
	d->n_rcpt = (uint32_t)a->n_rcpt;
	d->rcpt = mem_zarray(a->n_rcpt, sizeof(*d->rcpt));
	for (k = 0; k < a->n_rcpt; k++) {
		d->rcpt[k].index = a->rcpt[k];
		job_set_result(&d->rcpt[k], code, status, text);
	}
}

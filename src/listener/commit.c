/* Handing a message to the queue (listener): one transfer for envelope and
 * body, one answer, and the 250 only after it.  When the channel is full the
 * session waits without reading; when the queue is gone the client hears 451
 * and keeps its message. */
#include "listener/session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

static void
refuse(struct session *s, enum refusal_id id)
{
	session_set_state(s, ST_READY);
	session_refuse(s, id);
	smtpd_transaction_drop(s);
}

/* The client may have been told to wait for the end of this message. */
static void
finish(struct session *s)
{
	if (s->owner->base.draining && s->state != ST_CLOSED)
		session_refuse(s, REFUSE_DRAIN);
	session_run(s);
}

static void
on_committed(void *arg, struct port_message *m)
{
	struct session *s = arg;
	struct smtp_refusal no;
	struct msg_done done;

	session_answered(s);
	if (m == NULL || m->type != MSG_DONE ||
	    msg_done_decode(m->data, &done) != 0) {
		refuse(s, REFUSE_QUEUE_GONE);
	} else if (done.code / 100 == 2) {
		s->errors = 0;
		s->deadline = clock_mono_ms() + s->ep->conf->timeout *
		    SESSION_TIMEOUTS;
		session_set_state(s, ST_READY);
		session_accepted(s, s->tx->env.id);
		smtpd_transaction_drop(s);
	} else {
		no.code = done.code;
		no.status = MAIL_STATUS(done.status[0], done.status[1],
		    done.status[2]);
		no.text = done.text;
		session_set_state(s, ST_READY);
		session_refuse_as(s, "queue", &no);
		smtpd_transaction_drop(s);
	}
	finish(s);
}

static char *
tls_text(const struct session *s)
{
	if (!s->tls)
		return NULL;
	return mem_printf("%s %s", conn_tls_version(s->conn),
	    conn_tls_cipher(s->conn));
}

/* The envelope borrows what the session owns while it is encoded. */
static int
encode(struct session *s, struct strbuf *meta, struct err *e)
{
	struct envelope env = s->tx->env;
	int r;

	if (s->ep->submit)
		env.protocol = MAIL_PROTO_LOCAL;
	else
		env.protocol = s->esmtp ? MAIL_PROTO_ESMTP : MAIL_PROTO_SMTP;
	env.helo = s->helo;
	env.client = s->client_text;
	env.client_port = s->client_port;
	env.listener = s->ep->conf->name;
	env.login = s->login;
	env.uid = s->uid;
	env.tls = tls_text(s);
	r = envelope_encode(&env, true, meta, e);
	free(env.tls);
	return r;
}

static void
send_mail(struct session *s)
{
	struct listener *l = s->owner;
	struct transaction *tx = s->tx;
	struct envelope *env = &tx->env;
	struct strbuf *meta = &l->scratch;
	struct err e = { 0 };
	uint64_t ref;

	env->received_ms = clock_real_ms();
	env->id = message_number_next(&l->number, env->received_ms);
	env->size = tx->fd != -1 ? tx->size : tx->text.n;
	env->crc = tx->fd != -1 ? tx->crc : crc32c(0, tx->text.p, tx->text.n);
	strbuf_clear(meta);
	if (FAULT("listener.before_commit") != 0)
		err_errno(&e, "fault");
	if (e.code != 0 || encode(s, meta, &e) != 0) {
		log_msg(LL_ERROR, "commit", "%s", e.text);
		refuse(s, REFUSE_INTERNAL);
		return;
	}
	ref = session_request(s, l->queue, 0, on_committed, ST_COMMIT);
	if (tx->fd != -1) {
		port_transfer_fd(l->queue, MSG_MAIL, ref, strbuf_slice(meta),
		    tx->fd);
		tx->fd = -1;
	} else {
		port_transfer(l->queue, MSG_MAIL, ref, strbuf_slice(meta),
		    strbuf_slice(&tx->text));
	}
}

static void
submit(struct session *s)
{
	struct listener *l = s->owner;

	if (l->queue == NULL) {
		refuse(s, REFUSE_QUEUE_GONE);
	} else if (TAILQ_EMPTY(&l->blocked) && port_can_send(l->queue)) {
		send_mail(s);
	} else {
		session_set_state(s, ST_BLOCKED);
		TAILQ_INSERT_TAIL(&l->blocked, s, blocked_link);
		conn_pause(s->conn);
	}
}

void
smtpd_commit_begin(struct session *s)
{
	struct transaction *tx = s->tx;

	if (tx->fd == -1)
		smtpd_body_header(s);
	else
		smtpd_body_write(tx, true);
	if (tx->refused != REFUSE_NOTHING) {
		refuse(s, tx->refused);
		if (s->state != ST_CLOSED && s->owner->base.draining)
			session_refuse(s, REFUSE_DRAIN);
	} else {
		submit(s);
	}
}

static struct session *
unblock_first(struct listener *l)
{
	struct session *s = TAILQ_FIRST(&l->blocked);

	TAILQ_REMOVE(&l->blocked, s, blocked_link);
	session_set_state(s, ST_READY);
	conn_resume(s->conn);
	return s;
}

void
smtpd_commit_unblock(struct listener *l)
{
	while (l->queue != NULL && !TAILQ_EMPTY(&l->blocked) &&
	    port_can_send(l->queue))
		send_mail(unblock_first(l));
}

void
smtpd_commit_queue_gone(struct listener *l)
{
	struct session *s;

	while (!TAILQ_EMPTY(&l->blocked)) {
		s = unblock_first(l);
		refuse(s, REFUSE_QUEUE_GONE);
		finish(s);
	}
}

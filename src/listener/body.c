/* The text of a message between the client and the queue (listener): in
 * memory up to SESSION_INLINE_MAX, beyond that in a file without a name whose
 * descriptor the queue hands over.  Nothing of it is changed, but for the
 * fields that submitted mail may lack (RFC 6409 8). */
#include "listener/session.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "ipc/msg.h"
#include "mail/header.h"
#include "mail/qualify.h"
#include "mail/submission_fields.h"

#define WRITE_MIN (64u * 1024)
#define SPOOL_MS 30000

void
smtpd_body_refuse(struct transaction *tx, enum refusal_id id)
{
	if (tx->refused == REFUSE_NOTHING)
		tx->refused = id;
	if (tx->fd != -1)
		close(tx->fd);
	tx->fd = -1;
	strbuf_clear(&tx->text);
}

void
smtpd_body_write(struct transaction *tx, bool all)
{
	if (tx->refused != REFUSE_NOTHING || tx->fd == -1 ||
	    (!all && tx->text.n < WRITE_MIN))
		return;
	if (FAULT("listener.data") != 0 ||
	    fs_write_all(tx->fd, tx->text.p, tx->text.n) != 0) {
		log_msg(LL_ERROR, "spool", "write: %s", strerror(errno));
		smtpd_body_refuse(tx, errno == ENOSPC || errno == EDQUOT ?
		    REFUSE_NO_SPACE : REFUSE_INTERNAL);
		return;
	}
	tx->crc = crc32c(tx->crc, tx->text.p, tx->text.n);
	tx->size += tx->text.n;
	strbuf_clear(&tx->text);
}

/* ---- the header ---- */

static bool
adds_headers(const struct session *s)
{
	return s->ep->conf->add_headers && (s->ep->submit ||
	    s->login != NULL || s->ep->conf->auth == AUTH_REQUIRED);
}

/* Octets of the text at the front become others. */
static void
replace_front(struct strbuf *text, size_t n, const struct strbuf *by)
{
	size_t rest = text->n - n;

	if (by->n > n)
		(void)strbuf_room(text, by->n - n);
	memmove(text->p + by->n, text->p + n, rest);
	memcpy(text->p, by->p, by->n);
	text->n = by->n + rest;
	text->p[text->n] = '\0';
}

static void
add_fields(struct session *s, const struct header_scan *scan)
{
	struct strbuf *text = &s->tx->text, *b = &s->owner->scratch;

	strbuf_clear(b);
	if (submission_fields(b, scan, clock_real_ms(),
	    s->owner->conf->hostname, s->tx->env.from) == 0)
		return;
	/* A text without any header: what was its first line must not become
	 * a part of ours. */
	if (scan->fields_end == 0 && scan->body == 0 && text->n > 0)
		strbuf_puts(b, "\r\n");
	replace_front(text, 0, b);
}

static void
qualify(struct session *s, struct header_scan *scan)
{
	struct strbuf *text = &s->tx->text, *b = &s->owner->scratch;
	struct slice fields = slice_of(text->p, scan->fields_end);

	strbuf_clear(b);
	if ((scan->present & HEADER_DKIM_SIGNATURE) != 0 ||
	    !qualify_fields(fields, s->owner->conf->qualify_domain, b))
		return;
	replace_front(text, scan->fields_end, b);
	scan->body = scan->body - scan->fields_end + b->n;
	scan->fields_end = b->n;
}

void
smtpd_body_header(struct session *s)
{
	struct transaction *tx = s->tx;
	struct header_scan scan;

	if (tx->refused != REFUSE_NOTHING)
		return;
	header_scan(strbuf_slice(&tx->text), &scan);
	tx->env.hops = scan.received;
	if (scan.present & HEADER_DKIM_SIGNATURE)
		tx->env.flags |= ENVELOPE_SIGNED;
	if (scan.received > SESSION_HOPS_MAX)
		smtpd_body_refuse(tx, REFUSE_HOPS);
	else if (adds_headers(s) && (scan.complete || tx->ended)) {
		qualify(s, &scan);
		add_fields(s, &scan);
	}
}

/* ---- the file ---- */

static void
on_spool_file(void *arg, struct port_message *m)
{
	struct session *s = arg;
	struct transaction *tx = s->tx;
	struct msg_done done;

	session_answered(s);
	session_set_state(s, (enum session_state)s->back);
	if (m != NULL && m->type == MSG_SPOOL_FILE && m->fd != -1) {
		tx->fd = m->fd;
		m->fd = -1;
		smtpd_body_header(s);
		smtpd_body_write(tx, false);
	} else if (m != NULL && m->type == MSG_DONE &&
	    msg_done_decode(m->data, &done) == 0 && done.code == 452) {
		smtpd_body_refuse(tx, REFUSE_NO_SPACE);
	} else {
		smtpd_body_refuse(tx, REFUSE_QUEUE_GONE);
	}
	if (tx->ended)
		smtpd_commit_begin(s);
	session_run(s);
}

void
smtpd_body_spool(struct session *s)
{
	struct port *queue = s->owner->queue;
	uint64_t ref;

	if (queue == NULL) {
		smtpd_body_refuse(s->tx, REFUSE_QUEUE_GONE);
		if (s->tx->ended)
			smtpd_commit_begin(s);
		return;
	}
	s->back = s->state;
	ref = session_request(s, queue, SPOOL_MS, on_spool_file, ST_SPOOL);
	port_send(queue, MSG_SPOOL_WANT, ref, slice_of("", 0));
}

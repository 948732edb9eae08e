/* RCPT (listener; RFC 5321 4.1.1.3): recipients of local-domains are verified
 * by the queue, others need leave to relay.  A refusal concerns this recipient
 * alone. */
#include "listener/auth_offer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"
#include "mail/domain.h"
#include "mail/smtp_params.h"

#define VERIFY_MS 30000
/* The rest is for the other strings of the envelope. */
#define RECIPIENTS_OCTETS (PORT_META_MAX - 128u * 1024)

/* Recipients with a bare local part count as local: their domain is ours. */
static bool
is_local(const struct session *s, const struct mail_path *path)
{
	char domain[MAIL_DOMAIN_MAX + 1];

	if (path->domain.n == 0)
		return slice_eq_case_cstr(path->local, "postmaster") ||
		    htab_get(s->owner->local_domains,
		    slice_cstr(s->owner->conf->qualify_domain)) != NULL;
	if (mail_domain_normal(path->domain, domain) != 0)
		return false;
	return htab_get(s->owner->local_domains, slice_cstr(domain)) != NULL;
}

static enum refusal_id
may_relay(const struct session *s)
{
	struct relay_standing standing = {
		.trusted = s->trusted,
		.must_auth = s->must_auth,
		.authenticated = s->login != NULL,
		.auth_offered = smtpd_auth_offered(s) ||
		    (smtpd_tls_offered(s) && auth_possible(s)),
	};

	switch (relay_may(&standing)) {
	case RELAY_YES:
		return REFUSE_NOTHING;
	case RELAY_NEEDS_AUTH:
		return REFUSE_AUTH_FIRST;
	case RELAY_NO:
		break;
	}
	return REFUSE_RELAY;
}

static void
pending_clear(struct transaction *tx)
{
	free(tx->pending.address);
	free(tx->pending.orcpt);
	tx->pending = (struct recipient){ 0 };
}

static size_t
recipient_octets(const struct recipient *r)
{
	return strlen(r->address) + (r->orcpt != NULL ? strlen(r->orcpt) : 0) +
	    8;
}

/* All of them have to fit what goes to the queue in one piece. */
static bool
is_crowded(const struct session *s)
{
	const struct transaction *tx = s->tx;

	return tx->env.recipient_count >= s->owner->conf->max_recipients ||
	    tx->octets + recipient_octets(&tx->pending) > RECIPIENTS_OCTETS;
}

static void
accept_pending(struct session *s)
{
	struct recipient *r = &s->tx->pending;

	s->tx->octets += recipient_octets(r);
	envelope_add_recipient(&s->tx->env, slice_cstr(r->address), r->notify,
	    slice_cstr(r->orcpt));
	pending_clear(s->tx);
	session_set_state(s, ST_RCPT);
	SAY(s, "250 2.1.5 Recipient ok\r\n");
}

/* Where the session stands when a recipient was refused. */
static void
after_refusal(struct session *s)
{
	if (s->state == ST_CLOSED)
		return;
	pending_clear(s->tx);
	session_set_state(s, s->tx->env.recipient_count > 0 ? ST_RCPT :
	    ST_MAIL);
}

static void
on_verified(void *arg, struct port_message *m)
{
	struct session *s = arg;
	struct smtp_refusal no;
	struct msg_done done;

	session_answered(s);
	session_set_state(s, s->tx->env.recipient_count > 0 ? ST_RCPT :
	    ST_MAIL);
	if (m == NULL || m->type != MSG_DONE ||
	    msg_done_decode(m->data, &done) != 0) {
		session_refuse(s, REFUSE_QUEUE_GONE);
		after_refusal(s);
	} else if (done.code / 100 == 2) {
		accept_pending(s);
	} else {
		no.code = done.code;
		no.status = MAIL_STATUS(done.status[0], done.status[1],
		    done.status[2]);
		no.text = done.text;
		session_refuse_as(s, "local-recipient", &no);
		after_refusal(s);
	}
	session_run(s);
}

static void
verify(struct session *s)
{
	struct port *queue = s->owner->queue;
	uint64_t ref;

	if (queue == NULL) {
		session_refuse(s, REFUSE_QUEUE_GONE);
		after_refusal(s);
		return;
	}
	ref = session_request(s, queue, VERIFY_MS, on_verified, ST_VERIFY);
	port_send(queue, MSG_VERIFY, ref, slice_cstr(s->tx->pending.address));
}

static void
pending_set(struct session *s, const struct smtp_rcpt *r)
{
	struct recipient *p = &s->tx->pending;

	p->notify = r->notify;
	p->orcpt = r->orcpt.n > 0 ? slice_dup(r->orcpt) : NULL;
	if (r->path.domain.n > 0)
		p->address = slice_dup(r->path.whole);
	else
		p->address = mem_printf("%.*s@%s", (int)r->path.whole.n,
		    r->path.whole.p, s->owner->conf->qualify_domain);
}

void
smtpd_rcpt(struct session *s, const struct smtp_command *c)
{
	struct transaction *tx = s->tx;
	enum refusal_id id = REFUSE_NOTHING;
	struct smtp_refusal no;
	struct smtp_rcpt r;
	bool local;

	if (smtp_rcpt_parse(c->arg, s->ep->submit ? SMTP_PARAM_DSN : 0,
	    (tx->env.flags & ENVELOPE_SMTPUTF8) != 0, &r, &no) != 0) {
		session_refuse_as(s, "syntax", &no);
		return;
	}
	local = is_local(s, &r.path);
	pending_set(s, &r);
	if (is_crowded(s))
		id = REFUSE_MAX_RECIPIENTS;
	else if (!local)
		id = may_relay(s);
	if (id == REFUSE_NOTHING && !relay_recipient_ok(s->login_conf,
	    s->block, slice_cstr(tx->pending.address)))
		id = REFUSE_RECIPIENT;
	if (id != REFUSE_NOTHING) {
		session_refuse(s, id);
		after_refusal(s);
	} else if (local) {
		verify(s);
	} else {
		accept_pending(s);
	}
}

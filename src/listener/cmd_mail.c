/* MAIL (listener; RFC 5321 4.1.1.2, RFC 1870, RFC 6152, RFC 6531): begins a
 * transaction, or says why not; the session stays as it was then. */
#include "listener/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/smtp_params.h"

static unsigned
accepted_params(const struct session *s)
{
	unsigned accept = SMTP_PARAM_SIZE | SMTP_PARAM_BODY |
	    SMTP_PARAM_SMTPUTF8;

	if (s->ep->submit)
		accept |= SMTP_PARAM_DSN;
	if (s->auth_done || smtpd_auth_offered(s))
		accept |= SMTP_PARAM_AUTH;
	return accept;
}

/* What a client must have done before. */
static enum refusal_id
may_send(const struct session *s)
{
	if (s->ep->tls_mode == TLS_REQUIRED && !s->tls)
		return REFUSE_TLS_FIRST;
	if (!s->must_auth || s->login != NULL)
		return REFUSE_NOTHING;
	if (smtpd_auth_offered(s))
		return REFUSE_AUTH_FIRST;
	if (smtpd_tls_offered(s))
		return REFUSE_TLS_FIRST;
	return REFUSE_RELAY;
}

static enum refusal_id
judge(struct session *s, const struct smtp_mail *m, struct slice from)
{
	const struct conf *conf = s->owner->conf;
	const struct conf_rate *rate;

	if (m->has_size && m->size > s->limit)
		return REFUSE_TOO_BIG;
	if (!relay_sender_ok(conf, s->login_conf, s->block, from))
		return REFUSE_SENDER;
	rate = s->block != NULL && s->block->rate.count != 0 ?
	    &s->block->rate : &s->ep->conf->rate;
	if (!client_table_rate(s->client, rate, clock_mono_ms()))
		return REFUSE_RATE;
	return REFUSE_NOTHING;
}

/* The reverse-path with a domain; in the listener's scratch buffer. */
static struct slice
qualified(struct session *s, const struct mail_path *path)
{
	struct strbuf *b = &s->owner->scratch;

	if (path->whole.n == 0 || path->domain.n > 0)
		return path->whole;
	strbuf_clear(b);
	strbuf_add_slice(b, path->whole);
	strbuf_putc(b, '@');
	strbuf_puts(b, s->owner->conf->qualify_domain);
	return strbuf_slice(b);
}

static void
begin(struct session *s, const struct smtp_mail *m, struct slice from)
{
	struct transaction *tx = smtpd_transaction_begin(s);
	struct envelope *env = &tx->env;

	envelope_set(&env->from, from);
	if (m->body == SMTP_BODY_8BIT)
		env->flags |= ENVELOPE_8BITMIME;
	if (m->smtputf8)
		env->flags |= ENVELOPE_SMTPUTF8;
	env->ret = m->ret;
	if (m->envid.n > 0)
		envelope_set(&env->envid, m->envid);
	session_set_state(s, ST_MAIL);
	SAY(s, "250 2.1.0 Sender ok\r\n");
}

void
smtpd_mail(struct session *s, const struct smtp_command *c)
{
	struct smtp_refusal no;
	struct smtp_mail m;
	struct slice from;
	enum refusal_id id = may_send(s);

	if (id != REFUSE_NOTHING) {
		session_refuse(s, id);
		return;
	}
	if (smtp_mail_parse(c->arg, accepted_params(s), &m, &no) != 0) {
		session_refuse_as(s, "syntax", &no);
		return;
	}
	from = qualified(s, &m.path);
	id = judge(s, &m, from);
	if (id != REFUSE_NOTHING)
		session_refuse(s, id);
	else
		begin(s, &m, from);
}

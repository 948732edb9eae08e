/*
 * The log of the queue: one line for each event, with keys that do not
 * change.  Run by queue.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "mail/received.h"
#include "mail/status.h"
#include "queue/internal.h"

struct id_text
line_id_text(uint64_t id)
{
	struct id_text t = { "" };

	num_id_text(id, t.s);
	return t;
}

/* "<local@domain>" without a format. */
static void
log_path(const char *key, const char *address)
{
	char text[ENVELOPE_STRING_MAX + 2];
	size_t n = strlen(address);

	if (n > ENVELOPE_STRING_MAX)
		n = ENVELOPE_STRING_MAX;
	text[0] = '<';
	memcpy(text + 1, address, n);
	text[n + 1] = '>';
	log_slice(key, slice_of(text, n + 2));
}

void
line_id(enum log_level level, const char *event, uint64_t id,
    const char *why)
{
	log_begin(level, event);
	log_str("id", line_id_text(id).s);
	if (why != NULL && why[0] != 0)
		log_str("why", why);
	log_end();
}

static const char *
protocol_name(const struct envelope *env)
{
	const char *with = received_with(env);

	if (with[0] != 0)
		return with;
	return env->protocol == MAIL_PROTO_REPORT ? "report" :
	    env->protocol == MAIL_PROTO_ALERT ? "alert" : "local";
}

void
line_received(const struct message *m)
{
	const struct envelope *env = m->rec->env;

	metrics_received(m->q, env);
	if (!log_enabled(LL_INFO))
		return;
	log_begin(LL_INFO, "received");
	log_str("id", line_id_text(m->id).s);
	log_path("from", env->from);
	log_num("size", (int64_t)m->rec->body_size);
	log_num("nrcpt", (int64_t)env->recipient_count);
	log_str("client", env->client);
	log_str("helo", env->helo);
	log_str("proto", protocol_name(env));
	log_str("login", env->login);
	log_str("account", m->rec->account);
	log_end();
}

/* Milliseconds as seconds with two digits behind the point. */
static char *
seconds(char *p, uint64_t ms)
{
	char digits[24];
	size_t k = sizeof(digits);
	uint64_t v = ms / 10;

	digits[--k] = (char)('0' + v % 10);
	v /= 10;
	digits[--k] = (char)('0' + v % 10);
	v /= 10;
	digits[--k] = '.';
	do {
		digits[--k] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	memcpy(p, digits + k, sizeof(digits) - k);
	return p + (sizeof(digits) - k);
}

static uint64_t
since(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* In all; before its turn came / waiting for a slot or process / connecting /
 * transferring, as in Postfix. */
static void
log_delays(const struct attempt *a, const struct msg_job_done *d)
{
	uint64_t arrived = a->m->rec->env->received_ms;
	uint64_t now = clock_real_ms();
	uint64_t sent = a->sent_us / 1000, run = 0;
	char text[128], *p = text;

	if (sent != 0)
		run = since(sent, clock_mono_us() / 1000);
	p = seconds(p, since(arrived, now));
	log_slice("delay", slice_of(text, (size_t)(p - text)));
	p = seconds(text, since(arrived, a->started));
	*p++ = '/';
	p = seconds(p, since(a->started, since(run, now)));
	*p++ = '/';
	p = seconds(p, d->connect_ms);
	*p++ = '/';
	p = seconds(p, d->transfer_ms);
	log_slice("delays", slice_of(text, (size_t)(p - text)));
}

static void
log_dsn(const struct record_rcpt *rc)
{
	char text[MAIL_STATUS_LEN + 1];
	struct mail_status st = MAIL_STATUS(rc->last_status[0],
	    rc->last_status[1], rc->last_status[2]);

	if (st.class == 0)
		st = mail_status_of_code(rc->last_code);
	log_str("dsn", mail_status_text(st, text));
}

void
line_delivery(const struct attempt *a, size_t i, const char *status,
    const struct msg_job_done *d)
{
	const struct record *r = a->m->rec;
	const struct record_rcpt *rc = &r->rcpt[i];

	metrics_delivery(a, status);
	if (!log_enabled(LL_INFO))
		return;
	log_begin(LL_INFO, "delivery");
	log_str("id", line_id_text(a->m->id).s);
	log_path("from", r->env->from);
	log_path("to", r->env->recipients[i].address);
	log_str("relay", d->remote != NULL ? d->remote : "none");
	log_delays(a, d);
	log_dsn(rc);
	log_str("status", status);
	log_str("reply", rc->last_reply);
	log_str("tls", d->tls);
	log_str("verify", d->verify);
	log_str("spf", d->spf);
	log_str("transport", a->lane->name);
	log_str("route", a->route);
	log_end();
}

static void
line_without_attempt(enum log_level level, const struct message *m, size_t i,
    const char *status)
{
	const struct record *r = m->rec;
	const struct record_rcpt *rc = &r->rcpt[i];
	char text[32], *p;

	if (!log_enabled(level))
		return;
	log_begin(level, "delivery");
	log_str("id", line_id_text(m->id).s);
	log_path("from", r->env->from);
	log_path("to", r->env->recipients[i].address);
	log_str("relay", "none");
	p = seconds(text, since(r->env->received_ms, clock_real_ms()));
	log_slice("delay", slice_of(text, (size_t)(p - text)));
	log_dsn(rc);
	log_str("status", status);
	log_str("reply", rc->last_reply);
	log_str("transport", r->transport);
	log_str("route", r->route);
	log_end();
}

/* A recipient that came to its end without an attempt. */
void
line_settled(const struct message *m, size_t i)
{
	line_without_attempt(LL_INFO, m, i,
	    m->rec->rcpt[i].state == RCPT_EXPIRED ? "expired" : "bounced");
}

void
line_moved(enum log_level level, const struct message *m, size_t i)
{
	line_without_attempt(level, m, i, "deferred");
}

/*
 * `transport test`: delivery tries a transport's next hops for a human, and
 * tells each step.  Run by queue, asked by the control socket.  Nothing in
 * the queue changes by it, and no lane is told.
 *
 * The sender is one that the transport's login may use, as far as that is
 * known: the login's name where it is an address, an address of the account,
 * else the postmaster.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/advice.h"
#include "queue/control_private.h"
#include "queue/internal.h"

#define ANSWER_MS 150000u

void
control_trial_forget(struct caller *cl)
{
	if (cl->trial == NULL)
		return;
	msg_trial_done_clear(cl->trial);
	free(cl->trial);
	cl->trial = NULL;
}

static void
on_answer(void *arg, struct port_message *pm)
{
	struct caller *cl = arg;

	cl->under_way--;
	cl->trial = mem_zalloc(sizeof(*cl->trial));
	if (pm == NULL || pm->type != MSG_TRIAL_DONE ||
	    msg_trial_done_decode(pm->data, cl->trial) < 0)
		memset(cl->trial, 0, sizeof(*cl->trial));
	caller_wake(cl);
}

/* ---- the question ---- */

static const char *
account_address(const struct conf *conf, const char *account)
{
	size_t i = account != NULL ? conf_account_find(conf, account) :
	    SIZE_MAX;

	return i != SIZE_MAX && strchr(account, '@') != NULL ? account : NULL;
}

static const char *
sender_for(const struct conf *conf, const struct conf_transport *t)
{
	const char *own = account_address(conf, t->account);

	if (own != NULL)
		return own;
	if (t->username != NULL && strchr(t->username, '@') != NULL)
		return t->username;
	return conf->postmaster;
}

static char *
message_for(const struct conf *conf, const char *transport,
    const char *from, const char *to)
{
	struct strbuf b = STRBUF_INIT;
	char *text, date[64];

	strbuf_printf(&b, "Date: %s\r\nFrom: <%s>\r\nTo: <%s>\r\n"
	    "Subject: smarthostd: test of transport %s\r\n"
	    "Message-ID: <test.%llu@%s>\r\n"
	    "Auto-Submitted: auto-generated\r\n\r\n"
	    "This message was sent by `relayctl transport test %s --send` on "
	    "%s.\r\n", clock_rfc5322(clock_real_ms(), date, sizeof(date)),
	    from, to, transport,
	    (unsigned long long)clock_real_ms(), conf->hostname, transport,
	    conf->hostname);
	text = mem_strdup(strbuf_cstr(&b));
	strbuf_free(&b);
	return text;
}

static enum step
ask(struct caller *cl, const struct conf_transport *t)
{
	struct queue *q = cl->c->q;
	struct peer *p = peer_for_job(q, lane_named(q, t->name));
	struct strbuf b = STRBUF_INIT;
	struct msg_trial m = { .transport = t->name, .to = cl->req.to };
	uint64_t ref;

	if (p == NULL)
		return caller_end(cl, CTL_UNAVAILABLE, "delivery is being "
		    "started, or has too much to do: try again");
	m.from = (char *)(uintptr_t)sender_for(queue_conf(q), t);
	m.policy = (char *)(uintptr_t)site_policy(q, lane_named(q, t->name),
	    cl->req.to != NULL ? cl->req.to : "");
	if (cl->req.send)
		m.message = message_for(queue_conf(q), t->name, m.from, m.to);
	msg_trial_encode(&b, &m);
	cl->under_way++;
	ref = port_request(p->port, ANSWER_MS, on_answer, cl);
	port_send(p->port, MSG_TRIAL, ref, strbuf_slice(&b));
	strbuf_free(&b);
	free(m.message);
	conn_timeout(cl->conn, ANSWER_MS + 10000);
	return STEP_WAIT;
}

/* ---- the answer ---- */

static void
write_step(struct json_writer *w, const struct msg_trial_step *s)
{
	const char *advice = s->ok ? NULL : mail_advice(s->text);

	json_object(w, NULL);
	json_text(w, "name", s->name);
	json_bool(w, "ok", s->ok);
	json_text(w, "text", s->text);
	json_text(w, "advice", advice);
	json_close_object(w);
}

static bool
is_warning(const char *step)
{
	return strcmp(step, "egress") == 0 || strcmp(step, "verify") == 0;
}

/* Hosts that could not be used, by the next one. */
static bool
is_made_good(const char *step)
{
	return strcmp(step, "connect") == 0 || strcmp(step, "resolve") == 0 ||
	    strcmp(step, "proxy") == 0 || strcmp(step, "dane") == 0 ||
	    strcmp(step, "mta-sts") == 0;
}

/* The last step has gone well, and what went wrong before was made good. */
static bool
has_worked(const struct msg_trial_done *d)
{
	bool ok = false;
	uint32_t i;

	for (i = 0; i < d->n_steps; i++) {
		if (is_warning(d->step[i].name))
			continue;
		ok = d->step[i].ok;
		if (!ok && !is_made_good(d->step[i].name))
			return false;
	}
	return ok;
}

static enum step
tell(struct caller *cl)
{
	const struct msg_trial_done *d = cl->trial;
	struct json_writer w;
	bool ok = has_worked(d);
	uint32_t i;

	if (d->dialogue == NULL)
		return caller_end(cl, CTL_UNAVAILABLE, "delivery ended, or did "
		    "not answer in time");
	w = caller_item(cl);
	json_text(&w, "name", cl->req.name);
	json_bool(&w, "ok", ok);
	json_array(&w, "steps");
	for (i = 0; i < d->n_steps; i++)
		write_step(&w, &d->step[i]);
	json_close_array(&w);
	json_text(&w, "dialogue", d->dialogue);
	caller_item_end(cl, &w);
	return caller_end(cl, ok ? CTL_OK : CTL_NONE, "%s", "");
}

static bool
has_server(const struct conf_transport *t)
{
	return t->kind == TRANSPORT_DIRECT || t->n_hosts > 0 ||
	    t->lmtp_path != NULL;
}

enum step
control_transport_test(struct caller *cl)
{
	const struct conf *conf = queue_conf(cl->c->q);
	const struct conf_transport *t;

	if (cl->trial != NULL)
		return tell(cl);
	if (cl->req.name == NULL)
		return caller_end(cl, CTL_USAGE, "which transport?");
	t = conf_transport_get(conf, cl->req.name);
	if (t == NULL)
		return caller_end(cl, CTL_NONE, "there is no transport `%s`",
		    cl->req.name);
	if (!has_server(t))
		return caller_end(cl, CTL_NONE, "transport `%s` has no server "
		    "that could be tested", cl->req.name);
	if (cl->req.send && cl->req.to == NULL)
		return caller_end(cl, CTL_USAGE, "--send needs --to ADDRESS");
	if (cl->req.to != NULL &&
	    !mail_address_valid(slice_cstr(cl->req.to), true))
		return caller_end(cl, CTL_USAGE, "`%s` is no address",
		    cl->req.to);
	return ask(cl, t);
}

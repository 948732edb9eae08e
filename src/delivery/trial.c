/*
 * `relayctl transport test`: one session with a transport's next hops, the
 * first that can be reached, told step by step.  Run by delivery.  It shares
 * nothing with the sessions that carry mail, and says nothing about them.
 */
#include "delivery/trial.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "delivery/egress.h"
#include "delivery/tls_policy.h"
#include "delivery/trial_private.h"

#define LIMIT_MS 120000u		/* for all of it */
#define STEPS_MAX 200u
#define DIALOGUE_MAX 49152u
#define TEXT_MAX 1500

/* ---- what is told ---- */

void
trial_step(struct trial *t, const char *name, bool ok, const char *text)
{
	struct msg_trial_step *s;
	size_t i, n = strnlen(text, TEXT_MAX);
	struct strbuf b = STRBUF_INIT;

	if (t->result.n_steps >= STEPS_MAX)
		return;
	for (i = 0; i < n; i++)
		strbuf_putc(&b, (unsigned char)text[i] < ' ' ||
		    text[i] == 127 ? ' ' : text[i]);
	t->result.step = mem_resize(t->result.step,
	    (t->result.n_steps + 1) * sizeof(*s));
	s = &t->result.step[t->result.n_steps++];
	s->ok = ok;
	s->name = mem_strdup(name);
	s->text = mem_strdup(strbuf_cstr(&b));
	strbuf_free(&b);
}

void
trial_dialogue(struct trial *t, const char *who, struct slice text)
{
	size_t i;

	if (t->dialogue.n + text.n > DIALOGUE_MAX)
		return;
	strbuf_puts(&t->dialogue, who);
	for (i = 0; i < text.n; i++)
		strbuf_putc(&t->dialogue, (unsigned char)text.p[i] < ' ' ||
		    text.p[i] == 127 ? '?' : text.p[i]);
	strbuf_putc(&t->dialogue, '\n');
}

/* ---- the end ---- */

static void
trial_free(struct trial *t)
{
	loop_timer_cancel(t->env->client.loop, &t->limit);
	loop_task_cancel(t->env->client.loop, &t->over);
	next_hop_cancel(&t->mx);
	reach_cancel(&t->reach);
	dane_cancel(&t->dane);
	if (t->fd >= 0)
		close(t->fd);
	smtp_client_free(&t->client);
	job_free(&t->job);
	free(t->site);
	free(t->name);
	free(t->remote);
	free(t->proxies);
	tls_context_free(&t->tls);
	tls_context_free(&t->policy);
	msg_trial_clear(&t->m);
	msg_trial_done_clear(&t->result);
	strbuf_free(&t->dialogue);
	strbuf_free(&t->said);
	strbuf_free(&t->auth);
	free(t);
}

void
trial_cancel(struct trial **tp)
{
	if (*tp != NULL)
		trial_free(*tp);
	*tp = NULL;
}

static void
on_over(void *arg)
{
	struct trial *t = arg;

	free(t->result.dialogue);
	t->result.dialogue = mem_strdup(strbuf_cstr(&t->dialogue));
	t->cb(t->arg, t, &t->result);
	trial_free(t);
}

void
trial_finish(struct trial *t)
{
	loop_defer(t->env->client.loop, &t->over);
}

static void
on_limit(void *arg)
{
	struct trial *t = arg;

	trial_step(t, t->at != NULL ? t->at : "connect", false,
	    "it took longer than two minutes: timed out");
	next_hop_cancel(&t->mx);
	reach_cancel(&t->reach);
	dane_cancel(&t->dane);
	smtp_client_free(&t->client);
	trial_finish(t);
}

/* ---- what the session tells ---- */

static const struct {
	const char *state, *step;
} steps[] = {
	{ "greeting", "greeting" }, { "ehlo", "ehlo" }, { "helo", "ehlo" },
	{ "starttls", "tls" }, { "handshake", "tls" },
	{ "auth-ask", "auth" }, { "auth", "auth" }, { "mail", "mail" },
	{ "rcpt", "rcpt" }, { "data", "message" }, { "body", "message" },
	{ "final", "message" }, { "rset", "rset" },
};

static const char *
step_of(const char *state)
{
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(steps[i].state, state) == 0)
			return steps[i].step;
	return NULL;
}

static bool
is_of_message(const char *name)
{
	return strcmp(name, "mail") == 0 || strcmp(name, "rcpt") == 0 ||
	    strcmp(name, "message") == 0;
}

static void
tell_egress(struct trial *t)
{
	bool known = false;
	char *text = egress_text(t->proxy, strbuf_slice(&t->said), &known);

	if (text != NULL)
		trial_step(t, "egress", known, text);
	free(text);
}

static void
passed(struct trial *t)
{
	struct strbuf b = STRBUF_INIT;
	char code = strbuf_cstr(&t->said)[0];
	bool ok = code != '4' && code != '5';

	if (!ok && is_of_message(t->at)) {
		t->refused = t->at;
		return;
	}
	if (ok && strcmp(t->at, "tls") == 0) {
		strbuf_puts(&b, smtp_client_tls(t->client) != NULL ?
		    smtp_client_tls(t->client) : "");
		strbuf_puts(&b, ", certificate: ");
		smtp_client_peer(t->client, &b);
		trial_dialogue(t, "-- ", strbuf_slice(&b));
	} else {
		if (strcmp(t->at, "auth") == 0)
			strbuf_printf(&b, "%s: ", strbuf_cstr(&t->auth));
		strbuf_puts(&b, strbuf_cstr(&t->said));
	}
	trial_step(t, t->at, ok, strbuf_cstr(&b));
	strbuf_free(&b);
	if (ok && strcmp(t->at, "ehlo") == 0 && !t->egress) {
		t->egress = true;
		tell_egress(t);
	}
}

/* Another state: the step that ends here has gone well, or ended() follows
 * and says how not. */
static void
on_state(struct trial *t, struct slice name)
{
	char state[32];
	const char *to;

	if (name.n >= sizeof(state))
		return;
	memcpy(state, name.p, name.n);
	state[name.n] = 0;
	if (strcmp(state, "ended") == 0)
		return;
	to = step_of(state);
	if (t->at != NULL && (to == NULL || strcmp(to, t->at) != 0))
		passed(t);
	t->at = to;
	if (strcmp(state, "body") == 0)
		trial_dialogue(t, "-- ", slice_cstr("the message follows"));
}

void
trial_trace(void *arg, char who, struct slice text)
{
	struct trial *t = arg;

	if (who == '=') {
		on_state(t, text);
		return;
	}
	trial_dialogue(t, who == 'C' ? "C: " : "S: ", text);
	if (who == 'C') {
		if (text.n > 5 && memcmp(text.p, "AUTH ", 5) == 0) {
			strbuf_clear(&t->auth);
			strbuf_add_slice(&t->auth, text);
		}
		strbuf_clear(&t->said);
		return;
	}
	if (t->said.n > 0)
		strbuf_puts(&t->said, ", ");
	/* The code of the first line stands for all. */
	strbuf_add_slice(&t->said, t->said.n > 0 && text.n > 4 ?
	    slice_skip(text, 4) : text);
}

/* What the policy would have made of it, or has. */
static void
tell_verify(struct trial *t)
{
	char *text = t->mark != SITE_MARK_NONE ?
	    smtp_client_verify(t->client) : NULL;

	if (text != NULL)
		trial_step(t, "verify", strstr(text, "would fail") == NULL, text);
	free(text);
}

/* ---- the session's callbacks ---- */

static void
on_ready(void *arg)
{
	struct trial *t = arg;

	if (!t->reached)
		tell_verify(t);
	t->reached = true;
	if (t->job != NULL && !t->tried) {
		t->tried = true;
		smtp_client_start(t->client, t->job);
		return;
	}
	if (!smtp_client_leave(t->client)) {
		smtp_client_free(&t->client);
		trial_finish(t);
	}
}

/* The job's one recipient has its answer. */
static void
on_done(void *arg, struct job *j)
{
	struct trial *t = arg;
	const struct job_rcpt *r = &j->rcpt[0];
	const char *text = r->text != NULL ? r->text : "";

	if (r->code / 100 != 2)
		trial_step(t, t->refused != NULL ? t->refused :
		    t->at != NULL ? t->at : "mail", false, text);
	else if (t->m.message != NULL)
		trial_step(t, "message", true, text);
	t->at = NULL;			/* RSET, if any, tells of itself */
}

static void
on_ended(void *arg, enum smtp_client_end how, struct job *left,
    const char *text)
{
	struct trial *t = arg;

	(void)left;
	if (t->at != NULL || how != SMTP_END_CLOSED)
		trial_step(t, t->at != NULL ? t->at : "session", false, text);
	t->at = NULL;
	smtp_client_free(&t->client);
	if (!t->reached && (how == SMTP_END_UNREACHABLE ||
	    how == SMTP_END_UNSAFE))
		trial_next_host(t);
	else
		trial_finish(t);
}

const struct smtp_client_events trial_events = {
	.ready = on_ready, .done = on_done, .ended = on_ended
};

/* ---- the message, where there is one ---- */

static void
make_job(struct trial *t)
{
	struct job *j = mem_zalloc(sizeof(*j));
	struct slice text = slice_cstr(t->m.message != NULL ? t->m.message :
	    "");

	j->m.transport = mem_strdup(t->t->name);
	j->m.from = mem_strdup(t->m.from);
	j->m.trace = mem_strdup("");
	j->m.rcpt = mem_zarray(1, sizeof(*j->m.rcpt));
	j->m.rcpt[0].address = mem_strdup(t->m.to);
	j->m.n_rcpt = 1;
	j->rcpt = mem_zarray(1, sizeof(*j->rcpt));
	j->open = 1;
	j->fd = -1;
	j->body = mem_dup(text.p, text.n + 1);
	j->m.body_size = j->size = text.n;
	j->m.body_crc = crc32c(0, text.p, text.n);
	t->job = j;
}

struct trial *
trial_start(struct pool_env *env, const struct conf *conf,
    const struct conf_transport *c, const struct msg_trial *m, trial_cb *cb,
    void *arg)
{
	struct trial *t = mem_zalloc(sizeof(*t));
	struct err e = { 0, "" };
	const char *domain = NULL;

	t->env = env;
	t->t = c;
	t->fd = -1;
	t->m.transport = mem_strdup(m->transport);
	t->m.from = mem_strdup(m->from);
	t->m.to = m->to != NULL ? mem_strdup(m->to) : NULL;
	t->m.message = m->message != NULL ? mem_strdup(m->message) : NULL;
	t->m.policy = m->policy != NULL ? mem_strdup(m->policy) : NULL;
	t->cb = cb;
	t->arg = arg;
	t->proxies = mem_zarray(c->n_proxies, sizeof(*t->proxies));
	loop_timer_init(&t->limit, on_limit, t);
	loop_timer_set(env->client.loop, &t->limit, LIMIT_MS);
	loop_task_init(&t->over, on_over, t);
	if (t->m.to != NULL)
		make_job(t);
	if (c->tls != TLS_OFF &&
	    (t->tls = tls_policy_new(c, TLS_POLICY_USUAL, env->ca,
	    &e)) == NULL) {
		trial_step(t, "tls", false, e.text);
		trial_finish(t);
	} else if (conf_transport_by_mx(c, &domain)) {
		trial_look_up(t, conf, domain);
	} else {
		trial_next_host(t);
	}
	return t;
}

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
#include "delivery/dane.h"
#include "delivery/egress.h"
#include "delivery/mx.h"
#include "delivery/proxy.h"
#include "delivery/reach.h"
#include "delivery/smtp_client.h"
#include "delivery/tls_policy.h"
#include "mail/address.h"
#include "mail/domain.h"

#define LIMIT_MS 120000u		/* for all of it */
#define STEPS_MAX 200u
#define DIALOGUE_MAX 49152u
#define TEXT_MAX 1500

struct trial {
	struct pool_env *env;
	const struct conf_transport *t;
	struct msg_trial m;
	trial_cb *cb;
	void *arg;

	struct mx_lookup *mx;
	char *site;			/* next hops that were looked up */
	char *name;			/* of the host at hand, and its port */
	unsigned port;
	size_t host;			/* the next one's place */
	struct tls_context *tls;
	struct proxy_state *proxies;
	const struct conf_proxy *proxy;	/* that is used, or NULL */
	struct reach *reach;
	struct dane *dane;
	int fd;				/* connected, while that looks, or -1 */
	char *remote;
	struct smtp_client *client;
	struct job *job;
	bool egress;			/* was looked at */
	bool reached;			/* a server that answers */
	bool tried;			/* the job has been given away */
	const char *at;			/* the step under way, NULL: none */
	const char *refused;		/* the step whose reply was a refusal;
					 * the recipient's answer tells it */
	struct strbuf said;		/* the last reply */
	struct strbuf auth;		/* "AUTH PLAIN" */

	struct msg_trial_done result;
	struct strbuf dialogue;
	struct loop_timer limit;
	struct loop_task over;
};

static void next_host(struct trial *t);

/* ---- what is told ---- */

static void
step(struct trial *t, const char *name, bool ok, const char *text)
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

static void
dialogue(struct trial *t, const char *who, struct slice text)
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
	mx_cancel(&t->mx);
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

static void
finish(struct trial *t)
{
	loop_defer(t->env->client.loop, &t->over);
}

static void
on_limit(void *arg)
{
	struct trial *t = arg;

	step(t, t->at != NULL ? t->at : "connect", false,
	    "it took longer than two minutes: timed out");
	mx_cancel(&t->mx);
	reach_cancel(&t->reach);
	dane_cancel(&t->dane);
	smtp_client_free(&t->client);
	finish(t);
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
		step(t, "egress", known, text);
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
		dialogue(t, "-- ", strbuf_slice(&b));
	} else {
		if (strcmp(t->at, "auth") == 0)
			strbuf_printf(&b, "%s: ", strbuf_cstr(&t->auth));
		strbuf_puts(&b, strbuf_cstr(&t->said));
	}
	step(t, t->at, ok, strbuf_cstr(&b));
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
		dialogue(t, "-- ", slice_cstr("the message follows"));
}

static void
on_trace(void *arg, char who, struct slice text)
{
	struct trial *t = arg;

	if (who == '=') {
		on_state(t, text);
		return;
	}
	dialogue(t, who == 'C' ? "C: " : "S: ", text);
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

/* ---- the session's callbacks ---- */

static void
on_ready(void *arg)
{
	struct trial *t = arg;

	t->reached = true;
	if (t->job != NULL && !t->tried) {
		t->tried = true;
		smtp_client_start(t->client, t->job);
		return;
	}
	if (!smtp_client_leave(t->client)) {
		smtp_client_free(&t->client);
		finish(t);
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
		step(t, t->refused != NULL ? t->refused :
		    t->at != NULL ? t->at : "mail", false, text);
	else if (t->m.message != NULL)
		step(t, "message", true, text);
	t->at = NULL;			/* RSET, if any, tells of itself */
}

static void
on_ended(void *arg, enum smtp_client_end how, struct job *left,
    const char *text)
{
	struct trial *t = arg;

	(void)left;
	if (t->at != NULL || how != SMTP_END_CLOSED)
		step(t, t->at != NULL ? t->at : "session", false, text);
	t->at = NULL;
	smtp_client_free(&t->client);
	if (!t->reached && how == SMTP_END_UNREACHABLE)
		next_host(t);
	else
		finish(t);
}

/* ---- one host after the other ---- */

/* records: what the certificate must fit, or NULL. */
static void
talk(struct trial *t, enum conf_tls_mode tls, const struct tls_dane *records)
{
	static const struct smtp_client_events events = {
		.ready = on_ready, .done = on_done, .ended = on_ended
	};
	struct smtp_client_target to = {
		.transport = t->t,
		.host = t->name,
		.remote = t->remote,
		.helo = t->t->helo != NULL ? t->t->helo : t->env->hostname,
		.tls = tls,
		.context = t->tls,
		.dane = records,
		.lmtp = t->t->kind == TRANSPORT_LMTP,
		.trace = on_trace,
		.dry = t->m.message == NULL
	};
	int fd = t->fd;

	if (t->proxy != NULL && t->proxy->remote_hostname != NULL)
		to.helo = t->proxy->remote_hostname;
	t->fd = -1;
	t->client = smtp_client_new(&t->env->client, fd, &to, &events, t);
}

static void
on_dane(void *arg, const struct dane_answer *a)
{
	struct trial *t = arg;
	enum conf_tls_mode mode = t->t->tls;
	const char *why = dane_judge(t->t, a, &mode);

	t->dane = NULL;
	if (why != NULL) {
		step(t, "dane", false, why);
		close(t->fd);
		t->fd = -1;
		next_host(t);
		return;
	}
	if (a->result == DANE_RECORDS)
		step(t, "dane", true, "its certificate must fit the TLSA "
		    "records of the server");
	talk(t, mode, a->result == DANE_RECORDS ? &a->dane : NULL);
}

static void
on_reached(void *arg, const struct reach_result *r)
{
	struct trial *t = arg;
	const char *names[2] = { NULL, t->name };

	t->reach = NULL;
	if (r->fd < 0) {
		step(t, r->fault == REACH_PROXY ? "proxy" :
		    strncmp(r->e.text, "resolve ", 8) == 0 ? "resolve" :
		    "connect", false, r->e.text);
		next_host(t);
		return;
	}
	t->proxy = r->proxy;
	t->fd = r->fd;
	free(t->remote);
	t->remote = mem_strdup(r->remote);
	dialogue(t, "-- connected to ", slice_cstr(r->remote));
	step(t, "connect", true, r->remote);
	if (!dane_wanted(t->t, r->secure)) {
		talk(t, t->t->tls, NULL);
		return;
	}
	if (r->secure && r->canonical != NULL &&
	    strcasecmp(r->canonical, t->name) != 0)
		names[0] = r->canonical;
	t->dane = dane_start(t->env->resolver, names, t->port, on_dane, t);
}

/* Takes the next one, false: there is none. */
static bool
take_host(struct trial *t)
{
	const struct conf_transport *c = t->t;
	unsigned group;

	free(t->name);
	t->name = NULL;
	if (t->site != NULL) {
		t->name = mx_site_host(t->site, t->host, &group);
	} else if (c->lmtp_path != NULL) {
		if (t->host == 0)
			t->name = mem_strdup(c->lmtp_path);
	} else if (t->host < c->n_hosts) {
		t->name = mem_strdup(c->hosts[t->host].name);
		t->port = c->hosts[t->host].port;
	}
	t->host++;
	return t->name != NULL;
}

static void
next_host(struct trial *t)
{
	const struct conf_transport *c = t->t;
	struct reach_options o = {
		.loop = t->env->client.loop,
		.resolver = t->env->resolver,
		.monitor = c->lmtp_path != NULL ? t->env->monitor : NULL,
		.transport = c->name,
		.families = (c->ipv4 != SWITCH_OFF ? RESOLVE_V4 : 0) |
		    (c->ipv6 != SWITCH_OFF ? RESOLVE_V6 : 0) |
		    (t->site != NULL ? RESOLVE_NO_HOSTS : 0),
		.connect_ms = c->connect_timeout,
		.t = c,
		.states = t->proxies,
		.env = &t->env->client
	};

	if (!take_host(t)) {
		finish(t);
		return;
	}
	o.host = t->name;
	o.port = t->port;
	reach_sources(c, &o.source4, &o.source6);
	t->reach = reach_start(&o, on_reached, t);
}

/* ---- next hops that have to be looked up ---- */

static void
on_site(void *arg, const struct msg_site *answer)
{
	struct trial *t = arg;

	t->mx = NULL;
	if (answer->result != SITE_FOUND) {
		step(t, "mx", false, answer->text != NULL ? answer->text :
		    "no next hop");
		finish(t);
		return;
	}
	step(t, "mx", true, answer->site);
	t->site = mem_strdup(answer->site);
	next_host(t);
}

/* domain NULL: the recipient's. */
static void
look_up(struct trial *t, const struct conf *conf, const char *domain)
{
	struct mx_options o = {
		.loop = t->env->client.loop,
		.resolver = t->env->resolver,
		.conf = conf,
		.signed_only = t->t->tls_verify == VERIFY_DANE
	};
	char normal[MAIL_DOMAIN_MAX + 1];
	struct slice local, part = slice_of("", 0);

	t->port = t->t->kind == TRANSPORT_DIRECT ? t->t->direct_port :
	    t->t->hosts[0].port;
	o.port = t->port;
	if (t->m.to != NULL)
		mail_address_split(slice_cstr(t->m.to), &local, &part);
	if (domain == NULL && mail_domain_normal(part, normal) == 0)
		domain = normal;
	if (domain == NULL) {
		step(t, "mx", false, "direct delivery is tested with --to "
		    "ADDRESS: its domain says where");
		finish(t);
	} else {
		o.domain = domain;
		t->mx = mx_start(&o, on_site, t);
	}
}

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
	t->cb = cb;
	t->arg = arg;
	t->proxies = mem_zarray(c->n_proxies, sizeof(*t->proxies));
	loop_timer_init(&t->limit, on_limit, t);
	loop_timer_set(env->client.loop, &t->limit, LIMIT_MS);
	loop_task_init(&t->over, on_over, t);
	if (t->m.to != NULL)
		make_job(t);
	if (c->tls != TLS_OFF &&
	    (t->tls = tls_policy_new(c, env->ca, &e)) == NULL) {
		step(t, "tls", false, e.text);
		finish(t);
	} else if (conf_transport_by_mx(c, &domain)) {
		look_up(t, conf, domain);
	} else {
		next_host(t);
	}
	return t;
}

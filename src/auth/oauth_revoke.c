/*
 * `relayctl oauth revoke` (auth; RFC 7009): the refresh token is revoked at
 * the provider where that has an endpoint for it, and what `oauth login` had
 * stored is removed.  A token file of other programs stays; its token does
 * not work any more.
 */
#include "auth/oauth_revoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/oauth_form.h"
#include "auth/oauth_login_private.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define MONITOR_MS 60000u

struct oauth_revoke {
	struct oauth_account *a;
	oauth_revoke_cb *cb;
	void *arg;
	uint64_t ref;
	struct http_call *call;
	struct oauth_target target;
	struct strbuf ca;
	const char *told;		/* what the provider was told */
	struct loop_timer begin;
};

void
oauth_revoke_stop(struct oauth_revoke **rp)
{
	struct oauth_revoke *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	if (r->ref != 0 && r->a->o->env.base->monitor != NULL)
		port_forget(r->a->o->env.base->monitor, r->ref);
	http_cancel(&r->call);
	loop_timer_cancel(r->a->o->env.loop, &r->begin);
	oauth_target_clear(&r->target);
	strbuf_free(&r->ca);
	free(r);
}

static void
finish(struct oauth_revoke *r, bool good, const char *text)
{
	oauth_revoke_cb *cb = r->cb;
	void *arg = r->arg;

	oauth_revoke_stop(&r);
	cb(arg, good, text);
}

static void
ask(struct oauth_revoke *r, uint16_t type, port_reply *cb)
{
	struct port *monitor = r->a->o->env.base->monitor;
	struct msg_token m = { .name = r->a->t->name,
	    .holder = HOLDER_REVOKE };
	struct strbuf b = STRBUF_INIT;

	if (monitor == NULL) {
		finish(r, false, "monitor is gone");
		return;
	}
	r->ref = port_request(monitor, MONITOR_MS, cb, r);
	msg_token_encode(&b, &m);
	port_send(monitor, type, r->ref, strbuf_slice(&b));
	strbuf_free(&b);
}

static void
on_removed(void *arg, struct port_message *m)
{
	struct oauth_revoke *r = arg;
	struct msg_token_done d;
	bool good;
	char text[700];

	r->ref = 0;
	if (m != NULL && m->fd >= 0)
		close(m->fd);
	good = m != NULL && m->type == MSG_TOKEN_DONE &&
	    msg_token_done_decode(m->data, &d) == 0;
	if (!good)
		snprintf(text, sizeof(text), "monitor does not answer");
	else if (d.state != TOKEN_OK)
		snprintf(text, sizeof(text), "%.*s", (int)d.text.n,
		    d.text.p);
	else
		snprintf(text, sizeof(text), "%s; what was stored is removed",
		    r->told);
	finish(r, good && d.state == TOKEN_OK, text);
}

static void
forget(struct oauth_revoke *r)
{
	struct oauth_account *a = r->a;
	char why[200];

	oauth_fetch_stop(a);
	mem_wipe_text(&a->token);
	strbuf_wipe(&a->unsaved);
	mem_wipe_text(&a->unsaved_over);
	snprintf(why, sizeof(why), "invalid_grant: it was revoked here: "
	    "relayctl oauth login %.100s", a->t->name);
	oauth_failed(a, OAUTH_LOGIN, 0, why);
	if (a->c->source == OAUTH2_FLOW)
		ask(r, MSG_TOKEN_WRITE, on_removed);
	else
		finish(r, true, r->told);
}

static void
on_answer(void *arg, const struct http_answer *h)
{
	struct oauth_revoke *r = arg;

	r->call = NULL;
	if (h->result == HTTP_ANSWERED && h->status < 300)
		r->told = "revoked at the provider";
	else
		r->told = "the provider could not be told: revoke it there "
		    "too";
	forget(r);
}

static void
tell_provider(struct oauth_revoke *r, const struct token_file *f)
{
	struct strbuf form = STRBUF_INIT;
	struct http_request q = { .url = r->target.revoke_url, .post = true,
	    .proxy = r->target.proxy };

	if (r->target.revoke_url == NULL) {
		r->told = "this provider has no endpoint for it: revoke it in "
		    "the account's settings there, too";
		forget(r);
		return;
	}
	oauth_form_add(&form, "token", f->refresh_token);
	q.body = strbuf_slice(&form);
	q.ca = r->ca.n > 0 ? strbuf_slice(&r->ca) : slice_cstr(r->target.ca);
	r->call = http_start(r->a->o->env.http, &q, on_answer, r);
	strbuf_wipe(&form);
}

static void
on_file(void *arg, struct port_message *m)
{
	struct oauth_revoke *r = arg;
	struct msg_token_done d;
	struct token_file f;
	struct err e;
	int fd = m != NULL ? m->fd : -1;

	r->ref = 0;
	if (m == NULL || m->type != MSG_TOKEN_DONE ||
	    msg_token_done_decode(m->data, &d) < 0 || d.state != TOKEN_OK ||
	    token_file_parse(d.text, &f, &e) < 0) {
		if (fd >= 0)
			close(fd);
		finish(r, false, "there is no login");
		return;
	}
	oauth_target_make(r->a, &f, &r->target);
	(void)oauth_discover_known(r->a, &r->target);
	(void)oauth_read_ca(d.text, fd, &r->ca);
	tell_provider(r, &f);
	token_file_clear(&f);
}

static void
on_begin(void *arg)
{
	struct oauth_revoke *r = arg;
	const struct conf_oauth2 *c = r->a->c;

	if (c->source == OAUTH2_TOKEN_FILE || (c->source == OAUTH2_FLOW &&
	    c->flow != FLOW_CLIENT && c->flow != FLOW_SERVICE))
		ask(r, MSG_TOKEN_READ, on_file);
	else
		finish(r, false, "there is no login of ours to revoke");
}

struct oauth_revoke *
oauth_revoke_start(struct oauth_account *a, oauth_revoke_cb *cb, void *arg)
{
	struct oauth_revoke *r = mem_zalloc(sizeof(*r));

	r->a = a;
	r->cb = cb;
	r->arg = arg;
	loop_timer_init(&r->begin, on_begin, r);
	loop_timer_set(a->o->env.loop, &r->begin, 0);
	return r;
}

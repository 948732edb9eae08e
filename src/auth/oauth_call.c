/*
 * relayctl's `oauth` commands (auth), answered as queue's control socket does
 * (ipc/answer.h).  A caller that goes away ends what he has begun.
 */
#include "auth/oauth_call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/oauth.h"
#include "auth/oauth_login.h"
#include "auth/oauth_revoke.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "io/conn.h"
#include "ipc/answer.h"
#include "ipc/msg.h"

enum { CTL_OK = 0, CTL_NONE = 1, CTL_USAGE = 64 };

#define CALLS_MAX 100u
#define STALLED_MS 1200000u		/* longer than any login */

struct oauth_call {
	TAILQ_ENTRY(oauth_call) link;
	struct auth *a;
	struct conn *conn;
	struct oauth_account *account;
	struct oauth_wait wait;
	struct oauth_login *login;
	struct oauth_revoke *revoke;
	bool token;			/* it wants to see it */
	struct strbuf out;
};

/* ---- what is said ---- */

static void
say(struct oauth_call *c)
{
	conn_write(c->conn, c->out.p, c->out.n);
	strbuf_wipe(&c->out);
}

static struct json_writer
item(struct oauth_call *c)
{
	return answer_item(&c->out);
}

static void
item_end(struct oauth_call *c, struct json_writer *w)
{
	answer_item_end(&c->out, w);
	say(c);
}

static void
call_free(struct oauth_call *c)
{
	oauth_cancel(&c->wait);
	oauth_login_stop(&c->login);
	oauth_revoke_stop(&c->revoke);
	conn_abort(&c->conn);
	TAILQ_REMOVE(&c->a->oauth_calls, c, link);
	c->a->n_oauth_calls--;
	strbuf_free(&c->out);
	free(c);
}

static void
end(struct oauth_call *c, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	answer_end(&c->out, status, fmt, ap);
	va_end(ap);
	say(c);
	conn_close(&c->conn);
	call_free(c);
}

/* ---- commands ---- */

static void
one_status(struct oauth_call *c, const struct oauth_account *a)
{
	const struct conf_transport *t = oauth_transport(a);
	struct json_writer w = item(c);
	struct oauth_status s;

	oauth_status(a, &s);
	json_text(&w, "account", t->account != NULL ? t->account : t->name);
	json_text(&w, "flow", s.flow);
	json_text(&w, "state", s.state);
	json_text(&w, "why", s.why);
	json_when(&w, "expires", s.expires);
	json_text(&w, "scope", s.scope);
	item_end(c, &w);
}

static void
do_status(struct oauth_call *c)
{
	struct oauth_account *a = NULL;

	if (c->account != NULL)
		one_status(c, c->account);
	while (c->account == NULL && c->a->oauth != NULL &&
	    (a = oauth_next(c->a->oauth, a)) != NULL)
		one_status(c, a);
	end(c, CTL_OK, "%s", "");
}

static void
on_token(void *arg, const struct oauth_token *t,
    const struct oauth_failure *f)
{
	struct oauth_call *c = arg;
	char when[CLOCK_RFC3339_LEN + 1];
	struct json_writer w;

	if (t == NULL) {
		end(c, CTL_NONE, "%s", f->text);
		return;
	}
	if (c->token) {
		w = item(c);
		json_text(&w, "user", t->user);
		json_text(&w, "token", t->token);
		json_when(&w, "expires", t->expires);
		item_end(c, &w);
		end(c, CTL_OK, "%s", "");
		return;
	}
	oauth_tell_queue(c->account);
	if (t->expires != 0) {
		end(c, CTL_OK, "a new token, good until %s",
		    clock_rfc3339(t->expires, when));
	} else {
		end(c, CTL_OK, "a new token");
	}
}

static void
on_prompt(void *arg, const struct oauth_prompt *p)
{
	struct oauth_call *c = arg;
	struct json_writer w = item(c);

	json_text(&w, "kind", p->kind);
	json_text(&w, "url", p->url);
	json_text(&w, "code", p->code);
	json_text(&w, "redirect", p->redirect);
	json_number(&w, "seconds", p->seconds);
	item_end(c, &w);
}

static void
on_login(void *arg, bool good, const char *text)
{
	struct oauth_call *c = arg;

	c->login = NULL;
	end(c, good ? CTL_OK : CTL_NONE, "%s", text);
}

static void
do_login(struct oauth_call *c, const struct msg_oauth_call *m)
{
	static const struct oauth_login_events ev = { on_prompt, on_login };
	struct err e = { 0, "" };

	c->login = oauth_login_start(c->account, m->flow, m->port, &ev, c,
	    &e);
	if (c->login == NULL)
		end(c, CTL_NONE, "%s", e.text);
}

static void
do_answer(struct oauth_call *c, const struct msg_oauth_call *m)
{
	struct err e = { 0, "" };

	if (m->url == NULL)
		end(c, CTL_USAGE, "an address is wanted");
	else if (oauth_login_answer(c->account, m->url, &e) < 0)
		end(c, CTL_NONE, "%s", e.text);
	else
		end(c, CTL_OK, "%s", "");
}

static void
on_revoked(void *arg, bool good, const char *text)
{
	struct oauth_call *c = arg;

	c->revoke = NULL;
	end(c, good ? CTL_OK : CTL_NONE, "%s", text);
}

static void
do_command(struct oauth_call *c, const struct msg_oauth_call *m)
{
	const char *cmd = m->command;

	if (strcmp(cmd, "oauth status") == 0) {
		do_status(c);
	} else if (strcmp(cmd, "oauth login") == 0) {
		do_login(c, m);
	} else if (strcmp(cmd, "oauth answer") == 0) {
		do_answer(c, m);
	} else if (strcmp(cmd, "oauth refresh") == 0) {
		oauth_force(c->account, &c->wait, on_token, c);
	} else if (strcmp(cmd, "oauth revoke") == 0) {
		c->revoke = oauth_revoke_start(c->account, on_revoked, c);
	} else if (strcmp(cmd, "oauth token") == 0) {
		c->token = true;
		oauth_get(c->account, &c->wait, on_token, c);
	} else {
		end(c, CTL_USAGE, "auth does not know this command");
	}
}

/* ---- the life of a caller ---- */

static void
on_readable(void *arg)
{
	struct oauth_call *c = arg;

	conn_consume(c->conn, conn_input(c->conn).n);
}

static void
on_closed(void *arg, const struct err *why)
{
	(void)why;
	call_free(arg);
}

static struct oauth_call *
call_new(struct auth *a, int fd)
{
	static const struct conn_events events = {
		on_readable, NULL, NULL, on_closed
	};
	struct oauth_call *c = mem_zalloc(sizeof(*c));

	c->a = a;
	c->conn = conn_new(a->loop, fd, &events, c);
	conn_timeout(c->conn, STALLED_MS);
	TAILQ_INSERT_TAIL(&a->oauth_calls, c, link);
	a->n_oauth_calls++;
	return c;
}

static void
begin(struct oauth_call *c, const struct msg_oauth_call *m)
{
	struct auth *a = c->a;

	if (a->n_oauth_calls > CALLS_MAX) {
		end(c, CTL_NONE, "too many commands at once");
		return;
	}
	if (m->name != NULL && a->oauth != NULL)
		c->account = oauth_find(a->oauth, m->name);
	if (m->name == NULL && strcmp(m->command, "oauth status") == 0)
		do_status(c);
	else if (c->account != NULL)
		do_command(c, m);
	else if (m->name == NULL)
		end(c, CTL_USAGE, "which account?");
	else if (conf_transport_find(a->conf, m->name) != SIZE_MAX ||
	    conf_account_find(a->conf, m->name) != SIZE_MAX)
		end(c, CTL_NONE, "`%s` has no OAuth2 credential", m->name);
	else
		end(c, CTL_NONE, "there is no account `%s`", m->name);
}

int
oauth_call_take(struct auth *a, struct port_message *m, struct err *e)
{
	struct msg_oauth_call call;

	if (msg_oauth_call_decode(m->data, &call) < 0) {
		if (m->fd >= 0)
			close(m->fd);
		return err_set(e, EPROTO, "a caller that is garbage");
	}
	if (m->fd >= 0)
		begin(call_new(a, m->fd), &call);
	mem_wipe_text(&call.url);
	msg_oauth_call_clear(&call);
	return 0;
}

void
oauth_calls_free(struct auth *a)
{
	while (!TAILQ_EMPTY(&a->oauth_calls))
		call_free(TAILQ_FIRST(&a->oauth_calls));
}

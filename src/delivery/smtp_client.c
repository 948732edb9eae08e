/*
 * The SMTP client's state machine: its table, its input, its ends.  Run by
 * delivery.  One function changes the state and logs it.
 *
 * A reply counts only where one is due; what comes unasked, is no reply or
 * does not fit its command ends the session, and recipients without a final
 * answer are temporarily refused: nothing is taken for delivered but what
 * got a 2xx after the whole message had left.  (RFC 5321 4.2, 4.3, 4.5.3.2;
 * RFC 2920 for commands sent ahead.)
 */
#include "delivery/smtp_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/smtp_client_private.h"

#define COMMAND_MS (5 * 60 * 1000u)
#define FINAL_MS (10 * 60 * 1000u)
#define AUTH_ASK_MS (90 * 1000u)
#define QUIT_MS 2000u
#define REPLY_TEXT_MAX 700		/* octets passed on of a reply */

enum limit { LIMIT_NONE, LIMIT_COMMAND, LIMIT_FINAL, LIMIT_AUTH, LIMIT_QUIT };

struct state {
	const char *name;
	const char *doing;		/* "lost connection while ..." */
	void (*enter)(struct smtp_client *c);
	void (*reply)(struct smtp_client *c);
	enum limit limit;
};

static void idle_enter(struct smtp_client *c);
static void quit_enter(struct smtp_client *c);
static void ended_reply(struct smtp_client *c);

static const struct state states[] = {
	[ST_GREETING] = { "greeting", "waiting for the greeting",
	    NULL, hello_greeting, LIMIT_COMMAND },
	[ST_EHLO] = { "ehlo", "waiting for the reply to EHLO",
	    hello_enter, hello_reply, LIMIT_COMMAND },
	[ST_HELO] = { "helo", "waiting for the reply to HELO",
	    hello_helo_enter, hello_helo_reply, LIMIT_COMMAND },
	[ST_STARTTLS] = { "starttls", "waiting for the reply to STARTTLS",
	    tls_enter, tls_reply, LIMIT_COMMAND },
	[ST_HANDSHAKE] = { "handshake", "in the TLS handshake",
	    NULL, ended_reply, LIMIT_COMMAND },
	[ST_AUTH_ASK] = { "auth-ask", "preparing AUTH",
	    NULL, ended_reply, LIMIT_AUTH },
	[ST_AUTH] = { "auth", "waiting for the reply to AUTH",
	    NULL, auth_reply, LIMIT_COMMAND },
	[ST_IDLE] = { "idle", "idle", idle_enter, ended_reply, LIMIT_NONE },
	[ST_MAIL] = { "mail", "waiting for the reply to MAIL",
	    mail_enter, mail_reply, LIMIT_COMMAND },
	[ST_RCPT] = { "rcpt", "waiting for the reply to RCPT",
	    rcpt_enter, rcpt_reply, LIMIT_COMMAND },
	[ST_DATA] = { "data", "waiting for the reply to DATA",
	    data_enter, data_reply, LIMIT_COMMAND },
	[ST_BODY] = { "body", "sending the message",
	    body_enter, ended_reply, LIMIT_COMMAND },
	[ST_FINAL] = { "final", "waiting for the reply to the message",
	    NULL, final_reply, LIMIT_FINAL },
	[ST_RSET] = { "rset", "waiting for the reply to RSET",
	    rset_enter, rset_reply, LIMIT_COMMAND },
	[ST_QUIT] = { "quit", "waiting for the end", quit_enter, ended_reply,
	    LIMIT_QUIT },
	[ST_ENDED] = { "ended", "ended", NULL, ended_reply, LIMIT_NONE },
};

static void
quit_enter(struct smtp_client *c)
{
	client_puts(c, "QUIT\r\n");
}

/* No reply is due in these states, or what it says is of no interest. */
static void
ended_reply(struct smtp_client *c)
{
	(void)c;
}

static uint64_t
limit_ms(const struct smtp_client *c, enum limit limit)
{
	uint64_t said = c->to.transport->timeout;

	switch (limit) {
	case LIMIT_COMMAND:
		return said != 0 ? said : COMMAND_MS;
	case LIMIT_FINAL:
		return said != 0 ? said : FINAL_MS;
	case LIMIT_AUTH:
		return AUTH_ASK_MS;
	case LIMIT_QUIT:
		return QUIT_MS;
	default:
		return 0;
	}
}

void
client_state(struct smtp_client *c, enum smtp_state to)
{
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "smtp-client");
		log_str("relay", c->to.remote);
		log_str("from", states[c->state].name);
		log_str("to", states[to].name);
		log_end();
	}
	c->state = to;
	trace_state(c, states[to].name);
	if (c->conn != NULL)
		conn_timeout(c->conn, limit_ms(c, states[to].limit));
	if (states[to].enter != NULL)
		states[to].enter(c);
}

void
client_write(struct smtp_client *c, struct slice s, unsigned replies)
{
	/* Whatever is there already cannot be an answer to this. */
	if (c->due == 0 && conn_input(c->conn).n > 0)
		c->early = true;
	if (c->early)
		return;
	c->due += replies;
	trace_written(c, s);
	conn_write(c->conn, s.p, s.n);
}

void
client_puts(struct smtp_client *c, const char *s)
{
	client_write(c, slice_cstr(s), 1);
}

const char *
client_doing(const struct smtp_client *c)
{
	return states[c->state].doing;
}

const char *
client_reply_text(struct smtp_client *c)
{
	strbuf_clear(&c->env->out);
	smtp_reply_text(&c->reply, &c->env->out, REPLY_TEXT_MAX);
	return strbuf_cstr(&c->env->out);
}

/* ---- input ---- */

static void
on_reply(struct smtp_client *c)
{
	trace_reply(c);
	if (c->reply.code == 421) {
		client_shut(c);
		return;
	}
	if (c->state == ST_QUIT)
		return;			/* its end is waited for */
	if (c->due == 0 || c->early) {
		client_broken(c, "unasked \"%s\"", client_reply_text(c));
		return;
	}
	c->due--;
	conn_timeout(c->conn, limit_ms(c, states[c->state].limit));
	states[c->state].reply(c);
}

static void
on_readable(void *arg)
{
	struct smtp_client *c = arg;
	struct err e = { 0, "" };
	enum smtp_reply_result r;
	struct slice in;
	size_t used;

	while (c->state != ST_ENDED && c->state != ST_HANDSHAKE &&
	    (in = conn_input(c->conn)).n > 0) {
		r = smtp_reply_feed(&c->reply, in, &used, &e);
		conn_consume(c->conn, used);
		if (r == SMTP_REPLY_BAD) {
			client_broken(c, "%s", e.text);
			return;
		}
		if (r == SMTP_REPLY_MORE)
			return;
		on_reply(c);
	}
}

static void
on_closed(void *arg, const struct err *why)
{
	struct smtp_client *c = arg;
	enum conn_end end = conn_end(c->conn);
	const char *by = c->to.by != NULL ? c->to.by : "";
	char text[1024], with[600] = "";

	if (c->state == ST_HANDSHAKE) {
		tls_failed(c, why);
		return;
	}
	/* Before it is ready, the owner says which server it was. */
	if (c->state >= ST_IDLE)
		snprintf(with, sizeof(with), " with %s%s", c->to.remote, by);
	else
		snprintf(with, sizeof(with), "%s", by);
	if (end == CONN_TIMEOUT)
		snprintf(text, sizeof(text), "conversation%s timed out "
		    "while %s", with, states[c->state].doing);
	else
		snprintf(text, sizeof(text), "lost connection%s while %s%s%s",
		    with, states[c->state].doing,
		    why != NULL ? ": " : "", why != NULL ? why->text : "");
	client_cut(c, false, 451, MAIL_STATUS(4, 4, 2), text);
}

static void
on_secured(void *arg)
{
	tls_secured(arg);
}

static void
on_drained(void *arg)
{
	struct smtp_client *c = arg;

	if (c->state == ST_BODY)
		body_drained(c);
}

/* No callback comes from inside smtp_client_new(), so that the handshake of
 * implicit TLS is begun from here. */
static void
on_more(void *arg)
{
	struct smtp_client *c = arg;

	if (c->state == ST_HANDSHAKE)
		tls_begin(c);
	else
		on_drained(c);
}

/* ---- the interface ---- */

static void
idle_enter(struct smtp_client *c)
{
	/* Something came behind the last reply: on_readable() finds it, and
	 * nobody may use the session any more. */
	if (conn_input(c->conn).n > 0 || c->due > 0)
		return;
	c->ev.ready(c->arg);
}

void
smtp_client_env_init(struct smtp_client_env *env, struct loop *loop)
{
	memset(env, 0, sizeof(*env));
	env->loop = loop;
	env->chunk = mem_alloc(SMTP_CLIENT_CHUNK);
}

void
smtp_client_env_clear(struct smtp_client_env *env)
{
	strbuf_free(&env->out);
	free(env->chunk);
	env->chunk = NULL;
}

static struct tls_dane *
copy_dane(const struct tls_dane *d)
{
	struct tls_dane *copy;
	struct slice *records;
	size_t i;

	if (d == NULL)
		return NULL;
	copy = mem_zalloc(sizeof(*copy));
	records = mem_zarray(d->count, sizeof(*records));
	for (i = 0; i < d->count; i++)
		records[i] = slice_of(mem_dup(d->records[i].p,
		    d->records[i].n), d->records[i].n);
	copy->name = mem_strdup(d->name);
	copy->records = records;
	copy->count = d->count;
	return copy;
}

static void
free_dane(const struct tls_dane *d)
{
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < d->count; i++)
		free((void *)(uintptr_t)d->records[i].p);
	free((void *)(uintptr_t)d->records);
	free((void *)(uintptr_t)d->name);
	free((void *)(uintptr_t)d);
}

static void
on_reap(void *arg)
{
	struct smtp_client *c = arg;

	smtp_reply_free(&c->reply);
	tls_context_free(&c->to.context);
	free((void *)(uintptr_t)c->to.host);
	free((void *)(uintptr_t)c->to.remote);
	free_dane(c->to.dane);
	free((void *)(uintptr_t)c->to.by);
	free((void *)(uintptr_t)c->to.helo);
	free(c->t.rcpt);
	free(c->tls_text);
	free(c);
}

struct smtp_client *
smtp_client_new(struct smtp_client_env *env, int fd,
    const struct smtp_client_target *target,
    const struct smtp_client_events *events, void *arg)
{
	static const struct conn_events on_conn = {
		on_readable, on_drained, on_secured, on_closed
	};
	struct smtp_client *c = mem_zalloc(sizeof(*c));

	c->env = env;
	c->ev = *events;
	c->arg = arg;
	c->to = *target;
	c->to.host = mem_strdup(target->host);
	c->to.remote = mem_strdup(target->remote);
	c->to.helo = mem_strdup(target->helo);
	c->to.dane = copy_dane(target->dane);
	c->to.by = target->by != NULL ? mem_strdup(target->by) : NULL;
	if (target->context != NULL)
		c->to.context = tls_context_ref(target->context);
	c->message_max = target->transport->messages_per_connection;
	c->rcpt_max = target->transport->recipients_per_message;
	if (c->rcpt_max == 0)
		c->rcpt_max = UINT32_MAX;
	loop_task_init(&c->more, on_more, c);
	loop_task_init(&c->reap, on_reap, c);
	c->conn = conn_new(env->loop, fd, &on_conn, c);
	c->due = 1;
	if (c->to.tls == TLS_IMPLICIT) {
		client_state(c, ST_HANDSHAKE);
		loop_defer(env->loop, &c->more);
	} else
		client_state(c, ST_GREETING);
	return c;
}

void
smtp_client_free(struct smtp_client **cp)
{
	struct smtp_client *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	c->job = NULL;
	client_close(c, false);
	loop_reap(c->env->loop, &c->reap);
}

void
smtp_client_start(struct smtp_client *c, struct job *j)
{
	c->job = j;
	free(j->remote);
	j->remote = mem_strdup(c->to.remote);
	free(j->tls);
	j->tls = c->tls_text != NULL ? mem_strdup(c->tls_text) : NULL;
	free(j->verify);
	j->verify = smtp_client_verify(c);
	transaction_begin(c);
}

bool
smtp_client_leave(struct smtp_client *c)
{
	if (c->state == ST_IDLE && conn_end(c->conn) == CONN_OPEN &&
	    conn_pending_out(c->conn) == 0) {
		client_state(c, ST_QUIT);
		return true;
	}
	if (c->state != ST_ENDED)
		client_quit(c);
	return false;
}

bool
smtp_client_abandon(struct smtp_client *c)
{
	if (c->job != NULL && c->whole &&
	    (c->state == ST_FINAL || c->t.ahead_data))
		return false;
	c->job = NULL;
	client_close(c, false);
	return true;
}

bool
smtp_client_full(const struct smtp_client *c)
{
	return c->message_max != 0 && c->transactions >= c->message_max;
}

const char *
smtp_client_tls(const struct smtp_client *c)
{
	return c->tls_text;
}

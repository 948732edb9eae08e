/* A session's life and its state table (listener; RFC 5321 3 and 4).  A
 * command is answered before the next is looked at; what the client pipelines
 * stays in the connection's buffer meanwhile.  Whatever goes wrong ends this
 * session and nothing else. */
#include "listener/session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* Replies that wait for a client that does not read them. */
#define OUT_MAX (32u * 1024)
#define V(verb) (1u << SMTP_##verb)
#define ANYTIME (V(EHLO) | V(HELO) | V(NOOP) | V(RSET) | V(QUIT) | V(VRFY) | \
	V(EXPN) | V(HELP))

/* input: takes something from the client and says whether it did; NULL while
 * the client has to wait.  verbs: those in order in this state. */
static const struct {
	const char *name;
	bool (*input)(struct session *s);
	unsigned verbs;
} states[ST_COUNT] = {
	[ST_CONNECTED] = { "connected", session_input_command,
	    ANYTIME | V(STARTTLS) },
	[ST_READY] = { "ready", session_input_command,
	    ANYTIME | V(STARTTLS) | V(AUTH) | V(MAIL) },
	[ST_MAIL] = { "mail", session_input_command, ANYTIME | V(RCPT) },
	[ST_RCPT] = { "rcpt", session_input_command,
	    ANYTIME | V(RCPT) | V(DATA) | V(BDAT) },
	[ST_VERIFY] = { "verify", NULL, 0 },
	[ST_DATA] = { "data", session_input_data, 0 },
	[ST_CHUNK] = { "chunk", session_input_chunk, 0 },
	[ST_CHUNKS] = { "chunks", session_input_command, ANYTIME | V(BDAT) },
	[ST_SPOOL] = { "spool", NULL, 0 },
	[ST_BLOCKED] = { "blocked", NULL, 0 },
	[ST_COMMIT] = { "commit", NULL, 0 },
	[ST_AUTH] = { "auth", session_input_auth_line, 0 },
	[ST_AUTH_WAIT] = { "auth-wait", NULL, 0 },
	[ST_TLS] = { "tls", NULL, 0 },
	[ST_CLOSED] = { "closed", NULL, 0 },
};

void
session_set_state(struct session *s, enum session_state state)
{
	if (s->state == state)
		return;
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "state");
		log_str("client", s->client_text);
		log_str("from", states[s->state].name);
		log_str("to", states[state].name);
		log_end();
	}
	s->state = (uint8_t)state;
}

unsigned
session_verbs(const struct session *s)
{
	return states[s->state].verbs;
}

void
session_run(struct session *s)
{
	while (s->state != ST_CLOSED && states[s->state].input != NULL) {
		if (conn_pending_out(s->conn) > OUT_MAX) {
			s->stalled = true;
			conn_pause(s->conn);
			return;
		}
		if (!states[s->state].input(s))
			break;
	}
	if (s->state == ST_CLOSED || states[s->state].input == NULL)
		return;
	if (s->eof)
		session_end(s, "closed by the client");
}

/* ---- events ---- */

static void
on_readable(void *arg)
{
	struct session *s = arg;

	/* Even a client that is never silent has its time. */
	if (clock_mono_ms() >= s->deadline && states[s->state].input != NULL) {
		session_refuse(s, REFUSE_SESSION_LONG);
		return;
	}
	session_touch(s);
	session_run(s);
}

static void
on_drained(void *arg)
{
	struct session *s = arg;

	if (!s->stalled)
		return;
	s->stalled = false;
	conn_resume(s->conn);
	session_run(s);
}

static void
on_secured(void *arg)
{
	smtpd_tls_secured(arg);
}

static void
on_closed(void *arg, const struct err *why)
{
	struct session *s = arg;

	if (why != NULL) {
		session_abort(s, why->text);
		return;
	}
	s->eof = true;
	if (s->state == ST_TLS)
		session_abort(s, "closed by the client");
	else
		session_run(s);
}

static const struct conn_events events = {
	.readable = on_readable,
	.drained = on_drained,
	.secured = on_secured,
	.closed = on_closed,
};

/* The client was silent, or does not read what we say. */
static void
on_timer(void *arg)
{
	struct session *s = arg;

	if (states[s->state].input == NULL) {
		/* it is we who take our time */
		loop_timer_set(s->owner->loop, &s->timer,
		    s->ep->conf->timeout);
		return;
	}
	session_refuse(s, clock_mono_ms() >= s->deadline ?
	    REFUSE_SESSION_LONG : REFUSE_TIMEOUT);
}

void
session_touch(struct session *s)
{
	uint64_t now = clock_mono_ms(), ms = s->ep->conf->timeout;

	if (s->state == ST_CLOSED)
		return;
	s->heard = now;
	if (now + ms > s->deadline)
		ms = s->deadline > now ? s->deadline - now : 1;
	loop_timer_set(s->owner->loop, &s->timer, ms);
}

/* ---- life ---- */

static void
session_free(void *arg)
{
	struct session *s = arg;

	free(s->client_text);
	free(s->helo);
	free(s->login);
	free(s);
}

struct session *
session_new(struct endpoint *ep, int fd, struct client_entry *entry,
    const struct relay_origin *origin, const char *client_text, uint16_t port,
    int64_t uid)
{
	struct listener *l = ep->owner;
	struct session *s = mem_zalloc(sizeof *s);

	s->owner = l;
	s->ep = ep;
	s->client = entry;
	s->client_text = mem_strdup(client_text);
	s->client_port = port;
	s->uid = uid;
	s->state = ST_CONNECTED;
	if (origin->kind == RELAY_FROM_NET)
		s->block = conf_client_of(l->conf, origin->v6, origin->addr);
	s->trusted = relay_trusted(ep->conf, s->block, origin);
	s->must_auth = relay_must_auth(ep->conf, s->block, origin);
	s->limit = s->block != NULL && s->block->max_message_size != 0 ?
	    s->block->max_message_size : l->conf->max_message_size;
	s->fix_bare = (s->block != NULL && s->block->bare_lf != BARE_LF_UNSET ?
	    s->block->bare_lf : ep->conf->bare_lf) == BARE_LF_FIX;
	s->deadline = clock_mono_ms() + ep->conf->timeout * SESSION_TIMEOUTS;
	loop_timer_init(&s->timer, on_timer, s);
	loop_task_init(&s->reap, session_free, s);
	TAILQ_INSERT_TAIL(&l->sessions, s, link);
	l->session_count++;
	listener_count(l, ep, 1);
	s->conn = conn_new(l->loop, fd, &events, s);
	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "connect");
		log_str("client", s->client_text);
		log_str("listener", ep->conf->name);
		log_end();
	}
	session_touch(s);
	return s;
}

/* All but the connection itself. */
static void
session_leave(struct session *s, const char *why)
{
	struct listener *l = s->owner;

	if (log_enabled(LL_DEBUG)) {
		log_begin(LL_DEBUG, "disconnect");
		log_str("client", s->client_text);
		log_str("state", states[s->state].name);
		log_str("why", why);
		log_end();
	}
	smtpd_auth_drop(s);
	if (s->ref != 0)
		port_forget(s->waits_on, s->ref);
	s->ref = 0;
	if (s->state == ST_BLOCKED)
		TAILQ_REMOVE(&l->blocked, s, blocked_link);
	smtpd_transaction_drop(s);
	loop_timer_cancel(l->loop, &s->timer);
	TAILQ_REMOVE(&l->sessions, s, link);
	l->session_count--;
	client_table_leave(l->clients, &s->client);
	listener_count(l, s->ep, -1);
	session_set_state(s, ST_CLOSED);
	loop_reap(l->loop, &s->reap);
	listener_session_gone(l);
}

void
session_end(struct session *s, const char *why)
{
	if (s->state == ST_CLOSED)
		return;
	session_leave(s, why);
	conn_close(&s->conn);
}

void
session_abort(struct session *s, const char *why)
{
	if (s->state == ST_CLOSED)
		return;
	session_leave(s, why);
	conn_abort(&s->conn);
}

bool
session_idle(const struct session *s)
{
	switch (s->state) {
	case ST_DATA:
	case ST_CHUNK:
	case ST_SPOOL:
	case ST_BLOCKED:
	case ST_COMMIT:
		return false;
	default:
		return true;
	}
}

uint64_t
session_request(struct session *s, struct port *port, uint64_t deadline_ms,
    port_reply *cb, enum session_state state)
{
	s->waits_on = port;
	s->on_reply = cb;
	s->ref = port_request(port, deadline_ms, cb, s);
	session_set_state(s, state);
	return s->ref;
}

void
session_answered(struct session *s)
{
	s->ref = 0;
	s->waits_on = NULL;
	session_touch(s);	/* the client's time begins anew */
}

void
session_lost(struct session *s, const struct port *port)
{
	if (s->ref == 0 || s->waits_on != port)
		return;
	port_forget(s->waits_on, s->ref);
	s->on_reply(s, NULL);
}

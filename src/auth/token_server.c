/*
 * Access tokens for other programs: one request for each connection, answered
 * with the string of XOAUTH2, or with nothing at all for every refusal.  Run
 * by auth on sockets that monitor has bound.
 *
 * Who asks is what the kernel says (SO_PEERCRED); every request is logged
 * with its uid and pid, never with what it got.  A client that waits is
 * served from a token that is ready, or within the time that exim's readsocket
 * allows; one that hangs costs nobody else anything but its place, and the
 * oldest of those gives it up when all are taken.
 */
#include "auth/token_server.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/oauth.h"
#include "auth/token_request.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "io/conn.h"
#include "io/listen.h"
#include "mail/address.h"
#include "mail/pattern.h"

#define CLIENTS_MAX 256
#define IDLE_MS 200		/* a whole request whose line has no end */
#define REQUEST_MS 10000
#define ANSWER_MS 4500		/* exim gives up after 5 s */
#define GROUPS_MAX 256

struct server {
	TAILQ_ENTRY(server) link;
	struct token_servers *all;
	const struct conf_token_server *conf;
	struct listen *listen;		/* NULL: draining */
	bool has_group;
	gid_t group;
};

struct client {
	TAILQ_ENTRY(client) link;
	struct server *server;
	struct conn *conn;
	struct ucred peer;
	struct loop_timer idle;		/* of the request, then of the answer */
	struct oauth_account *account;	/* NULL: nobody's yet */
	struct oauth_wait wait;
	enum oauth_protocol kind;
	char *user, *protocol;		/* printable, for the log */
	char *name;			/* to be said as user= */
	bool asked;
};

struct token_servers {
	struct auth *a;
	TAILQ_HEAD(, server) servers;
	TAILQ_HEAD(, client) clients;	/* the oldest first */
	unsigned n_clients;
};

/* ---- the end of a connection ---- */

static void
client_end(struct client *c, bool politely)
{
	struct token_servers *s = c->server->all;

	TAILQ_REMOVE(&s->clients, c, link);
	s->n_clients--;
	loop_timer_cancel(s->a->loop, &c->idle);
	oauth_cancel(&c->wait);
	if (politely)
		conn_close(&c->conn);
	else
		conn_abort(&c->conn);
	free(c->user);
	free(c->protocol);
	free(c->name);
	free(c);
}

static void
tell(const struct client *c, const char *result, const char *why)
{
	log_begin(why == NULL ? LL_INFO : LL_WARN, "token-request");
	log_num("uid", (int64_t)c->peer.uid);
	log_num("pid", (int64_t)c->peer.pid);
	log_str("socket", c->server->conf->path);
	if (c->user != NULL)
		log_str("user", c->user);
	if (c->protocol != NULL)
		log_str("protocol", c->protocol);
	log_str("result", result);
	if (why != NULL)
		log_str("why", why);
	log_end();
}

static void
refuse(struct client *c, const char *why)
{
	tell(c, "refused", why);
	client_end(c, false);
}

/* ---- may it? ---- */

static bool
is_member(const struct client *c, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t n = sizeof(groups);
	size_t i;

	if (c->peer.gid == group)
		return true;
	if (getsockopt(conn_fd(c->conn), SOL_SOCKET, SO_PEERGROUPS, groups,
	    &n) < 0)
		return false;
	for (i = 0; i < n / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool
may_ask(const struct client *c)
{
	const struct conf_list *users = &c->server->conf->users;
	uint64_t uid;
	size_t i;

	for (i = 0; i < users->n; i++)
		if (num_u64(slice_cstr(users->v[i]), UINT32_MAX, &uid) &&
		    uid == c->peer.uid)
			return true;
	if (users->n > 0)
		return false;
	/* (Without root, whoever started the daemon is what we are.) */
	return c->peer.uid == 0 || c->peer.uid == getuid() ||
	    (c->server->has_group && is_member(c, c->server->group));
}

/* ---- whose token? ---- */

static bool
listed(const struct conf_list *accounts, const char *name)
{
	size_t i;

	for (i = 0; i < accounts->n; i++)
		if (strcmp(accounts->v[i], name) == 0)
			return true;
	return accounts->n == 0;
}

static bool
is_sender(const struct conf_account *a, struct slice user)
{
	struct strbuf text = STRBUF_INIT;
	bool is = false;
	size_t i;

	for (i = 0; !is && i < a->senders.n; i++) {
		if (a->senders.v[i].kind != MAIL_PATTERN_ADDRESS)
			continue;
		strbuf_clear(&text);
		mail_pattern_text(&a->senders.v[i], &text);
		is = mail_address_same(strbuf_slice(&text), user);
	}
	strbuf_free(&text);
	return is;
}

/* How well the account fits what was asked for: 0 not at all, its name best,
 * then its username, then a sender's address. */
static unsigned
fits(const struct conf_account *a, const struct conf_transport *t,
    struct slice user)
{
	if (slice_eq_cstr(user, a->name))
		return 3;
	if (t->username != NULL && slice_eq_cstr(user, t->username))
		return 2;
	return is_sender(a, user) ? 1 : 0;
}

static const struct conf_transport *
find_account(const struct client *c, struct slice user)
{
	const struct conf *conf = c->server->all->a->conf;
	const struct conf_transport *best = NULL, *t;
	unsigned most = 0, n;
	size_t i;

	for (i = 0; i < conf->n_accounts; i++) {
		const struct conf_account *a = &conf->accounts[i];

		if (a->transport == SIZE_MAX ||
		    !listed(&c->server->conf->accounts, a->name))
			continue;
		t = &conf->transports[a->transport];
		n = t->oauth2 != NULL ? fits(a, t, user) : 0;
		if (n > most) {
			most = n;
			best = t;
		}
	}
	return best;
}

static unsigned
protocol_of(struct slice name)
{
	return slice_eq_cstr(name, "SMTP") ? TOKEN_SMTP :
	    slice_eq_cstr(name, "IMAP") ? TOKEN_IMAP : 0;
}

/* ---- the answer ---- */

static void
answer(struct client *c, const struct oauth_token *t)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b, "user=");
	strbuf_puts(&b, t->user != NULL ? t->user : c->name);
	strbuf_puts(&b, "\001auth=Bearer ");
	strbuf_puts(&b, t->token);
	strbuf_puts(&b, "\001\001");
	(void)FAULT("auth.token_server.answer");
	conn_write(c->conn, b.p, b.n);
	strbuf_wipe(&b);
	tell(c, "answered", NULL);
	client_end(c, true);
}

/* Its scope decides about IMAP. */
static void
on_token(void *arg, const struct oauth_token *t,
    const struct oauth_failure *f)
{
	struct client *c = arg;
	struct oauth_token ready;

	if (f != NULL)
		refuse(c, f->text);
	else if (c->kind == OAUTH_SMTP)
		answer(c, t);
	else if (oauth_ready(c->account, c->kind, &ready))
		answer(c, &ready);
	else
		refuse(c, "the token is not good for IMAP");
}

static void
get(struct client *c)
{
	struct oauth_token t;

	if (oauth_ready(c->account, c->kind, &t)) {
		answer(c, &t);
		return;
	}
	loop_timer_set(c->server->all->a->loop, &c->idle, ANSWER_MS);
	oauth_get(c->account, &c->wait, on_token, c);
}

static char *
printable(struct slice s)
{
	char *text = mem_strndup(s.p, s.n < 256 ? s.n : 256);
	size_t i;

	for (i = 0; text[i] != 0; i++)
		if ((unsigned char)text[i] < 33 || text[i] == 127)
			text[i] = '?';
	return text;
}

static void
ask(struct client *c, const struct token_request *r)
{
	unsigned protocol = protocol_of(r->protocol);
	const struct conf_transport *t;

	c->asked = true;
	loop_timer_cancel(c->server->all->a->loop, &c->idle);
	c->user = printable(r->user);
	c->protocol = printable(r->protocol);
	if (!may_ask(c)) {
		refuse(c, "this user may not ask");
		return;
	}
	if ((protocol & c->server->conf->protocols) == 0) {
		refuse(c, "this protocol is not served here");
		return;
	}
	t = find_account(c, r->user);
	if (t == NULL) {
		refuse(c, "no account with a token is named so here");
		return;
	}
	c->name = mem_strdup(t->username != NULL ? t->username : t->account);
	c->account = oauth_find(c->server->all->a->oauth, t->name);
	c->kind = protocol == TOKEN_IMAP ? OAUTH_IMAP : OAUTH_SMTP;
	if (c->account == NULL)
		refuse(c, "no account with a token is named so here");
	else
		get(c);
}

/* ---- the request ---- */

static void
look(struct client *c, bool ended)
{
	struct token_request r;

	if (c->asked)
		return;
	switch (token_request_parse(conn_input(c->conn), ended, &r)) {
	case TOKEN_REQUEST_MORE:
		break;
	case TOKEN_REQUEST_WHOLE:
		loop_timer_set(c->server->all->a->loop, &c->idle, IDLE_MS);
		break;
	case TOKEN_REQUEST_DONE:
		ask(c, &r);
		break;
	case TOKEN_REQUEST_BAD:
		refuse(c, "no request");
		break;
	}
}

static void
on_idle(void *arg)
{
	struct client *c = arg;

	if (c->asked)
		refuse(c, "no token is ready in time");
	else
		look(c, true);
}

static void
on_readable(void *arg)
{
	struct client *c = arg;

	if (c->asked)
		conn_consume(c->conn, conn_input(c->conn).n);
	else
		look(c, false);
}

static void
on_closed(void *arg, const struct err *why)
{
	struct client *c = arg;

	if (why != NULL)
		client_end(c, false);
	else
		look(c, true);
}

/* The oldest that did not finish asking loses its place; one whose line has
 * no end is answered as it stands. */
static void
make_room(struct token_servers *s)
{
	struct client *c;

	TAILQ_FOREACH(c, &s->clients, link)
		if (!c->asked)
			break;
	if (c != NULL)
		look(c, true);
	if (s->n_clients == CLIENTS_MAX)
		client_end(TAILQ_FIRST(&s->clients), false);
}

static void
on_client(void *arg, int fd, const struct sockaddr_storage *peer)
{
	static const struct conn_events events = {
		.readable = on_readable, .closed = on_closed
	};
	struct server *server = arg;
	struct token_servers *s = server->all;
	struct client *c;
	socklen_t n = sizeof(c->peer);

	(void)peer;
	if (s->n_clients == CLIENTS_MAX)
		make_room(s);
	c = mem_zalloc(sizeof(*c));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &n) < 0) {
		close(fd);
		free(c);
		return;
	}
	c->server = server;
	loop_timer_init(&c->idle, on_idle, c);
	c->conn = conn_new(s->a->loop, fd, &events, c);
	conn_timeout(c->conn, REQUEST_MS);
	TAILQ_INSERT_TAIL(&s->clients, c, link);
	s->n_clients++;
}

/* ---- life ---- */

struct token_servers *
token_servers_new(struct auth *a)
{
	struct token_servers *s = mem_zalloc(sizeof(*s));

	s->a = a;
	TAILQ_INIT(&s->servers);
	TAILQ_INIT(&s->clients);
	return s;
}

/* Nobody who asks shall wait for a provider. */
static void
keep_ready(const struct server *server)
{
	struct auth *a = server->all->a;
	struct oauth_account *o;
	const struct conf_transport *t;

	if (a->oauth == NULL)
		return;
	for (o = oauth_next(a->oauth, NULL); o != NULL;
	    o = oauth_next(a->oauth, o)) {
		t = oauth_transport(o);
		if (t->account != NULL &&
		    listed(&server->conf->accounts, t->account))
			oauth_keep_ready(o);
	}
}

int
token_servers_listen(struct token_servers *s, const struct msg_listen *m,
    int fd, struct err *e)
{
	struct server *server;

	if (s->a->conf == NULL || m->kind != LISTEN_TOKEN ||
	    m->index >= s->a->conf->n_token_servers) {
		close(fd);
		return err_set(e, EPROTO, "a socket that is not for auth");
	}
	server = mem_zalloc(sizeof(*server));
	server->all = s;
	server->conf = &s->a->conf->token_servers[m->index];
	server->has_group = m->has_group;
	server->group = m->group;
	server->listen = listen_new(s->a->loop, fd, on_client, server);
	keep_ready(server);
	TAILQ_INSERT_TAIL(&s->servers, server, link);
	return 0;
}

void
token_servers_drain(struct token_servers *s)
{
	struct server *server;

	TAILQ_FOREACH(server, &s->servers, link)
		listen_free(&server->listen);
}

void
token_servers_free(struct token_servers **sp)
{
	struct token_servers *s = *sp;
	struct server *server;

	if (s == NULL)
		return;
	*sp = NULL;
	while (!TAILQ_EMPTY(&s->clients))
		client_end(TAILQ_FIRST(&s->clients), false);
	while ((server = TAILQ_FIRST(&s->servers)) != NULL) {
		TAILQ_REMOVE(&s->servers, server, link);
		listen_free(&server->listen);
		free(server);
	}
	free(s);
}

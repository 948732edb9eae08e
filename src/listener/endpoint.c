/* Listening sockets (listener): accepting and refusing connections, counting
 * them, and the TLS contexts that go with a socket.  A connection that is
 * refused gets its one line and is closed; a certificate that cannot be used
 * costs this socket its TLS, is logged, and stops nothing else. */
#include "listener/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/sockaddr.h"
#include "listener/session.h"
#include "mail/smtp_reply.h"

/* Where a connection comes from, in the forms that are asked for. */
struct caller {
	struct relay_origin origin;
	char text[SOCKADDR_TEXT_MAX];	/* "192.0.2.1", "uid:0" */
	uint16_t port;
	int64_t uid;			/* -1: not a local socket */
	bool loopback;
};

struct endpoint *
endpoint_new(struct listener *l, const struct conf_listen *conf,
    uint32_t index, bool submit, int fd)
{
	struct endpoint *ep = mem_zalloc(sizeof *ep);

	ep->owner = l;
	ep->conf = conf;
	ep->index = index;
	ep->submit = submit;
	ep->fd = fd;
	ep->tls_mode = conf->tls == TLS_UNSET ? TLS_OFF : conf->tls;
	if (ep->tls_mode != TLS_OFF && endpoint_tls(ep, 0) == NULL &&
	    ep->tls_mode == TLS_STARTTLS)
		ep->tls_mode = TLS_OFF;
	return ep;
}

void
endpoint_free(struct endpoint **epp)
{
	struct endpoint *ep = *epp;
	size_t i;

	if (ep == NULL)
		return;
	endpoint_stop(ep);
	for (i = 0; i < LISTENER_TLS_FLOORS; i++)
		tls_context_free(&ep->tls[i]);
	free(ep);
	*epp = NULL;
}

static void
on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	endpoint_accept(arg, fd, peer);
}

void
endpoint_start(struct endpoint *ep)
{
	if (ep->fd == -1)
		return;
	ep->sock = listen_new(ep->owner->loop, ep->fd, on_accept, ep);
	ep->fd = -1;
}

void
endpoint_stop(struct endpoint *ep)
{
	listen_free(&ep->sock);
	if (ep->fd != -1)
		close(ep->fd);
	ep->fd = -1;
}

/* ---- TLS ---- */

static const struct {
	int number;
	enum tls_version version;
} floors[LISTENER_TLS_FLOORS] = {
	{ 0x0301, TLS_1_0 }, { 0x0302, TLS_1_1 }, { 0x0303, TLS_1_2 },
	{ 0x0304, TLS_1_3 },
};

struct tls_context *
endpoint_tls(struct endpoint *ep, int floor)
{
	struct tls_pem pem = {
		.chain = slice_cstr(ep->conf->certificate),
		.key = slice_cstr(ep->conf->key),
	};
	struct tls_server_options o = { .certs = &pem, .cert_count = 1 };
	struct tls_anchors *ca = NULL;
	struct err e = { 0 };
	size_t i = 2;			/* TLS 1.2 */

	if (floor == 0)
		floor = ep->conf->min_tls;
	if (floor >= 0x0301 && floor <= 0x0304)
		i = (size_t)(floor - 0x0301);
	if (ep->tls[i] != NULL || ep->conf->certificate == NULL)
		return ep->tls[i];
	o.min_version = floors[i].version;
	if (ep->conf->client_ca != NULL) {
		o.client_ca = ca = tls_anchors_new(
		    slice_cstr(ep->conf->client_ca), &e);
		o.client_cert = TLS_CLIENT_CERT_ASK;
	}
	if (ep->conf->client_ca == NULL || ca != NULL)
		ep->tls[i] = tls_server_new(&o, &e);
	tls_anchors_free(&ca);
	if (ep->tls[i] == NULL) {
		log_begin(LL_ERROR, "certificate");
		log_str("listener", ep->conf->name);
		log_str("text", e.text);
		log_end();
	}
	return ep->tls[i];
}

/* ---- accepting ---- */

static void
caller_local(struct caller *c, const struct endpoint *ep, int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t n = sizeof cred;

	c->origin.kind = ep->submit ? RELAY_FROM_SUBMIT : RELAY_FROM_UNIX;
	c->loopback = true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 &&
	    cred.uid != (uid_t)-1)
		c->uid = cred.uid;
	snprintf(c->text, sizeof c->text, "uid:%lld", (long long)c->uid);
}

static void
caller_set(struct caller *c, const struct endpoint *ep, int fd,
    const struct sockaddr_storage *peer)
{
	struct sockaddr_storage sa = *peer;

	*c = (struct caller){ .uid = -1 };
	sockaddr_unmap(&sa);
	if (sa.ss_family != AF_INET && sa.ss_family != AF_INET6) {
		caller_local(c, ep, fd);
		return;
	}
	c->origin.kind = RELAY_FROM_NET;
	c->origin.v6 = sa.ss_family == AF_INET6;
	if (c->origin.v6)
		memcpy(c->origin.addr,
		    &((struct sockaddr_in6 *)&sa)->sin6_addr, 16);
	else
		memcpy(c->origin.addr,
		    &((struct sockaddr_in *)&sa)->sin_addr, 4);
	c->port = sockaddr_port(&sa);
	c->loopback = sockaddr_is_loopback(&sa);
	sockaddr_ip_text(&sa, c->text);
}

/* One line, if the client can read it, and the end. */
static void
turn_away(struct endpoint *ep, int fd, const struct caller *c,
    enum refusal_id id)
{
	const struct refusal *r = &refusals[id];
	struct strbuf *b = &ep->owner->scratch;

	refusal_log(c->text, ep, r);
	if (ep->tls_mode != TLS_IMPLICIT) {
		strbuf_clear(b);
		smtp_reply_write(b, r->reply.code, r->reply.status,
		    r->reply.text);
		(void)send(fd, b->p, b->n, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	close(fd);
}

/* submit.sock is for this machine's own users: not limited by listeners'
 * settings, only by what a uid may hold open. */
static enum refusal_id
welcome(const struct endpoint *ep, const struct caller *c,
    const struct client_entry *entry)
{
	const struct conf_listen *conf = ep->conf;

	if (relay_denied(conf, &c->origin))
		return REFUSE_DENIED;
	if (conf->max_connections != 0 && ep->open >= conf->max_connections)
		return REFUSE_CONNECTIONS;
	if (conf->max_connections_per_client != 0 &&
	    client_table_connections(entry) > conf->max_connections_per_client)
		return REFUSE_CLIENT_CONNECTIONS;
	return REFUSE_NOTHING;
}

struct session *
endpoint_accept(struct endpoint *ep, int fd,
    const struct sockaddr_storage *peer)
{
	struct listener *l = ep->owner;
	struct client_entry *entry;
	struct caller c;
	struct session *s;
	enum refusal_id no;

	caller_set(&c, ep, fd, peer);
	entry = client_table_enter(l->clients, slice_cstr(c.text));
	no = welcome(ep, &c, entry);
	if (no != REFUSE_NOTHING) {
		client_table_leave(l->clients, &entry);
		turn_away(ep, fd, &c, no);
		return NULL;
	}
	s = session_new(ep, fd, entry, &c.origin, c.text, c.port, c.uid);
	s->loopback = c.loopback;
	if (ep->tls_mode == TLS_IMPLICIT)
		smtpd_tls_begin(s);
	else
		session_greet(s);
	return s;
}

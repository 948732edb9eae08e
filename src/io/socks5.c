/*
 * SOCKS 5, the client's side.  delivery (proxy.c brings the octets).
 *
 * greeting, method, login where there is one, request, reply.  Everything
 * that does not fit exactly is the proxy's failure; only what the reply says
 * about the way from the proxy on is not.
 */
#include "io/socks5.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"

enum { ST_METHOD, ST_LOGIN, ST_REPLY, ST_ADDRESS, ST_DONE, ST_FAILED };

enum { METHOD_NONE = 0, METHOD_LOGIN = 2, METHOD_REFUSED = 255 };
enum { ATYP_V4 = 1, ATYP_NAME = 3, ATYP_V6 = 4 };

static void
put_port(struct socks5 *s, uint16_t port)
{
	s->request[s->request_n++] = (uint8_t)(port >> 8);
	s->request[s->request_n++] = (uint8_t)port;
}

static void
put(struct socks5 *s, const void *p, size_t n)
{
	memcpy(s->request + s->request_n, p, n);
	s->request_n += n;
}

/* CONNECT to an address, or to a name that the proxy looks up. */
static int
make_request(struct socks5 *s, const struct socks5_options *o, struct err *e)
{
	const struct sockaddr_in *sin = (const void *)&o->to;
	const struct sockaddr_in6 *sin6 = (const void *)&o->to;
	size_t n;

	put(s, "\5\1\0", 3);
	switch (o->to.ss_family) {
	case AF_INET:
		s->request[s->request_n++] = ATYP_V4;
		put(s, &sin->sin_addr, 4);
		put_port(s, ntohs(sin->sin_port));
		return 0;
	case AF_INET6:
		s->request[s->request_n++] = ATYP_V6;
		put(s, &sin6->sin6_addr, 16);
		put_port(s, ntohs(sin6->sin6_port));
		return 0;
	default:
		break;
	}
	n = o->host != NULL ? strlen(o->host) : 0;
	if (n == 0 || n > SOCKS5_TEXT_MAX)
		return err_set(e, EINVAL, "a name that SOCKS cannot carry");
	s->request[s->request_n++] = ATYP_NAME;
	s->request[s->request_n++] = (uint8_t)n;
	put(s, o->host, n);
	put_port(s, o->port);
	return 0;
}

static int
make_secret(struct socks5 *s, const struct socks5_options *o, struct err *e)
{
	size_t u, p;

	if (o->username == NULL)
		return 0;
	u = strlen(o->username);
	p = o->password != NULL ? strlen(o->password) : 0;
	if (u == 0 || u > SOCKS5_TEXT_MAX || p == 0 || p > SOCKS5_TEXT_MAX)
		return err_set(e, EINVAL, "a login that SOCKS cannot carry");
	s->login = true;
	s->secret[0] = 1;
	s->secret[1] = (uint8_t)u;
	memcpy(s->secret + 2, o->username, u);
	s->secret[2 + u] = (uint8_t)p;
	memcpy(s->secret + 3 + u, o->password, p);
	s->secret_n = 3 + u + p;
	return 0;
}

int
socks5_begin(struct socks5 *s, const struct socks5_options *o, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if (make_request(s, o, e) < 0 || make_secret(s, o, e) < 0) {
		socks5_end(s);
		s->state = ST_FAILED;
		return -1;
	}
	if (s->login)
		memcpy(s->out, "\5\2\0\2", 4);
	else
		memcpy(s->out, "\5\1\0", 3);
	s->out_n = s->login ? 4 : 3;
	s->state = ST_METHOD;
	s->want = 2;
	return 0;
}

void
socks5_end(struct socks5 *s)
{
	mem_wipe(s->secret, sizeof(s->secret));
	mem_wipe(s->out, sizeof(s->out));
	s->secret_n = s->out_n = 0;
}

size_t
socks5_want(const struct socks5 *s)
{
	return s->want - s->have;
}

static enum socks5_result
fail(struct socks5 *s, enum socks5_fault fault, const char *text)
{
	s->state = ST_FAILED;
	s->want = s->have = 0;
	s->fault = fault;
	err_set(&s->why, EPROTO, "%s", text);
	return SOCKS5_FAILED;
}

static void
say(struct socks5 *s, const uint8_t *p, size_t n, int state, size_t want)
{
	memcpy(s->out, p, n);
	s->out_n = n;
	s->state = state;
	s->want = want;
	s->request_sent = state == ST_REPLY;
}

static enum socks5_result
take_method(struct socks5 *s)
{
	if (s->in[0] != 5)
		return fail(s, SOCKS5_FAULT_PROXY, "it does not speak "
		    "SOCKS 5");
	if (s->in[1] == METHOD_REFUSED)
		return fail(s, SOCKS5_FAULT_LOGIN, s->login ?
		    "it accepts no login by name and password" :
		    "it wants a login");
	if (s->in[1] == METHOD_LOGIN && s->login)
		say(s, s->secret, s->secret_n, ST_LOGIN, 2);
	else if (s->in[1] == METHOD_NONE)
		say(s, s->request, s->request_n, ST_REPLY, 5);
	else
		return fail(s, SOCKS5_FAULT_PROXY, "it chose a method that "
		    "was not offered");
	return SOCKS5_MORE;
}

static enum socks5_result
take_login(struct socks5 *s)
{
	/* Servers differ about the version here. */
	if (s->in[1] != 0)
		return fail(s, SOCKS5_FAULT_LOGIN, "it refuses the login");
	mem_wipe(s->secret, sizeof(s->secret));
	say(s, s->request, s->request_n, ST_REPLY, 5);
	return SOCKS5_MORE;
}

static enum socks5_result
refused(struct socks5 *s, uint8_t code)
{
	switch (code) {
	case 2:
		return fail(s, SOCKS5_FAULT_PROXY, "its rules do not allow "
		    "this connection");
	case 3:
		return fail(s, SOCKS5_FAULT_REMOTE, "Network is unreachable");
	case 4:
		return fail(s, SOCKS5_FAULT_REMOTE, "No route to host");
	case 5:
		return fail(s, SOCKS5_FAULT_REMOTE, "Connection refused");
	case 6:
		return fail(s, SOCKS5_FAULT_REMOTE, "Connection timed out");
	case 7:
		return fail(s, SOCKS5_FAULT_PROXY, "it does not know "
		    "CONNECT");
	case 8:
		return fail(s, SOCKS5_FAULT_PROXY, "it does not know this "
		    "kind of address");
	default:
		return fail(s, SOCKS5_FAULT_PROXY, "it has failed");
	}
}

/* The reply's first five octets tell how long it is. */
static enum socks5_result
take_reply(struct socks5 *s)
{
	if (s->in[0] != 5)
		return fail(s, SOCKS5_FAULT_PROXY, "a reply that is not of "
		    "SOCKS 5");
	if (s->in[1] != 0)
		return refused(s, s->in[1]);
	switch (s->in[3]) {
	case ATYP_V4:
		s->want = 3 + 2;
		break;
	case ATYP_V6:
		s->want = 15 + 2;
		break;
	case ATYP_NAME:
		s->want = (size_t)s->in[4] + 2;
		break;
	default:
		return fail(s, SOCKS5_FAULT_PROXY, "a reply with an address "
		    "of no known kind");
	}
	s->state = ST_ADDRESS;
	return SOCKS5_MORE;
}

static enum socks5_result
take(struct socks5 *s)
{
	switch (s->state) {
	case ST_METHOD:
		return take_method(s);
	case ST_LOGIN:
		return take_login(s);
	case ST_REPLY:
		return take_reply(s);
	case ST_ADDRESS:
		s->state = ST_DONE;
		s->want = 0;
		return SOCKS5_DONE;
	default:
		return fail(s, SOCKS5_FAULT_PROXY, "octets that nobody "
		    "waits for");
	}
}

enum socks5_result
socks5_feed(struct socks5 *s, struct slice octets)
{
	size_t n;

	if (s->state == ST_DONE)
		return SOCKS5_DONE;
	if (s->state == ST_FAILED)
		return SOCKS5_FAILED;
	n = s->want - s->have;
	if (octets.n < n)
		n = octets.n;
	memcpy(s->in + s->have, octets.p, n);
	s->have += n;
	if (s->have < s->want)
		return SOCKS5_MORE;
	s->have = 0;
	return take(s);
}

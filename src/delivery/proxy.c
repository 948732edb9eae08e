/*
 * From a transport's proxies to a connection with a next hop.  Run by
 * delivery.
 *
 * What goes wrong between us and a proxy is the proxy's failure, is called so
 * and leads to the next proxy; it is never held against the next hop.  One
 * that has failed comes last for a while.
 */
#include "delivery/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/reach.h"
#include "io/socks5.h"

#define SHUN_MS 15000u			/* times the failures in a row */
#define SHUN_MAX 20u
#define LOGIN_MS 30000u
#define WHY_MAX 400

struct proxied {
	struct proxied_options o;	/* o.host is owned */
	proxied_cb *cb;
	void *arg;
	size_t at;			/* the proxy being used */
	uint64_t tried;			/* bits */
	bool alive;			/* one has at least answered */
	struct reach *reach;
	uint64_t login;			/* ref of the request to auth */
	uint64_t auth_life;
	int fd;				/* connected with the proxy */
	struct loop_fd watch;
	struct loop_timer timer;
	struct loop_task begin;
	struct socks5 socks;
	struct strbuf why;
};

static void try_next(void *arg);

static struct loop *
loop_of(const struct proxied *p)
{
	return p->o.env->loop;
}

static const struct conf_proxy *
conf_of(const struct proxied *p)
{
	return &p->o.t->proxies[p->at];
}

/* Drops what there is with the proxy of now. */
static void
disconnect(struct proxied *p)
{
	reach_cancel(&p->reach);
	if (p->login != 0 && p->o.env->auth != NULL &&
	    p->o.env->auth_life == p->auth_life)
		port_forget(p->o.env->auth, p->login);
	p->login = 0;
	loop_fd_del(&p->watch);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	loop_timer_cancel(loop_of(p), &p->timer);
	socks5_end(&p->socks);
}

static void
proxied_free(struct proxied *p)
{
	disconnect(p);
	loop_task_cancel(loop_of(p), &p->begin);
	strbuf_free(&p->why);
	free((void *)(uintptr_t)p->o.host);
	free(p);
}

void
proxied_cancel(struct proxied **pp)
{
	if (*pp == NULL)
		return;
	proxied_free(*pp);
	*pp = NULL;
}

static void
done(struct proxied *p, enum proxied_end end, int fd, const char *text)
{
	struct proxied_result r = { end, fd, p->at, text };
	struct strbuf copy = STRBUF_INIT;
	proxied_cb *cb = p->cb;
	void *arg = p->arg;

	strbuf_puts(&copy, text);
	r.text = strbuf_cstr(&copy);
	proxied_free(p);
	cb(arg, &r);
	strbuf_free(&copy);
}

/* ---- failures ---- */

static void
shun(struct proxied *p)
{
	struct proxy_state *s = &p->o.states[p->at];

	if (s->failures < SHUN_MAX)
		s->failures++;
	s->shunned_until = clock_mono_ms() + (uint64_t)s->failures * SHUN_MS;
}

/* On to the next proxy; dead: not because of what we asked it for. */
static void
proxy_failed(struct proxied *p, bool dead, const char *text)
{
	if (dead)
		shun(p);
	else
		p->alive = true;
	if (p->why.n < WHY_MAX)
		strbuf_printf(&p->why, "%sproxy %s:%u: %s",
		    p->why.n > 0 ? "; " : "", conf_of(p)->host.name,
		    conf_of(p)->host.port, text);
	log_begin(LL_WARN, "proxy");
	log_str("transport", p->o.t->name);
	log_str("proxy", conf_of(p)->host.name);
	log_num("port", conf_of(p)->host.port);
	log_str("text", text);
	log_end();
	disconnect(p);
	/* Not from here: we may be inside of a call from one of its parts. */
	loop_defer(loop_of(p), &p->begin);
}

static void
socks_failed(struct proxied *p)
{
	char text[128];

	snprintf(text, sizeof(text), "%.120s", p->socks.why.text);
	switch (p->socks.fault) {
	case SOCKS5_FAULT_REMOTE:
		p->o.states[p->at].failures = 0;
		p->o.states[p->at].shunned_until = 0;
		done(p, PROXIED_REMOTE, -1, text);
		break;
	case SOCKS5_FAULT_LOGIN:
		proxy_failed(p, true, text);
		break;
	default:
		/* A reply to the request is a sign of life. */
		proxy_failed(p, !p->socks.request_sent, text);
		break;
	}
}

static void
on_timer(void *arg)
{
	struct proxied *p = arg;

	/* It may wait for an answer of the other side in vain. */
	proxy_failed(p, !p->socks.request_sent, p->socks.request_sent ?
	    "no answer to CONNECT in time" : "timed out");
}

/* ---- talking to one ---- */

static void
flush(struct proxied *p)
{
	ssize_t n;

	if (p->socks.out_n == 0)
		return;
	n = send(p->fd, p->socks.out, p->socks.out_n, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		loop_fd_want(&p->watch, LOOP_WRITE);
		return;
	}
	if (n < 0) {
		proxy_failed(p, true, strerror(errno));
		return;
	}
	p->socks.out_n -= (size_t)n;
	memmove(p->socks.out, p->socks.out + n, p->socks.out_n);
	loop_fd_want(&p->watch, p->socks.out_n > 0 ? LOOP_WRITE : LOOP_READ);
}

static void
connected(struct proxied *p)
{
	int fd = p->fd;

	loop_fd_del(&p->watch);
	p->fd = -1;
	p->o.states[p->at].failures = 0;
	p->o.states[p->at].shunned_until = 0;
	done(p, PROXIED_OK, fd, "");
}

static void
on_fd(void *arg, unsigned what)
{
	struct proxied *p = arg;
	uint8_t buf[SOCKS5_TEXT_MAX + 7];
	size_t want = socks5_want(&p->socks);
	ssize_t n;

	if (what == LOOP_WRITE) {
		flush(p);
		return;
	}
	n = recv(p->fd, buf, want < sizeof(buf) ? want : sizeof(buf), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		proxy_failed(p, true, n < 0 ? strerror(errno) :
		    "it closed the connection");
		return;
	}
	switch (socks5_feed(&p->socks, slice_of(buf, (size_t)n))) {
	case SOCKS5_DONE:
		connected(p);
		break;
	case SOCKS5_FAILED:
		socks_failed(p);
		break;
	default:
		flush(p);
		break;
	}
}

static void
talk(struct proxied *p, const char *username, const char *password)
{
	struct socks5_options s = { .to = p->o.to, .host = p->o.host,
		.port = p->o.port, .username = username,
		.password = password };
	struct err e = { 0, "" };

	if (socks5_begin(&p->socks, &s, &e) < 0) {
		proxy_failed(p, false, e.text);
		return;
	}
	loop_fd_init(loop_of(p), &p->watch, p->fd, on_fd, p);
	loop_timer_set(loop_of(p), &p->timer, p->o.ms);
	flush(p);
}

static void
on_login(void *arg, struct port_message *m)
{
	struct proxied *p = arg;
	struct msg_proxy_secret secret;

	p->login = 0;
	if (m == NULL || m->type != MSG_PROXY_SECRET || m->fd >= 0 ||
	    msg_proxy_secret_decode(m->data, &secret) < 0) {
		if (m != NULL && m->fd >= 0)
			close(m->fd);
		proxy_failed(p, false, "its login could not be had");
		return;
	}
	if (secret.username == NULL)
		proxy_failed(p, false, secret.text);
	else
		talk(p, secret.username, secret.password);
	msg_proxy_secret_clear(&secret);
}

static void
ask_login(struct proxied *p)
{
	struct msg_proxy_login m = { p->o.t->name, (uint32_t)p->at };
	struct strbuf b = STRBUF_INIT;

	if (p->o.env->auth == NULL) {
		proxy_failed(p, false, "no login at present: auth is being "
		    "restarted");
		return;
	}
	p->auth_life = p->o.env->auth_life;
	p->login = port_request(p->o.env->auth, LOGIN_MS, on_login, p);
	msg_proxy_login_encode(&b, &m);
	port_send(p->o.env->auth, MSG_PROXY_LOGIN, p->login,
	    strbuf_slice(&b));
	strbuf_free(&b);
}

static void
on_reached(void *arg, const struct reach_result *r)
{
	struct proxied *p = arg;

	p->reach = NULL;
	if (r->fd < 0) {
		proxy_failed(p, true, r->e.text);
		return;
	}
	p->fd = r->fd;
	if (conf_of(p)->has_credential)
		ask_login(p);
	else
		talk(p, NULL, NULL);
}

/* ---- which one ---- */

/* n_proxies: none is left. */
static size_t
pick(const struct proxied *p)
{
	uint64_t now = clock_mono_ms();
	size_t i, later = p->o.t->n_proxies;

	for (i = 0; i < p->o.t->n_proxies && i < 64; i++) {
		if (p->tried & UINT64_C(1) << i)
			continue;
		if (p->o.states[i].shunned_until <= now)
			return i;
		if (later == p->o.t->n_proxies)
			later = i;
	}
	return later;
}

static void
try_next(void *arg)
{
	struct proxied *p = arg;
	struct reach_options o = {
		.loop = loop_of(p), .resolver = p->o.resolver,
		.families = RESOLVE_V4 | RESOLVE_V6, .connect_ms = p->o.ms,
		.source4 = p->o.source4, .source6 = p->o.source6
	};

	p->at = pick(p);
	if (p->at == p->o.t->n_proxies) {
		p->at = 0;
		done(p, p->alive ? PROXIED_UNCLEAR : PROXIED_DEAD, -1,
		    strbuf_cstr(&p->why));
		return;
	}
	p->tried |= UINT64_C(1) << p->at;
	memset(&p->socks, 0, sizeof(p->socks));
	o.host = conf_of(p)->host.name;
	o.port = conf_of(p)->host.port;
	p->reach = reach_start(&o, on_reached, p);
}

struct proxied *
proxied_start(const struct proxied_options *o, proxied_cb *cb, void *arg)
{
	struct proxied *p = mem_zalloc(sizeof(*p));

	p->o = *o;
	p->o.host = mem_strdup(o->host);
	p->cb = cb;
	p->arg = arg;
	p->fd = -1;
	loop_task_init(&p->begin, try_next, p);
	loop_timer_init(&p->timer, on_timer, p);
	loop_defer(o->env->loop, &p->begin);
	return p;
}

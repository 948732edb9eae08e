/* HTTPS requests on the event loop, by libcurl's multi interface: one POST or
 * GET, one small answer.  No redirect is followed, nothing but https is
 * spoken, no proxy but the one that is named, no environment is looked at.
 * Names are resolved by our own resolver, so that no file is opened.
 *
 * Link this only into roles that need it: it brings libcurl with it. */
#ifndef IO_HTTP_CLIENT_H
#define IO_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "io/loop.h"
#include "io/resolve.h"

struct http_client;
struct http_call;

#define HTTP_ANSWER_MAX 65536u		/* octets of a body */
#define HTTP_CONNECT_MS 15000u
#define HTTP_TOTAL_MS 30000u

/* Starts libcurl and its TLS, which read files: before the process gives that
 * up.  NULL with *e. */
struct http_client *http_client_new(struct loop *l, struct err *e);
/* Calls that are open are dropped without a callback. */
void http_client_free(struct http_client **c);
/* Who resolves; borrowed.  Must be set before the first call. */
void http_client_resolver(struct http_client *c, struct resolver *r);

/* Who vouches for the servers of requests that name nobody; PEM, borrowed.  It
 * is parsed once, by the first of them. */
void http_client_trust(struct http_client *c, struct slice ca);

/* Everything is copied. */
struct http_request {
	const char *url;
	bool post;
	struct slice body;		/* a form; wiped after use */
	struct slice ca;		/* PEM; empty: http_client_trust(), or
					 * nobody is trusted */
	const char *proxy;		/* URL, or NULL */
	const char *accept;		/* media type; NULL: JSON */
};

enum http_result {
	HTTP_ANSWERED,			/* status and body tell */
	HTTP_UNREACHABLE,		/* resolve, connect, time, reset */
	HTTP_UNTRUSTED,			/* TLS: handshake or certificate */
	HTTP_BROKEN			/* too long, no HTTP, a wrong URL */
};

struct http_answer {			/* valid during the callback */
	enum http_result result;
	unsigned status;		/* 200, 503... */
	struct slice body;
	const char *type;		/* Content-Type; "" where none */
	uint64_t retry_after;		/* seconds, 0: not said */
	const char *text;		/* what went wrong; no secrets */
};

typedef void http_cb(void *arg, const struct http_answer *a);

/* cb is called once, later, never from inside; the call is gone then. */
struct http_call *http_start(struct http_client *c,
    const struct http_request *r, http_cb *cb, void *arg);
/* No callback comes any more; *call may be NULL. */
void http_cancel(struct http_call **call);

#endif

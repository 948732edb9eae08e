/*
 * HTTPS requests by libcurl (7.88; curl_multi_socket_action(3)) on our loop.
 * Run by auth, delivery and relayctl.  Whatever goes wrong ends in the
 * callback, with a text that holds neither what was sent nor what came.
 */
#include "io/http_client.h"

#include <curl/curl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "io/http_url.h"
#include "io/sockaddr.h"
#include "io/tls_context.h"

#define ADDRESSES_MAX 6u
#define HOST_CALLS_MAX 16u		/* the others wait within their time */
#define CALLS_MAX 48u			/* the same; as descriptors go */

struct http_socket {
	struct http_client *client;
	struct loop_fd fd;
	struct loop_task reap;
};

struct http_client {
	struct loop *loop;
	struct resolver *resolver;
	struct slice ca;		/* of http_client_trust(), */
	struct tls_anchors *anchors;	/* parsed; NULL: not yet */
	CURLM *multi;
	struct loop_alarm alarm;
	struct loop_task look;
	TAILQ_HEAD(http_calls, http_call) calls;
};

struct http_call {
	TAILQ_ENTRY(http_call) link;
	struct http_client *client;
	CURL *easy;
	bool running;			/* libcurl has it */
	char *url, *proxy;
	bool post;
	char *body;
	size_t body_n;
	struct strbuf in;
	bool too_long;
	struct http_name names[2];	/* the server, the proxy */
	struct resolve_query *query;
	size_t next_name;
	struct curl_slist *resolved;
	struct curl_slist *headers;
	char said[CURL_ERROR_SIZE];
	struct err failed;
	struct loop_task fail;		/* tells failed, later */
	http_cb *cb;
	void *arg;
};

static void resolve_next(struct http_call *h);

/* ---- sockets and time ---- */

static void
look(void *arg)
{
	struct http_client *c = arg;

	loop_defer(c->loop, &c->look);
}

static void
on_socket(void *arg, unsigned what)
{
	struct http_socket *s = arg;
	struct http_client *c = s->client;
	int running;

	curl_multi_socket_action(c->multi, s->fd.fd, what == LOOP_READ ?
	    CURL_CSELECT_IN : CURL_CSELECT_OUT, &running);
	look(c);
}

static void
socket_free(void *arg)
{
	free(arg);
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *mine)
{
	struct http_client *c = arg;
	struct http_socket *s = mine;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s != NULL) {
			loop_fd_del(&s->fd);
			loop_reap(c->loop, &s->reap);
		}
		return 0;
	}
	if (s == NULL) {
		s = mem_zalloc(sizeof(*s));
		s->client = c;
		loop_fd_init(c->loop, &s->fd, fd, on_socket, s);
		loop_task_init(&s->reap, socket_free, s);
		curl_multi_assign(c->multi, fd, s);
	}
	loop_fd_want(&s->fd, (what != CURL_POLL_OUT ? LOOP_READ : 0) |
	    (what != CURL_POLL_IN ? LOOP_WRITE : 0));
	return 0;
}

static int
want_timer(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;

	(void)multi;
	if (ms < 0)
		loop_alarm_cancel(&c->alarm);
	else
		loop_alarm_set(&c->alarm, (uint64_t)ms);
	return 0;
}

static void
on_alarm(void *arg)
{
	struct http_client *c = arg;
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	look(c);
}

/* ---- the end of a call ---- */

static void
call_free(struct http_call *h)
{
	struct http_client *c = h->client;
	size_t i;

	TAILQ_REMOVE(&c->calls, h, link);
	loop_task_cancel(c->loop, &h->fail);
	resolve_cancel(&h->query);
	if (h->running)
		curl_multi_remove_handle(c->multi, h->easy);
	if (h->easy != NULL)
		curl_easy_cleanup(h->easy);
	curl_slist_free_all(h->resolved);
	curl_slist_free_all(h->headers);
	for (i = 0; i < 2; i++)
		free(h->names[i].host);
	if (h->body != NULL)
		mem_wipe(h->body, h->body_n);
	free(h->body);
	strbuf_wipe(&h->in);
	free(h->url);
	free(h->proxy);
	free(h);
}

static void
call_end(struct http_call *h, struct http_answer *a)
{
	http_cb *cb = h->cb;

	h->cb = NULL;
	if (cb != NULL)
		cb(h->arg, a);
	call_free(h);
}

static void
tell_failure(void *arg)
{
	struct http_call *h = arg;
	struct http_answer a = { .result = (enum http_result)h->failed.code,
	    .text = h->failed.text, .type = "" };

	call_end(h, &a);
}

static void
fail_later(struct http_call *h, enum http_result result, const char *text)
{
	err_set(&h->failed, (int)result, "%s", text);
	h->failed.code = (int)result;
	loop_defer(h->client->loop, &h->fail);
}

static enum http_result
result_of(const struct http_call *h, CURLcode code)
{
	if (h->too_long)
		return HTTP_BROKEN;
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return HTTP_UNTRUSTED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_WRITE_ERROR:
	case CURLE_FILESIZE_EXCEEDED:
	case CURLE_BAD_FUNCTION_ARGUMENT:
	case CURLE_UNKNOWN_OPTION:
		return HTTP_BROKEN;
	default:
		return HTTP_UNREACHABLE;
	}
}

static void
finished(struct http_call *h, CURLcode code)
{
	struct http_answer a = { .result = result_of(h, code),
	    .body = strbuf_slice(&h->in) };
	curl_off_t after = 0;
	char *type = NULL;
	long status = 0;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &after);
	curl_easy_getinfo(h->easy, CURLINFO_CONTENT_TYPE, &type);
	a.type = type != NULL ? type : "";
	a.status = status > 0 ? (unsigned)status : 0;
	a.retry_after = after > 0 ? (uint64_t)after : 0;
	if (h->too_long || code == CURLE_FILESIZE_EXCEEDED)
		a.text = "the answer is too long";
	else if (code != CURLE_OK)
		a.text = h->said[0] != '\0' ? h->said :
		    curl_easy_strerror(code);
	curl_multi_remove_handle(h->client->multi, h->easy);
	h->running = false;
	call_end(h, &a);
}

static void
on_look(void *arg)
{
	struct http_client *c = arg;
	struct http_call *h;
	CURLMsg *m;
	char *mine;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		mine = NULL;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &mine);
		h = (void *)mine;
		if (h != NULL)
			finished(h, m->data.result);
	}
}

/* ---- the beginning ---- */

/* libcurl's own limit does not stop a body that does not tell its length. */
static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *h = arg;

	if (h->in.n + size * n > HTTP_ANSWER_MAX) {
		h->too_long = true;
		return 0;
	}
	strbuf_add(&h->in, p, size * n);
	return size * n;
}

static struct curl_slist *
accept_header(const char *type)
{
	char *line = mem_printf("Accept: %s", type != NULL ? type :
	    "application/json");
	struct curl_slist *list = curl_slist_append(NULL, line);

	free(line);
	return list;
}

static void
set_options(struct http_call *h)
{
	CURL *e = h->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, (char *)h);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->said);
	curl_easy_setopt(e, CURLOPT_URL, h->url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, h->proxy != NULL ? h->proxy : "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, "");
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)HTTP_TOTAL_MS);
	curl_easy_setopt(e, CURLOPT_MAXFILESIZE, (long)HTTP_ANSWER_MAX);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "smarthostd");
	/* Seldom, and for different people: nothing is kept. */
	curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_PROXY_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, h->headers);
	if (h->post) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)h->body_n);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, h->body);
	}
}

static CURLcode
lend_anchors(CURL *easy, void *ssl, void *arg)
{
	(void)easy;
	tls_anchors_lend(arg, ssl);
	return CURLE_OK;
}

/* As PEM libcurl would keep a copy of all certificates for each call, and
 * parse them for each. */
static int
set_trust(struct http_call *h, struct err *e)
{
	struct http_client *c = h->client;

	if (c->ca.n == 0)
		return 0;
	if (c->anchors == NULL)
		c->anchors = tls_anchors_new(c->ca, e);
	if (c->anchors == NULL)
		return -1;
	/* It would remember them for calls that trust nobody. */
	curl_easy_setopt(h->easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(h->easy, CURLOPT_SSL_CTX_FUNCTION, lend_anchors);
	curl_easy_setopt(h->easy, CURLOPT_SSL_CTX_DATA, c->anchors);
	return 0;
}

static int
set_ca(struct http_call *h, struct slice ca, struct err *e)
{
	struct curl_blob blob = { .data = (void *)(uintptr_t)ca.p,
	    .len = ca.n, .flags = CURL_BLOB_COPY };

	/* Not the file that libcurl was built to read. */
	curl_easy_setopt(h->easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(h->easy, CURLOPT_PROXY_CAINFO, NULL);
	if (ca.n == 0)
		return set_trust(h, e);
	curl_easy_setopt(h->easy, CURLOPT_CAINFO_BLOB, &blob);
	if (h->proxy != NULL)
		curl_easy_setopt(h->easy, CURLOPT_PROXY_CAINFO_BLOB, &blob);
	return 0;
}

static void
launch(struct http_call *h)
{
	if (h->resolved != NULL)
		curl_easy_setopt(h->easy, CURLOPT_RESOLVE, h->resolved);
	if (curl_multi_add_handle(h->client->multi, h->easy) != CURLM_OK) {
		fail_later(h, HTTP_BROKEN, "libcurl does not take it");
		return;
	}
	h->running = true;
}

/* ---- names ---- */

static void
on_resolved(void *arg, const struct resolve_answer *a)
{
	struct http_call *h = arg;
	const struct http_name *name = &h->names[h->next_name];
	struct strbuf b = STRBUF_INIT;
	char ip[SOCKADDR_TEXT_MAX], text[512];
	size_t i;

	h->query = NULL;
	if (a->status != RESOLVE_OK) {
		snprintf(text, sizeof(text), "%.200s: %.250s", name->host,
		    a->why.text);
		fail_later(h, HTTP_UNREACHABLE, text);
		return;
	}
	strbuf_printf(&b, "+%s:%u:", name->host, name->port);
	for (i = 0; i < a->count && i < ADDRESSES_MAX; i++) {
		sockaddr_ip_text(&a->addrs[i], ip);
		strbuf_printf(&b, i > 0 ? ",%s" : "%s", ip);
	}
	h->resolved = curl_slist_append(h->resolved, strbuf_cstr(&b));
	strbuf_free(&b);
	h->next_name++;
	resolve_next(h);
}

static void
resolve_next(struct http_call *h)
{
	while (h->next_name < 2 && h->names[h->next_name].host == NULL)
		h->next_name++;
	if (h->next_name == 2) {
		launch(h);
		return;
	}
	h->query = resolve_host(h->client->resolver,
	    h->names[h->next_name].host, RESOLVE_V4 | RESOLVE_V6,
	    HTTP_CONNECT_MS, on_resolved, h);
}

static bool
find_names(struct http_call *h)
{
	bool remote = false, none;

	if (!http_url_name(h->url, false, &h->names[0], &none))
		return false;
	if (h->proxy == NULL)
		return true;
	if (!http_url_name(h->proxy, true, &h->names[1], &remote))
		return false;
	if (remote) {
		free(h->names[0].host);
		h->names[0].host = NULL;
	}
	return true;
}

struct http_call *
http_start(struct http_client *c, const struct http_request *r, http_cb *cb,
    void *arg)
{
	struct http_call *h = mem_zalloc(sizeof(*h));
	struct err e = { 0, "" };

	h->client = c;
	h->cb = cb;
	h->arg = arg;
	h->url = mem_strdup(r->url);
	h->proxy = r->proxy != NULL && r->proxy[0] != '\0' ?
	    mem_strdup(r->proxy) : NULL;
	h->post = r->post;
	h->body_n = r->body.n;
	h->body = mem_dup(r->body.p != NULL ? r->body.p : "", r->body.n);
	h->headers = accept_header(r->accept);
	loop_task_init(&h->fail, tell_failure, h);
	TAILQ_INSERT_TAIL(&c->calls, h, link);
	h->easy = curl_easy_init();
	if (h->easy == NULL) {
		fail_later(h, HTTP_BROKEN, "libcurl does not start");
		return h;
	}
	set_options(h);
	if (set_ca(h, r->ca, &e) < 0)
		fail_later(h, HTTP_UNTRUSTED, e.text);
	else if (!find_names(h))
		fail_later(h, HTTP_BROKEN, "the URL is not one of https, or "
		    "its proxy's is none");
	else
		resolve_next(h);
	return h;
}

void
http_cancel(struct http_call **hp)
{
	struct http_call *h = *hp;

	*hp = NULL;
	if (h != NULL)
		call_free(h);
}

/* ---- the client ---- */

void
http_client_resolver(struct http_client *c, struct resolver *r)
{
	c->resolver = r;
}

void
http_client_trust(struct http_client *c, struct slice ca)
{
	tls_anchors_free(&c->anchors);
	c->ca = ca;
}

struct http_client *
http_client_new(struct loop *l, struct err *e)
{
	struct http_client *c;
	CURLM *multi;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (multi = curl_multi_init()) == NULL) {
		err_set(e, -1, "libcurl does not start");
		return NULL;
	}
	c = mem_zalloc(sizeof(*c));
	c->loop = l;
	c->multi = multi;
	TAILQ_INIT(&c->calls);
	loop_alarm_init(l, &c->alarm, on_alarm, c);
	loop_task_init(&c->look, on_look, c);
	curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)HOST_CALLS_MAX);
	curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	    (long)CALLS_MAX);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, c);
	return c;
}

void
http_client_free(struct http_client **cp)
{
	struct http_client *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	while (!TAILQ_EMPTY(&c->calls))
		call_free(TAILQ_FIRST(&c->calls));
	curl_multi_cleanup(c->multi);
	loop_alarm_cancel(&c->alarm);
	loop_task_cancel(c->loop, &c->look);
	tls_anchors_free(&c->anchors);
	curl_global_cleanup();
	free(c);
}

/*
 * Fetching an MTA-STS policy.  Run by delivery and relayctl.
 *
 * It is fetched from one place only, straight, from a server whose certificate
 * is good for its name; redirects are not followed, and what is no text counts
 * for nothing (RFC 8461 3.2, 3.3): whoever can put an answer into somebody
 * else's place must not be able to make a policy, or to unmake one.
 */
#include "io/policy_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct policy_fetch {
	struct loop *loop;
	struct http_call *call;
	struct loop_timer limit;
	policy_fetch_cb *cb;
	void *arg;
};

static void
fetch_free(struct policy_fetch *f)
{
	http_cancel(&f->call);
	loop_timer_cancel(f->loop, &f->limit);
	free(f);
}

void
policy_fetch_cancel(struct policy_fetch **fp)
{
	if (*fp != NULL)
		fetch_free(*fp);
	*fp = NULL;
}

static void
done(struct policy_fetch *f, const struct policy_answer *a)
{
	f->cb(f->arg, a);
	fetch_free(f);
}

/* "text/plain", whatever parameters stand behind it. */
static bool
is_plain(const char *type)
{
	size_t n = strcspn(type, "; \t");

	return slice_eq_case_cstr(slice_of(type, n), "text/plain");
}

static void
judge(const struct http_answer *h, struct policy_answer *a, char text[80])
{
	a->result = POLICY_WRONG;
	a->why = text;
	if (h->status >= 300 && h->status < 400)
		snprintf(text, 80, "the web server answers with a redirect "
		    "(%u), which does not count", h->status);
	else if (h->status != 200)
		snprintf(text, 80, "the web server answers with %u",
		    h->status);
	else if (!is_plain(h->type))
		snprintf(text, 80, "the web server says that it is no "
		    "text/plain");
	else
		*a = (struct policy_answer){ POLICY_FETCHED, h->body, "" };
}

static void
on_answer(void *arg, const struct http_answer *h)
{
	struct policy_fetch *f = arg;
	struct policy_answer a = { .why = h->text };
	char text[80];

	f->call = NULL;
	switch (h->result) {
	case HTTP_ANSWERED:
		judge(h, &a, text);
		break;
	case HTTP_UNTRUSTED:
		a.result = POLICY_UNTRUSTED;
		break;
	case HTTP_BROKEN:
		a.result = POLICY_WRONG;
		break;
	default:
		a.result = POLICY_UNREACHABLE;
		break;
	}
	done(f, &a);
}

static void
on_limit(void *arg)
{
	struct policy_fetch *f = arg;
	struct policy_answer a = { .result = POLICY_UNREACHABLE,
	    .why = "no answer in time" };

	done(f, &a);
}

/* The port is fixed; tests, which may not bind it, name another one. */
static char *
url_of(const char *domain)
{
	const char *port = getenv("SMARTHOSTD_MTA_STS_PORT");

	return mem_printf("https://mta-sts.%s%s%s/.well-known/mta-sts.txt",
	    domain, port != NULL ? ":" : "", port != NULL ? port : "");
}

struct policy_fetch *
policy_fetch_start(struct loop *l, struct http_client *c, const char *domain,
    uint64_t ms, policy_fetch_cb *cb, void *arg)
{
	struct policy_fetch *f = mem_zalloc(sizeof(*f));
	char *url = url_of(domain);
	struct http_request r = { .url = url, .accept = "text/plain" };

	f->loop = l;
	f->cb = cb;
	f->arg = arg;
	loop_timer_init(&f->limit, on_limit, f);
	loop_timer_set(l, &f->limit, ms);
	f->call = http_start(c, &r, on_answer, f);
	free(url);
	return f;
}

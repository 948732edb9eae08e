/*
 * Where a recipient goes now: its pinned transport, the place of local
 * recipients, or the routes, judged anew at each attempt.  Run by queue.
 *
 * Always finds something, but for recipients of local-domains that have no
 * place (550 5.1.1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/route_choice.h"
#include "queue/internal.h"

bool
route_is_local(const struct queue *q, const char *address)
{
	return conf_local_has(q->names, address);
}

void
route_configure(struct queue *q)
{
	size_t i = conf_transport_find(q->conf, "local");

	conf_local_free(&q->names);
	q->names = conf_local_new(q->conf, slice_cstr(q->conf->aliases));
	q->local = i == SIZE_MAX ? NULL : &q->conf->transports[i];
}

static void
pick_answer(struct queue *q, const struct route_answer *a, const char *to,
    struct route_pick *out)
{
	struct lane *l;
	size_t i;

	out->route = a->route;
	for (i = 0; i < a->n_via && out->n_via < VIA_MAX; i++) {
		l = a->via[i] == SIZE_MAX ? q->lane_direct :
		    q->lane_of[a->via[i]];
		out->via[out->n_via++] = site_lane(q, l, to);
	}
	if (out->n_via == 0)
		out->via[out->n_via++] = site_lane(q, q->lane_direct, to);
}

void
route_pick(struct queue *q, const struct record *r, size_t i,
    struct route_pick *out)
{
	const struct envelope *env = r->env;
	const char *to = env->recipients[i].address;
	uint64_t now = clock_real_ms();
	struct route_query query;
	struct route_answer answer;

	struct lane *waits;

	out->n_via = 0;
	out->route = NULL;
	waits = account_lane(q, r->account);
	if (waits != NULL) {
		out->via[out->n_via++] = waits;
		return;
	}
	if (r->pinned != NULL) {
		out->via[out->n_via++] = site_lane(q,
		    lane_named(q, r->pinned), to);
		return;
	}
	if (route_is_local(q, to)) {
		/* What we write ourselves has nobody to be refused to. */
		if (q->local != NULL || envelope_is_ours(env))
			out->via[out->n_via++] = lane_named(q, "local");
		return;
	}
	memset(&query, 0, sizeof(query));
	query.from = env->from;
	query.to = to;
	query.login = env->login;
	query.client = env->client;
	query.uid = env->uid;
	query.attempts = r->rcpt[i].attempts;
	query.size = r->body_size;
	query.age = now > env->received_ms ? now - env->received_ms : 0;
	query.account = r->account;
	memset(&answer, 0, sizeof(answer));
	route_choose(q->conf, &query, &answer, NULL, NULL);
	pick_answer(q, &answer, to, out);
}

/* Cheaper than a format: it is made for each attempt. */
char *
route_text(const struct conf_route *route)
{
	char digits[12];
	size_t n, k = sizeof(digits);
	unsigned line;
	char *text;

	if (route == NULL || route->where.file == NULL)
		return NULL;
	line = route->where.line;
	do {
		digits[--k] = (char)('0' + line % 10);
		line /= 10;
	} while (line > 0);
	n = strlen(route->where.file);
	text = mem_alloc(n + 1 + sizeof(digits) - k + 1);
	memcpy(text, route->where.file, n);
	text[n++] = ':';
	memcpy(text + n, digits + k, sizeof(digits) - k);
	text[n + sizeof(digits) - k] = 0;
	return text;
}

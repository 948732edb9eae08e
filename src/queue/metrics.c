/*
 * What is counted, and how it is told: the text format of Prometheus.  Run by
 * queue.  Counters begin at 0 when the role does; those of listeners are what
 * they have told.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/internal.h"

#define COUNTS_MAX 512u			/* names with labels */
#define BOUNDS 12

/* Seconds from arrival to delivery. */
static const uint32_t bounds_ms[BOUNDS] = {
	100, 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000, 1800000,
	7200000, 86400000
};

struct metrics {
	struct htab *counts;		/* letter and label: uint64_t */
	uint64_t by_age[BOUNDS + 1], age_ms;
};

/* ---- counting ---- */

/* kind: 'r'eceived by a listener, re'j'ected for a reason, 't'ls version. */
static void
count(struct queue *q, char kind, const char *label, uint64_t n)
{
	struct metrics *m = q->metrics;
	char key[160];
	uint64_t *v;

	snprintf(key, sizeof(key), "%c%s", kind, label);
	v = htab_get(m->counts, slice_cstr(key));
	if (v == NULL) {
		if (htab_count(m->counts) >= COUNTS_MAX)
			return;
		v = mem_zalloc(sizeof(*v));
		htab_put(m->counts, slice_cstr(key), v);
	}
	*v += n;
}

void
metrics_received(struct queue *q, const struct envelope *env)
{
	if (!envelope_is_ours(env))
		count(q, 'r', env->listener != NULL ? env->listener :
		    "submit.sock", 1);
}

void
metrics_delivery(const struct attempt *a, const char *status)
{
	struct metrics *m = a->m->q->metrics;
	uint64_t now = clock_real_ms(), at = a->m->rec->env->received_ms;
	uint64_t age = now > at ? now - at : 0;
	size_t i;

	if (strcmp(status, "deferred") == 0) {
		a->lane->base->sents[DEFERRED]++;
		return;
	}
	if (strcmp(status, "sent") != 0) {
		a->lane->base->sents[BOUNCED]++;
		return;
	}
	a->lane->base->sents[SENT]++;
	for (i = 0; i < BOUNDS && age > bounds_ms[i]; i++)
		;
	m->by_age[i]++;
	m->age_ms += age;
}

void
metrics_job(const struct attempt *a, const struct msg_job_done *d)
{
	if (d->class == JOB_UNREACHABLE)
		a->lane->base->connects[CONNECT_FAILED]++;
	else if (d->class == JOB_CREDENTIAL)
		a->lane->base->connects[CONNECT_REFUSED]++;
	else if (d->connect_ms > 0)
		a->lane->base->connects[CONNECTED]++;
}

int
metrics_counts(struct queue *q, struct slice data, struct err *e)
{
	struct msg_counts c;
	uint32_t i;

	if (msg_counts_decode(data, &c) < 0)
		return err_set(e, EPROTO, "numbers that are garbage");
	for (i = 0; i < c.n; i++)
		if (strncmp(c.v[i].name, "tls ", 4) == 0)
			count(q, 't', c.v[i].name + 4, c.v[i].count);
		else
			count(q, 'j', c.v[i].name, c.v[i].count);
	return 0;
}

/* ---- telling ---- */

static void
head(struct strbuf *out, const char *name, const char *type)
{
	strbuf_printf(out, "# TYPE smarthostd_%s %s\n", name, type);
}

static void
label(struct strbuf *out, const char *name, const char *value)
{
	strbuf_printf(out, "%s=\"", name);
	for (; *value != 0; value++) {
		if (*value == '"' || *value == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *value == '\n' ? ' ' : *value);
	}
	strbuf_putc(out, '"');
}

static void
tell_counts(const struct metrics *m, char kind, const char *name,
    const char *what, struct strbuf *out)
{
	struct slice key;
	char text[160];
	size_t pos = 0;
	uint64_t *v;

	head(out, name, "counter");
	while ((v = htab_next(m->counts, &pos, &key)) != NULL) {
		if (key.p[0] != kind || key.n > sizeof(text))
			continue;
		memcpy(text, key.p + 1, key.n - 1);
		text[key.n - 1] = 0;
		strbuf_printf(out, "smarthostd_%s{", name);
		label(out, what, text);
		strbuf_printf(out, "} %llu\n", (unsigned long long)*v);
	}
}

static void
tell_lane(const struct lane *l, const char *name, const uint64_t n[3],
    const char *const *results, struct strbuf *out)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (n[i] == 0)
			continue;
		strbuf_printf(out, "smarthostd_%s{", name);
		label(out, "transport", l->name);
		strbuf_putc(out, ',');
		label(out, "result", results[i]);
		strbuf_printf(out, "} %llu\n", (unsigned long long)n[i]);
	}
}

/* What is sent to next hops of a transport is counted in its lane without
 * one. */
static void
tell_lanes(const struct queue *q, const char *name, bool sents,
    const char *const *results, struct strbuf *out)
{
	const struct lane *l;

	head(out, name, "counter");
	TAILQ_FOREACH(l, &q->lanes, link)
		if (l->base == l && l->name[0] != 0)
			tell_lane(l, name, sents ? l->sents : l->connects,
			    results, out);
}

/* scale: units in one of what is told, a power of ten with that many noughts;
 * a sum that grows must be told to its last digit. */
static void
histogram(struct strbuf *out, const char *name, const uint32_t *bounds,
    size_t n, const uint64_t *by, uint64_t total, unsigned scale,
    int noughts)
{
	uint64_t count = 0;
	size_t i;

	head(out, name, "histogram");
	for (i = 0; i < n; i++) {
		count += by[i];
		strbuf_printf(out, "smarthostd_%s_bucket{le=\"%g\"} %llu\n",
		    name, (double)bounds[i] / scale, (unsigned long long)count);
	}
	count += by[n];
	strbuf_printf(out, "smarthostd_%s_bucket{le=\"+Inf\"} %llu\n"
	    "smarthostd_%s_sum %llu", name, (unsigned long long)count, name,
	    (unsigned long long)(total / scale));
	if (noughts > 0)
		strbuf_printf(out, ".%0*llu", noughts,
		    (unsigned long long)(total % scale));
	strbuf_printf(out, "\nsmarthostd_%s_count %llu\n", name,
	    (unsigned long long)count);
}

void
queue_metrics(struct queue *q, struct strbuf *out)
{
	static const char *const sents[] = { "delivered", "deferred",
	    "bounced" };
	static const char *const connects[] = { "ok", "failed", "refused" };
	const struct metrics *m = q->metrics;
	struct store_commits k;

	tell_counts(m, 'r', "messages_received_total", "listener", out);
	tell_counts(m, 'j', "messages_rejected_total", "reason", out);
	tell_counts(m, 't', "client_tls_total", "version", out);
	tell_lanes(q, "deliveries_total", true, sents, out);
	tell_lanes(q, "connections_total", false, connects, out);
	histogram(out, "delivery_seconds", bounds_ms, BOUNDS, m->by_age,
	    m->age_ms, 1000, 3);
	if (q->store == NULL)
		return;
	store_commits(q->store, &k);
	histogram(out, "commit_seconds", store_commit_us,
	    STORE_COMMIT_BOUNDS, k.by_time, k.us, 1000000, 6);
	histogram(out, "commit_messages", store_commit_changes,
	    STORE_COMMIT_BOUNDS, k.by_changes, k.changes, 1, 0);
}

/* ---- life ---- */

void
metrics_new(struct queue *q)
{
	q->metrics = mem_zalloc(sizeof(*q->metrics));
	q->metrics->counts = htab_new();
}

void
metrics_free(struct queue *q)
{
	uint64_t *v;
	size_t pos = 0;

	if (q->metrics == NULL)
		return;
	while ((v = htab_next(q->metrics->counts, &pos, NULL)) != NULL)
		free(v);
	htab_free(&q->metrics->counts);
	free(q->metrics);
	q->metrics = NULL;
}

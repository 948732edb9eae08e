/*
 * SPF of our own mail, with a memory.
 *
 * delivery.  A domain and an address are asked about once for all who wait,
 * one question of the evaluator after the other; what is found is kept for
 * some minutes.  A DNS that says nothing in time is a temperror, and holds
 * nobody up for longer than that.
 */
#include "delivery/forecast.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/htab.h"
#include "base/mem.h"

#define ENTRIES_MAX	2000u
#define QUESTION_MS	5000u
#define ALL_MS		20000u
#define GOOD_MS		(5u * 60 * 1000)
#define FAILED_MS	30000u		/* temperror */

TAILQ_HEAD(entry_list, entry);
TAILQ_HEAD(wait_list, forecast_wait);

struct entry {
	TAILQ_ENTRY(entry) link;	/* used last stands last */
	struct forecast *f;
	char *key;
	struct spf *spf;		/* while it is asked for */
	struct resolve_query *query;
	struct loop_timer limit;
	struct loop_task step;
	struct loop_task reap;
	struct forecast_answer answer;
	uint64_t expires;		/* mono ms; 0: not known */
	struct wait_list waits;
};

struct forecast {
	struct loop *loop;
	struct resolver *resolver;
	struct htab *by_key;
	struct entry_list all;
};

static void on_step(void *arg);

struct forecast *
forecast_new(struct loop *loop, struct resolver *resolver)
{
	struct forecast *f = mem_zalloc(sizeof(*f));

	f->loop = loop;
	f->resolver = resolver;
	f->by_key = htab_new();
	TAILQ_INIT(&f->all);
	return f;
}

/* ---- entries ---- */

static void
stop_asking(struct entry *e)
{
	resolve_cancel(&e->query);
	spf_free(&e->spf);
	loop_timer_cancel(e->f->loop, &e->limit);
	loop_task_cancel(e->f->loop, &e->step);
}

static void
on_reap(void *arg)
{
	struct entry *e = arg;

	free(e->answer.text);
	free(e->key);
	free(e);
}

static void
entry_free(struct entry *e)
{
	struct forecast_wait *w;

	while ((w = TAILQ_FIRST(&e->waits)) != NULL)
		forecast_cancel(w);
	stop_asking(e);
	TAILQ_REMOVE(&e->f->all, e, link);
	htab_del(e->f->by_key, slice_cstr(e->key));
	loop_reap(e->f->loop, &e->reap);
}

void
forecast_free(struct forecast **fp)
{
	struct forecast *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	while (!TAILQ_EMPTY(&f->all))
		entry_free(TAILQ_FIRST(&f->all));
	htab_free(&f->by_key);
	free(f);
}

void
forecast_cancel(struct forecast_wait *w)
{
	struct entry *e = w->entry;

	if (e == NULL)
		return;
	TAILQ_REMOVE(&e->waits, w, link);
	w->entry = NULL;
}

/* Those used longest ago, as far as nobody waits for them. */
static void
trim(struct forecast *f)
{
	struct entry *e = TAILQ_FIRST(&f->all), *next;
	unsigned looks = 16;

	for (; e != NULL && looks-- > 0 &&
	    htab_count(f->by_key) >= ENTRIES_MAX; e = next) {
		next = TAILQ_NEXT(e, link);
		if (TAILQ_EMPTY(&e->waits))
			entry_free(e);
	}
}

/* ---- asking ---- */

static void
finish(struct entry *e, const struct spf_verdict *v)
{
	struct forecast_wait *w;

	e->answer.result = v->result;
	free(e->answer.text);
	if (v->problem != NULL)
		e->answer.text = mem_printf("%s: %s",
		    spf_result_name(v->result), v->problem);
	else
		e->answer.text = mem_printf("%s by `%s`",
		    spf_result_name(v->result), v->mechanism != NULL ?
		    v->mechanism : "default");
	e->expires = clock_mono_ms() + (v->result == SPF_TEMPERROR ?
	    FAILED_MS : GOOD_MS);
	stop_asking(e);
	/* One that is called may ask again, which is answered at once, or
	 * take back others. */
	while ((w = TAILQ_FIRST(&e->waits)) != NULL) {
		forecast_cancel(w);
		w->cb(w->arg, &e->answer);
	}
}

static void
on_limit(void *arg)
{
	static const struct spf_verdict late = { .result = SPF_TEMPERROR,
	    .problem = "DNS did not answer in time" };

	finish(arg, &late);
}

/* The data of a record as the evaluator has it; false: damaged. */
static bool
record_text(enum spf_type type, struct slice data, struct strbuf *out)
{
	char name[256];

	switch (type) {
	case SPF_TXT:
		return resolve_txt(data, out) == 0;
	case SPF_MX:
	case SPF_PTR:
		if (resolve_name(slice_skip(data, type == SPF_MX ? 2 : 0),
		    name) < 0)
			return false;
		strbuf_puts(out, name);
		return true;
	default:
		strbuf_add_slice(out, data);
		return true;
	}
}

static void
tell(struct spf *s, enum spf_type type, const struct resolve_answer *a)
{
	static const enum spf_status statuses[] = {
		[RESOLVE_OK] = SPF_FOUND, [RESOLVE_NODATA] = SPF_NODATA,
		[RESOLVE_NXDOMAIN] = SPF_NXDOMAIN,
		[RESOLVE_FAILED] = SPF_UNKNOWN, [RESOLVE_BOGUS] = SPF_UNKNOWN
	};
	struct spf_reply r = { .status = statuses[a->status] };
	struct slice *records = mem_zarray(a->count + 1, sizeof(*records));
	struct strbuf *texts = mem_zarray(a->count + 1, sizeof(*texts));
	size_t i;

	for (i = 0; i < a->count; i++)
		if (record_text(type, a->records[i], &texts[i]))
			records[r.count++] = slice_of(
			    strbuf_cstr(&texts[i]), texts[i].n);
	r.records = records;
	spf_reply(s, &r);
	for (i = 0; i < a->count; i++)
		strbuf_free(&texts[i]);
	free(texts);
	free(records);
}

static void
on_record(void *arg, const struct resolve_answer *a)
{
	struct entry *e = arg;
	struct spf_question q;

	e->query = NULL;
	if (spf_next(e->spf, &q))
		tell(e->spf, q.type, a);
	on_step(e);
}

static void
on_step(void *arg)
{
	struct entry *e = arg;
	struct spf_question q;

	if (spf_next(e->spf, &q))
		e->query = resolve_records(e->f->resolver, q.name, q.type,
		    QUESTION_MS, on_record, e);
	else
		finish(e, spf_verdict(e->spf));
}

static void
entry_ask(struct entry *e, const char *domain, const struct mail_literal *ip,
    const char *helo)
{
	struct spf_ask ask = { .ip = *ip, .from = domain, .helo = helo,
	    .now = clock_real_ms() / 1000 };

	e->spf = spf_new(&ask);
	loop_timer_set(e->f->loop, &e->limit, ALL_MS);
	loop_defer(e->f->loop, &e->step);
}

static struct entry *
entry_find(struct forecast *f, const char *domain,
    const struct mail_literal *ip)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct entry *e;
	char *key;

	inet_ntop(ip->family, ip->addr, text, sizeof(text));
	key = mem_printf("%s %s", text, domain);
	e = htab_get(f->by_key, slice_cstr(key));
	if (e != NULL) {
		free(key);
		TAILQ_REMOVE(&f->all, e, link);
	} else {
		trim(f);
		e = mem_zalloc(sizeof(*e));
		e->f = f;
		e->key = key;
		TAILQ_INIT(&e->waits);
		loop_timer_init(&e->limit, on_limit, e);
		loop_task_init(&e->step, on_step, e);
		loop_task_init(&e->reap, on_reap, e);
		htab_put(f->by_key, slice_cstr(key), e);
	}
	TAILQ_INSERT_TAIL(&f->all, e, link);
	return e;
}

const struct forecast_answer *
forecast_get(struct forecast *f, const char *domain,
    const struct mail_literal *ip, const char *helo,
    struct forecast_wait *w, forecast_cb *cb, void *arg)
{
	struct entry *e = entry_find(f, domain, ip);

	if (e->spf == NULL && e->expires > clock_mono_ms())
		return &e->answer;
	if (e->spf == NULL)
		entry_ask(e, domain, ip, helo);
	w->cb = cb;
	w->arg = arg;
	w->entry = e;
	TAILQ_INSERT_TAIL(&e->waits, w, link);
	return NULL;
}

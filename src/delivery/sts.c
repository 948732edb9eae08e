/*
 * Looking up MTA-STS policies.  Run by delivery, with each question where a
 * domain's mail goes.
 *
 * The record in DNS says whether there is a policy, and by its id whether it
 * is another one than ours; the policy itself comes by HTTPS.  Whoever can
 * keep us from either of them cannot do away with a policy that we know: it
 * holds until it has expired, and is fetched anew long before that (RFC 8461
 * 3.3, 10.2).  Where we know none, mail goes without.  What fails is told in
 * the log and not tried again at once.
 */
#include "delivery/sts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/policy_fetch.h"

#define RECORD_MS 8000u
#define ALL_MS 20000u			/* record and policy */
#define AGAIN_MS (5u * 60 * 1000)	/* after a fetch that failed */
#define FRESH_MS (24u * 3600 * 1000)	/* or half its life: then it is
					 * fetched anew, whatever its id */

struct sts {
	struct sts_options o;		/* o.domain is owned, o.note NULL */
	sts_cb *cb;
	void *arg;
	struct resolve_query *query;
	struct policy_fetch *fetch;
	struct loop_timer limit;
	struct mta_sts_note note;
	char id[MTA_STS_ID_MAX + 1];	/* of the record; "": there is none */
	bool changed;			/* the note */
};

bool
sts_wanted(const struct conf_transport *t, const char *domain)
{
	return t->mta_sts && domain[0] != '[';
}

static void
sts_free(struct sts *s)
{
	resolve_cancel(&s->query);
	policy_fetch_cancel(&s->fetch);
	loop_timer_cancel(s->o.loop, &s->limit);
	mta_sts_note_clear(&s->note);
	free((void *)(uintptr_t)s->o.domain);
	free(s);
}

void
sts_cancel(struct sts **sp)
{
	if (*sp != NULL)
		sts_free(*sp);
	*sp = NULL;
}

static void
say(const struct sts *s, enum log_level level, const char *text,
    const char *why)
{
	log_begin(level, "mta-sts");
	log_str("domain", s->o.domain);
	if (s->note.fetched != 0) {
		log_str("mode", mta_sts_mode_name(s->note.policy.mode));
		log_str("policy", s->note.id);
	}
	log_str("text", text);
	log_str("why", why);
	log_end();
}

/* ---- what is known ---- */

static bool
is_valid(const struct sts *s)
{
	return clock_real_ms() < mta_sts_note_expires(&s->note);
}

/* A clock that was set back does not make it younger. */
static bool
is_fresh(const struct sts *s)
{
	uint64_t now = clock_real_ms(), half =
	    (uint64_t)s->note.policy.max_age * 500;

	return s->note.fetched != 0 && now >= s->note.fetched &&
	    now - s->note.fetched < (half < FRESH_MS ? half : FRESH_MS);
}

static bool
has_failed_lately(const struct sts *s)
{
	uint64_t now = clock_real_ms();

	return s->note.failed != 0 && now >= s->note.failed &&
	    now - s->note.failed < AGAIN_MS &&
	    strcmp(s->note.failed_id, s->id) == 0;
}

static bool
wants_fetch(const struct sts *s)
{
	if (has_failed_lately(s))
		return false;
	if (s->id[0] == '\0')		/* only what is to be kept alive */
		return is_valid(s) && !is_fresh(s);
	return !is_valid(s) || !is_fresh(s) ||
	    strcmp(s->note.id, s->id) != 0;
}

/* ---- the end ---- */

static void
finish(struct sts *s)
{
	struct sts_answer a = { NULL, 0, NULL };
	struct strbuf b = STRBUF_INIT;

	if (is_valid(s) && s->note.policy.mode != MTA_STS_NONE) {
		a.policy = &s->note.policy;
		a.lasts_ms = mta_sts_note_expires(&s->note) - clock_real_ms();
	}
	if (s->changed) {
		mta_sts_note_encode(&s->note, &b);
		a.note = strbuf_cstr(&b);
	}
	s->cb(s->arg, &a);
	strbuf_free(&b);
	sts_free(s);
}

static void
failed(struct sts *s, const char *why)
{
	say(s, LL_WARN, is_valid(s) ? "the policy cannot be fetched: the one "
	    "that is known holds" : "the policy cannot be fetched: mail goes "
	    "without", why);
	s->note.failed = clock_real_ms();
	memcpy(s->note.failed_id, s->id, sizeof(s->id));
	s->changed = true;
	finish(s);
}

/* ---- the policy ---- */

/* A record that cannot be had leaves the id that was known. */
static void
take(struct sts *s, struct mta_sts_policy *p)
{
	bool known = is_valid(s) && s->note.policy.mode == p->mode &&
	    (s->id[0] == '\0' || strcmp(s->note.id, s->id) == 0);

	mta_sts_policy_clear(&s->note.policy);
	s->note.policy = *p;
	s->note.fetched = clock_real_ms();
	if (s->id[0] != '\0')
		memcpy(s->note.id, s->id, sizeof(s->id));
	s->note.failed = 0;
	s->note.failed_id[0] = '\0';
	s->changed = true;
	say(s, known ? LL_DEBUG : LL_INFO, known ? "fetched anew" :
	    "a new policy", NULL);
	finish(s);
}

static void
on_policy(void *arg, const struct policy_answer *a)
{
	struct sts *s = arg;
	struct mta_sts_policy p;
	struct err e = { 0, "" };

	s->fetch = NULL;
	if (a->result != POLICY_FETCHED) {
		failed(s, a->why);
	} else if (mta_sts_policy_parse(a->text, &p, &e) < 0) {
		err_prefix(&e, "it is no policy");
		failed(s, e.text);
	} else {
		take(s, &p);
	}
}

/* ---- the record ---- */

/* One and no more, and a good one; else there is none. */
static void
read_records(struct sts *s, const struct resolve_answer *a)
{
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0, "" };
	struct slice id;
	size_t i, n = 0;

	for (i = 0; i < a->count; i++) {
		strbuf_clear(&text);
		if (resolve_txt(a->records[i], &text) < 0 ||
		    !mta_sts_claims(strbuf_slice(&text)))
			continue;
		if (++n > 1) {
			s->id[0] = '\0';
			say(s, LL_INFO, "its records do not count", "there "
			    "are several");
			break;
		}
		if (mta_sts_record(strbuf_slice(&text), &id, &e) < 0) {
			say(s, LL_INFO, "its record does not count", e.text);
			continue;
		}
		memcpy(s->id, id.p, id.n);
		s->id[id.n] = '\0';
	}
	strbuf_free(&text);
}

static void
on_record(void *arg, const struct resolve_answer *a)
{
	struct sts *s = arg;

	s->query = NULL;
	if (a->status == RESOLVE_OK)
		read_records(s, a);
	else if (a->status == RESOLVE_FAILED || a->status == RESOLVE_BOGUS)
		say(s, is_valid(s) ? LL_WARN : LL_INFO, is_valid(s) ?
		    "DNS does not tell the record: the policy that is known "
		    "holds" : "DNS does not tell the record: mail goes "
		    "without a policy", a->why.text);
	if (wants_fetch(s))
		s->fetch = policy_fetch_start(s->o.loop, s->o.http,
		    s->o.domain, ALL_MS, on_policy, s);
	else
		finish(s);
}

static void
on_limit(void *arg)
{
	struct sts *s = arg;

	resolve_cancel(&s->query);
	policy_fetch_cancel(&s->fetch);
	failed(s, "no answer in time");
}

struct sts *
sts_start(const struct sts_options *o, sts_cb *cb, void *arg)
{
	struct sts *s = mem_zalloc(sizeof(*s));
	char *name = mem_printf("_mta-sts.%s", o->domain);

	s->o = *o;
	s->o.domain = mem_strdup(o->domain);
	s->o.note = NULL;
	s->cb = cb;
	s->arg = arg;
	if (o->note != NULL)
		(void)mta_sts_note_decode(slice_cstr(o->note), &s->note);
	loop_timer_init(&s->limit, on_limit, s);
	loop_timer_set(o->loop, &s->limit, ALL_MS);
	s->query = resolve_records(o->resolver, name, RESOLVE_TYPE_TXT,
	    RECORD_MS, on_record, s);
	free(name);
	return s;
}

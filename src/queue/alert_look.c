/*
 * What nobody says by himself: mail that waits, the disk, and transports that
 * are more than one lane.  Run by queue, now and then.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "queue/alert.h"

#define WAITING_LOOKED 256u		/* at a time, for the oldest */
#define SETTLED_MS 660000u		/* after a start: who is not heard of by
					 * then does not send too much */

/* ---- mail ---- */

/* When the oldest mail came that is neither held nor an alert: one that waits
 * must not be the cause of the next.  0: there is none.  False: not known
 * yet, the next look goes on. */
static bool
oldest(struct queue *q, uint64_t *id, uint64_t *at)
{
	uint64_t ids[WAITING_LOOKED], after = q->alerts->looked;
	size_t i, n = store_list(q->store, after, ids, WAITING_LOOKED);
	struct record *r;
	struct err e;
	bool owned, counts;

	q->alerts->looked = 0;
	for (i = 0; i < n; i++) {
		r = NULL;
		if (queue_message_get(q, ids[i], &r, &owned, &e) < 0)
			continue;
		counts = !r->held && r->env->protocol != MAIL_PROTO_ALERT;
		*at = r->env->received_ms;
		if (owned)
			record_free(&r);
		*id = ids[i];
		if (counts)
			return true;
	}
	*at = 0;
	if (n == WAITING_LOOKED)
		q->alerts->looked = ids[n - 1];
	return n < WAITING_LOOKED;
}

static bool
look_at_queue(struct queue *q)
{
	uint64_t id, at, now = clock_real_ms();
	char date[64], text[160];
	bool late;

	if (!oldest(q, &id, &at))
		return false;
	late = at != 0 && at < now && now - at >= q->conf->alert.after;
	if (late)
		snprintf(text, sizeof(text), "message %s has waited since %s",
		    line_id_text(id).s, clock_rfc5322(at, date,
		    sizeof(date)));
	else
		snprintf(text, sizeof(text), at == 0 ? "nothing waits" :
		    "nothing has waited for so long");
	alert_state(q, ALERT_QUEUE, "queue", late, text);
	return true;
}

/* ---- the disk ---- */

static void
look_at_disk(struct queue *q)
{
	bool mail = ingest_disk_short(q), files = ingest_files_short(q);
	uint64_t free = mail ? store_free_octets(q->store, NULL) :
	    store_free_for_files(q->store);
	char text[80];

	snprintf(text, sizeof(text), "%llu KiB are free for %s",
	    (unsigned long long)free / 1024, files && !mail ?
	    "large messages" : "mail");
	alert_state(q, ALERT_DISK, q->conf->spool_directory, mail || files,
	    text);
}

/* ---- lanes ---- */

static bool
is_closed_so(const struct lane *l, enum alert_kind kind)
{
	return l->closed != CLOSED_NOT &&
	    (l->closed == CLOSED_UNREACHABLE) == (kind == ALERT_UNREACHABLE);
}

static void
lane_why(struct alert *a, const struct lane *l)
{
	const char *what = l->closed == CLOSED_CREDENTIAL ?
	    "the credential was refused" : l->closed == CLOSED_QUOTA ?
	    "the provider's quota is used up" : l->closed == CLOSED_DAILY ?
	    "`daily` is used up" : NULL;
	struct strbuf text = STRBUF_INIT;

	if (l->site != NULL)
		strbuf_printf(&text, "%s: ", l->site);
	if (what != NULL)
		strbuf_puts(&text, what);
	if (what != NULL && l->why != NULL && l->why[0] != 0)
		strbuf_puts(&text, ": ");
	if (l->why != NULL)
		strbuf_puts(&text, l->why);
	alert_why(a, strbuf_cstr(&text));
	strbuf_free(&text);
}

/* A transport with many next hops is unreachable when all of them are that
 * have anything to do: one dead server among them is everyday. */
static void
look_at_lanes(struct alert *a)
{
	const struct lane *l, *closed = NULL;
	bool works = false;

	TAILQ_FOREACH(l, &a->q->lanes, link) {
		if (strcmp(l->name, a->object) != 0)
			continue;
		if (is_closed_so(l, a->kind))
			closed = l;
		else if (l->site != NULL && l->closed == CLOSED_NOT &&
		    l->reached_at != 0)
			works = true;
	}
	if (closed == NULL) {
		a->on = a->said;
		return;
	}
	a->known = true;
	a->on = !works;
	if (closed->since != 0 && !a->told && (a->since == 0 ||
	    closed->since < a->since))
		a->since = closed->since;
	if (a->on)
		lane_why(a, closed);
	else
		alert_why(a, "another next hop of it works");
}

/* ---- what was told before ---- */

static bool
is_configured(const struct conf *conf, const char *name)
{
	return strcmp(name, "direct") == 0 ||
	    conf_transport_find(conf, name) != SIZE_MAX ||
	    conf_account_find(conf, name) != SIZE_MAX;
}

/* Whoever would say that it is over says so when mail comes, if at all. */
static bool
is_slow(const struct conf *conf, const struct alert *a)
{
	size_t i = conf_account_find(conf, a->object);

	return a->kind == ALERT_RUNAWAY || (a->kind == ALERT_PARKED &&
	    i != SIZE_MAX && conf->accounts[i].daily != 0);
}

/* Before this start, or before this configuration.  Lanes know from the store
 * how they are. */
static void
look_at_earlier(struct alerts *as, struct alert *a)
{
	const struct conf *conf = as->q->conf;
	bool settled = clock_mono_ms() - as->started > SETTLED_MS;

	if (a->kind == ALERT_PARKED || a->kind == ALERT_UNREACHABLE) {
		if (!is_configured(conf, a->object) && (a->on || !a->known))
			alert_state(as->q, a->kind, a->object, false,
			    "it is not in the configuration any more");
		else
			look_at_lanes(a);
	}
	if (!a->known && (settled || !is_slow(conf, a)))
		alert_state(as->q, a->kind, a->object, false, "");
}

bool
alert_look(struct alerts *as)
{
	struct alert *a;
	bool all;

	if (!as->q->conf->alert.set)
		return true;
	all = look_at_queue(as->q);
	look_at_disk(as->q);
	TAILQ_FOREACH(a, &as->list, link)
		look_at_earlier(as, a);
	return all;
}

/*
 * The message that tells an alert: its words, and the way it takes.  Run by
 * queue.
 *
 * It is a message like others, from the postmaster, in the same change as the
 * note that it was told.  Nobody is told when it cannot be delivered, and it
 * does not go by what it is about where there is another way.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "conf/route_choice.h"
#include "mail/domain.h"
#include "mail/dsn_text.h"
#include "queue/alert.h"

#define LATE UINT32_MAX			/* attempts: routes for later ones */

/* ---- the words ---- */

static const char *
object_kind(const struct alert *a)
{
	switch (a->kind) {
	case ALERT_PARKED:
		return conf_account_find(a->q->conf, a->object) != SIZE_MAX ?
		    "account" : "transport";
	case ALERT_UNREACHABLE:
		return "transport";
	case ALERT_RUNAWAY:
		return "client";
	default:
		return NULL;
	}
}

void
alert_headline(const struct alert *a, struct strbuf *out)
{
	static const char *const begins[] = {
		[ALERT_PARKED] = "is parked",
		[ALERT_UNREACHABLE] = "is unreachable",
		[ALERT_QUEUE] = "has mail that waits for too long",
		[ALERT_DISK] = "runs short of room",
		[ALERT_RUNAWAY] = "sends too much"
	};
	static const char *const ends[] = {
		[ALERT_PARKED] = "is not parked any more",
		[ALERT_UNREACHABLE] = "is reachable again",
		[ALERT_QUEUE] = "has no mail any more that waits for too long",
		[ALERT_DISK] = "has room again",
		[ALERT_RUNAWAY] = "has slowed down"
	};
	const char *kind = object_kind(a);

	if (kind != NULL)
		strbuf_printf(out, "%s ", kind);
	strbuf_printf(out, "%s %s", a->shown,
	    a->begin ? begins[a->kind] : ends[a->kind]);
}

static const char *
consequence(const struct alert *a)
{
	switch (a->kind) {
	case ALERT_PARKED:
		return "Its mail waits, or goes by the next transport of its "
		    "route; none is returned for this.  Mend what was "
		    "refused, and have it tried at once with";
	case ALERT_UNREACHABLE:
		return "Its mail waits, or goes by the next transport of its "
		    "route.  It is tried again by itself; at once with";
	case ALERT_QUEUE:
		return "Where it waits, and what for, is told by";
	case ALERT_DISK:
		return "What there is no room for is refused for now (452 "
		    "4.3.1); what is in the queue goes on.  How much "
		    "waits is told by";
	default:
		return "Nothing is refused for this.  What came from there "
		    "is told by";
	}
}

/* A word for a shell. */
static void
add_word(struct strbuf *out, const char *word)
{
	if (word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")] == 0) {
		strbuf_puts(out, word);
		return;
	}
	strbuf_putc(out, '\'');
	for (; *word != 0; word++)
		if (*word == '\'')
			strbuf_puts(out, "'\\''");
		else
			strbuf_putc(out, *word);
	strbuf_putc(out, '\'');
}

static void
add_command(const struct alert *a, struct strbuf *out)
{
	if (a->kind == ALERT_PARKED || a->kind == ALERT_UNREACHABLE) {
		strbuf_printf(out, "    relayctl %s resume ", object_kind(a));
		add_word(out, a->shown);
		strbuf_puts(out, "\r\n");
	} else if (a->kind == ALERT_RUNAWAY)
		strbuf_puts(out, "    relayctl queue list\r\n"
		    "    relayctl history --since 1h\r\n");
	else
		strbuf_puts(out, "    relayctl status\r\n");
}

static void
compose_body(const struct alert *a, struct strbuf *out)
{
	const char *host = a->q->conf->hostname;
	struct strbuf line = STRBUF_INIT;
	char date[64];

	alert_headline(a, &line);
	strbuf_printf(&line, " on %s.", host);
	dsn_wrapped(out, strbuf_cstr(&line), 0, "", false);
	strbuf_printf(out, "\r\n\r\nSince: %s\r\n",
	    clock_rfc5322(a->since, date, sizeof(date)));
	if (a->why[0] != 0) {
		strbuf_puts(out, a->begin ? "Why:   " : "Now:   ");
		dsn_wrapped(out, a->why, 7, "       ", false);
		strbuf_puts(out, "\r\n");
	}
	if (a->begin) {
		strbuf_puts(out, "\r\n");
		dsn_wrapped(out, consequence(a), 0, "", false);
		strbuf_puts(out, ":\r\n\r\n");
		add_command(a, out);
		strbuf_puts(out, "\r\nAnother message comes when it is "
		    "over.\r\n");
	}
	strbuf_free(&line);
}

static void
compose(const struct alert *a, uint64_t id, struct strbuf *out)
{
	const struct conf *conf = a->q->conf;
	struct strbuf subject = STRBUF_INIT;
	char date[64], name[NUM_ID_LEN + 1];

	num_id_text(id, name);
	strbuf_printf(&subject, "[smarthostd %s] ", conf->hostname);
	alert_headline(a, &subject);
	strbuf_printf(out, "From: smarthostd <%s>\r\nTo: <%s>\r\nSubject: ",
	    conf->postmaster, conf->alert.to);
	dsn_wrapped(out, strbuf_cstr(&subject), 9, "\t", false);
	strbuf_printf(out, "\r\nDate: %s\r\n", clock_rfc5322(clock_real_ms(),
	    date, sizeof(date)));
	strbuf_printf(out, "Message-ID: <%s@%s>\r\n", name, conf->hostname);
	strbuf_printf(out, "Auto-Submitted: auto-generated\r\n"
	    "X-Smarthostd-Alert: %s %s\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
	    alert_kind_name(a->kind), a->begin ? "begin" : "end");
	compose_body(a, out);
	strbuf_free(&subject);
}

/* ---- the way ---- */

static bool
is_subject(const struct alert *a, const struct lane *l)
{
	return (a->kind == ALERT_PARKED || a->kind == ALERT_UNREACHABLE) &&
	    strcmp(l->name, a->object) == 0;
}

/* A transport, or NULL, that is not the subject, by the routes as they are
 * for that many attempts.  Without accounts, where one of them is the
 * subject, its own routes do not count; `direct` then has to be written. */
static const char *
other_way(const struct alert *a, const struct record *r, size_t i,
    uint64_t attempts, bool accounts)
{
	struct conf conf = *a->q->conf;
	struct route_query query = { .from = r->env->from, .uid = -1 };
	struct route_answer answer;
	const char *name;
	size_t k;

	query.to = r->env->recipients[i].address;
	query.attempts = attempts;
	query.size = r->body_size;
	if (!accounts)
		conf.n_accounts = 0;
	memset(&answer, 0, sizeof(answer));
	route_choose(&conf, &query, &answer, NULL, NULL);
	for (k = 0; k < answer.n_via; k++) {
		if (answer.via[k] == SIZE_MAX && answer.route == NULL)
			continue;
		name = answer.via[k] == SIZE_MAX ? "direct" :
		    conf.transports[answer.via[k]].name;
		if (strcmp(name, a->object) != 0)
			return name;
	}
	return NULL;
}

static const char *
find_other_way(const struct alert *a, const struct record *r)
{
	size_t i, n = r->env->recipient_count;
	const char *name = NULL;
	int step;

	for (step = 0; step < 4 && name == NULL; step++)
		for (i = 0; i < n && name == NULL; i++)
			if (!route_is_local(a->q,
			    r->env->recipients[i].address))
				name = other_way(a, r, i, step % 2 == 0 ? 0 :
				    LATE, step < 2);
	return name;
}

static bool
goes_by_subject(const struct alert *a, struct record *r)
{
	struct route_pick pick;
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++) {
		route_pick(a->q, r, i, &pick);
		if (pick.n_via > 0 && is_subject(a, pick.via[0]))
			return true;
	}
	return false;
}

/* It belongs to no account, as one that is paused would keep it. */
static void
choose_way(const struct alert *a, struct record *r)
{
	const char *via = a->q->conf->alert.via;
	bool about = a->kind == ALERT_PARKED || a->kind == ALERT_UNREACHABLE;

	if (via == NULL || (about && strcmp(via, a->object) == 0))
		via = goes_by_subject(a, r) ? find_other_way(a, r) : NULL;
	if (via != NULL)
		r->pinned = mem_strdup(via);
}

static void
set_due(struct queue *q, struct record *r)
{
	struct route_pick pick;
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++) {
		route_pick(q, r, i, &pick);
		if (pick.n_via == 0)
			continue;
		r->rcpt[i].lane = lane_line(pick.via[0], LINE_FRESH);
		r->rcpt[i].due = r->env->received_ms;
	}
}

/* ---- the message ---- */

static struct record *
make_record(struct alert *a, uint64_t id, struct slice text)
{
	struct queue *q = a->q;
	struct envelope *env = envelope_new();
	struct record *r;

	env->id = id;
	env->received_ms = clock_real_ms();
	env->size = text.n;
	env->crc = crc32c(0, text.p, text.n);
	env->protocol = MAIL_PROTO_ALERT;
	envelope_set(&env->from, slice_cstr(q->conf->postmaster));
	(void)envelope_add_recipient(env, slice_cstr(q->conf->alert.to),
	    MAIL_NOTIFY_NEVER, slice_of(NULL, 0));
	if (mail_has_8bit(slice_cstr(q->conf->postmaster)) ||
	    mail_has_8bit(slice_cstr(q->conf->alert.to)))
		env->flags |= ENVELOPE_SMTPUTF8 | ENVELOPE_8BITMIME;
	(void)names_expand(q, env);
	r = record_new(env);
	choose_way(a, r);
	set_due(q, r);
	return r;
}

void
alert_mail(struct alert *a, struct store_change *c, queue_op_done *done)
{
	struct strbuf text = STRBUF_INIT;
	uint64_t id = id_new(a->q);
	struct record *r;
	struct message *m;
	struct op_wait *w;

	compose(a, id, &text);
	r = make_record(a, id, strbuf_slice(&text));
	m = message_new(a->q, &r);
	store_new_message(c, m->rec, strbuf_slice(&text));
	w = mem_zalloc(sizeof(*w));
	w->done = done;
	w->arg = a;
	TAILQ_INSERT_TAIL(&m->ops, w, link);
	message_write(m, c);
	strbuf_free(&text);
}

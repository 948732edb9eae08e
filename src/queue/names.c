/*
 * Names of this machine: at RCPT whether a recipient of local-domains has a
 * place, when a message comes which recipients it has in the end.  Run by
 * queue, which cannot look into passwd: monitor is asked where a user must
 * exist, and while it does not answer the client is told to try again.
 *
 * An alias keeps the reverse-path; who was written to is kept as the original
 * recipient (RFC 3461, 5.2.7), for reports.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/domain.h"
#include "queue/internal.h"

#define ASK_MS 25000			/* the listener waits for 30 s */
#define PLACES_MIN 1000

struct question {
	TAILQ_ENTRY(question) link;
	struct peer *p;
	uint64_t ref;
};

/* Of one message, whatever the aliases hold. */
static size_t
most_places(const struct queue *q)
{
	return q->conf->max_recipients > PLACES_MIN ?
	    q->conf->max_recipients : PLACES_MIN;
}

/* ---- at RCPT ---- */

static void
question_free(struct question *k)
{
	TAILQ_REMOVE(&k->p->q->questions, k, link);
	peer_unref(&k->p);
	free(k);
}

static void
user_answer(void *arg, struct port_message *pm)
{
	struct question *k = arg;
	struct msg_local_done d;
	unsigned status = EX_TEMPFAIL;

	if (pm != NULL && pm->type == MSG_LOCAL_DONE &&
	    msg_local_done_decode(pm->data, &d) == 0)
		status = d.exit_status;
	switch (status) {
	case EX_OK:
		peer_answer(k->p, k->ref, 250, 1, 5, "Ok");
		break;
	case EX_NOUSER:
	case EX_NOPERM:
		peer_answer(k->p, k->ref, 550, 1, 1, "User unknown");
		break;
	default:
		peer_answer(k->p, k->ref, 451, 3, 0,
		    "Local error, try again later");
		break;
	}
	question_free(k);
}

static void
ask_user(struct peer *p, uint64_t ref, const char *address)
{
	struct port *monitor = p->q->base.monitor;
	struct question *k = mem_zalloc(sizeof(*k));
	struct strbuf b = STRBUF_INIT;
	struct msg_local l = { 0 };
	char local[] = "local", nobody[] = "";

	k->p = p;
	p->refs++;
	k->ref = ref;
	TAILQ_INSERT_TAIL(&p->q->questions, k, link);
	l.transport = local;
	l.sender = nobody;
	l.recipient = mem_strdup(address);
	msg_local_encode(&b, &l);
	port_send(monitor, MSG_LOCAL_USER, port_request(monitor, ASK_MS,
	    user_answer, k), strbuf_slice(&b));
	free(l.recipient);
	strbuf_free(&b);
}

void
names_verify(struct peer *p, uint64_t ref, const char *address)
{
	struct queue *q = p->q;
	struct local_answer a;

	if (!route_is_local(q, address)) {
		peer_answer(p, ref, 250, 1, 5, "Ok");
		return;
	}
	conf_local_resolve(q->names, address, most_places(q), &a);
	switch (a.result) {
	case LOCAL_FOUND:
		if (a.must_exist)
			ask_user(p, ref, a.v[0].address);
		else
			peer_answer(p, ref, 250, 1, 5, "Ok");
		break;
	case LOCAL_UNKNOWN:
		peer_answer(p, ref, 550, 1, 1, "User unknown");
		break;
	case LOCAL_LOOP:
		peer_answer(p, ref, 550, 4, 6, "This alias leads to itself");
		break;
	case LOCAL_LATER:
		peer_answer(p, ref, 451, 3, 0, "A list of recipients cannot "
		    "be read, try again later");
		break;
	case LOCAL_TOO_MANY:
		peer_answer(p, ref, 550, 5, 3, "This alias has too many "
		    "recipients");
		break;
	}
	local_answer_clear(&a);
}

void
names_free(struct queue *q)
{
	while (!TAILQ_EMPTY(&q->questions))
		question_free(TAILQ_FIRST(&q->questions));
	conf_local_free(&q->names);
}

/* ---- when it comes ---- */

struct expanding {
	struct queue *q;
	const struct envelope *old;
	struct envelope new;		/* its recipients alone */
	struct htab *seen;		/* addresses, normal form */
	enum local_result result;
};

/* false: it is there already. */
static bool
note_address(struct expanding *x, const char *address)
{
	struct strbuf normal = STRBUF_INIT;
	bool fresh;

	mail_address_normal(slice_cstr(address), &normal);
	fresh = htab_put(x->seen, strbuf_slice(&normal), x) == NULL;
	strbuf_free(&normal);
	return fresh;
}

/* "rfc822;" or "utf-8;" and xtext (RFC 3461, 4; RFC 6533, 3). */
static void
original_recipient(const char *address, struct strbuf *out)
{
	bool utf8 = mail_has_8bit(slice_cstr(address));
	const char *p;

	strbuf_puts(out, utf8 ? "utf-8;" : "rfc822;");
	for (p = address; *p != 0; p++) {
		if (*p == '+' || *p == '=' || *p == ' ' ||
		    (utf8 && *p == '\\'))
			strbuf_printf(out, utf8 ? "\\x{%02X}" : "+%02X",
			    (unsigned char)*p);
		else
			strbuf_putc(out, *p);
	}
}

static void
add_place(struct expanding *x, const struct recipient *was,
    const char *address)
{
	struct strbuf orcpt = STRBUF_INIT;

	if (!note_address(x, address))
		return;
	if (was->orcpt != NULL)
		strbuf_puts(&orcpt, was->orcpt);
	else if (!envelope_is_ours(x->old))
		original_recipient(was->address, &orcpt);
	envelope_add_recipient(&x->new, slice_cstr(address), was->notify,
	    strbuf_slice(&orcpt));
	if (mail_has_8bit(slice_cstr(address)))
		x->new.flags |= ENVELOPE_SMTPUTF8;
	strbuf_free(&orcpt);
}

static void
keep(struct expanding *x, const struct recipient *r)
{
	envelope_add_recipient(&x->new, slice_cstr(r->address), r->notify,
	    slice_cstr(r->orcpt));
}

static void
expand(struct expanding *x, const struct recipient *r)
{
	struct local_answer a;
	size_t i;

	conf_local_resolve(x->q->names, r->address, most_places(x->q), &a);
	if (a.result == LOCAL_TOO_MANY || a.result == LOCAL_LATER)
		x->result = a.result;
	else if (a.result != LOCAL_FOUND)
		keep(x, r);		/* the routes say that it has none */
	else if (a.n == 1 && mail_address_same(slice_cstr(a.v[0].address),
	    slice_cstr(r->address))) {
		/* by an alias he may be there already */
		if (note_address(x, r->address))
			keep(x, r);
	} else
		for (i = 0; i < a.n; i++)
			add_place(x, r, a.v[i].address);
	local_answer_clear(&a);
}

static void
take_over(struct expanding *x, struct envelope *env)
{
	struct recipient *r = env->recipients;
	size_t n = env->recipient_count;

	env->recipients = x->new.recipients;
	env->recipient_count = x->new.recipient_count;
	env->flags |= x->new.flags;
	x->new.recipients = r;
	x->new.recipient_count = n;
}

enum local_result
names_expand(struct queue *q, struct envelope *env)
{
	struct expanding x = { .q = q, .old = env, .result = LOCAL_FOUND };
	size_t i, n = env->recipient_count, most = most_places(q) + n;

	for (i = 0; i < n; i++)
		if (route_is_local(q, env->recipients[i].address))
			break;
	if (i == n)
		return LOCAL_FOUND;
	envelope_init(&x.new);
	x.seen = htab_new();
	for (i = 0; i < n; i++)
		if (!route_is_local(q, env->recipients[i].address))
			(void)note_address(&x, env->recipients[i].address);
	for (i = 0; i < n && x.result == LOCAL_FOUND; i++) {
		if (route_is_local(q, env->recipients[i].address))
			expand(&x, &env->recipients[i]);
		else
			keep(&x, &env->recipients[i]);
		if (x.new.recipient_count > most)
			x.result = LOCAL_TOO_MANY;
	}
	if (x.result == LOCAL_FOUND)
		take_over(&x, env);
	htab_free(&x.seen);
	envelope_clear(&x.new);
	return x.result;
}

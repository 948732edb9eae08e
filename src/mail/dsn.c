/* Delivery status notifications, composed by queue in the transaction that
 * settles what they are about.  Nothing here fails; everything that a peer
 * said is cleaned before it stands in a field.  RFC 3461, 3462, 3464, 6533. */
#include "mail/dsn.h"

#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"
#include "mail/domain.h"
#include "mail/dsn_text.h"
#include "mail/header.h"
#include "mail/smtp_params.h"

bool
dsn_wanted(const struct envelope *env, unsigned notify,
    enum dsn_action action)
{
	if (env->from == NULL || env->from[0] == '\0')
		return false;
	switch (action) {
	case DSN_FAILED:
		return notify == 0 || (notify & MAIL_NOTIFY_FAILURE);
	case DSN_DELAYED:
		return notify == 0 || (notify & MAIL_NOTIFY_DELAY);
	default:
		return (notify & MAIL_NOTIFY_SUCCESS) != 0;
	}
}

/* A field whose value may hold anything. */
static void
add_field(struct strbuf *out, const char *name, const char *value, bool utf8)
{
	strbuf_puts(out, name);
	strbuf_puts(out, ": ");
	dsn_wrapped(out, value, strlen(name) + 2, "\t", utf8);
	strbuf_puts(out, "\r\n");
}

static void
add_typed(struct strbuf *out, const char *name, const char *type,
    const char *value, bool utf8)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_printf(&b, "%s; %s", type, value);
	add_field(out, name, strbuf_cstr(&b), utf8);
	strbuf_free(&b);
}

static void
add_date(struct strbuf *out, const char *name, uint64_t ms)
{
	char date[64];

	strbuf_printf(out, "%s: %s\r\n", name,
	    clock_rfc5322(ms, date, sizeof(date)));
}

/* Text of a report can always be sent; NULs within it could not. */
static void
decode_xtext(const char *xtext, struct strbuf *out)
{
	size_t from = out->n;

	if (smtp_xtext_decode(slice_cstr(xtext), out) < 0) {
		out->n = from;
		strbuf_puts(out, xtext);
	}
	for (size_t i = from; i < out->n; i++) {
		if (out->p[i] == '\0')
			out->p[i] = '?';
	}
}

static void
add_original_recipient(struct strbuf *out, const char *orcpt, bool utf8)
{
	const char *semicolon = strchr(orcpt, ';');
	struct strbuf b = STRBUF_INIT;

	if (semicolon == NULL)
		return;
	strbuf_add(&b, orcpt, (size_t)(semicolon - orcpt));
	strbuf_puts(&b, "; ");
	decode_xtext(semicolon + 1, &b);
	add_field(out, "Original-Recipient", strbuf_cstr(&b), utf8);
	strbuf_free(&b);
}

static struct mail_status
status_of(const struct dsn_recipient *r)
{
	if (r->status.class != 0)
		return r->status;
	switch (r->action) {
	case DSN_FAILED:
		return MAIL_STATUS(5, 0, 0);
	case DSN_DELAYED:
		return MAIL_STATUS(4, 0, 0);
	default:
		return MAIL_STATUS(2, 0, 0);
	}
}

static void
add_recipient(const struct dsn_recipient *r, bool utf8, struct strbuf *out)
{
	static const char *const actions[] = { "failed", "delayed",
		"delivered", "relayed" };
	char st[MAIL_STATUS_LEN + 1];
	bool global = utf8 && mail_has_8bit(slice_cstr(r->address));

	strbuf_puts(out, "\r\n");
	if (r->orcpt != NULL)
		add_original_recipient(out, r->orcpt, utf8);
	add_typed(out, "Final-Recipient", global ? "utf-8" : "rfc822",
	    r->address, utf8);
	strbuf_printf(out, "Action: %s\r\n", actions[r->action]);
	strbuf_printf(out, "Status: %s\r\n",
	    mail_status_text(status_of(r), st));
	if (r->remote_mta != NULL)
		add_typed(out, "Remote-MTA", "dns", r->remote_mta, utf8);
	if (r->diagnostic != NULL)
		add_typed(out, "Diagnostic-Code", r->diagnostic_smtp ?
		    "smtp" : "x-smarthostd", r->diagnostic, utf8);
	if (r->last_attempt_ms > 0)
		add_date(out, "Last-Attempt-Date", r->last_attempt_ms);
	if (r->action == DSN_DELAYED && r->retry_until_ms > 0)
		add_date(out, "Will-Retry-Until", r->retry_until_ms);
}

static void
compose_status(const struct dsn *d, bool utf8, struct strbuf *out)
{
	add_typed(out, "Reporting-MTA", "dns", d->reporting_mta, utf8);
	if (d->original->envid != NULL) {
		struct strbuf b = STRBUF_INIT;

		decode_xtext(d->original->envid, &b);
		add_field(out, "Original-Envelope-Id", strbuf_cstr(&b), utf8);
		strbuf_free(&b);
	}
	add_date(out, "Arrival-Date", d->original->received_ms);
	for (size_t i = 0; i < d->recipient_count; i++)
		add_recipient(&d->recipients[i], utf8, out);
}

/* Which part of the original goes back, and whether it is all of it. */
static struct slice
choose_original(const struct dsn *d, bool *whole)
{
	struct header_scan scan;

	*whole = d->message_whole && d->original->ret != MAIL_RET_HDRS &&
	    (d->original->ret == MAIL_RET_FULL ||
	     d->message.n <= DSN_WHOLE_MAX);
	/* A success or delay needs no more than the header (RFC 3461 6.1). */
	if (d->recipients[0].action != DSN_FAILED &&
	    d->original->ret != MAIL_RET_FULL)
		*whole = false;
	if (*whole)
		return d->message;
	header_scan(d->message, &scan);
	return slice_of(d->message.p, scan.fields_end);
}

static bool
occurs(struct slice where, const char *what)
{
	return where.n > 0 &&
	    memmem(where.p, where.n, what, strlen(what)) != NULL;
}

static void
choose_boundary(struct slice original, char out[NUM_ID_LEN + 8])
{
	do {
		memcpy(out, "report_", 7);
		num_id_text(rand_u64(), out + 7);
	} while (occurs(original, out));
}

static void
add_references(const struct dsn *d, struct strbuf *out)
{
	struct strbuf b = STRBUF_INIT;
	struct header_field f;
	size_t pos = 0;

	if (!header_find(d->message, "Message-ID", &pos, &f))
		return;
	header_unfold(f.value, &b);
	if (b.n > 2 && b.n < 250 && b.p[0] == '<' && b.p[b.n - 1] == '>' &&
	    !mail_has_8bit(strbuf_slice(&b)) &&
	    strpbrk(b.p, " \t") == NULL && strlen(b.p) == b.n) {
		add_field(out, "In-Reply-To", b.p, false);
		add_field(out, "References", b.p, false);
	}
	strbuf_free(&b);
}

static void
compose_header(const struct dsn *d, const char *boundary, bool eight,
    struct strbuf *out)
{
	char id[NUM_ID_LEN + 1];

	num_id_text(d->id, id);
	strbuf_printf(out, "From: Mail Delivery System <%s>\r\n", d->from);
	strbuf_printf(out, "To: <%s>\r\n", d->to);
	strbuf_printf(out, "Subject: %s\r\n", dsn_subject(d));
	add_date(out, "Date", d->now_ms);
	strbuf_printf(out, "Message-ID: <%s@%s>\r\n", id, d->reporting_mta);
	add_references(d, out);
	strbuf_puts(out, "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n");
	strbuf_printf(out, "\tboundary=\"%s\"\r\n", boundary);
	if (eight)
		strbuf_puts(out, "Content-Transfer-Encoding: 8bit\r\n");
	strbuf_puts(out, "\r\nThis is a report in MIME format (RFC 3464)."
	    "\r\n");
}

static void
begin_part(struct strbuf *out, const char *boundary, const char *description,
    const char *type, bool eight)
{
	strbuf_printf(out, "\r\n--%s\r\n", boundary);
	strbuf_printf(out, "Content-Description: %s\r\n", description);
	strbuf_printf(out, "Content-Type: %s\r\n", type);
	if (eight)
		strbuf_puts(out, "Content-Transfer-Encoding: 8bit\r\n");
	strbuf_puts(out, "\r\n");
}

static const char *
original_type(bool whole, bool utf8)
{
	if (whole)
		return utf8 ? "message/global" : "message/rfc822";
	return utf8 ? "message/global-headers" : "text/rfc822-headers";
}

unsigned
dsn_compose(const struct dsn *d, struct strbuf *out)
{
	bool utf8 = (d->original->flags & ENVELOPE_SMTPUTF8) != 0;
	struct strbuf text = STRBUF_INIT, status = STRBUF_INIT;
	char boundary[NUM_ID_LEN + 8];
	bool whole, text8, status8, original8, header8;
	struct slice original = choose_original(d, &whole);

	dsn_human_text(d, &text);
	compose_status(d, utf8, &status);
	text8 = mail_has_8bit(strbuf_slice(&text));
	status8 = mail_has_8bit(strbuf_slice(&status));
	original8 = mail_has_8bit(original);
	header8 = mail_has_8bit(slice_cstr(d->to)) ||
	    mail_has_8bit(slice_cstr(d->from));
	choose_boundary(original, boundary);

	compose_header(d, boundary, text8 || status8 || original8, out);
	begin_part(out, boundary, "What happened", text8 ?
	    "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
	    text8);
	strbuf_add_slice(out, strbuf_slice(&text));
	begin_part(out, boundary, "Delivery report", utf8 ?
	    "message/global-delivery-status" : "message/delivery-status",
	    status8);
	strbuf_add_slice(out, strbuf_slice(&status));
	begin_part(out, boundary, whole ? "Original message" :
	    "Header of the original message", original_type(whole, utf8),
	    original8);
	strbuf_add_slice(out, original);
	strbuf_printf(out, "\r\n--%s--\r\n", boundary);
	strbuf_free(&text);
	strbuf_free(&status);
	return (text8 || status8 || original8 || header8 ?
	    (unsigned)ENVELOPE_8BITMIME : 0) |
	    (header8 ? (unsigned)ENVELOPE_SMTPUTF8 : 0);
}

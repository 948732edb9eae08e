/* What a report says to people, written by queue.  Nothing here fails.  It
 * names the recipient, what the other side answered and whether anything more
 * will be tried, in that order of use. */
#include "mail/dsn_text.h"

#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "mail/domain.h"
#include "mail/header.h"

#define COLUMNS 76
#define SUBJECT_MAX 200

static bool
any_action(const struct dsn *d, enum dsn_action action)
{
	for (size_t i = 0; i < d->recipient_count; i++) {
		if (d->recipients[i].action == action)
			return true;
	}
	return false;
}

const char *
dsn_subject(const struct dsn *d)
{
	if (any_action(d, DSN_FAILED))
		return "Undelivered mail: returned to sender";
	if (any_action(d, DSN_DELAYED))
		return "Delayed mail: still being tried";
	return "Delivered mail: report";
}

static size_t
word_length(const char *s)
{
	return strcspn(s, " ");
}

void
dsn_wrapped(struct strbuf *out, const char *s, size_t column,
    const char *indent, bool utf8)
{
	while (*s != '\0') {
		size_t n = word_length(s);

		if (n == 0) {
			s++;
			continue;
		}
		if (column + n + 1 > COLUMNS && column > 16) {
			strbuf_puts(out, "\r\n");
			strbuf_puts(out, indent);
			column = strlen(indent);
		} else if (out->n > 0 && out->p[out->n - 1] != ' ' &&
		    out->p[out->n - 1] != '\n' && out->p[out->n - 1] != '\t') {
			strbuf_putc(out, ' ');
			column++;
		}
		/* No line may pass 998 octets (RFC 5322 2.1.1). */
		if (n > 900)
			n = 900;
		column += n;
		for (size_t i = 0; i < n; i++) {
			unsigned char c = (unsigned char)s[i];
			bool odd = c < ' ' || c == 127 || (c > 127 && !utf8);

			strbuf_putc(out, odd ? '?' : s[i]);
		}
		s += n;
	}
}

static void
say_time(struct strbuf *out, const char *label, uint64_t ms)
{
	char date[64];

	strbuf_printf(out, "%s%s\r\n", label,
	    clock_rfc5322(ms, date, sizeof(date)));
}

static void
say_recipient(const struct dsn *d, const struct dsn_recipient *r,
    struct strbuf *out)
{
	bool utf8 = (d->original->flags & ENVELOPE_SMTPUTF8) != 0;
	struct strbuf b = STRBUF_INIT;

	strbuf_printf(&b, "<%s>", r->address);
	if (r->diagnostic != NULL) {
		if (r->remote_mta != NULL && r->diagnostic_smtp)
			strbuf_printf(&b, ": %s answered: %s", r->remote_mta,
			    r->diagnostic);
		else
			strbuf_printf(&b, ": %s", r->diagnostic);
	}
	strbuf_puts(out, "    ");
	dsn_wrapped(out, strbuf_cstr(&b), 4, "        ", utf8);
	strbuf_puts(out, "\r\n");
	if (r->action == DSN_DELAYED && r->retry_until_ms > 0)
		say_time(out, "        It will be tried until ",
		    r->retry_until_ms);
	strbuf_free(&b);
}

static void
say_group(const struct dsn *d, enum dsn_action action, const char *intro,
    struct strbuf *out)
{
	if (!any_action(d, action))
		return;
	strbuf_puts(out, intro);
	strbuf_puts(out, "\r\n");
	for (size_t i = 0; i < d->recipient_count; i++) {
		if (d->recipients[i].action == action)
			say_recipient(d, &d->recipients[i], out);
	}
	strbuf_puts(out, "\r\n");
}

static void
say_original(const struct dsn *d, struct strbuf *out)
{
	char id[NUM_ID_LEN + 1];
	struct header_field f;
	struct strbuf b = STRBUF_INIT;
	size_t pos = 0;

	strbuf_puts(out, "It concerns this message:\r\n\r\n");
	if (d->original->from != NULL && d->original->from[0] != '\0') {
		strbuf_printf(&b, "<%s>", d->original->from);
		strbuf_puts(out, "    From:     ");
		dsn_wrapped(out, strbuf_cstr(&b), 14, "        ",
		    (d->original->flags & ENVELOPE_SMTPUTF8) != 0);
		strbuf_puts(out, "\r\n");
		strbuf_clear(&b);
	}
	if (header_find(d->message, "Subject", &pos, &f))
		header_unfold(f.value, &b);
	if (b.n > 0 && b.n <= SUBJECT_MAX && !mail_has_8bit(strbuf_slice(&b)) &&
	    memchr(b.p, '\0', b.n) == NULL) {
		strbuf_puts(out, "    Subject:  ");
		dsn_wrapped(out, b.p, 14, "        ", false);
		strbuf_puts(out, "\r\n");
	}
	say_time(out, "    Accepted: ", d->original->received_ms);
	num_id_text(d->original->id, id);
	strbuf_printf(out, "    Our id:   %s\r\n", id);
	strbuf_free(&b);
}

void
dsn_human_text(const struct dsn *d, struct strbuf *out)
{
	strbuf_printf(out, "This is the mail relay at %s.\r\n\r\n",
	    d->reporting_mta);
	say_group(d, DSN_FAILED, "Your message could not be delivered to the "
	    "recipients below, and will\r\nnot be tried again.\r\n", out);
	say_group(d, DSN_DELAYED, "Your message has not been delivered to the "
	    "recipients below yet.  It is\r\nstill being tried; there is no "
	    "need to send it again.\r\n", out);
	say_group(d, DSN_DELIVERED, "Your message was delivered to these "
	    "recipients.\r\n", out);
	say_group(d, DSN_RELAYED, "Your message was handed on for these "
	    "recipients, to a server that does\r\nnot report "
	    "deliveries.\r\n", out);
	say_original(d, out);
}

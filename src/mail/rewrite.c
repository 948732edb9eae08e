/*
 * Rewriting From.
 *
 * queue, for each attempt: the message itself is stored as it came.  No I/O;
 * what cannot be read is taken for an author that is not owned.  RFC 5322
 * 3.6.2; RFC 6376 3.5 (d=), RFC 7489 3.1.1 (whose signature it is).
 */
#include "mail/rewrite.h"

#include <ctype.h>
#include <string.h>

#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/domain.h"
#include "mail/header.h"

#define LINE_MAX_OCTETS 998		/* RFC 5322 2.1.1, without CRLF */

struct authors {
	const struct rewrite *r;
	bool foreign;			/* one that is not owned */
	size_t n;
	char domain[MAIL_DOMAIN_MAX + 1];	/* of the first */
	struct strbuf display;		/* of the first, in one line */
};

static void
take_author(void *arg, const struct mail_mailbox *m)
{
	struct authors *a = arg;
	struct slice local, domain;

	if (!a->r->owns(a->r->arg, m->addr))
		a->foreign = true;
	if (a->n++ > 0)
		return;
	mail_address_split(m->addr, &local, &domain);
	(void)mail_domain_normal(domain, a->domain);
	header_unfold(m->display, &a->display);
}

/* ---- signatures ---- */

/* The value of d= in a DKIM-Signature, blanks and folding taken out. */
static void
signing_domain(struct slice value, struct strbuf *out)
{
	bool tag = true, wanted = false;
	char name = '\0';
	size_t i;

	for (i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (isspace((unsigned char)c))
			continue;
		if (c == ';') {
			tag = true;
			wanted = false;
			name = '\0';
		} else if (tag && c == '=') {
			tag = false;
			wanted = name == 'd' && out->n == 0;
		} else if (tag) {
			name = name == '\0' ? c : '?';
		} else if (wanted) {
			strbuf_putc(out, c);
		}
	}
}

/* Of the domain, of one above it or below. */
static bool
signed_for(struct slice msg, const char *domain)
{
	char normal[MAIL_DOMAIN_MAX + 1];
	struct strbuf d = STRBUF_INIT;
	struct header_field f;
	struct slice mine = slice_cstr(domain);
	size_t pos = 0;
	bool yes = false;

	while (!yes && mine.n > 0 &&
	    header_find(msg, "DKIM-Signature", &pos, &f)) {
		strbuf_clear(&d);
		signing_domain(f.value, &d);
		if (d.n == 0 || mail_domain_normal(strbuf_slice(&d),
		    normal) < 0)
			continue;
		yes = mail_domain_within(mine, slice_cstr(normal)) ||
		    mail_domain_within(slice_cstr(normal), mine);
	}
	strbuf_free(&d);
	return yes;
}

/* ---- the new fields ---- */

static bool
has_field(struct slice msg, const char *name)
{
	struct header_field f;
	size_t pos = 0;

	return header_find(msg, name, &pos, &f);
}

/* The value as it was, in a line of its own where a name that is longer than
 * From would make the first one too long. */
static void
original_field(const char *name, struct slice value, struct strbuf *out)
{
	long lf = slice_find(value, '\n');
	size_t first = lf < 0 ? value.n : (size_t)lf;

	strbuf_puts(out, name);
	if (strlen(name) + 1 + first > LINE_MAX_OCTETS)
		strbuf_puts(out, "\r\n");
	strbuf_putc(out, ' ');
	strbuf_add_slice(out, value);
	strbuf_puts(out, "\r\n");
}

static void
new_fields(struct slice msg, const struct header_field *from,
    const struct authors *a, struct strbuf *out)
{
	struct slice name = slice_trim(strbuf_slice(&a->display));
	struct slice value = from->value;

	/* Folded lines of blanks at the end would end the header. */
	while (value.n > 0 && isspace((unsigned char)value.p[value.n - 1]))
		value.n--;

	strbuf_puts(out, "From: ");
	if (name.n > 0 && name.n + strlen(a->r->address) +
	    strlen("From:  <>") <= LINE_MAX_OCTETS) {
		strbuf_add_slice(out, name);
		strbuf_putc(out, ' ');
	}
	strbuf_printf(out, "<%s>\r\n", a->r->address);
	if (value.n > 0)
		original_field(has_field(msg, "Reply-To") ?
		    "X-Original-From:" : "Reply-To:", value, out);
}

bool
rewrite_from(struct slice msg, const struct rewrite *r, struct strbuf *out,
    size_t *skip)
{
	struct authors a = { .r = r, .display = STRBUF_INIT };
	struct header_field from;
	size_t pos = 0;
	bool change = false;

	if (!header_find(msg, "From", &pos, &from))
		return false;
	if (mail_address_list(from.value, take_author, &a) > 0 || a.n == 0)
		a.foreign = true;
	if ((r->always || a.foreign) &&
	    (r->signed_too || !signed_for(msg, a.domain))) {
		strbuf_add(out, msg.p, (size_t)(from.whole.p - msg.p));
		new_fields(msg, &from, &a, out);
		*skip = (size_t)(from.whole.p + from.whole.n - msg.p);
		change = true;
	}
	strbuf_free(&a.display);
	return change;
}

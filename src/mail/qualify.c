/* Bare addresses in address fields.  Run by listener.  Nothing here fails:
 * what cannot be read as an address stays.  RFC 5322 3.6, RFC 6409 8.2. */
#include "mail/qualify.h"

#include <string.h>

#include "mail/address_list.h"
#include "mail/header.h"

static const char *const address_fields[] = { "From", "Sender", "Reply-To",
    "To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-To",
    "Resent-Cc", "Resent-Bcc", NULL };

struct job {
	const char *domain;
	struct slice value;
	size_t done;			/* octets of value that are in out */
	struct strbuf *out;
	bool changed;
};

static void
take_mailbox(void *arg, const struct mail_mailbox *m)
{
	struct job *j = arg;
	size_t end = m->pos + m->len;

	if (m->addr.n == 0 || slice_find(m->addr, '@') >= 0 ||
	    end < j->done || end > j->value.n)
		return;
	strbuf_add(j->out, j->value.p + j->done, end - j->done);
	strbuf_putc(j->out, '@');
	strbuf_puts(j->out, j->domain);
	j->done = end;
	j->changed = true;
}

static bool
holds_addresses(struct slice name)
{
	size_t i;

	for (i = 0; address_fields[i] != NULL; i++)
		if (slice_eq_case_cstr(name, address_fields[i]))
			return true;
	return false;
}

bool
qualify_fields(struct slice fields, const char *domain, struct strbuf *out)
{
	struct job j = { .domain = domain, .out = out };
	size_t before = out->n, pos = 0, copied = 0;
	struct header_field f;

	while (header_next(fields, &pos, &f)) {
		if (!holds_addresses(f.name) || f.value.n == 0)
			continue;
		strbuf_add(out, fields.p + copied,
		    (size_t)(f.value.p - fields.p) - copied);
		j.value = f.value;
		j.done = 0;
		(void)mail_address_list(f.value, take_mailbox, &j);
		strbuf_add(out, f.value.p + j.done, f.value.n - j.done);
		copied = (size_t)(f.value.p - fields.p) + f.value.n;
	}
	if (!j.changed) {
		out->n = before;
		return false;
	}
	strbuf_add(out, fields.p + copied, fields.n - copied);
	return true;
}

/*
 * The message as the shim gets it on standard input: line ends, the lone dot,
 * mbox's From_ line, -t and Bcc (RFC 5322 3.6.3), -F.  Nothing else is
 * changed; what is missing in the header the daemon adds.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "mail/address_list.h"
#include "tools/sendmail.h"

/* ---- addresses ---- */

static bool
plain_char(unsigned char c)
{
	return c > 32 && c != 127 && strchr("<>()[],;:\\\"@", c) == NULL;
}

/* Dots and other octets of a local part, a quoted one as it is. */
static bool
local_ok(struct slice s)
{
	size_t i;

	if (s.n == 0 || s.n > 64)
		return false;
	if (s.p[0] == '"')
		return s.n >= 2 && s.p[s.n - 1] == '"' &&
		    memchr(s.p, '\n', s.n) == NULL;
	for (i = 0; i < s.n; i++) {
		if (!plain_char((unsigned char)s.p[i]))
			return false;
	}
	return true;
}

static bool
domain_ok(struct slice s)
{
	size_t i;

	if (s.n == 0 || s.n > 255)
		return false;
	if (s.p[0] == '[')
		return s.n >= 3 && s.p[s.n - 1] == ']';
	for (i = 0; i < s.n; i++) {
		if (!plain_char((unsigned char)s.p[i]) ||
		    (s.p[i] == '.' && (i == 0 || s.p[i - 1] == '.')))
			return false;
	}
	return true;
}

static bool
address_ok(struct slice a)
{
	long at = slice_rfind(a, '@');

	if (at < 0)
		return local_ok(a);
	return local_ok(slice_of(a.p, (size_t)at)) &&
	    domain_ok(slice_skip(a, (size_t)at + 1));
}

char *
sendmail_address(const char *text)
{
	struct slice s = slice_trim(slice_cstr(text));

	if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = slice_trim(slice_of(s.p + 1, s.n - 2));
	if (s.n > 0 && !address_ok(s))
		return NULL;
	return slice_dup(s);
}

struct taker {
	struct sendmail_list *list;
	size_t bad;
};

static void
list_add(struct sendmail_list *l, struct slice a)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (slice_eq_cstr(a, l->v[i]))
			return;
	}
	*(char **)mem_push(&l->v, &l->n, sizeof(char *)) = slice_dup(a);
}

static void
take_mailbox(void *arg, const struct mail_mailbox *m)
{
	struct taker *t = arg;

	if (address_ok(m->addr))
		list_add(t->list, m->addr);
	else
		t->bad++;
}

static int
add_all(struct sendmail_list *l, struct slice value)
{
	struct taker t = { l, 0 };
	size_t before = l->n;

	t.bad += mail_address_list(value, take_mailbox, &t);
	(void)before;
	return t.bad > 0 ? -1 : 0;
}

int
sendmail_add_rcpt(struct sendmail_list *l, const char *text)
{
	if (add_all(l, slice_cstr(text)) < 0 || slice_trim(slice_cstr(
	    text)).n == 0)
		return sendmail_error(EX_DATAERR, "%s: not an address", text);
	return 0;
}

/* ---- lines ---- */

static void
add_line(struct strbuf *out, const char *line, size_t n)
{
	size_t i, start = 0;

	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	/* a CR inside a line would not pass any strict server */
	for (i = 0; i < n; i++) {
		if (line[i] == '\r') {
			strbuf_add(out, line + start, i - start);
			strbuf_puts(out, "\r\n");
			start = i + 1;
		}
	}
	strbuf_add(out, line + start, n - start);
	strbuf_puts(out, "\r\n");
}

static bool
is_field(const char *line, size_t n)
{
	size_t i;

	for (i = 0; i < n && line[i] > 32 && line[i] < 127; i++) {
		if (line[i] == ':')
			return i > 0;
	}
	while (i < n && (line[i] == ' ' || line[i] == '\t'))
		i++;
	return i > 0 && i < n && line[i] == ':';
}

static bool
is_lone_dot(const char *line, ssize_t n)
{
	return n >= 1 && line[0] == '.' && (n == 1 || line[1] == '\n' ||
	    (n == 3 && line[1] == '\r' && line[2] == '\n'));
}

/* All of it, with CRLF; an empty line in front where there is no header. */
static int
read_lines(const struct sendmail_args *a, struct strbuf *out)
{
	char *line = NULL;
	size_t cap = 0;
	bool first = true;
	ssize_t n;
	int rc = 0;

	while ((n = getline(&line, &cap, stdin)) >= 0) {
		if (!a->keep_dots && is_lone_dot(line, n))
			break;
		if (first && strncmp(line, "From ", 5) == 0)
			continue;
		if (first && line[0] != '\n' && line[0] != '\r' &&
		    !is_field(line, (size_t)n))
			strbuf_puts(out, "\r\n");
		first = false;
		add_line(out, line, (size_t)n);
	}
	if (ferror(stdin))
		rc = sendmail_error(EX_IOERR, "read of standard input: %s",
		    strerror(errno));
	free(line);
	return rc;
}

/* ---- the header ---- */

/* The next field with its folded lines; false at the header's end. */
static bool
next_field(struct slice *rest, struct slice *field)
{
	size_t n = 0;
	const char *nl;

	if (rest->n == 0 || rest->p[0] == '\r')
		return false;
	do {
		nl = memchr(rest->p + n, '\n', rest->n - n);
		n = nl != NULL ? (size_t)(nl - rest->p) + 1 : rest->n;
	} while (n < rest->n && (rest->p[n] == ' ' || rest->p[n] == '\t'));
	*field = slice_of(rest->p, n);
	*rest = slice_skip(*rest, n);
	return true;
}

static bool
field_is(struct slice field, const char *name, struct slice *value)
{
	size_t n = strlen(name);

	if (field.n <= n || strncasecmp(field.p, name, n) != 0)
		return false;
	while (n < field.n && (field.p[n] == ' ' || field.p[n] == '\t'))
		n++;
	if (n == field.n || field.p[n] != ':')
		return false;
	*value = slice_skip(field, n + 1);
	return true;
}

struct names {
	const char *to, *cc, *bcc;
};

/* One pass over the header: recipients out of it, Bcc left out. */
static int
take_recipients(struct slice message, const struct names *names,
    struct sendmail_list *rcpt, struct strbuf *out)
{
	struct slice rest = message, field, v;
	int bad = 0;

	while (next_field(&rest, &field)) {
		if (field_is(field, names->bcc, &v)) {
			bad |= add_all(rcpt, v);
			continue;
		}
		if (field_is(field, names->to, &v) ||
		    field_is(field, names->cc, &v))
			bad |= add_all(rcpt, v);
		/* the other set's Bcc must not get out either */
		if (!field_is(field, "Bcc", &v) &&
		    !field_is(field, "Resent-Bcc", &v))
			strbuf_add_slice(out, field);
	}
	strbuf_add_slice(out, rest);
	return bad;
}

static bool
has_field(struct slice message, const char *prefix)
{
	struct slice field, rest = message;

	while (next_field(&rest, &field)) {
		if (field.n >= strlen(prefix) &&
		    strncasecmp(field.p, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

/* From with the full name of -F, where the message has none. */
static void
add_from(struct strbuf *out, const char *name, const char *sender)
{
	strbuf_puts(out, "From: \"");
	for (; *name != 0; name++) {
		if (*name == '"' || *name == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *name == '\r' || *name == '\n' ? ' ' :
		    *name);
	}
	strbuf_printf(out, "\" <%s>\r\n", sender);
}

int
sendmail_read(const struct sendmail_args *a, const char *sender,
    struct strbuf *message, struct sendmail_list *rcpt)
{
	static const struct names plain = { "To", "Cc", "Bcc" };
	static const struct names resent = { "Resent-To", "Resent-Cc",
	    "Resent-Bcc" };
	struct strbuf in = STRBUF_INIT;
	struct slice all;
	int rc = read_lines(a, &in);

	if (rc != 0)
		goto out;
	all = strbuf_slice(&in);
	if (a->full_name != NULL && a->full_name[0] != 0 &&
	    sender[0] != 0 && !has_field(all, "From:"))
		add_from(message, a->full_name, sender);
	if (!a->from_header) {
		strbuf_add_slice(message, all);
		goto out;
	}
	if (take_recipients(all, has_field(all, "Resent-") ? &resent : &plain,
	    rcpt, message) != 0)
		rc = sendmail_error(EX_DATAERR, "-t: the header holds what "
		    "is not an address");
	else if (rcpt->n == 0)
		rc = sendmail_error(EX_DATAERR, "-t: no recipient in To, Cc "
		    "or Bcc");
out:
	strbuf_free(&in);
	return rc;
}

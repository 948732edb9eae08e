/* Reads and writes the text of aliases; for monitor (the file) and queue (its
 * view).  Pure.  A line that begins with a blank continues the one before;
 * empty lines and comments may stand between.  A `#` begins a comment where a
 * word could begin.  What is wrong is told and left out. */
#include "mail/aliases.h"

#include <stdbool.h>

#include "mail/address.h"

struct reading {
	const struct alias_reader *r;
	unsigned line;
	bool list;			/* an included file */
	bool named;			/* a name has come */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
has_control(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == 127)
			return true;
	}
	return false;
}

/* Octets of a quoted string at the front with its quotes, 0: it has no
 * end. */
static size_t
quoted_length(struct slice s)
{
	size_t i;

	for (i = 1; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

static void
lower(struct strbuf *b)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (b->p[i] >= 'A' && b->p[i] <= 'Z')
			b->p[i] = (char)(b->p[i] + 32);
}

/* ---- one target ---- */

static void
tell_mistake(const struct reading *k, const char *text)
{
	if (k->r->mistake != NULL)
		k->r->mistake(k->r->arg, k->line, text);
}

static void
tell_target(const struct reading *k, enum alias_kind kind, struct slice text)
{
	if (k->r->target != NULL)
		k->r->target(k->r->arg, k->line, kind, text);
}

static void
take_address(const struct reading *k, enum alias_kind kind, struct slice s)
{
	bool good = mail_local_valid(s, true);

	if (kind == ALIAS_ADDRESS)
		good = good || mail_address_valid(s, true);
	if (good)
		tell_target(k, kind, s);
	else
		tell_mistake(k, "this is not an address");
}

/* A command, a file, or the name of one; false: it is none of these. */
static bool
take_special(const struct reading *k, struct slice s)
{
	static const struct slice include = { ":include:", 9 };

	if (s.n == 0 || (s.p[0] != '|' && s.p[0] != '/' && s.p[0] != ':'))
		return false;
	if (has_control(s)) {
		tell_mistake(k, "a control character");
	} else if (s.p[0] == '|') {
		tell_target(k, ALIAS_COMMAND, slice_trim(slice_skip(s, 1)));
	} else if (s.p[0] == '/') {
		tell_target(k, ALIAS_FILE, s);
	} else if (!slice_starts_case(s, include)) {
		tell_mistake(k, "only `:include:/FILE` begins with a colon");
	} else {
		s = slice_trim(slice_skip(s, include.n));
		if (s.n > 0 && s.p[0] == '/')
			tell_target(k, ALIAS_INCLUDE, s);
		else
			tell_mistake(k, "the name behind `:include:` must "
			    "begin with `/`");
	}
	return true;
}

/* The part between < and > of `Name <address>`. */
static bool
in_brackets(struct slice s, struct slice *out)
{
	size_t i = 0, n;

	if (s.n < 2 || s.p[s.n - 1] != '>')
		return false;
	while (i < s.n && s.p[i] != '<') {
		n = s.p[i] == '"' ? quoted_length(slice_skip(s, i)) : 1;
		if (n == 0)
			return false;
		i += n;
	}
	if (i >= s.n)
		return false;
	*out = slice_of(s.p + i + 1, s.n - i - 2);
	return true;
}

static void
take_target(const struct reading *k, struct slice s)
{
	struct strbuf plain = STRBUF_INIT;
	struct slice inner;

	if (s.p[0] == '"' && quoted_length(s) == s.n) {
		mail_local_unquote(s, &plain);
		if (!take_special(k, strbuf_slice(&plain)))
			take_address(k, ALIAS_ADDRESS, s);
		strbuf_free(&plain);
	} else if (take_special(k, s)) {
		return;
	} else if (s.p[0] == '\\') {
		take_address(k, ALIAS_USER, slice_skip(s, 1));
	} else if (in_brackets(s, &inner)) {
		take_address(k, ALIAS_ADDRESS, inner);
	} else {
		take_address(k, ALIAS_ADDRESS, s);
	}
}

/* ---- lines ---- */

/* Octets up to the comma, comment or end behind a target; 0: a quote has no
 * end. */
static size_t
target_length(struct slice s)
{
	size_t i = 0, n;

	while (i < s.n && s.p[i] != ',') {
		if (s.p[i] == '#' && i > 0 && is_blank(s.p[i - 1]))
			break;
		n = s.p[i] == '"' ? quoted_length(slice_skip(s, i)) : 1;
		if (n == 0)
			return 0;
		i += n;
	}
	return i;
}

static void
take_list(const struct reading *k, struct slice s)
{
	size_t n;

	for (;;) {
		while (s.n > 0 && (is_blank(s.p[0]) || s.p[0] == ','))
			s = slice_skip(s, 1);
		if (s.n == 0 || s.p[0] == '#')
			return;
		n = target_length(s);
		if (n == 0) {
			tell_mistake(k, "a quote without its end");
			return;
		}
		take_target(k, slice_trim(slice_of(s.p, n)));
		s = slice_skip(s, n);
	}
}

/* The name with its colon is cut off the front; false: told. */
static bool
take_name(struct reading *k, struct slice *s, struct strbuf *name)
{
	size_t n = 0;

	if (s->p[0] == '"') {
		n = quoted_length(*s);
		if (n > 0)
			mail_local_unquote(slice_of(s->p, n), name);
	} else {
		while (n < s->n && s->p[n] != ':' && !is_blank(s->p[n]))
			n++;
		strbuf_add(name, s->p, n);
	}
	*s = slice_trim(slice_skip(*s, n));
	if (n == 0 || s->n == 0 || s->p[0] != ':') {
		tell_mistake(k, "this is not `NAME: TARGET, ...`");
		return false;
	}
	*s = slice_skip(*s, 1);
	if (name->n == 0 || name->n > MAIL_LOCAL_MAX ||
	    has_control(strbuf_slice(name))) {
		tell_mistake(k, "this name cannot be one");
		return false;
	}
	if (slice_find(strbuf_slice(name), '@') >= 0) {
		tell_mistake(k, "a name with a domain: only names of local "
		    "users are looked up here");
		return false;
	}
	lower(name);
	return true;
}

static void
take_line(struct reading *k, struct slice s)
{
	bool continued = s.n > 0 && is_blank(s.p[0]);
	struct strbuf name = STRBUF_INIT;

	s = slice_trim(s);
	if (s.n == 0 || s.p[0] == '#')
		return;
	if (!k->list && !continued) {
		k->named = take_name(k, &s, &name);
		if (k->named && k->r->name != NULL)
			k->r->name(k->r->arg, k->line, strbuf_slice(&name));
		strbuf_free(&name);
		if (!k->named)
			return;
	} else if (!k->list && !k->named) {
		tell_mistake(k, "a line that begins with a blank continues "
		    "the one before, and there is none");
		return;
	}
	take_list(k, s);
}

static void
read_lines(struct slice text, const struct alias_reader *r, bool list)
{
	struct reading k = { .r = r, .list = list };
	size_t n;
	long nl;

	while (text.n > 0) {
		nl = slice_find(text, '\n');
		n = nl < 0 ? text.n : (size_t)nl;
		k.line++;
		take_line(&k, slice_of(text.p, n > 0 && text.p[n - 1] == '\r' ?
		    n - 1 : n));
		text = slice_skip(text, nl < 0 ? n : n + 1);
	}
}

void
aliases_read(struct slice text, const struct alias_reader *r)
{
	read_lines(text, r, false);
}

void
aliases_read_list(struct slice text, const struct alias_reader *r)
{
	read_lines(text, r, true);
}

/* ---- writing ---- */

static void
write_quoted(struct strbuf *out, struct slice s)
{
	size_t i;

	strbuf_putc(out, '"');
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, s.p[i]);
	}
	strbuf_putc(out, '"');
}

void
alias_write_name(struct strbuf *out, struct slice name)
{
	if (out->n > 0)
		strbuf_putc(out, '\n');
	write_quoted(out, name);
	strbuf_putc(out, ':');
}

void
alias_write_target(struct strbuf *out, enum alias_kind kind,
    struct slice text)
{
	static const char *const front[] = {
		[ALIAS_INCLUDE] = ":include:", [ALIAS_COMMAND] = "|",
		[ALIAS_FILE] = ""
	};
	struct strbuf b = STRBUF_INIT;

	if (out->n > 0 && out->p[out->n - 1] != ':')
		strbuf_putc(out, ',');
	strbuf_putc(out, ' ');
	switch (kind) {
	case ALIAS_ADDRESS:
		strbuf_putc(out, '<');
		strbuf_add_slice(out, text);
		strbuf_putc(out, '>');
		break;
	case ALIAS_USER:
		strbuf_putc(out, '\\');
		strbuf_add_slice(out, text);
		break;
	case ALIAS_INCLUDE:
	case ALIAS_COMMAND:
	case ALIAS_FILE:
		strbuf_puts(&b, front[kind]);
		strbuf_add_slice(&b, text);
		write_quoted(out, strbuf_slice(&b));
		strbuf_free(&b);
		break;
	}
}

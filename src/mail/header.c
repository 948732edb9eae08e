/* Header fields without parsing them, for listener, queue, tools and reports.
 * Pure, and bounded by the input alone; lines end in CRLF or LF.  RFC 5322
 * 2.2 and 3.6. */
#include "mail/header.h"

#include <string.h>

/* Octets up to and with the next LF, 0: there is none. */
static size_t
line_length(struct slice s)
{
	long lf = slice_find(s, '\n');

	return lf < 0 ? 0 : (size_t)lf + 1;
}

static bool
is_empty_line(struct slice s)
{
	return (s.n >= 1 && s.p[0] == '\n') ||
	    (s.n >= 2 && s.p[0] == '\r' && s.p[1] == '\n');
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Octets of the name at the front of a line, up to the colon with blanks
 * between them taken as part of *colon; 0: no field begins here. */
static size_t
name_length(struct slice line, size_t *colon)
{
	size_t n = 0, at;

	while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 &&
	    line.p[n] != ':')
		n++;
	at = n;
	while (at < line.n && is_blank(line.p[at]))
		at++;
	if (n == 0 || at == line.n || line.p[at] != ':')
		return 0;
	*colon = at;
	return n;
}

/* How far the fields, and the walk over them, have come. */
enum step { STEP_FIELD, STEP_END, STEP_CUT };

/* The field at pos.  An unfinished last line counts as a field's where the
 * input ends: STEP_CUT tells that more may follow. */
static enum step
field_at(struct slice msg, size_t pos, struct header_field *out)
{
	struct slice left = slice_skip(msg, pos);
	size_t n, colon = 0, name;
	enum step step = STEP_FIELD;

	if (left.n == 0)
		return STEP_CUT;
	if (is_empty_line(left))
		return STEP_END;
	n = line_length(left);
	name = name_length(n > 0 ? slice_of(left.p, n) : left, &colon);
	if (name == 0)
		return n > 0 ? STEP_END : STEP_CUT;
	for (;;) {
		struct slice next;
		size_t more;

		if (n == 0) {
			n = left.n;
			step = STEP_CUT;
			break;
		}
		next = slice_skip(left, n);
		if (next.n == 0 || !is_blank(next.p[0]))
			break;
		more = line_length(next);
		n = more > 0 ? n + more : 0;
	}
	out->whole = slice_of(left.p, n);
	out->name = slice_of(left.p, name);
	out->value = slice_of(left.p + colon + 1, n - colon - 1);
	while (out->value.n > 0 && (out->value.p[out->value.n - 1] == '\n' ||
	    out->value.p[out->value.n - 1] == '\r'))
		out->value.n--;
	out->value = slice_trim(out->value);
	return step;
}

bool
header_next(struct slice msg, size_t *pos, struct header_field *out)
{
	struct header_field f = { .whole = slice_of(NULL, 0) };
	enum step step = field_at(msg, *pos, &f);

	if (step == STEP_END || f.whole.p == NULL)
		return false;
	*out = f;
	*pos += f.whole.n;
	return true;
}

bool
header_find(struct slice msg, const char *name, size_t *pos,
    struct header_field *out)
{
	while (header_next(msg, pos, out)) {
		if (slice_eq_case_cstr(out->name, name))
			return true;
	}
	return false;
}

static void
note_field(struct header_scan *scan, struct slice name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {
		{ "Date", HEADER_DATE }, { "From", HEADER_FROM },
		{ "Message-ID", HEADER_MESSAGE_ID },
		{ "DKIM-Signature", HEADER_DKIM_SIGNATURE },
		{ "Return-Path", HEADER_RETURN_PATH },
		{ "Sender", HEADER_SENDER }, { "To", HEADER_TO },
		{ "Cc", HEADER_CC }, { "Bcc", HEADER_BCC },
		{ "Subject", HEADER_SUBJECT },
		{ "Auto-Submitted", HEADER_AUTO_SUBMITTED },
	};

	if (slice_eq_case_cstr(name, "Received")) {
		scan->received++;
		return;
	}
	if (slice_starts_case(name, SLICE_LIT("Resent-")))
		scan->present |= HEADER_RESENT;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (slice_eq_case_cstr(name, known[i].name))
			scan->present |= known[i].bit;
	}
}

void
header_scan(struct slice msg, struct header_scan *out)
{
	struct header_field f;
	size_t pos = 0;
	struct slice left;

	*out = (struct header_scan){ .complete = false };
	while (header_next(msg, &pos, &f))
		note_field(out, f.name);
	out->fields_end = pos;
	out->body = pos;
	left = slice_skip(msg, pos);
	if (is_empty_line(left)) {
		out->body += line_length(left);
		out->complete = true;
	} else if (line_length(left) > 0) {
		out->complete = true;
	}
}

void
header_unfold(struct slice value, struct strbuf *out)
{
	while (value.n > 0) {
		long lf = slice_find(value, '\n');
		struct slice line = lf < 0 ? value :
		    slice_of(value.p, (size_t)lf);

		value = slice_skip(value, line.n + 1);
		while (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		strbuf_add_slice(out, line);
	}
}

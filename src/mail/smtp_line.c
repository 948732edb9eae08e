/* Lines of SMTP, for the listener.  Pure; works on the buffer in place with
 * memchr.  RFC 5321 2.3.8 and 4.5.3.1.4. */
#include "mail/smtp_line.h"

#include <string.h>

/* The first CR of s that no LF follows; one at the very end is pending. */
static long
bare_cr(struct slice s)
{
	size_t from = 0;

	for (;;) {
		long at = slice_find(slice_skip(s, from), '\r');

		if (at < 0)
			return -1;
		from += (size_t)at;
		if (from + 1 == s.n)
			return -1;
		if (s.p[from + 1] != '\n')
			return (long)from;
		from += 2;
	}
}

static enum smtp_line_result
no_end(struct slice in, size_t max, bool lf_ok, struct smtp_line *out)
{
	long bad = lf_ok ? -1 : bare_cr(in);

	if (bad >= 0) {
		out->bad = (size_t)bad;
		return SMTP_LINE_BARE_CR;
	}
	return in.n >= max ? SMTP_LINE_LONG : SMTP_LINE_MORE;
}

enum smtp_line_result
smtp_line_next(struct slice in, size_t max, bool lf_ok,
    struct smtp_line *out)
{
	struct slice look = slice_of(in.p, in.n < max ? in.n : max);
	long lf = slice_find(look, '\n');
	size_t end;
	long bad;

	if (lf < 0)
		return no_end(look, max, lf_ok, out);
	end = (size_t)lf;
	out->size = end + 1;
	if (end > 0 && in.p[end - 1] == '\r') {
		end--;
	} else if (!lf_ok) {
		out->bad = end;
		return SMTP_LINE_BARE_LF;
	}
	out->text = slice_of(in.p, end);
	if (!lf_ok) {
		bad = slice_find(out->text, '\r');
		if (bad >= 0) {
			out->bad = (size_t)bad;
			return SMTP_LINE_BARE_CR;
		}
	}
	bad = slice_find(out->text, '\0');
	if (bad >= 0) {
		out->bad = (size_t)bad;
		return SMTP_LINE_NUL;
	}
	return SMTP_LINE_DONE;
}

size_t
smtp_line_skip(struct slice in, bool *done)
{
	long lf = slice_find(in, '\n');

	*done = lf >= 0;
	return lf >= 0 ? (size_t)lf + 1 : in.n;
}

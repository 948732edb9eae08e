/* Replies of SMTP: read by delivery, written by the listener.  Pure; garbage
 * and absurd lengths are SMTP_REPLY_BAD, nothing is kept beyond 64 KiB.  RFC
 * 5321 4.2, RFC 2034. */
#include "mail/smtp_reply.h"

#include <string.h>

#define WRITE_LINE_MAX 510

void
smtp_reply_clear(struct smtp_reply *r)
{
	r->code = 0;
	r->status = MAIL_STATUS_NONE;
	r->lines = 0;
	r->octets = 0;
	r->done = false;
	strbuf_clear(&r->text);
}

void
smtp_reply_free(struct smtp_reply *r)
{
	smtp_reply_clear(r);
	strbuf_free(&r->text);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Control characters are a log's and a terminal's enemies. */
static void
add_printable(struct strbuf *out, struct slice s)
{
	char *to = strbuf_room(out, s.n);

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		to[i] = c < ' ' || c == 127 ? (c == '\t' ? ' ' : '?') :
		    s.p[i];
	}
	out->n += s.n;
	out->p[out->n] = '\0';
}

/* One line without its end. */
static int
take_line(struct smtp_reply *r, struct slice line, struct err *e)
{
	struct mail_status st;
	int code;

	if (line.n < 3 || !is_digit(line.p[0]) || !is_digit(line.p[1]) ||
	    !is_digit(line.p[2]) ||
	    (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
		return err_set(e, -1, "not a reply of SMTP: \"%.*s\"",
		    line.n > 60 ? 60 : (int)line.n, line.p);
	code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 +
	    (line.p[2] - '0');
	if (code < 200 || code > 599)
		return err_set(e, -1, "reply code %d is out of range", code);
	if (r->lines > 0 && code != r->code)
		return err_set(e, -1, "reply code changes from %d to %d",
		    r->code, code);
	r->code = code;
	r->done = line.n == 3 || line.p[3] == ' ';
	line = slice_skip(line, 4);
	if (r->status.class == 0 && mail_status_parse(line, &st, NULL) &&
	    st.class == code / 100)
		r->status = st;
	if (r->lines++ > 0)
		strbuf_putc(&r->text, '\n');
	add_printable(&r->text, line);
	return 0;
}

enum smtp_reply_result
smtp_reply_feed(struct smtp_reply *r, struct slice in, size_t *used,
    struct err *e)
{
	*used = 0;
	if (r->done)
		smtp_reply_clear(r);
	for (;;) {
		struct slice left = slice_skip(in, *used);
		long lf = slice_find(left, '\n');
		struct slice line;

		if (lf >= SMTP_REPLY_LINE_MAX ||
		    (lf < 0 && left.n >= SMTP_REPLY_LINE_MAX)) {
			err_set(e, -1, "a line of the reply is too long");
			return SMTP_REPLY_BAD;
		}
		if (lf < 0)
			return SMTP_REPLY_MORE;
		*used += (size_t)lf + 1;
		r->octets += (size_t)lf + 1;
		if (r->octets > SMTP_REPLY_TEXT_MAX) {
			err_set(e, -1, "the reply is too long");
			return SMTP_REPLY_BAD;
		}
		line = slice_of(left.p, (size_t)lf);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (take_line(r, line, e) < 0)
			return SMTP_REPLY_BAD;
		if (r->done)
			return SMTP_REPLY_DONE;
	}
}

bool
smtp_reply_line(const struct smtp_reply *r, size_t i, struct slice *line)
{
	struct slice left = strbuf_slice(&r->text);
	long lf;

	if (i >= r->lines)
		return false;
	for (; i > 0; i--)
		left = slice_skip(left, (size_t)slice_find(left, '\n') + 1);
	lf = slice_find(left, '\n');
	*line = lf < 0 ? left : slice_of(left.p, (size_t)lf);
	return true;
}

void
smtp_reply_text(const struct smtp_reply *r, struct strbuf *out, size_t max)
{
	struct slice left = strbuf_slice(&r->text);
	size_t from = out->n;
	struct mail_status st;
	size_t used;

	strbuf_printf(out, "%d", r->code);
	for (size_t i = 0; i < r->lines; i++) {
		long lf = slice_find(left, '\n');
		struct slice line = lf < 0 ? left :
		    slice_of(left.p, (size_t)lf);

		/* Once is enough for the enhanced code. */
		if (i > 0 && mail_status_parse(line, &st, &used))
			line = slice_skip(line, used);
		line = slice_trim(line);
		if (line.n > 0) {
			strbuf_putc(out, ' ');
			strbuf_add_slice(out, line);
		}
		if (lf < 0)
			break;
		left = slice_skip(left, (size_t)lf + 1);
	}
	if (max > 0 && out->n - from > max) {
		out->n = from + max;
		out->p[out->n] = '\0';
	}
}

struct mail_status
smtp_reply_status(const struct smtp_reply *r)
{
	return r->status.class != 0 ? r->status : mail_status_of_code(r->code);
}

void
smtp_reply_write(struct strbuf *out, int code, struct mail_status status,
    const char *text)
{
	struct slice left = slice_cstr(text);
	char st[MAIL_STATUS_LEN + 1];

	mail_status_text(status, st);
	for (;;) {
		long lf = slice_find(left, '\n');
		struct slice line = lf < 0 ? left :
		    slice_of(left.p, (size_t)lf);
		size_t room = WRITE_LINE_MAX - 4 - MAIL_STATUS_LEN - 1;

		if (line.n > room)
			line.n = room;
		strbuf_printf(out, "%03d%c", code, lf < 0 ? ' ' : '-');
		if (st[0] != '\0') {
			strbuf_puts(out, st);
			strbuf_putc(out, ' ');
		}
		add_printable(out, line);
		strbuf_puts(out, "\r\n");
		if (lf < 0)
			return;
		left = slice_skip(left, (size_t)lf + 1);
	}
}

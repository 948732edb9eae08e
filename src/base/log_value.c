/* Quoting of log values.  Nothing here fails; every octet that a peer may
 * have chosen ends up printable, so that no line can be forged. */
#include "base/log_value.h"

#include <stdint.h>

enum { PLAIN, QUOTE, ESCAPE, HIGH };

/* What an octet of a text value needs. */
static inline int
class_of(unsigned char c)
{
	if (c > 127)
		return HIGH;
	if (c < ' ' || c == 127)
		return ESCAPE;
	if (c == '"' || c == '\\')
		return ESCAPE;
	return c == ' ' ? QUOTE : PLAIN;
}

/* Length of the UTF-8 character at the front, 0: it is none, or one of the
 * C1 controls, which a terminal may obey. */
static size_t
utf8_length(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len;
	uint32_t c;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (n < len)
		return 0;
	c = p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < 0xa0 || (len == 3 && c < 0x800) || (len == 4 && c < 0x10000))
		return 0;
	if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	/* Line and paragraph separator end a line for some viewers. */
	if (c == 0x2028 || c == 0x2029)
		return 0;
	return len;
}

static bool
needs_quotes(struct slice v)
{
	if (v.n == 0)
		return true;
	for (size_t i = 0; i < v.n;) {
		int class = class_of((unsigned char)v.p[i]);
		size_t len = 1;

		if (class == QUOTE || class == ESCAPE)
			return true;
		if (class == HIGH) {
			len = utf8_length(v.p + i, v.n - i);
			if (len == 0)
				return true;
		}
		i += len;
	}
	return false;
}

static void
hex_escape(struct strbuf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	const char text[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };

	strbuf_add(b, text, sizeof(text));
}

void
log_value_text(struct strbuf *b, struct slice v)
{
	if (!needs_quotes(v)) {
		strbuf_add_slice(b, v);
		return;
	}
	strbuf_putc(b, '"');
	for (size_t i = 0; i < v.n;) {
		unsigned char c = (unsigned char)v.p[i];
		size_t len = 1;

		switch (class_of(c)) {
		case HIGH:
			len = utf8_length(v.p + i, v.n - i);
			if (len > 0) {
				strbuf_add(b, v.p + i, len);
			} else {
				hex_escape(b, c);
				len = 1;
			}
			break;
		case ESCAPE:
			if (c == '"' || c == '\\') {
				strbuf_putc(b, '\\');
				strbuf_putc(b, (char)c);
			} else {
				hex_escape(b, c);
			}
			break;
		default:
			strbuf_putc(b, (char)c);
			break;
		}
		i += len;
	}
	strbuf_putc(b, '"');
}

/* Octets that JSON takes as they are, from the front. */
static size_t
plain_run(struct slice v, size_t from)
{
	size_t i = from;

	while (i < v.n && (class_of((unsigned char)v.p[i]) == PLAIN ||
	    v.p[i] == ' '))
		i++;
	return i - from;
}

void
log_value_json(struct strbuf *b, struct slice v)
{
	strbuf_putc(b, '"');
	for (size_t i = 0; i < v.n;) {
		unsigned char c = (unsigned char)v.p[i];
		size_t len = plain_run(v, i);

		if (len > 0) {
			strbuf_add(b, v.p + i, len);
			i += len;
			continue;
		}
		len = 1;
		if (c > 127) {
			len = utf8_length(v.p + i, v.n - i);
			if (len > 0) {
				strbuf_add(b, v.p + i, len);
			} else {
				strbuf_puts(b, "\\ufffd");
				len = 1;
			}
		} else if (c == '"' || c == '\\') {
			strbuf_putc(b, '\\');
			strbuf_putc(b, (char)c);
		} else {
			strbuf_printf(b, "\\u%04x", c);
		}
		i += len;
	}
	strbuf_putc(b, '"');
}

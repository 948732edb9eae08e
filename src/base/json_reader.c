/*
 * JSON as it stands in a text (RFC 8259).  All roles and tools.  Garbage of
 * any kind is an error with its place, never more; nesting is bounded.
 */
#include "base/json_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define DEPTH_MAX 64

struct scan {
	const char *start, *p, *end;
	const char *why;		/* what was wrong at p */
};

static bool scan_value(struct scan *s, unsigned depth, enum json_type *type);

static bool
fail(struct scan *s, const char *why)
{
	s->why = why;
	return false;
}

/* ---- blanks ---- */

static bool
skip_comment(struct scan *s)
{
	const char *p = s->p + 1;

	if (p < s->end && *p == '/') {
		while (p < s->end && *p != '\n')
			p++;
		s->p = p;
		return true;
	}
	if (p >= s->end || *p != '*')
		return false;
	for (p++; p + 1 < s->end; p++) {
		if (p[0] == '*' && p[1] == '/') {
			s->p = p + 2;
			return true;
		}
	}
	return false;
}

static void
skip_blanks(struct scan *s)
{
	while (s->p < s->end) {
		if (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' ||
		    *s->p == '\r')
			s->p++;
		else if (*s->p != '/' || !skip_comment(s))
			return;
	}
}

static bool
take(struct scan *s, char c)
{
	skip_blanks(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* ---- values ---- */

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	    (c >= 'A' && c <= 'F');
}

static bool
scan_escape(struct scan *s)
{
	size_t i;

	if (++s->p == s->end)
		return fail(s, "the text ends inside a string");
	if (*s->p != 'u') {
		if (*s->p == '\0' || strchr("\"\\/bfnrt", *s->p) == NULL)
			return fail(s, "an escape that JSON does not have");
		s->p++;
		return true;
	}
	s->p++;
	for (i = 0; i < 4; i++, s->p++)
		if (s->p == s->end || !is_hex(*s->p))
			return fail(s, "\\u without four hex digits");
	return true;
}

/* At its opening quote. */
static bool
scan_string(struct scan *s)
{
	for (s->p++; s->p < s->end; ) {
		if (*s->p == '"') {
			s->p++;
			return true;
		}
		if ((unsigned char)*s->p < ' ')
			return fail(s, "a control character in a string");
		if (*s->p != '\\')
			s->p++;
		else if (!scan_escape(s))
			return false;
	}
	return fail(s, "the text ends inside a string");
}

static size_t
digits(struct scan *s)
{
	const char *from = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - from);
}

static bool
scan_number(struct scan *s)
{
	if (*s->p == '-')
		s->p++;
	if (digits(s) == 0)
		return fail(s, "a value is expected");
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (digits(s) == 0)
			return fail(s, "a digit is expected");
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (digits(s) == 0)
			return fail(s, "a digit is expected");
	}
	return true;
}

static bool
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return fail(s, "a value is expected");
	s->p += n;
	return true;
}

/* Behind the opening brace or bracket. */
static bool
scan_list(struct scan *s, unsigned depth, bool object, char close)
{
	enum json_type type;

	if (take(s, close))
		return true;
	do {
		skip_blanks(s);
		if (object) {
			if (s->p == s->end || *s->p != '"')
				return fail(s, "a name in quotes is expected");
			if (!scan_string(s))
				return false;
			if (!take(s, ':'))
				return fail(s, "`:` is expected");
		}
		if (!scan_value(s, depth + 1, &type))
			return false;
	} while (take(s, ','));
	return take(s, close) || fail(s, object ? "`,` or `}` is expected" :
	    "`,` or `]` is expected");
}

static bool
scan_value(struct scan *s, unsigned depth, enum json_type *type)
{
	skip_blanks(s);
	if (s->p == s->end)
		return fail(s, "a value is expected");
	if (depth > DEPTH_MAX)
		return fail(s, "too deep");
	switch (*s->p) {
	case '{':
		*type = JSON_OBJECT;
		s->p++;
		return scan_list(s, depth, true, '}');
	case '[':
		*type = JSON_ARRAY;
		s->p++;
		return scan_list(s, depth, false, ']');
	case '"':
		*type = JSON_STRING;
		return scan_string(s);
	case 't':
		*type = JSON_BOOL;
		return scan_word(s, "true");
	case 'f':
		*type = JSON_BOOL;
		return scan_word(s, "false");
	case 'n':
		*type = JSON_NULL;
		return scan_word(s, "null");
	default:
		*type = JSON_NUMBER;
		return scan_number(s);
	}
}

int
json_object_check(struct slice text, struct err *e)
{
	struct scan s = { text.p, text.p, text.p + text.n, NULL };
	unsigned line = 1, column = 1;
	enum json_type type;
	const char *p;

	skip_blanks(&s);
	if (s.p == s.end || *s.p != '{')
		fail(&s, "an object is expected");
	else if (scan_value(&s, 0, &type)) {
		skip_blanks(&s);
		if (s.p == s.end)
			return 0;
		fail(&s, "there is something behind the object");
	}
	for (p = text.p; p < s.p; p++) {
		column++;
		if (*p == '\n') {
			line++;
			column = 1;
		}
	}
	return err_set(e, -1, "line %u, column %u: %s", line, column, s.why);
}

/* ---- members ---- */

bool
json_member_next(struct slice object, size_t *at, struct json_member *m)
{
	struct scan s = { object.p, object.p + *at, object.p + object.n,
	    NULL };
	const char *from;

	if (*at == 0 && !take(&s, '{'))
		return false;
	if (*at != 0 && !take(&s, ','))
		return false;
	skip_blanks(&s);
	if (s.p == s.end || *s.p != '"')
		return false;
	from = s.p + 1;
	if (!scan_string(&s))
		return false;
	m->key = slice_of(from, (size_t)(s.p - 1 - from));
	if (!take(&s, ':'))
		return false;
	skip_blanks(&s);
	from = s.p;
	if (!scan_value(&s, 1, &m->type))
		return false;
	m->value = slice_of(from, (size_t)(s.p - from));
	*at = (size_t)(s.p - s.start);
	return true;
}

static unsigned
hex4(const char *p)
{
	unsigned i, c, v = 0;

	for (i = 0; i < 4; i++) {
		c = (unsigned char)p[i];
		v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

static void
add_utf8(struct strbuf *out, unsigned c)
{
	if (c < 0x80) {
		strbuf_putc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		strbuf_putc(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			strbuf_putc(out, (char)(0xe0 | c >> 12));
		} else {
			strbuf_putc(out, (char)(0xf0 | c >> 18));
			strbuf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		strbuf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	strbuf_putc(out, (char)(0x80 | (c & 0x3f)));
}

/* What stands between the quotes of a string that was scanned; returns
 * whether it holds no NUL. */
static bool
unescape(struct slice s, struct strbuf *out)
{
	static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
	bool clean = true;
	unsigned c, low;
	const char *l;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '\\') {
			strbuf_putc(out, s.p[i]);
			continue;
		}
		i++;
		if (s.p[i] != 'u') {
			l = strchr(letters, s.p[i]);
			strbuf_putc(out, l != NULL ? meant[l - letters] :
			    s.p[i]);
			continue;
		}
		c = hex4(s.p + i + 1);
		i += 4;
		if (c >= 0xd800 && c < 0xdc00 && i + 6 < s.n &&
		    s.p[i + 1] == '\\' && s.p[i + 2] == 'u') {
			low = hex4(s.p + i + 3);
			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) +
				    (low - 0xdc00);
				i += 6;
			}
		}
		if (c >= 0xd800 && c < 0xe000)
			c = 0xfffd;
		clean = clean && c != 0;
		add_utf8(out, c);
	}
	return clean;
}

bool
json_member_is(const struct json_member *m, const char *name)
{
	struct strbuf key = STRBUF_INIT;
	bool is;

	if (slice_find(m->key, '\\') < 0)
		return slice_eq_cstr(m->key, name);
	is = unescape(m->key, &key) && slice_eq_cstr(strbuf_slice(&key),
	    name);
	strbuf_free(&key);
	return is;
}

bool
json_member_find(struct slice object, const char *name,
    struct json_member *m)
{
	struct json_member each;
	bool found = false;
	size_t at = 0;

	while (json_member_next(object, &at, &each)) {
		if (json_member_is(&each, name)) {
			*m = each;
			found = true;
		}
	}
	return found;
}

int
json_string_value(const struct json_member *m, struct strbuf *out)
{
	size_t before = out->n;

	if (m->type != JSON_STRING)
		return -1;
	if (unescape(slice_of(m->value.p + 1, m->value.n - 2), out))
		return 0;
	out->n = before;
	return -1;
}

char *
json_text_of(struct slice object, const char *name)
{
	struct strbuf out = STRBUF_INIT;
	struct json_member m;

	if (!json_member_find(object, name, &m) ||
	    json_string_value(&m, &out) < 0) {
		strbuf_free(&out);
		return NULL;
	}
	return strbuf_take(&out);
}

bool
json_number_of(struct slice object, const char *name, uint64_t max,
    uint64_t *out)
{
	struct json_member m;
	struct slice v;
	size_t n = 0;

	if (!json_member_find(object, name, &m))
		return false;
	v = m.value;
	if (m.type == JSON_STRING)
		v = slice_trim(slice_of(v.p + 1, v.n - 2));
	else if (m.type != JSON_NUMBER)
		return false;
	while (n < v.n && v.p[n] >= '0' && v.p[n] <= '9')
		n++;
	/* 3600.0 is whole; an exponent nobody writes. */
	if (n < v.n && v.p[n] != '.')
		return false;
	return num_u64(slice_of(v.p, n), max, out);
}

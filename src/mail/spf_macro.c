/*
 * Macros of SPF records (RFC 7208 7).
 *
 * No I/O.  Syntax is checked apart from the expansion: what is expanded is
 * well-formed, and what comes out may be no host name at all.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/spf_private.h"

/* Octets of a domain-spec, which makes a name of 253; what a hostile record
 * may cost us. */
#define SPEC_MAX 1024

struct macro {
	char letter;		/* as written; or one of "%_-" */
	unsigned keep;		/* right-hand parts; 0: all */
	bool reverse;
	struct slice delimiters;
};

/* The macro at the front of *s, cut off.  False: it is none. */
static bool
cut_macro(struct slice *s, bool exp, struct macro *m)
{
	size_t i = 3;

	memset(m, 0, sizeof(*m));
	if (s->n < 2 || s->p[0] != '%')
		return false;
	m->letter = s->p[1];
	if (memchr("%_-", m->letter, 3) != NULL) {
		*s = slice_skip(*s, 2);
		return true;
	}
	if (m->letter != '{' || s->n < 4)
		return false;
	m->letter = s->p[2];
	if (memchr(exp ? "slodiphvcrt" : "slodiphv",
	    tolower((unsigned char)m->letter), exp ? 11 : 8) == NULL)
		return false;
	for (; i < s->n && isdigit((unsigned char)s->p[i]); i++) {
		m->keep = m->keep * 10 + (unsigned)(s->p[i] - '0');
		if (m->keep > 1000)
			m->keep = 1000;
	}
	if (i > 3 && m->keep == 0)
		return false;
	if (i < s->n && tolower((unsigned char)s->p[i]) == 'r') {
		m->reverse = true;
		i++;
	}
	m->delimiters.p = s->p + i;
	while (i < s->n && memchr(".-+,/_=", s->p[i], 7) != NULL)
		i++;
	m->delimiters.n = (size_t)(s->p + i - m->delimiters.p);
	if (i >= s->n || s->p[i] != '}')
		return false;
	*s = slice_skip(*s, i + 1);
	return true;
}

/* Goes on behind the last macro; false: something is wrong before it. */
static bool
skip_to_tail(struct slice *s, bool exp, bool *macros)
{
	struct slice at = *s;
	struct macro m;

	*macros = false;
	while (at.n > 0) {
		if (at.p[0] == '%') {
			if (!cut_macro(&at, exp, &m))
				return false;
			*macros = true;
			*s = at;
			continue;
		}
		if (at.p[0] < (exp ? ' ' : '!') || at.p[0] > '~')
			return false;
		at = slice_skip(at, 1);
	}
	return true;
}

bool
spf_macro_valid(struct slice text, bool exp)
{
	bool macros;

	return skip_to_tail(&text, exp, &macros);
}

static bool
toplabel_valid(struct slice s)
{
	bool digits = true;
	size_t i;

	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (i = 0; i < s.n; i++) {
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-')
			return false;
		digits = digits && isdigit((unsigned char)s.p[i]);
	}
	return !digits;
}

bool
spf_domain_spec_valid(struct slice text)
{
	bool macros;
	long dot;

	if (text.n > SPEC_MAX || !skip_to_tail(&text, false, &macros))
		return false;
	if (text.n == 0)
		return macros;
	if (text.p[text.n - 1] == '.')
		text.n--;
	dot = slice_rfind(text, '.');
	return dot >= 0 && toplabel_valid(slice_skip(text, (size_t)dot + 1));
}

bool
spf_macro_uses(struct slice text, char letter)
{
	struct macro m;

	while (text.n > 0) {
		if (text.p[0] != '%')
			text = slice_skip(text, 1);
		else if (!cut_macro(&text, true, &m))
			return false;
		else if (tolower((unsigned char)m.letter) == letter)
			return true;
	}
	return false;
}

/* ---- values ---- */

static void
dotted_address(const struct mail_literal *ip, struct strbuf *out)
{
	char text[INET6_ADDRSTRLEN];
	int i;

	if (ip->family == AF_INET) {
		inet_ntop(AF_INET, ip->addr, text, sizeof(text));
		strbuf_puts(out, text);
		return;
	}
	for (i = 0; i < 16; i++)
		strbuf_printf(out, "%s%X.%X", i > 0 ? "." : "",
		    ip->addr[i] >> 4, ip->addr[i] & 15u);
}

static void
value_of(char letter, const struct spf_values *v, struct strbuf *out)
{
	char text[INET6_ADDRSTRLEN];

	switch (tolower((unsigned char)letter)) {
	case 's':
		strbuf_printf(out, "%s@%s", v->local, v->origin);
		break;
	case 'l':
		strbuf_puts(out, v->local);
		break;
	case 'o':
		strbuf_puts(out, v->origin);
		break;
	case 'd':
		strbuf_puts(out, v->domain);
		break;
	case 'i':
		dotted_address(&v->ip, out);
		break;
	case 'p':
		strbuf_puts(out, v->p != NULL ? v->p : "unknown");
		break;
	case 'h':
		strbuf_puts(out, v->helo);
		break;
	case 'v':
		strbuf_puts(out, v->ip.family == AF_INET ? "in-addr" : "ip6");
		break;
	case 'c':
		if (inet_ntop(v->ip.family, v->ip.addr, text,
		    sizeof(text)) != NULL)
			strbuf_puts(out, text);
		break;
	case 'r':
		strbuf_puts(out, v->receiver);
		break;
	default:
		strbuf_printf(out, "%" PRIu64, v->now);
	}
}

/* ---- transformers ---- */

static bool
is_delimiter(const struct macro *m, char c)
{
	if (m->delimiters.n == 0)
		return c == '.';
	return memchr(m->delimiters.p, c, m->delimiters.n) != NULL;
}

/* Parts between delimiters; the caller frees. */
static struct slice *
split(const struct macro *m, struct slice s, size_t *count)
{
	struct slice *parts = NULL;
	size_t i, start = 0;

	*count = 0;
	for (i = 0; i <= s.n; i++) {
		if (i < s.n && !is_delimiter(m, s.p[i]))
			continue;
		*(struct slice *)mem_push(&parts, count, sizeof(*parts)) =
		    slice_of(s.p + start, i - start);
		start = i + 1;
	}
	return parts;
}

static void
add_escaped(struct strbuf *out, struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (isalnum((unsigned char)s.p[i]) ||
		    memchr("-._~", s.p[i], 4) != NULL)
			strbuf_putc(out, s.p[i]);
		else
			strbuf_printf(out, "%%%02X", (unsigned char)s.p[i]);
	}
}

static void
add_macro(const struct macro *m, const struct spf_values *v,
    struct strbuf *out)
{
	struct strbuf value = STRBUF_INIT, cut = STRBUF_INIT;
	struct slice *parts;
	size_t n, i, first;

	value_of(m->letter, v, &value);
	parts = split(m, strbuf_slice(&value), &n);
	first = m->keep > 0 && m->keep < n ? n - m->keep : 0;
	for (i = first; i < n; i++) {
		if (i > first)
			strbuf_putc(&cut, '.');
		strbuf_add_slice(&cut, parts[m->reverse ? n - 1 - i : i]);
	}
	free(parts);
	if (isupper((unsigned char)m->letter))
		add_escaped(out, strbuf_slice(&cut));
	else
		strbuf_add_slice(out, strbuf_slice(&cut));
	strbuf_free(&value);
	strbuf_free(&cut);
}

void
spf_macro_expand(struct slice text, const struct spf_values *v,
    struct strbuf *out)
{
	struct macro m;

	while (text.n > 0) {
		if (text.p[0] != '%') {
			strbuf_putc(out, text.p[0]);
			text = slice_skip(text, 1);
		} else if (!cut_macro(&text, true, &m)) {
			return;
		} else if (m.letter == '%') {
			strbuf_putc(out, '%');
		} else if (m.letter == '_') {
			strbuf_putc(out, ' ');
		} else if (m.letter == '-') {
			strbuf_puts(out, "%20");
		} else {
			add_macro(&m, v, out);
		}
	}
}

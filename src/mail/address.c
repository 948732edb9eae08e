/* Paths and mailboxes of SMTP, for listener, queue, conf and the tools.
 * Pure.  RFC 5321 4.1.2 with two liberties that old devices need: an address
 * without brackets, and local parts with dots where none may be. */
#include "mail/address.h"

#include <string.h>

#include "mail/domain.h"

/* RFC 5322 3.2.3 */
static bool
is_atext(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z'))
		return true;
	return c > 0 && c < 128 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

/* Octets of a quoted string at the front with its quotes, 0: none.  Control
 * characters are refused (RFC 5321 allows none). */
static size_t
quoted_length(struct slice s)
{
	if (s.n < 2 || s.p[0] != '"')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"')
			return i + 1;
		if (c == '\\') {
			if (++i == s.n)
				return 0;
			c = (unsigned char)s.p[i];
		}
		if (c < ' ' || c == 127)
			return 0;
	}
	return 0;
}

/* Octets of a dot-string at the front.  Dots may stand anywhere: mobile
 * carriers once gave out such addresses, and they are still in use. */
static size_t
dot_string_length(struct slice s)
{
	size_t i = 0;

	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];

		if (!is_atext(c) && c != '.' && c < 128)
			break;
		i++;
	}
	return i;
}

static size_t
local_length(struct slice s)
{
	if (s.n > 0 && s.p[0] == '"')
		return quoted_length(s);
	return dot_string_length(s);
}

static size_t
domain_length(struct slice s)
{
	size_t i = 0;

	if (mail_domain_is_literal(s)) {
		long end = slice_find(s, ']');

		return end < 0 ? 0 : (size_t)end + 1;
	}
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 127 || strchr("<>@,:;()\"\\", c) != NULL)
			break;
		i++;
	}
	return i;
}

static bool
domain_ok(struct slice d)
{
	struct mail_literal lit;

	if (mail_domain_is_literal(d))
		return mail_literal_parse(d, &lit);
	if (mail_has_8bit(d))
		return mail_domain_valid_utf8(d);
	return mail_domain_valid(d);
}

/* Octets of the source route `@a,@b:` at the front; 0 when there is none or
 * it is broken, which the local part then stumbles over. */
static size_t
route_length(struct slice s)
{
	size_t at = 0;

	while (at < s.n && s.p[at] == '@') {
		size_t n = domain_length(slice_skip(s, at + 1));

		if (n == 0)
			return 0;
		at += n + 1;
		if (at < s.n && s.p[at] == ',')
			at++;
		else
			break;
	}
	return at > 0 && at < s.n && s.p[at] == ':' ? at + 1 : 0;
}

/* local[@domain] at the front, up to where the domain ends. */
static int
parse_mailbox(struct slice s, struct mail_path *out)
{
	size_t n = local_length(s);

	if (n == 0 || n > MAIL_LOCAL_MAX)
		return MAIL_PATH_SYNTAX;
	out->local = slice_of(s.p, n);
	out->domain = slice_of(s.p + n, 0);
	if (n < s.n && s.p[n] == '@') {
		size_t d = domain_length(slice_skip(s, n + 1));

		out->domain = slice_of(s.p + n + 1, d);
		if (!domain_ok(out->domain))
			return MAIL_PATH_SYNTAX;
		n += d + 1;
	}
	if (n > MAIL_ADDRESS_MAX)
		return MAIL_PATH_SYNTAX;
	out->whole = slice_of(s.p, n);
	out->utf8 = mail_has_8bit(out->whole);
	if (out->utf8 && !mail_utf8_valid(out->whole))
		return MAIL_PATH_SYNTAX;
	return MAIL_PATH_OK;
}

int
mail_path_parse(struct slice in, struct mail_path *out, bool utf8_ok,
    size_t *used)
{
	struct mail_path path;
	struct slice s = in;
	bool bracket;
	int rc;

	while (s.n > 0 && s.p[0] == ' ')
		s = slice_skip(s, 1);
	bracket = s.n > 0 && s.p[0] == '<';
	if (bracket)
		s = slice_skip(s, 1);
	if (bracket && s.n > 0 && s.p[0] == '>') {
		path = (struct mail_path){ .whole = slice_of(s.p, 0),
		    .local = slice_of(s.p, 0), .domain = slice_of(s.p, 0) };
	} else {
		s = slice_skip(s, route_length(s));
		rc = parse_mailbox(s, &path);
		if (rc != MAIL_PATH_OK)
			return rc;
		s = slice_skip(s, path.whole.n);
	}
	if (bracket) {
		if (s.n == 0 || s.p[0] != '>')
			return MAIL_PATH_SYNTAX;
		s = slice_skip(s, 1);
	}
	if (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t')
		return MAIL_PATH_SYNTAX;
	if (path.utf8 && !utf8_ok)
		return MAIL_PATH_UTF8;
	*out = path;
	*used = in.n - s.n;
	return MAIL_PATH_OK;
}

void
mail_address_split(struct slice addr, struct slice *local,
    struct slice *domain)
{
	size_t from = 0;
	long at;

	if (addr.n > 0 && addr.p[0] == '"')
		from = quoted_length(addr);
	at = slice_rfind(slice_skip(addr, from), '@');
	if (at < 0) {
		*local = addr;
		*domain = slice_of(addr.p, 0);
		return;
	}
	*local = slice_of(addr.p, from + (size_t)at);
	*domain = slice_skip(addr, from + (size_t)at + 1);
}

bool
mail_local_valid(struct slice local, bool utf8_ok)
{
	if (local.n == 0 || local.n > MAIL_LOCAL_MAX ||
	    local_length(local) != local.n)
		return false;
	if (!mail_has_8bit(local))
		return true;
	return utf8_ok && mail_utf8_valid(local);
}

bool
mail_address_valid(struct slice addr, bool utf8_ok)
{
	struct mail_path path;

	if (addr.n == 0 || parse_mailbox(addr, &path) != MAIL_PATH_OK)
		return false;
	return path.whole.n == addr.n && path.domain.n > 0 &&
	    (utf8_ok || !path.utf8);
}

void
mail_local_unquote(struct slice local, struct strbuf *out)
{
	if (local.n < 2 || local.p[0] != '"' ||
	    local.p[local.n - 1] != '"') {
		strbuf_add_slice(out, local);
		return;
	}
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\' && i + 2 < local.n)
			i++;
		strbuf_putc(out, local.p[i]);
	}
}

void
mail_local_quote(struct slice text, struct strbuf *out)
{
	if (text.n > 0 && dot_string_length(text) == text.n) {
		strbuf_add_slice(out, text);
		return;
	}
	strbuf_putc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, text.p[i]);
	}
	strbuf_putc(out, '"');
}

static void
lower_from(struct strbuf *b, size_t from)
{
	for (size_t i = from; i < b->n; i++) {
		if (b->p[i] >= 'A' && b->p[i] <= 'Z')
			b->p[i] = (char)(b->p[i] + 32);
	}
}

void
mail_address_normal(struct slice addr, struct strbuf *out)
{
	char name[MAIL_DOMAIN_MAX + 1];
	struct strbuf text = STRBUF_INIT;
	struct slice local, domain;
	size_t start = out->n;

	if (addr.n == 0)
		return;
	mail_address_split(addr, &local, &domain);
	mail_local_unquote(local, &text);
	mail_local_quote(strbuf_slice(&text), out);
	strbuf_free(&text);
	if (domain.n > 0) {
		strbuf_putc(out, '@');
		if (mail_domain_normal(domain, name) == 0)
			strbuf_puts(out, name);
		else
			strbuf_add_slice(out, domain);
	}
	lower_from(out, start);
}

bool
mail_address_same(struct slice a, struct slice b)
{
	struct strbuf x = STRBUF_INIT, y = STRBUF_INIT;
	bool same;

	if (slice_eq(a, b))
		return true;
	mail_address_normal(a, &x);
	mail_address_normal(b, &y);
	same = slice_eq(strbuf_slice(&x), strbuf_slice(&y));
	strbuf_free(&x);
	strbuf_free(&y);
	return same;
}

/* PATTERN of smarthostd.conf(5), for every role that holds routes, senders or
 * recipients.  Parsing fails with a text, matching never.  No allocation on
 * the matching side. */
#include "mail/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/domain.h"

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int
bad_pattern(struct err *e, struct slice text, const char *why)
{
	return err_set(e, -1, "\"%.*s\" is no pattern: %s",
	    text.n > 200 ? 200 : (int)text.n, text.p, why);
}

/* Domain part, with the dot that makes it one of MAIL_PATTERN_BELOW. */
static int
parse_domain(struct slice d, struct slice text, struct mail_pattern *p,
    struct err *e)
{
	char name[MAIL_DOMAIN_MAX + 1];

	if (d.n > 0 && d.p[0] == '.') {
		d = slice_skip(d, 1);
		p->kind = MAIL_PATTERN_BELOW;
		if (mail_domain_is_literal(d))
			return bad_pattern(e, text,
			    "nothing is below an address literal");
	}
	if (mail_domain_normal(d, name) < 0)
		return bad_pattern(e, text, slice_find(d, '*') >= 0 ?
		    "'*' may only stand in a local part, or alone" :
		    "its domain is not valid");
	p->domain = mem_strdup(name);
	return 0;
}

/* The local part as it is compared: unquoted, lower case. */
static char *
local_form(struct slice local)
{
	struct strbuf b = STRBUF_INIT;

	mail_local_unquote(local, &b);
	for (size_t i = 0; i < b.n; i++)
		b.p[i] = lower(b.p[i]);
	return strbuf_take(&b);
}

static int
parse_address(struct slice text, struct slice local, struct slice domain,
    struct mail_pattern *p, struct err *e)
{
	if (!mail_local_valid(local, true))
		return bad_pattern(e, text, "its local part is not valid");
	if (domain.n > 0 && domain.p[0] == '.')
		return bad_pattern(e, text,
		    "a local part needs a domain without leading dot");
	p->kind = MAIL_PATTERN_ADDRESS;
	/* Within quotes an asterisk is one. */
	if (local.p[0] != '"' && slice_find(local, '*') >= 0)
		p->kind = MAIL_PATTERN_LOCAL;
	if (parse_domain(domain, text, p, e) < 0)
		return -1;
	p->local = local_form(local);
	return 0;
}

int
mail_pattern_parse(struct slice text, struct mail_pattern *out,
    struct err *e)
{
	struct mail_pattern p = { MAIL_PATTERN_DOMAIN, NULL, NULL };
	struct slice local, domain;

	if (text.n == 0)
		return bad_pattern(e, text, "it is empty");
	if (slice_eq_cstr(text, "*")) {
		p.kind = MAIL_PATTERN_ANY;
	} else if (slice_eq_cstr(text, "<>")) {
		p.kind = MAIL_PATTERN_ADDRESS;
		p.local = mem_strdup("");
		p.domain = mem_strdup("");
	} else if (text.p[0] == '@') {
		if (parse_domain(slice_skip(text, 1), text, &p, e) < 0)
			return -1;
	} else {
		int rc;

		mail_address_split(text, &local, &domain);
		/* "user@" has an end where the domain should be. */
		if (local.n < text.n)
			rc = parse_address(text, local, domain, &p, e);
		else
			rc = parse_domain(text, text, &p, e);
		if (rc < 0)
			return -1;
	}
	*out = p;
	return 0;
}

void
mail_pattern_free(struct mail_pattern *p)
{
	free(p->local);
	free(p->domain);
	p->local = NULL;
	p->domain = NULL;
}

/* An asterisk has to be quoted here, where mail_local_quote would not: alone
 * it would be a wildcard. */
static void
address_local_text(const char *local, struct strbuf *out)
{
	if (strchr(local, '*') == NULL) {
		mail_local_quote(slice_cstr(local), out);
		return;
	}
	strbuf_putc(out, '"');
	for (; *local != '\0'; local++) {
		if (*local == '"' || *local == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *local);
	}
	strbuf_putc(out, '"');
}

void
mail_pattern_text(const struct mail_pattern *p, struct strbuf *out)
{
	switch (p->kind) {
	case MAIL_PATTERN_ANY:
		strbuf_putc(out, '*');
		return;
	case MAIL_PATTERN_BELOW:
		strbuf_putc(out, '.');
		break;
	case MAIL_PATTERN_ADDRESS:
		if (p->domain[0] == '\0') {
			strbuf_puts(out, "<>");
			return;
		}
		address_local_text(p->local, out);
		strbuf_putc(out, '@');
		break;
	case MAIL_PATTERN_LOCAL:
		strbuf_puts(out, p->local);
		strbuf_putc(out, '@');
		break;
	default:
		break;
	}
	strbuf_puts(out, p->domain);
}

/* Unquoted and lower-cased into the subject; false: does not fit, and so is
 * no address that any pattern could name. */
static bool
set_local(struct mail_subject *s, struct slice local)
{
	bool quoted = local.n >= 2 && local.p[0] == '"' &&
	    local.p[local.n - 1] == '"';
	size_t from = quoted ? 1 : 0, to = quoted ? local.n - 1 : local.n;
	size_t n = 0;

	for (size_t i = from; i < to; i++) {
		if (quoted && local.p[i] == '\\' && i + 1 < to)
			i++;
		if (n == sizeof(s->local) - 1)
			return false;
		s->local[n++] = lower(local.p[i]);
	}
	s->local[n] = '\0';
	s->local_n = n;
	return true;
}

void
mail_subject_set(struct mail_subject *s, struct slice addr)
{
	struct slice local, domain;

	s->null = addr.n == 0 || slice_eq_cstr(addr, "<>");
	s->local[0] = s->domain[0] = '\0';
	s->local_n = s->domain_n = 0;
	if (s->null)
		return;
	mail_address_split(addr, &local, &domain);
	if (domain.n > 0 && mail_domain_normal(domain, s->domain) == 0)
		s->domain_n = strlen(s->domain);
	if (!set_local(s, local)) {
		s->local_n = s->domain_n = 0;
		s->local[0] = s->domain[0] = '\0';
	}
}

/* '*' stands for any run of octets; goes back to the last one only. */
static bool
glob(const char *p, const char *s, size_t n)
{
	const char *end = s + n;
	const char *star = NULL, *resume = NULL;

	while (s < end) {
		if (*p == '*') {
			star = ++p;
			resume = s;
		} else if (*p == *s && *p != '\0') {
			p++;
			s++;
		} else if (star != NULL) {
			p = star;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}

bool
mail_pattern_match(const struct mail_pattern *p, const struct mail_subject *s)
{
	struct slice domain = slice_of(s->domain, s->domain_n);

	if (p->kind == MAIL_PATTERN_ANY)
		return true;
	if (s->null)
		return p->kind == MAIL_PATTERN_ADDRESS && p->domain[0] == '\0';
	if (s->domain_n == 0)
		return false;
	if (p->kind == MAIL_PATTERN_BELOW)
		return mail_domain_within(domain, slice_cstr(p->domain));
	if (!slice_eq_cstr(domain, p->domain))
		return false;
	if (p->kind == MAIL_PATTERN_DOMAIN)
		return true;
	if (p->kind == MAIL_PATTERN_LOCAL)
		return glob(p->local, s->local, s->local_n);
	return slice_eq_cstr(slice_of(s->local, s->local_n), p->local);
}

bool
mail_pattern_matches(const struct mail_pattern *p, struct slice addr)
{
	struct mail_subject s;

	mail_subject_set(&s, addr);
	return mail_pattern_match(p, &s);
}

static int
longer_first(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);

	return x > y ? -1 : x < y;
}

int
mail_pattern_compare(const struct mail_pattern *a,
    const struct mail_pattern *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == MAIL_PATTERN_LOCAL)
		return longer_first(a->local, b->local);
	if (a->kind == MAIL_PATTERN_BELOW)
		return longer_first(a->domain, b->domain);
	return 0;
}

const struct mail_pattern *
mail_pattern_best(const struct mail_pattern *list, size_t n,
    const struct mail_subject *s)
{
	const struct mail_pattern *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (mail_pattern_match(&list[i], s) && (best == NULL ||
		    mail_pattern_compare(&list[i], best) < 0))
			best = &list[i];
	}
	return best;
}

/*
 * Reading an SPF record.
 *
 * No I/O.  The whole record is checked before anything of it is used: a
 * mistake anywhere makes it worthless (RFC 7208 4.6, grammar in 12).
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/spf_private.h"

static const struct {
	const char *name;
	enum spf_kind kind;
} mechanisms[] = {
	{ "all", SPF_ALL }, { "include", SPF_INCLUDE }, { "a", SPF_MECH_A },
	{ "mx", SPF_MECH_MX }, { "ptr", SPF_MECH_PTR }, { "ip4", SPF_IP4 },
	{ "ip6", SPF_IP6 }, { "exists", SPF_EXISTS },
};

static int
wrong(struct err *e, struct slice term, const char *why)
{
	return err_set(e, EINVAL, "`%.*s`: %s",
	    (int)(term.n < 80 ? term.n : 80), term.p, why);
}

/* Octets of the name at the front: ALPHA *( ALPHA / DIGIT / "-_." ). */
static size_t
name_length(struct slice s)
{
	size_t n;

	if (s.n == 0 || !isalpha((unsigned char)s.p[0]))
		return 0;
	for (n = 1; n < s.n; n++)
		if (!isalnum((unsigned char)s.p[n]) &&
		    strchr("-_.", s.p[n]) == NULL)
			break;
	return n;
}

/* Digits at the end of *s behind `mark` are cut off; no leading zeros. */
static int
cut_prefix(struct slice *s, const char *mark, unsigned max, unsigned *out)
{
	size_t mark_n = strlen(mark), n = s->n, value = 0, i;

	while (n > 0 && isdigit((unsigned char)s->p[n - 1]))
		n--;
	if (n == s->n || n < mark_n ||
	    memcmp(s->p + n - mark_n, mark, mark_n) != 0)
		return 0;
	if (s->n - n > 3 || (s->p[n] == '0' && s->n - n > 1))
		return -1;
	for (i = n; i < s->n; i++)
		value = value * 10 + (size_t)(s->p[i] - '0');
	if (value > max)
		return -1;
	*out = (unsigned)value;
	s->n = n - mark_n;
	return 1;
}

/* "/24//64" at the end of a and mx. */
static int
cut_dual(struct slice *s, struct spf_term *t)
{
	int r = cut_prefix(s, "//", 128, &t->cidr6);

	return r < 0 ? -1 : cut_prefix(s, "/", 32, &t->cidr4);
}

static bool
take_network(struct slice s, struct spf_term *t)
{
	int family = t->kind == SPF_IP4 ? AF_INET : AF_INET6;
	char text[64];

	if (cut_prefix(&s, "/", family == AF_INET ? 32 : 128,
	    family == AF_INET ? &t->cidr4 : &t->cidr6) < 0)
		return false;
	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(family, text, t->addr) == 1;
}

/* What follows the name of a mechanism. */
static int
take_argument(struct slice rest, struct spf_term *t, struct err *e)
{
	bool dual = t->kind == SPF_MECH_A || t->kind == SPF_MECH_MX;
	bool needed = t->kind == SPF_INCLUDE || t->kind == SPF_EXISTS;

	if (t->kind == SPF_ALL)
		return rest.n == 0 ? 0 :
		    wrong(e, t->text, "nothing may follow `all`");
	if (t->kind == SPF_IP4 || t->kind == SPF_IP6) {
		if (rest.n > 0 && rest.p[0] == ':' &&
		    take_network(slice_skip(rest, 1), t))
			return 0;
		return wrong(e, t->text, "not a network");
	}
	if (dual && cut_dual(&rest, t) < 0)
		return wrong(e, t->text, "not a prefix length");
	if (rest.n == 0)
		return needed ? wrong(e, t->text, "a domain is missing") : 0;
	if (rest.p[0] != ':')
		return wrong(e, t->text, "not understood");
	t->domain = slice_skip(rest, 1);
	if (!spf_domain_spec_valid(t->domain))
		return wrong(e, t->text, "not a domain");
	return 0;
}

static enum spf_result
take_qualifier(struct slice *s)
{
	static const char marks[] = "+-~?";
	static const enum spf_result results[] = { SPF_PASS, SPF_FAIL,
	    SPF_SOFTFAIL, SPF_NEUTRAL };
	const char *at = memchr(marks, s->p[0], 4);

	if (at == NULL)
		return SPF_PASS;
	*s = slice_skip(*s, 1);
	return results[at - marks];
}

static int
take_directive(struct slice word, struct spf_record *r, struct err *e)
{
	struct slice s = word, name;
	struct spf_term *t;
	enum spf_result qualifier = take_qualifier(&s);
	size_t i, n = name_length(s);

	name = slice_of(s.p, n);
	for (i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (slice_eq_case_cstr(name, mechanisms[i].name))
			break;
	if (i == sizeof(mechanisms) / sizeof(mechanisms[0]))
		return wrong(e, word, "no such mechanism");
	t = mem_push(&r->terms, &r->count, sizeof(*t));
	t->kind = mechanisms[i].kind;
	t->qualifier = qualifier;
	t->text = word;
	t->cidr4 = 32;
	t->cidr6 = 128;
	return take_argument(slice_skip(s, n), t, e);
}

static int
take_modifier(struct slice word, size_t n, struct spf_record *r,
    struct err *e)
{
	struct slice name = slice_of(word.p, n);
	struct slice value = slice_skip(word, n + 1), *place;

	if (slice_eq_case_cstr(name, "redirect"))
		place = &r->redirect;
	else if (slice_eq_case_cstr(name, "exp"))
		place = &r->exp;
	else
		return spf_macro_valid(value, false) ? 0 :
		    wrong(e, word, "a macro is wrong");
	if (place->p != NULL)
		return wrong(e, word, "stands twice");
	if (!spf_domain_spec_valid(value))
		return wrong(e, word, "not a domain");
	*place = value;
	return 0;
}

bool
spf_is_record(struct slice text)
{
	return slice_starts_case(text, SLICE_LIT("v=spf1")) &&
	    (text.n == 6 || text.p[6] == ' ');
}

int
spf_record_parse(struct slice text, struct spf_record *out, struct err *e)
{
	struct slice rest, word;
	size_t i, n;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] > '~')
			return err_set(e, EINVAL,
			    "the record holds octets that are not ASCII text");
	for (rest = slice_skip(text, 6); rc == 0 && rest.n > 0;) {
		long blank = slice_find(rest, ' ');

		word = rest;
		if (blank >= 0)
			word.n = (size_t)blank;
		rest = slice_skip(rest, word.n + (blank >= 0));
		if (word.n == 0)
			continue;
		n = name_length(word);
		if (n > 0 && n < word.n && word.p[n] == '=')
			rc = take_modifier(word, n, out, e);
		else
			rc = take_directive(word, out, e);
	}
	if (rc < 0)
		spf_record_clear(out);
	return rc;
}

void
spf_record_clear(struct spf_record *r)
{
	free(r->terms);
	memset(r, 0, sizeof(*r));
}

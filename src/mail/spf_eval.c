/*
 * check_host() of RFC 7208 4 to 6.
 *
 * No I/O.  Each function gives up as soon as something has to be asked
 * (run.waiting); the next run comes by here again and finds it known.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "mail/spf_private.h"

/* Terms that a survey follows before it has seen enough. */
#define SURVEY_MAX 40
#define HOSTS_MAX 10		/* of an MX, of a PTR */
#define EXPLANATION_MAX 2048

/* The level of the record that is read: redirect makes it another one. */
struct found {
	struct slice mechanism, record, exp;
	char domain[SPF_NAME_MAX + 1];
};

struct run {
	struct spf *spf;
	bool waiting;
	unsigned lookups, voids;
	struct err problem;
};

static enum spf_result check_host(struct run *r, const char *domain,
    struct found *f);

static enum spf_result
problem(struct run *r, enum spf_result result, const char *name,
    const char *why)
{
	if (r->problem.code == 0)
		err_set(&r->problem, -1, "%s: %s", name, why);
	return result;
}

/* Can it be asked for?  Labels of 1 to 63 octets. */
static bool
name_askable(const char *name)
{
	size_t n, all = strlen(name);

	if (all == 0 || all > SPF_NAME_MAX || name[0] == '[')
		return false;
	for (;;) {
		n = strcspn(name, ".");
		if (n == 0 || n > 63)
			return false;
		if (name[n] == '\0')
			return true;
		name += n + 1;
	}
}

static bool
name_within(const char *name, const char *parent)
{
	size_t n = strlen(name), m = strlen(parent);

	return n >= m && strcasecmp(name + n - m, parent) == 0 &&
	    (n == m || name[n - m - 1] == '.');
}

/* NULL: not known yet. */
static const struct spf_fact *
look(struct run *r, enum spf_type type, const char *name)
{
	const struct spf_fact *f = spf_lookup(r->spf, type, name);

	if (f == NULL)
		r->waiting = true;
	return f;
}

static enum spf_type
address_type(const struct run *r)
{
	return r->spf->ask.ip.family == AF_INET ? SPF_A : SPF_AAAA;
}

/* false: one more than there may be. */
static bool
count_lookup(struct run *r)
{
	return ++r->lookups <= (r->spf->ask.survey ? SURVEY_MAX :
	    SPF_LOOKUPS_MAX);
}

static bool
count_void(struct run *r, const struct spf_fact *f)
{
	return f->status == SPF_FOUND || f->status == SPF_UNKNOWN ||
	    ++r->voids <= SPF_VOID_MAX;
}

/* ---- addresses ---- */

static bool
prefix_same(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool
holds_address(const struct run *r, const struct spf_fact *f,
    unsigned cidr4, unsigned cidr6)
{
	const struct mail_literal *ip = &r->spf->ask.ip;
	size_t want = ip->family == AF_INET ? 4 : 16, i;

	for (i = 0; i < f->count; i++)
		if (f->records[i].n == want && prefix_same(ip->addr,
		    (const uint8_t *)f->records[i].p,
		    want == 4 ? cidr4 : cidr6))
			return true;
	return false;
}

/* ---- the client's own name ---- */

/* <ip>.in-addr.arpa or <ip>.ip6.arpa. */
static void
reverse_name(const struct run *r, struct strbuf *out)
{
	struct spf_values v = { .ip = r->spf->ask.ip };

	spf_macro_expand(SLICE_LIT("%{ir}.%{v}.arpa"), &v, out);
}

static const struct spf_fact *
look_reverse(struct run *r)
{
	struct strbuf name = STRBUF_INIT;
	const struct spf_fact *f;

	reverse_name(r, &name);
	f = look(r, SPF_PTR, strbuf_cstr(&name));
	strbuf_free(&name);
	return f;
}

/* Does the name of a PTR record lead back to the client? */
static bool
validated(struct run *r, const char *name)
{
	const struct spf_fact *f;

	if (!name_askable(name))
		return false;
	f = look(r, address_type(r), name);
	return f != NULL && f->status == SPF_FOUND &&
	    holds_address(r, f, 32, 128);
}

/* 7.3: the domain itself, else one below it, else any; NULL: none. */
static const char *
client_name(struct run *r, const char *domain)
{
	const struct spf_fact *f = look_reverse(r);
	const char *best = NULL, *name;
	int rank, best_rank = 0;
	size_t i;

	for (i = 0; f != NULL && i < f->count && i < HOSTS_MAX; i++) {
		name = f->records[i].p;
		rank = strcasecmp(name, domain) == 0 ? 3 :
		    name_within(name, domain) ? 2 : 1;
		if (rank > best_rank && validated(r, name)) {
			best = name;
			best_rank = rank;
		}
		if (r->waiting)
			return NULL;
	}
	return best;
}

/* ---- names ---- */

static void
values(struct run *r, const char *domain, const char *p,
    struct spf_values *v)
{
	const struct spf *s = r->spf;

	*v = (struct spf_values){ .local = s->local, .origin = s->origin,
	    .domain = domain, .helo = s->helo, .receiver = s->receiver,
	    .p = p, .ip = s->ask.ip, .now = s->ask.now };
}

/* The name that a domain-spec stands for.  false: not yet, or a limit (in
 * *result).  "" is a name that cannot be asked for. */
static bool
target(struct run *r, struct slice spec, const char *domain,
    char out[SPF_NAME_MAX + 1], enum spf_result *result)
{
	struct strbuf b = STRBUF_INIT;
	struct spf_values v;
	const char *p = NULL, *s;

	if (spf_macro_uses(spec, 'p')) {
		if (!count_lookup(r)) {
			*result = problem(r, SPF_PERMERROR, domain,
			    "more than 10 lookups");
			return false;
		}
		if (!r->spf->ask.survey)
			p = client_name(r, domain);
		if (r->waiting)
			return false;
	}
	values(r, domain, p, &v);
	spf_macro_expand(spec, &v, &b);
	if (b.n > 0 && b.p[b.n - 1] == '.')
		b.p[--b.n] = '\0';
	s = strbuf_cstr(&b);
	while (strlen(s) > SPF_NAME_MAX && strchr(s, '.') != NULL)
		s = strchr(s, '.') + 1;
	snprintf(out, SPF_NAME_MAX + 1, "%s", name_askable(s) ? s : "");
	strbuf_free(&b);
	return true;
}

/* ---- mechanisms ---- */

enum match { NO, YES, ENDS };		/* ENDS: with *result */

static enum match
ends(enum spf_result *to, enum spf_result result)
{
	*to = result;
	return ENDS;
}

static enum match
look_host(struct run *r, const struct spf_term *t, const char *name,
    enum spf_result *result)
{
	const struct spf_fact *f;

	if (name[0] == '\0' || !name_askable(name))
		return NO;
	f = look(r, t->kind == SPF_EXISTS ? SPF_A : address_type(r), name);
	if (f == NULL)
		return NO;
	if (f->status == SPF_UNKNOWN)
		return ends(result, problem(r, SPF_TEMPERROR, name,
		    "no address, for now"));
	if (!count_void(r, f))
		return ends(result, problem(r, SPF_PERMERROR, name,
		    "more than 2 lookups without an answer"));
	if (t->kind == SPF_EXISTS)
		return f->count > 0 ? YES : NO;
	return holds_address(r, f, t->cidr4, t->cidr6) ? YES : NO;
}

static enum match
match_mx(struct run *r, const struct spf_term *t, const char *name,
    enum spf_result *result)
{
	const struct spf_fact *f = look(r, SPF_MX, name);
	enum match m = NO;
	size_t i;

	if (f == NULL)
		return NO;
	if (f->status == SPF_UNKNOWN)
		return ends(result, problem(r, SPF_TEMPERROR, name,
		    "no MX records, for now"));
	if (!count_void(r, f))
		return ends(result, problem(r, SPF_PERMERROR, name,
		    "more than 2 lookups without an answer"));
	if (f->count > HOSTS_MAX)
		return ends(result, problem(r, SPF_PERMERROR, name,
		    "more than 10 MX records"));
	for (i = 0; i < f->count && m == NO && !r->waiting; i++)
		m = look_host(r, t, f->records[i].p, result);
	return m;
}

static enum match
match_ptr(struct run *r, const char *name, enum spf_result *result)
{
	const struct spf_fact *f = look_reverse(r);
	size_t i;

	if (f == NULL)
		return NO;
	if (!count_void(r, f))
		return ends(result, problem(r, SPF_PERMERROR, "ptr",
		    "more than 2 lookups without an answer"));
	for (i = 0; i < f->count && i < HOSTS_MAX && !r->waiting; i++)
		if (name_within(f->records[i].p, name) &&
		    validated(r, f->records[i].p))
			return YES;
	return NO;
}

static enum match
match_include(struct run *r, const char *name, enum spf_result *result)
{
	struct found inner;

	*result = check_host(r, name, &inner);
	if (r->waiting)
		return NO;
	switch (*result) {
	case SPF_PASS:
		return YES;
	case SPF_NONE:
		return ends(result, SPF_PERMERROR);
	case SPF_TEMPERROR:
	case SPF_PERMERROR:
		return ENDS;
	default:
		return NO;
	}
}

static enum match
match_named(struct run *r, const struct spf_term *t, const char *domain,
    enum spf_result *result)
{
	char name[SPF_NAME_MAX + 1];

	if (!count_lookup(r))
		return ends(result, problem(r, SPF_PERMERROR, domain,
		    "more than 10 lookups"));
	if (t->domain.n == 0)
		snprintf(name, sizeof(name), "%s", domain);
	else if (!target(r, t->domain, domain, name, result))
		return r->waiting ? NO : ENDS;
	if (t->kind == SPF_INCLUDE)
		return match_include(r, name, result);
	if (name[0] == '\0' || r->spf->ask.survey)
		return NO;
	if (t->kind == SPF_MECH_MX)
		return match_mx(r, t, name, result);
	if (t->kind == SPF_MECH_PTR)
		return match_ptr(r, name, result);
	return look_host(r, t, name, result);
}

static enum match
match(struct run *r, const struct spf_term *t, const char *domain,
    enum spf_result *result)
{
	const struct mail_literal *ip = &r->spf->ask.ip;
	bool survey = r->spf->ask.survey;

	if (t->kind == SPF_ALL)
		return survey ? NO : YES;
	if (t->kind == SPF_IP4)
		return !survey && ip->family == AF_INET &&
		    prefix_same(ip->addr, t->addr, t->cidr4) ? YES : NO;
	if (t->kind == SPF_IP6)
		return !survey && ip->family == AF_INET6 &&
		    prefix_same(ip->addr, t->addr, t->cidr6) ? YES : NO;
	return match_named(r, t, domain, result);
}

/* ---- records ---- */

/* The one record among the texts of a domain. */
static enum spf_result
select_record(struct run *r, const char *domain, struct slice *record)
{
	const struct spf_fact *f = look(r, SPF_TXT, domain);
	unsigned n = 0;
	size_t i;

	if (f == NULL)
		return SPF_NONE;
	if (f->status == SPF_UNKNOWN)
		return problem(r, SPF_TEMPERROR, domain,
		    "no TXT records, for now");
	for (i = 0; i < f->count; i++)
		if (spf_is_record(f->records[i])) {
			*record = f->records[i];
			n++;
		}
	if (n == 0)
		return problem(r, SPF_NONE, domain, "no SPF record");
	if (n > 1)
		return problem(r, SPF_PERMERROR, domain,
		    "more than one SPF record");
	return SPF_NEUTRAL;
}

static bool
has_all(const struct spf_record *record)
{
	size_t i;

	for (i = 0; i < record->count; i++)
		if (record->terms[i].kind == SPF_ALL)
			return true;
	return false;
}

static enum spf_result
follow_redirect(struct run *r, const struct spf_record *record,
    const char *domain, struct found *f)
{
	char name[SPF_NAME_MAX + 1];
	enum spf_result result = SPF_NONE;

	if (!count_lookup(r))
		return problem(r, SPF_PERMERROR, domain,
		    "more than 10 lookups");
	if (!target(r, record->redirect, domain, name, &result))
		return result;
	result = check_host(r, name, f);
	return result == SPF_NONE ? SPF_PERMERROR : result;
}

static enum spf_result
evaluate(struct run *r, const struct spf_record *record, const char *domain,
    struct found *f)
{
	enum spf_result result = SPF_NEUTRAL;
	const struct spf_term *t;
	enum match m;
	size_t i;

	for (i = 0; i < record->count; i++) {
		t = &record->terms[i];
		m = match(r, t, domain, &result);
		if (r->waiting)
			return SPF_NONE;
		if (m == NO)
			continue;
		f->mechanism = t->text;
		return m == YES ? t->qualifier : result;
	}
	/* Of no effect beside `all`, which a survey does not stop at. */
	if (record->redirect.p != NULL && !has_all(record))
		return follow_redirect(r, record, domain, f);
	f->mechanism = SLICE_LIT("default");
	return SPF_NEUTRAL;
}

static enum spf_result
check_host(struct run *r, const char *domain, struct found *f)
{
	struct spf_record record;
	enum spf_result result;
	struct slice text = SLICE_LIT("");
	struct err e;

	memset(f, 0, sizeof(*f));
	if (!name_askable(domain) || strchr(domain, '.') == NULL)
		return problem(r, SPF_NONE, domain[0] != '\0' ? domain :
		    "SPF", "not the name of a domain");
	result = select_record(r, domain, &text);
	if (r->waiting || result != SPF_NEUTRAL)
		return result;
	snprintf(f->domain, sizeof(f->domain), "%s", domain);
	f->record = text;
	if (spf_record_parse(text, &record, &e) < 0)
		return problem(r, SPF_PERMERROR, domain, e.text);
	f->exp = record.exp;
	result = evaluate(r, &record, domain, f);
	spf_record_clear(&record);
	return result;
}

/* ---- the explanation (6.2) ---- */

/* NULL: there is none that can be shown, or not yet. */
static char *
explain(struct run *r, const struct found *f)
{
	char name[SPF_NAME_MAX + 1];
	struct strbuf b = STRBUF_INIT;
	const struct spf_fact *txt;
	enum spf_result ignored;
	struct spf_values v;
	const char *p = NULL;

	r->lookups = 0;			/* its own do not count */
	if (f->exp.p == NULL ||
	    !target(r, f->exp, f->domain, name, &ignored) || name[0] == '\0')
		return NULL;
	txt = look(r, SPF_TXT, name);
	if (txt == NULL || txt->count != 1 ||
	    txt->records[0].n > EXPLANATION_MAX ||
	    !spf_macro_valid(txt->records[0], true))
		return NULL;
	if (spf_macro_uses(txt->records[0], 'p')) {
		p = client_name(r, f->domain);
		if (r->waiting)
			return NULL;
	}
	values(r, f->domain, p, &v);
	spf_macro_expand(txt->records[0], &v, &b);
	return strbuf_take(&b);
}

static char *
text_of(struct slice s)
{
	return s.n > 0 ? slice_dup(s) : NULL;
}

bool
spf_evaluate(struct spf *s)
{
	struct run r = { .spf = s };
	struct found f;
	enum spf_result result = check_host(&r, s->origin, &f);
	unsigned lookups = r.lookups;

	if (r.waiting)
		return false;
	if (result == SPF_FAIL && !s->ask.survey) {
		s->explanation = explain(&r, &f);
		if (r.waiting)
			return false;
	}
	s->verdict.result = result;
	s->verdict.lookups = lookups;
	s->verdict.void_lookups = r.voids;
	s->mechanism = text_of(f.mechanism);
	s->domain = text_of(slice_cstr(f.domain));
	s->record = text_of(f.record);
	if (r.problem.code != 0 && (result == SPF_NONE ||
	    result == SPF_TEMPERROR || result == SPF_PERMERROR))
		s->problem = mem_strdup(r.problem.text);
	return true;
}

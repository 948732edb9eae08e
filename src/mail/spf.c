/*
 * One SPF check: its questions, what is known, its verdict.
 *
 * No I/O; tools and delivery run it.  The evaluation (spf_eval.c) is plain
 * recursive code that is run anew from the beginning with each answer, until
 * it needs no further one: the limits of RFC 7208 4.6.4 bound the answers, and
 * so the runs.  What fails in DNS comes out as temperror.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/spf_private.h"

/* What a hostile zone may cost us: records that are looked at. */
#define RECORDS_MAX 512
#define HELO_MAX 255

const char *
spf_result_name(enum spf_result r)
{
	static const char *const names[] = { "none", "neutral", "pass",
	    "fail", "softfail", "temperror", "permerror" };

	return names[r];
}

/* RFC 7208 9 and 5: a mapped address is the IPv4 address it holds. */
static void
unmap(struct mail_literal *ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (ip->family != AF_INET6 || memcmp(ip->addr, mapped, 12) != 0)
		return;
	ip->family = AF_INET;
	memmove(ip->addr, ip->addr + 12, 4);
}

/* The domain as DNS has it, where IDNA knows how; else as it is. */
static char *
ascii_domain(struct slice s)
{
	char normal[MAIL_DOMAIN_MAX + 1];

	if (mail_has_8bit(s) && mail_domain_normal(s, normal) == 0)
		return mem_strdup(normal);
	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	return slice_dup(s);
}

struct spf *
spf_new(const struct spf_ask *ask)
{
	struct spf *s = mem_zalloc(sizeof(*s));
	struct slice from = slice_cstr(ask->from), local, domain;
	struct slice helo = slice_cstr(ask->helo);

	if (from.n > MAIL_ADDRESS_MAX)
		from.n = MAIL_ADDRESS_MAX;
	if (helo.n > HELO_MAX)
		helo.n = HELO_MAX;
	s->ask = *ask;
	unmap(&s->ask.ip);
	s->helo = ascii_domain(helo);
	s->receiver = mem_strdup(ask->receiver != NULL ? ask->receiver :
	    "unknown");
	mail_address_split(from, &local, &domain);
	if (from.n == 0)		/* the null sender (2.4) */
		domain = slice_cstr(s->helo);
	else if (slice_find(from, '@') < 0) {
		domain = from;
		local.n = 0;
	}
	s->local = local.n > 0 ? slice_dup(local) : mem_strdup("postmaster");
	s->origin = ascii_domain(domain);
	return s;
}

void
spf_free(struct spf **sp)
{
	struct spf *s = *sp;
	struct spf_fact *f;
	size_t i;

	if (s == NULL)
		return;
	*sp = NULL;
	while ((f = s->facts) != NULL) {
		s->facts = f->next;
		for (i = 0; i < f->count; i++)
			free((void *)(uintptr_t)f->records[i].p);
		free(f->records);
		free(f->name);
		free(f);
	}
	free(s->helo);
	free(s->receiver);
	free(s->local);
	free(s->origin);
	free(s->mechanism);
	free(s->domain);
	free(s->record);
	free(s->explanation);
	free(s->problem);
	free(s);
}

const struct spf_fact *
spf_lookup(struct spf *s, enum spf_type type, const char *name)
{
	const struct spf_fact *f;

	for (f = s->facts; f != NULL; f = f->next)
		if (f->type == type && strcasecmp(f->name, name) == 0)
			return f;
	s->open = true;
	s->type = type;
	strncpy(s->name, name, SPF_NAME_MAX);
	return NULL;
}

static void
finish(struct spf *s)
{
	s->done = true;
	s->verdict.mechanism = s->mechanism;
	s->verdict.domain = s->domain;
	s->verdict.record = s->record;
	s->verdict.explanation = s->explanation;
	s->verdict.problem = s->problem;
}

bool
spf_next(struct spf *s, struct spf_question *q)
{
	if (s->done)
		return false;
	if (!s->open && spf_evaluate(s)) {
		finish(s);
		return false;
	}
	q->type = s->type;
	q->name = s->name;
	return true;
}

/* Host names come with or without their final dot. */
static struct slice
own_record(enum spf_type type, struct slice r)
{
	if ((type == SPF_PTR || type == SPF_MX) && r.n > 0 &&
	    r.p[r.n - 1] == '.')
		r.n--;
	return slice_of(slice_dup(r), r.n);
}

void
spf_reply(struct spf *s, const struct spf_reply *r)
{
	struct spf_fact *f;
	size_t i;

	if (!s->open)
		return;
	s->open = false;
	f = mem_zalloc(sizeof(*f));
	f->type = s->type;
	f->name = mem_strdup(s->name);
	f->status = r->status;
	for (i = 0; r->status == SPF_FOUND && i < r->count &&
	    i < RECORDS_MAX; i++)
		*(struct slice *)mem_push(&f->records, &f->count,
		    sizeof(*f->records)) = own_record(s->type, r->records[i]);
	if (f->status == SPF_FOUND && f->count == 0)
		f->status = SPF_NODATA;
	f->next = s->facts;
	s->facts = f;
}

const struct spf_verdict *
spf_verdict(const struct spf *s)
{
	return &s->verdict;
}

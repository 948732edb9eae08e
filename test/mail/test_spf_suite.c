/* The public test suite of RFC 7208, all of it (test/data/rfc7208). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "mail/spf.h"

enum kind { KIND_A = 1, KIND_CNAME = 5, KIND_PTR = 12, KIND_MX = 15,
	KIND_TXT = 16, KIND_AAAA = 28, KIND_TIMEOUT = -1, KIND_CASE = -2,
	KIND_SECTION = -3 };

static const struct line {
	enum kind kind;
	const char *name;	/* of the record, of the case */
	struct slice data;
	const char *helo, *ip, *from, *results, *explanation;
} lines[] = {
#define SECTION(text) { .kind = KIND_SECTION, .name = text },
#define RECORD(n, type, text) { .kind = KIND_ ## type, .name = n, \
	.data = { text, sizeof(text) - 1 } },
#define CASE(n, h, i, f, r, e) { .kind = KIND_CASE, .name = n, .helo = h, \
	.ip = i, .from = f, .results = r, .explanation = e },
#include "data/rfc7208/suite.inc"
#undef SECTION
#undef RECORD
#undef CASE
};

#define LINES (sizeof(lines) / sizeof(lines[0]))
#define ANSWERS_MAX 32

/* ---- the zone of a section ---- */

static bool
in_zone(const struct line *l, const char *name, enum kind kind)
{
	return l->kind == kind && strcasecmp(l->name, name) == 0;
}

/* l: the first line of the section. */
static void
answer(const struct line *l, const struct spf_question *q,
    struct spf_reply *r, struct slice *records, uint8_t addrs[][16])
{
	const struct line *first = l;
	bool there = false, timeout = false;

	memset(r, 0, sizeof(*r));
	r->records = records;
	for (; l < lines + LINES && l->kind != KIND_SECTION; l++) {
		if (in_zone(l, q->name, KIND_CNAME)) {
			struct spf_question next = { q->type, l->data.p };

			answer(first, &next, r, records, addrs);
			return;
		}
		if (l->kind != KIND_CASE && strcasecmp(l->name, q->name) == 0)
			there = true;
		if (in_zone(l, q->name, KIND_TIMEOUT))
			timeout = true;
		if (!in_zone(l, q->name, (enum kind)q->type))
			continue;
		assert_true(r->count < ANSWERS_MAX);
		records[r->count] = l->data;
		if (l->kind == KIND_A || l->kind == KIND_AAAA) {
			int family = l->kind == KIND_A ? AF_INET : AF_INET6;

			assert_int_equal(inet_pton(family, l->data.p,
			    addrs[r->count]), 1);
			records[r->count] = slice_of(addrs[r->count],
			    family == AF_INET ? 4 : 16);
		}
		r->count++;
	}
	r->status = r->count > 0 ? SPF_FOUND : timeout ? SPF_UNKNOWN :
	    there ? SPF_NODATA : SPF_NXDOMAIN;
}

/* ---- cases ---- */

static struct mail_literal
address(const char *text)
{
	struct mail_literal ip = { 0 };

	ip.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(ip.family, text, ip.addr), 1);
	return ip;
}

static const struct spf_verdict *
judge(struct spf *s, const struct line *section)
{
	uint8_t addrs[ANSWERS_MAX][16];
	struct slice records[ANSWERS_MAX];
	struct spf_question q;
	struct spf_reply r;
	unsigned n = 0;

	while (spf_next(s, &q)) {
		assert_true(++n < 300);
		answer(section, &q, &r, records, addrs);
		spf_reply(s, &r);
	}
	return spf_verdict(s);
}

static bool
as_wanted(const struct line *c, const struct spf_verdict *v)
{
	const char *text = v->explanation != NULL ? v->explanation :
	    "DEFAULT";
	char word[32];

	snprintf(word, sizeof(word), " %s ", spf_result_name(v->result));
	if (strstr(c->results, word) == NULL)
		return false;
	return v->result != SPF_FAIL || c->explanation == NULL ||
	    strcmp(text, c->explanation) == 0;
}

static void
every_case_of_the_suite_has_its_result(void **state)
{
	const struct line *section = NULL, *l;
	unsigned wrong = 0, n = 0;

	(void)state;
	for (l = lines; l < lines + LINES; l++) {
		struct spf_ask ask = { .receiver = "receiver.example",
		    .now = 1700000000 };
		const struct spf_verdict *v;
		struct spf *s;

		if (l->kind == KIND_SECTION)
			section = l + 1;
		if (l->kind != KIND_CASE)
			continue;
		ask.ip = address(l->ip);
		ask.from = l->from;
		ask.helo = l->helo;
		s = spf_new(&ask);
		v = judge(s, section);
		n++;
		if (!as_wanted(l, v)) {
			wrong++;
			fprintf(stderr, "%s: %s (%s; %s), wanted%s(%s)\n",
			    l->name, spf_result_name(v->result),
			    v->explanation != NULL ? v->explanation : "-",
			    v->problem != NULL ? v->problem : "-",
			    l->results, l->explanation != NULL ?
			    l->explanation : "-");
		}
		spf_free(&s);
	}
	assert_int_equal(n, 203);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_of_the_suite_has_its_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* PATTERN as smarthostd.conf(5) defines it, the same everywhere: addresses,
 * local parts with '*', domains, domains and all below them, anything. */
#ifndef MAIL_PATTERN_H
#define MAIL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* In the order of being specific. */
enum mail_pattern_kind {
	MAIL_PATTERN_ADDRESS,		/* user@domain, and <> */
	MAIL_PATTERN_LOCAL,		/* us*er@domain */
	MAIL_PATTERN_DOMAIN,		/* domain @domain [192.0.2.1] */
	MAIL_PATTERN_BELOW,		/* .domain @.domain */
	MAIL_PATTERN_ANY		/* * */
};

struct mail_pattern {
	enum mail_pattern_kind kind;
	char *local;		/* normal form (unquoted); NULL: not compared;
				 * "" with domain "": the null sender */
	char *domain;		/* normal form without leading dot; NULL: any */
};

/* Fills *out, to be freed with mail_pattern_free.  The error says what is
 * wrong with it, without a place. */
int mail_pattern_parse(struct slice text, struct mail_pattern *out,
    struct err *e);
/* Frees what it holds, not the structure; may be called twice. */
void mail_pattern_free(struct mail_pattern *p);
/* Appends its canonical text. */
void mail_pattern_text(const struct mail_pattern *p, struct strbuf *out);

/* An address prepared for several matches.  Lives on the stack, holds no
 * memory of its own. */
struct mail_subject {
	char local[512];	/* unquoted, lower case */
	char domain[256];	/* normal form; "" for null or bare */
	size_t local_n;
	size_t domain_n;
	bool null;		/* the null sender */
};

/* addr: local@domain without brackets, "" (or "<>") for the null sender. */
void mail_subject_set(struct mail_subject *s, struct slice addr);
bool mail_pattern_match(const struct mail_pattern *p,
    const struct mail_subject *s);
/* Both in one, for a single question. */
bool mail_pattern_matches(const struct mail_pattern *p, struct slice addr);

/* < 0: a is more specific than b; 0: neither; > 0: b is. */
int mail_pattern_compare(const struct mail_pattern *a,
    const struct mail_pattern *b);
/* The most specific of n patterns that matches, the earlier of equals; NULL:
 * none does. */
const struct mail_pattern *mail_pattern_best(const struct mail_pattern *list,
    size_t n, const struct mail_subject *s);

#endif

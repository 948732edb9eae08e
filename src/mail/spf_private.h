/* What the files of SPF share. */
#ifndef MAIL_SPF_PRIVATE_H
#define MAIL_SPF_PRIVATE_H

#include "base/err.h"
#include "base/strbuf.h"
#include "mail/spf.h"

#define SPF_NAME_MAX 253

/* ---- spf_record.c ---- */

enum spf_kind { SPF_ALL, SPF_INCLUDE, SPF_MECH_A, SPF_MECH_MX, SPF_MECH_PTR,
	SPF_IP4, SPF_IP6, SPF_EXISTS };

/* Slices point into the record. */
struct spf_term {
	enum spf_kind kind;
	enum spf_result qualifier;
	struct slice text;	/* all of it */
	struct slice domain;	/* domain-spec; empty: the domain itself */
	unsigned cidr4, cidr6;
	uint8_t addr[16];	/* of ip4 and ip6 */
};

struct spf_record {
	struct spf_term *terms;
	size_t count;
	struct slice redirect;	/* p NULL: none */
	struct slice exp;
};

/* All of it is checked; -1: a syntax error, *out is empty then. */
int spf_record_parse(struct slice text, struct spf_record *out,
    struct err *e);
void spf_record_clear(struct spf_record *r);

/* ---- spf_macro.c ---- */

struct spf_values {
	const char *local, *origin;	/* of the sender */
	const char *domain;		/* whose record it is */
	const char *helo, *receiver;
	const char *p;			/* the client's validated name */
	struct mail_literal ip;
	uint64_t now;
};

/* A macro-string with nothing wrong in it?  exp: of an explanation, which
 * has blanks and three letters more. */
bool spf_macro_valid(struct slice text, bool exp);
/* A domain-spec: ends in a macro, or in a label that a top domain may have. */
bool spf_domain_spec_valid(struct slice text);
/* Is the letter (lower case) among its macros?  text is valid. */
bool spf_macro_uses(struct slice text, char letter);
/* Appends text, which is valid, with its macros expanded. */
void spf_macro_expand(struct slice text, const struct spf_values *v,
    struct strbuf *out);

/* ---- spf.c ---- */

struct spf_fact {
	struct spf_fact *next;
	enum spf_type type;
	char *name;
	enum spf_status status;
	struct slice *records;	/* each owned */
	size_t count;
};

struct spf {
	struct spf_ask ask;
	char *from, *helo, *receiver;
	char *local, *origin;		/* of the sender, as macros want it */
	struct spf_fact *facts;
	/* the question that is open */
	bool open;
	enum spf_type type;
	char name[SPF_NAME_MAX + 1];
	bool done;
	struct spf_verdict verdict;
	char *mechanism, *domain, *record, *explanation, *problem;
};

/* NULL: not known yet; the question is put. */
const struct spf_fact *spf_lookup(struct spf *s, enum spf_type type,
    const char *name);

/* ---- spf_eval.c ---- */

/* Evaluates with what is known, from the beginning; false: a question was
 * put. */
bool spf_evaluate(struct spf *s);

#endif

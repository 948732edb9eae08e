/* Sender Policy Framework (RFC 7208): may this address send mail for that
 * domain?  Pure: what DNS knows is asked for, one question after the other,
 * and told by the caller, at once or later. */
#ifndef MAIL_SPF_H
#define MAIL_SPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "mail/domain.h"

#define SPF_LOOKUPS_MAX 10	/* terms that ask DNS (4.6.4) */
#define SPF_VOID_MAX 2		/* answers with nothing in them */

enum spf_result {
	SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL,
	SPF_TEMPERROR, SPF_PERMERROR
};

/* "pass", "permerror" and so on. */
const char *spf_result_name(enum spf_result r);

/* Types by their numbers in DNS. */
enum spf_type { SPF_A = 1, SPF_PTR = 12, SPF_MX = 15, SPF_TXT = 16,
	SPF_AAAA = 28 };

struct spf_question {
	enum spf_type type;
	const char *name;	/* no final dot; may hold odd characters */
};

enum spf_status {
	SPF_FOUND,		/* count > 0 */
	SPF_NODATA,		/* the name exists, not with this type */
	SPF_NXDOMAIN,
	SPF_UNKNOWN		/* no answer, SERVFAIL, bogus */
};

struct spf_reply {
	enum spf_status status;
	/* A, AAAA: 4 and 16 octets; MX, PTR: the name; TXT: the strings of
	 * a record one behind the other. */
	const struct slice *records;
	size_t count;
};

struct spf_ask {
	struct mail_literal ip;	/* that the mail comes from */
	const char *from;	/* envelope sender; "": postmaster@helo */
	const char *helo;
	const char *receiver;	/* for %{r}; NULL: "unknown" */
	uint64_t now;		/* seconds since 1970, for %{t} */
	/* Judges no address: every term is read and counted, includes and
	 * redirect are followed, whatever would match before.  The result is
	 * neutral, none or an error; limits are counted beyond. */
	bool survey;
};

/* All texts live as long as the check. */
struct spf_verdict {
	enum spf_result result;
	const char *mechanism;	/* the directive that decided, as published;
				 * "default" where none matched; NULL */
	const char *domain;	/* whose record decided; NULL: there is none */
	const char *record;	/* that record; NULL */
	const char *explanation;	/* of the domain, for fail; NULL */
	const char *problem;	/* what is wrong, for none and errors; NULL */
	unsigned lookups;
	unsigned void_lookups;
};

struct spf;

/* Copies what it is given. */
struct spf *spf_new(const struct spf_ask *ask);
void spf_free(struct spf **s);
/* What has to be known next; the name lives until the reply.  False: the
 * verdict is there.  The number of questions is bounded by the limits. */
bool spf_next(struct spf *s, struct spf_question *q);
/* The answer to that question, copied. */
void spf_reply(struct spf *s, const struct spf_reply *r);
const struct spf_verdict *spf_verdict(const struct spf *s);

/* Is it a record of SPF, well-formed or not (`v=spf1`)? */
bool spf_is_record(struct slice text);

#endif

/* MTA-STS (RFC 8461): what a domain says of the TLS of its mail exchangers, by
 * a record in DNS and a policy on a web server; and what is remembered of it.
 * Pure functions. */
#ifndef MAIL_MTA_STS_H
#define MAIL_MTA_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

#define MTA_STS_ID_MAX 32
#define MTA_STS_POLICY_MAX 65536	/* octets of a policy's text */
#define MTA_STS_AGE_MAX 31557600u	/* seconds; more counts as this */
#define MTA_STS_NOTE_MAX 16384		/* octets of a note */

/* Whether the text of a TXT record at _mta-sts.DOMAIN means to be one. */
bool mta_sts_claims(struct slice text);
/* 0 with its id, which stands in text; -1: what is wrong with it. */
int mta_sts_record(struct slice text, struct slice *id, struct err *e);

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

struct mta_sts_policy {
	enum mta_sts_mode mode;
	uint32_t max_age;		/* seconds */
	char **mx;			/* lower case, ASCII; "*." may stand
					 * in front */
	size_t n_mx;
};

/* 0, or -1 with the line that is wrong; nothing is left to clear then. */
int mta_sts_policy_parse(struct slice body, struct mta_sts_policy *p,
    struct err *e);
void mta_sts_policy_clear(struct mta_sts_policy *p);
/* host: ASCII, case does not matter, no final dot. */
bool mta_sts_covers(const struct mta_sts_policy *p, const char *host);
const char *mta_sts_mode_name(enum mta_sts_mode mode);

/* What is known of a domain's policy, for the next time. */
struct mta_sts_note {
	struct mta_sts_policy policy;	/* where fetched is not 0: */
	uint64_t fetched;		/* wall ms */
	char id[MTA_STS_ID_MAX + 1];	/* of the record at that time; "": it
					 * was not there */
	uint64_t failed;		/* wall ms: when the last attempt to
					 * fetch it came to nothing; 0: it
					 * did not */
	char failed_id[MTA_STS_ID_MAX + 1];	/* the record's at that time */
};

/* A text of at most MTA_STS_NOTE_MAX octets. */
void mta_sts_note_encode(const struct mta_sts_note *n, struct strbuf *out);
/* -1: it is damaged; nothing is left to clear then. */
int mta_sts_note_decode(struct slice text, struct mta_sts_note *n);
void mta_sts_note_clear(struct mta_sts_note *n);
/* Wall ms from which on its policy does not hold any more; 0: it has none. */
uint64_t mta_sts_note_expires(const struct mta_sts_note *n);

#endif

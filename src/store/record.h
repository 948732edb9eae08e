/* What is kept of a message: the envelope as it came in, and how far each
 * recipient is.  Versioned, with a CRC of its own (a record that cannot be
 * read goes to quarantine and stops nothing). */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "mail/envelope.h"

enum rcpt_state {
	RCPT_PENDING = 0,	/* to be tried (again) */
	RCPT_DELIVERED = 1,	/* the next hop has taken it */
	RCPT_FAILED = 2,	/* permanent; reported or not worth it */
	RCPT_EXPIRED = 3
};

enum body_kind {
	BODY_RECORD = 0,	/* behind the state, in the same value */
	BODY_PARTS = 1,		/* table body, (id, part) */
	BODY_FILE = 2		/* SPOOL/xx/ID */
};

struct record_rcpt {		/* same index as in the envelope */
	uint8_t state;		/* enum rcpt_state */
	uint32_t attempts;	/* made, the one in flight included */
	uint32_t lane;		/* where it is due or leased; 0: nowhere */
	uint64_t due;		/* wall ms; of the next attempt */
	uint64_t last_attempt;	/* wall ms, 0: none */
	uint16_t last_code;	/* basic reply code, 0: none yet */
	uint8_t last_status[3];	/* enhanced status code */
	char *last_reply;	/* printable, or NULL */
	char *remote;		/* "name[address]:port", or NULL */
	uint64_t no_domain_since; /* wall ms at which its domain was first
				 * said not to exist; 0: was not */
};

struct record {
	struct envelope *env;
	char *account;		/* NULL: none */
	char *pinned;		/* transport, NULL: routes decide */
	char *transport;	/* the last choice, NULL: none yet */
	char *route;		/* FILE:LINE, NULL: none */
	bool held;
	bool warned;		/* a delay notice was sent */
	uint64_t not_counted;	/* ms that do not count for expire, */
	uint64_t uncounted_until; /* wall ms: as far as that was looked at */
	uint8_t body_kind;
	uint64_t body_size;	/* octets as received */
	uint32_t body_crc;	/* crc32c of them */
	struct record_rcpt *rcpt;	/* env->n_rcpt of them */
};

/* Takes the envelope over. */
struct record *record_new(struct envelope *env);
void record_free(struct record **r);

/* The state part of the value: version, length, CRC, fields. */
void record_encode(const struct record *r, struct strbuf *out);
/* Bounded; *used is the length of the state part (the body follows where
 * body_kind is BODY_RECORD).  err code EILSEQ: damaged, ENOTSUP: newer. */
struct record *record_decode(struct slice value, size_t *used,
    struct err *e);

/* Derived: the earliest due of what is pending (0: none), the most attempts,
 * how many are pending. */
uint64_t record_next_due(const struct record *r);
uint32_t record_attempts(const struct record *r);
size_t record_pending(const struct record *r);

#endif

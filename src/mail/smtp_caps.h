/* What a server said to EHLO (RFC 5321 4.1.1.1). */
#ifndef MAIL_SMTP_CAPS_H
#define MAIL_SMTP_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "mail/smtp_reply.h"

enum {
	SMTP_CAP_8BITMIME = 1 << 0,
	SMTP_CAP_SIZE = 1 << 1,
	SMTP_CAP_PIPELINING = 1 << 2,
	SMTP_CAP_CHUNKING = 1 << 3,
	SMTP_CAP_BINARYMIME = 1 << 4,
	SMTP_CAP_SMTPUTF8 = 1 << 5,
	SMTP_CAP_DSN = 1 << 6,
	SMTP_CAP_STARTTLS = 1 << 7,
	SMTP_CAP_ENHANCED = 1 << 8,	/* ENHANCEDSTATUSCODES */
	SMTP_CAP_AUTH = 1 << 9,
	SMTP_CAP_LIMITS = 1 << 10,	/* RFC 9422 */
	SMTP_CAP_REQUIRETLS = 1 << 11
};

struct smtp_caps {
	unsigned flags;
	uint64_t size;			/* octets; 0: no limit was said */
	uint64_t mail_max;		/* LIMITS; 0: not said */
	uint64_t rcpt_max;
	uint64_t rcpt_domain_max;
	char auth[512];			/* mechanisms, upper case, one blank
					 * between them; those that do not fit
					 * are left out */
};

/* From the reply to EHLO or LHLO; whatever it does not understand is skipped.
 * The old `AUTH=` form counts.  Never fails. */
void smtp_caps_parse(const struct smtp_reply *r, struct smtp_caps *out);
/* mechanism: upper case. */
bool smtp_caps_has_auth(const struct smtp_caps *c, const char *mechanism);

#endif

/* Names of hosts and domains: IDNA, validity, address literals (RFC 5321
 * 4.1.2 and 4.1.3, RFC 5890). */
#ifndef MAIL_DOMAIN_H
#define MAIL_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"

#define MAIL_DOMAIN_MAX 255		/* octets, without the NUL */

struct mail_literal {
	int family;			/* AF_INET or AF_INET6 */
	uint8_t addr[16];		/* network order; 4 or 16 of them */
};

/* The form in which domains are compared and looked up: ASCII (IDNA 2008
 * non-transitional by libidn2), lower case, no final dot; a literal in its
 * shortest form ("[192.0.2.1]", "[ipv6:2001:db8::1]", lower case).  out holds
 * a NUL-terminated text.  -1 when it is no valid name; out is "" then.  ASCII
 * names cost no call of the library. */
int mail_domain_normal(struct slice in, char out[MAIL_DOMAIN_MAX + 1]);

/* Labels of letters, digits, hyphens and (seen on LANs) underscores, 1 to 63
 * octets each, no hyphen at the ends; at most 253 in all; a final dot is
 * fine.  One label is enough. */
bool mail_domain_valid(struct slice in);
/* The same, or UTF-8 that IDNA can turn into it. */
bool mail_domain_valid_utf8(struct slice in);

/* [192.0.2.1] and [IPv6:2001:db8::1]; also [2001:db8::1], which is wrong but
 * common.  False: no literal of these, *out untouched. */
bool mail_literal_parse(struct slice in, struct mail_literal *out);
/* Of a socket's address; false: it is of no Internet protocol. */
bool mail_literal_from(const struct sockaddr *sa, struct mail_literal *out);
/* Starts with a bracket: meant to be a literal, valid or not. */
static inline bool
mail_domain_is_literal(struct slice in)
{
	return in.n > 0 && in.p[0] == '[';
}

/* name is parent or lies below it; both in normal form, parent without a
 * leading dot. */
bool mail_domain_within(struct slice name, struct slice parent);

/* UTF-8 well-formed (RFC 3629: no overlong forms, no surrogates)? */
bool mail_utf8_valid(struct slice s);
/* Any octet above 127? */
bool mail_has_8bit(struct slice s);

#endif

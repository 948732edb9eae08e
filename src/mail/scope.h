/* How far an address reaches: the one table of networks that are not the
 * world's. */
#ifndef MAIL_SCOPE_H
#define MAIL_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/domain.h"

enum mail_scope {
	MAIL_SCOPE_WORLD,
	/* Between a provider and its customers (RFC 6598): the world sees
	 * another one, but strangers are in it. */
	MAIL_SCOPE_SHARED,
	MAIL_SCOPE_PRIVATE,		/* RFC 1918, RFC 4193 */
	MAIL_SCOPE_LINK,		/* RFC 3927, RFC 4291 2.5.6 */
	MAIL_SCOPE_MACHINE,		/* loopback */
	MAIL_SCOPE_NONE			/* 0.0.0.0/8, :: */
};

enum mail_scope mail_scope_of(const struct mail_literal *ip);
/* Of a whole network; WORLD where a part of it is. */
enum mail_scope mail_scope_of_net(bool v6, const uint8_t addr[16],
    unsigned bits);

/* The world sees another one in its place. */
static inline bool
mail_scope_is_hidden(enum mail_scope s)
{
	return s == MAIL_SCOPE_PRIVATE || s == MAIL_SCOPE_SHARED;
}

#endif

/* Scopes of addresses (all roles; RFC 1918, 3927, 4193, 4291, 6598, 6890).
 * Pure.  fec0::/10, once site-local, is nothing special any more (RFC 4291
 * 2.5.7). */
#include "mail/scope.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
	enum mail_scope scope;
	bool v6;
	uint8_t bits;
	uint8_t addr[16];
} nets[] = {
	{ MAIL_SCOPE_MACHINE, false, 8, { 127 } },
	{ MAIL_SCOPE_PRIVATE, false, 8, { 10 } },
	{ MAIL_SCOPE_PRIVATE, false, 12, { 172, 16 } },
	{ MAIL_SCOPE_PRIVATE, false, 16, { 192, 168 } },
	{ MAIL_SCOPE_SHARED, false, 10, { 100, 64 } },
	{ MAIL_SCOPE_LINK, false, 16, { 169, 254 } },
	{ MAIL_SCOPE_NONE, false, 8, { 0 } },
	{ MAIL_SCOPE_MACHINE, true, 128, { [15] = 1 } },
	{ MAIL_SCOPE_PRIVATE, true, 7, { 0xfc } },
	{ MAIL_SCOPE_LINK, true, 10, { 0xfe, 0x80 } },
	{ MAIL_SCOPE_NONE, true, 128, { 0 } },
};

static bool
begins_with(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 &&
	    (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

enum mail_scope
mail_scope_of_net(bool v6, const uint8_t addr[16], unsigned bits)
{
	size_t i;

	for (i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (nets[i].v6 == v6 && bits >= nets[i].bits &&
		    begins_with(addr, nets[i].addr, nets[i].bits))
			return nets[i].scope;
	return MAIL_SCOPE_WORLD;
}

enum mail_scope
mail_scope_of(const struct mail_literal *ip)
{
	return mail_scope_of_net(ip->family == AF_INET6, ip->addr,
	    ip->family == AF_INET6 ? 128 : 32);
}

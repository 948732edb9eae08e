/* Names of hosts and domains, for all roles.  Pure; what is no name gives -1
 * or false.  RFC 5321 4.1.2 and 4.1.3, RFC 5890, RFC 3629. */
#include "mail/domain.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LABEL_MAX 63
#define NAME_MAX_OCTETS 253

bool
mail_has_8bit(struct slice s)
{
	unsigned char any = 0;

	for (size_t i = 0; i < s.n; i++)
		any |= (unsigned char)s.p[i];
	return any > 127;
}

/* Octets of the well-formed character at the front, 0: none. */
static size_t
utf8_char(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (n < len)
		return 0;
	switch (p[0]) {		/* RFC 3629 4 */
	case 0xe0:
		low = 0xa0;
		break;
	case 0xed:
		high = 0x9f;
		break;
	case 0xf0:
		low = 0x90;
		break;
	case 0xf4:
		high = 0x8f;
		break;
	default:
		break;
	}
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return len;
}

bool
mail_utf8_valid(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	for (size_t i = 0; i < s.n;) {
		size_t len = utf8_char(p + i, s.n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

static bool
is_label_octet(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool
mail_domain_valid(struct slice in)
{
	size_t label = 0;

	if (in.n > 0 && in.p[in.n - 1] == '.')
		in.n--;
	if (in.n == 0 || in.n > NAME_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '.') {
			if (label == 0 || in.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_label_octet(c) || (label == 0 && c == '-') ||
		    ++label > LABEL_MAX)
			return false;
	}
	return label > 0 && in.p[in.n - 1] != '-';
}

bool
mail_domain_valid_utf8(struct slice in)
{
	char out[MAIL_DOMAIN_MAX + 1];

	return !mail_domain_is_literal(in) && mail_domain_normal(in, out) == 0;
}

bool
mail_literal_parse(struct slice in, struct mail_literal *out)
{
	static const struct slice tag = SLICE_LIT("IPv6:");
	struct mail_literal lit = { 0, { 0 } };
	char text[INET6_ADDRSTRLEN];

	if (in.n < 3 || in.p[0] != '[' || in.p[in.n - 1] != ']')
		return false;
	in = slice_of(in.p + 1, in.n - 2);
	if (slice_starts_case(in, tag)) {
		in = slice_skip(in, tag.n);
		lit.family = AF_INET6;
	} else {
		lit.family = slice_find(in, ':') >= 0 ? AF_INET6 : AF_INET;
	}
	if (in.n >= sizeof(text) || memchr(in.p, '\0', in.n) != NULL)
		return false;
	memcpy(text, in.p, in.n);
	text[in.n] = '\0';
	if (inet_pton(lit.family, text, lit.addr) != 1)
		return false;
	*out = lit;
	return true;
}

static int
literal_normal(struct slice in, char out[MAIL_DOMAIN_MAX + 1])
{
	char text[INET6_ADDRSTRLEN];
	struct mail_literal lit;

	if (!mail_literal_parse(in, &lit))
		return -1;
	inet_ntop(lit.family, lit.addr, text, sizeof(text));
	snprintf(out, MAIL_DOMAIN_MAX + 1, "[%s%s]",
	    lit.family == AF_INET6 ? "ipv6:" : "", text);
	return 0;
}

static int
ascii_normal(struct slice in, char out[MAIL_DOMAIN_MAX + 1])
{
	if (!mail_domain_valid(in))
		return -1;
	if (in.p[in.n - 1] == '.')
		in.n--;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	out[in.n] = '\0';
	return 0;
}

static int
idna_normal(struct slice in, char out[MAIL_DOMAIN_MAX + 1])
{
	/* 253 octets of ASCII never come from more than this. */
	char text[4 * MAIL_DOMAIN_MAX + 1];
	char *ascii = NULL;
	int rc;

	if (in.n >= sizeof(text) || !mail_utf8_valid(in) ||
	    memchr(in.p, '\0', in.n) != NULL)
		return -1;
	memcpy(text, in.p, in.n);
	text[in.n] = '\0';
	rc = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT |
	    IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return -1;
	rc = ascii_normal(slice_cstr(ascii), out);
	idn2_free(ascii);
	return rc;
}

int
mail_domain_normal(struct slice in, char out[MAIL_DOMAIN_MAX + 1])
{
	out[0] = '\0';
	if (mail_domain_is_literal(in))
		return literal_normal(in, out);
	if (mail_has_8bit(in))
		return idna_normal(in, out);
	return ascii_normal(in, out);
}

bool
mail_domain_within(struct slice name, struct slice parent)
{
	size_t cut;

	if (name.n < parent.n || parent.n == 0)
		return false;
	cut = name.n - parent.n;
	return memcmp(name.p + cut, parent.p, parent.n) == 0 &&
	    (cut == 0 || name.p[cut - 1] == '.');
}

bool
mail_literal_from(const struct sockaddr *sa, struct mail_literal *out)
{
	memset(out, 0, sizeof(*out));
	out->family = sa->sa_family;
	if (sa->sa_family == AF_INET)
		memcpy(out->addr, &((const struct sockaddr_in *)(const void *)
		    sa)->sin_addr, 4);
	else if (sa->sa_family == AF_INET6)
		memcpy(out->addr, &((const struct sockaddr_in6 *)(const void *)
		    sa)->sin6_addr, 16);
	else
		return false;
	return true;
}

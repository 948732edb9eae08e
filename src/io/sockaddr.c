/* Socket addresses as text, both ways, and what kind they are.
 *
 * All roles.  Nothing is looked up; an address that cannot be read is refused
 * with the reason.  RFC 5952 for IPv6 text, RFC 5321 4.1.3 for literals. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/num.h"
#include "io/sockaddr.h"

static const struct sockaddr_in *
sin_of(const struct sockaddr_storage *sa)
{
	return (const struct sockaddr_in *)(const void *)sa;
}

static const struct sockaddr_in6 *
sin6_of(const struct sockaddr_storage *sa)
{
	return (const struct sockaddr_in6 *)(const void *)sa;
}

static const struct sockaddr_un *
sun_of(const struct sockaddr_storage *sa)
{
	return (const struct sockaddr_un *)(const void *)sa;
}

/* ---- reading ---- */

static int
parse_port(struct slice s, uint16_t *port, struct err *e)
{
	uint64_t v;

	if (!num_u64(s, 65535, &v) || v == 0)
		return err_set(e, EINVAL, "\"%.*s\" is no port (1 to 65535)",
		    (int)(s.n < 64 ? s.n : 64), s.p);
	*port = (uint16_t)v;
	return 0;
}

int
sockaddr_split(struct slice s, struct slice *host, uint16_t *port,
    struct err *e)
{
	struct slice rest;
	long at;

	*port = 0;
	if (s.n > 0 && s.p[0] == '[') {
		at = slice_find(s, ']');
		if (at < 0)
			return err_set(e, EINVAL, "\"]\" is missing");
		*host = slice_of(s.p + 1, (size_t)at - 1);
		rest = slice_skip(s, (size_t)at + 1);
		if (rest.n == 0)
			return 0;
		if (rest.p[0] != ':')
			return err_set(e, EINVAL, "\":\" and a port, or "
			    "nothing, may stand behind \"]\"");
		return parse_port(slice_skip(rest, 1), port, e);
	}
	at = slice_find(s, ':');
	*host = s;
	/* Two colons and no bracket: an IPv6 address without a port. */
	if (at < 0 || at != slice_rfind(s, ':'))
		return 0;
	host->n = (size_t)at;
	return parse_port(slice_skip(s, (size_t)at + 1), port, e);
}

static bool
parse_v6(char *text, struct sockaddr_in6 *sin6)
{
	char *scope = strchr(text, '%');
	uint64_t id;

	if (scope != NULL) {
		*scope++ = '\0';
		if (!num_u64(slice_cstr(scope), UINT32_MAX, &id))
			id = if_nametoindex(scope);
		if (id == 0)
			return false;
		sin6->sin6_scope_id = (uint32_t)id;
	}
	sin6->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, text, &sin6->sin6_addr) == 1;
}

bool
sockaddr_from_ip(struct slice ip, uint16_t port, struct sockaddr_storage *out)
{
	char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
	struct sockaddr_in *sin = (struct sockaddr_in *)(void *)out;

	memset(out, 0, sizeof(*out));
	if (ip.n == 0 || ip.n >= sizeof(text) || memchr(ip.p, '\0', ip.n))
		return false;
	memcpy(text, ip.p, ip.n);
	text[ip.n] = '\0';
	if (strchr(text, ':') != NULL) {
		if (!parse_v6(text, (struct sockaddr_in6 *)(void *)out))
			return false;
	} else {
		sin->sin_family = AF_INET;
		if (inet_pton(AF_INET, text, &sin->sin_addr) != 1)
			return false;
	}
	sockaddr_set_port(out, port);
	return true;
}

static int
parse_unix(struct slice path, struct sockaddr_storage *out, struct err *e)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)(void *)out;

	if (path.n == 0 || path.n >= sizeof(sun->sun_path) ||
	    memchr(path.p, '\0', path.n) != NULL)
		return err_set(e, EINVAL, "the path of a UNIX socket has 1 to "
		    "%zu octets", sizeof(sun->sun_path) - 1);
	memset(out, 0, sizeof(*out));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path.p, path.n);
	return 0;
}

int
sockaddr_parse(struct slice s, uint16_t default_port,
    struct sockaddr_storage out[2], size_t *count, struct err *e)
{
	struct slice host;
	uint16_t port;

	*count = 1;
	if (slice_starts_case(s, SLICE_LIT("unix:")))
		return parse_unix(slice_skip(s, 5), &out[0], e);
	if (sockaddr_split(s, &host, &port, e) < 0)
		return -1;
	if (port == 0)
		port = default_port;
	if (port == 0)
		return err_set(e, EINVAL, "a port is missing");
	if (slice_eq_cstr(host, "*")) {
		sockaddr_from_ip(SLICE_LIT("::"), port, &out[0]);
		sockaddr_from_ip(SLICE_LIT("0.0.0.0"), port, &out[1]);
		*count = 2;
		return 0;
	}
	if (!sockaddr_from_ip(host, port, &out[0]))
		return err_set(e, EINVAL, "\"%.*s\" is no IP address",
		    (int)(host.n < 256 ? host.n : 256), host.p);
	return 0;
}

/* ---- parts ---- */

socklen_t
sockaddr_len(const struct sockaddr_storage *sa)
{
	switch (sa->ss_family) {
	case AF_INET:
		return sizeof(struct sockaddr_in);
	case AF_INET6:
		return sizeof(struct sockaddr_in6);
	case AF_UNIX:
		return sizeof(struct sockaddr_un);
	default:
		return sizeof(sa->ss_family);
	}
}

uint16_t
sockaddr_port(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET)
		return ntohs(sin_of(sa)->sin_port);
	if (sa->ss_family == AF_INET6)
		return ntohs(sin6_of(sa)->sin6_port);
	return 0;
}

void
sockaddr_set_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)sa)->sin_port = htons(port);
	else if (sa->ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)sa)->sin6_port = htons(port);
}

void
sockaddr_unmap(struct sockaddr_storage *sa)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	if (sa->ss_family != AF_INET6 ||
	    !IN6_IS_ADDR_V4MAPPED(&sin6_of(sa)->sin6_addr))
		return;
	memcpy(&sin.sin_addr, &sin6_of(sa)->sin6_addr.s6_addr[12], 4);
	sin.sin_port = sin6_of(sa)->sin6_port;
	memset(sa, 0, sizeof(*sa));
	memcpy(sa, &sin, sizeof(sin));
}

bool
sockaddr_eq(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct sockaddr_storage x = *a, y = *b;

	sockaddr_unmap(&x);
	sockaddr_unmap(&y);
	if (x.ss_family != y.ss_family ||
	    sockaddr_port(&x) != sockaddr_port(&y))
		return false;
	switch (x.ss_family) {
	case AF_INET:
		return sin_of(&x)->sin_addr.s_addr ==
		    sin_of(&y)->sin_addr.s_addr;
	case AF_INET6:
		return sin6_of(&x)->sin6_scope_id ==
		    sin6_of(&y)->sin6_scope_id &&
		    IN6_ARE_ADDR_EQUAL(&sin6_of(&x)->sin6_addr,
		    &sin6_of(&y)->sin6_addr);
	case AF_UNIX:
		return strncmp(sun_of(&x)->sun_path, sun_of(&y)->sun_path,
		    sizeof(sun_of(&x)->sun_path)) == 0;
	default:
		return false;
	}
}

/* ---- writing ---- */

static void
write_unix(const struct sockaddr_storage *sa, char *buf)
{
	snprintf(buf, SOCKADDR_TEXT_MAX, "unix:%.*s",
	    (int)sizeof(sun_of(sa)->sun_path), sun_of(sa)->sun_path);
}

char *
sockaddr_ip_text(const struct sockaddr_storage *from,
    char buf[SOCKADDR_TEXT_MAX])
{
	struct sockaddr_storage sa = *from;
	size_t n;

	sockaddr_unmap(&sa);
	if (sa.ss_family == AF_INET) {
		inet_ntop(AF_INET, &sin_of(&sa)->sin_addr, buf,
		    SOCKADDR_TEXT_MAX);
	} else if (sa.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &sin6_of(&sa)->sin6_addr, buf,
		    SOCKADDR_TEXT_MAX);
		n = strlen(buf);
		if (sin6_of(&sa)->sin6_scope_id != 0)
			snprintf(buf + n, SOCKADDR_TEXT_MAX - n, "%%%u",
			    (unsigned)sin6_of(&sa)->sin6_scope_id);
	} else
		snprintf(buf, SOCKADDR_TEXT_MAX, "unix");
	return buf;
}

char *
sockaddr_text(const struct sockaddr_storage *sa, char buf[SOCKADDR_TEXT_MAX])
{
	char ip[SOCKADDR_TEXT_MAX];
	bool v6;

	if (sa->ss_family != AF_INET && sa->ss_family != AF_INET6) {
		write_unix(sa, buf);
		return buf;
	}
	sockaddr_ip_text(sa, ip);
	v6 = strchr(ip, ':') != NULL;
	snprintf(buf, SOCKADDR_TEXT_MAX, "%s%.100s%s:%u", v6 ? "[" : "", ip,
	    v6 ? "]" : "", (unsigned)sockaddr_port(sa));
	return buf;
}

char *
sockaddr_literal(const struct sockaddr_storage *sa,
    char buf[SOCKADDR_TEXT_MAX])
{
	char ip[SOCKADDR_TEXT_MAX];

	sockaddr_ip_text(sa, ip);
	snprintf(buf, SOCKADDR_TEXT_MAX, "[%s%.100s]",
	    strchr(ip, ':') != NULL ? "IPv6:" : "", ip);
	return buf;
}

/* ---- networks ---- */

static bool
in_any(const struct sockaddr_storage *sa, const char *const *nets)
{
	struct net n;

	for (; *nets != NULL; nets++)
		if (net_parse(slice_cstr(*nets), &n, NULL) == 0 &&
		    net_match(&n, sa))
			return true;
	return false;
}

bool
sockaddr_is_loopback(const struct sockaddr_storage *sa)
{
	static const char *const nets[] = { "127.0.0.0/8", "::1", NULL };

	return sa->ss_family == AF_UNIX || in_any(sa, nets);
}

/* Family and octets, IPv4-mapped as IPv4; the family, or 0. */
static uint8_t
address_octets(const struct sockaddr_storage *from, uint8_t out[16])
{
	struct sockaddr_storage sa = *from;

	memset(out, 0, 16);
	sockaddr_unmap(&sa);
	if (sa.ss_family == AF_INET)
		memcpy(out, &sin_of(&sa)->sin_addr, 4);
	else if (sa.ss_family == AF_INET6)
		memcpy(out, &sin6_of(&sa)->sin6_addr, 16);
	else
		return 0;
	return (uint8_t)sa.ss_family;
}

static bool
prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool
host_bits_clear(const struct net *n)
{
	unsigned i, width = n->family == AF_INET ? 32 : 128;

	for (i = n->bits; i < width; i++)
		if (n->addr[i / 8] & 0x80u >> i % 8)
			return false;
	return true;
}

int
net_parse(struct slice s, struct net *n, struct err *e)
{
	struct sockaddr_storage sa;
	long slash = slice_find(s, '/');
	struct slice ip = s;
	uint64_t bits, width;

	memset(n, 0, sizeof(*n));
	if (slash >= 0)
		ip.n = (size_t)slash;
	if (!sockaddr_from_ip(ip, 0, &sa) || memchr(ip.p, '%', ip.n) != NULL)
		return err_set(e, EINVAL, "\"%.*s\" is no IP address",
		    (int)(ip.n < 256 ? ip.n : 256), ip.p);
	width = sa.ss_family == AF_INET ? 32 : 128;
	bits = width;
	if (slash >= 0 && !num_u64(slice_skip(s, (size_t)slash + 1), width,
	    &bits))
		return err_set(e, EINVAL, "the prefix length is 0 to %u",
		    (unsigned)width);
	n->family = address_octets(&sa, n->addr);
	if (n->family == AF_INET && width == 128) {
		if (bits < 96)
			return err_set(e, EINVAL, "an IPv4-mapped network "
			    "has a prefix length of 96 or more");
		bits -= 96;
	}
	n->bits = (uint8_t)bits;
	if (!host_bits_clear(n))
		return err_set(e, EINVAL, "\"%.*s\" has bits set behind its "
		    "prefix", (int)(s.n < 256 ? s.n : 256), s.p);
	return 0;
}

bool
net_match(const struct net *n, const struct sockaddr_storage *sa)
{
	uint8_t addr[16];

	return address_octets(sa, addr) == n->family &&
	    prefix_eq(n->addr, addr, n->bits);
}

char *
net_text(const struct net *n, char buf[SOCKADDR_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(n->family, n->addr, ip, sizeof(ip));
	snprintf(buf, SOCKADDR_TEXT_MAX, "%s/%u", ip, (unsigned)n->bits);
	return buf;
}

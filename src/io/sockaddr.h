/* Socket addresses and networks as text, both ways. */
#ifndef IO_SOCKADDR_H
#define IO_SOCKADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"

/* [ffff:...:255.255.255.255%scope]:65535, or unix:PATH */
#define SOCKADDR_TEXT_MAX 128

/* Cuts "host:port", "host", "[v6]:port", "[v6]" or a bare IPv6 address into
 * host (without brackets) and port (0 where there is none).  Nothing is
 * looked up.  -1 when the port is no number in 1..65535 or a bracket is
 * missing. */
int sockaddr_split(struct slice s, struct slice *host, uint16_t *port,
    struct err *e);
/* "1.2.3.4:25", "[::1]:25", "::1" and the like with the default port (0: a
 * port is required), "unix:/PATH", "*:25" (two addresses, IPv6 first).  Fills
 * out and *count (1 or 2). */
int sockaddr_parse(struct slice s, uint16_t default_port,
    struct sockaddr_storage out[2], size_t *count, struct err *e);
/* An address literal without port or brackets; false when it is none. */
bool sockaddr_from_ip(struct slice ip, uint16_t port,
    struct sockaddr_storage *out);

socklen_t sockaddr_len(const struct sockaddr_storage *sa);
uint16_t sockaddr_port(const struct sockaddr_storage *sa);	/* 0: unix */
void sockaddr_set_port(struct sockaddr_storage *sa, uint16_t port);
/* "1.2.3.4:25", "[::1]:25", "unix:/path", "unix:" (unnamed); returns buf. */
char *sockaddr_text(const struct sockaddr_storage *sa,
    char buf[SOCKADDR_TEXT_MAX]);
/* The address alone: "1.2.3.4", "::1", "unix"; IPv4-mapped as IPv4. */
char *sockaddr_ip_text(const struct sockaddr_storage *sa,
    char buf[SOCKADDR_TEXT_MAX]);
/* SMTP's own form: "[1.2.3.4]", "[IPv6:::1]" (RFC 5321, 4.1.3). */
char *sockaddr_literal(const struct sockaddr_storage *sa,
    char buf[SOCKADDR_TEXT_MAX]);
/* ::ffff:1.2.3.4 becomes 1.2.3.4 in place. */
void sockaddr_unmap(struct sockaddr_storage *sa);
/* Same family, address and port; IPv4-mapped equals IPv4. */
bool sockaddr_eq(const struct sockaddr_storage *a,
    const struct sockaddr_storage *b);

bool sockaddr_is_loopback(const struct sockaddr_storage *sa); /* unix too */

/* A network.  IPv4-mapped ones are held as IPv4; ::/0 is all of IPv6 and
 * none of IPv4. */
struct net {
	uint8_t family;		/* AF_INET, AF_INET6 */
	uint8_t bits;
	uint8_t addr[16];	/* host bits are zero */
};

/* "192.0.2.0/24", "2001:db8::/32", or one address.  -1 with the reason; bits
 * set behind the prefix are an error, most often a slip. */
int net_parse(struct slice s, struct net *n, struct err *e);
bool net_match(const struct net *n, const struct sockaddr_storage *sa);
/* All of it: "192.0.2.0/24"; returns buf. */
char *net_text(const struct net *n, char buf[SOCKADDR_TEXT_MAX]);

#endif

/* The client's side of SOCKS 5 as a pure state machine: octets in, octets out
 * (RFC 1928 CONNECT, RFC 1929 for the login).  It never wants more octets than
 * belong to the proxy, so that the first ones of the server stay where they
 * are. */
#ifndef IO_SOCKS5_H
#define IO_SOCKS5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"

#define SOCKS5_TEXT_MAX 255	/* octets of a name or a password */

struct socks5_options {
	struct sockaddr_storage to;	/* family 0: host and port instead */
	const char *host;		/* looked up by the proxy */
	uint16_t port;
	const char *username;		/* NULL: without login */
	const char *password;
};

enum socks5_result { SOCKS5_MORE, SOCKS5_DONE, SOCKS5_FAILED };

/* Whose failure it is. */
enum socks5_fault {
	SOCKS5_FAULT_PROXY,	/* protocol, or it cannot or will not */
	SOCKS5_FAULT_LOGIN,	/* it wants another login, or any */
	SOCKS5_FAULT_REMOTE	/* it could not reach where we want to go */
};

struct socks5 {
	int state;
	bool login;
	size_t want;		/* octets of the next piece; 0: none */
	size_t have;
	uint8_t in[SOCKS5_TEXT_MAX + 7];
	uint8_t out[2 * SOCKS5_TEXT_MAX + 8];
	size_t out_n;		/* to be sent; the caller sets it to 0 */
	uint8_t request[SOCKS5_TEXT_MAX + 8];
	size_t request_n;
	uint8_t secret[2 * SOCKS5_TEXT_MAX + 4];
	size_t secret_n;
	bool request_sent;	/* CONNECT is, or was, in out */
	enum socks5_fault fault;	/* after SOCKS5_FAILED */
	struct err why;
};

/* The first octets are in out.  -1: what is asked for cannot be said. */
int socks5_begin(struct socks5 *s, const struct socks5_options *o,
    struct err *e);
/* How many octets may be read now, at most. */
size_t socks5_want(const struct socks5 *s);
/* Takes octets, no more than are wanted; new ones may be in out after. */
enum socks5_result socks5_feed(struct socks5 *s, struct slice octets);
/* Wipes what is secret. */
void socks5_end(struct socks5 *s);

#endif

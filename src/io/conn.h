/* A non-blocking stream connection, TCP or UNIX, plain or TLS.
 *
 * Input gathers in one contiguous buffer: look at conn_input(), take with
 * conn_consume().  Output gathers until the end of the loop's turn and leaves
 * in one write.  All callbacks come from the loop, none from inside a call of
 * this interface; any of them may close or abort the connection.
 *
 * Life: conn_new() -> ... -> conn_close() or conn_abort(), exactly one of
 * these, also after closed() was called.  Both take the pointer away: no
 * callback comes after them. */
#ifndef IO_CONN_H
#define IO_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "io/loop.h"
#include "io/tls_context.h"

struct conn;

/* Members may be NULL but for closed. */
struct conn_events {
	/* There is input that was not there before, or the owner resumed and
	 * some is left.  What is not consumed stays; the callback comes again
	 * with the next octets from the peer, or after conn_resume(). */
	void (*readable)(void *arg);
	/* After a write: what waits went to the low mark or below it (see
	 * conn_write_low), or is all gone.  At most once a turn. */
	void (*drained)(void *arg);
	/* The TLS handshake is done; conn_tls_*() tell the rest. */
	void (*secured)(void *arg);
	/* why == NULL: the peer ended its side in order; output can still go,
	 * and conn_input() may still hold octets.  Else nothing more will come
	 * or go, and conn_end() says what kind of end it is.  Once for each
	 * (an error may follow an end in order). */
	void (*closed)(void *arg, const struct err *why);
};

enum conn_end {
	CONN_OPEN,		/* not closed */
	CONN_EOF,		/* orderly end; why == NULL */
	CONN_RESET,		/* ECONNRESET, EPIPE */
	CONN_TIMEOUT,		/* ETIMEDOUT: conn_timeout() or the handshake */
	CONN_TRUNCATED,		/* TLS: end without close_notify; ECONNABORTED:
				 * whatever was not complete is not to be
				 * trusted; harmless after QUIT */
	CONN_TLS_FAILED,	/* handshake or record error; EPROTO */
	CONN_TLS_UNTRUSTED,	/* certificate refused by our policy; EPERM */
	CONN_FAILED		/* any other error of the socket */
};

/* Takes the descriptor (connected; made non-blocking, TCP_NODELAY) and starts
 * reading.  Copies *events. */
struct conn *conn_new(struct loop *l, int fd,
    const struct conn_events *events, void *arg);
/* Another owner; input that is there is announced to it. */
void conn_set_events(struct conn *c, const struct conn_events *events,
    void *arg);

/* Sends what is pending (at most 10 s), then close_notify under TLS, then
 * the end of our side, waits up to 2 s for the peer's end, and closes and
 * frees.  Sets *c to NULL.  The loop owns it meanwhile (loop_lingering). */
void conn_close(struct conn **c);
/* Closes at once; what is pending is lost.  *c may be NULL. */
void conn_abort(struct conn **c);

/* The descriptor, borrowed, for getsockopt and the like. */
int conn_fd(const struct conn *c);
enum conn_end conn_end(const struct conn *c);
/* Octets that passed so far, without TLS's own. */
uint64_t conn_received(const struct conn *c);
uint64_t conn_sent(const struct conn *c);

/* ---- input ---- */

/* All that is buffered; valid until the callback returns, also behind a
 * conn_consume(); outside of callbacks until the end of the turn. */
struct slice conn_input(const struct conn *c);
/* n at most what conn_input() holds. */
void conn_consume(struct conn *c, size_t n);
/* Reads nothing more while n octets or more are buffered; 65536 at first.
 * A line limit above it would never be reached: raise it then. */
void conn_read_limit(struct conn *c, size_t n);
/* No reading and no readable() until conn_resume(); nor is the peer's end
 * noticed.  Not counted: one resume ends any number of pauses. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* ---- output ---- */

/* All copy.  After closed() with an error they do nothing. */
void conn_write(struct conn *c, const void *p, size_t n);
void conn_puts(struct conn *c, const char *s);
void conn_printf(struct conn *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Pieces that should leave together: when they are large, they are written
 * at once behind what is pending and only what the socket refuses is copied. */
void conn_writev(struct conn *c, const struct slice *v, size_t count);
/* Octets not yet given to the kernel.  There is no limit: the owner stops
 * adding when it is high and goes on at drained(). */
size_t conn_pending_out(const struct conn *c);
/* The mark of drained(); 16384 at first. */
void conn_write_low(struct conn *c, size_t n);
/* Writes now instead of at the end of the turn. */
void conn_flush(struct conn *c);

/* ---- time ---- */

/* Ends the connection with CONN_TIMEOUT ms from now, unless it is set anew
 * before; traffic by itself does not move it.  0: no limit.  Very cheap.
 * During a handshake the handshake's own limit counts instead, and this one
 * starts after it. */
void conn_timeout(struct conn *c, uint64_t ms);

/* ---- TLS ---- */

/* Starts the handshake; output that is pending goes in plain before it, what
 * is written from now on waits for its end.  Ends in secured() or closed().
 * -1 when there is unconsumed plaintext input (whoever put it there wants it
 * taken for part of the protected dialogue, RFC 3207 section 4.2), when TLS
 * is on already, or OpenSSL is out of memory: abort the connection then.
 * limit_ms: for the handshake; 0: 30 s.  The context is referenced. */
int conn_start_tls_server(struct conn *c, struct tls_context *ctx,
    uint64_t limit_ms, struct err *e);
/* name: host name or address literal to send as SNI (names only) and to check
 * where the context verifies; verify_name: other name to check, or NULL. */
int conn_start_tls_client(struct conn *c, struct tls_context *ctx,
    const char *name, const char *verify_name, uint64_t limit_ms,
    struct err *e);

/* The same, with a server whose certificate DNS vouches for. */
struct tls_dane;
int conn_start_tls_dane(struct conn *c, struct tls_context *ctx,
    const struct tls_dane *dane, uint64_t limit_ms, struct err *e);
/* Right behind conn_start_tls_client(): resumes what the ticket holds, and
 * keeps in it what the server gives; it is referenced. */
void conn_tls_ticket(struct conn *c, struct tls_ticket *t);

/* All after secured(). */
bool conn_is_tls(const struct conn *c);
const char *conn_tls_version(const struct conn *c);	/* "TLSv1.3" or "" */
const char *conn_tls_cipher(const struct conn *c);	/* or "" */
int conn_tls_bits(const struct conn *c);		/* of the cipher */
/* Name the client asked for, or NULL. */
const char *conn_tls_sni(const struct conn *c);
bool conn_tls_resumed(const struct conn *c);
/* The peer's certificate passed chain and name checks or a pin; also known
 * where the context does not insist. */
bool conn_tls_verified(const struct conn *c);
/* For people, e.g. "verified", "self-signed certificate"; "no certificate". */
const char *conn_tls_verify_text(const struct conn *c);
/* The same as OpenSSL's X509_V_* number; also after CONN_TLS_UNTRUSTED. */
long conn_tls_verify_result(const struct conn *c);
/* The peer's certificate; the caller frees with X509_free(); or NULL. */
struct x509_st *conn_tls_peer_cert(const struct conn *c);
/* Channel bindings: tls-exporter (RFC 9266), tls-unique and
 * tls-server-end-point (RFC 5929).  -1 where this connection has none that is
 * unique; tls-unique is for TLS 1.2 only. */
#define CONN_BINDING_EXPORTER_LEN 32
int conn_tls_exporter(const struct conn *c,
    uint8_t out[CONN_BINDING_EXPORTER_LEN]);
#define CONN_BINDING_UNIQUE_MAX 64
int conn_tls_unique(const struct conn *c,
    uint8_t out[CONN_BINDING_UNIQUE_MAX], size_t *n);
#define CONN_BINDING_END_POINT_MAX 64
int conn_tls_server_end_point(const struct conn *c,
    uint8_t out[CONN_BINDING_END_POINT_MAX], size_t *n);

#endif

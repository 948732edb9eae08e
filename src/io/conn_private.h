/* What conn.c, conn_out.c and conn_tls.c share. */
#ifndef IO_CONN_PRIVATE_H
#define IO_CONN_PRIVATE_H

#include "base/strbuf.h"
#include "io/conn.h"

/*             conn_start_tls        pending output sent      done
 *  TLS_OFF ------------------> TLS_FLUSH ----------> TLS_SHAKE ----> TLS_ON */
enum conn_tls { TLS_OFF, TLS_FLUSH, TLS_SHAKE, TLS_ON };

/* CLOSING: the owner is gone, what is pending goes out; LINGER: our end is
 * sent, we wait for the peer's; GONE: the descriptor is closed. */
enum conn_life { LIFE_OWNED, LIFE_CLOSING, LIFE_LINGER, LIFE_GONE };

/* What one read or write came to, besides octets. */
enum conn_io { IO_MORE, IO_AGAIN, IO_END, IO_ERROR };

struct conn;

/* TLS, behind pointers: a role that uses plain connections only is not linked
 * with OpenSSL.  Octets moved are added to *n. */
struct conn_tls_ops {
	enum conn_io (*read)(struct conn *c, char *p, size_t max, size_t *n);
	enum conn_io (*write)(struct conn *c, const char *p, size_t len,
	    size_t *n);
	/* Goes on with the handshake; from the loop only. */
	void (*step)(struct conn *c);
	/* close_notify; IO_AGAIN when the socket is full. */
	enum conn_io (*end)(struct conn *c);
	void (*free)(struct conn *c);
};

struct conn {
	struct loop *loop;
	struct loop_fd fd;
	struct conn_events ev;
	void *arg;
	struct loop_timer timer;
	struct loop_task work;		/* what callbacks are due */
	struct loop_task flush;		/* at the turn's end */
	struct loop_task reap;
	uint64_t timeout_ms;
	uint64_t received;
	uint64_t sent;

	struct slice in;		/* in in_own, or for the time of one
					 * callback in the loop's scratch */
	struct strbuf in_own;
	size_t in_limit;

	struct strbuf out;
	size_t out_off;			/* sent already */
	size_t out_low;
	size_t out_plain;		/* TLS_FLUSH: octets to go in plain */

	const struct conn_tls_ops *tls_ops;	/* NULL: plain */
	struct ssl_st *ssl;
	struct tls_context *ctx;
	struct err *why;		/* of a failure, until it is told */
	size_t discarded;		/* LIFE_LINGER */

	enum conn_life life;
	enum conn_end end;
	enum conn_tls tls;
	bool paused;
	bool in_borrowed;		/* in points into the scratch */
	bool read_end;			/* nothing more comes */
	bool blocked;			/* the socket took less than we had */
	bool ssl_more;			/* SSL may hold input: read again
					 * without waiting for the socket */
	bool ssl_read_wants_write;
	bool ssl_write_wants_read;
	bool due_readable;
	bool due_drained;
	bool due_closed;
};

/* conn.c */
/* Ends the connection in error; the owner hears of it from the work task.
 * Always returns IO_ERROR. */
enum conn_io conn_fail(struct conn *c, enum conn_end end, int code,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same with errno, telling resets from the rest. */
enum conn_io conn_fail_errno(struct conn *c, const char *what);
bool conn_may_read(const struct conn *c);
/* Watches the descriptor for what is wanted now. */
void conn_interest(struct conn *c);
/* Reads once and calls back; from the loop only. */
void conn_do_read(struct conn *c);
/* Output is sent: close_notify, the end of our side, wait for the peer's. */
void conn_linger(struct conn *c);
/* Frees at the turn's end; closes the descriptor now. */
void conn_gone(struct conn *c);

/* conn_out.c */
/* Writes what the socket takes. */
void conn_out_push(struct conn *c);
/* The same from the loop: calls drained(), goes on with closing. */
void conn_out_turn(void *arg);

#endif

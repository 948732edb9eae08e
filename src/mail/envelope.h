/* The envelope of a message as it came in: what the listener hands to the
 * queue, and what the queue stores and hands to delivery.  The state of its
 * delivery is not in it. */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* Which protocol it came by; TLS, AUTH and SMTPUTF8 are told by tls, login
 * and flags (received.h puts the "with" of RFC 3848 and 6531 together). */
enum mail_protocol {
	MAIL_PROTO_SMTP,		/* HELO */
	MAIL_PROTO_ESMTP,		/* EHLO */
	MAIL_PROTO_LMTP,
	MAIL_PROTO_LOCAL,		/* submit.sock, drop directory */
	MAIL_PROTO_REPORT,		/* written by ourselves: about mail, */
	MAIL_PROTO_ALERT		/* or about how we are */
};

enum {
	ENVELOPE_8BITMIME = 1 << 0,	/* BODY=8BITMIME was said */
	ENVELOPE_SMTPUTF8 = 1 << 1,
	ENVELOPE_NUL = 1 << 2,		/* the body holds NULs */
	ENVELOPE_SIGNED = 1 << 3,	/* has a DKIM-Signature field */
	ENVELOPE_FIXED = 1 << 4,	/* line ends were mended */
	ENVELOPE_CHUNKED = 1 << 5	/* came by BDAT */
};

enum mail_ret { MAIL_RET_NONE, MAIL_RET_FULL, MAIL_RET_HDRS };

enum {					/* 0: NOTIFY was not said */
	MAIL_NOTIFY_NEVER = 1 << 0,
	MAIL_NOTIFY_SUCCESS = 1 << 1,
	MAIL_NOTIFY_FAILURE = 1 << 2,
	MAIL_NOTIFY_DELAY = 1 << 3
};

struct recipient {
	char *address;			/* local@domain, no brackets */
	unsigned notify;		/* MAIL_NOTIFY_* */
	char *orcpt;			/* "type;xtext" as received, or NULL */
};

/* All strings are owned, NUL-terminated and free of control characters as
 * far as the parsers of this room made them. */
struct envelope {
	uint64_t id;			/* num_id_text() for people */
	uint64_t received_ms;		/* since 1970 */
	uint64_t size;			/* octets of the body as stored */
	uint32_t crc;			/* crc32c of those */
	unsigned flags;			/* ENVELOPE_* */
	enum mail_protocol protocol;
	unsigned hops;			/* Received fields that it came with */

	char *from;			/* reverse-path; "": null; never NULL
					 * once decoded */
	enum mail_ret ret;
	char *envid;			/* xtext as received, or NULL */

	char *helo;			/* as said, or NULL */
	char *client;			/* "192.0.2.1", "2001:db8::1",
					 * "uid:1000"; NULL: ourselves */
	char *client_name;		/* its verified name, or NULL */
	uint16_t client_port;		/* 0: none */
	char *listener;			/* as configured, "127.0.0.1:25", or
					 * NULL */
	char *login;			/* authenticated as, or NULL */
	int64_t uid;			/* of a local submission; -1: none */
	char *account;			/* that it belongs to, or NULL */
	char *tls;			/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or
					 * NULL: not encrypted */

	struct recipient *recipients;
	size_t recipient_count;
};

#define ENVELOPE_STRING_MAX 8192	/* octets of any string in it */
#define ENVELOPE_RECIPIENTS_MAX 100000

/* A message that nobody has sent us. */
static inline bool
envelope_is_ours(const struct envelope *env)
{
	return env->protocol == MAIL_PROTO_REPORT ||
	    env->protocol == MAIL_PROTO_ALERT;
}

/* Zeroed, uid -1, from "". */
struct envelope *envelope_new(void);
/* A structure that is the caller's own. */
void envelope_init(struct envelope *env);
void envelope_clear(struct envelope *env);	/* frees what it holds */
void envelope_free(struct envelope **env);

/* Copies of all of it; recipients too. */
struct envelope *envelope_dup(const struct envelope *env);
/* Copies address and orcpt (may be empty: none); returns the new one, which
 * stays valid until the next is added. */
struct recipient *envelope_add_recipient(struct envelope *env,
    struct slice address, unsigned notify, struct slice orcpt);
/* Frees *field and puts a copy of the text there; an empty slice with NULL
 * pointer makes it NULL. */
void envelope_set(char **field, struct slice text);

/* Appends the stored form (a version, little endian, strings with their
 * length).  recipients: false leaves them out, for messages that send them
 * apart.  -1 when a string or the number of recipients is over the limits;
 * out is as before then. */
int envelope_encode(const struct envelope *env, bool recipients,
    struct strbuf *out, struct err *e);
/* The whole of in must be one envelope.  *out must be initialised and empty;
 * on -1 it is empty again.  Memory taken is bounded by in. */
int envelope_decode(struct slice in, struct envelope *out, struct err *e);

#endif

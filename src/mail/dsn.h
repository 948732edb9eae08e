/* Reports about deliveries: multipart/report of RFC 3462, 3464 and, for
 * internationalised mail, 6533. */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "mail/envelope.h"
#include "mail/status.h"

#define DSN_WHOLE_MAX 65536	/* octets of an original returned whole when
				 * RET was not given */

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED };

struct dsn_recipient {
	const char *address;		/* local@domain */
	const char *orcpt;		/* as in struct recipient, or NULL */
	enum dsn_action action;
	struct mail_status status;	/* none: by the action */
	const char *remote_mta;		/* "mx.example.com", or NULL */
	const char *diagnostic;		/* "550 5.1.1 no such user", or NULL */
	bool diagnostic_smtp;		/* said by a server, else by us */
	uint64_t last_attempt_ms;	/* 0: left out */
	uint64_t retry_until_ms;	/* delayed only; 0: left out */
};

struct dsn {
	const char *reporting_mta;	/* our hostname */
	const char *from;		/* in From: an address (postmaster) */
	const char *to;			/* in To: the reverse-path or the
					 * postmaster */
	uint64_t id;			/* of the report, for its Message-ID */
	uint64_t now_ms;
	const struct envelope *original;
	const struct dsn_recipient *recipients;	/* at least one */
	size_t recipient_count;
	/* The original's text, or its beginning (at least the header):
	 * message_whole says which.  RET=FULL returns what is whole, RET=HDRS
	 * the header, without RET it is the size that decides. */
	struct slice message;
	bool message_whole;
};

/* Appends the report, lines with CRLF, no trace lines.  Returns the
 * ENVELOPE_8BITMIME and ENVELOPE_SMTPUTF8 flags that its own envelope needs. */
unsigned dsn_compose(const struct dsn *d, struct strbuf *out);

/* Does this recipient's NOTIFY want to hear of it?  (Not said: failures and
 * delays.)  The null sender never does. */
bool dsn_wanted(const struct envelope *env, unsigned notify,
    enum dsn_action action);

#endif

/* A small SMTP server in the test's own loop, on a loopback port, for tests
 * of whole sessions.  It says OK to everything unless told otherwise. */
#ifndef TEST_DELIVERY_SINK_H
#define TEST_DELIVERY_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "io/loop.h"

struct sink_session;

struct sink {
	/* set before or between sessions */
	const char *greeting;		/* NULL: "220 sink" */
	const char *final;		/* NULL: "250 2.0.0 ok" */
	const char *mail_from;		/* NULL: "250 2.1.0 ok" */
	const char *rcpt;		/* NULL: "250 2.1.5 ok" */
	unsigned allowed;		/* connections; 0: any number.  More
					 * get a 432 */
	bool starttls;			/* offered, but the handshake fails */
	bool hold;			/* no reply to the message */
	bool hold_mail;			/* no reply from MAIL on */
	/* what happened */
	unsigned port;
	unsigned accepted;		/* connections */
	unsigned open;
	unsigned open_max;
	unsigned messages;
	unsigned rcpts;
	unsigned quits;
	struct strbuf helo;		/* names said, with blanks between */
	struct strbuf mail;		/* the last message, with its dot */
	/* private */
	struct loop *loop;
	struct listen *listen;
	struct sink_session *sessions;
};

void sink_open(struct sink *s, struct loop *loop);
/* Ends all its connections, rudely. */
void sink_cut(struct sink *s);
void sink_close(struct sink *s);

#endif

/* One request of the control socket: a line of JSON, read with limits.
 *
 *   {"command":"queue hold","selectors":{"from":"a@b.test","older":"1h"},
 *    "ids":["..."],"all":true}
 *
 * Selectors are text as on relayctl's command line.  Further members, where a
 * command takes them: "transport", "name", "what", "since", "to" (text), "headers",
 * "content", "send" (true). */
#ifndef QUEUE_CONTROL_REQUEST_H
#define QUEUE_CONTROL_REQUEST_H

#include "store/selector.h"

#define CONTROL_LINE_MAX (1u << 20)

struct control_request {
	char *command;
	struct selector sel;
	char *transport;	/* queue move */
	char *name;		/* of a transport or account */
	char *what;		/* why: an id, an address, "last" */
	uint64_t since;		/* ms before now; 0: all */
	char *to;		/* transport test: a recipient, or NULL */
	bool headers, content;
	char *flow, *url;	/* oauth */
	uint16_t port;		/* the same: of a listener on loopback */
	bool send;		/* transport test: a message */
};

/* Without the line end.  -1 with a text for people; nothing to free then. */
int control_request_parse(struct slice line, struct control_request *r,
    struct err *e);
void control_request_clear(struct control_request *r);

#endif

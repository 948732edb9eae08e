/* Who may relay, as smarthostd.conf(5) orders it; pure functions. */
#ifndef LISTENER_RELAY_POLICY_H
#define LISTENER_RELAY_POLICY_H

#include <stdbool.h>

#include "base/slice.h"
#include "conf/conf.h"

/* Where a client comes from. */
struct relay_origin {
	enum { RELAY_FROM_NET, RELAY_FROM_UNIX, RELAY_FROM_SUBMIT } kind;
	bool v6;
	unsigned char addr[16];		/* network order, 4 or 16 octets */
};

/* What is known of a session when it asks. */
struct relay_standing {
	bool trusted;			/* relay_trusted() */
	bool must_auth;			/* relay_must_auth() */
	bool authenticated;
	bool auth_offered;		/* now, or after STARTTLS */
};

enum relay_answer {
	RELAY_YES,
	RELAY_NEEDS_AUTH,		/* 530 5.7.0 */
	RELAY_NO			/* 550 5.7.1 */
};

/* `deny`: 554 at the greeting. */
bool relay_denied(const struct conf_listen *listen,
    const struct relay_origin *o);
/* May relay by its address alone: has a `client` block, is inside `allow`, or
 * is local.  client: its block, or NULL. */
bool relay_trusted(const struct conf_listen *listen,
    const struct conf_client *client, const struct relay_origin *o);
/* `auth required` holds for it. */
bool relay_must_auth(const struct conf_listen *listen,
    const struct conf_client *client, const struct relay_origin *o);
/* May it send to a recipient elsewhere? */
enum relay_answer relay_may(const struct relay_standing *s);

/* The envelope sender (local@domain, "" for <>) is one that this login or
 * client may use: 553 5.7.1 otherwise.  login and client may be NULL. */
bool relay_sender_ok(const struct conf *conf, const struct conf_login *login,
    const struct conf_client *client, struct slice from);
/* The recipient is one that it may write to: 550 5.7.1 otherwise. */
bool relay_recipient_ok(const struct conf_login *login,
    const struct conf_client *client, struct slice to);

#endif

/* A message as the object `message` of the tools' contract (relayctl(8)):
 * one form for the control socket, the history, and relayctl that reads a
 * stopped daemon's queue. */
#ifndef STORE_RECORD_JSON_H
#define STORE_RECORD_JSON_H

#include "base/json_writer.h"
#include "store/record.h"

/* What a finished delivery says of a recipient beside the record. */
struct record_outcome {
	uint64_t delivered_at;		/* wall ms, 0: not delivered */
	const char *tls;		/* or NULL */
	const char *verify;		/* how its server was told from others,
					 * or NULL */
	const char *spf;		/* or NULL */
};

/* One object; key as in json_object().  status: of the message as a whole.
 * expires: wall ms.  outcome: one for each recipient, which adds the keys
 * delivered_at, tls, verify and spf; or NULL. */
void record_json(struct json_writer *w, const char *key,
    const struct record *r, const char *status, uint64_t expires,
    const struct record_outcome *outcome);
/* "queued", "deferred", "held": of a message that nobody works on. */
const char *record_status(const struct record *r);
/* "queued", "deferred", "delivered", "bounced", "expired". */
const char *record_rcpt_status(const struct record_rcpt *rc);

#endif

/* Dialogues of the SMTP client with a scripted server, in one loop.
 *
 * A script has one line for each thing that happens, in order:
 *   S: TEXT     the server sends a line; those that follow each other leave
 *               in one write
 *   C: TEXT     the client sends exactly this line
 *   C* N        the client sends N lines, whatever they are
 *   TLS         both sides shake hands
 *   BADTLS      the server sends garbage instead of a handshake
 *   RAW TEXT    the server sends this without a line end
 *   CLOSE       the server ends the connection
 *   RESET       and does so rudely
 *   QUIET       the client says nothing more in the turns that follow
 *   WAIT        nothing happens until the session has ended
 *   IDLE        let the loop turn a few times
 *   AUTH STEP   what auth answers next: "STATE MECHANISM DATA" ("-": none)
 */
#ifndef TEST_DELIVERY_DIALOGUE_H
#define TEST_DELIVERY_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

struct dialogue {
	const char *name;
	const char *script;
	/* What the client told, in order: "ready", "done(CLASS:CODE/X.Y.Z
	 * ...)", "closed", "again", "unreachable", "tls", "credential". */
	const char *events;

	/* Defaults: one recipient <a@example>, from <s@example>, one job, a
	 * short body, TLS off. */
	const char *to[6];
	const char *from;
	const char *body;
	unsigned jobs;
	enum conf_tls_mode tls;
	bool credential, lmtp, verify, eight_bit, wrong_crc, file, dsn;
	uint64_t timeout;		/* ms */
	unsigned rcpt_max, message_max;
	/* A part of the text that the last result or end came with. */
	const char *text;
	size_t large;			/* body of so many octets instead; the
					 * server does not check it */
};

/* Fails the cmocka test when anything differs. */
void dialogue_run(const struct dialogue *d);
void dialogue_run_all(const struct dialogue *d, size_t n);

#endif

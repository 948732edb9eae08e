/* Secrets that come from commands: monitor runs them, auth keeps what they
 * said for a while. */
#ifndef AUTH_SECRET_SOURCE_H
#define AUTH_SECRET_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "io/loop.h"
#include "ipc/port.h"

struct secret;
struct secret_source;

/* value is NULL where there is none, and why says why; both are valid during
 * the call only. */
typedef void secret_cb(void *arg, const char *value, const char *why);

/* Somebody who waits; his own memory, zeroed before the first use. */
struct secret_wait {
	TAILQ_ENTRY(secret_wait) link;
	struct secret *on;		/* NULL: does not wait */
	secret_cb *cb;
	void *arg;
};

struct secret_source *secret_source_new(void);
void secret_source_free(struct secret_source **s);

/* of: enum secret_of (ipc/msg.h).  Calls back with what is held and not older than max_age_ms (0: of any
 * age), at once; else when the command has been run.  monitor NULL: it cannot
 * be.  A command that failed is not run again within some seconds.  A secret
 * that is too old and cannot be had anew is given all the same. */
void secret_get(struct secret_source *s, struct port *monitor, uint8_t of,
    const char *name, uint64_t max_age_ms, struct secret_wait *w,
    secret_cb *cb, void *arg);
/* Asks for it where it is missing or too old, and waits for nothing; true: it
 * is being asked for. */
bool secret_want(struct secret_source *s, struct port *monitor, uint8_t of,
    const char *name, uint64_t max_age_ms);
void secret_cancel(struct secret_wait *w);
/* What is held, or NULL. */
const char *secret_held(const struct secret_source *s, uint8_t of,
    const char *name);
/* It was refused: the next one who asks has it fetched anew. */
void secret_forget(struct secret_source *s, uint8_t of, const char *name);

#endif

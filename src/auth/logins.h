/* Who may log in to us, and what an exchange may know of a name.  A name that
 * nobody has is treated like one of those that are there, always the same
 * one, so that neither time nor challenge tells them apart. */
#ifndef AUTH_LOGINS_H
#define AUTH_LOGINS_H

#include "auth/scram_server.h"
#include "conf/conf.h"

struct logins;
struct secret_source;

/* Borrows both; secrets may be NULL (commands' passwords match nothing then).
 * NULL conf: nobody. */
struct logins *logins_new(const struct conf *conf,
    const struct secret_source *secrets);
void logins_free(struct logins **l);

/* The name that the configuration has for it: a client may write it in
 * another form (mail/saslprep.h).  Else name itself. */
const char *logins_name(const struct logins *l, const char *name);

/* The secret to check a password of this name against; true: it is the
 * login's own, else it is a stranger's and the answer is no in any case.
 * Borrowed: strings of the configuration, or held ones until the next turn. */
bool logins_secret(const struct logins *l, const char *name,
    struct conf_secret *out);
/* The same where the password itself is needed. */
bool logins_clear(const struct logins *l, const char *name,
    struct conf_secret *out);
/* A scram_lookup; arg is the struct logins. */
void logins_scram(void *arg, const char *name, const struct scram_hash *hash,
    struct scram_account *out);

#endif

/* Where mail for a recipient of local-domains goes: config.md's
 * `local-domains`, as a pure function of the model and the aliases.  Used by
 * queue at RCPT and when a message comes, by `relayctl why --if` and by the
 * check of a configuration. */
#ifndef CONF_LOCAL_CHOICE_H
#define CONF_LOCAL_CHOICE_H

#include "base/slice.h"
#include "conf/conf.h"

struct conf_local;

/* Borrows the model, which must live as long.  aliases: a text as queue's
 * view has it; empty: none. */
struct conf_local *conf_local_new(const struct conf *conf,
    struct slice aliases);
void conf_local_free(struct conf_local **l);

/* A recipient of local-domains, or a bare local part? */
bool conf_local_has(const struct conf_local *l, const char *address);

enum local_result {
	LOCAL_FOUND,			/* at least one place */
	LOCAL_UNKNOWN,			/* 550 5.1.1 */
	LOCAL_LOOP,			/* 550 5.4.6: aliases lead in a ring */
	LOCAL_LATER,			/* 451: a file cannot be included */
	LOCAL_TOO_MANY			/* 550 5.5.3: more than max places */
};

struct local_place {
	char *address;			/* with a domain */
	bool here;			/* by transport `local`; else routed */
};

struct local_answer {
	enum local_result result;
	struct local_place *v;		/* LOCAL_FOUND; none twice */
	size_t n;
	/* One place here, by its own name: only if the delivery finds such a
	 * user; who has passwd may ask before. */
	bool must_exist;
};

/* The caller clears *a. */
void conf_local_resolve(struct conf_local *l, const char *address,
    size_t max, struct local_answer *a);
void local_answer_clear(struct local_answer *a);

#endif

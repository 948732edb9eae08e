/*
 * A transport or an account that takes no mail, in words: since when and why,
 * what happens next, and what a human can do about it.
 */
#include <string.h>

#include "base/clock.h"
#include "mail/advice.h"
#include "tools/relayctl.h"

bool
ctl_state_bad(const cJSON *o)
{
	const char *state = ctl_get(o, "state");

	return state[0] != 0 && strcmp(state, "ok") != 0;
}

/* A parked transport that is an account's own is the account's matter. */
static void
add_resume(struct strbuf *out, const char *kind, const cJSON *o)
{
	const char *account = ctl_get(o, "account");

	if (account[0] != 0 && strcmp(ctl_get(o, "state"), "parked") == 0) {
		strbuf_puts(out, "`relayctl account resume ");
		ctl_printable(out, account);
	} else {
		strbuf_printf(out, "`relayctl %s resume ", kind);
		ctl_printable(out, ctl_get(o, "name"));
	}
	strbuf_putc(out, '`');
}

void
ctl_state_what(const char *kind, const cJSON *o, struct strbuf *out)
{
	uint64_t since = ctl_time(ctl_get(o, "since"));
	uint64_t now = clock_real_ms();
	char stamp[CTL_STAMP_LEN], age[CTL_AGE_LEN];

	strbuf_printf(out, "%s ", kind);
	ctl_printable(out, ctl_get(o, "name"));
	strbuf_printf(out, " is %s", ctl_get(o, "state"));
	if (since != 0)
		strbuf_printf(out, " since %s (%s)", ctl_stamp(since, stamp),
		    ctl_age(now > since ? now - since : 0, age));
	if (ctl_get(o, "why")[0] != 0 &&
	    strcmp(ctl_get(o, "state"), "paused") != 0) {
		strbuf_puts(out, ": ");
		ctl_printable(out, ctl_get(o, "why"));
	}
}

void
ctl_state_next(const char *kind, const cJSON *o, struct strbuf *out)
{
	const char *state = ctl_get(o, "state");
	uint64_t probe = ctl_time(ctl_get(o, "next_probe"));
	uint64_t now = clock_real_ms();
	char age[CTL_AGE_LEN];

	if (strcmp(state, "paused") == 0) {
		strbuf_puts(out, "nothing until ");
		add_resume(out, kind, o);
	} else if (probe == 0) {
		strbuf_puts(out, "it is not tried again by itself");
	} else if (probe <= now) {
		strbuf_puts(out, "it is tried again now, with one message");
	} else {
		strbuf_printf(out, "it is tried again in %s, with one "
		    "message; the others follow when that goes",
		    ctl_age(probe - now, age));
	}
}

void
ctl_state_to_do(const char *kind, const cJSON *o, struct strbuf *out)
{
	const char *state = ctl_get(o, "state");
	const char *advice = NULL;

	if (strcmp(state, "paused") == 0) {
		add_resume(out, kind, o);
		strbuf_puts(out, " when its mail may go");
	} else if (strcmp(state, "parked") == 0) {
		strbuf_puts(out, "mend what was refused, then ");
		add_resume(out, kind, o);
		advice = mail_advice(ctl_get(o, "why"));
	} else {
		strbuf_puts(out, "nothing, if it comes back by itself; ");
		add_resume(out, kind, o);
		strbuf_puts(out, " tries it at once");
	}
	if (advice != NULL)
		strbuf_printf(out, "; %s", advice);
}

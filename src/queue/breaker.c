/*
 * Whether a lane takes mail.  A next hop that cannot be reached, a credential
 * that is refused, a quota that is used up close it: its mail waits, and one
 * message at a time finds out whether that is over.  Run by queue.
 *
 * One failure among successes does not close it; while the first failures are
 * being judged nothing new is begun, so that a host that has just died sees
 * no more than what was under way.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

/* So soon after a success so many failures in a row are chance. */
#define RECENT_MS 30000u
#define FLAKES 3u

/* ---- what it is ---- */

const char *
closure_name(enum closure how)
{
	switch (how) {
	case CLOSED_NOT:
		return "open";
	case CLOSED_UNREACHABLE:
		return "unreachable";
	case CLOSED_OFFLINE:
		return "offline";
	case CLOSED_CREDENTIAL:
	case CLOSED_QUOTA:
	case CLOSED_DAILY:
		break;
	}
	return "parked";
}

bool
lane_is_gone(const struct lane *l)
{
	return l->transport == NULL && !l->direct && l->name[0] != 0;
}

bool
lane_is_paused(const struct lane *l)
{
	return l->base->paused;
}

bool
lane_is_offline(const struct lane *l)
{
	return l->q->us != NULL && l->q->us->closed != CLOSED_NOT &&
	    lane_is_network(l);
}

bool
lane_is_open(const struct lane *l)
{
	return l->closed == CLOSED_NOT && !lane_is_paused(l) &&
	    !lane_is_gone(l) && !lane_is_offline(l);
}

bool
lane_admits(const struct lane *l)
{
	if (lane_is_paused(l) || lane_is_gone(l))
		return false;
	if (l->closed == CLOSED_NOT)
		return true;		/* offline: waits there */
	return l->closed != CLOSED_DAILY && l->probe_id == 0 &&
	    l->next_probe <= clock_real_ms() && !lane_is_offline(l);
}

static bool
lane_is_suspect(const struct lane *l)
{
	bool recent = l->reached_at != 0 &&
	    clock_mono_ms() - l->reached_at < RECENT_MS;

	return l->failures >= (recent ? FLAKES : 1);
}

unsigned
lane_gate(const struct lane *l)
{
	if (l->letting)
		return l->active[LINE_RETRY] + l->active[LINE_FRESH] + 1;
	if (!lane_is_open(l))
		return 0;
	if (l->failures > 0 && lane_is_suspect(l) && lane_used(l) > 0)
		return 0;
	/* A wrong password is shown once, not by twenty connections. */
	if (!l->proven && l->transport != NULL && l->transport->has_credential)
		return 1;
	return l->window;
}

void
lane_trouble(const struct lane *l, struct strbuf *out)
{
	const char *why = l->why != NULL ? l->why : "";

	if (l->account != NULL)
		strbuf_printf(out, "account %s is paused", l->account);
	else if (lane_is_gone(l))
		strbuf_printf(out, "transport %s is not in the configuration",
		    l->name);
	else if (lane_is_paused(l))
		strbuf_printf(out, "transport %s is paused", l->name);
	else if (l->closed != CLOSED_NOT)
		strbuf_printf(out, "transport %s is %s%s%s", l->name,
		    closure_name(l->closed), why[0] != 0 ? ": " : "", why);
	else if (lane_is_offline(l))
		strbuf_puts(out, "there is no network");
}

/* ---- what is said of it ---- */

static const char *
what_to_do(const struct lane *l)
{
	switch (l->closed) {
	case CLOSED_UNREACHABLE:
		return "its mail waits and is sent once it can be reached "
		    "again; if that does not come, see to its host, port and "
		    "TLS";
	case CLOSED_CREDENTIAL:
		return l->next_probe == NEVER ? "its mail waits: obtain a new "
		    "grant, then `relayctl account resume`" : "its mail "
		    "waits: correct the credential, then `relayctl account "
		    "resume`";
	case CLOSED_QUOTA:
	case CLOSED_DAILY:
		return "its mail waits until more may be sent";
	default:
		return NULL;
	}
}

static void
lane_log(enum log_level level, const struct lane *l, const char *state,
    const char *why, const char *text)
{
	char when[CLOCK_RFC3339_LEN + 1];

	log_begin(level, "lane");
	log_str("transport", l->name);
	if (l->site != NULL)
		log_str("next_hop", l->site);
	log_str("state", state);
	log_str("why", why);
	if (l->closed != CLOSED_NOT && l->next_probe != NEVER)
		log_str("next_probe", clock_rfc3339(l->next_probe, when));
	log_str("text", text);
	log_end();
}

static void
lane_alert(struct lane *l, enum closure how, bool begin)
{
	struct strbuf text = STRBUF_INIT;

	if (how == CLOSED_NOT)
		return;
	if (begin)
		lane_trouble(l, &text);
	else
		strbuf_printf(&text, "transport %s takes mail again", l->name);
	alert_state(l->q, how == CLOSED_UNREACHABLE ? ALERT_UNREACHABLE :
	    ALERT_PARKED, l->name, begin, strbuf_cstr(&text));
	strbuf_free(&text);
}

static void
set_why(struct lane *l, const char *why)
{
	free(l->why);
	l->why = why != NULL ? mem_strndup(why, 900) : NULL;
}

/* ---- closing and opening ---- */

void
lane_shut(struct lane *l)
{
	if (l->since != 0 && l->until == 0)
		return;			/* is so already */
	l->since = clock_real_ms();
	l->until = 0;
	l->still = expire_stands_still(l);
	l->drain = false;
	l->epoch++;
}

void
lane_unshut(struct lane *l)
{
	if (l->closed != CLOSED_NOT || lane_is_paused(l))
		return;
	if (l->since != 0 && l->until == 0)
		l->until = clock_real_ms();
	drain_begin(l);
}

void
lane_close(struct lane *l, enum closure how, const char *why, uint64_t next)
{
	enum closure was = l->closed;

	if (was != how) {
		lane_alert(l, was, false);
		l->step = 0;
	}
	l->closed = how;
	lane_shut(l);
	l->still |= expire_stands_still(l);
	set_why(l, why);
	l->failures = 0;
	l->probe_id = 0;
	if (how == CLOSED_CREDENTIAL)
		l->proven = false;
	l->next_probe = how == CLOSED_CREDENTIAL && l->probe_again ?
	    clock_real_ms() : next != 0 ? next :
	    clock_real_ms() + probe_step(l);
	l->probe_again = false;
	lane_log(was == how ? LL_INFO : LL_WARN, l, closure_name(how), l->why,
	    what_to_do(l));
	lane_alert(l, how, true);
	lane_save(l, NULL, NULL);
	lane_kick(l->q, l);
}

void
lane_reopen(struct lane *l, const char *why)
{
	enum closure was = l->closed;

	if (was == CLOSED_NOT)
		return;
	l->closed = CLOSED_NOT;
	l->next_probe = 0;
	l->step = 0;
	l->failures = 0;
	l->probe_id = 0;
	l->probe_again = false;
	lane_unshut(l);
	lane_log(LL_INFO, l, lane_is_paused(l) ? "paused" : "ok", why,
	    "what waits in it is due now");
	lane_alert(l, was, false);
	set_why(l, NULL);
	lane_save(l, NULL, NULL);
	lane_kick(l->q, l);
}

void
lane_probe_now(struct lane *l)
{
	if (l->closed == CLOSED_NOT || l->closed == CLOSED_DAILY ||
	    l->probe_id != 0)
		return;
	l->next_probe = clock_real_ms();
	lane_kick(l->q, l);
}

void
lane_probe_ended(struct lane *l)
{
	if (l->probe_id == 0)
		return;
	l->probe_id = 0;
	lane_save(l, NULL, NULL);
	lane_kick(l->q, l);
}

/* ---- what attempts come to ---- */

static void
note_error(struct lane *l, const char *text)
{
	free(l->last_error);
	l->last_error = text != NULL ? mem_strdup(text) : NULL;
	l->last_error_at = text != NULL ? clock_real_ms() : 0;
}

/* A probe of a closed lane has failed in the same way, or in a lesser one. */
static void
still_closed(struct lane *l, const char *text, uint64_t next)
{
	set_why(l, text);
	l->next_probe = l->probe_again ? clock_real_ms() : next != 0 ? next :
	    clock_real_ms() + probe_step(l);
	l->probe_again = false;
	lane_log(LL_INFO, l, closure_name(l->closed), l->why, "a probe has "
	    "failed");
	lane_alert(l, l->closed, true);
	lane_save(l, NULL, NULL);
}

static void
failed_unreachable(struct lane *l, bool probe, const char *text)
{
	/* Each of its mail has a next hop of its own. */
	if (lane_resolves(l))
		return;
	if (l->closed == CLOSED_NOT) {
		l->failures++;
		if (lane_is_suspect(l) && lane_used(l) <= 1)
			lane_close(l, CLOSED_UNREACHABLE, text, 0);
	} else if (probe && l->closed == CLOSED_UNREACHABLE) {
		still_closed(l, text, 0);
	} else if (probe) {
		/* Nothing was learnt of the credential. */
		l->next_probe = clock_real_ms() + probe_step(l);
		lane_save(l, NULL, NULL);
	}
}

static void
failed_parked(struct lane *l, enum closure how, const char *text)
{
	uint64_t next = 0;

	if (how == CLOSED_CREDENTIAL && park_needs_human(text))
		next = NEVER;
	else if (how == CLOSED_QUOTA)
		next = park_reset_time(text, clock_real_ms());
	if (l->closed == how)
		still_closed(l, text, next);
	else
		lane_close(l, how, text, next);
}

void
lane_failed(struct attempt *a, enum job_class class, const char *text)
{
	struct lane *l = a->lane;
	bool probe = a->probe;

	probe_over(a);
	if (text == NULL)
		text = "no reason was given";
	note_error(l, text);
	if (class == JOB_OFFLINE) {
		offline_begin(l->q, text);
		return;
	}
	if (probe)
		offline_end(l->q);
	/* What was under way when it closed, or before, tells nothing. */
	if (!probe && a->epoch != l->epoch)
		return;
	if (class == JOB_UNREACHABLE) {
		failed_unreachable(l, probe, text);
		sites_doubt(l);
	} else
		failed_parked(l, class == JOB_QUOTA ? CLOSED_QUOTA :
		    CLOSED_CREDENTIAL, text);
}

void
lane_reached(struct attempt *a)
{
	struct lane *l = a->lane;
	bool probe = a->probe;

	probe_over(a);
	l->reached_at = clock_mono_ms();
	l->failures = 0;
	l->proven |= l->closed == CLOSED_NOT || probe;
	if (l->closed == CLOSED_NOT)
		l->probe_again = false;
	if (l->last_error != NULL)
		note_error(l, NULL);
	if (!probe)
		return;
	offline_end(l->q);
	if (l->closed != CLOSED_DAILY)
		lane_reopen(l, "a probe has succeeded");
}

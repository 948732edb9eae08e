/*
 * What an administrator does to transports and accounts: pause and resume.
 * Run by queue, asked by the control socket; kept in the lanes' table, so
 * that a restart changes nothing.
 *
 * A paused transport closes its lanes.  A paused account has a lane of its
 * own where its mail waits, as the lanes of its transports are shared.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

static void
steer_log(const char *what, const char *kind, const char *name)
{
	log_begin(LL_INFO, what);
	log_str(kind, name);
	log_end();
}

static bool
is_ready(struct queue *q, queue_op_done *done, void *arg)
{
	if (q->store != NULL && !q->draining)
		return true;
	done(arg, 0, QUEUE_OP_FAILED, "the queue is ending");
	return false;
}

static bool
is_transport(const struct queue *q, const char *name)
{
	return strcmp(name, "direct") == 0 ||
	    conf_transport_find(q->conf, name) != SIZE_MAX;
}

/* One that is gone from the configuration may have been paused before, and
 * still keep its mail. */
static bool
was_transport(const struct queue *q, const char *name)
{
	struct lane *l = htab_get(q->lane_by_key, slice_of(name,
	    strlen(name) + 1));

	return l != NULL && name[0] != 0 && l->paused;
}

/* ---- transports ---- */

void
queue_op_transport_pause(struct queue *q, const char *name,
    queue_op_done *done, void *arg)
{
	struct lane *base, *l;

	if (!is_ready(q, done, arg))
		return;
	if (!is_transport(q, name)) {
		done(arg, 0, QUEUE_OP_UNKNOWN, "there is no such transport");
		return;
	}
	base = lane_named(q, name);
	if (base->paused) {
		done(arg, 0, QUEUE_OP_NOTHING, "is paused already");
		return;
	}
	base->paused = true;
	base->paused_since = clock_real_ms();
	TAILQ_FOREACH(l, &q->lanes, link) {
		if (l->base != base)
			continue;
		lane_shut(l);
		lane_kick(q, l);
		if (l != base)
			lane_save(l, NULL, NULL);
	}
	steer_log("pause", "transport", name);
	lane_save(base, done, arg);
}

/* Of all its lanes; true: something has changed. */
static bool
resume_lanes(struct queue *q, struct lane *base, bool parked_only)
{
	bool changed = false, was_paused = base->paused && !parked_only;
	struct lane *l;

	if (was_paused) {
		base->paused = false;
		base->paused_since = 0;
	}
	TAILQ_FOREACH(l, &q->lanes, link) {
		if (l->base != base)
			continue;
		if (was_paused)
			lane_unshut(l);
		changed |= was_paused;
		if (lane_is_offline(l) && !parked_only) {
			q->us->next_probe = clock_real_ms();
			changed = true;
		}
		if (l->closed == CLOSED_UNREACHABLE && !parked_only) {
			lane_probe_now(l);
			changed = true;
		} else if (l->closed != CLOSED_NOT &&
		    l->closed != CLOSED_UNREACHABLE) {
			lane_reopen(l, "the administrator resumes it");
			changed = true;
		}
		if (changed) {
			lane_kick(q, l);
			if (l != base)
				lane_save(l, NULL, NULL);
		}
	}
	return changed;
}

/* ---- accounts ---- */

struct lane *
account_lane(const struct queue *q, const char *account)
{
	struct lane *l;

	if (q->n_paused_accounts == 0 || account == NULL)
		return NULL;
	l = lane_special((struct queue *)(uintptr_t)q, "account", account,
	    false);
	return l != NULL && l->paused ? l : NULL;
}

static bool
resume_account(struct queue *q, const char *name, struct lane **at)
{
	struct lane *l = lane_special(q, "account", name, false);

	if (l == NULL || !l->paused)
		return false;
	l->paused = false;
	l->paused_since = 0;
	q->n_paused_accounts--;
	lane_unshut(l);
	*at = l;
	return true;
}

/* Attempts of its mail that have not begun are taken back. */
static void
take_back(struct queue *q, const char *account)
{
	struct message *m;
	size_t pos = 0;

	while ((m = htab_next(q->messages, &pos, NULL)) != NULL)
		if (m->rec->account != NULL &&
		    strcmp(m->rec->account, account) == 0)
			message_take_back(m);
}

void
queue_op_account_pause(struct queue *q, const char *name,
    queue_op_done *done, void *arg)
{
	struct lane *l;

	if (!is_ready(q, done, arg))
		return;
	if (conf_account_find(q->conf, name) == SIZE_MAX) {
		done(arg, 0, QUEUE_OP_UNKNOWN, "there is no such account");
		return;
	}
	l = lane_special(q, "account", name, true);
	if (l->paused) {
		done(arg, 0, QUEUE_OP_NOTHING, "is paused already");
		return;
	}
	l->paused = true;
	l->paused_since = clock_real_ms();
	q->n_paused_accounts++;
	lane_shut(l);
	take_back(q, name);
	steer_log("pause", "account", name);
	lane_save(l, done, arg);
}

/* ---- resume takes either name ---- */

static void
resume(struct queue *q, const char *name, bool account, queue_op_done *done,
    void *arg)
{
	size_t i = conf_account_find(q->conf, name);
	bool transport = is_transport(q, name) ||
	    (!account && was_transport(q, name)), changed = false;
	const char *own = NULL;
	struct lane *at = NULL;

	if (i != SIZE_MAX && q->conf->accounts[i].transport != SIZE_MAX)
		own = q->conf->transports[q->conf->accounts[i].transport].name;
	/* What it is called for, then what is parked under the other name. */
	if (account || !transport)
		changed |= resume_account(q, name, &at);
	if (transport || own != NULL) {
		struct lane *base = lane_named(q, transport ? name : own);

		if (resume_lanes(q, base, account)) {
			changed = true;
			if (at != NULL)
				lane_save(at, NULL, NULL);
			at = base;
		}
	}
	if (changed) {
		steer_log("resume", account ? "account" : "transport", name);
		lane_save(at, done, arg);
	} else if (!transport && i == SIZE_MAX) {
		done(arg, 0, QUEUE_OP_UNKNOWN, account ?
		    "there is no such account" : "there is no such transport");
	} else {
		done(arg, 0, QUEUE_OP_NOTHING, account ?
		    "is neither paused nor parked" :
		    "is neither paused, parked nor unreachable");
	}
}

void
queue_op_transport_resume(struct queue *q, const char *name,
    queue_op_done *done, void *arg)
{
	if (is_ready(q, done, arg))
		resume(q, name, false, done, arg);
}

void
queue_op_account_resume(struct queue *q, const char *name,
    queue_op_done *done, void *arg)
{
	if (is_ready(q, done, arg))
		resume(q, name, true, done, arg);
}

/*
 * What falls due in a lane that takes no mail: it takes the next transport of
 * its route that does, at the same due time; else it is moved to its next due
 * time with an attempt counted, without a job and without a connection.  Run
 * by queue, at the lowest priority: one bounded move at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/internal.h"

#define BITE 64
/* Messages of one move, which is one transaction at most. */
#define MOVE_MAX 256
/* Attempts that are given up in one turn. */
#define GIVE_UP_MAX 256

bool
route_admitted(struct route_pick *pick)
{
	unsigned i, k;

	for (i = 0; i < pick->n_via; i++)
		if (lane_admits(pick->via[i]))
			break;
	if (i == pick->n_via)
		return false;
	for (k = 0; i + k < pick->n_via; k++)
		pick->via[k] = pick->via[i + k];
	pick->n_via = k;
	return true;
}

/* ---- one recipient ---- */

/* It is closed for want of what a policy demands.  What delivery said of it is
 * all that is kept over a restart. */
static bool
lane_is_unsafe(const struct lane *l)
{
	return policy_binds(l) && l->why != NULL &&
	    strstr(l->why, "MTA-STS") != NULL;
}

static void
trouble_status(const struct lane *l, uint8_t status[3])
{
	status[0] = 4;
	status[1] = 3;
	status[2] = 2;			/* paused */
	if (lane_is_gone(l)) {
		status[2] = 5;
	} else if (l->closed == CLOSED_UNREACHABLE) {
		status[1] = lane_is_unsafe(l) ? 7 : 4;
		status[2] = lane_is_unsafe(l) ? 5 : 1;
	} else if (l->closed != CLOSED_NOT) {
		status[1] = 7;
		status[2] = 0;
	}
}

static char *
trouble_reply(const struct lane *l, const uint8_t status[3])
{
	struct strbuf text = STRBUF_INIT;
	char *reply;

	strbuf_printf(&text, "451 %u.%u.%u ", status[0], status[1],
	    status[2]);
	lane_trouble(l, &text);
	reply = mem_strdup(strbuf_cstr(&text));
	strbuf_free(&text);
	return reply;
}

void
closed_defer(struct message *m, size_t i, const struct route_pick *pick,
    struct retry_time *t, enum log_level level)
{
	struct record *r = m->rec;
	struct record_rcpt *rc = &r->rcpt[i];
	struct lane *l = pick->via[0], *to;
	uint64_t now = clock_real_ms(), due, end;
	uint8_t status[3];

	rc->attempts++;
	rc->last_attempt = now;
	trouble_status(l, status);
	settle_set_reply(rc, 451, status, trouble_reply(l, status));
	free(rc->remote);
	rc->remote = NULL;
	settle_choice(r, l->name[0] != 0 ? l->name : NULL, pick->route);
	due = retry_time(m->q, t, rc->attempts, now);
	end = expire_stands_still(l) ? expire_last(m->q, r) :
	    retry_expires(m->q, r);
	if (due > end)
		due = end > now ? end : now;
	settle_reschedule(m, i, due);
	to = rc->state == RCPT_PENDING ? lane_of_id(m->q, rc->lane) : NULL;
	if (to != NULL)
		to->last_counted = now;
	line_moved(level, m, i);
}

/* ---- due entries ---- */

/* The recipients of m that stand there; true: something has changed. */
static bool
move_message(struct message *m, struct lane *l, const struct store_due *d)
{
	struct record *r = m->rec;
	struct retry_time t = { 0, 0 };
	uint64_t now = clock_real_ms();
	struct route_pick pick;
	bool deferred = false, changed = false;
	size_t i;

	expire_uncount(m, l, now);
	for (i = 0; i < r->env->recipient_count; i++) {
		struct record_rcpt *rc = &r->rcpt[i];

		if (rc->state != RCPT_PENDING || rc->due != d->time ||
		    rc->lane != d->lane)
			continue;
		if (expire_is_over(m, i, now)) {
			changed = true;
			continue;
		}
		route_pick(m->q, r, i, &pick);
		if (pick.n_via == 0) {
			settle_fail(m, i, RCPT_FAILED, 550, 1, 1,
			    "User unknown");
		} else if (!route_admitted(&pick)) {
			closed_defer(m, i, &pick, &t, LL_DEBUG);
			deferred = true;
		} else if (pick.via[0] != l) {
			rc->lane = lane_line(pick.via[0],
			    (d->lane & LINE_FRESH) != 0 ? LINE_FRESH :
			    LINE_RETRY);
		} else {
			continue;	/* its probe is about to be made */
		}
		changed = true;
	}
	if (deferred)
		settle_warn(m);
	return changed;
}

/* 1: it is on its way. */
static unsigned
move_entry(struct lane *l, const struct store_due *d)
{
	struct queue *q = l->q;
	bool loaded, changed;
	struct message *m = schedule_message(q, d, false, &loaded);

	if (m == NULL || m->moving)
		return 0;
	changed = move_message(m, l, d);
	if (changed) {
		m->moving = true;
		q->n_moving++;
		message_touch(m, false);
	}
	message_rest(m);
	return changed;
}

/* false: there is more than one move may hold. */
static bool
move_line(struct lane *l, enum line line, unsigned *room)
{
	struct store_due d[BITE], after;
	const struct store_due *from = NULL;
	uint64_t now = clock_real_ms();
	size_t i, n;

	do {
		n = store_due_scan(l->q->store, lane_line(l, line), NEVER,
		    from, d, BITE);
		for (i = 0; i < n; i++) {
			if (d[i].time > now || *room == 0) {
				l->next_due[line] = d[i].time;
				return d[i].time > now;
			}
			*room -= move_entry(l, &d[i]);
		}
		if (n > 0) {
			after = d[n - 1];
			from = &after;
		}
	} while (n == BITE);
	l->next_due[line] = NEVER;
	return true;
}

static void
closed_move(struct lane *l)
{
	unsigned room = MOVE_MAX;
	enum line line;

	/* One move at a time, whatever lanes it is of. */
	if (l->q->n_moving > 0)
		return;
	for (line = 0; line < LINES && room > 0; line++)
		if (l->next_due[line] <= clock_real_ms())
			(void)move_line(l, line, &room);
	if (room < MOVE_MAX) {
		l->q->mover = l;
		log_begin(LL_DEBUG, "moved");
		log_str("transport", l->name);
		log_num("messages", (int64_t)(MOVE_MAX - room));
		log_end();
	}
}

static void
kick_due(struct lane *l)
{
	if (!lane_is_open(l) && closed_wake(l) <= clock_real_ms())
		lane_kick(l->q, l);
	else
		lane_changed(l);
}

void
closed_moved(struct message *m)
{
	struct queue *q = m->q;
	struct lane *l;

	if (!m->moving)
		return;
	m->moving = false;
	if (--q->n_moving > 0)
		return;
	/* The turn is the next lane's. */
	l = q->mover != NULL ? TAILQ_NEXT(q->mover, link) : NULL;
	for (; l != NULL; l = TAILQ_NEXT(l, link))
		kick_due(l);
	TAILQ_FOREACH(l, &q->lanes, link)
		kick_due(l);
}

/* ---- attempts ---- */

static enum job_class
class_of(const struct lane *l)
{
	return l->closed == CLOSED_CREDENTIAL ? JOB_CREDENTIAL :
	    l->closed == CLOSED_QUOTA || l->closed == CLOSED_DAILY ?
	    JOB_QUOTA : JOB_UNREACHABLE;
}

void
closed_attempt(struct attempt *a)
{
	struct message *m = a->m;
	struct strbuf text = STRBUF_INIT;
	struct msg_job_done d;

	if (lane_is_offline(a->lane) || a->early) {
		lease_undo(a);
		message_finish(m);
		message_touch(m, true);
		return;
	}
	memset(&d, 0, sizeof(d));
	d.class = (uint8_t)class_of(a->lane);
	lane_trouble(a->lane, &text);
	d.text = mem_strdup(strbuf_cstr(&text));
	settle_unusable(a, &d);
	msg_job_done_clear(&d);
	strbuf_free(&text);
}

static struct attempt *
attempt_to_give_up(const struct lane *l)
{
	struct attempt *a;

	if ((a = TAILQ_FIRST(&l->waiting)) != NULL ||
	    (a = TAILQ_FIRST(&l->ahead)) != NULL ||
	    (a = TAILQ_FIRST(&l->fetched)) != NULL)
		return a;
	TAILQ_FOREACH(a, &l->q->unsent, wait)
		if (a->lane == l && !a->probe)
			return a;
	return NULL;
}

/* What has its lease and was not sent yet. */
static bool
closed_attempts(struct lane *l)
{
	struct attempt *a;
	struct message *m;
	unsigned n;

	for (n = 0; n < GIVE_UP_MAX; n++) {
		a = attempt_to_give_up(l);
		if (a == NULL)
			return true;
		m = a->m;
		attempt_unwait(a);
		closed_attempt(a);
		message_rest(m);
	}
	return false;
}

bool
closed_run(struct lane *l)
{
	if (!closed_attempts(l))
		return false;
	if (lane_is_offline(l))
		return true;
	if (l->closed == CLOSED_DAILY && l->next_probe <= clock_real_ms()) {
		lane_reopen(l, "its day is over");
		return true;
	}
	(void)probe_run(l);
	closed_move(l);
	return true;
}

uint64_t
closed_wake(const struct lane *l)
{
	uint64_t at, due = l->next_due[LINE_RETRY] < l->next_due[LINE_FRESH] ?
	    l->next_due[LINE_RETRY] : l->next_due[LINE_FRESH];

	if (due == NEVER && l->closed != CLOSED_DAILY)
		return NEVER;		/* the next message is its probe */
	if (lane_is_offline(l))
		return NEVER;
	at = l->q->n_moving == 0 ? due : NEVER;
	if (l->closed != CLOSED_NOT && l->probe_id == 0 &&
	    !lane_is_paused(l) && !lane_is_gone(l) && l->next_probe < at)
		at = l->next_probe;
	return at;
}

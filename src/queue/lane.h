/* Lanes: who shares slots and fate, what opens and closes them, and what
 * becomes of mail while they are closed.  A part of queue/internal.h. */
#ifndef QUEUE_LANE_H
#define QUEUE_LANE_H

#include <sys/queue.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/msg.h"
#include "queue/queue.h"
#include "queue/rate.h"
#include "queue/share.h"
#include "queue/window.h"
#include "store/store.h"

#define NEVER UINT64_MAX

enum line { LINE_RETRY, LINE_FRESH, LINES };

/* Why a lane takes no mail, until a probe succeeds (or the time has come). */
enum closure {
	CLOSED_NOT = 0,
	CLOSED_UNREACHABLE = 1,		/* resolve, connect, greeting, TLS */
	CLOSED_CREDENTIAL = 2,		/* refused */
	CLOSED_QUOTA = 3,		/* the provider's, as it has told */
	CLOSED_DAILY = 4,		/* `daily` is used up; next_probe is
					 * when it opens, without a probe */
	CLOSED_OFFLINE = 5		/* queue->us alone: no network */
};

struct attempt;
struct message;
struct op_wait;
struct peer;
struct retry_time;
struct route_pick;
TAILQ_HEAD(attempt_list, attempt);
TAILQ_HEAD(op_list, op_wait);

/* A lane, or one of two things that wait in the same way and are kept in the
 * same table: a paused account (its mail stands in a lane of its own, and
 * finds its way back by the routes) and `us`, the machine without a network
 * (no mail; it closes all network lanes as one).  Their name is "".
 *
 * Closed, paused or gone: what falls due there is moved to its next due time
 * with attempts + 1, or takes the next transport of its route (closed.c). */
struct lane {
	TAILQ_ENTRY(lane) link;
	struct queue *q;
	uint32_t id;			/* even; + LINE_FRESH the other line */
	char *name;			/* transport; "" for a lost lane */
	char *site;			/* direct delivery: the name of a set
					 * of next hops; NULL */
	char *account;			/* a paused account's; NULL */
	struct lane *base;		/* the same transport without site, or
					 * itself: it has the pause */
	struct strbuf key;		/* text in the store's table */
	bool stored;			/* the table has it */

	/* Kept in the table, lane_state.c; change it by the functions of
	 * breaker.c and steer.c, which save it. */
	enum closure closed;
	bool paused;			/* by the administrator, beside it */
	char *why;			/* of `closed`; printable */
	uint64_t since, until;		/* wall ms: closed or paused; until is 0
					 * while it lasts, since once it never
					 * was */
	bool still;			/* that time does not count for expire */
	uint64_t paused_since;		/* wall ms */
	uint64_t next_probe;		/* wall ms, NEVER: none by itself */
	uint32_t step;			/* probes that have failed */
	uint64_t probe_id;		/* the message of the probe under way */
	bool drain;			/* all that waited at drain_from is due
					 * now, once */
	uint64_t drain_from;		/* wall ms: what was tried since is
					 * not meant */
	/* and what is not */
	struct store_due drained[LINES];	/* how far, in each line */
	bool drain_begun[LINES], drain_done[LINES];
	unsigned failures;		/* in a row, before MAIL */
	uint64_t reached_at;		/* mono ms of the last success, 0 */
	bool proven;			/* its credential was accepted */
	unsigned epoch;			/* how often it was closed */
	bool probe_again;		/* what is under way is of an old
					 * configuration or credential */
	bool asked;			/* a probe is wanted once the message
					 * that asks for it is due */
	bool letting;			/* a probe is being leased */
	bool early;			/* and was not due */
	bool asking, unknown;		/* its site is being asked for, or
					 * nobody knows it */
	uint64_t last_counted;		/* wall ms: of its latest attempt */
	bool dirty, saving;		/* to be written, being written */
	TAILQ_ENTRY(lane) dirty_link;
	struct op_list ops;		/* wait for that */
	const struct conf_transport *transport;	/* NULL: gone */
	bool direct;			/* the built-in one */
	bool by_mx;			/* has a lane for each site */
	bool in_use;			/* for sites_prune() */
	bool us;			/* stands for the machine's network */
	bool configured;		/* lane_configure() has seen it */
	bool network;			/* needs the machine's network */
	bool remote;			/* for delivery, since that view: */
	unsigned since_view;
	unsigned window;		/* attempts at a time */
	struct window win;		/* connections, window.c */
	struct rate *rate;		/* its transport's; NULL: no limit */
	unsigned active[LINES];
	uint64_t next_due[LINES];	/* wall ms, NEVER */
	bool ready;			/* on queue->ready */
	TAILQ_ENTRY(lane) ready_link;
	bool changed;			/* on queue->changed */
	TAILQ_ENTRY(lane) changed_link;
	struct attempt_list waiting;	/* came by fail-over, wait for a slot */
	unsigned n_away;		/* have a slot here, and do not use it */
	struct attempt_list ahead;	/* fresh, leased before its slot is free */
	struct attempt *last_light;	/* those in front of it are all light;
					 * NULL: none is */
	size_t n_ahead, ahead_octets;
	struct attempt_list fetched;	/* retries, leased while all slots are
					 * in use: at hand for the next */
	size_t n_fetched;
	bool fetching;			/* such are being leased */
	unsigned deficit;		/* messages of its turn that are left */
	unsigned served;		/* for taking turns inside of it */
	bool hungry;			/* on queue->share.hungry */
	TAILQ_ENTRY(lane) hungry_link;
	char *last_error;
	uint64_t last_error_at;
	uint64_t connects[3], sents[3];	/* metrics.c */
};
TAILQ_HEAD(lane_list, lane);

/* ---- breaker.c: whether a lane is open, and what opens and closes it ---- */
/* Takes mail now.  Not: closed, paused, or its transport is gone from the
 * configuration; or there is no network. */
bool lane_is_open(const struct lane *l);
/* The same, or its next message will be its probe. */
bool lane_admits(const struct lane *l);
/* There is no network, and it needs one: its mail waits, nothing is moved. */
bool lane_is_offline(const struct lane *l);
/* Paused, or its transport is. */
bool lane_is_paused(const struct lane *l);
/* Its transport is not in the configuration: pinned mail waits. */
bool lane_is_gone(const struct lane *l);
/* Attempts at a time by its state: none while it is closed or while its first
 * failure is being judged, one while its credential is unproven, else its
 * window. */
unsigned lane_gate(const struct lane *l);
/* An attempt by a->lane has not got to MAIL (JOB_UNREACHABLE, JOB_CREDENTIAL,
 * JOB_QUOTA, JOB_OFFLINE), or has (anything else that came from there). */
void lane_failed(struct attempt *a, enum job_class class, const char *text);
void lane_reached(struct attempt *a);
/* next: wall ms of the first probe, 0: by its steps, NEVER: none. */
void lane_close(struct lane *l, enum closure how, const char *why,
    uint64_t next);
/* All that waits in it is due now, each once. */
void lane_reopen(struct lane *l, const char *why);
/* The probe is to be made now rather than at its time. */
void lane_probe_now(struct lane *l);
/* Its attempt has ended, whatever came of it. */
void lane_probe_ended(struct lane *l);
/* "unreachable" and the like, as in the log; text for people of why mail
 * does not leave now. */
const char *closure_name(enum closure how);
void lane_trouble(const struct lane *l, struct strbuf *out);

/* ---- park.c: credentials, quotas, the network: when to try again ---- */
/* ms until the probe behind so many that have failed. */
uint64_t probe_step(const struct lane *l);
/* When a quota is over, as the reply tells (wall ms), else 0. */
uint64_t park_reset_time(const char *text, uint64_t now);
/* The grant is gone for good: only a human can help. */
bool park_needs_human(const char *text);
/* The clock may have been set back. */
void park_clock(struct queue *q);
/* A reload may have brought a new credential: each parked one is tried. */
void park_view(struct queue *q);
/* There is something new to log in with by that transport. */
void park_credential(struct queue *q, const char *transport);
/* A new auth: what nothing but a human can end is tried once, as he may have
 * done so while nobody looked. */
void park_auth(struct queue *q);
/* Begins (now is 0) or ends the time in which a lane takes no mail. */
void lane_shut(struct lane *l);
void lane_unshut(struct lane *l);
/* No network, and the network is back. */
void offline_begin(struct queue *q, const char *text);
void offline_end(struct queue *q);
/* At its time: one message by any network lane tells whether it is back. */
void offline_run(struct queue *q);
/* When that is to be done, wall ms; NEVER. */
uint64_t offline_wake(struct queue *q);

/* ---- steer.c: pause and resume of transports and accounts ---- */
/* The lane where an account's mail waits while it is paused, or NULL. */
struct lane *account_lane(const struct queue *q, const char *account);

/* ---- probe.c ---- */
/* One waiting message of the lane tells whether it, or the network, is back.
 * uncounted: even one that is due is as it was if it does not get to MAIL.
 * true: it has begun. */
bool probe_begin(struct lane *l, bool uncounted);
/* The attempt is a probe no more. */
void probe_over(struct attempt *a);
/* A probe has got to MAIL: it counts, and as this opening's turn. */
void probe_counts(struct attempt *a);
/* One waiting message, the earliest due, where it is time for that.  true: it
 * has begun. */
bool probe_run(struct lane *l);
/* The probe has failed before MAIL, and was not due: as if it had not been. */
void probe_restore(struct attempt *a, struct msg_job_done *d);

/* ---- closed.c: what falls due in a lane that takes no mail ---- */
/* The first transport that admits mail comes first; false: none does.  `pick`
 * is left as it is then. */
bool route_admitted(struct route_pick *pick);
/* At the end of a turn: moves what is due, makes the probe.  false: there is
 * more than one turn should do. */
bool closed_run(struct lane *l);
/* A recipient falls due and cannot leave: an attempt is counted, and it is due
 * at its next time. */
void closed_defer(struct message *m, size_t i, const struct route_pick *pick,
    struct retry_time *t, enum log_level level);
/* An attempt that is recorded and not sent yet, whose lane has closed. */
void closed_attempt(struct attempt *a);
/* When it has something to do, wall ms; NEVER. */
uint64_t closed_wake(const struct lane *l);
/* The change of a message with m->moving has ended. */
void closed_moved(struct message *m);

/* ---- drain.c: a lane has been opened again ---- */
void drain_begin(struct lane *l);
/* A change that was under way then has ended. */
void drain_missed(struct message *m);
/* Something may still be found beyond what is due. */
bool drain_waits(const struct lane *l, enum line line);
/* Starts up to max messages of what waits; returns how many, or what it has
 * cost to find none. */
unsigned drain_line(struct lane *l, enum line line, unsigned max);

/* ---- lane_state.c: what the table knows of a lane ---- */
void lane_state_encode(const struct lane *l, struct strbuf *out);
/* Octets of another version are of no use: the lane is open then. */
void lane_state_decode(struct lane *l, struct slice state);
/* Written at the end of this turn; done (may be NULL) once that is durable. */
void lane_save(struct lane *l, queue_op_done *done, void *arg);
void lanes_write(struct queue *q);

/* ---- expire.c: time that counts, and time that does not ---- */
/* Before a recipient of m is judged in lane l: the time that l was closed, or
 * there was no network, since m was looked at last is taken off. */
void expire_uncount(struct message *m, const struct lane *l, uint64_t now);
/* Wall ms at which it ends by `expire` and `expire-max`. */
uint64_t retry_expires(const struct queue *q, const struct record *r);
/* Its arrival, as if the clock had always been as it is now. */
uint64_t expire_from(const struct queue *q, const struct record *r);
/* Wall ms at which it ends by `expire-max` alone. */
uint64_t expire_last(const struct queue *q, const struct record *r);
/* Time does not count against mail that waits for this lane. */
bool expire_stands_still(const struct lane *l);
/* Its life has ended by now, and it was tried since: it is failed. */
bool expire_is_over(struct message *m, size_t i, uint64_t now);
/* Notes a clock that was set forward. */
void expire_look(struct queue *q);

/* ---- lane.c ---- */
void lanes_load(struct queue *q);
/* Alerts hear of those that are closed since before the start. */
void lanes_tell(struct queue *q);
void lanes_configure(struct queue *q);
void lanes_free(struct queue *q);
/* Nothing refers to it any more, and nothing in the store is in it. */
void lane_forget(struct queue *q, struct lane *l);
struct lane *lane_named(struct queue *q, const char *transport);
struct lane *lane_at(struct queue *q, const char *transport,
    const char *site);
struct lane *lane_of_id(const struct queue *q, uint32_t id);
static inline uint32_t
lane_line(const struct lane *l, enum line line)
{
	return l->id + (uint32_t)line;
}
/* Mail waits here for the site of its domain. */
static inline bool
lane_resolves(const struct lane *l)
{
	return l->by_mx && l->site == NULL;
}
/* Attempts of it that are under way; those that have come by fail-over count
 * where they are now. */
static inline unsigned
lane_used(const struct lane *l)
{
	return l->active[LINE_RETRY] + l->active[LINE_FRESH] - l->n_away;
}
static inline unsigned
lane_free_slots(const struct lane *l)
{
	unsigned used = l->active[LINE_RETRY] + l->active[LINE_FRESH];
	unsigned most = lane_gate(l), room;

	if (lane_resolves(l))		/* what has gone to its site */
		used -= l->n_away;
	if (used >= most)
		return 0;
	room = rate_room(l);
	if (share_room(l) < room)
		room = share_room(l);
	return most - used < room ? most - used : room;
}
/* Leases that it may be given now. */
static inline unsigned
lane_lease_room(const struct lane *l)
{
	if (!l->fetching)
		return lane_free_slots(l);
	return l->window > l->n_fetched ? l->window -
	    (unsigned)l->n_fetched : 0;
}
/* An attempt that has come by fail-over holds the slot of its home until it
 * ends: those whose holders are away are free for others that come so, or two
 * lanes that hand on to each other would wait for each other. */
static inline bool
lane_has_room(const struct lane *l)
{
	return lane_used(l) < lane_gate(l) && rate_room(l) > 0;
}
/* Mail goes to it through delivery, over a network that can be gone. */
bool lane_is_network(const struct lane *l);
bool lane_is_local(const struct lane *l);
/* Recipients of one attempt. */
size_t lane_recipients(const struct lane *l);
/* An entry is in the due table now. */
void lane_due(struct queue *q, uint32_t lane_id, uint64_t time);
/* Look at it at the end of this turn. */
void lane_kick(struct queue *q, struct lane *l);
/* When it has to be looked at may be another time now. */
void lane_changed(struct lane *l);
/* New mail may be leased: nothing of its line waits in the store, or the
 * sender is one who need not wait for that. */
bool lane_takes_fresh(const struct message *m, const struct lane *l,
    uint64_t now);
/* One that is no transport's: of a paused account, or `us`. */
struct lane *lane_special(struct queue *q, const char *kind,
    const char *name, bool make);

#endif

/* What the files of the room queue share.  See queue.h for the outside.
 *
 * A message is in RAM (struct message) only while something happens to it:
 * while it is being stored, attempted or changed.  Its record in RAM is then
 * the truth, and the store follows: message_touch() marks it, one change for
 * each message is made at the end of the turn, and never more than one is
 * under way, so that a failed one is simply made anew from the record.
 *
 * A lane has two lines in the due table, so that fresh mail and retries can
 * share its slots whatever their numbers: lane->id + LINE_RETRY and + LINE_
 * FRESH.  The `lane` and `due` of a recipient are exactly the key of a due
 * entry, STORE_LEASED included. */
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include <string.h>
#include <sys/queue.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/num.h"
#include "conf/local_choice.h"
#include "ipc/port.h"
#include "ipc/role.h"
#include "queue/lane.h"
#include "queue/queue.h"
#include "queue/rate.h"
#include "queue/share.h"
#include "queue/window.h"

#define VIA_MAX 16
/* Messages whose results the store does not take stay in RAM; from so many on
 * nothing new is begun. */
#define FAILING_MAX 100

TAILQ_HEAD(message_list, message);

/* A listener or a delivery process. */
struct peer {
	TAILQ_ENTRY(peer) link;
	struct queue *q;
	enum role role;
	uint32_t slot;
	struct port *port;		/* NULL: gone */
	unsigned refs;			/* messages that still answer to it */
	bool returning;			/* delivery: takes no more jobs */
	unsigned since;			/* queue->views when it came */
	struct msg_stats stats;		/* listener */
	struct htab *links;		/* delivery: struct window_link by
					 * lane->id; NULL: none yet */
	uint64_t octets;		/* that its jobs hold */
};
TAILQ_HEAD(peer_list, peer);

struct due_key {
	uint32_t lane;
	uint64_t time;
};

struct due_keys {
	struct due_key *v;
	size_t n;
};

/* What is known of a recipient beside the record, while in RAM. */
struct rcpt_note {
	uint64_t delivered_at;
	char *tls, *verify;		/* as in struct msg_job_done */
	char *spf;			/* of the last attempt, or NULL */
	uint8_t report, delay;		/* enum tell: a report says so */
};

enum tell { TELL_NOTHING, TELL_WANTED, TELL_WRITING };

struct op_wait {
	TAILQ_ENTRY(op_wait) link;
	queue_op_done *done;
	void *arg;
	bool written;			/* in the change under way */
};

struct message {
	struct queue *q;
	uint64_t id;
	struct record *rec;
	struct rcpt_note *note;
	struct strbuf body;		/* while an attempt may need it */
	bool has_body;
	struct attempt_list attempts;
	struct op_list ops;

	bool stored;			/* the store has it */
	struct due_keys keys;		/* what the store has of it */
	uint8_t counted;		/* enum store_count; COUNT_KINDS: no */

	bool dirty, urgent, retrying;	/* a change is wanted */
	bool failing;			/* the last one has failed */
	TAILQ_ENTRY(message) dirty_link;
	bool again;			/* another change behind this one */
	bool writing;			/* a change is under way; its: */
	struct due_keys next_keys;
	struct due_keys reports;	/* where its reports are due */
	uint8_t next_counted;
	bool next_gone, gone;		/* no longer in the store */
	const char *commit_fault, *done_fault;	/* names of fault points */

	bool light;			/* new, and need not wait behind heaps */
	bool moving;			/* one of queue->n_moving */
	bool missed;			/* a drain has begun while a change of
					 * it was under way */
	bool pinning;			/* for the fault points */
	bool removing, bouncing;	/* once its attempts have ended */
	bool damaged;			/* goes to quarantine */
	const char *end;		/* "removed" and the like; NULL */

	struct peer *origin;		/* a listener that waits for 250 */
	uint64_t origin_ref;
	size_t origin_octets;
};

enum attempt_state {
	ATTEMPT_LEASING,		/* to be recorded */
	ATTEMPT_RECORDING,		/* in the change under way */
	ATTEMPT_SITE,			/* for the site of its domain */
	ATTEMPT_SLOT,			/* on lane->waiting or home->ahead */
	ATTEMPT_UNSENT,			/* on queue->unsent: no peer has room */
	ATTEMPT_RUNNING
};

/* One try of some recipients of a message by one transport after the other,
 * as far as `via` allows. */
struct attempt {
	TAILQ_ENTRY(attempt) link;	/* of the message */
	TAILQ_ENTRY(attempt) wait;	/* SITE, SLOT, UNSENT */
	struct message *m;
	enum attempt_state state;
	struct lane *home;		/* whose lease and slot it has */
	enum line line;
	bool undo;			/* taken back, once it is recorded */
	bool away;			/* its slot at home is not in use */
	bool probe;			/* of its home, which is closed */
	bool early;			/* probe that was not due: not counted
					 * unless it gets to MAIL */
	unsigned epoch;			/* of its lane when it was sent */
	bool ahead;			/* has its lease, but no slot yet: */
	bool fetched;			/* on home->fetched, not home->ahead */
	uint64_t octets;		/* that its job holds */
	size_t ahead_octets;		/* its part of queue->ahead_octets */
	struct lane *lane;		/* of the transport tried now */
	struct lane *via[VIA_MAX];
	unsigned n_via, at;
	struct rate *rate, *account_rate; /* where it is counted, and may yet
					 * be given back */
	struct rate *promise;		/* of its account, while ahead */
	char *route;			/* FILE:LINE, or NULL */
	uint32_t *rcpt;			/* indexes */
	size_t n_rcpt;
	uint64_t due;			/* when it fell due */
	uint64_t fallback;		/* time of the lease's due entry */
	uint64_t started;		/* wall ms */
	uint64_t sent_us;		/* monotonic, when the job went out */
	struct peer *peer;		/* RUNNING at delivery */
	struct site *site;		/* SITE */
};

struct route_pick {
	struct lane *via[VIA_MAX];	/* none: no such local user */
	unsigned n_via;
	const struct conf_route *route;	/* NULL: none matched */
};

struct retry_time {
	uint32_t attempts;
	uint64_t time;			/* 0: not chosen yet */
};

struct commit {
	struct store_change *change;
	bool lazy;
	const char *fault;
	store_done *done;
	void *arg;
};

/* The clock was set forward while mail waited: that time has not passed.  The
 * latest few are kept, in the state of queue->us. */
#define JUMPS_MAX 16
struct clock_jumps {
	struct {
		uint64_t before;	/* wall ms; what came until then */
		uint64_t by;		/* has so much more time */
	} v[JUMPS_MAX];
	size_t n;
	int64_t ahead;			/* wall - mono at the last look */
	bool looked;
};

struct queue {
	struct role_base base;
	struct loop *loop;
	struct conf *conf;
	unsigned views;			/* how many there have been */
	struct conf_local *names;	/* local-domains and aliases */
	TAILQ_HEAD(question_list, question) questions;	/* to monitor */
	const struct conf_transport *local;	/* named `local`, or NULL */

	struct store *store;
	int memory_fd;			/* for it, until it is open; -1 */
	struct loop_waker *waker;
	struct commit *commits;		/* of this turn */
	size_t n_commits;
	struct loop_task flush;
	bool draining, ended;

	struct peer_list listeners, deliveries, auths;
	struct attempt_list unsent;

	struct htab *messages;		/* in RAM, by id */
	struct message_list dirty;
	struct message_list failed;	/* change to be made anew */
	struct loop_timer failed_timer;
	size_t n_failing;
	size_t active;			/* messages with an attempt */
	size_t ahead_octets;		/* RAM for what waits in lane->ahead */

	struct lane_list lanes;
	struct htab *lane_by_key, *lane_by_id;
	struct lane_list ready;
	struct lane_list changed;	/* may have to be looked at sooner
					 * than at alarm_at */
	uint32_t next_lane;
	struct share share;
	struct htab *rates;		/* by the names of their notes */
	TAILQ_HEAD(rate_list, rate) dirty_rates;
	struct lane *lane_direct;
	struct lane **lane_of;		/* by index of conf->transports */
	struct sites *sites;
	struct policies *policies;
	struct lane *us;		/* closed: there is no network */
	struct lane_list dirty_lanes;
	bool lanes_failing;		/* the store did not take one */
	unsigned n_paused_accounts;
	size_t n_moving;		/* messages of the move under way, */
	struct lane *mover;		/* in that lane */
	struct clock_jumps jumps;

	struct loop_alarm alarm;
	uint64_t alarm_at;		/* wall ms, NEVER */
	bool clock_moves;		/* tests set the clock */
	uint64_t far_looked;		/* mono ms, 0: never */
	bool far_more;
	struct loop_timer sweep;
	struct loop_task after_reply;	/* fault point */
	bool disk_short, files_short;
	struct alerts *alerts;
	struct metrics *metrics;
	uint64_t last_id;		/* of our own reports */

	struct msg_status status;
	bool has_status;
	struct queue_control control;
	void *control_arg;
};

/* ---- queue.c ---- */
/* Runs lanes, makes changes, commits, at the end of this turn. */
void queue_later(struct queue *q);
void queue_commit(struct queue *q, struct store_change **c, bool lazy,
    const char *fault, store_done *done, void *arg);
/* Takes an entry out of the due table that stands for nothing. */
void queue_drop_due(struct queue *q, uint32_t lane, uint64_t time,
    uint64_t id);

/* ---- peers.c ---- */
void peer_closed(void *arg, const struct err *why);
int peer_add(struct queue *q, const struct msg_peer *m, int fd,
    struct err *e);
void peer_unref(struct peer **p);
/* The next delivery in turn that has credit and knows the transport (monitor
 * brings new ones behind each view), or NULL. */
struct peer *peer_for_job(struct queue *q, const struct lane *l);
void peer_answer(struct peer *p, uint64_t ref, uint16_t code, uint8_t subject,
    uint8_t detail, const char *text);
void peers_free(struct queue *q);

/* ---- auths.c ---- */

extern const struct port_handler auths_handler;
/* Hands a caller of the control socket to auth (fd is closed here).  false:
 * there is none at present. */
bool auths_call(struct queue *q, const struct msg_oauth_call *m, int fd);

/* ---- ingest.c ---- */
int ingest_mail(struct peer *p, struct port_message *pm, struct err *e);
void ingest_want(struct peer *p, const struct port_message *pm);
void ingest_verify(struct peer *p, const struct port_message *pm);
/* The change of a new message has ended: 250, or why not. */
void ingest_answer(struct message *m, int code);
/* Is there too little room for new mail?  Judged anew, with hysteresis. */
bool ingest_disk_short(struct queue *q);
/* For bodies that are files of their own, if not for the others. */
bool ingest_files_short(struct queue *q);

/* ---- message.c ---- */
/* In RAM already, or NULL. */
struct message *message_find(const struct queue *q, uint64_t id);
/* From the store where it is not in RAM; NULL as store_get. */
struct message *message_load(struct queue *q, uint64_t id, bool body,
    struct err *e);
/* A new one around a record, not stored yet. */
struct message *message_new(struct queue *q, struct record **rec);
/* The body is in RAM or a file; -1: it cannot be read (EILSEQ: damaged). */
int message_need_body(struct message *m, struct err *e);
/* Gives up RAM that nothing needs any more: the body, or all of it. */
void message_rest(struct message *m);
void message_free(struct message *m);
/* Attempts that are not yet under way are taken back as if they had not
 * been begun. */
void message_take_back(struct message *m);
enum store_count message_class(const struct record *r);
/* Some recipient of it is being delivered. */
bool message_active(const struct message *m);

/* ---- message_write.c ---- */
void message_touch(struct message *m, bool urgent);
/* Its last change has failed, or has not. */
void message_failing(struct message *m, bool failing);
/* The due entries that the record stands for; out is empty before. */
void message_keys(const struct record *r, struct due_keys *out);
/* Makes the change.  store_new_message*() stands in it when c is not NULL. */
void message_write(struct message *m, struct store_change *c);

/* ---- ops.c ---- */
/* Applies what waited for the attempts to end: remove, bounce. */
void message_finish(struct message *m);

/* ---- route.c ---- */
void route_configure(struct queue *q);
bool route_is_local(const struct queue *q, const char *address);
void route_pick(struct queue *q, const struct record *r, size_t i,
    struct route_pick *out);
char *route_text(const struct conf_route *route);

/* ---- site.c ---- */
void sites_init(struct queue *q);
void sites_free(struct queue *q);
/* The configuration is another one. */
void sites_forget(struct queue *q);
/* A delivery has come: what waits to be asked is asked. */
void sites_peer(struct queue *q);
/* Lanes of sites that are remembered are in use. */
void sites_mark(struct queue *q);
/* Forgets lanes of sites without mail (site_prune.c). */
void sites_prune(struct queue *q);
/* The lane of the site of that address, where l is one that resolves and it
 * is known; else l. */
struct lane *site_lane(struct queue *q, struct lane *l, const char *address);
/* The site of that address, which is not known, is being asked for; false: by
 * now it is known, or that there is none for a while. */
bool site_asked(struct queue *q, struct lane *l, const char *address);
/* Its domain takes long to answer, or too many wait for it: nothing more of
 * it is begun before *due. */
bool site_postponed(struct queue *q, struct lane *l, const char *address,
    uint64_t *due);
bool site_same_domain(const char *a, const char *b);
/* The attempt has its slot in a lane that resolves: goes on to its site, now
 * or later, or ends. */
void site_start(struct attempt *a);
/* Waits no longer. */
void site_leave(struct attempt *a);

/* The next hops of that lane are not what its domains' policies demand, as far
 * as one can tell: these are asked for anew, and what is known holds until
 * then. */
void sites_doubt(const struct lane *l);
/* That is so for this address in that lane. */
bool site_doubted(struct queue *q, const struct lane *l,
    const char *address);
/* What is remembered of the policy of that address's domain, where l resolves;
 * or NULL. */
const char *site_policy(struct queue *q, const struct lane *l,
    const char *address);

/* ---- policy.c ---- */
void policies_new(struct queue *q);
/* Takes up what the store has. */
void policies_start(struct queue *q);
void policies_free(struct queue *q);
/* Forgets what does not hold any more. */
void policies_prune(struct queue *q);
/* The note of a domain (normal form), until the next call; NULL: none. */
const char *policy_note(struct queue *q, const char *domain);
/* When its policy was fetched, wall ms; 0: none is known. */
uint64_t policy_fetched(struct queue *q, const char *domain);
/* false: it is damaged, or a later one is known. */
bool policy_take(struct queue *q, const char *domain, const char *note);
/* Its next hops have to be what a policy demands. */
static inline bool
policy_binds(const struct lane *l)
{
	return l->site != NULL && strchr(l->site, '=') != NULL;
}

/* ---- names.c ---- */
/* Answers a listener, at once or later, whether an address is to be taken. */
void names_verify(struct peer *p, uint64_t ref, const char *address);
/* Recipients of local-domains become what aliases make of them, none twice;
 * those without a place stay.  LOCAL_FOUND; LOCAL_LATER or LOCAL_TOO_MANY,
 * and nothing has changed. */
enum local_result names_expand(struct queue *q, struct envelope *env);
void names_free(struct queue *q);

/* ---- schedule.c ---- */
/* A due entry whose message cannot be read: to quarantine, or dropped. */
void schedule_unreadable(struct queue *q, const struct store_due *d,
    const struct err *why);
/* The message of a due entry, read from the store where it is not in RAM.
 * NULL: it cannot be read, and that was seen to; or it may not be changed now,
 * and the store is about to tell of it. */
struct message *schedule_message(struct queue *q, const struct store_due *d,
    bool body, bool *loaded);
/* One due entry.  true: some of its recipients still wait for a slot. */
bool schedule_entry(struct lane *l, enum line line,
    const struct store_due *d);
/* Starts what is due; false: there is more than one turn should do. */
void schedule_lanes(struct queue *q);
void schedule_alarm(struct queue *q);

/* ---- far.c ---- */
/* Due times that cannot be are set anew; looks again by itself while there
 * are more. */
void far_look(struct queue *q);

/* ---- lease.c ---- */
/* Leases the recipients of m that stand in that line of the lane at that
 * time, as far as slots go; what cannot go is failed, moved or left.  While
 * l->letting is set, one attempt is made that is the lane's probe.
 * pick: of the first recipient where it is known, else NULL.  *left: some
 * wait for a slot.  Returns how many were concerned. */
size_t lease_message(struct message *m, struct lane *l, enum line line,
    uint64_t time, const struct route_pick *pick, bool *left);
/* Recorded, and waits for its slot in its home's line. */
void lease_ahead(struct attempt *a);
/* It has its slot: job_start() follows. */
void lease_take_slot(struct attempt *a);
/* Goes to wait for a slot of its present lane, and gets it. */
void attempt_wait_slot(struct attempt *a);
void attempt_take_slot(struct attempt *a);
/* Off whatever it waits for, with a slot all the same. */
void attempt_unwait(struct attempt *a);
/* Recipients beyond max wait for a slot in attempts of their own. */
void attempt_split(struct attempt *a, size_t max);
/* Takes one back that has not started: as if it had never been. */
void lease_undo(struct attempt *a);
/* Frees it and its slots. */
void attempt_free(struct attempt *a);

/* ---- job.c ---- */
void job_start(struct attempt *a);
/* Until there is a process with credit. */
void job_wait(struct attempt *a);
/* Sends what waits for a peer or a slot. */
void job_send_unsent(struct queue *q);
/* A result that no delivery has given, the same for each recipient of the
 * attempt; msg_job_done_clear() it. */
void job_own_result(const struct attempt *a, enum job_class class,
    uint16_t code, const uint8_t status[3], const char *text,
    struct msg_job_done *d);
/* What it says of one recipient. */
void job_set_result(struct msg_job_result *r, uint16_t code,
    const uint8_t status[3], const char *text);

/* ---- local.c ---- */
void local_start(struct attempt *a);
/* discard, fail, and transports that are gone. */
bool local_settle(struct attempt *a);

/* ---- rewrite.c ---- */
/* The reverse-path that it leaves with. */
const char *rewrite_sender(const struct message *m);
/* Appends the header up to what its account makes of it, and returns how many
 * octets of the body that stands for; 0: nothing.  The body must be there
 * (message_need_body). */
uint32_t rewrite_head(const struct message *m, struct strbuf *head);

/* ---- settle.c ---- */
void settle_job(struct attempt *a, struct msg_job_done *d);
/* Its lane takes no mail (class says why): the next transport of the route
 * that does, else it is due again, counted. */
void settle_unusable(struct attempt *a, struct msg_job_done *d);
/* The reply of a result for one recipient; hint: where it may stand. */
void settle_take_reply(struct attempt *a, uint32_t index,
    struct msg_job_done *d, size_t hint);
void settle_set_reply(struct record_rcpt *rc, uint16_t code,
    const uint8_t status[3], char *text);
/* The transport and the route statement of the last choice. */
void settle_choice(struct record *r, const char *transport,
    const struct conf_route *route);
/* One delay notice in a message's life, about all that still waits. */
void settle_warn(struct message *m);
/* The process that had it is gone. */
void settle_lost(struct attempt *a);
/* Its body cannot be read (EILSEQ, ENOENT: to quarantine), or delivery found
 * it to be another than promised. */
void settle_broken(struct attempt *a, const struct err *why);
void settle_refused_body(struct attempt *a, const struct msg_job_done *d);
/* A recipient cannot be delivered; a report will say so. */
void settle_fail(struct message *m, size_t i, enum rcpt_state state,
    uint16_t code, uint8_t subject, uint8_t detail, const char *text);
/* When and where a pending recipient is due next. */
void settle_reschedule(struct message *m, size_t i, uint64_t due);

/* ---- retry.c ---- */
uint64_t retry_step(const struct queue *q, uint32_t attempts);
/* The same time for all recipients that have made as many attempts, so that
 * they stay together: now + step. */
uint64_t retry_time(const struct queue *q, struct retry_time *t,
    uint32_t attempts, uint64_t now);
/* After a crash: soon, but slower each time. */
uint64_t retry_crash_step(const struct queue *q, uint32_t attempts);
/* now + step, but never beyond the end of its life. */
uint64_t retry_due(const struct queue *q, const struct record *r,
    uint32_t attempts, uint64_t now);

/* ---- recovery.c ---- */
void recovery_run(struct queue *q);

/* ---- bounce.c ---- */
/* Adds the reports that notes ask for; their due keys go to m->reports.
 * Returns how many. */
size_t bounce_add(struct message *m, struct store_change *c);
/* The change has ended: nothing more to tell, or all of it again. */
void bounce_told(struct message *m, bool durable);

/* ---- history.c ---- */
void history_text(const struct message *m, struct strbuf *out);

/* ---- lines.c: the log ---- */
void line_received(const struct message *m);
void line_delivery(const struct attempt *a, size_t i, const char *status,
    const struct msg_job_done *d);
void line_settled(const struct message *m, size_t i);
/* Moved on without an attempt, as its lane takes no mail. */
void line_moved(enum log_level level, const struct message *m, size_t i);
struct id_text {
	char s[NUM_ID_LEN + 1];
};
struct id_text line_id_text(uint64_t id);
void line_id(enum log_level level, const char *event, uint64_t id,
    const char *why);

/* ---- metrics.c ---- */
enum { CONNECTED, CONNECT_FAILED, CONNECT_REFUSED, CONNECTS };
enum { SENT, DEFERRED, BOUNCED, SENTS };
void metrics_new(struct queue *q);
void metrics_free(struct queue *q);
void metrics_received(struct queue *q, const struct envelope *env);
/* One recipient has had an attempt; status as in the log. */
void metrics_delivery(const struct attempt *a, const char *status);
/* A job has come back from delivery. */
void metrics_job(const struct attempt *a, const struct msg_job_done *d);
int metrics_counts(struct queue *q, struct slice data, struct err *e);

/* ---- alert.c ---- */
enum alert_kind { ALERT_PARKED, ALERT_UNREACHABLE, ALERT_QUEUE, ALERT_DISK,
	ALERT_RUNAWAY };
/* The state of an object has begun or ended; text is for people, printable.
 * Repeated calls of the same state change its text alone.  `unreachable` is
 * told once it has lasted as long as `alert` says: alert.c sees to that. */
void alert_state(struct queue *q, enum alert_kind kind, const char *object,
    bool begin, const char *text);
/* A message was taken: who sends very many is told of. */
void alert_count(struct queue *q, const struct envelope *env);
void alerts_new(struct queue *q);
/* The store is open. */
void alerts_start(struct queue *q);
/* There is a new configuration. */
void alerts_view(struct queue *q);
/* Behind the last callback of the store. */
void alerts_free(struct queue *q);

/* ---- id.c ---- */
uint64_t id_new(struct queue *q);

#endif

/*
 * The role's frame: what monitor sends, the end of a turn, commits, the way
 * out.  Run by queue.
 *
 * A store that cannot be opened ends the role (monitor says why and tries
 * again later).  A new view that cannot be read ends it too: monitor made it.
 */
#include "queue/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "queue/internal.h"

/* ms: the first pass once what a crash left is old enough, the steps of a
 * pass, the rest between passes */
#define SWEEP_FIRST 65000u
#define SWEEP_STEP 500u
#define SWEEP_REST 600000u
#define HISTORY_AGE (30ull * 24 * 3600 * 1000)

/* ---- commits ---- */

void
queue_later(struct queue *q)
{
	loop_defer(q->loop, &q->flush);
}

void
queue_commit(struct queue *q, struct store_change **c, bool lazy,
    const char *fault, store_done *done, void *arg)
{
	struct commit *k = mem_push(&q->commits, &q->n_commits, sizeof(*k));

	k->change = *c;
	k->lazy = lazy;
	k->fault = fault;
	k->done = done;
	k->arg = arg;
	*c = NULL;
	queue_later(q);
}

/* All of one turn one behind the other, so that they share a transaction. */
static void
queue_commit_all(struct queue *q)
{
	size_t i;
	int code;

	if (q->n_commits == 0)
		return;
	store_cork(q->store, true);
	for (i = 0; i < q->n_commits; i++) {
		struct commit k = q->commits[i];

		code = k.fault != NULL ? FAULT(k.fault) : 0;
		if (code == 0) {
			store_commit(q->store, &k.change, k.lazy, k.done,
			    k.arg);
			continue;
		}
		store_change_drop(&k.change);
		k.done(k.arg, code, strerror(code));
	}
	q->n_commits = 0;
	store_cork(q->store, false);
	if (store_dead(q->store) && !q->ended) {
		log_msg(LL_ERROR, "queue", "the database has failed; the "
		    "queue starts anew");
		q->ended = true;
		role_exit(&q->base);
	}
}

static void
due_dropped(void *arg, int code, const char *text)
{
	(void)arg;
	if (code != 0)
		log_msg(LL_WARN, "queue", "due entry not removed: %s", text);
}

void
queue_drop_due(struct queue *q, uint32_t lane, uint64_t time, uint64_t id)
{
	struct store_change *c = store_change_new(q->store);

	line_id(LL_WARN, "stray", id, "due entry without a recipient");
	store_due_del(c, lane, time, id);
	queue_commit(q, &c, true, NULL, due_dropped, q);
}

/* ---- the end of a turn ---- */

/* Everything that could still change the queue has ended. */
static bool
queue_at_rest(const struct queue *q)
{
	return TAILQ_EMPTY(&q->listeners) && TAILQ_EMPTY(&q->deliveries) &&
	    htab_count(q->messages) == 0 && q->n_commits == 0 &&
	    (q->store == NULL || store_in_flight(q->store) == 0);
}

static void
queue_write_dirty(struct queue *q)
{
	struct message *m;

	while ((m = TAILQ_FIRST(&q->dirty)) != NULL) {
		TAILQ_REMOVE(&q->dirty, m, dirty_link);
		m->dirty = false;
		message_write(m, NULL);
	}
}

static void
queue_flush(void *arg)
{
	struct queue *q = arg;

	if (q->store != NULL) {
		if (q->far_more)
			far_look(q);
		expire_look(q);
		offline_run(q);
		job_send_unsent(q);
		schedule_lanes(q);
		lanes_write(q);
		queue_write_dirty(q);
		rates_write(q);
		queue_commit_all(q);
		schedule_alarm(q);
	}
	if (q->draining && !q->ended && queue_at_rest(q)) {
		q->ended = true;
		role_exit(&q->base);
	}
}

static void
queue_alarm(void *arg)
{
	struct queue *q = arg;
	struct lane *l;

	q->alarm_at = NEVER;
	TAILQ_FOREACH(l, &q->lanes, link)
		lane_kick(q, l);
	far_look(q);
	queue_later(q);
}

static void
queue_failed_again(void *arg)
{
	struct queue *q = arg;
	struct message *m;

	q->lanes_failing = false;
	queue_later(q);
	while ((m = TAILQ_FIRST(&q->failed)) != NULL) {
		TAILQ_REMOVE(&q->failed, m, dirty_link);
		m->retrying = false;
		message_touch(m, true);
	}
}

static void
queue_sweep(void *arg)
{
	struct queue *q = arg;
	uint64_t now = clock_real_ms();
	bool more;

	more = store_sweep(q->store, now > HISTORY_AGE ? now - HISTORY_AGE :
	    0);
	if (!more) {
		sites_prune(q);
		policies_prune(q);
	}
	loop_timer_set(q->loop, &q->sweep, more ? SWEEP_STEP : SWEEP_REST);
}

/* ---- what monitor sends ---- */

/* Attempts that no server has heard of are taken back. */
static void
queue_take_back(struct queue *q)
{
	struct message *m;
	size_t pos = 0;

	while ((m = htab_next(q->messages, &pos, NULL)) != NULL)
		message_take_back(m);
}

static int
queue_view(void *arg, struct slice view, struct err *e)
{
	struct queue *q = arg;
	struct conf *conf = conf_view_decode(view, CONF_QUEUE, e), *old;

	if (conf == NULL)
		return -1;
	old = q->conf;
	q->conf = conf;
	q->views++;
	route_configure(q);
	lanes_configure(q);
	conf_free(&old);
	if (q->store != NULL) {
		queue_take_back(q);	/* by the new routes then */
		sites_forget(q);
		park_view(q);
		if (q->control.view != NULL)
			q->control.view(q->control_arg);
		alerts_view(q);
		log_msg(LL_INFO, "queue", "new configuration in place");
		queue_later(q);
	}
	return 0;
}

static int
queue_listen(void *arg, const struct msg_listen *m, int fd, struct err *e)
{
	struct queue *q = arg;

	if (q->control.listen != NULL)
		return q->control.listen(q->control_arg, m, fd, e);
	close(fd);
	return 0;
}

static int
queue_peer(void *arg, const struct msg_peer *m, int fd, struct err *e)
{
	return peer_add(arg, m, fd, e);
}

static void
queue_wake(void *arg)
{
	struct queue *q = arg;

	loop_waker_signal(q->waker);
}

static void
queue_woken(void *arg)
{
	struct queue *q = arg;

	if (q->store != NULL)
		store_complete(q->store);
	queue_later(q);
}

static int
queue_start(void *arg, struct err *e)
{
	struct queue *q = arg;
	struct store_options o;

	if (q->conf == NULL)
		return err_set(e, EPROTO, "started without a configuration");
	q->waker = loop_waker_new(q->loop, queue_woken, q, e);
	if (q->waker == NULL)
		return -1;
	memset(&o, 0, sizeof(o));
	o.spool = q->conf->spool_directory;
	o.wake = queue_wake;
	o.wake_arg = q;
	o.memory_fd = q->memory_fd;
	q->memory_fd = -1;
	q->store = store_open(&o, e);
	if (q->store == NULL)
		return -1;
	policies_start(q);
	share_start(q);
	lanes_load(q);
	lanes_configure(q);
	recovery_run(q);
	sites_prune(q);
	far_look(q);
	alerts_start(q);
	lanes_tell(q);
	loop_timer_set(q->loop, &q->sweep, SWEEP_FIRST);
	log_begin(LL_INFO, "queue");
	log_num("messages", (int64_t)store_total(q->store));
	log_end();
	queue_later(q);
	if (q->control.start != NULL)
		return q->control.start(q->control_arg, e);
	return 0;
}

static void
queue_drain(void *arg)
{
	struct queue *q = arg;

	q->draining = true;
	if (q->control.drain != NULL)
		q->control.drain(q->control_arg);
	queue_take_back(q);
	queue_later(q);
}

static const char *
queue_spool(void *arg)
{
	const struct queue *q = arg;

	return q->conf != NULL ? q->conf->spool_directory : NULL;
}

static int
queue_message(void *arg, struct port_message *m, struct err *e)
{
	struct queue *q = arg;

	if (m->fd >= 0)
		close(m->fd);
	if (m->type != MSG_STATUS)
		return err_set(e, EPROTO, "message %u is not for the queue",
		    m->type);
	if (msg_status_decode(m->data, &q->status) < 0)
		return err_set(e, EPROTO, "the status is garbage");
	q->has_status = true;
	return 0;
}

/* ---- life ---- */

/* At the very end of the turn the replies of this turn have left. */
static void
queue_after_reply(void *arg)
{
	(void)arg;
	(void)FAULT("queue.after_reply");
}

struct queue *
queue_new(struct loop *loop, int monitor_fd)
{
	static const struct role_ops ops = {
		queue_view, queue_listen, queue_peer, queue_start,
		queue_drain, queue_message, queue_spool, NULL
	};
	struct queue *q = mem_zalloc(sizeof(*q));

	q->loop = loop;
	q->messages = htab_new();
	q->lane_by_key = htab_new();
	q->lane_by_id = htab_new();
	q->next_lane = 2;
	q->alarm_at = NEVER;
	q->memory_fd = store_memory_fd();	/* there are no walls yet */
	q->clock_moves = getenv("SMARTHOSTD_CLOCK_OFFSET_FILE") != NULL;
	TAILQ_INIT(&q->questions);
	TAILQ_INIT(&q->listeners);
	TAILQ_INIT(&q->deliveries);
	TAILQ_INIT(&q->auths);
	TAILQ_INIT(&q->unsent);
	TAILQ_INIT(&q->dirty);
	TAILQ_INIT(&q->failed);
	TAILQ_INIT(&q->lanes);
	TAILQ_INIT(&q->ready);
	TAILQ_INIT(&q->changed);
	TAILQ_INIT(&q->dirty_lanes);
	q->rates = htab_new();
	TAILQ_INIT(&q->dirty_rates);
	loop_task_init(&q->flush, queue_flush, q);
	loop_task_init(&q->after_reply, queue_after_reply, q);
	loop_timer_init(&q->failed_timer, queue_failed_again, q);
	loop_timer_init(&q->sweep, queue_sweep, q);
	loop_alarm_init(loop, &q->alarm, queue_alarm, q);
	sites_init(q);
	policies_new(q);
	alerts_new(q);
	metrics_new(q);
	role_init(&q->base, ROLE_QUEUE, loop, monitor_fd, &ops, q);
	return q;
}

void
queue_free(struct queue **qp)
{
	struct queue *q = *qp;
	struct message *m;
	size_t pos;

	if (q == NULL)
		return;
	*qp = NULL;
	q->draining = true;		/* nothing starts any more */
	if (q->store != NULL) {
		lanes_write(q);
		queue_write_dirty(q);
		queue_commit_all(q);
	}
	port_free(&q->base.monitor);
	peers_free(q);
	/* Callbacks of the last commits still need their messages. */
	store_close(&q->store);
	if (q->memory_fd >= 0)
		close(q->memory_fd);
	while (pos = 0, (m = htab_next(q->messages, &pos, NULL)) != NULL)
		message_free(m);
	sites_free(q);
	policies_free(q);
	alerts_free(q);
	metrics_free(q);
	if (q->waker != NULL)
		loop_waker_free(&q->waker);
	loop_task_cancel(q->loop, &q->flush);
	loop_task_cancel(q->loop, &q->after_reply);
	loop_timer_cancel(q->loop, &q->failed_timer);
	loop_timer_cancel(q->loop, &q->sweep);
	loop_alarm_cancel(&q->alarm);
	lanes_free(q);
	rates_free(q);
	htab_free(&q->messages);
	names_free(q);
	free(q->commits);
	conf_free(&q->conf);
	free(q);
}

void
queue_set_control(struct queue *q, const struct queue_control *c, void *arg)
{
	q->control = *c;
	q->control_arg = arg;
}

const struct conf *
queue_conf(const struct queue *q)
{
	return q->conf;
}

const struct msg_role *
queue_me(const struct queue *q)
{
	return &q->base.me;
}

struct store *
queue_store(const struct queue *q)
{
	return q->store;
}

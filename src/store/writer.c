/* The store's writer thread, inside queue: takes all changes that wait, has
 * them applied in one transaction, and hands them back in one list with one
 * wake of the loop.  There is no timer but for lazy changes, which wait up to
 * 5 ms for company.  It never touches the log or anything of the loop's.
 */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "store/internal.h"

#define REAP_EVERY_US (10u * 1000 * 1000)

uint64_t
store_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
writer_wake(struct store *s)
{
	if (!s->writer_idle)
		return;
	s->writer_idle = false;
	pthread_cond_signal(&s->writer_cond);
}

void
writer_queue(struct store *s, struct store_change *c)
{
	bool first = STAILQ_EMPTY(&s->waiting);

	STAILQ_INSERT_TAIL(&s->waiting, c, link);
	if (c->lazy)
		c->queued_us = store_now_us();
	else
		s->n_urgent++;
	if (!s->corked && (!c->lazy || (first && !s->writer_looks)))
		writer_wake(s);
}

static void
file_gone(struct store *s, uint64_t id)
{
	*(uint64_t *)mem_push(&s->gone, &s->n_gone, sizeof(uint64_t)) = id;
}

/* Files to remove: those of messages that are gone now, and those that were
 * linked for a message that did not come to be. */
static void
collect_gone(struct store *s, const struct store_change *c)
{
	size_t i;

	if (c->code == 0)
		for (i = 0; i < c->n_gone; i++)
			file_gone(s, c->gone[i]);
	else
		for (i = 0; i < c->n_files; i++)
			if (c->files[i].linked)
				file_gone(s, c->files[i].id);
}

void
writer_finish(struct store *s, struct change_list *list)
{
	struct store_change *c;
	bool wake;

	if (STAILQ_EMPTY(list))
		return;
	pthread_mutex_lock(&s->lock);
	STAILQ_FOREACH(c, list, link)
		if (c->n_gone != 0 || c->n_files != 0)
			collect_gone(s, c);
	wake = STAILQ_EMPTY(&s->done);
	STAILQ_CONCAT(&s->done, list);
	if (s->n_gone != 0)
		pthread_cond_signal(&s->helper_cond);
	if (s->closing)
		pthread_cond_signal(&s->done_cond);
	pthread_mutex_unlock(&s->lock);
	if (wake && s->wake != NULL)
		s->wake(s->wake_arg);
}

/* until: us, 0 for no limit. */
static void
writer_sleep(struct store *s, uint64_t until)
{
	struct timespec ts;

	s->writer_idle = true;
	s->writer_looks = until != 0;
	if (until != 0) {
		ts.tv_sec = (time_t)(until / 1000000);
		ts.tv_nsec = (long)(until % 1000000) * 1000;
		pthread_cond_timedwait(&s->writer_cond, &s->lock, &ts);
	} else {
		pthread_cond_wait(&s->writer_cond, &s->lock);
	}
	s->writer_idle = false;
}

/* Waits until a batch is to be written; false: the end.  For a while behind
 * each batch it looks by itself: lazy changes that come then wake nobody, and
 * most often an urgent one comes and takes them along. */
static bool
wait_batch(struct store *s)
{
	uint64_t look = store_now_us() + LAZY_US, due;

	for (;;) {
		due = 0;
		if (STAILQ_EMPTY(&s->waiting)) {
			if (s->stop_writer)
				return false;
			due = look;
			if (due != 0 && store_now_us() >= due)
				due = look = 0;
		} else if (s->closing || s->stop_writer ||
		    (s->n_urgent > 0 && !s->corked)) {
			return true;
		} else if (!s->corked) {
			due = STAILQ_FIRST(&s->waiting)->queued_us + LAZY_US;
			if (store_now_us() >= due)
				return true;
		}
		writer_sleep(s, due);
	}
}

static void
take_batch(struct store *s, struct change_list *list)
{
	struct store_change *c;
	size_t octets = 0, ops = 0;

	while ((c = STAILQ_FIRST(&s->waiting)) != NULL &&
	    (STAILQ_EMPTY(list) || (octets + c->ops.n <= BATCH_OCTETS &&
	    ops + c->n_ops <= BATCH_OPS))) {
		STAILQ_REMOVE_HEAD(&s->waiting, link);
		STAILQ_INSERT_TAIL(list, c, link);
		octets += c->ops.n;
		ops += c->n_ops;
		if (!c->lazy)
			s->n_urgent--;
	}
}

const uint32_t store_commit_us[STORE_COMMIT_BOUNDS] = {
	1000, 2000, 5000, 10000, 20000, 50000, 100000, 250000, 500000, 1000000
};
const uint32_t store_commit_changes[STORE_COMMIT_BOUNDS] = {
	1, 2, 5, 10, 20, 50, 100, 200, 500, 1000
};

static size_t
bucket_of(const uint32_t *bounds, uint64_t v)
{
	size_t i;

	for (i = 0; i < STORE_COMMIT_BOUNDS && v > bounds[i]; i++)
		;
	return i;
}

/* With lock held. */
static void
count_commit(struct store *s, uint64_t us, uint64_t changes)
{
	struct store_commits *k = &s->commits;

	k->n++;
	k->us += us;
	k->changes += changes;
	k->by_time[bucket_of(store_commit_us, us)]++;
	k->by_changes[bucket_of(store_commit_changes, changes)]++;
}

void
store_commits(struct store *s, struct store_commits *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->commits;
	pthread_mutex_unlock(&s->lock);
}

void *
writer_main(void *arg)
{
	struct store *s = arg;
	struct change_list list;
	uint64_t reaped = store_now_us(), now, began, took, n;
	struct store_change *c;

	pthread_mutex_lock(&s->lock);
	while (wait_batch(s)) {
		STAILQ_INIT(&list);
		take_batch(s, &list);
		pthread_mutex_unlock(&s->lock);
		n = 0;
		STAILQ_FOREACH(c, &list, link)
			n++;
		began = store_now_us();
		batch_run(s, &list);
		took = store_now_us() - began;
		writer_finish(s, &list);
		db_map_trim(&s->db);
		now = store_now_us();
		if (now - reaped > REAP_EVERY_US) {
			/* A killed relayctl keeps old pages from reuse. */
			db_reap_readers(&s->db);
			reaped = now;
		}
		pthread_mutex_lock(&s->lock);
		count_commit(s, took, n);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* The threads of auth.  They see their own piece of work and nothing of the
 * role; its result comes back by the loop's waker.  A pool that cannot make a
 * thread takes no work, and says so.  Work waits by whose it is: a client that
 * tries a costly hash again and again would keep all others waiting else. */
#include "auth/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

TAILQ_HEAD(work_list, work);

/* What waits of one; there only while something does. */
struct turn {
	TAILQ_ENTRY(turn) link;
	struct work_list works;
	size_t n;
	char who[];
};

struct work_pool {
	struct loop *loop;
	struct loop_waker *waker;
	pthread_t threads[WORK_THREADS];
	size_t n_threads;
	pthread_mutex_t lock;		/* of all below */
	pthread_cond_t more;
	TAILQ_HEAD(, turn) turns;	/* the next one first */
	struct work_list finished;
	size_t n_waiting;
	bool stop;
};

static struct turn *
turn_of(struct work_pool *p, const char *who)
{
	struct turn *t;

	TAILQ_FOREACH(t, &p->turns, link)
		if (strcmp(t->who, who) == 0)
			return t;
	t = mem_zalloc(sizeof(*t) + strlen(who) + 1);
	memcpy(t->who, who, strlen(who));
	TAILQ_INIT(&t->works);
	TAILQ_INSERT_TAIL(&p->turns, t, link);
	return t;
}

/* The oldest of him whose turn it is; NULL: nothing waits. */
static struct work *
take_next(struct work_pool *p)
{
	struct turn *t = TAILQ_FIRST(&p->turns);
	struct work *w;

	if (t == NULL)
		return NULL;
	w = TAILQ_FIRST(&t->works);
	TAILQ_REMOVE(&t->works, w, link);
	TAILQ_REMOVE(&p->turns, t, link);
	p->n_waiting--;
	if (--t->n > 0)
		TAILQ_INSERT_TAIL(&p->turns, t, link);
	else
		free(t);
	return w;
}

static void *
work_main(void *arg)
{
	struct work_pool *p = arg;
	struct work *w;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		w = take_next(p);
		if (w == NULL) {
			pthread_cond_wait(&p->more, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		w->run(w);
		pthread_mutex_lock(&p->lock);
		w->ran = true;
		TAILQ_INSERT_TAIL(&p->finished, w, link);
		loop_waker_signal(p->waker);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* One at a time: done() may submit more. */
static void
on_wake(void *arg)
{
	struct work_pool *p = arg;
	struct work *w;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		w = TAILQ_FIRST(&p->finished);
		if (w != NULL)
			TAILQ_REMOVE(&p->finished, w, link);
		pthread_mutex_unlock(&p->lock);
		if (w == NULL)
			return;
		w->done(w);
	}
}

struct work_pool *
work_pool_new(struct loop *loop)
{
	struct work_pool *p = mem_zalloc(sizeof(*p));

	p->loop = loop;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	TAILQ_INIT(&p->turns);
	TAILQ_INIT(&p->finished);
	return p;
}

void
work_pool_free(struct work_pool **pp)
{
	struct work_pool *p = *pp;
	struct work *w;
	size_t i;

	if (p == NULL)
		return;
	*pp = NULL;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	while ((w = take_next(p)) != NULL)
		TAILQ_INSERT_TAIL(&p->finished, w, link);
	while ((w = TAILQ_FIRST(&p->finished)) != NULL) {
		TAILQ_REMOVE(&p->finished, w, link);
		w->done(w);
	}
	loop_waker_free(&p->waker);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Signals are the loop's. */
static int
add_thread(struct work_pool *p)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&p->threads[p->n_threads], NULL, work_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		p->n_threads++;
	return rc == 0 ? 0 : -1;
}

static int
ready(struct work_pool *p)
{
	struct err e = { 0 };

	if (p->waker == NULL)
		p->waker = loop_waker_new(p->loop, on_wake, p, &e);
	if (p->waker == NULL) {
		log_msg(LL_ERROR, "work", "%s", e.text);
		return -1;
	}
	while (p->n_threads < WORK_THREADS && add_thread(p) == 0)
		;
	if (p->n_threads > 0)
		return 0;
	log_msg(LL_ERROR, "work", "no thread can be made");
	return -1;
}

/* False: there is no room for it. */
static bool
enqueue(struct work_pool *p, struct work *w)
{
	struct turn *t;

	if (p->stop || p->n_waiting >= WORK_WAITING_MAX + WORK_WAITING_FIRST)
		return false;
	t = turn_of(p, w->who != NULL ? w->who : "");
	if (t->n > 0 && (p->n_waiting >= WORK_WAITING_MAX ||
	    (w->who != NULL && t->n >= WORK_WAITING_ONE)))
		return false;
	TAILQ_INSERT_TAIL(&t->works, w, link);
	t->n++;
	p->n_waiting++;
	return true;
}

int
work_submit(struct work_pool *p, struct work *w)
{
	bool room;

	if (p->n_threads < WORK_THREADS && ready(p) < 0)
		return -1;
	w->ran = false;
	pthread_mutex_lock(&p->lock);
	room = enqueue(p, w);
	if (room)
		pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
	return room ? 0 : -1;
}
